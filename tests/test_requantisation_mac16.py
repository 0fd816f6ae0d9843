"""The requantisation of the xtensa_mac16 kernels is proven, or not used."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantize.lowering.products import (
    BITS,
    BY_SIGN,
    KEPT,
    ProductRequant,
    product_requants,
    slopes_of,
)
from quantize.lowering.split import Piece
from quantize.scheme import INT32_MAX, INT32_MIN, IntArray, quantize_multiplier
from tests.test_proofs import reference, telling
from tests.test_requantisation_xtensa import ACTS, _changes


def _kernel(r: ProductRequant, values: IntArray) -> IntArray:
    """What the kernels compute, with a check that nothing leaves 32 bits."""
    x = values - r.origin
    if r.kept is not None:
        x = np.clip(x, *r.kept)
    high, mid = x * r.high, x * r.mid
    value = high + (mid >> BITS)
    added = value + np.where(x < 0, r.below, r.or_more)
    for step in (x, high, mid, value, added):
        assert step.min() >= INT32_MIN and step.max() <= INT32_MAX, r
    result: IntArray = added >> r.shift
    return np.clip(result, -128, 127) if r.kept is None else result


@settings(max_examples=200, deadline=None)
@given(
    st.floats(-16, 3),
    st.integers(-128, 127),
    st.sampled_from(ACTS),
    st.integers(-(2**21), 2**21),
    st.integers(1, 2**14),
    st.one_of(st.none(), st.integers(-(2**19), 2**19)),
    st.booleans(),
)
def test_what_is_proven_is_equal(
    log: float,
    zero: int,
    act: tuple[int, int],
    low: int,
    width: int,
    origin: int | None,
    always_kept: bool,
) -> None:
    requant, high = quantize_multiplier(2.0**log), low + 255 * width
    changes = _changes(requant, zero, act, low, high)
    origins = None if origin is None else np.array([origin], np.int64)
    rows = product_requants(changes, origins, always_kept=always_kept) if changes else None
    if rows is not None:
        some = low + np.arange(min(255 * width, 9999))
        acc = np.concatenate([telling(requant, zero, low, high, 500), some])
        assert np.array_equal(_kernel(rows[0], acc), reference(requant, acc, zero, act))
        assert not always_kept or rows[0].kept is not None


def _slopes(piece: Piece) -> tuple[float, float] | None:
    """From all pairs of a sum that reaches a code and one before another code."""
    after, before = piece.starts <= piece.high, piece.starts > piece.low
    runs = (piece.starts[before] - 1)[:, None] - piece.starts[after]
    rises = piece.codes[before][:, None] - piece.codes[after]
    slopes = rises / np.where(runs == 0, 1, runs)
    low = float(slopes[runs < 0].max(initial=0.0))
    high = float(slopes[runs > 0].min(initial=np.inf))
    return (low, high) if low <= high else None


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.4, 1.0, 3.0])
def test_slopes_are_those_of_all_pairs(noise: float) -> None:
    rng, pieces = np.random.default_rng(5), []
    for _ in range(60):
        low = -int(10 ** rng.uniform(0, 5.9))
        high = low + int(10 ** rng.uniform(0, 5.9))
        codes = np.arange(-127, 128)
        exact = (codes - rng.uniform(-200, 200)) / 10 ** rng.uniform(-4, 1.5)
        starts = np.ceil(exact + rng.normal(0, noise, len(codes))).astype(np.int64)
        starts = np.clip(np.maximum.accumulate(starts), low, high + 1)
        pieces.append(Piece(codes=codes, starts=starts, low=low, high=high))
    found = slopes_of(pieces)
    assert found == [_slopes(piece) for piece in pieces]
    assert any(found) and (noise < 1 or not all(found))
    assert slopes_of([]) == []


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("zero", [-128, -90, 0, 77])
def test_there_is_one_for_nearly_every_channel(zero: int, act: tuple[int, int]) -> None:
    rng, found = np.random.default_rng(zero + 128), 0
    for _ in range(40):
        requant = quantize_multiplier(2.0 ** rng.uniform(-11.9, -4))
        maximum = 255 * int(rng.integers(100, 1 << 12))
        changes = _changes(requant, zero, act, -maximum, maximum)
        assert changes is not None
        found += product_requants(changes) is not None
    assert found >= 36


def test_a_relu_s_zero_point_needs_no_bounds_and_no_sign() -> None:
    rng = np.random.default_rng(7)
    for _ in range(40):
        requant = quantize_multiplier(2.0 ** rng.uniform(-11, -7))
        maximum = 255 * int(rng.integers(100, 1000))
        changes = _changes(requant, -128, (-128, 127), -maximum, maximum)
        rows = product_requants(changes) if changes else None
        assert rows is not None and rows[0].kept is None and rows[0].below == rows[0].or_more
        assert len(rows[0].words()) == 4 and rows[0].words()[-1] < KEPT < BY_SIGN


def test_large_sums_are_taken_from_their_middle() -> None:
    requant = quantize_multiplier(2.0**-13)
    changes = _changes(requant, -128, (-128, 127), -(2**21), 2**21 + 2**20)
    rows = product_requants(changes) if changes else None
    assert rows is not None and rows[0].origin > 0 and rows[0].kept is not None
