"""Tables of a recipe for numbers, for several labels, and for data that are generated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from model.toml_reader import Bounds

Positive = Annotated[float, Bounds(1e-12, 1e12)]
Share = Annotated[float, Bounds(0.0, 1.0)]
Seed = Annotated[int, Bounds(0, 2**31 - 1)]
Count = Annotated[int, Bounds(1, 1_000_000)]
MAX_TARGETS = 16  # numbers that one network tells


@dataclass(frozen=True, slots=True, kw_only=True)
class VibrationConfig:
    """Generated machines; see model.datasets.vibration."""

    seed: Seed  # of all that is drawn at random
    machines: Count  # groups 0 to machines - 1
    seconds: Positive  # of a recording
    normal_recordings: Count  # of each machine; every fault and severity has one
    severities: tuple[Annotated[float, Bounds(0.001, 1.0)], ...]  # rising


@dataclass(frozen=True, slots=True, kw_only=True)
class OscillatorConfig:
    """Generated beams that ring after knocks; see model.datasets.oscillator."""

    seed: Seed  # of all that is drawn at random
    devices: Annotated[int, Bounds(3, 1000)]  # groups 0 to devices - 1
    recordings: Annotated[int, Bounds(1, 1000)]  # of each device
    seconds: Annotated[float, Bounds(1.0, 600.0)]  # of a recording


@dataclass(frozen=True, slots=True, kw_only=True)
class TonesConfig:
    """Generated sounds, several at once; see model.datasets.tones."""

    seed: Seed  # of all that is drawn at random
    devices: Annotated[int, Bounds(3, 1000)]  # groups 0 to devices - 1
    recordings: Annotated[int, Bounds(1, 1000)]  # of each device
    seconds: Annotated[float, Bounds(0.5, 600.0)]  # of a recording


@dataclass(frozen=True, slots=True, kw_only=True)
class RegressionConfig:
    """For the task 'regression': the numbers that are told, and how well; see model.regression."""

    # names: columns of a CSV file, or parts (?P<name>...) of the pattern that are numbers
    targets: tuple[str, ...]
    units: tuple[str, ...]  # of the targets
    of_window: str = "mean"  # of a target that varies in a window; or 'last'
    # largest mean absolute error of each target, in its unit; (): any
    max_mae: tuple[Positive, ...] = ()
    min_r2: Annotated[float, Bounds(-1.0, 1.0)] = 0.0  # mean of the targets' R2


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchConfig:
    """What `tinyproof search` may change besides a built-in network; see model.search_space."""

    # key -> the values that are tried, as {"train.learning_rate" = [0.001, 0.003]}; numbers of
    # [features], [augment], [train] and [network.python.arguments]
    vary: dict[str, tuple[int | float, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class MultilabelConfig:
    """For the task 'multilabel': any number of the source's labels; see model.multilabel."""

    min_macro_f1: Share  # on the validation groups; less stops the run
    separator: str = "+"  # between the labels of one cell or one part of a name; '' has none
