"""Proof that a weighted sum equals a function of two int8 values for all 65,536 pairs of them.

The sum is what nn_linear_s8 computes:

    ssat8(((a * A >> 8) + (b * B >> 8) + C) >> SHIFT)

For given factors A and B every pair bounds C from below and from above. Where these bounds leave no
C, the two pairs that contradict each other tell how A and B must move: the nearest factors that
satisfy both are taken (the relaxation method of Agmon and Motzkin), which ends after a few moves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quantize.scheme import INT32_MAX, INT32_MIN, IntArray

SHIFT = 20  # NN_LINEAR_SHIFT: sums reach 2048 codes, and tell 2**-20 of a code apart
FRACTION = 8  # bits of a factor below those of the sum
_MOVES = 20
_MARGIN = 16  # how far beyond a contradiction the factors move
_CODES: IntArray = np.arange(-128, 128, dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearForm:
    """The numbers of a weighted sum; all fit int32, and so does every sum."""

    a_factor: int
    b_factor: int
    constant: int


def prove_linear(
    outputs: npt.NDArray[np.int8], a_ratio: float, b_ratio: float
) -> LinearForm | None:
    """The form that equals outputs[a + 128, b + 128] for all a and b, None when none was found.

    The ratios, in output codes per input code, are where the search starts. A clamp above -128 or
    below 127 is one that saturation does not do: no form is found where it is reached.
    """
    codes = outputs.astype(np.int64)
    unit = 1 << (SHIFT + FRACTION)
    a_factor, b_factor = round(a_ratio * unit), round(b_ratio * unit)
    for _ in range(_MOVES):
        if max(abs(a_factor), abs(b_factor)) > INT32_MAX:
            return None
        sums = _sums(a_factor, b_factor)
        minimum = np.where(codes > -128, (codes << SHIFT) - sums, INT32_MIN - int(sums.min()))
        maximum = np.where(
            codes < 127, ((codes + 1) << SHIFT) - 1 - sums, INT32_MAX - int(sums.max())
        )
        low, high = np.argmax(minimum), np.argmin(maximum)
        gap = int(maximum.flat[high]) - int(minimum.flat[low])
        if gap >= 0:
            constant = int(minimum.flat[low]) + gap // 2
            if not INT32_MIN <= constant <= INT32_MAX:
                return None
            return LinearForm(a_factor=a_factor, b_factor=b_factor, constant=constant)
        move_a = int(low) // 256 - int(high) // 256
        move_b = int(low) % 256 - int(high) % 256
        length = move_a**2 + move_b**2
        if length == 0:
            return None
        gain = (_MARGIN - gap) << FRACTION
        a_factor += round(gain * move_a / length)
        b_factor += round(gain * move_b / length)
    return None


def _sums(a_factor: int, b_factor: int) -> IntArray:
    """The sums without their constant, [256, 256]."""
    a, b = (_CODES * a_factor) >> FRACTION, (_CODES * b_factor) >> FRACTION
    return a[:, None] + b[None, :]
