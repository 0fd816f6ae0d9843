"""Functions of one value; of int8, a table of all 256 answers is computed here for nn_lut_s8."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from quantize.ops import inverse_root, unary_int16
from quantize.ops.base import (
    INT8,
    INT8_OR_INT16,
    Array,
    CCall,
    Int8Array,
    OpSpec,
    activation_input,
    activation_output,
    check_shape,
    int_constant_array,
    malformed,
    no_alias,
    no_macs,
    refuse,
)
from quantize.ops.fixed_point import logistic, tanh
from quantize.ops.fold_rules import CHANNELWISE
from quantize.ops.range_rules import TABLE
from quantize.ops.rules import Without, reference_kernels
from quantize.scheme import (
    INT32_MAX,
    IntArray,
    QuantParams,
    Rounding,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    rounding_divide_by_pot,
    wrap32,
)
from quantize.tflite.graph import Graph, Operator
from quantize.tflite.signatures import NO_OPTIONS, Signature, signature
from quantize.tflm_function import tflm_function

INTEGER_BITS = 4  # of the argument of LOGISTIC and TANH, Q4.27
INT16_MIN, INT16_MAX = -(2**15), 2**15 - 1
_INPUTS: IntArray = np.arange(-128, 128, dtype=np.int64)

Function = Callable[[Operator, QuantParams, QuantParams], IntArray]
WideParams = unary_int16.SlopesParams | unary_int16.SigmoidParams
WideFunction = Callable[[Operator, tuple[int, ...], QuantParams, QuantParams], WideParams]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnaryParams:
    """A table of outputs, for the input -128 first."""

    shape: tuple[int, ...]
    table: Int8Array  # [256]

    def reference(self, source: Array) -> Array:
        """Any shape -> the same shape."""
        return self.table[source.astype(np.int64) + 128]

    def call(self) -> CCall:
        """The kernel call."""
        return CCall(
            function="nn_lut_s8",
            params_type="nn_lut_t",
            params={"count": str(math.prod(self.shape)), "table": "@table"},
            constants=(int_constant_array("table", "int8_t", self.table),),
        )


def _spec(
    name: str,
    max_version: int,
    signature: Signature,
    rounding: Rounding,
    function: Function,
    wide: WideFunction | None = None,
    int16_rounding: Rounding | None = None,
) -> OpSpec[UnaryParams | WideParams]:
    """An operator with an int8 function, and an int16 one where TFLite Micro has it."""

    def prepare(graph: Graph, op: Operator) -> UnaryParams | WideParams:
        source, quant = activation_input(graph, op, 0, INT8_OR_INT16 if wide else INT8)
        target, target_quant = activation_output(graph, op, (source.dtype,))
        check_shape(op, target, source.shape)
        if wide and source.dtype == "int16":
            return wide(op, source.shape, quant, target_quant)
        table = np.clip(function(op, quant, target_quant), -128, 127).astype(np.int8)
        return UnaryParams(shape=source.shape, table=table)

    return OpSpec(
        name=name,
        max_version=max_version,
        signature=signature,
        prepare=prepare,
        reference=lambda p, inputs: p.reference(inputs[0]),
        calls=lambda p: (p.call(),),
        rounding=rounding,
        int16_rounding=int16_rounding,
        macs=no_macs,
        in_place=lambda _: (0,),
        alias=no_alias,
        state=(),
        ranges=TABLE,
        folding=CHANNELWISE,
        advice=Without(reason="its table may end at a limit on purpose, as that of RELU6 does"),
        kernels=reference_kernels("int8 is a table of 256 answers on every core"),
    )


def _rescaled(values: IntArray, factor: float, offset: int) -> IntArray:
    requant = quantize_multiplier(factor)
    scaled = multiply_by_quantized_multiplier(values, requant.multiplier, requant.shift)
    return wrap32(scaled + offset)


def _needs_output(op: Operator, target: QuantParams, scale: float, zero_point: int) -> None:
    if target.scale[0] != scale or target.zero_point[0] != zero_point:
        raise malformed(op, f"output needs scale 1/{round(1 / scale)}, zero point {zero_point}")


def _fixed_point(
    op: Operator, source: QuantParams, function: Callable[[IntArray], IntArray]
) -> IntArray:
    """`function` of the dequantised inputs in Q4.27, in Q0.31; beyond +-15.9 its limits."""
    factor = source.scale[0] * 2.0 ** (31 - INTEGER_BITS)
    if factor < 1:
        raise refuse(op, f"input scale {source.scale[0]}", "expected at least 2**-27")
    shift = math.frexp(factor)[1]
    radius = math.floor((2**INTEGER_BITS - 1) * 2.0 ** (31 - INTEGER_BITS) / 2.0**shift)
    shifted = _INPUTS - source.zero_point[0]
    inside = np.abs(shifted) < radius
    requant = quantize_multiplier(min(factor, 2.0**29))  # a larger one leaves nothing inside
    argument = multiply_by_quantized_multiplier(
        np.where(inside, shifted, 0), requant.multiplier, requant.shift
    )
    limit = np.where(shifted <= -radius, -INT32_MAX, INT32_MAX)
    return np.where(inside, function(argument), limit)


def _logistic(op: Operator, source: QuantParams, target: QuantParams) -> IntArray:
    _needs_output(op, target, 1 / 256, -128)
    return rounding_divide_by_pot(_fixed_point(op, source, logistic), 23) - 128


def _tanh(op: Operator, source: QuantParams, target: QuantParams) -> IntArray:
    _needs_output(op, target, 1 / 128, 0)
    return rounding_divide_by_pot(_fixed_point(op, source, tanh), 24)


def _relu(op: Operator, source: QuantParams, target: QuantParams) -> IntArray:
    zero = target.zero_point[0]
    factor = source.scale[0] / target.scale[0]
    return np.maximum(_rescaled(_INPUTS - source.zero_point[0], factor, zero), zero)


def _relu6(op: Operator, source: QuantParams, target: QuantParams) -> IntArray:
    if source.scale != target.scale or source.zero_point != target.zero_point:
        raise malformed(op, "input and output differ in scale or zero point")
    zero = source.zero_point[0]
    with np.errstate(over="ignore"):
        ratio = float(np.float32(6) / np.float32(source.scale[0]))
    six = min(math.floor(min(ratio, 256.0) + 0.5) + zero, 127)
    return np.clip(_INPUTS, zero, six)


def _leaky_relu(op: Operator, source: QuantParams, target: QuantParams) -> IntArray:
    alpha = float(op.options["alpha"])
    if not 0 <= alpha < math.inf:
        raise refuse(op, f"alpha is {alpha}", "expected a number of at least 0")
    values, zero = _INPUTS - source.zero_point[0], target.zero_point[0]
    factor = source.scale[0] / target.scale[0]
    alpha_factor = source.scale[0] * alpha / target.scale[0]
    return np.where(
        values >= 0, _rescaled(values, factor, zero), _rescaled(values, alpha_factor, zero)
    )


def _abs(op: Operator, source: QuantParams, target: QuantParams) -> IntArray:
    values, zero = np.abs(_INPUTS - source.zero_point[0]), target.zero_point[0]
    if source.scale == target.scale:
        return values + zero
    return _rescaled(values, source.scale[0] / target.scale[0], zero)


def _elu(op: Operator, source: QuantParams, target: QuantParams) -> IntArray:
    """In single precision, as TFLite Micro fills its own table when it loads a model."""
    with np.errstate(all="ignore"):
        shifted = (_INPUTS - source.zero_point[0]).astype(np.float32)
        real = np.float32(source.scale[0]) * shifted
        exponential = np.exp(np.minimum(real, 0).astype(np.float64)).astype(np.float32)
        transformed = np.where(real < 0, exponential - np.float32(1), real)
        scaled = (transformed * (np.float32(1) / np.float32(target.scale[0]))).astype(np.float64)
    if not np.all(np.abs(scaled) < 2**24):
        raise malformed(op, "the output's scale is too small for its input")
    rounded = np.trunc(scaled + np.copysign(0.5, scaled)).astype(np.int64)
    return rounded + target.zero_point[0]


def _rsqrt(op: Operator, source: QuantParams, target: QuantParams) -> IntArray:
    """What TFLite Micro itself answers: Newton's iteration in fixed point, of 256 values."""
    if source.zero_point[0] != -128:
        what = f"input zero point {source.zero_point[0]}, so that an input may be negative"
        raise refuse(op, what, "TFLite Micro stops there; make its input 0 or more, as a RELU does")
    return tflm_function(op.name, _INPUTS.astype(np.int8), source, target).astype(np.int64)


def _int16_high_mul(a: IntArray, b: int) -> IntArray:
    """(2 * a * b) >> 16 rounded half away from zero; b is positive."""
    product = a * b
    total = product + np.where(product >= 0, 1 << 14, 1 - (1 << 14))
    return np.where(total >= 0, total >> 15, -((-total) >> 15))


def _int16_requant(factor: float) -> tuple[int, int]:
    """(multiplier in Q0.15, exponent)."""
    requant = quantize_multiplier(factor)
    return min((requant.multiplier + (1 << 15)) >> 16, INT16_MAX), requant.shift


def _hard_swish(op: Operator, source: QuantParams, target: QuantParams) -> IntArray:
    """x * relu6(x + 3) / 6 in 16-bit fixed point."""
    output = _int16_requant(source.scale[0] / 128 / target.scale[0])
    relu = _int16_requant(source.scale[0] / 128 / (3 / 32768))
    if not -15 <= output[1] <= 0 or not -15 <= relu[1] <= 15:
        raise refuse(op, "input and output scales are too far apart", "calibrate the model again")
    high = (_INPUTS - source.zero_point[0]) << 7
    value = high
    if relu[1] > 0:
        value = np.clip(value << (relu[1] - 1), INT16_MIN, INT16_MAX)
    value = _int16_high_mul(value, relu[0])
    if relu[1] > 0:
        value = np.clip(value << 1, INT16_MIN, INT16_MAX)
    value = rounding_divide_by_pot(value, max(-relu[1], 0))
    product = ((value + (1 << 15)) >> 1) * _int16_high_mul(high, output[0])
    truncated = np.where(product >= 0, product >> 15, -((-product) >> 15))
    return rounding_divide_by_pot(truncated, -output[1]) + target.zero_point[0]


def _signature(table: int) -> Signature:
    return signature(inputs=1, table=table, options=NO_OPTIONS)


SPECS = (
    _spec("ABS", 3, _signature(78), Rounding.DOUBLE, _abs, unary_int16.absolute),
    _spec("ELU", 1, _signature(0), Rounding.FLOAT, _elu),
    _spec("HARD_SWISH", 1, _signature(91), Rounding.FIXED_POINT, _hard_swish),
    _spec(
        "LEAKY_RELU",
        2,
        signature(inputs=1, table=75, options={"alpha": (0, "f32", 0.0)}),
        Rounding.DOUBLE,
        _leaky_relu,
        unary_int16.leaky_relu,
    ),
    _spec(
        "LOGISTIC",
        3,
        _signature(0),
        Rounding.FIXED_POINT,
        _logistic,
        unary_int16.logistic,
        Rounding.TABLE,
    ),
    _spec("RELU", 3, _signature(0), Rounding.DOUBLE, _relu, unary_int16.relu),
    _spec("RELU6", 3, _signature(0), Rounding.NONE, _relu6, unary_int16.relu6),
    inverse_root.with_int16(_spec("RSQRT", 3, _signature(0), Rounding.FIXED_POINT, _rsqrt)),
    _spec(
        "TANH",
        3,
        _signature(0),
        Rounding.FIXED_POINT,
        _tanh,
        unary_int16.tanh,
        Rounding.TABLE,
    ),
)
