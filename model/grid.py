"""The int8 grid of a network's two ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy.typing as npt


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Scale and zero point of an int8 model's input and output."""

    scale_in: float
    zero_in: int
    scale_out: float
    zero_out: int


def flat(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """[windows, ...] -> [windows, elements]."""
    return values.reshape(len(values), -1)
