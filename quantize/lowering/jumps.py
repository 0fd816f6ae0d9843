"""One more requantisation that is proven equal to the reference (`quantize.proofs`), for outputs of
both signs: the double rounding moves by 2**-right codes at zero, and here so does a constant.

    jump:  ssat8(((C & ~(v >>> 24)) + floor(v * M / 2**32)) >> 14)       v = (acc << 8) + F

`v >>> 24` takes v as unsigned. Of the lower 8 bits of C only one is set, J = 2**(14 - right), so
that J is added where that bit of v >>> 24 is 0: for every v from 0 on and for none below it, as
long as |v| < J * 2**24. F moves all changes by 1/256 of an accumulator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from quantize.known import once_for_content
from quantize.lowering.products import slopes_of
from quantize.lowering.split import Piece
from quantize.proofs import CODES, BoolArray, first_accumulators
from quantize.scheme import INT32_MAX, INT32_MIN, IntArray, Requant

PRE_SHIFT, SHIFT, MASK_SHIFT = 8, 14, 24
LEAST_JUMP = 8  # J
MOST_RIGHT = SHIFT - LEAST_JUMP.bit_length() + 1
LEVEL = 1 << (32 - MASK_SHIFT)  # C without J is a multiple of it
OFFSET_LIMIT = 1 << 20  # of F
PARTS = tuple((2 * k + 1) / 2**n for n in range(1, 7) for k in range(2 ** (n - 1)))
LEVELS: IntArray = np.array([0, *(side * by for by in range(1, 16) for side in (1, -1)), -16])


@dataclass(frozen=True, slots=True, kw_only=True)
class JumpRequant:
    """One channel's numbers; all fit int32, and so does every value on the way."""

    offset: int  # F
    multiplier: int  # M, 0 .. 2**31 - 1
    constant: int  # C, a multiple of LEAST_JUMP
    form: Literal["jump"] = "jump"


@dataclass(frozen=True, slots=True)
class _Channels:
    """Of some channels: arrays [channels, 1], `starts` [channels, codes] as first_accumulators."""

    starts: IntArray
    low: IntArray
    high: IntArray
    jump: IntArray  # J

    def part(self, kept: IntArray) -> _Channels:
        """Those at the places `kept`."""
        return _Channels(self.starts[kept], self.low[kept], self.high[kept], self.jump[kept])


@once_for_content
def prove_jump(
    requants: Sequence[Requant],
    *,
    output_offset: int,
    act_min: int,
    act_max: int,
    low: IntArray,
    high: IntArray,
) -> tuple[JumpRequant, ...] | None:
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
    steady = ((starts == low) | (starts > high)).all(axis=1)  # one output for all
    right = np.array([-r.shift for r in requants], np.int64)
    moving = (right > SHIFT - PRE_SHIFT) & (right <= MOST_RIGHT)
    if not (steady | moving).all():
        return None
    right = np.clip(right, SHIFT - PRE_SHIFT + 1, MOST_RIGHT)
    multiplier = np.array([r.multiplier for r in requants], np.int64)
    less = right - (SHIFT - PRE_SHIFT + 1)
    nearest = np.clip((multiplier + ((np.int64(1) << less) >> 1)) >> less, 1, INT32_MAX)
    channels = _Channels(starts, low, high, np.int64(1) << (SHIFT - right)[:, None])
    one = (-128 + (starts == low).sum(axis=1)) << SHIFT
    rows = np.stack([np.zeros_like(one), np.zeros_like(one), one], axis=1)
    places = np.flatnonzero(moving)
    found, numbers = _numbers(channels.part(places), output_offset, nearest[places, None])
    rows[places[found]] = numbers[found]
    for place in places[~found & ~steady[places]].tolist():
        factors = _factors(channels, place, output_offset)
        tried = channels.part(np.full(len(factors), place))
        found, numbers = _numbers(tried, output_offset, factors)
        if not found.any():
            return None
        rows[place] = numbers[np.argmax(found)]
    return tuple(JumpRequant(offset=f, multiplier=m, constant=c) for f, m, c in rows.tolist())


def _factors(channels: _Channels, place: int, output_offset: int) -> IntArray:
    """M [some, 1] from between the slopes of all lines through the changes of one channel.

    Where the reference's own, rounded, misses a change, another often does not.
    """
    jump, starts = int(channels.jump[place, 0]), channels.starts[place]
    values = (CODES[0] << SHIFT) - np.where(CODES[0] > output_offset, jump, 0)
    low, high = int(channels.low[place, 0]), int(channels.high[place, 0])
    changes = starts[(starts > low) & (starts <= high)]
    whole = Piece(codes=values, starts=starts, low=low, high=high)
    (slopes,) = slopes_of([whole.part(int(changes.min()) - 1, int(changes.max()))])
    if slopes is None or np.isinf(slopes[1]):
        return np.zeros((0, 1), np.int64)
    first, last = (slope * 2.0 ** (32 - PRE_SHIFT) for slope in slopes)
    factors = np.array([round(first + part * (last - first)) for part in PARTS], np.int64)
    clipped: IntArray = np.clip(factors, 1, INT32_MAX)[:, None]
    return clipped


def _numbers(
    channels: _Channels, output_offset: int, factor: IntArray
) -> tuple[BoolArray, IntArray]:
    """Whether a channel with M = factor has an F and a C [channels]; F, M and C.

    Every code bounds F from below by its first accumulator and from above by the one before. Where
    no integer lies between, one may with C a few LEVELs away: F makes up for them.
    """
    base = (2 * output_offset + 1) << SHIFT >> 1
    one = 2.0**32 / factor  # v that add 1 to the product
    wanted = (CODES << SHIFT) - np.where(output_offset < CODES, base + channels.jump, base)
    starts = channels.starts
    from_v = wanted * one - (starts << PRE_SHIFT)
    least = np.where(starts <= channels.high, from_v, -OFFSET_LIMIT).max(axis=1, keepdims=True)
    below = np.where(starts > channels.low, from_v + (1 << PRE_SHIFT), OFFSET_LIMIT)
    most = below.min(axis=1, keepdims=True)
    moved = LEVELS * LEVEL * one
    offsets = np.ceil(least - moved)
    level = np.argmax(offsets < most - moved, axis=1)[:, None]
    offset = np.take_along_axis(offsets, level, axis=1).astype(np.int64)
    constant = base + LEVELS[level] * LEVEL + channels.jump
    numbers = np.concatenate([offset, factor, constant], axis=1)
    return _is_equal(channels, offset, factor, constant), numbers


def _is_equal(
    channels: _Channels, offset: IntArray, factor: IntArray, constant: IntArray
) -> BoolArray:
    """Whether the form reaches every code where the reference does, [channels].

    It does not decrease while |v| < turn. From there on J comes and goes, which must be at an
    output of -128 or 127 only.
    """
    starts, low, high, jump = channels.starts, channels.low, channels.high, channels.jump

    def scaled(acc: IntArray) -> IntArray:
        return (acc << PRE_SHIFT) + offset

    def reaches(acc: IntArray) -> BoolArray:
        v = scaled(acc)
        masked = constant & ~((v & 0xFFFFFFFF) >> MASK_SHIFT)
        reached: BoolArray = (masked + (v * factor >> 32)) >> SHIFT >= CODES
        return reached

    first, last = scaled(low), scaled(high)
    late = (starts > high) | reaches(np.minimum(starts, high))
    early = (starts <= low) | ~reaches(np.maximum(starts - 1, low))
    turn = jump << MASK_SHIFT
    top = constant - jump + (turn * factor >> 32) >= CODES[0, -1] << SHIFT
    bottom = constant + ((-turn - 1) * factor >> 32) < CODES[0, 0] << SHIFT
    over = (last < turn) | (top & (starts[:, -1:] <= high))
    under = (first >= -turn) | (bottom & (starts[:, :1] > low))
    fits = (first >= INT32_MIN) & (last <= INT32_MAX)
    equal: BoolArray = (late & early).all(axis=1) & (over & under & fits)[:, 0]
    return equal
