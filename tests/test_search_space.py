"""What a search varies: every kind of network by its Choices, and the keys of [search]."""

from __future__ import annotations

import dataclasses
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest

from host_tools.search.candidates import first_proposals, propose, with_settings
from host_tools.search.candidates import settings_of as settings
from model import architectures as nn
from model.errors import ConfigError
from model.network_config import ALIKE, KINDS, OWN, NetworkConfig, PythonConfig
from model.own_networks import own_network
from model.recipe import Recipe
from model.recipe_file import load_recipe, recipe_of
from model.recipe_rules import problems
from model.recipe_tables import SearchConfig
from model.search_space import choices_of, require_choices
from model.toml_writer import to_toml
from tests.test_networks import SHAPES, TASKS

BUILT_IN = [kind for kind in KINDS if kind not in OWN]
DIGITS, ANOMALY = load_recipe("digits"), load_recipe("anomaly")
FUNCTION = """
from tensorflow import keras


def network(input_shape, outputs, width, depth=1):
    hidden = [keras.layers.Dense(width, "relu") for _ in range(depth)]
    return keras.Sequential(
        [keras.Input(input_shape), keras.layers.Flatten(), *hidden, keras.layers.Dense(outputs)]
    )
"""


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def recipe_with(kind: str) -> Recipe:
    """A recipe with a kind's defaults."""
    recipe = ANOMALY if TASKS[kind] == "anomaly" else DIGITS
    return dataclasses.replace(recipe, network=NetworkConfig(kind=kind, max_weight_bytes=1 << 23))


def with_vary(recipe: Recipe, **vary: tuple[float, ...]) -> Recipe:
    """The recipe with a [search]; '__' in a name is a dot."""
    keys = {key.replace("__", "."): values for key, values in vary.items()}
    return dataclasses.replace(recipe, search=SearchConfig(vary=keys))


def proposals(recipe: Recipe, count: int, first: int = 0) -> Iterator[Recipe]:
    """The first ones of a search, then random ones; a parameter of no space is an error."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=3))
    for parameters in first_proposals(recipe)[:first]:
        study.enqueue_trial(parameters)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(count):
            yield propose(study.ask(), recipe)


def layers_of(recipe: Recipe, rows: int, columns: int) -> list[nn.Layer]:
    outputs = rows * columns if recipe.task == "anomaly" else 5
    return nn.architecture(recipe.network, rows, columns, outputs, recipe.task)


def weights(recipe: Recipe) -> int:
    return nn.weights_of(layers_of(recipe, 16, 8), (16, 1, 8))


@pytest.mark.parametrize("kind", BUILT_IN)
def test_every_kind_is_searched_from_smaller_ones_on(kind: str, tmp_path: Path) -> None:
    recipe = recipe_with(kind)
    require_choices(recipe)
    first = list(proposals(recipe, len(first_proposals(recipe)), 9))
    counts = [weights(candidate) for candidate in first]
    assert len(first) == 5 and max(counts) < weights(recipe) and min(counts) < counts[0]
    assert {candidate.network.kind for candidate in first} == {kind}
    found = list(proposals(recipe, 25))
    assert len({candidate.network for candidate in found}) > (5 if kind == "resnet8" else 12)
    assert {c.network.kind for c in found} == (set(ALIKE) if kind in ALIKE else {kind})
    path = tmp_path / f"{recipe.name}.toml"
    for candidate in found:
        path.write_text(to_toml({k: v for k, v in candidate.as_dict().items() if k != "name"}))
        assert load_recipe(str(path)) == candidate
        assert with_settings(recipe, settings(candidate)) == candidate


@pytest.mark.parametrize("kind", BUILT_IN)
@pytest.mark.parametrize(("rows", "columns"), SHAPES)
def test_most_of_what_is_proposed_fits_the_front_end(kind: str, rows: int, columns: int) -> None:
    """Segments that do not divide the rows left are refused before anything is built."""
    made = 0
    for candidate in proposals(recipe_with(kind), 20):
        try:
            made += bool(layers_of(candidate, rows, columns))
        except ConfigError as error:
            assert "does not divide" in str(error) or "leave nothing" in str(error)
    assert made >= (1 if rows < 4 else 5)


@pytest.mark.parametrize("kind", BUILT_IN)
def test_sizes_grow_no_more_and_other_settings_stay(kind: str) -> None:
    recipe = recipe_with(kind)
    own, choices = recipe.network.options, choices_of(kind)
    assert any(choice.size for choice in choices.values())
    for candidate in proposals(recipe, 25):
        for name in (f.name for f in dataclasses.fields(own)):
            was, now = getattr(own, name), getattr(candidate.network.options, name)
            if name not in choices:
                assert now == was
            elif choices[name].size:
                assert max(now) <= max(was) if isinstance(was, tuple) else now <= was


def test_an_autoencoder_narrows() -> None:
    for candidate in proposals(recipe_with("autoencoder"), 25):
        units = candidate.network.options.units
        assert list(units) == sorted(units, reverse=True)


@pytest.mark.parametrize("kind", OWN)
def test_a_network_of_the_users_own_needs_a_search_table(kind: str) -> None:
    recipe = recipe_with(kind)
    with pytest.raises(ConfigError, match=rf"'{kind}': .*does not change .*\[search\] vary = "):
        require_choices(recipe)
    require_choices(with_vary(recipe, augment__gain=(0.0, 0.1)))


def test_what_a_recipe_lets_vary_varies_and_the_network_stays(tmp_path: Path) -> None:
    config = NetworkConfig(kind="python", python=PythonConfig(arguments={"width": 12, "depth": 2}))
    recipe = with_vary(
        dataclasses.replace(DIGITS, network=config),
        network__python__arguments__width=(4, 8, 16),
        train__learning_rate=(1e-3, 1e-2),
        features__hop=(4, 8),
    )
    assert list(problems(recipe)) == []
    found = list(proposals(recipe, 30))
    assert {c.network.options.arguments["width"] for c in found} == {4, 8, 16}
    assert {c.network.options.arguments["depth"] for c in found} == {2}
    assert {c.train.learning_rate for c in found} == {1e-3, 1e-2}
    assert {c.features.hop for c in found} == {4, 8}
    (first,) = proposals(recipe, 1, 1)
    assert first.network.options.arguments == {"width": 8, "depth": 2}  # the nearest
    for candidate in found:
        assert with_settings(recipe, settings(candidate)) == candidate
        assert recipe_of(json.loads(json.dumps(candidate.as_dict())), "a record") == candidate


@pytest.mark.parametrize(
    ("key", "values", "words"),
    [
        ("train__steps", (10, 20), "expected numbers that the recipe has in .*'train.steps'"),
        ("train__rate", (1, 2), ".*got 'train.rate'"),
        ("network__cnn1d__dropout", (0.1,), ".*got 'network.cnn1d.dropout'"),
        ("quantisation__max_drop", (0.1,), ".*got 'quantisation.max_drop'"),
        ("features__kind", (1,), ".*got 'features.kind'"),
        ("augment__noise", (1.0,), ".*got 'augment.noise'"),
        ("train__learning_rate", (), "train.learning_rate: expected values, each once, got \\[\\]"),
        ("train__learning_rate", (0.1, 0.1), "train.learning_rate: expected values, each once"),
        ("train__learning_rate", (0.1, 11.0), "train.learning_rate: expected 1e-09 to 10, got 11"),
        ("features__hop", (1.5,), "features.hop: expected int, got 1.5"),
    ],
)
def test_a_search_table_is_checked(key: str, values: tuple[float, ...], words: str) -> None:
    recipe = with_vary(DIGITS, **{key: values})
    with pytest.raises(ConfigError, match=f"search.vary: {words}"):
        recipe_of(json.loads(json.dumps(recipe.as_dict())), "here")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, r"\[network.python.arguments\] \(none\); got input_shape, outputs, width, depth"),
        ({"widht": 3}, r"\(widht\)"),
        ({"width": 3, "outputs": 3}, r"\(width, outputs\)"),
    ],
)
def test_arguments_are_those_of_the_function(arguments: dict[str, Any], words: str) -> None:
    Path("network.py").write_text(FUNCTION)
    made = own_network(
        NetworkConfig(kind="python", python=PythonConfig(arguments={"width": 3, "depth": 2})),
        8, 8, 5, "classification",
    )  # fmt: skip
    assert [w.shape[1] for w in made.weights if "kernel" in w.name] == [3, 3, 5]
    config = NetworkConfig(kind="python", python=PythonConfig(arguments=arguments))
    with pytest.raises(ConfigError, match=words):
        own_network(config, 8, 8, 5, "classification")
