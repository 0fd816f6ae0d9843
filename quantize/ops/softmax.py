"""SOFTMAX over the last axis; of int8 in gemmlowp's fixed-point arithmetic (fixedpoint.h)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from quantize.ops.base import (
    INT8,
    INT8_OR_INT16,
    Array,
    CCall,
    OpSpec,
    activation_input,
    activation_output,
    check_shape,
    malformed,
    no_alias,
    no_macs,
    per_tensor,
    refuse,
)
from quantize.ops.fixed_point import exp_negative, log_of_sum, reciprocal_one_plus
from quantize.ops.rules import Kernels, Lowering, Without, reference_kernels
from quantize.ops.softmax_int16 import WideSoftmaxParams, prepare_wide
from quantize.scheme import (
    INT32_MIN,
    IntArray,
    QuantParams,
    Requant,
    Rounding,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    rounding_divide_by_pot,
    rounding_doubling_high_mul,
)
from quantize.tflite.graph import Graph, Operator, Tensor
from quantize.tflite.signatures import NO_OPTIONS, signature

INTEGER_BITS = 5  # of the scaled difference to the row's maximum, Q5.26
ACCUMULATOR_BITS = 12  # integer bits of the sum of exponentials, Q12.19
ABORT_DEPTH = 512  # of that many equal values TFLite Micro aborts where the output is int8
NEAR = 1e-3  # how far the scale of an int16 output may be off; converters write 1/65535
LOG_SHIFT = 31 - 5 - 4  # from Q5.26 to steps of 1/16
MAX_DEPTH = 4095  # of more equal values the sum overflows


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftmaxParams:
    """The integers of a SOFTMAX of int8."""

    shape: tuple[int, ...]
    multiplier: int
    left_shift: int
    diff_min: int
    output: str  # int8 or int16

    def reference(self, source: Array) -> Array:
        """[..., depth] -> the same shape."""
        rows = source.reshape(-1, self.shape[-1]).astype(np.int64)
        exponentials = self.exponentials(rows - rows.max(axis=1, keepdims=True))
        sums = rounding_divide_by_pot(exponentials, ACCUMULATOR_BITS).sum(axis=1)
        headroom = np.array([32 - int(s).bit_length() for s in sums], np.int64)
        scale = reciprocal_one_plus((sums << headroom) - (1 << 31))
        limits = np.iinfo(self.output)
        exponent = ACCUMULATOR_BITS - headroom + 31 - limits.bits
        products = rounding_doubling_high_mul(exponentials, scale[:, None])
        values = rounding_divide_by_pot(products, exponent[:, None]) + limits.min
        return np.minimum(values, limits.max).astype(self.output).reshape(self.shape)

    def exponentials(self, diff: IntArray) -> IntArray:
        """Those of differences to a row's maximum, in Q0.31; 0 of what is too far from it."""
        counted = diff >= self.diff_min
        left = np.where(counted, diff, 0) << self.left_shift
        scaled = rounding_doubling_high_mul(left, self.multiplier)
        result: IntArray = np.where(counted, exp_negative(scaled, INTEGER_BITS), 0)
        return result

    def call(self) -> CCall:
        """The kernel call."""
        return CCall(
            function="nn_softmax_s8" if self.output == "int8" else "nn_softmax_s8_s16",
            params_type="nn_softmax_t",
            params={
                "rows": str(math.prod(self.shape[:-1])),
                "depth": str(self.shape[-1]),
                "multiplier": str(self.multiplier),
                "left_shift": str(self.left_shift),
                "diff_min": str(self.diff_min),
            },
        )


def prepare(graph: Graph, op: Operator) -> SoftmaxParams | WideSoftmaxParams:
    """Check a SOFTMAX of int8 or int16."""
    source, quant = activation_input(graph, op, 0, INT8_OR_INT16)
    target = graph.output(op)
    narrow = source.dtype == "int8"
    target_quant = (
        per_tensor(op, target, "output", INT8_OR_INT16)
        if narrow
        else activation_output(graph, op, ("int16",))[1]
    )
    check_shape(op, target, source.shape)
    if not source.shape:
        raise malformed(op, "input is a scalar")
    beta = float(op.options["beta"])
    if not 0 < beta < math.inf:
        raise malformed(op, f"beta is {beta}")
    if source.dtype == "int16":
        return prepare_wide(op, source.shape, quant, target_quant, beta)
    return _prepare_int8(op, target, quant, target_quant, beta)


def _prepare_int8(
    op: Operator, output: Tensor, source: QuantParams, target: QuantParams, beta: float
) -> SoftmaxParams:
    """The output covers 0 to 1: its scale is 2**-8 or 2**-16, its zero point the lowest value."""
    limits = np.iinfo(output.dtype)
    near = NEAR if output.dtype == "int16" else 0.0
    if abs(target.scale[0] * 2.0**limits.bits - 1) > near or target.zero_point[0] != limits.min:
        what = f"output needs scale 1/{2**limits.bits} and zero point {limits.min}"
        raise malformed(op, what)
    return _exponentials(op, output, source, beta)


def _exponentials(op: Operator, output: Tensor, source: QuantParams, beta: float) -> SoftmaxParams:
    """The scale of differences to a row's maximum, in Q5.26."""
    if output.shape[-1] > MAX_DEPTH:
        fix = f"use at most {MAX_DEPTH}: TFLite Micro's sum overflows on more"
        raise refuse(op, f"{output.shape[-1]} values in a row", fix)
    factor = min(beta * source.scale[0] * 2.0 ** (31 - INTEGER_BITS), 2.0**31 - 1)
    if factor <= 1:
        fix = "TFLite Micro aborts; its inputs are all about 0: check the training and the data"
        raise refuse(op, "scale times beta is below 2**-26", fix)
    mantissa, shift = math.frexp(factor)
    multiplier = math.floor(mantissa * 2**31 + 0.5)
    if multiplier == 2**31:
        multiplier, shift = 2**30, shift + 1
    radius = math.floor((2**INTEGER_BITS - 1) * 2.0 ** (31 - INTEGER_BITS) / 2.0**shift)
    return SoftmaxParams(
        shape=output.shape,
        multiplier=multiplier,
        left_shift=shift,
        diff_min=-radius,
        output=output.dtype,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSoftmaxParams:
    """The integers of a LOG_SOFTMAX: those of the exponentials, and back from their scale."""

    exponentials: SoftmaxParams
    back: Requant

    def reference(self, source: Array) -> Array:
        """[..., depth] -> the same shape."""
        e = self.exponentials
        rows = source.reshape(-1, e.shape[-1]).astype(np.int64)
        diff = rows - rows.max(axis=1, keepdims=True)
        counted = diff >= e.diff_min
        scaled = rounding_doubling_high_mul(
            np.where(counted, diff, 0) << e.left_shift, e.multiplier
        )
        terms = rounding_divide_by_pot(exp_negative(scaled, INTEGER_BITS), ACCUMULATOR_BITS)
        log_sum = log_of_sum(np.where(counted, terms, 0).sum(axis=1))[:, None]
        lowest = multiply_by_quantized_multiplier(
            log_sum + INT32_MIN, self.back.multiplier, self.back.shift
        )
        kept = diff > np.maximum(e.diff_min - 1, lowest)
        values = rounding_divide_by_pot(scaled - log_sum, LOG_SHIFT) + 127
        result = np.where(kept, np.clip(values, -128, 127), -128)
        return result.astype(np.int8).reshape(e.shape)

    def call(self) -> CCall:
        """The kernel call."""
        params = self.exponentials.call().params
        return CCall(
            function="nn_log_softmax_s8",
            params_type="nn_log_softmax_t",
            params={f"softmax.{name}": value for name, value in params.items()}
            | {"back": f"{{{self.back.multiplier}, {self.back.shift}}}"},
        )


def prepare_log(graph: Graph, op: Operator) -> LogSoftmaxParams:
    """Check a LOG_SOFTMAX of int8, whose output covers -16 to 0."""
    source, quant = activation_input(graph, op, 0)
    target, target_quant = activation_output(graph, op, INT8)
    check_shape(op, target, source.shape)
    if not source.shape:
        raise malformed(op, "input is a scalar")
    if target_quant.scale[0] != 1 / 16 or target_quant.zero_point[0] != 127:
        raise malformed(op, "output needs scale 1/16 and zero point 127")
    exponentials = _exponentials(op, target, quant, 1.0)
    back = 2.0 ** (31 - exponentials.left_shift) / exponentials.multiplier
    return LogSoftmaxParams(exponentials=exponentials, back=quantize_multiplier(back))


LOG = OpSpec(
    name="LOG_SOFTMAX",
    max_version=2,
    signature=signature(inputs=1, table=0, options=NO_OPTIONS),
    prepare=prepare_log,
    reference=lambda p, inputs: p.reference(inputs[0]),
    calls=lambda p: (p.call(),),
    rounding=Rounding.FIXED_POINT,
    int16_rounding=None,
    macs=no_macs,
    in_place=lambda _: (0,),
    alias=no_alias,
    state=(),
    ranges=Without(reason="an output grows with its input, and falls with all others of the row"),
    folding=Without(reason="every output depends on all channels"),
    advice=Without(reason="its scale is fixed"),
    kernels=reference_kernels("none is written yet"),
)
SPEC = OpSpec(
    name="SOFTMAX",
    max_version=3,
    signature=signature(inputs=1, table=9, options={"beta": (0, "f32", 0.0)}),
    prepare=prepare,
    reference=lambda p, inputs: p.reference(inputs[0]),
    calls=lambda p: (p.call(),),
    rounding=Rounding.FIXED_POINT,
    int16_rounding=Rounding.TABLE,
    macs=no_macs,
    in_place=lambda p: () if isinstance(p, SoftmaxParams) and p.output != "int8" else (0,),
    alias=no_alias,
    state=(),
    ranges=Without(reason="an output grows with its input, and falls with all others of the row"),
    folding=Without(reason="every output depends on all channels"),
    advice=Without(reason="its scale is fixed"),
    kernels=Kernels(armv7em=Lowering.SOFTMAX, xtensa=Without(reason="none is written yet")),
)
