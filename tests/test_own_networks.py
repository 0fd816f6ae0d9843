"""Networks of the user's own: a function of the project, a trained file, and who may run code."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from host_tools.cli import main
from host_tools.errors import UsageError
from host_tools.experiments.reproduce import _same_network
from host_tools.stages.engine import differences, facts_of
from host_tools.stages.graph import Source
from host_tools.trust import require_trust
from model.datasets import load_dataset
from model.errors import ConfigError
from model.network_config import FileConfig, NetworkConfig, PythonConfig
from model.own_networks import own_network
from model.recipe_file import RECIPES
from model.stages.check import check
from model.stages.cross_validate import cross_validate
from model.stages.train import train
from model.tasks import task_of
from quantize.pipeline import quantise_recipe
from quantize.stages.network import network
from tests.sweeps import sweep
from tests.test_networks import equal_on_a_device, tiny_recipe

PYTHON = NetworkConfig(kind="python")
FILE = NetworkConfig(kind="file")
EXAMPLE = """
from {keras}


def network(input_shape, outputs):
    return keras.Sequential([
        keras.Input(input_shape),
        keras.layers.Conv2D(6, (3, 1), padding="same", use_bias=False),
        keras.layers.BatchNormalization(),
        keras.layers.ReLU(),
        keras.layers.Flatten(),
        keras.layers.Dropout(0.1),
        keras.layers.Dense(outputs, activation="softmax"),
    ])
"""
KERAS_2, KERAS_3 = "tensorflow import keras", "keras import layers\nimport keras"


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project of the test's own, whose user has allowed nothing yet."""
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setenv("TINYPROOF_CONFIG", str(tmp_path / "config"))
    monkeypatch.delenv("TINYPROOF_RUN_CODE", raising=False)


def _own(config: NetworkConfig, outputs: int = 3, task: str = "classification") -> Any:
    return own_network(config, 8, 8, outputs, task)


@pytest.mark.parametrize("release", sweep([KERAS_2, KERAS_3], [KERAS_2]))
def test_a_function_of_the_project_goes_all_the_way(release: str) -> None:
    Path("network.py").write_text(EXAMPLE.format(keras=release))
    recipe, out_dir = tiny_recipe(Path(), PYTHON), Path("build")
    network(recipe, out_dir)
    check(recipe, out_dir)
    train(recipe, out_dir, recipe.as_dict())
    result = quantise_recipe(recipe, out_dir)
    assert set(result["candidates"]) == {"ptq", "qat"}
    record = json.loads((out_dir / "network.json").read_text())
    assert record["weight_bytes"] == 3 * 8 * 6 + 8 * 6 * 3
    equal_on_a_device(out_dir)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("x = (\n", r"network\.py:1: SyntaxError"),
        ("x = 1\n\nraise ValueError('no')\n", r"network\.py:3: in <module>: ValueError: no"),
        ("import helper_beside\n", "network.py:1: .*keep the network in one file"),
        ("def net(input_shape, outputs): pass\n", "no function 'network'.*it has: net"),
        ("def network(shape): pass\n", r"network\.py:1: network\(\): expected the parameters"),
        ("def network(input_shape, outputs): pass\n", r"network\.py:1: .*returned None"),
        ("def network(input_shape, outputs): return 3\n", "builtins.int, expected a Keras model"),
        (
            "def network(input_shape, outputs):\n    raise SystemExit(3)\n",
            "py:2: in network: System",
        ),
        (
            "def network(input_shape, outputs):\n    return 1 / 0\n",
            "py:2: in network: ZeroDivision",
        ),
        (
            EXAMPLE.format(keras=KERAS_2).replace("Dense(outputs", "Dense(7"),
            r"output is \[7\], exp",
        ),
        (
            EXAMPLE.format(keras=KERAS_2).replace("softmax", "sigmoid"),
            r"ends with sigmoid .*expected softmax, or none",
        ),
        (
            EXAMPLE.format(keras=KERAS_3).replace('"softmax"),', '"linear"), keras.layers.ReLU(),'),
            "ends with relu",
        ),
        (EXAMPLE.format(keras=KERAS_2).replace("(input_shape)", "((9, 1, 8))"), r"input is \[9, 1"),
        (EXAMPLE.format(keras=KERAS_2).replace("keras.Input(input_shape),", ""), "no input shape"),
    ],
)
def test_a_function_that_fails_is_told_with_its_line(code: str, words: str) -> None:
    Path("network.py").write_text(code)
    with pytest.raises(ConfigError, match=words):
        _own(PYTHON)


@pytest.mark.parametrize("release", sweep([KERAS_2, KERAS_3], [KERAS_2]))
def test_a_regulariser_of_ones_own_is_kept_and_counts(
    release: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from model import train as training

    penalty = 'kernel_regularizer=keras.regularizers.L2(0.5), kernel_constraint="non_neg", '
    code = EXAMPLE.format(keras=release)
    Path("network.py").write_text(code.replace("padding", penalty + "padding"))
    made = _own(PYTHON)
    (loss,) = made.losses
    kernel = made.layers[1].kernel.numpy()
    assert float(loss) == pytest.approx(0.5 * float((kernel**2).sum()), rel=1e-5)
    assert type(made.layers[1].kernel_constraint).__name__ == "NonNeg"

    recipe, out_dir = tiny_recipe(Path(), PYTHON), Path("build")
    check(recipe, out_dir)
    seen = {}
    for name, text in (("with", penalty), ("without", "")):
        Path("network.py").write_text(code.replace("padding", text + "padding"))
        data = load_dataset(recipe.dataset)
        task = task_of(recipe, data.labels)
        _, history = training.train_network(recipe, data, task, {0, 1}, 1, training.silent)
        seen[name] = history.loss[0]
    assert seen["with"] > seen["without"] + 0.1


def test_layers_that_do_not_run_as_int8_are_named() -> None:
    Path("network.py").write_text(
        EXAMPLE.format(keras=KERAS_2).replace("layers.ReLU()", "layers.Activation('softsign')")
    )
    recipe = tiny_recipe(Path(), PYTHON)
    with pytest.raises(ConfigError, match=r"network\.py: not supported .*\(Activation\)"):
        network(recipe, Path("build"))
    assert not Path("build").exists()


def test_code_is_only_run_of_the_project(tmp_path: Path) -> None:
    (tmp_path / "network.py").write_text("raise SystemExit('it ran')\n")
    for place in ("../network.py", str(tmp_path / "network.py")):
        config = NetworkConfig(kind="python", python=PythonConfig(file=place))
        with pytest.raises(ConfigError, match="code of other places is not run"):
            _own(config)
    Path("link.py").symlink_to(tmp_path / "network.py")
    with pytest.raises(ConfigError, match="code of other places is not run"):
        _own(NetworkConfig(kind="python", python=PythonConfig(file="link.py")))


def _saved(release: str, shape: tuple[int, ...], name: str, last: str | None = "softmax") -> Any:
    if release == "3":
        import keras
    else:
        from model.networks import keras
    x = source = keras.Input(shape)
    if len(shape) == 2:
        x = keras.layers.Conv1D(6, 3, padding="same", activation="relu")(x)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Concatenate()([x, keras.layers.Dense(4, activation="tanh")(x)])
    made = keras.Model(source, keras.layers.Dense(3, activation=last)(x))
    made.save(name)
    return made


@pytest.mark.parametrize("shape", [(8, 1, 8), (8, 8), (8, 8, 1), (64,)])
@pytest.mark.parametrize(("release", "name"), [("2", "t.keras"), ("2", "t.h5"), ("3", "t.keras")])
def test_a_trained_file_answers_as_it_did(shape: tuple[int, ...], release: str, name: str) -> None:
    original = _saved(release, shape, name)
    made = _own(NetworkConfig(kind="file", file=FileConfig(file=name)))
    cases = np.random.default_rng(1).normal(size=(5, 8, 1, 8)).astype(np.float32)
    expected = np.asarray(original(cases.reshape(5, *shape)))
    assert np.asarray(made(cases)) == pytest.approx(expected, abs=1e-5)
    assert made.layers[-1].__class__.__name__ == "Softmax"


def test_a_trained_file_goes_on_without_training() -> None:
    original = _saved("3", (8, 8), "trained.keras", last=None)
    recipe, out_dir = tiny_recipe(Path(), FILE), Path("build")
    recipe = dataclasses.replace(
        recipe, train=dataclasses.replace(recipe.train, min_balanced_accuracy=0.0)
    )
    network(recipe, out_dir)
    check(recipe, out_dir)
    train(recipe, out_dir, recipe.as_dict())
    record = json.loads((out_dir / "train.json").read_text())
    assert record["history"]["step"] == []
    result = quantise_recipe(recipe, out_dir)
    assert set(result["candidates"]) == {"ptq"} and "no scheme" in result["no_qat"]
    equal_on_a_device(out_dir)
    with np.load(out_dir / "float.npz") as floats, np.load(out_dir / "features.npz") as windows:
        x = windows["test_features"] * windows["test_feature_scale"]
        logits = np.asarray(original(x.astype(np.float32)))
        stored = next(v for k, v in floats.items() if k.startswith("output"))
    assert np.array_equal(stored.reshape(len(x), 3).argmax(1), logits.argmax(1))
    with pytest.raises(ConfigError, match="is trained already"):
        cross_validate(recipe, out_dir, 2, 1, held_out=True)


def test_a_file_that_is_no_network_of_ours_is_refused() -> None:
    from model.networks import keras

    def refused(words: str, name: str = "trained.keras") -> None:
        with pytest.raises(ConfigError, match=words):
            _own(NetworkConfig(kind="file", file=FileConfig(file=name)))

    refused("No such file")
    refused("expected a file \\*.keras or \\*.h5", "trained.pt")
    Path("trained.keras").write_bytes(b"no zip")
    refused("not a whole Keras file: BadZipFile")
    source = keras.Input((8, 8))
    keras.Model(source, keras.layers.Lambda(lambda x: x)(source)).save("trained.keras")
    refused("'Lambda' .* is not loaded: it holds Python code")
    keras.Model(source, [source, keras.layers.Flatten()(source)]).save("trained.keras")
    refused("1 inputs and 2 outputs")
    made = keras.Sequential(
        [keras.Input((8, 1, 8)), keras.layers.Flatten(), keras.layers.Dense(3, name="last")]
    )
    weights = made.get_weights()
    weights[0][3, 1] = np.nan
    made.set_weights(weights)
    made.save("trained.keras")
    refused(r"trained\.keras.*: the weights of layer 'last' \(Dense\) are not finite")


def test_an_edit_of_the_function_is_seen() -> None:
    Path("network.py").write_text(EXAMPLE.format(keras=KERAS_2))
    source = Source(folder=Path("build"), name="digits", recipe=tiny_recipe(Path(), PYTHON))
    before = {stage.name: facts_of(stage) for stage in source.stages()}
    Path("network.py").write_text(EXAMPLE.format(keras=KERAS_2).replace("Conv2D(6", "Conv2D(7"))
    changed = {s.name for s in source.stages() if facts_of(s) != before[s.name]}
    assert changed == {"network", "train", "quantise"}
    assert differences(source.stages()[0]) == ["it has not run yet"]


def test_foreign_code_waits_for_the_user(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (RECIPES / "digits.toml").read_text()
    begin, end = text.index("[network]"), text.index("[augment]")
    Path("copied.toml").write_text(f'{text[:begin]}[network]\nkind = "python"\n\n{text[end:]}')
    Path("network.py").write_text("open('it_ran', 'w')\n")
    assert main(["check", "copied"]) == 2
    assert "which you have not allowed yet" in capsys.readouterr().err
    assert not Path("it_ran").exists()
    monkeypatch.setenv("TINYPROOF_RUN_CODE", "/somewhere/else")
    with pytest.raises(UsageError, match="not run: the code of"):
        require_trust(PYTHON)
    for relative in (".", "..", "some/folder"):
        monkeypatch.setenv("TINYPROOF_RUN_CODE", relative)
        with pytest.raises(
            UsageError, match="expected the absolute path .* TINYPROOF_RUN_CODE=.PWD"
        ):
            require_trust(PYTHON)
    monkeypatch.delenv("TINYPROOF_RUN_CODE")
    for answer, allowed in (("n", False), ("y", True)):
        monkeypatch.setattr("sys.stdin.isatty", lambda: True)
        monkeypatch.setattr("sys.stderr.isatty", lambda: True)
        monkeypatch.setattr("builtins.input", lambda _, answer=answer: answer)
        if allowed:
            require_trust(PYTHON)
        else:
            with pytest.raises(UsageError, match="not run: the code of"):
                require_trust(PYTHON)
    monkeypatch.setattr("sys.stdin.isatty", lambda: False)
    require_trust(PYTHON)  # said once, for this place
    Path("other.py").write_text("")
    with pytest.raises(UsageError, match=r"other\.py"):
        require_trust(NetworkConfig(kind="python", python=PythonConfig(file="other.py")))


def test_a_record_runs_no_other_code_than_it_was_made_with() -> None:
    class Recorded:
        id = "0123456789abcdef"

    Path("network.py").write_text("raise SystemExit\n")
    recipe = tiny_recipe(Path(), PYTHON)
    record: Any = Recorded()
    with pytest.raises(UsageError, match="bring the file of then back"):
        _same_network(recipe, {"sha256": "0" * 64}, record)
    _same_network(tiny_recipe(Path(), NetworkConfig(kind="cnn1d")), {}, record)
