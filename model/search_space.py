"""What a search may change of a network: a space for each kind, relative to the recipe's own.

A space proposes with the methods of an optuna.Trial. What it offers depends on the recipe's
network alone, so that every trial of a study has the same choices.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from model.errors import ConfigError
from model.network_config import KINDS, NetworkConfig

VERSION = 3  # of the choices: a study with others is another one
FILTERS = (4, 6, 8, 12, 16, 20, 24, 32, 48, 64, 96, 128, 192, 256)
KERNELS = (3, 5, 7, 9)
KERNELS_LEFT = {"cnn1d": 5, "dscnn": 5, "cnn2d": 3}  # of a recipe that leaves them to the kind
OVER_ROWS = ("cnn1d", "dscnn")  # kinds with the same settings
POOLS = SEGMENTS = (1, 2, 4)
UNITS = (2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256)
SMALLER = ((2, 0.75), (2, 0.6), (2, 0.5), (1, 0.5))  # of the recipe: input pooling, filters
FEWER = (0.75, 0.6, 0.5, 0.35)  # of the recipe's units


class Suggest(Protocol):
    """What a trial is asked."""

    def suggest_int(self, name: str, low: int, high: int) -> int:
        """A number, both ends included."""

    def suggest_categorical(self, name: str, choices: Any) -> Any:
        """One of the choices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """The networks of one kind: any of them, and the first that are tried."""

    propose: Callable[[Suggest, NetworkConfig], NetworkConfig]
    smaller: Callable[[NetworkConfig], list[dict[str, Any]]]  # as parameters of `propose`


def space_of(network: NetworkConfig) -> Space:
    """The space around a recipe's network; ConfigError for a kind that has none."""
    if network.kind not in SPACES:
        raise ConfigError(
            f"network.kind {network.kind!r}: a search has nothing to vary in such a network; "
            f"it can for: {', '.join(sorted(SPACES))}"
        )
    return SPACES[network.kind]


def _choices(values: Iterable[int], own: Iterable[int]) -> tuple[int, ...]:
    """The values up to the largest of the recipe's, and the recipe's."""
    own = set(own)
    limit = max(own, default=0)
    return tuple(sorted(own | {value for value in values if value <= limit}))


def _nearest(value: float, choices: Iterable[int]) -> int:
    return min(choices, key=lambda choice: abs(choice - value))


def _with_options(own: NetworkConfig, kind: str, **options: Any) -> NetworkConfig:
    return NetworkConfig(
        kind=kind, max_weight_bytes=own.max_weight_bytes, **{kind: KINDS[kind](**options)}
    )


def _propose_convolutions(trial: Suggest, network: NetworkConfig) -> NetworkConfig:
    """Strides that the recipe leaves to the kind stay its own."""
    own = network.options
    depth = trial.suggest_int("layers", min(2, len(own.filters)), max(3, len(own.filters)))
    filters, layers = _choices(FILTERS, own.filters), range(depth)
    kernels = tuple(sorted({*KERNELS, *own.kernels}))
    strides: tuple[int, ...] = ()
    if own.strides:
        most = max(2, *own.strides)
        strides = tuple(trial.suggest_int(f"stride_{i}", 1, most) for i in layers)
    kinds = OVER_ROWS if network.kind in OVER_ROWS else (network.kind,)
    pools = _pools(own)
    return _with_options(
        network,
        trial.suggest_categorical("kind", kinds),
        **({"input_pool": trial.suggest_categorical("input_pool", pools)} if pools else {}),
        filters=tuple(trial.suggest_categorical(f"filters_{i}", filters) for i in layers),
        kernels=tuple(trial.suggest_categorical(f"kernel_{i}", kernels) for i in layers),
        strides=strides,
        segments=trial.suggest_categorical("segments", tuple(sorted({*SEGMENTS, own.segments}))),
        dropout=own.dropout,
    )


def _pools(own: Any) -> tuple[int, ...]:
    """None of a kind that does not pool its input."""
    return tuple(sorted({*POOLS, own.input_pool})) if hasattr(own, "input_pool") else ()


def _smaller_convolutions(network: NetworkConfig) -> list[dict[str, Any]]:
    """With fewer filters and samples."""
    own = network.options
    choices, found = _choices(FILTERS, own.filters), []
    for pool, share in SMALLER:
        parameters: dict[str, Any] = {
            "kind": network.kind,
            "layers": len(own.filters),
            "segments": own.segments,
        }
        if pools := _pools(own):
            parameters["input_pool"] = _nearest(pool * own.input_pool, pools)
        for name, values in (
            ("filters", [_nearest(share * count, choices) for count in own.filters]),
            ("kernel", own.kernels or [KERNELS_LEFT[network.kind]] * len(own.filters)),
            ("stride", own.strides),
        ):
            parameters |= {f"{name}_{i}": value for i, value in enumerate(values)}
        found.append(parameters)
    return found


def _propose_autoencoder(trial: Suggest, network: NetworkConfig) -> NetworkConfig:
    """Widths of the layers down to the narrowest; each at most as wide as the one before."""
    own = network.options.units
    depth = trial.suggest_int("layers", 1, max(3, len(own)))
    choices = _choices(UNITS, own)
    units = [trial.suggest_categorical(f"units_{i}", choices) for i in range(depth)]
    return _with_options(network, network.kind, units=tuple(sorted(units, reverse=True)))


def _smaller_autoencoder(network: NetworkConfig) -> list[dict[str, Any]]:
    own = network.options.units
    choices = _choices(UNITS, own)
    return [
        {"layers": len(own)}
        | {f"units_{i}": _nearest(share * n, choices) for i, n in enumerate(own)}
        for share in FEWER
    ]


_CONVOLUTIONS = Space(propose=_propose_convolutions, smaller=_smaller_convolutions)
SPACES: dict[str, Space] = {  # by a kind
    "autoencoder": Space(propose=_propose_autoencoder, smaller=_smaller_autoencoder),
    **dict.fromkeys(KERNELS_LEFT, _CONVOLUTIONS),
}
