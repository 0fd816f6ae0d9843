"""What a board says to people, as values: its banner, `info`, and the lines of `live`.

No input or output happens here. Lines come from firmware/app and firmware/stream/app_live.c, or
from whatever else talks at that port: one that is none of theirs is None, never an error. A line of
a FrameDecoder is printable ASCII; names in it are of the user's recipe, so whoever puts them into
a page escapes them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

LOWEST, SCALE = -128, 1 / 256  # of the int8 scores of a softmax or a sigmoid: 0.0 to 0.996

_BANNER = re.compile(r"tinyproof (\S+) on (\S+)")
_MODEL = re.compile(r"model     (.+), sha256 ([0-9a-f]{64})")
_IMAGE = re.compile(r"image     kernels (\S+), framework (\S+), engine (\S+)")
_MEMORY = re.compile(r"(arena|stack)     (?:(\d+) of (\d+) bytes used|not known)(?:, (.+))?")
_SELFTEST = re.compile(r"self-test (PASS|FAIL): (\d+) of (\d+) golden vectors equal.*")
_LIVE = re.compile(r"live at (\d+) mHz, the model is for (\d+) mHz; .*")
_GAP = re.compile(r"samples were lost \((\d+)\)")
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
class ImageLine:
    """Which image of the model it is."""

    kernels: str
    framework: str
    engine: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryLine:
    """Bytes of the arena or the stack; `total` is 0 when they are not known."""

    what: str  # "arena" or "stack"
    used: int
    total: int
    note: str  # of the arena: whether its canary is intact


@dataclass(frozen=True, slots=True, kw_only=True)
class SelftestLine:
    """The golden vectors, run on the board."""

    passed: bool
    equal: int
    cases: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveStart:
    """`live` begins; rates in samples of 1000 s."""

    sensor_millihertz: int
    model_millihertz: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Samples were lost, for the `number`th time; windows begin anew."""

    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """One output of a regression."""

    name: str
    value: float
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """One inference of `live`.

    Of a classifier `number` is the class; of labels that hold at once it is None; of a regression
    `scores` are empty and `quantities` are not.
    """

    answer: str  # in words: a class, labels with + between or "none", or numbers in their units
    number: int | None
    scores: tuple[int, ...]  # of the first output, int8
    quantities: tuple[Quantity, ...]
    mean_of: int | None  # results in the mean of the last ones
    mean: str | None  # what that says, in words
    decided: str | None  # what the model's rule decides for
    counts: int | None  # cycles, instructions or nanoseconds; None from older firmware

    @property
    def confidence(self) -> float | None:
        """The score of the class as a share, see `share`; None of anything else."""
        if self.number is None or self.number >= len(self.scores):
            return None
        return share(self.scores[self.number])


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The last line of an answer; `error` is empty when all went well."""

    error: str


Said = (
    Banner
    | ModelLine
    | ImageLine
    | MemoryLine
    | SelftestLine
    | LiveStart
    | Gap
    | Prediction
    | Ended
)


def share(score: int, scale: float = SCALE, zero_point: int = LOWEST) -> float:
    """An int8 score as a number of 0 to 1; the defaults are a softmax's."""
    return min(1.0, max(0.0, (score - zero_point) * scale))


def read_line(line: str) -> Said | None:
    """What a line of text says, or None when it is none that these tools know."""
    if line == "ok":
        return Ended(error="")
    if line.startswith("error: "):
        return Ended(error=line.removeprefix("error: "))
    if found := _BANNER.fullmatch(line):
        return Banner(version=found[1], board=found[2])
    if found := _MODEL.fullmatch(line):
        return ModelLine(name=found[1], sha256=found[2])
    if found := _IMAGE.fullmatch(line):
        return ImageLine(kernels=found[1], framework=found[2], engine=found[3])
    if found := _MEMORY.fullmatch(line):
        used, total = int(found[2] or 0), int(found[3] or 0)
        return MemoryLine(what=found[1], used=used, total=total, note=found[4] or "")
    if found := _SELFTEST.fullmatch(line):
        passed = found[1] == "PASS"
        return SelftestLine(passed=passed, equal=int(found[2]), cases=int(found[3]))
    if found := _LIVE.fullmatch(line):
        return LiveStart(sensor_millihertz=int(found[1]), model_millihertz=int(found[2]))
    if found := _GAP.fullmatch(line):
        return Gap(number=int(found[1]))
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
    quantities = () if scored else _quantities(rest)
    if not scored and not quantities:
        return None
    return Prediction(
        answer=_words(scored[1]) if scored else rest,
        number=int(scored[2]) if scored and scored[2] else None,
        scores=tuple(map(int, scored[5].split())) if scored else (),
        quantities=quantities,
        mean_of=int(of[1]) if of else None,
        mean=_words(of[2]) if of else None,
        decided=_words(decided) or None,
        counts=int(counts[1]) if counts else None,
    )


def _words(answer: str) -> str:
    """A class by its name, if it has one; labels without the word."""
    named = _CLASS.fullmatch(answer)
    return named[1] if named else answer.removeprefix("labels ")


def _quantities(text: str) -> tuple[Quantity, ...]:
    """The numbers of a regression; none when one of them is no number."""
    parts = [_NUMBER.fullmatch(part) for part in text.split(", ")]
    found = tuple(
        Quantity(name=part[1], value=float(part[2]), unit=part[3]) for part in parts if part
    )
    return found if len(found) == len(parts) else ()
