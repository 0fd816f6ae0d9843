"""Requantisation in two products and one constant, proven equal to double rounding (nn_mac16.h).

An output changes at some accumulators: before each of them the value must lie below a step, from
it on at or above. Each pair of changes bounds the slope of a line that does both; a factor is taken
from between these bounds, so that one constant serves sums of either sign.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from quantize.lowering.split import (
    LARGEST_SHIFT,
    LOW_BITS,
    MID_BITS,
    SHORT_LIMIT,
    TRIES,
    Changes,
    Piece,
    SplitRequant,
    constant_of,
    constants_by_sign,
    factor_of,
    is_small,
    split_factor,
)
from quantize.scheme import INT32_MAX, Requant

KEPT = 32  # beside the shift: the sum is kept between least and most


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductRequant:
    """One channel's numbers; `origin` is taken off a sum before all else."""

    split: SplitRequant
    origin: int
    kept: bool

    def words(self) -> list[int]:
        """What stands before the channel's weights, behind the first value of its sums."""
        s = self.split
        or_more, below = s.signs or (s.constant, s.constant)
        head = [s.high, s.mid, or_more, s.shift | (KEPT if self.kept else 0)]
        return [*head, below, s.minimum, s.maximum] if self.kept else head


def product_requants(
    requants: Sequence[Requant], changes: Changes
) -> tuple[ProductRequant, ...] | None:
    """Those of every channel, with sums kept where needed; None when a channel has none."""
    rows = []
    large = np.maximum(-changes.minimum, changes.maximum) > SHORT_LIMIT
    origins = np.where(large, changes.middle, 0)
    for clamped, kept, at_zero, requant, origin in zip(
        changes.pieces(clamped=True),
        changes.less(origins).pieces(clamped=False),
        changes.pieces(clamped=False),
        requants,
        origins.tolist(),
        strict=True,
    ):
        row = _plain(clamped) or _kept(kept, origin) or _by_sign(at_zero, requant)
        if row is None:
            return None
        rows.append(row)
    return tuple(rows)


def _plain(piece: Piece) -> ProductRequant | None:
    split = _line(piece)
    return split and ProductRequant(split=split, origin=0, kept=False)


def _kept(piece: Piece, origin: int) -> ProductRequant | None:
    split = _line(piece)
    return split and ProductRequant(split=split, origin=origin, kept=True)


def _by_sign(piece: Piece, requant: Requant) -> ProductRequant | None:
    """With a constant for sums of 0 or more, and one for those below."""
    if piece.largest > SHORT_LIMIT:
        return None
    tries = 0
    for shift in range(LARGEST_SHIFT, -1, -1):
        factor = factor_of(requant, shift)
        if tries < TRIES and is_small(piece, factor):
            tries += 1
            signs = constants_by_sign(piece, factor, MID_BITS, shift)
            if signs is not None:
                split = split_factor(piece, factor << LOW_BITS, shift, (0, signs))
                return ProductRequant(split=split, origin=0, kept=True)
    return None


def _line(piece: Piece) -> SplitRequant | None:
    """One constant for all sums of a piece, with the largest shift that works."""
    slopes = _slopes(piece) if piece.largest <= SHORT_LIMIT else None
    if slopes is None:
        return None
    tries = 0
    for shift in range(LARGEST_SHIFT, -1, -1):
        for factor in _factors(slopes, shift):
            if is_small(piece, factor):
                tries += 1
                constant = constant_of(piece, factor, MID_BITS, shift)
                if constant is not None:
                    return split_factor(piece, factor << LOW_BITS, shift, (constant, None))
        if tries > 3 * TRIES:
            return None
    return None


def _slopes(piece: Piece) -> tuple[float, float] | None:
    """Codes a sum, from .. to: outside of that no line goes through all changes of the output."""
    after = piece.starts <= piece.high
    before = piece.starts > piece.low
    runs = (piece.starts[before] - 1)[:, None] - piece.starts[after][None, :]
    rises = piece.codes[before][:, None] - piece.codes[after][None, :]
    if (rises[runs == 0] <= 0).any():
        return None
    slopes = rises / np.where(runs == 0, 1, runs)
    low = float(slopes[runs < 0].max(initial=0.0))
    high = float(slopes[runs > 0].min(initial=float(INT32_MAX)))
    return (low, high) if low <= high else None


def _factors(slopes: tuple[float, float], shift: int) -> Iterator[int]:
    """Some between the slopes, from the middle on; the smallest where nothing bounds them."""
    low, high = (slope * 2.0 ** (shift + MID_BITS) for slope in slopes)
    if slopes[1] == INT32_MAX:
        yield int(low) + 1 if low else 0
        return
    for part in (0.5, 0.25, 0.75):
        yield round(low + part * (high - low))
