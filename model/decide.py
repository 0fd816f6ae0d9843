"""When a class is decided on a stream: the mean of the last outputs, a threshold, a pause.

The best class of the mean of the last `inputs` int8 outputs is decided where its mean reaches
`threshold`; then nothing is decided for `pause` inputs. firmware/stream/decide.c does it in the
same integers.

`inputs` and `threshold` are chosen on the validation recordings. A stream may begin at any window
of a recording: from each the first decision is right, wrong, or does not come before the end. The
rule with the most right less wrong ones wins; of several the one that waits for the fewest inputs
in all, then the one of fewer inputs, then the higher score. `pause` follows from the windows: one
event shall not be decided twice, so a decision rests on no sample of the one before. Where
recordings have one window each, they tell nothing of a stream: each input is decided by itself.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model.errors import ConfigError, DataError
from model.recipe_tables import MAX_RULE_INPUTS, DecideConfig

Array = npt.NDArray[Any]
RECORD = "rule.json"
NOTHING = -1  # in the place of a class
LIMITS = {"inputs": (1, MAX_RULE_INPUTS), "threshold": (-128, 128), "pause": (0, 2**31 - 1)}
CRITERION = (
    "by the first decision from every window of every validation recording: the most right less "
    "wrong ones, then the shortest wait in all, then fewer inputs, then the higher score"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """decide_rule_t of firmware/stream/decide.h."""

    inputs: int  # outputs in a mean
    threshold: int  # int8 score of the best class's mean
    pause: int  # inputs of silence behind a decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a model answers to one recording: int8 scores [windows, classes], and the truth."""

    scores: Array
    label: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How far apart windows are and how long, in samples."""

    window: int
    hop: int
    rate_hz: float

    def pause(self, inputs: int) -> int:
        """Inputs whose mean of `inputs` shares a sample with that of a decision before them.

        A mean begins with the first sample of its first window. So d inputs after a decision it is
        clear of it where (d - inputs + 1) hop >= window; the smallest d is one more than this.
        """
        return inputs - 2 - (-self.window // self.hop)

    def seconds(self, inputs: float) -> float:
        """From the first sample to the last one of so many inputs."""
        return (self.window + (inputs - 1) * self.hop) / self.rate_hz


def heard(scores: Array, labels: Array, counts: Sequence[int]) -> list[Heard]:
    """Parts of `scores` [windows, classes]: recordings of so many windows, without empty ones.

    Raises DataError for other windows than the recordings have.
    """
    if sum(counts) != len(scores):
        raise DataError(
            f"{len(scores)} windows, the recordings have {sum(counts)}: run `make check` again"
        )
    ends = np.cumsum(counts, dtype=np.int64)
    return [
        Heard(scores=scores[end - count : end], label=int(labels[end - count]))
        for count, end in zip(counts, ends, strict=True)
        if count
    ]


def means(scores: Array, inputs: int) -> npt.NDArray[np.int64]:
    """The mean of each row and those before it, `inputs` at most; halves are rounded up."""
    sums = np.cumsum(scores.astype(np.int64) + 128, axis=0)
    sums[inputs:] -= sums[:-inputs].copy()
    count = np.minimum(np.arange(1, len(scores) + 1), inputs)[:, None]
    return np.asarray((sums + count // 2) // count - 128)


class Decider:
    """Decides on one stream, result by result, as decide_push of firmware/stream/decide.c."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._rows: deque[Array] = deque(maxlen=rule.inputs)
        self._silent = 0

    def begin(self) -> None:
        """The stream begins anew."""
        self._rows.clear()
        self._silent = 0

    def push(self, scores: Array) -> tuple[npt.NDArray[np.int64], int]:
        """The int8 scores [classes] of one result: (their mean with those before, the class that is
        decided or NOTHING)."""
        self._rows.append(scores)
        mean = means(np.stack(self._rows), self._rule.inputs)[-1]
        best = int(mean.argmax())
        full = len(self._rows) == self._rule.inputs
        decided = not self._silent and full and mean[best] >= self._rule.threshold
        self._silent = self._rule.pause if decided else max(self._silent - 1, 0)
        return mean, best if decided else NOTHING


def decisions(rule: Rule, scores: Array) -> list[int]:
    """The class that is decided at each of `scores` [results, classes], or NOTHING."""
    decider = Decider(rule)
    return [decider.push(row)[1] for row in scores]


@dataclass(frozen=True, slots=True, kw_only=True)
class Starts:
    """The first decisions of streams that begin at every window of every recording."""

    right: int
    wrong: int
    missed: int  # no decision before the recording ends
    waited: int  # inputs, to the decisions or the ends


class _Means:
    """The means of `inputs` results of all recordings, one behind the other."""

    def __init__(self, recordings: Sequence[Heard], inputs: int) -> None:
        rows = [means(r.scores, inputs) for r in recordings]
        label = np.repeat([r.label for r in recordings], [len(row) for row in rows])
        self.inputs = inputs
        self.end = np.repeat(np.cumsum([len(row) for row in rows]), [len(row) for row in rows])
        best = np.concatenate([row.argmax(axis=1) for row in rows])
        self.score = np.concatenate([row.max(axis=1) for row in rows])
        self.right = best == label

    def starts(self, threshold: int) -> Starts:
        """By a rule with this score."""
        here = np.arange(len(self.score))
        known = np.where(self.score >= threshold, here, len(here))
        known = np.append(np.minimum.accumulate(known[::-1])[::-1], len(here))
        first = known[np.minimum(here + self.inputs - 1, len(here))]
        decided = first < self.end
        right = int(self.right[first[decided]].sum())
        return Starts(
            right=right,
            wrong=int(decided.sum()) - right,
            missed=int((~decided).sum()),
            waited=int(np.where(decided, first + 1 - here, self.end - here).sum()),
        )


def choose(recordings: Sequence[Heard], pace: Pace, given: DecideConfig) -> Rule:
    """The rule for validation recordings; what is given stays.

    Raises ConfigError where inputs are given, the score is not, and no recording has as many.
    """
    longest = max(len(r.scores) for r in recordings)
    tried = [given.inputs] if given.inputs else range(1, min(longest, MAX_RULE_INPUTS) + 1)
    if max(tried) > longest and given.threshold is None:
        raise ConfigError(
            f"decide.inputs = {given.inputs}: expected at most {longest}, the windows of the "
            "longest validation recording, for a score to be chosen; give decide.threshold too"
        )
    best: tuple[tuple[int, ...], Rule] | None = None
    for inputs in tried:
        of_mean = _Means(recordings, inputs)
        scores = np.unique(of_mean.score) if given.threshold is None else [given.threshold]
        for threshold in map(int, scores):
            found = of_mean.starts(threshold)
            order = (found.wrong - found.right, found.waited, inputs, -threshold)
            if best is None or order < best[0]:
                pause = given.pause
                if pause is None:
                    pause = pace.pause(inputs) if longest > 1 else 0
                best = order, Rule(inputs=inputs, threshold=threshold, pause=pause)
    assert best is not None
    return best[1]


def measured(rule: Rule, recordings: Sequence[Heard], pace: Pace) -> dict[str, Any]:
    """How a rule does on recordings, each a stream of its own.

    Right is a recording whose decisions all name its class, wrong one with another decision,
    missed one without any. The delay is from its first sample to the first decision.
    """
    told = [(r.label, decisions(rule, r.scores)) for r in recordings]
    classes = [(label, [c for c in made if c != NOTHING]) for label, made in told]
    wrong = sum(any(c != label for c in made) for label, made in classes)
    waits = [next(i for i, c in enumerate(m) if c != NOTHING) for _, m in told if max(m) >= 0]
    return {
        "recordings": len(told),
        "right": len(waits) - wrong,
        "wrong": wrong,
        "missed": len(told) - len(waits),
        "decisions": sum(len(made) for _, made in classes),
        "wrong_decisions": sum(c != label for label, made in classes for c in made),
        "delay_s": pace.seconds(1 + sum(waits) / len(waits)) if waits else None,
        "starts": asdict(_Means(recordings, rule.inputs).starts(rule.threshold)),
    }


def _within(key: str, value: object) -> int:
    """A number of a rule that the firmware can keep; ValueError for another."""
    least, most = LIMITS[key]
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{key}: expected a whole number from {least} to {most}")
    return value


def load_rule(out_dir: Path, model_sha256: str) -> Rule | None:
    """The rule of a folder's model; None where there is none.

    Raises DataError for a record that is damaged or of another model.
    """
    path = out_dir / RECORD
    try:
        content = json.loads(path.read_text("utf-8"))
        rule = Rule(**{key: _within(key, value) for key, value in content["rule"].items()})
        of_model = content["model_sha256"]
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(
            f"{path}: not the record of a rule of decision: {error!r}; run `make emit`"
        ) from error
    if of_model != model_sha256:
        raise DataError(
            f"{path}: is of model {str(of_model)[:16]}, the model is {model_sha256[:16]}; run "
            "`make emit`"
        )
    return rule
