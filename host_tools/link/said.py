"""What a board says to people, as values: who it is, its model, the lines of `live` and `bench`.

No input or output happens here. Lines come from firmware/app and firmware/stream/app_live.c, or
from whatever else talks at that port: one that is none of these is None, never an error. A line of
a FrameDecoder is printable ASCII; names in it are of the user's recipe, so whoever puts them into
a page escapes them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

LOWEST, SCALE = -128, 1 / 256  # of the int8 scores of a softmax or a sigmoid: 0.0 to 0.996

_BANNER = re.compile(r"tinyproof (\S+) on (\S+)")
_MODEL = re.compile(r"model     (.+), sha256 ([0-9a-f]{64})")
_BENCH = re.compile(
    r"counts per inference, (\d{1,4}) runs: min (\d{1,10})  mean (\d{1,10})  max (\d{1,10})"
)
_STEP = re.compile(r"  step (\d{1,6}): (\d{1,10})")
_NO_SENSOR = re.compile(r"error: (this board has no sensor .*)")
_COUNTS = re.compile(r"(\d+) counts")
_MEAN = re.compile(r"(\d+): (.*)")
_SCORES = re.compile(r"(class (\d+)(?: (.+))?|labels (.+)), scores((?: -?\d+)+)")
_CLASS = re.compile(r"class \d+ (.+)")
_NUMBER = re.compile(r"(.+) (-?\d+(?:\.\d+)?) (.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Banner:
    """Who has started, or was asked for `info`."""

    version: str
    board: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelLine:
    """Which model it runs."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """One inference of `live`.

    Of a classifier `number` is the class; of labels that hold at once it is None; of a regression
    `scores` are empty.
    """

    answer: str  # in words: a class, labels with + between or "none", or numbers in their units
    number: int | None
    scores: tuple[int, ...]  # of the first output, int8
    mean_of: int | None  # results in the mean of the last ones
    mean: str | None  # what that says, in words
    decided: str | None  # what the model's rule decides for
    counts: int | None  # cycles, instructions or nanoseconds; None from older firmware


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What `bench` has counted of `runs` inferences: min, mean and max."""

    runs: int
    counts: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one step has counted, behind Bench."""

    number: int
    counts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NoSensor:
    """`live` has found none; `why` is what the board says."""

    why: str


Said = Banner | ModelLine | Prediction | Bench | Step | NoSensor


def share(score: int, scale: float = SCALE, zero_point: int = LOWEST) -> float:
    """An int8 score as a number of 0 to 1; the defaults are a softmax's."""
    return min(1.0, max(0.0, (score - zero_point) * scale))


def read_line(line: str) -> Said | None:
    """What a line of text says, or None when it is none that these tools know."""
    if found := _BANNER.fullmatch(line):
        return Banner(version=found[1], board=found[2])
    if found := _MODEL.fullmatch(line):
        return ModelLine(name=found[1], sha256=found[2])
    if found := _BENCH.fullmatch(line):
        runs, *counts = map(int, found.groups())
        return Bench(runs=runs, counts=dict(zip(("min", "mean", "max"), counts, strict=True)))
    if found := _STEP.fullmatch(line):
        return Step(number=int(found[1]), counts=int(found[2]))
    if found := _NO_SENSOR.fullmatch(line):
        return NoSensor(why=found[1])
    return _prediction(line)


def _prediction(line: str) -> Prediction | None:
    rest, between, last = line.rpartition("; ")
    counts = _COUNTS.fullmatch(last) if between else None
    rest = rest if counts else line
    rest, _, decided = rest.partition("; decided: ")
    rest, _, mean = rest.partition("; mean of ")
    of = _MEAN.fullmatch(mean)
    scored = _SCORES.fullmatch(rest)
    if scored is None and counts is None and of is None:
        return None
    if not scored and not all(map(_NUMBER.fullmatch, rest.split(", "))):
        return None
    return Prediction(
        answer=_words(scored[1]) if scored else rest,
        number=int(scored[2]) if scored and scored[2] else None,
        scores=tuple(map(int, scored[5].split())) if scored else (),
        mean_of=int(of[1]) if of else None,
        mean=_words(of[2]) if of else None,
        decided=_words(decided) or None,
        counts=int(counts[1]) if counts else None,
    )


def _words(answer: str) -> str:
    """A class by its name, if it has one; labels without the word."""
    named = _CLASS.fullmatch(answer)
    return named[1] if named else answer.removeprefix("labels ")
