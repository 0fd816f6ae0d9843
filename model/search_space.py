"""What a search may change of a recipe: its network by model.network_config.Choices, and [search].

A space proposes with the methods of an optuna.Trial. What it offers depends on the recipe alone,
so that every trial of a study has the same choices.
"""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from model.errors import ConfigError
from model.network_config import ALIKE, KINDS, OWN, Choices, NetworkConfig
from model.recipe import Recipe
from model.recipe_file import recipe_of

VERSION = 4  # of the choices: a study with others is another one
# of the recipe, tried first: factor of what makes it coarser, share of its sizes
SMALLER = ((2, 0.75), (2, 0.6), (2, 0.5), (1, 0.5), (1, 0.35))
Values = tuple[float, ...]


class Suggest(Protocol):
    """What a trial is asked."""

    def suggest_int(self, name: str, low: int, high: int) -> int:
        """A number, both ends included."""

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        """One of the choices."""


def require_choices(recipe: Recipe) -> None:
    """ConfigError for a network of the user's own of which nothing may vary."""
    if recipe.network.kind in OWN and not varied(recipe):
        what = {
            "python": "network.python.arguments.width (an argument of your function, with its value"
            " in [network.python.arguments]), train.learning_rate or features.window",
            "file": "features.hop or augment.gain; its layers stay, it is trained already",
        }[recipe.network.kind]
        raise ConfigError(
            f"network.kind {recipe.network.kind!r}: a search does not change such a network; say "
            f'in the recipe what it may try, as [search] vary = {{"<key>" = [<values>]}}; keys are '
            f"for example {what}"
        )


def varied(recipe: Recipe) -> Mapping[str, Values]:
    """The keys of [search] with their values."""
    return (recipe.search.vary if recipe.search else None) or {}


def propose(trial: Suggest, recipe: Recipe) -> Recipe:
    """The recipe with another network, and other values of the keys of [search]."""
    network = _propose_network(trial, recipe.network)
    chosen = {key: trial.suggest_categorical(key, v) for key, v in varied(recipe).items()}
    return with_values(dataclasses.replace(recipe, network=network), chosen)


def smaller(recipe: Recipe) -> list[dict[str, Any]]:
    """The first to try, as parameters of `propose`: the recipe with fewer filters, units, rows."""
    own, settings = recipe.network.options, choices_of(recipe.network.kind)
    found = []
    for factor, share in SMALLER if settings else ():
        parameters: dict[str, Any] = {
            key: _nearest(value_of(recipe, key), values) for key, values in varied(recipe).items()
        }
        if recipe.network.kind in ALIKE:
            parameters["kind"] = recipe.network.kind
        for name, choices in settings.items():
            value = getattr(own, name)
            times = share if choices.size else factor if choices.coarser else 1.0
            values = _values(choices, value)
            if isinstance(value, tuple):
                entries = value or (choices.unset,) * _depth(own, settings)
                if choices.layers:
                    parameters["layers"] = len(value)
                parameters |= {
                    f"{name}_{i}": _nearest(times * entry, values)
                    for i, entry in enumerate(entries)
                    if entry is not None
                }
            else:
                parameters[name] = _nearest(times * value, values)
        found.append(parameters)
    return found


def choices_of(kind: str) -> dict[str, Choices]:
    """What may vary of a kind's settings: of each its Choices."""
    hints = typing.get_type_hints(KINDS[kind], include_extras=True)
    found = {name: _choices_in(hint) for name, hint in hints.items()}
    return {name: choices for name, choices in found.items() if choices is not None}


def _choices_in(hint: Any) -> Choices | None:
    if typing.get_origin(hint) is tuple:
        hint = typing.get_args(hint)[0]
    if typing.get_origin(hint) is not typing.Annotated:
        return None
    return next((a for a in typing.get_args(hint) if isinstance(a, Choices)), None)


def _depth(own: Any, settings: Mapping[str, Choices]) -> int:
    """Entries of the list that says how many layers there are."""
    return next(len(getattr(own, n)) for n, choices in settings.items() if choices.layers)


def _values(choices: Choices, own: Any) -> Values:
    """What is tried: of a size nothing above the recipe's largest."""
    mine = {*own} if isinstance(own, tuple) else {own}
    limit = max(mine, default=0)
    return tuple(sorted(mine | {v for v in choices.values if v <= limit or not choices.size}))


def _nearest(value: float, choices: Iterable[float]) -> float:
    return min(choices, key=lambda choice: abs(choice - value))


def _propose_network(trial: Suggest, network: NetworkConfig) -> NetworkConfig:
    kind, own = network.kind, network.options
    settings = choices_of(kind)
    if not settings:
        return network
    if kind in ALIKE:
        kind = trial.suggest_categorical("kind", ALIKE)
    depth = 0
    for name, choices in settings.items():
        if choices.layers:
            least, most = choices.layers
            count = len(getattr(own, name))
            depth = trial.suggest_int("layers", min(least, count), max(most, count))
    options = {f.name: getattr(own, f.name) for f in dataclasses.fields(own)}
    for name, choices in settings.items():
        options[name] = _propose_setting(trial, name, choices, options[name], depth)
    return NetworkConfig(
        kind=kind, max_weight_bytes=network.max_weight_bytes, **{kind: KINDS[kind](**options)}
    )


def _propose_setting(trial: Suggest, name: str, choices: Choices, own: Any, depth: int) -> Any:
    """A value, or a list with an entry for each layer; one that the kind fills in stays empty."""
    values = _values(choices, own)
    if not isinstance(own, tuple):
        return trial.suggest_categorical(name, values)
    if not own and choices.unset is None:
        return own
    found = [trial.suggest_categorical(f"{name}_{i}", values) for i in range(depth)]
    return tuple(sorted(found, reverse=True) if choices.falling else found)


def value_of(recipe: Recipe, key: str) -> float:
    """The recipe's own value of a key of [search]."""
    value: Any = recipe
    for part in key.split("."):
        value = value[part] if isinstance(value, dict) else getattr(value, part)
    assert isinstance(value, int | float)
    return value


def with_values(recipe: Recipe, values: Mapping[str, float]) -> Recipe:
    """The recipe with other values of some keys; ConfigError when they do not fit the others."""
    if not values:
        return recipe
    settings = json.loads(json.dumps(recipe.as_dict()))  # lists, as a record has them
    for key, value in values.items():
        *places, last = key.split(".")
        table = settings
        for place in places:
            table = table[place]
        table[last] = value
    return recipe_of(settings, "[search]")
