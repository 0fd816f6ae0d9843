"""Requantisation in two products and one constant, proven equal to double rounding (nn_mac16.h).

An output changes at some accumulators: before each of them the value must lie below a step, from
it on at or above. Each pair of changes bounds the slope of a line that does both; a factor is taken
from between these bounds, so that one constant serves sums of either sign.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from quantize.known import once_for_content
from quantize.lowering.split import (
    LARGEST_SHIFT,
    MID_BITS,
    Changes,
    Piece,
    constant_of,
    constants_by_sign,
)
from quantize.proofs import BoolArray
from quantize.scheme import INT32_MAX, IntArray

BITS = MID_BITS  # of the factor, behind its high part
LIMIT = (1 << (32 - BITS)) - 1  # of a sum: its product with the lower part fits 32 bits
KEPT = 32  # beside the shift: the sum is kept between least and most
BY_SIGN = 64  # and what is added depends on its sign
TRIES = 9  # factors
FAR = 1 << 60  # beyond all points
Slopes = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductRequant:
    """One channel's numbers; all fit int32, and so does every value on the way."""

    origin: int  # taken off an accumulator before all else
    high: int
    mid: int
    or_more: int  # added where what is left is 0 or more, and what is added below
    below: int
    shift: int
    kept: tuple[int, int] | None  # from .. to, before it is multiplied

    def words(self) -> list[int]:
        """What stands before the channel's weights, behind the first value of its sums."""
        if self.kept is None:
            return [self.high, self.mid, self.or_more, self.shift]
        shift = self.shift | KEPT | (BY_SIGN if self.below != self.or_more else 0)
        return [self.high, self.mid, self.or_more, shift, self.below, *self.kept]


@once_for_content
def product_requants(
    changes: Changes, origins: IntArray | None = None, *, always_kept: bool = False
) -> tuple[ProductRequant, ...] | None:
    """Those of every channel, with sums kept where needed; None when a channel has none.

    `origins` [channels] are given where sums have to begin at 0.
    """
    large = np.maximum(-changes.minimum, changes.maximum) > LIMIT
    if origins is None:
        origins = np.where(large, changes.middle, 0)
    moved = changes.less(origins)
    kept = moved.pieces(clamped=False)
    rows: list[ProductRequant | None] = [None] * len(kept)
    ways = [(_kept_lines, kept), (_by_sign, kept)]
    if not always_kept:
        ways.insert(0, (_lines, moved.pieces(clamped=True)))
    for way, pieces in ways:
        left = [place for place, row in enumerate(rows) if row is None]
        found = way([pieces[place] for place in left], origins[left].tolist())
        for place, row in zip(left, found, strict=True):
            rows[place] = row
    made = tuple(row for row in rows if row is not None)
    return made if len(made) == len(rows) else None


def _lines(pieces: Sequence[Piece], origins: Sequence[int]) -> Iterator[ProductRequant | None]:
    """One constant for all sums of a piece, with the largest shift that works."""
    for piece, slopes, origin in zip(pieces, slopes_of(pieces), origins, strict=True):
        row = None
        for shift, factor in _small_factors(piece, slopes) if slopes else ():
            constant = constant_of(piece, factor, BITS, shift)
            if constant is not None:
                row = _requant(factor, shift, origin, (constant, constant), None)
                break
        yield row


def _kept_lines(pieces: Sequence[Piece], origins: Sequence[int]) -> Iterator[ProductRequant | None]:
    """The same, of sums that are kept between the ends of a piece."""
    for piece, row in zip(pieces, _lines(pieces, origins), strict=True):
        yield replace(row, kept=(piece.low, piece.high)) if row else None


def _by_sign(pieces: Sequence[Piece], origins: Sequence[int]) -> Iterator[ProductRequant | None]:
    """Kept, with a constant for sums of 0 or more, and one for those below."""
    sides = [[p.part(0, p.high), p.part(p.low, -1)] for p in pieces]
    parts = [[part for part in both if part.low <= part.high] for both in sides]
    slopes = iter(slopes_of([part for both in parts for part in both]))
    for piece, both, origin in zip(pieces, parts, origins, strict=True):
        own = [next(slopes) for _ in both]
        yield _of_signs(piece, [one for one in own if one] if all(own) else [], origin)


def _of_signs(piece: Piece, slopes: Sequence[Slopes], origin: int) -> ProductRequant | None:
    """With a factor between the slopes of both signs."""
    if not slopes:
        return None
    low, high = zip(*slopes, strict=True)
    for shift, factor in _small_factors(piece, (max(low), min(high))):
        constants = constants_by_sign(piece, factor, BITS, shift)
        if constants is not None:
            return _requant(factor, shift, origin, constants, (piece.low, piece.high))
    return None


def _requant(
    factor: int, shift: int, origin: int, constants: tuple[int, int], kept: tuple[int, int] | None
) -> ProductRequant:
    high = (factor + (1 << (BITS - 1)) - 1) >> BITS
    return ProductRequant(
        origin=origin,
        high=high,
        mid=factor - (high << BITS),
        or_more=constants[0],
        below=constants[1],
        shift=shift,
        kept=kept,
    )


def slopes_of(pieces: Sequence[Piece]) -> list[Slopes | None]:
    """Of each piece the codes a sum, from .. to, of all lines that go through every change of the
    output; None without one. Pieces have the same number of codes.

    A line lies above the changes' first sums and below the sums before these: at a slope it does
    where the lowest of the latter is not below the highest of the former.
    """
    if not pieces:
        return []
    starts, codes = np.stack([p.starts for p in pieces]), np.stack([p.codes for p in pieces])
    ends = np.array([(p.low, p.high, p.largest <= LIMIT) for p in pieces], np.int64)
    reached, before = starts <= ends[:, 1:2], starts > ends[:, :1]
    steepest = codes.max(axis=1, keepdims=True) - codes.min(axis=1, keepdims=True)
    low, fits = _bound(-starts, 1 - starts, codes, (reached, before), np.zeros_like(steepest))
    high, also = _bound(starts, starts - 1, codes, (reached, before), steepest)
    first = np.where(reached, starts, INT32_MAX).min(axis=1)
    high[np.where(before, starts - 1, -INT32_MAX).max(axis=1) <= first] = np.inf
    found = zip((-low).tolist(), high.tolist(), strict=True)
    fits &= also & (ends[:, 2] > 0)
    return [pair if fit else None for pair, fit in zip(found, fits.tolist(), strict=True)]


def _bound(
    lower: IntArray,
    upper: IntArray,
    codes: IntArray,
    counted: tuple[BoolArray, BoolArray],
    slope: IntArray,
) -> tuple[npt.NDArray[np.float64], BoolArray]:
    """Of each row the first slope, from `slope` down, of a line above its lower points and below
    its upper ones, and whether there is one.

    Newton's steps, exact in integers: where the points leave no room, the next slope is that of the
    two that are in the way; lower slopes are no way out if the lower one does not come first.
    """
    rise, run = slope, np.ones_like(slope)
    fits, left = np.ones(len(slope), np.bool_), np.arange(len(slope))
    while len(left):
        y, by, per = codes[left], rise[left], run[left]
        over = np.where(counted[1][left], y * per - by * upper[left], FAR)
        under = np.where(counted[0][left], y * per - by * lower[left], -FAR)
        i, j = over.argmin(axis=1)[:, None], under.argmax(axis=1)[:, None]
        room = np.take_along_axis(over, i, 1) - np.take_along_axis(under, j, 1)
        more = (room < 0)[:, 0]
        left, i, j = left[more], i[more], j[more]
        y = codes[left]
        rise[left] = np.take_along_axis(y, i, 1) - np.take_along_axis(y, j, 1)
        run[left] = np.take_along_axis(upper[left], i, 1) - np.take_along_axis(lower[left], j, 1)
        ahead = run[left, 0] > 0
        fits[left[~ahead]] = False
        left = left[ahead]
    return (rise / np.where(fits[:, None], run, 1))[:, 0], fits


def _small_factors(piece: Piece, slopes: Slopes) -> Iterator[tuple[int, int]]:
    """Shifts, and factors between the slopes whose products fit 32 bits."""
    largest, tries = (INT32_MAX // piece.largest - 3) << BITS, 0
    for shift in range(LARGEST_SHIFT, -1, -1):
        low, high = (slope * 2.0 ** (shift + BITS) for slope in slopes)
        for factor in _between(low, high):
            if factor < largest and tries < TRIES:
                tries += 1
                yield shift, factor


def _between(low: float, high: float) -> list[int]:
    """From the middle on; the smallest where nothing bounds them."""
    if np.isinf(high):
        return [int(low) + 1 if low else 0]
    return [round(low + part * (high - low)) for part in (0.5, 0.25, 0.75)]
