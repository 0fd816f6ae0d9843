"""Properties of the fixed-point arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantize.errors import ModelError
from quantize.scheme import (
    QuantParams,
    activation_range,
    multiply_by_quantized_multiplier,
    quantise,
    quantize_multiplier,
    rounding_divide_by_pot,
    rounding_doubling_high_mul,
)

INT32 = st.integers(-(2**31), 2**31 - 1)


def _half_away(value: Fraction) -> int:
    return math.floor(abs(value) + Fraction(1, 2)) * (1 if value >= 0 else -1)


def _array(value: int) -> np.ndarray:
    return np.array([value], np.int64)


@given(INT32, INT32)
def test_high_mul_rounds_half_up_from_below(a: int, b: int) -> None:
    # gemmlowp adds the nudge and truncates: exact halves below zero round towards zero
    exact = Fraction(2 * a * b, 2**32)
    expected = math.floor(exact + Fraction(1, 2))
    got = int(rounding_doubling_high_mul(_array(a), _array(b))[0])
    assert got == min(expected, 2**31 - 1)


@given(INT32, st.integers(0, 31))
def test_rounding_shift_is_half_away_from_zero(x: int, exponent: int) -> None:
    assert int(rounding_divide_by_pot(_array(x), exponent)[0]) == _half_away(
        Fraction(x, 2**exponent)
    )


@given(st.floats(1e-9, 1e6))
def test_multiplier_is_the_nearest_31_bit_number(real: float) -> None:
    requant = quantize_multiplier(real)
    value = math.ldexp(requant.multiplier, requant.shift - 31)
    assert abs(value - real) <= real * 2**-31
    assert 2**30 <= requant.multiplier < 2**31


@pytest.mark.parametrize("real", [-1.0, math.nan, math.inf, 2.0**31])
def test_impossible_factors_are_refused(real: float) -> None:
    with pytest.raises(ModelError, match="requantisation factor"):
        quantize_multiplier(real)


@given(st.integers(-(2**24), 2**24), st.integers(-(2**24), 2**24), st.floats(1e-6, 0.99))
def test_requantise_is_monotonic(a: int, b: int, real: float) -> None:
    requant = quantize_multiplier(real)
    low, high = sorted((a, b))
    first, second = multiply_by_quantized_multiplier(
        np.array([low, high], np.int64), requant.multiplier, requant.shift
    )
    assert first <= second


@given(st.lists(st.floats(-3, 3), min_size=1, max_size=50), st.integers(-20, 20))
def test_quantisation_error_is_at_most_half_a_step(values: list[float], zero: int) -> None:
    params = QuantParams(scale=(0.03,), zero_point=(zero,))
    real = np.clip(np.array(values, np.float32), 0.03 * (-128 - zero), 0.03 * (127 - zero))
    error = np.abs(0.03 * (quantise(real, params).astype(np.float64) - zero) - real)
    assert error.max() <= 0.5 * 0.03 * (1 + 1e-4)


@pytest.mark.parametrize(
    ("activation", "expected"),
    [(0, (-128, 127)), (1, (-10, 127)), (2, (-30, 10)), (3, (-10, 110))],
)
def test_activation_ranges(activation: int, expected: tuple[int, int]) -> None:
    params = QuantParams(scale=(0.05,), zero_point=(-10,))
    assert activation_range(activation, params) == expected
