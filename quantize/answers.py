"""What a board prints of a model's answers: classes, labels, and numbers in their units.

A number of a regression is printed with as many decimals as one step of the int8 output has.
It is computed as an integer in units of the last digit, (offset + step q) / 2^24 rounded half up,
from what model.regression.Units says of the outputs; firmware/stream/app_live.c does the same. The
link's lines are ASCII, so names and units lose their accents, and some signs become words.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model import __version__
from model.decide import Rule
from model.multilabel import LabelsJudge
from model.regression import RegressionJudge, Units
from model.tasks import ClassJudge, Judge
from quantize.emit_c import render, safe_name
from quantize.errors import ModelError

FILE = "model_answers.h"
FRACTION = 24  # bits
MAX_DECIMALS = 6
LARGEST = 2**31 - 1  # that the firmware prints
KINDS = {ClassJudge: "MODEL_ANSWERS_ONE", LabelsJudge: "MODEL_ANSWERS_SEVERAL",
         RegressionJudge: "MODEL_ANSWERS_NUMBERS"}  # fmt: skip


SIGNS = str.maketrans({"°": "deg", "µ": "u", "Ω": "Ohm", "ß": "ss"})


def board_text(text: str) -> str:
    """The text in printable ASCII; what has no likeness there becomes '?'."""
    parts = unicodedata.normalize("NFKD", unicodedata.normalize("NFC", text).translate(SIGNS))
    plain = (c for c in parts.replace("\u03bc", "u") if not unicodedata.combining(c))
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in plain)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One output: a class, a label above a threshold, or a number."""

    name: str
    unit: str = ""
    decimals: int = 0
    threshold: int = 0
    offset: int = 0
    step: int = 0

    def shown(self, output: int) -> str:
        """A number as the board prints it."""
        whole = (self.offset + self.step * output + (1 << (FRACTION - 1))) >> FRACTION
        digits = str(abs(whole)).rjust(self.decimals + 1, "0")
        point = len(digits) - self.decimals
        value = digits[:point] + ("." + digits[point:] if self.decimals else "")
        return f"{self.name} {'-' if whole < 0 else ''}{value} {self.unit}"


def number_answers(units: Units) -> tuple[Answer, ...]:
    """How each target is printed; ModelError for one that does not fit 31 bits."""
    targets = len(units.targets)
    at_zero = units.values(np.zeros((1, targets), np.int8))[0].tolist()
    ends = np.abs(units.values(np.array([[-128] * targets, [127] * targets], np.int8)))
    found = []
    for i, target in enumerate(units.targets):
        decimals = max(0, min(MAX_DECIMALS, math.ceil(-math.log10(units.steps[i]))))
        largest = float(ends[:, i].max())
        while decimals and largest * 10**decimals > LARGEST:
            decimals -= 1
        if largest > LARGEST:
            raise ModelError(
                f"target {target!r} reaches {largest:.3g} {units.units[i]}, a board prints at most "
                f"{LARGEST:,}; state it in a larger unit"
            )
        scale = 10**decimals * 2.0**FRACTION
        found.append(
            Answer(
                name=board_text(target),
                unit=board_text(units.units[i]),
                decimals=decimals,
                offset=round(at_zero[i] * scale),
                step=round(units.steps[i] * scale),
            )
        )
    return tuple(found)


def answers_of(judge: Judge, labels: Sequence[str]) -> tuple[Answer, ...]:
    """What each output stands for; none of a detector of anomalies."""
    if isinstance(judge, RegressionJudge):
        return number_answers(judge.units)
    if isinstance(judge, LabelsJudge):
        pairs = zip(judge.labels, judge.thresholds, strict=True)
        return tuple(Answer(name=board_text(k), threshold=int(limit)) for k, limit in pairs)
    if isinstance(judge, ClassJudge):
        return tuple(Answer(name=board_text(label)) for label in labels)
    return ()


def emit_answers(
    judge: Judge, labels: Sequence[str], name: str, rule: Rule | None = None
) -> dict[str, str]:
    """File name -> text of the header that `live` prints and, with a rule, decides by.

    None for a detector of anomalies.
    """
    answers = answers_of(judge, labels)
    if not answers:
        return {}
    values = {"name": safe_name(name), "version": __version__, "kind": KINDS[type(judge)]}
    return {FILE: render(FILE, **values, answers=answers, rule=rule)}
