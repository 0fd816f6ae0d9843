"""Requantisation in two products and one constant, proven equal to double rounding (nn_mac16.h).

An output changes at some accumulators: before each of them the value must lie below a step, from
it on at or above. Each pair of changes bounds the slope of a line that does both; a factor is taken
from between these bounds, so that one constant serves sums of either sign.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from quantize.lowering.split import (
    LARGEST_SHIFT,
    MID_BITS,
    Changes,
    Piece,
    constant_of,
    constants_by_sign,
)
from quantize.scheme import INT32_MAX, IntArray

BITS = MID_BITS  # of the factor, behind its high part
LIMIT = (1 << (32 - BITS)) - 1  # of a sum: its product with the lower part fits 32 bits
KEPT = 32  # beside the shift: the sum is kept between least and most
BY_SIGN = 64  # and what is added depends on its sign
TRIES = 9  # factors


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
    rows = []
    for clamped, kept, origin in zip(
        moved.pieces(clamped=True), moved.pieces(clamped=False), origins.tolist(), strict=True
    ):
        row = None if always_kept else _line(clamped, origin)
        row = row or _line(kept, origin, (kept.low, kept.high)) or _by_sign(kept, origin)
        if row is None:
            return None
        rows.append(row)
    return tuple(rows)


def _line(piece: Piece, origin: int, kept: tuple[int, int] | None = None) -> ProductRequant | None:
    """One constant for all sums of a piece, with the largest shift that works."""
    slopes = slopes_of(piece)
    if slopes is None:
        return None
    for shift, factor in _small_factors(piece, slopes):
        constant = constant_of(piece, factor, BITS, shift)
        if constant is not None:
            return _requant(factor, shift, origin, (constant, constant), kept)
    return None


def _by_sign(piece: Piece, origin: int) -> ProductRequant | None:
    """Kept, with a constant for sums of 0 or more, and one for those below."""
    parts = [piece.part(0, piece.high), piece.part(piece.low, -1)]
    slopes = [slopes_of(part) for part in parts if part.low <= part.high]
    if None in slopes or not slopes:
        return None
    low, high = zip(*(s for s in slopes if s is not None), strict=True)
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


def slopes_of(piece: Piece) -> tuple[float, float] | None:
    """Codes a sum, from .. to: outside of that no line goes through all changes of the output."""
    after, before = piece.starts <= piece.high, piece.starts > piece.low
    low_x, low_y = _corners(piece.starts[after], piece.codes[after], 1)
    high_x, high_y = _corners(piece.starts[before] - 1, piece.codes[before], -1)
    runs = high_x[:, None] - low_x[None, :]
    rises = high_y[:, None] - low_y[None, :]
    if piece.largest > LIMIT or (rises[runs == 0] <= 0).any():
        return None
    slopes = rises / np.where(runs == 0, 1, runs)
    low = float(slopes[runs < 0].max(initial=0.0))
    high = float(slopes[runs > 0].min(initial=np.inf))
    return (low, high) if low <= high else None


def _corners(x: IntArray, y: IntArray, side: int) -> tuple[IntArray, IntArray]:
    """The points that a line above (`side` 1) or below (-1) all of them can touch; x ascends."""
    while len(x) > 2:
        run, rise = np.diff(x), side * np.diff(y)
        kept = np.concatenate(([True], rise[:-1] * run[1:] > rise[1:] * run[:-1], [True]))
        if kept.all():
            break
        x, y = x[kept], y[kept]
    return x, y


def _small_factors(piece: Piece, slopes: tuple[float, float]) -> Iterator[tuple[int, int]]:
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
