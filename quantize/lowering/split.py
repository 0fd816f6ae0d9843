"""A short requantisation with 32-bit products only, proven equal to double rounding.

A product of 64 bits costs a core without its high half a dozen instructions. Here the sum is first
kept between the accumulators where the output changes, so that it is small, and the factor is
split: both partial products fit 32 bits. nn_trio.h states the formula.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quantize.ops.window import OutputStage
from quantize.proofs import CODES, acc_bounds, first_accumulators
from quantize.scheme import INT32_MAX, INT32_MIN, IntArray

LOW_BITS = 12  # of the factor
LIMIT = 1 << (32 - LOW_BITS)  # of the sum: its product with the low part fits 32 bits
LARGEST_SHIFT = 23  # 8-bit codes above it leave no room in 32 bits
_CODES: IntArray = np.concatenate([[-128], CODES[0], [128]])  # the first is always reached


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitRequant:
    """One channel's numbers; all fit int32, and so does every value on the way."""

    least: int
    most: int
    high: int
    low: int
    shift: int
    constant: int
    signs: tuple[int, int] | None  # what is added to a value of 0 or more, and to one below

    def words(self) -> list[int]:
        """As in the stream: 6, or 8 by sign."""
        numbers = [self.least, self.most, self.high, self.low, self.shift, self.constant]
        return numbers + list(self.signs or ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Where the outputs of a step's channels change, as accumulators."""

    starts: IntArray  # [channels, codes]: the first that reaches a code
    least: IntArray  # [channels]: the outputs below are the one here
    most: IntArray  # [channels]: the outputs above are the one here

    @property
    def middle(self) -> IntArray:
        """[channels]: between least and most."""
        middle: IntArray = (self.least + self.most) >> 1
        return middle


def find_changes(p: OutputStage, low: IntArray, high: IntArray) -> Changes | None:
    """Of accumulators from low to high [channels]; None when the reference may leave 32 bits."""
    starts = first_accumulators(
        p.requants,
        output_offset=p.output_offset,
        act_min=p.act_min,
        act_max=p.act_max,
        low=low,
        high=high,
    )
    if starts is None:
        return None
    starts = np.concatenate([low[:, None], starts, high[:, None] + 1], axis=1)
    changes = (starts > low[:, None]) & (starts <= high[:, None])
    steady = ~changes.any(axis=1)
    least = np.where(changes, starts - 1, high[:, None]).min(axis=1)
    most = np.where(changes, starts, low[:, None]).max(axis=1)
    return Changes(
        starts=starts, least=np.where(steady, low, least), most=np.where(steady, low, most)
    )


def prove_split(
    p: OutputStage, changes: Changes, centre: IntArray
) -> tuple[SplitRequant, ...] | None:
    """The numbers with which every channel equals the reference.

    The kernel's sum is the accumulator less `centre` [channels]. Plain numbers when those of all
    channels are proven, numbers by sign otherwise; None when a channel has neither.
    """
    pieces = [
        _Piece(starts=starts - c, low=int(least - c), high=int(most - c)).part(
            int(least - c), int(most - c)
        )
        for starts, least, most, c in zip(
            changes.starts, changes.least, changes.most, centre, strict=True
        )
    ]
    if any(piece.largest > LIMIT for piece in pieces):
        return None
    for by_sign in (False, True):
        rows = []
        for piece, requant, zero in zip(pieces, p.requants, -centre, strict=True):
            sign = int(zero) if by_sign else None
            row = _channel(piece, requant.multiplier, requant.shift, sign)
            if row is None:
                break
            rows.append(row)
        else:
            return tuple(rows)
    return None


def centred_requants(
    p: OutputStage, weights: IntArray
) -> tuple[IntArray, tuple[SplitRequant, ...]] | None:
    """What a sum of weights [channels, inputs] times inputs plus 128 starts from, and its numbers.

    With these first values [channels] a sum of 0 is in the middle of where the output changes. None
    without a proof.
    """
    low, high = acc_bounds(weights, p.bias, p.input_offset, -128, 127, padded=True)
    changes = find_changes(p, low, high)
    if changes is None:
        return None
    unmoved = p.bias + (p.input_offset - 128) * weights.sum(axis=1)
    rows = prove_split(p, changes, changes.middle)
    return None if rows is None else (unmoved - changes.middle, rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Piece:
    """A channel's sums from `low` to `high`, and the first sum that reaches each code."""

    starts: IntArray  # low where all sums reach it, high + 1 where none does
    low: int
    high: int

    @property
    def largest(self) -> int:
        return max(abs(self.low), abs(self.high), 1)

    def part(self, low: int, high: int) -> _Piece:
        """The sums of this piece from `low` to `high`."""
        low, high = max(low, self.low), min(high, self.high)
        return _Piece(starts=np.clip(self.starts, low, high + 1), low=low, high=high)


def _channel(piece: _Piece, multiplier: int, shift: int, zero: int | None) -> SplitRequant | None:
    """The numbers of one channel, with the largest shift that works; `zero` is where signs meet."""
    for after in range(LARGEST_SHIFT, -1, -1):
        places = after + LOW_BITS - 31 + shift
        factor = multiplier << places if places >= 0 else _rounded(multiplier, -places)
        high = (factor + (1 << (LOW_BITS - 1)) - 1) >> LOW_BITS
        if piece.largest * (high + 1) > INT32_MAX:
            continue
        found = _plain(piece, factor, after) if zero is None else _signs(piece, factor, after, zero)
        if found is not None:
            return SplitRequant(
                least=piece.low,
                most=piece.high,
                high=high,
                low=factor - (high << LOW_BITS),
                shift=after,
                constant=found[0],
                signs=found[1],
            )
    return None


def _rounded(value: int, bits: int) -> int:
    """value / 2**bits to the nearest integer."""
    return (value + (1 << bits >> 1)) >> bits


def _plain(piece: _Piece, factor: int, shift: int) -> tuple[int, None] | None:
    constant = _constant(piece, factor, shift)
    return None if constant is None else (constant, None)


def _signs(piece: _Piece, factor: int, shift: int, zero: int) -> tuple[int, tuple[int, int]] | None:
    """The constant that makes a value negative just below `zero`, and what is added then."""
    zero = min(max(zero, piece.low), piece.high + 1)
    base = -(zero * factor >> LOW_BITS)
    signs = []
    for part in (piece.part(zero, piece.high), piece.part(piece.low, zero - 1)):
        constant = _constant(part, factor, shift) if part.low <= part.high else base
        if constant is None or not INT32_MIN <= constant - base <= INT32_MAX:
            return None
        signs.append(constant - base)
    apart = ((zero - 1) * factor >> LOW_BITS) + base < 0
    ends = [(end * factor >> LOW_BITS) + base for end in (piece.low, piece.high)]
    fits = min(ends) >= INT32_MIN and max(ends) <= INT32_MAX
    return (base, (signs[0], signs[1])) if apart and fits else None


def _constant(piece: _Piece, factor: int, shift: int) -> int | None:
    """What must be added to sum * factor >> LOW_BITS to reach each code at its first sum."""
    wanted = _CODES << shift
    least = wanted - (piece.starts * factor >> LOW_BITS)
    most = wanted - ((piece.starts - 1) * factor >> LOW_BITS) - 1
    low = int(least[piece.starts <= piece.high].max())
    high = int(most[piece.starts > piece.low].min())
    low = max(low, INT32_MIN - (piece.low * factor >> LOW_BITS), INT32_MIN)
    high = min(high, INT32_MAX - (piece.high * factor >> LOW_BITS), INT32_MAX)
    return (low + high) >> 1 if low <= high else None
