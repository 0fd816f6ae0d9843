"""SOFTMAX over the last axis, in gemmlowp's fixed-point arithmetic (fixedpoint.h)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from quantize.ops.base import (
    CCall,
    Int8Array,
    OpSpec,
    activation_input,
    check_shape,
    int8_output,
    malformed,
    refuse,
)
from quantize.ops.fixed_point import exp_negative, reciprocal_one_plus
from quantize.scheme import Rounding, rounding_divide_by_pot, rounding_doubling_high_mul
from quantize.tflite.graph import Graph, Operator

INTEGER_BITS = 5  # of the scaled difference to the row's maximum, Q5.26
ACCUMULATOR_BITS = 12  # integer bits of the sum of exponentials, Q12.19
MAX_DEPTH = 511  # with more equal values TFLite Micro's own check aborts


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftmaxParams:
    """The integers of a SOFTMAX."""

    shape: tuple[int, ...]
    multiplier: int
    left_shift: int
    diff_min: int


def prepare(graph: Graph, op: Operator) -> SoftmaxParams:
    """Check a SOFTMAX; its output must have scale 1/256 and zero point -128."""
    source, quant = activation_input(graph, op, 0)
    target, target_quant = int8_output(graph, op)
    check_shape(op, target, source.shape)
    if not source.shape:
        raise malformed(op, "input is a scalar")
    if target_quant.scale[0] != 1 / 256 or target_quant.zero_point[0] != -128:
        raise malformed(op, "output needs scale 1/256 and zero point -128")
    if source.shape[-1] > MAX_DEPTH:
        fix = f"use at most {MAX_DEPTH}, TFLite Micro aborts on more"
        raise refuse(op, f"{source.shape[-1]} values in a row", fix)
    beta = float(op.options["beta"])
    if not 0 < beta < math.inf:
        raise malformed(op, f"beta is {beta}")
    factor = min(beta * quant.scale[0] * 2.0 ** (31 - INTEGER_BITS), 2.0**31 - 1)
    if factor <= 1:
        raise malformed(op, "scale times beta is below 2**-26")
    mantissa, shift = math.frexp(factor)
    multiplier = math.floor(mantissa * 2**31 + 0.5)
    if multiplier == 2**31:
        multiplier, shift = 2**30, shift + 1
    radius = math.floor((2**INTEGER_BITS - 1) * 2.0 ** (31 - INTEGER_BITS) / 2.0**shift)
    return SoftmaxParams(
        shape=source.shape, multiplier=multiplier, left_shift=shift, diff_min=-radius
    )


def reference(p: SoftmaxParams, inputs: Sequence[Int8Array]) -> Int8Array:
    """[..., depth] -> the same shape."""
    rows = inputs[0].reshape(-1, p.shape[-1]).astype(np.int64)
    diff = rows - rows.max(axis=1, keepdims=True)
    counted = diff >= p.diff_min
    scaled = rounding_doubling_high_mul(np.where(counted, diff, 0) << p.left_shift, p.multiplier)
    exponentials = exp_negative(scaled, INTEGER_BITS)
    terms = rounding_divide_by_pot(exponentials, ACCUMULATOR_BITS)
    sums = np.where(counted, terms, 0).sum(axis=1)
    headroom = np.array([32 - int(s).bit_length() for s in sums], np.int64)
    scale = reciprocal_one_plus((sums << headroom) - (1 << 31))
    exponent = ACCUMULATOR_BITS - headroom + 31 - 8
    products = rounding_doubling_high_mul(exponentials, scale[:, None])
    values = rounding_divide_by_pot(products, exponent[:, None]) - 128
    return np.where(counted, np.clip(values, -128, 127), -128).astype(np.int8).reshape(p.shape)


def _c_call(p: SoftmaxParams) -> CCall:
    return CCall(
        function="nn_softmax_s8",
        params_type="nn_softmax_t",
        params={
            "rows": str(math.prod(p.shape[:-1])),
            "depth": str(p.shape[-1]),
            "multiplier": str(p.multiplier),
            "left_shift": str(p.left_shift),
            "diff_min": str(p.diff_min),
        },
    )


SPEC = OpSpec(
    name="SOFTMAX",
    max_version=2,
    rounding=Rounding.FIXED_POINT,
    prepare=prepare,
    reference=reference,
    calls=lambda p: (_c_call(p),),
    in_place=lambda _: (0,),
)
