"""Proofs that a short requantisation equals the reference for every reachable accumulator.

The reference is gemmlowp's double rounding (`quantize.scheme`). Shorter forms work on a 32-bit
v = acc << p; all are non-decreasing in acc, as the reference is, so a form equals it on an
interval iff both reach every output code at the same accumulator:

    floor: ssat8((C + floor(v * M / 2**32)) >> s)                        p = 8
    fixed: ssat8((C + floor(v * M / 2**32)) >> s)                        p = 2 .. 8, s = 12
    fixed_8: the same                                                    p = 8, s = 12
    sign:  ssat8((C + floor(v * M / 2**32 + 1/2) + (acc >> 31)) >> s)    p = 1

int16 activations with sums of 64 bits round once, in 15-bit factors: (acc * m + 2**(r-1)) >> r. For
r >= 17 the lower 16 bits of the product meet only zeros of the constant, so that this is

    wide:  (C + floor(acc * m / 2**16)) >> s                             s = r - 16, C = 2**(s-1)

and |acc| < 2**31 and m < 2**15 keep it below 2**30 + 2**29, as r <= 46. For larger sums likewise

    long:  (C + floor(acc * M / 2**32)) >> s                             s >= 1, C = 2**(s-1)

with M = m << k and s = r + k - 32, if acc * M and the half that C stands for fit 64 bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from quantize.known import once_for_content
from quantize.scheme import (
    INT32_MAX,
    INT32_MIN,
    IntArray,
    Requant,
    multiply_by_quantized_multiplier,
)

Form = Literal["floor", "fixed", "fixed_8", "sign"]
BoolArray = npt.NDArray[np.bool_]
PRE_SHIFTS: dict[Form, tuple[int, int]] = {
    "floor": (8, 8),
    "fixed": (2, 8),
    "fixed_8": (8, 8),
    "sign": (1, 1),
}
MAX_SHIFT = 23  # 8-bit codes above it leave no room in 32 bits
FIXED_SHIFT = 12
FACTORS = (0, 1, -1)  # M beside the rounded one: others reach some codes where that misses them
CODES: IntArray = np.arange(-127, 128, dtype=np.int64)[None, :]  # every output has reached -128


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortRequant:
    """One channel's numbers of a short form; all fit int32, and so does every value on the way."""

    form: Form
    pre_shift: int  # p, in PRE_SHIFTS[form]
    multiplier: int  # M, 0 .. 2**31 - 1
    constant: int  # C, with the rounding and the output's zero point in it
    shift: int  # s, 0 .. MAX_SHIFT; FIXED_SHIFT in a fixed form


@dataclass(frozen=True, slots=True, kw_only=True)
class WideRequant:
    """One channel's numbers of the wide form; every value on the way fits int32."""

    multiplier: int  # m, 0 .. 2**15 - 1; of the long form M, 0 .. 2**32 - 1
    shift: int  # s, 1 .. 30

    @property
    def constant(self) -> int:
        """C."""
        return 1 << (self.shift - 1)


def prove_wide(
    requants: Sequence[Requant], low: IntArray, high: IntArray
) -> tuple[WideRequant, ...] | None:
    """The wide form of each channel, from the factors of `scheme.narrow_multiplier`.

    low and high [channels] are the smallest and largest accumulators, bias included; None when one
    needs more than 32 bits or a factor is 1/4 and more.
    """
    shifts = [-r.shift - 1 if r.multiplier else 1 for r in requants]
    if not _fits(low, high) or min(shifts) < 1:
        return None
    return tuple(
        WideRequant(multiplier=r.multiplier, shift=s) for r, s in zip(requants, shifts, strict=True)
    )


def prove_long(
    requants: Sequence[Requant], low: IntArray, high: IntArray
) -> tuple[WideRequant, ...] | None:
    """The long form of each channel, as prove_wide.

    None when a factor is 1/2 and more, or a product or an output needs more bits.
    """
    found = []
    for r, ends in zip(requants, zip(low.tolist(), high.tolist(), strict=True), strict=True):
        right = 15 - r.shift
        left = max(0, 33 - right)
        multiplier, shift = r.multiplier << left, right + left - 32
        half = 1 << (shift + 31)
        products = [end * multiplier + half for end in ends]
        fits = multiplier < 1 << 32 and max(abs(end) for end in ends) < 1 << 47
        fits &= all(-(1 << 63) <= product < 1 << 63 for product in products)
        if not fits or not all(INT32_MIN <= p >> (shift + 32) <= INT32_MAX for p in products):
            return None
        found.append(WideRequant(multiplier=multiplier, shift=shift))
    return tuple(found)


def acc_bounds(
    weights: npt.NDArray[np.integer],
    bias: npt.NDArray[np.integer],
    input_offset: int,
    low: npt.ArrayLike,
    high: npt.ArrayLike,
    *,
    padded: bool = False,
) -> tuple[IntArray, IntArray]:
    """Smallest and largest bias + sum(weight * (input + input_offset)), int64 [out] each.

    weights [out, taps], bias [out]; the inputs' bounds `low` and `high` broadcast to the weights.
    With `padded` any tap may lie outside the input, where it adds 0. Without it the bounds are
    reached when the taps' inputs are independent.
    """
    wide = weights.astype(np.int64)
    minimum = np.asarray(low, np.int64) + input_offset
    maximum = np.asarray(high, np.int64) + input_offset
    if padded:
        minimum, maximum = np.minimum(minimum, 0), np.maximum(maximum, 0)
    ends = wide * minimum, wide * maximum
    start = bias.astype(np.int64)
    return start + np.minimum(*ends).sum(axis=1), start + np.maximum(*ends).sum(axis=1)


@once_for_content
def prove_short(
    requants: Sequence[Requant],
    *,
    output_offset: int,
    act_min: int,
    act_max: int,
    low: IntArray,
    high: IntArray,
    form: Form,
) -> tuple[ShortRequant, ...] | None:
    """The short form of each channel that equals the reference, clamp included, on [low, high].

    low and high [channels] are the smallest and largest accumulators, bias included; None when a
    channel has no such form or an intermediate value could leave 32 bits.
    """
    starts = first_accumulators(
        requants,
        output_offset=output_offset,
        act_min=act_min,
        act_max=act_max,
        low=low,
        high=high,
    )
    multiplier, right = _factors(requants)
    low, high = low[:, None], high[:, None]
    fixed = form in ("fixed", "fixed_8")
    limit = FIXED_SHIFT if fixed else MAX_SHIFT
    pre_shift = np.clip(limit + 1 - right, *PRE_SHIFTS[form])
    if starts is None or not _fits(low << pre_shift, high << pre_shift):
        return None
    shift = right + pre_shift - 1
    factor = _shifted_down(multiplier, np.maximum(shift - limit, 0))
    steady = ((starts == low) | (starts > high)).all(axis=1, keepdims=True)  # one output for all
    minimum = FIXED_SHIFT if fixed else 0
    keeps_factor = ~steady | (fixed & (shift >= minimum))
    shift = np.where(steady, max(minimum, 1), np.minimum(shift, limit))
    if int(shift.min()) < minimum:
        return None
    exact = ((1 << pre_shift) >> 2) + (((2 * output_offset + 1) << shift) >> 1)
    multipliers, constants = np.zeros_like(factor), np.zeros_like(factor)
    missing = np.ones_like(steady)
    tries = [(np.clip(factor + more, 0, INT32_MAX), keeps_factor) for more in FACTORS]
    tries.append((np.zeros_like(factor), steady))  # the constant alone is that output
    for tried, allowed in tries:
        constant, found = _constants(starts, low, high, pre_shift, tried, shift, form, exact)
        found &= allowed
        taken = missing & found
        multipliers, constants = (
            np.where(taken, new, old) for new, old in ((tried, multipliers), (constant, constants))
        )
        missing &= ~found
        if not missing.any():
            break
    else:
        return None
    columns = (pre_shift[:, 0], multipliers[:, 0], constants[:, 0], shift[:, 0])
    return tuple(
        ShortRequant(form=form, pre_shift=p, multiplier=m, constant=c, shift=s)
        for p, m, c, s in zip(*(column.tolist() for column in columns), strict=True)
    )


@once_for_content
def first_accumulators(
    requants: Sequence[Requant],
    *,
    output_offset: int,
    act_min: int,
    act_max: int,
    low: IntArray,
    high: IntArray,
) -> IntArray | None:
    """The smallest accumulator for which the reference reaches each of CODES, [channels, codes].

    It is `low` where all do and `high` + 1 where none does; low and high [channels] are the
    smallest and largest accumulators, bias included. None when the reference itself may leave 32
    bits on the way.
    """
    multiplier, right = _factors(requants)
    low, high = low[:, None], high[:, None]
    left = np.maximum(0, -right)
    if not _fits(low, high) or not _fits(low << left, high << left):
        return None

    def raw(acc: IntArray) -> IntArray:
        return multiply_by_quantized_multiplier(acc, multiplier, -right) + output_offset

    if not _fits(raw(low), raw(high)):
        return None
    starts = _first_reaching(CODES - output_offset, multiplier, right)
    below, above = act_min >= CODES, act_max < CODES
    starts = np.clip(np.where(below, low, np.where(above, high + 1, starts)), low, high + 1)
    reached = np.clip(raw(starts), act_min, act_max) >= CODES
    early = np.clip(raw(starts - 1), act_min, act_max) >= CODES
    exact = ((reached | (starts > high)) & (~early | (starts == low))).all()
    return starts if bool(exact) else None


def _factors(requants: Sequence[Requant]) -> tuple[IntArray, IntArray]:
    """Multipliers and right shifts, [channels, 1] each."""
    multiplier = np.array([r.multiplier for r in requants], np.int64)[:, None]
    return multiplier, -np.array([r.shift for r in requants], np.int64)[:, None]


def _fits(low: IntArray, high: IntArray) -> bool:
    """Whether everything from `low` to `high` is an int32."""
    return bool((low >= INT32_MIN).all() and (high <= INT32_MAX).all())


def _shifted_down(values: IntArray, bits: IntArray) -> IntArray:
    """values / 2**bits to the nearest integer."""
    return (values + ((np.int64(1) << bits) >> 1)) >> bits


def _first_reaching(steps: IntArray, multiplier: IntArray, right: IntArray) -> IntArray:
    """The smallest acc that double rounding takes to `steps` or more, beyond int32 when none is.

    round((acc << left) * multiplier / 2**31) must reach `high`, which the right shift takes to
    steps - 1/2 when positive, and to just above it when negative: halves go away from zero.
    """
    shift = np.maximum(right, 0)
    half = (np.int64(1) << shift) >> 1
    high = (steps << shift) - half + ((steps <= 0) & (shift > 0))
    high = np.clip(high, INT32_MIN, INT32_MAX + 1)
    never_or_always = np.where(high > 0, INT32_MAX + 1, INT32_MIN)  # a multiplier of 0
    exact = -(-((2 * high - 1) << 30) // np.maximum(multiplier, 1))
    needed: IntArray = np.where(multiplier == 0, never_or_always, exact)
    return -((-needed) >> np.maximum(-right, 0))


def _constants(
    starts: IntArray,
    low: IntArray,
    high: IntArray,
    pre_shift: IntArray,
    multiplier: IntArray,
    shift: IntArray,
    form: Form,
    preferred: IntArray,
) -> tuple[IntArray, BoolArray]:
    """C with which the form reaches code k first at starts[:, k], and whether there is one, both
    [channels, 1].

    Every code bounds C from below by its first accumulator and from above by the one before, int32
    bounds it too. Of what is left, `preferred` [channels, 1] or what is nearest is taken: channels
    with equal factors then have equal constants.
    """

    def product(acc: IntArray) -> IntArray:
        scaled = (acc << pre_shift) * multiplier
        return (scaled + (1 << 31)) >> 32 if form == "sign" else scaled >> 32

    def term(acc: IntArray) -> IntArray:
        return product(acc) + (acc >> 31) if form == "sign" else product(acc)

    wanted = CODES << shift
    minimum = np.where(starts <= high, wanted - term(starts), INT32_MIN).max(axis=1, keepdims=True)
    maximum = np.where(starts > low, wanted - term(starts - 1) - 1, INT32_MAX)
    maximum = maximum.min(axis=1, keepdims=True)
    minimum = np.maximum(minimum, INT32_MIN - np.minimum(term(low), 0))
    maximum = np.minimum(maximum, INT32_MAX - np.maximum(product(high), 0))
    return np.clip(preferred, minimum, maximum), minimum <= maximum
