"""One more requantisation that is proven equal to the reference (`quantize.proofs`): channels have
a multiplier M only, and what their sums begin with makes it exact.

    offset: ssat8(((Z << 12) + floor(v * M / 2**32)) >> 12)       v = (acc << p) + F, p = 9 .. 12

Z is the output's zero point, or 0 where a kernel adds nothing. F moves all changes by 2**-p of an
accumulator, which no constant beside the product does where an accumulator is less than one of its
units, 1/4096 of a code. With more bits for F there are fewer for M: what misses a change with one p
often does not with another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from quantize.known import once_for_content
from quantize.lowering.packing import bounds_of, sums_begin
from quantize.ops.window import OutputStage
from quantize.proofs import CODES, FACTORS, BoolArray, first_accumulators
from quantize.scheme import INT32_MAX, INT32_MIN, IntArray, Requant

PRE_SHIFTS = (11, 12, 10, 9)  # the likeliest first
LEAST_BITS = min(PRE_SHIFTS)
SHIFT = 12
FACTOR_LIMIT = 1 << 30
STEADY_FACTOR = 1 << 28


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetRequant:
    """One channel's numbers; all fit int32, and so does every value on the way."""

    pre_shift: int  # p
    offset: int  # F
    multiplier: int  # M, 1 .. FACTOR_LIMIT - 1
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
    added: int,
) -> tuple[OffsetRequant, ...] | None:
    """The numbers of each channel for a Z, `added`, as `prove_short`; None when a channel has
    none."""
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
    code = -128 + (starts == low).sum(axis=1, keepdims=True) - added
    offsets = ((2 * code + 1) << SHIFT >> 1) * (2**32 // STEADY_FACTOR)
    factors = np.full_like(offsets, STEADY_FACTOR)
    shifts = np.full_like(offsets, PRE_SHIFTS[0])
    missing = ~steady
    for pre_shift in PRE_SHIFTS:
        for factor in _factors(requants, pre_shift):
            found, offset = _offsets(starts, low, high, added, pre_shift, factor)
            taken = missing & found
            shifts = np.where(taken, pre_shift, shifts)
            factors, offsets = np.where(taken, factor, factors), np.where(taken, offset, offsets)
            missing &= ~taken
    if missing.any():
        return None
    rows = np.concatenate([shifts, offsets, factors, steady], axis=1).tolist()
    return tuple(
        OffsetRequant(pre_shift=p, offset=f, multiplier=m, steady=bool(s)) for p, f, m, s in rows
    )


def _factors(requants: Sequence[Requant], pre_shift: int) -> list[IntArray]:
    """M [channels, 1] of a p: the rounded one, then those beside it; 0 where it is too large."""
    less = pre_shift - 1 - SHIFT - np.array([r.shift for r in requants], np.int64)[:, None]
    exact = np.array([r.multiplier for r in requants], np.int64)[:, None]
    nearest = (exact + ((np.int64(1) << np.maximum(less, 0)) >> 1)) >> np.maximum(less, 0)
    tried = [nearest + more for more in FACTORS]
    return [np.where((less >= 0) & (m < FACTOR_LIMIT), np.maximum(m, 0), 0) for m in tried]


def _offsets(
    starts: IntArray,
    low: IntArray,
    high: IntArray,
    added: int,
    pre_shift: int,
    factor: IntArray,
) -> tuple[BoolArray, IntArray]:
    """Whether there is an F with which the form reaches code k first at starts[:, k]; F; both
    [channels, 1].

    Every code bounds F from below by its first accumulator and from above by the one before, int32
    bounds it too.
    """
    wanted = (CODES - added) << SHIFT  # of the product
    from_v = -((-wanted << 32) // np.maximum(factor, 1))
    least = np.where(starts <= high, from_v - (starts << pre_shift), INT32_MIN)
    most = np.where(starts > low, from_v - 1 - ((starts - 1) << pre_shift), INT32_MAX)
    least = np.maximum(least.max(axis=1, keepdims=True), INT32_MIN - (low << pre_shift))
    most = np.minimum(most.min(axis=1, keepdims=True), INT32_MAX - (high << pre_shift))
    return (factor > 0) & (least <= most), (least + most) >> 1


def offset_values(p: OutputStage, weights: IntArray) -> tuple[IntArray, IntArray] | None:
    """Two numbers of each channel: what its sum begins with, and M below the two bits of
    p - LEAST_BITS; and its weights, where those of weights [channels, taps] have such a form."""
    found = offset_channels(p, weights, p.output_offset)
    if found is None:
        return None
    first, factor, bits, weights = found
    return np.column_stack([first, factor + (bits - LEAST_BITS) * FACTOR_LIMIT]), weights


def offset_channels(
    p: OutputStage, weights: IntArray, added: int
) -> tuple[IntArray, IntArray, IntArray, IntArray] | None:
    """What sums begin with, M and p [channels], and the weights; None where one channel of weights
    [channels, taps] has no such form."""
    low, high = bounds_of(p, weights)
    requants = prove_offset(
        p.requants,
        output_offset=p.output_offset,
        act_min=p.act_min,
        act_max=p.act_max,
        low=low,
        high=high,
        added=added,
    )
    if requants is None:
        return None
    numbers = ((r.pre_shift, r.offset, r.multiplier, r.steady) for r in requants)
    bits, offset, factor, steady = np.array(list(numbers), np.int64).T
    first = np.where(steady, 0, sums_begin(p, weights) << bits) + offset
    return first, factor, bits, np.where(steady[:, None], 0, weights)
