"""gemmlowp's fixed-point functions (fixedpoint.h), constant by constant."""

from __future__ import annotations

import numpy as np

from quantize.scheme import (
    INT32_MAX,
    INT32_MIN,
    IntArray,
    rounding_divide_by_pot,
    rounding_doubling_high_mul,
)

SQRT_HALF = 1518500250  # in Q0.31
ROOT = 1805811301  # the fourth root of 1/2
QUARTER = 1 << 23  # 1/4 in Q6.25
# exp(-1/4), exp(-1/2), exp(-1), exp(-2) ... in Q0.31
_EXP_FACTORS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)


def saturating_shift_left(a: IntArray, shift: int) -> IntArray:
    """a * 2**shift, kept within int32."""
    result: IntArray = np.clip(a << shift, INT32_MIN, INT32_MAX)
    return result


def _exp_quarter(a: IntArray) -> IntArray:
    """exp of Q0.31 values in [-1/4, 0)."""
    x = a + (1 << 28)
    x2 = rounding_doubling_high_mul(x, x)
    x3 = rounding_doubling_high_mul(x2, x)
    x4_over_4 = rounding_divide_by_pot(rounding_doubling_high_mul(x2, x2), 2)
    tail = rounding_divide_by_pot(rounding_doubling_high_mul(x4_over_4 + x3, 715827883) + x2, 1)
    return 1895147668 + rounding_doubling_high_mul(x + tail, 1895147668)


def exp_negative(a: IntArray, integer_bits: int) -> IntArray:
    """exp of values of at most 0 with `integer_bits` (4 or 5), in Q0.31."""
    quarter = 1 << (29 - integer_bits)
    remainder = (a & (quarter - 1)) - quarter
    result = _exp_quarter(saturating_shift_left(remainder, integer_bits))
    rest = remainder - a
    for k, factor in enumerate(_EXP_FACTORS[: integer_bits + 2]):
        scaled = rounding_doubling_high_mul(result, factor)
        result = np.where(rest & (quarter << k), scaled, result)
    return np.where(a == 0, INT32_MAX, result)


def _newton_reciprocal(a: IntArray) -> IntArray:
    """2 / (1 + a) in Q2.29 for Q0.31 values in [0, 1]."""
    half = (a + INT32_MAX + 1) >> 1
    x = 1515870810 + rounding_doubling_high_mul(half, -1010580540)
    for _ in range(3):
        error = (1 << 29) - rounding_doubling_high_mul(half, x)
        x = x + saturating_shift_left(rounding_doubling_high_mul(x, error), 2)
    return x


def reciprocal_one_plus(a: IntArray) -> IntArray:
    """1 / (1 + a) in Q0.31 for Q0.31 values in [0, 1]."""
    return saturating_shift_left(_newton_reciprocal(a), 1)


def log_of_sum(z: IntArray) -> IntArray:
    """The natural logarithm in Q5.26 of Q12.19 values of at least 1 (TFLite's common.h).

    z is 2**k times a number near 1; its logarithm is k * log(2) and a rational function of the
    rest. Of the two ways to split it, with the rest below or above 1, the nearer one is taken.
    """
    high = rounding_doubling_high_mul
    headroom = 32 - _bits(z)
    rest_a = saturating_shift_left(high(z << (headroom - 1), SQRT_HALF), 1)
    power_a = ((12 - headroom) << 25) + QUARTER
    headroom_b = 31 - _bits(high(z, SQRT_HALF))
    rest_b = np.minimum(z << headroom_b, INT32_MAX)
    power_b = ((12 - headroom_b) << 25) - QUARTER
    r, power = np.minimum(rest_a, rest_b), np.maximum(power_a, power_b)
    p = (r + ROOT + 1) >> 1
    q = 2 * (r - ROOT)
    squared = high(q, q)
    numerator = high(q, r) + high(high(q, squared), 117049297)
    inner = 1057819769 + q + high(squared, 127690142)
    denominator = reciprocal_one_plus(high(p, inner) + high(q, 638450708))
    fraction = high(rounding_divide_by_pot(numerator, 6), denominator)
    return saturating_shift_left(high(power, 1488522236) + fraction, 1)


def _bits(values: IntArray) -> IntArray:
    """The number of bits of positive int32 values."""
    return np.frexp(values.astype(np.float64))[1].astype(np.int64)


def logistic(a: IntArray) -> IntArray:
    """1 / (1 + exp(-a)) in Q0.31 for Q4.27 values."""
    positive = reciprocal_one_plus(exp_negative(-np.abs(a), 4))
    return np.where(a == 0, 1 << 30, np.where(a > 0, positive, INT32_MAX - positive))


def tanh(a: IntArray) -> IntArray:
    """The hyperbolic tangent in Q0.31 of Q4.27 values."""
    exponential = exp_negative(-np.abs(a), 5)  # the same bits as Q5.26 stand for twice the value
    positive = saturating_shift_left(_newton_reciprocal(exponential) - (1 << 29), 2)
    return np.sign(a) * positive


def inverse_root(x: IntArray) -> tuple[IntArray, IntArray]:
    """1 / sqrt(x) as (multiplier, right shift) of a Q0.31 factor; 0 counts as 1 (common.h)."""
    high, one = rounding_doubling_high_mul, 1 << 28
    small, right = x <= 1, np.full(x.shape, 11, np.int64)
    value = np.where(small, 1 << 27, x)
    while (wide := value >= 1 << 29).any():
        value, right = np.where(wide, value // 4, value), right + wide
    while (narrow := value < 1 << 27).any():
        value, right = np.where(narrow, value * 4, value), right - narrow
    half, root = rounding_divide_by_pot(value >> 1, 1), np.full(x.shape, one, np.int64)
    for _ in range(5):
        cubed = saturating_shift_left(high(high(root, root), root), 6)
        root = saturating_shift_left(high(root, one + one // 2) - high(half, cubed), 3)
    root = high(root, SQRT_HALF) << np.maximum(-right, 0)
    right = np.maximum(right, 0)
    return np.where(small, INT32_MAX, root), np.where(small, 0, right)
