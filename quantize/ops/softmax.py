"""SOFTMAX over the last axis; of int8 in gemmlowp's fixed-point arithmetic (fixedpoint.h)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from quantize.ops.base import (
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
    refuse,
)
from quantize.ops.fixed_point import exp_negative, reciprocal_one_plus
from quantize.ops.rules import Without, reference_kernels
from quantize.ops.softmax_int16 import WideSoftmaxParams, prepare_wide
from quantize.scheme import (
    QuantParams,
    Rounding,
    rounding_divide_by_pot,
    rounding_doubling_high_mul,
)
from quantize.tflite.graph import Graph, Operator
from quantize.tflite.signatures import signature

INTEGER_BITS = 5  # of the scaled difference to the row's maximum, Q5.26
ACCUMULATOR_BITS = 12  # integer bits of the sum of exponentials, Q12.19
MAX_DEPTH = 511  # with more equal values TFLite Micro's own check aborts


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftmaxParams:
    """The integers of a SOFTMAX of int8."""

    shape: tuple[int, ...]
    multiplier: int
    left_shift: int
    diff_min: int

    def reference(self, source: Array) -> Array:
        """[..., depth] -> the same shape."""
        rows = source.reshape(-1, self.shape[-1]).astype(np.int64)
        diff = rows - rows.max(axis=1, keepdims=True)
        counted = diff >= self.diff_min
        left = np.where(counted, diff, 0) << self.left_shift
        exponentials = exp_negative(rounding_doubling_high_mul(left, self.multiplier), INTEGER_BITS)
        terms = rounding_divide_by_pot(exponentials, ACCUMULATOR_BITS)
        sums = np.where(counted, terms, 0).sum(axis=1)
        headroom = np.array([32 - int(s).bit_length() for s in sums], np.int64)
        scale = reciprocal_one_plus((sums << headroom) - (1 << 31))
        exponent = ACCUMULATOR_BITS - headroom + 31 - 8
        products = rounding_doubling_high_mul(exponentials, scale[:, None])
        values = rounding_divide_by_pot(products, exponent[:, None]) - 128
        result = np.where(counted, np.clip(values, -128, 127), -128)
        return result.astype(np.int8).reshape(self.shape)

    def call(self) -> CCall:
        """The kernel call."""
        return CCall(
            function="nn_softmax_s8",
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
    target, target_quant = activation_output(graph, op, (source.dtype,))
    check_shape(op, target, source.shape)
    if not source.shape:
        raise malformed(op, "input is a scalar")
    beta = float(op.options["beta"])
    if not 0 < beta < math.inf:
        raise malformed(op, f"beta is {beta}")
    if source.dtype == "int16":
        return prepare_wide(op, source.shape, quant, target_quant, beta)
    return _prepare_int8(op, source.shape, quant, target_quant, beta)


def _prepare_int8(
    op: Operator, shape: tuple[int, ...], source: QuantParams, target: QuantParams, beta: float
) -> SoftmaxParams:
    """The output must have scale 1/256 and zero point -128."""
    if target.scale[0] != 1 / 256 or target.zero_point[0] != -128:
        raise malformed(op, "output needs scale 1/256 and zero point -128")
    if shape[-1] > MAX_DEPTH:
        fix = f"use at most {MAX_DEPTH}, TFLite Micro aborts on more"
        raise refuse(op, f"{shape[-1]} values in a row", fix)
    factor = min(beta * source.scale[0] * 2.0 ** (31 - INTEGER_BITS), 2.0**31 - 1)
    if factor <= 1:
        raise malformed(op, "scale times beta is below 2**-26")
    mantissa, shift = math.frexp(factor)
    multiplier = math.floor(mantissa * 2**31 + 0.5)
    if multiplier == 2**31:
        multiplier, shift = 2**30, shift + 1
    radius = math.floor((2**INTEGER_BITS - 1) * 2.0 ** (31 - INTEGER_BITS) / 2.0**shift)
    return SoftmaxParams(shape=shape, multiplier=multiplier, left_shift=shift, diff_min=-radius)


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
    in_place=lambda _: (0,),
    alias=no_alias,
    state=(),
    ranges=Without(reason="an output grows with its input, and falls with all others of the row"),
    folding=Without(reason="every output depends on all channels"),
    advice=Without(reason="its scale is fixed"),
    kernels=reference_kernels("none is written yet"),
)
