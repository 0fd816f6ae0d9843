"""Tables of a recipe for numbers, several labels, decisions, and for data that are generated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from model.toml_reader import Bounds

Positive = Annotated[float, Bounds(1e-12, 1e12)]
Share = Annotated[float, Bounds(0.0, 1.0)]
Seed = Annotated[int, Bounds(0, 2**31 - 1)]
Count = Annotated[int, Bounds(1, 1_000_000)]
MAX_TARGETS = 16  # numbers that one network tells
MAX_RULE_INPUTS = 16  # DECIDE_MAX_INPUTS of firmware/stream/decide.h


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
class SpeechConfig:
    """Words that eSpeak NG says in made-up voices, for training alone; see model.speech."""

    # class -> its text: words = {"0" = "zero", "1" = "one"}; classes without one get none
    words: dict[str, str]
    share: Share = 0.33  # of the training windows
    voices: Annotated[int, Bounds(1, 10_000)] = 400  # each says every word once
    # `espeak-ng --voices` lists them; a voice is one of them, with a speaker, pitch and rate
    languages: tuple[str, ...] = (
        *("en-us", "en-us-nyc", "en-gb", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan"),
        *("en-gb-x-gbcwmd", "en-029"),
    )
    # other languages, whose voices say the first one's phonemes: half of the voices
    accents: tuple[str, ...] = ()
    seed: Seed = 1  # of the voices


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


@dataclass(frozen=True, slots=True, kw_only=True)
class DecideConfig:
    """When firmware decides for a class on a stream, where that is not chosen; see model.decide."""

    # outputs in the mean; none: chosen on the validation groups
    inputs: Annotated[int, Bounds(1, MAX_RULE_INPUTS)] | None = None
    # int8 score that the best class's mean has to reach; none: chosen with `inputs`
    threshold: Annotated[int, Bounds(-128, 127)] | None = None
    # inputs without a decision behind one; none: as many as hold a sample of the one before
    pause: Annotated[int, Bounds(0, 1_000_000)] | None = None
