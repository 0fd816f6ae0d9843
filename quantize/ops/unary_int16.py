"""Functions of one int16 value: a line for each sign, or a table with lines between its entries."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quantize.ops.base import Array, CCall, int_constant_array, malformed, refuse
from quantize.ops.tables import UNIT, logistic_q15, sigmoid_table, tanh_q15
from quantize.scheme import (
    IntArray,
    QuantParams,
    Requant,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
)
from quantize.tflite.graph import Operator

INT16_MIN, INT16_MAX = -(2**15), 2**15 - 1
_ONE = Requant(multiplier=1 << 30, shift=1)
_ZERO = Requant(multiplier=0, shift=0)


def _c_requant(requant: Requant) -> str:
    return f"{{{requant.multiplier}, {requant.shift}}}"


def _scaled(values: IntArray, requant: Requant) -> IntArray:
    return multiply_by_quantized_multiplier(values, requant.multiplier, requant.shift)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlopesParams:
    """ABS, LEAKY_RELU, RELU and RELU6: one factor for inputs of at least 0, one for others."""

    shape: tuple[int, ...]
    requant: Requant
    negative_requant: Requant = _ZERO
    negative_sign: int = 1
    act_min: int = INT16_MIN
    act_max: int = INT16_MAX

    def reference(self, source: Array) -> Array:
        """Any shape -> the same shape."""
        x = source.astype(np.int64)
        negative = _scaled(self.negative_sign * x, self.negative_requant)
        values = np.where(x >= 0, _scaled(x, self.requant), negative)
        return np.clip(values, self.act_min, self.act_max).astype(np.int16)

    def call(self) -> CCall:
        """The kernel call."""
        return CCall(
            function="nn_slopes_s16",
            params_type="nn_slopes_t",
            params={
                "count": str(math.prod(self.shape)),
                "negative_sign": str(self.negative_sign),
                "act_min": str(self.act_min),
                "act_max": str(self.act_max),
                "requant": _c_requant(self.requant),
                "negative_requant": _c_requant(self.negative_requant),
            },
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SigmoidParams:
    """LOGISTIC and TANH: the factor to the unit of the table, and the table in Q0.16."""

    shape: tuple[int, ...]
    tanh: bool
    multiplier: int
    right_shift: int
    table: npt.NDArray[np.uint16]

    def reference(self, source: Array) -> Array:
        """Any shape -> the same shape."""
        half = (1 << self.right_shift) >> 1
        x = (source.astype(np.int64) * self.multiplier + half) >> self.right_shift
        function = tanh_q15 if self.tanh else logistic_q15
        return function(self.table, x).astype(np.int16)

    def call(self) -> CCall:
        """The kernel call."""
        return CCall(
            function="nn_tanh_s16" if self.tanh else "nn_logistic_s16",
            params_type="nn_sigmoid_t",
            params={
                "count": str(math.prod(self.shape)),
                "multiplier": str(self.multiplier),
                "right_shift": str(self.right_shift),
                "table": "@table",
            },
            constants=(int_constant_array("table", "uint16_t", self.table),),
        )


def relu(
    op: Operator, shape: tuple[int, ...], source: QuantParams, target: QuantParams
) -> SlopesParams:
    """max(x, 0), rescaled before it is clamped."""
    requant = quantize_multiplier(source.scale[0] / target.scale[0])
    return SlopesParams(shape=shape, requant=requant, negative_requant=requant, act_min=0)


def relu6(
    op: Operator, shape: tuple[int, ...], source: QuantParams, target: QuantParams
) -> SlopesParams:
    """min(max(x, 0), 6) without rescaling."""
    if source.scale != target.scale:
        raise malformed(op, "input and output differ in scale")
    with np.errstate(over="ignore"):
        ratio = float(np.float32(6) / np.float32(source.scale[0]))
    six = min(math.floor(min(ratio, 2.0**16) + 0.5), INT16_MAX)
    return SlopesParams(shape=shape, requant=_ONE, act_min=0, act_max=six)


def leaky_relu(
    op: Operator, shape: tuple[int, ...], source: QuantParams, target: QuantParams
) -> SlopesParams:
    """x, or alpha * x where x is negative, rescaled."""
    alpha = float(op.options["alpha"])
    if not 0 <= alpha < math.inf:
        raise refuse(op, f"alpha is {alpha}", "expected a number of at least 0")
    return SlopesParams(
        shape=shape,
        requant=quantize_multiplier(source.scale[0] / target.scale[0]),
        negative_requant=quantize_multiplier(source.scale[0] * alpha / target.scale[0]),
    )


def absolute(
    op: Operator, shape: tuple[int, ...], source: QuantParams, target: QuantParams
) -> SlopesParams:
    """The size of x, rescaled."""
    requant = quantize_multiplier(source.scale[0] / target.scale[0])
    return SlopesParams(shape=shape, requant=requant, negative_requant=requant, negative_sign=-1)


def _near_power_of_two(scale: float) -> int | None:
    """log2 of a scale that is a power of two within 0.07 %, as TFLite Micro finds it."""
    log2 = np.float32(math.log(scale)) * (np.float32(1) / np.float32(math.log(2)))
    rounded = math.floor(abs(float(log2)) + 0.5) * (-1 if log2 < 0 else 1)
    return rounded if abs(log2 - np.float32(rounded)) < np.float32(1e-3) else None


def _sigmoid(
    op: Operator, shape: tuple[int, ...], source: QuantParams, target: QuantParams, *, tanh: bool
) -> SigmoidParams:
    if target.scale[0] != 1 / 32768:
        raise malformed(op, "output needs scale 1/32768 and zero point 0")
    exponent = _near_power_of_two(source.scale[0])
    exact = {-12: 3, -11: 6} if tanh else {-12: 3}
    factor, shift = source.scale[0] * UNIT, 0
    if exponent in exact:
        factor = exact[exponent]
    else:
        while factor <= INT16_MAX / 2 and shift <= 30:
            factor, shift = factor * 2, shift + 1
        if not 1 <= factor < 2**15:
            fix = f"expected {2**-31 / UNIT:.2} to {2**15 / UNIT:.3}"
            raise refuse(op, f"input scale {source.scale[0]}", fix)
    return SigmoidParams(
        shape=shape,
        tanh=tanh,
        multiplier=int(factor),
        right_shift=shift,
        table=sigmoid_table(),
    )


def logistic(
    op: Operator, shape: tuple[int, ...], source: QuantParams, target: QuantParams
) -> SigmoidParams:
    """1 / (1 + exp(-x)) in Q0.15."""
    return _sigmoid(op, shape, source, target, tanh=False)


def tanh(
    op: Operator, shape: tuple[int, ...], source: QuantParams, target: QuantParams
) -> SigmoidParams:
    """The hyperbolic tangent in Q0.15."""
    return _sigmoid(op, shape, source, target, tanh=True)
