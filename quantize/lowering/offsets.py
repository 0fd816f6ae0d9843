"""One more requantisation that is proven equal to the reference (`quantize.proofs`): channels have
a multiplier M only, and what their sums begin with makes it exact.

    offset: ssat8(((Z << 12) + floor(v * M / 2**32)) >> 12)       v = (acc << 11) + F

Z is the output's zero point. F moves all changes by 1/2048 of an accumulator, which no constant
beside the product does where an accumulator is less than one of its units, 1/4096 of a code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from quantize.known import once_for_content
from quantize.proofs import CODES, FACTORS, first_accumulators
from quantize.scheme import INT32_MAX, INT32_MIN, IntArray, Requant

PRE_SHIFT, SHIFT = 11, 12
STEADY_FACTOR = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetRequant:
    """One channel's numbers; all fit int32, and so does every value on the way."""

    offset: int  # F
    multiplier: int  # M, 1 .. 2**31 - 1
    steady: bool  # one output for all accumulators: v = F, whatever acc is


@once_for_content
def prove_offset(
    requants: Sequence[Requant],
    *,
    output_offset: int,
    act_min: int,
    act_max: int,
    low: IntArray,
    high: IntArray,
) -> tuple[OffsetRequant, ...] | None:
    """The numbers of each channel, as `prove_short`; None when a channel has none."""
    starts = first_accumulators(
        requants,
        output_offset=output_offset,
        act_min=act_min,
        act_max=act_max,
        low=low,
        high=high,
    )
    if starts is None:
        return None
    low, high = low[:, None], high[:, None]
    steady = ((starts == low) | (starts > high)).all(axis=1, keepdims=True)
    less = PRE_SHIFT - 1 - SHIFT - np.array([r.shift for r in requants], np.int64)[:, None]
    if (~steady & (less < 0)).any():
        return None
    less = np.maximum(less, 0)
    nearest = np.array([r.multiplier for r in requants], np.int64)[:, None]
    nearest = (nearest + ((np.int64(1) << less) >> 1)) >> less
    wanted = (CODES - output_offset) << SHIFT  # of the product
    code = -128 + (starts == low).sum(axis=1, keepdims=True) - output_offset
    factors = np.full_like(nearest, STEADY_FACTOR)
    offsets = ((2 * code + 1) << SHIFT >> 1) * (2**32 // STEADY_FACTOR)
    missing = ~steady
    for more in FACTORS:
        tried = np.clip(nearest + more, 1, INT32_MAX)
        least_v = -((-wanted << 32) // tried)
        least = np.where(starts <= high, least_v - (starts << PRE_SHIFT), INT32_MIN)
        before = np.where(starts > low, least_v - 1 - ((starts - 1) << PRE_SHIFT), INT32_MAX)
        least = np.maximum(least.max(axis=1, keepdims=True), INT32_MIN - (low << PRE_SHIFT))
        most = np.minimum(before.min(axis=1, keepdims=True), INT32_MAX - (high << PRE_SHIFT))
        taken = missing & (least <= most)
        factors = np.where(taken, tried, factors)
        offsets = np.where(taken, (least + most) >> 1, offsets)
        missing &= ~taken
    if missing.any():
        return None
    return tuple(
        OffsetRequant(offset=f, multiplier=m, steady=s)
        for f, m, s in zip(
            offsets[:, 0].tolist(), factors[:, 0].tolist(), steady[:, 0].tolist(), strict=True
        )
    )
