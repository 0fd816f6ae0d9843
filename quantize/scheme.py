"""The int8 quantisation scheme and its fixed-point arithmetic, exactly as TFLite Micro computes it.

Sources: Jacob et al. 2018 (arXiv 1712.05877) for the scheme, gemmlowp's documentation of
fixed-point multiplication for the rounding.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from quantize.errors import ModelError

IntArray = npt.NDArray[np.int64]
INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1
TITLES = {"ptq": "int8 PTQ", "qat": "int8 QAT", "int16": "int16 activations"}


class Rounding(enum.Enum):
    """How an operator rounds when it rescales an accumulator."""

    DOUBLE = "double"  # high half of the doubled product rounded, then the right shift rounded
    WIDE = "wide"  # sums of 64 bits times a multiplier of 15 bits, halves rounded up
    NONE = "none"  # the operator does not rescale
    DIVIDE = "divide"  # integer division, half away from zero
    FIXED_POINT = "fixed_point"  # gemmlowp fixed-point functions (softmax)
    TABLE = "table"  # a line between two entries of a table, half up (int16 functions)
    FLOAT = "float"  # single precision, at the ends of a model or in a table made beforehand


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantParams:
    """real = scale * (q - zero_point); one scale per tensor, or one per index along `axis`."""

    scale: tuple[float, ...]  # values of float32, exact
    zero_point: tuple[int, ...]
    axis: int = 0

    @property
    def per_channel(self) -> bool:
        """Whether each index along `axis` has a scale of its own."""
        return len(self.scale) > 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Requant:
    """A positive real factor as multiplier * 2**(shift - 31); shift > 0 shifts left."""

    multiplier: int  # 0, or 2**30 .. 2**31 - 1; see narrow_multiplier for sums of 64 bits
    shift: int  # -31 .. 31


def quantise(values: npt.NDArray[np.floating], params: QuantParams) -> npt.NDArray[np.int8]:
    """Round half away from zero to int8, saturating; same shape as `values`."""
    scaled = np.asarray(values, np.float32) / np.float32(params.scale[0])
    rounded = np.trunc(scaled + np.copysign(np.float32(0.5), scaled)) + params.zero_point[0]
    result: npt.NDArray[np.int8] = np.clip(rounded, -128, 127).astype(np.int8)
    return result


def quantize_multiplier(real: float) -> Requant:
    """The nearest 31-bit fixed-point form of a non-negative `real` factor.

    Factors below 2**-32 become zero, as in TFLite Micro.
    Raises ModelError for a factor that is negative, not finite or 2**31 and above.
    """
    if not math.isfinite(real) or real < 0:
        raise ModelError(f"requantisation factor {real!r}: expected a finite number of at least 0")
    if real == 0.0:
        return Requant(multiplier=0, shift=0)
    mantissa, shift = math.frexp(real)
    multiplier = math.floor(mantissa * 2**31 + 0.5)
    if multiplier == 2**31:
        multiplier, shift = 2**30, shift + 1
    if shift < -31:
        return Requant(multiplier=0, shift=0)
    if shift > 30:
        raise ModelError(
            f"requantisation factor {real!r}: expected below 2**30; "
            "the scales of this operator's tensors do not fit together"
        )
    return Requant(multiplier=multiplier, shift=shift)


def narrow_multiplier(requant: Requant) -> Requant:
    """The form for sums of 64 bits: a factor multiplier * 2**(shift - 15), multiplier of 15 bits.

    Raises ModelError for a factor of 2**7 and above, for which TFLite Micro defines no result.
    """
    if requant.shift > 7:
        factor = math.ldexp(requant.multiplier, requant.shift - 31)
        raise ModelError(
            f"requantisation factor {factor!r}: expected below 128 where sums have 64 bits; "
            "the scales of this operator's tensors do not fit together"
        )
    narrow = min((requant.multiplier + (1 << 15)) >> 16, 2**15 - 1)
    return Requant(multiplier=narrow, shift=requant.shift)


def wrap32(x: IntArray) -> IntArray:
    """The value of an int32 that has overflowed to `x`, as two's complement keeps it."""
    return np.asarray(x, np.int64).astype(np.int32).astype(np.int64)


def rounding_doubling_high_mul(a: IntArray, b: IntArray | int) -> IntArray:
    """(2 * a * b) >> 32 rounded half up, saturated: one int32 times another."""
    product = a * np.int64(b) if isinstance(b, int) else a * b
    high: IntArray = np.minimum((product + (1 << 30)) >> 31, INT32_MAX)  # of INT32_MIN squared
    return high


def rounding_divide_by_pot(x: IntArray, exponent: IntArray | int) -> IntArray:
    """x / 2**exponent rounded half away from zero."""
    power = np.asarray(exponent, np.int64)
    mask = (np.int64(1) << power) - 1
    threshold = (mask >> 1) + (x < 0)
    return (x >> power) + ((x & mask) > threshold)


def multiply_wide(x: IntArray, multiplier: IntArray | int, shift: IntArray | int) -> IntArray:
    """x * multiplier * 2**(shift - 15) with halves rounded up, as an int32 that wraps; |x| < 2**47.

    Factors are those of narrow_multiplier; all broadcast together.
    """
    right = 15 - np.asarray(shift, np.int64)
    return wrap32((x * multiplier + (np.int64(1) << (right - 1))) >> right)


def multiply_by_quantized_multiplier(
    x: IntArray, multiplier: IntArray | int, shift: IntArray | int
) -> IntArray:
    """x * multiplier * 2**(shift - 31) with gemmlowp's double rounding; all broadcast together."""
    left = np.maximum(np.asarray(shift, np.int64), 0)
    right = np.maximum(-np.asarray(shift, np.int64), 0)
    high = rounding_doubling_high_mul(wrap32(x << left), np.asarray(multiplier, np.int64))
    return rounding_divide_by_pot(high, right)


def activation_range(activation: int, params: QuantParams, dtype: str = "int8") -> tuple[int, int]:
    """(smallest, largest) output of type `dtype`, int8 or int16.

    Activation 0 is none, 1 ReLU, 2 ReLU_N1_TO_1, 3 ReLU6.
    """
    limits = np.iinfo(dtype)
    lowest, highest = int(limits.min), int(limits.max)
    bounds = {0: (None, None), 1: (0.0, None), 2: (-1.0, 1.0), 3: (0.0, 6.0)}
    if activation not in bounds:
        raise ModelError(f"fused activation {activation}: expected one of {sorted(bounds)}")
    low, high = bounds[activation]

    def to_int(real: float) -> int:
        with np.errstate(over="ignore"):
            ratio = np.float32(real) / np.float32(params.scale[0])
        if not abs(float(ratio)) < 2**31:
            raise ModelError(f"scale {params.scale[0]!r}: too small for its fused activation")
        return params.zero_point[0] + math.floor(abs(float(ratio)) + 0.5) * (-1 if real < 0 else 1)

    minimum = lowest if low is None else max(lowest, to_int(low))
    maximum = highest if high is None else min(highest, to_int(high))
    return minimum, maximum


def nearest_codes(values: npt.NDArray[Any], quant: QuantParams, dtype: str) -> npt.NDArray[Any]:
    """round(value / scale) + zero point, halves to even, clipped to the type; of one scale."""
    limits = np.iinfo(dtype)
    codes = np.round(values / quant.scale[0]) + quant.zero_point[0]
    return np.clip(codes, limits.min, limits.max).astype(dtype)


def real_values(values: npt.NDArray[Any], scale: float, zero_point: int) -> npt.NDArray[np.float64]:
    """scale (q - zero point)."""
    return np.asarray(scale * (values.astype(np.float64) - zero_point))
