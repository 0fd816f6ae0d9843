"""Requantisation with 32-bit products only, proven equal to double rounding.

A product of 64 bits costs a core without its high half a dozen instructions. Here the sum is first
kept between the accumulators where the output changes, so that it is small, and the factor is
split into parts whose products fit 32 bits. Three parts are all of the factor (nn_exact_t). Two are
near enough where the proof says so, and then the sum is often small enough as it is (nn_short_t);
nn_trio.h states the formulas.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quantize.known import once_for_content
from quantize.ops.window import OutputStage
from quantize.proofs import CODES, acc_bounds, first_accumulators
from quantize.scheme import INT32_MAX, INT32_MIN, IntArray, Requant

MID_BITS = 12  # of the factor, behind its high part
LOW_BITS = 11  # behind those
SHORT_LIMIT = (1 << 20) - 1  # of a sum: its product with the middle part fits 32 bits
EXACT_LIMIT = (1 << 20) - (1 << 10)  # with a carry from the low part
LARGEST_SHIFT = 23  # 8-bit codes above it leave no room in 32 bits
TRIES = 3  # shifts: each one less has one bit less of the factor
ASIDE = (0, 1, -1, 2, -2, 3, -3)  # from the nearest factor in two parts
_CODES: IntArray = np.concatenate([[-128], CODES[0], [128]])  # the first is always reached


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitRequant:
    """One channel's numbers; all fit int32, and so does every value on the way."""

    minimum: int
    maximum: int
    high: int
    mid: int
    low: int  # 0 in a short form
    shift: int
    constant: int
    signs: tuple[int, int] | None  # what is added to a value of 0 or more, and to one below

    def short(self) -> list[int]:
        """As an nn_short_t."""
        return [self.high, self.mid, *(self.signs or (0, 0))]

    def exact(self) -> list[int]:
        """As an nn_exact_t."""
        factor = [self.minimum, self.maximum, self.high, self.mid, self.low]
        return [*factor, self.shift, self.constant, *(self.signs or (0, 0))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Where the outputs of a step's channels change, as accumulators."""

    starts: IntArray  # [channels, codes]: the first that reaches a code
    minimum: IntArray  # [channels]: the outputs below are the one here
    maximum: IntArray  # [channels]: the outputs above are the one here
    low: IntArray  # [channels]: the smallest accumulator
    high: IntArray  # [channels]: the largest

    @property
    def middle(self) -> IntArray:
        """[channels]: halfway between the outermost changes."""
        return (self.minimum + self.maximum) >> 1

    def less(self, origin: IntArray) -> Changes:
        """The same of the accumulators less `origin`, a number for each channel."""
        return Changes(
            starts=self.starts - origin[:, None],
            minimum=self.minimum - origin,
            maximum=self.maximum - origin,
            low=self.low - origin,
            high=self.high - origin,
        )

    def pieces(self, *, clamped: bool) -> list[Piece]:
        """What matters of each channel: all its accumulators, with an output that is clamped, or
        those from minimum to maximum.
        """
        codes = slice(1, -1) if clamped else slice(None)
        low, high = (self.low, self.high) if clamped else (self.minimum, self.maximum)
        within = np.clip(self.starts[:, codes], low[:, None], high[:, None] + 1)
        return [
            Piece(codes=_CODES[codes], starts=starts, low=first, high=last)
            for starts, first, last in zip(within, low.tolist(), high.tolist(), strict=True)
        ]


def find_changes(p: OutputStage, weights: IntArray, *, shared: bool = False) -> Changes | None:
    """Of all sums of weights [channels, taps] with int8 inputs, of which any may be padding.

    `shared`: of one channel that stands for all, which have the same factor. None when the
    reference may leave 32 bits.
    """
    low, high = acc_bounds(weights, p.bias, p.input_offset, -128, 127, padded=True)
    if shared:
        low, high = low.min(keepdims=True), high.max(keepdims=True)
    starts = first_accumulators(
        p.requants[:1] if shared else p.requants,
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
    minimum = np.where(changes, starts - 1, high[:, None]).min(axis=1)
    maximum = np.where(changes, starts, low[:, None]).max(axis=1)
    return Changes(
        starts=starts,
        minimum=np.where(steady, low, minimum),
        maximum=np.where(steady, low, maximum),
        low=low,
        high=high,
    )


Rows = tuple[SplitRequant, ...]


@once_for_content
def short_requants(requants: Sequence[Requant], changes: Changes, group: int) -> Rows | None:
    """Numbers in two parts of every channel, with one shift for each `group` of channels.

    None when a channel's are not proven equal.
    """
    pieces = changes.pieces(clamped=True)
    if max(piece.largest for piece in pieces) > SHORT_LIMIT:
        return None
    rows: Rows = ()
    for k in range(0, len(pieces), group):
        found = _short_group(pieces[k : k + group], requants[k : k + group])
        if found is None:
            return None
        rows += found
    return rows


@once_for_content
def exact_requants(
    requants: Sequence[Requant], changes: Changes, *, by_sign: bool | npt.NDArray[np.bool_]
) -> Rows | None:
    """Numbers in three parts of every channel; `by_sign` is for all or [channels].

    By sign, None means that the output changes at too large accumulators, or by more than one code
    from one accumulator to the next.
    """
    signs = np.broadcast_to(by_sign, len(requants)).tolist()
    rows = []
    for piece, requant, sign in zip(changes.pieces(clamped=False), requants, signs, strict=True):
        fits = piece.largest <= EXACT_LIMIT
        found = _exact(piece, requant, by_sign=sign) if fits else None
        if found is None:
            return None
        rows.append(found)
    return tuple(rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A channel's sums from `low` to `high`, and the first sum that reaches each of `codes`."""

    codes: IntArray
    starts: IntArray  # low where all sums reach it, high + 1 where none does
    low: int
    high: int

    @property
    def largest(self) -> int:
        return max(abs(self.low), abs(self.high), 1)

    def part(self, low: int, high: int) -> Piece:
        """The sums of this piece from `low` to `high`."""
        low, high = max(low, self.low), min(high, self.high)
        starts = np.clip(self.starts, low, high + 1)
        return Piece(codes=self.codes, starts=starts, low=low, high=high)


def _short_group(pieces: Sequence[Piece], requants: Sequence[Requant]) -> Rows | None:
    """With the largest shift that works for all."""
    tries = 0
    for shift in range(LARGEST_SHIFT, -1, -1):
        factors = [factor_of(r, shift) for r in requants]
        if tries < TRIES and all(map(is_small, pieces, factors)):
            tries += 1
            rows = [_short(*one, shift) for one in zip(pieces, factors, strict=True)]
            found = tuple(row for row in rows if row is not None)
            if len(found) == len(rows):
                return found
    return None


def factor_of(r: Requant, shift: int) -> int:
    """The nearest to what a sum is multiplied with, MID_BITS of it behind those of the value."""
    places = shift + MID_BITS - 31 + r.shift
    return r.multiplier << places if places >= 0 else _rounded(r.multiplier, -places)


def is_small(piece: Piece, factor: int) -> bool:
    """Whether all products fit 32 bits."""
    return factor + max(ASIDE) < (INT32_MAX // piece.largest - 3) << MID_BITS


def _short(piece: Piece, nearest: int, shift: int) -> SplitRequant | None:
    """With the factor or one near it."""
    for factor in (nearest + aside for aside in ASIDE if nearest + aside >= 0):
        signs = constants_by_sign(piece, factor, MID_BITS, shift)
        if signs is not None:
            return split_factor(piece, factor << LOW_BITS, shift, (0, signs))
    return None


def _exact(piece: Piece, r: Requant, *, by_sign: bool) -> SplitRequant | None:
    """A channel with one output for all needs no factor."""
    steady = piece.low == piece.high
    factor, shift = (0, 0) if steady else (r.multiplier, 31 - MID_BITS - LOW_BITS - r.shift)
    if not 0 <= shift <= LARGEST_SHIFT:
        return None
    bits = MID_BITS + LOW_BITS
    found = _constants(piece, factor, bits, shift, by_sign=by_sign and not steady)
    return None if found is None else split_factor(piece, factor, shift, found)


def _rounded(value: int, bits: int) -> int:
    """value / 2**bits to the nearest integer."""
    return (value + (1 << bits >> 1)) >> bits


def split_factor(
    piece: Piece, factor: int, shift: int, constants: tuple[int, tuple[int, int] | None]
) -> SplitRequant:
    front, low = factor >> LOW_BITS, factor & ((1 << LOW_BITS) - 1)
    high = (front + (1 << (MID_BITS - 1)) - 1) >> MID_BITS
    return SplitRequant(
        minimum=piece.low,
        maximum=piece.high,
        high=high,
        mid=front - (high << MID_BITS),
        low=low,
        shift=shift,
        constant=constants[0],
        signs=constants[1],
    )


def _constants(
    piece: Piece, factor: int, bits: int, shift: int, *, by_sign: bool
) -> tuple[int, tuple[int, int] | None] | None:
    """The constant, and by sign what is added to a value of 0 or more, and to one below."""
    if not by_sign:
        constant = constant_of(piece, factor, bits, shift)
        return None if constant is None else (constant, None)
    zero = min(max(0, piece.low), piece.high + 1)
    base = -(zero * factor >> bits)
    parts = constants_by_sign(piece, factor, bits, shift)
    if parts is None:
        return None
    signs = (parts[0] - base, parts[1] - base)
    apart = ((zero - 1) * factor >> bits) + base < 0
    ends = [(end * factor >> bits) + base for end in (piece.low, piece.high)]
    fits = min(*ends, *signs) >= INT32_MIN and max(*ends, *signs) <= INT32_MAX
    return (base, signs) if apart and fits else None


def constants_by_sign(piece: Piece, factor: int, bits: int, shift: int) -> tuple[int, int] | None:
    """The constants for sums of 0 or more, and for those below."""
    both = []
    for part in (piece.part(0, piece.high), piece.part(piece.low, -1)):
        constant = constant_of(part, factor, bits, shift) if part.low <= part.high else 0
        if constant is None:
            return None
        both.append(constant)
    return both[0], both[1]


def constant_of(piece: Piece, factor: int, bits: int, shift: int) -> int | None:
    """What must be added to sum * factor >> bits to reach each code at its first sum."""
    wanted = piece.codes << shift
    minimum = wanted - (piece.starts * factor >> bits)
    maximum = wanted - ((piece.starts - 1) * factor >> bits) - 1
    low = int(minimum[piece.starts <= piece.high].max(initial=INT32_MIN))
    high = int(maximum[piece.starts > piece.low].min(initial=INT32_MAX))
    low = max(low, INT32_MIN - (piece.low * factor >> bits), INT32_MIN)
    high = min(high, INT32_MAX - (piece.high * factor >> bits), INT32_MAX)
    return (low + high) >> 1 if low <= high else None
