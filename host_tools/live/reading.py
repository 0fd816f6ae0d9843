"""What a model's outputs say, by the judge of the recipe's task."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from host_tools.live.state import Int16, Reading
from model.decide import Decider, Rule
from model.features.design import FrontEnd
from model.features.library import Extractor, quantise_features
from model.multilabel import LabelsJudge
from model.regression import RegressionJudge
from model.tasks import AnomalyJudge, Judge
from quantize.answers import number_answers

NORMAL, ANOMALY = "normal", "anomaly"
Outputs = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """What the manifest says of the model's first output."""

    labels: tuple[str, ...]
    scale: float
    zero_point: int
    dtype: str
    size: int  # elements


class HostInputs:
    """The network's int8 inputs on this computer, by the same C as on the board."""

    def __init__(self, front_end: FrontEnd, requant: Mapping[str, int]) -> None:
        self._extractor = Extractor(front_end)
        self._requant = dict(requant)
        self._waiting: deque[npt.NDArray[np.int8]] = deque()

    def begin(self) -> None:
        """The stream begins anew."""
        self._extractor.reset()
        self._waiting.clear()

    def push(self, samples: Int16) -> None:
        """The next samples [n, channels]."""
        for features in self._extractor.push(samples):
            self._waiting.append(quantise_features(features.reshape(-1), **self._requant))

    def take(self) -> npt.NDArray[np.int8] | None:
        """The oldest input that was not taken yet."""
        return self._waiting.popleft() if self._waiting else None


class Reader:
    """Reads the outputs of one stream; `begin` when the stream begins anew.

    A detector's score needs the network's `inputs` too.
    """

    def __init__(
        self,
        described: Described,
        judge: Judge,
        rule: Rule | None = None,
        inputs: HostInputs | None = None,
    ) -> None:
        self._described = described
        self._decider = Decider(rule) if rule else None
        self._inputs = inputs
        self._read = _reader(judge, described)

    def begin(self) -> None:
        """Front end and rule start from nothing."""
        if self._decider:
            self._decider.begin()
        if self._inputs:
            self._inputs.begin()

    def samples(self, samples: Int16) -> None:
        """The samples [n, channels] that the board gets, before what they complete is read."""
        if self._inputs:
            self._inputs.push(samples)

    def read(self, outputs: bytes) -> Reading:
        """The reading of one inference; ValueError where bytes are missing."""
        size = self._described.size
        row = np.frombuffer(outputs, self._described.dtype, count=size)
        reading = self._read(row, self._inputs.take() if self._inputs else None)
        if self._decider is None:
            return reading
        _, decided = self._decider.push(row)
        word = self._described.labels[decided] if decided >= 0 else ""
        return Reading(
            text=reading.text, confidence=reading.confidence, scores=reading.scores, decided=word
        )


_Read = Callable[[Outputs, "npt.NDArray[np.int8] | None"], Reading]


def _reader(judge: Judge, described: Described) -> _Read:
    if isinstance(judge, AnomalyJudge):
        return lambda row, inputs: _anomaly(judge, row, inputs)
    if isinstance(judge, RegressionJudge):
        answers = number_answers(judge.units)
        names = judge.units.targets

        def numbers(row: Outputs, inputs: object) -> Reading:
            values = judge.units.values(row[None])[0]
            text = ", ".join(a.shown(int(q)) for a, q in zip(answers, row, strict=True))
            return Reading(text=text, confidence=None, scores=_pairs(names, values))

        return numbers
    labels, scale, zero = described.labels, described.scale, described.zero_point
    if isinstance(judge, LabelsJudge):

        def several(row: Outputs, inputs: object) -> Reading:
            given = judge.given(row[None])[0]
            shares = scale * (row.astype(np.float64) - zero)
            text = " + ".join(k for k, is_given in zip(labels, given, strict=True) if is_given)
            return Reading(text=text or "none", confidence=None, scores=_pairs(labels, shares))

        return several

    def one(row: Outputs, inputs: object) -> Reading:
        shares = scale * (row.astype(np.float64) - zero)
        best = int(row.argmax())
        confidence = min(1.0, max(0.0, float(shares[best])))
        return Reading(text=labels[best], confidence=confidence, scores=_pairs(labels, shares))

    return one


def _anomaly(judge: AnomalyJudge, row: Outputs, inputs: Outputs | None) -> Reading:
    if inputs is None:
        return Reading(text="unknown", confidence=None, scores=())
    score = float(judge.error.scores(inputs[None], row[None])[0])
    text = ANOMALY if score > judge.threshold else NORMAL
    share = score / max(judge.threshold, 1e-12)
    decided = ANOMALY if text == ANOMALY else ""
    scores = (("score / threshold", share),)
    return Reading(text=text, confidence=None, scores=scores, decided=decided)


def _pairs(names: Sequence[str], values: npt.NDArray[np.float64]) -> tuple[tuple[str, float], ...]:
    return tuple((name, float(value)) for name, value in zip(names, values, strict=True))
