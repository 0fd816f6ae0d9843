"""ADD and SUB: the sum or difference of two tensors; SQUARED_DIFFERENCE; all with broadcasting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from quantize.ops.base import (
    INT8_OR_INT16,
    Array,
    CCall,
    OpSpec,
    activation_output,
    check_shape,
    malformed,
    no_alias,
    no_macs,
    operand,
)
from quantize.ops.broadcast import broadcast_shape, c_broadcast, full_operands
from quantize.ops.fold_rules import CHANNELWISE
from quantize.ops.range_rules import DIFFERENCE, RISING_INT8
from quantize.ops.rules import RESCALES, Kernels, Lowering, Without
from quantize.scheme import (
    IntArray,
    Requant,
    Rounding,
    activation_range,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    wrap32,
)
from quantize.tflite.graph import Graph, Operator
from quantize.tflite.signatures import NO_OPTIONS, signature

# bits of head room that TFLite gives operands before rescaling
LEFT_SHIFT = {"int8": 20, "int16": 15}
SQUARE_LEFT_SHIFT = {"int8": 7, "int16": 0}  # so that the square fits into 32 bits
_KERNELS = {"int8": "nn_add_s8", "int16": "nn_add_s16"}
_SQUARE_KERNELS = {"int8": "nn_squared_difference_s8", "int16": "nn_squared_difference_s16"}


@dataclass(frozen=True, slots=True, kw_only=True)
class AddParams:
    """The integers of an ADD, SUB or SQUARED_DIFFERENCE."""

    dtype: str  # of both operands and the output: int8 or int16
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    output_shape: tuple[int, ...]
    offsets: tuple[int, int]
    output_offset: int
    act_min: int
    act_max: int
    left_shift: int
    requants: tuple[Requant, Requant]
    output_requant: Requant


def _prepare(graph: Graph, op: Operator, *, square: bool = False) -> AddParams:
    """Check the operator; either operand may be a constant."""
    a, a_quant = operand(graph, op, 0, INT8_OR_INT16)
    b, b_quant = operand(graph, op, 1, (a.dtype,))
    target, target_quant = activation_output(graph, op, (a.dtype,))
    check_shape(op, target, broadcast_shape(op, a.shape, b.shape))
    act_min, act_max = activation_range(int(op.options.get("activation", 0)), target_quant, a.dtype)
    twice_max = 2.0 * max(a_quant.scale[0], b_quant.scale[0])
    left_shift = (SQUARE_LEFT_SHIFT if square else LEFT_SHIFT)[a.dtype]
    if square:
        output_factor = twice_max**2 / ((1 << 2 * left_shift) * target_quant.scale[0])
    else:
        output_factor = twice_max / ((1 << left_shift) * target_quant.scale[0])
        if output_factor >= 1:
            raise malformed(op, "the output's scale is too small for its inputs")
    return AddParams(
        dtype=a.dtype,
        shapes=(a.shape, b.shape),
        output_shape=target.shape,
        offsets=(-a_quant.zero_point[0], -b_quant.zero_point[0]),
        output_offset=target_quant.zero_point[0],
        act_min=act_min,
        act_max=act_max,
        left_shift=left_shift,
        requants=(
            quantize_multiplier(a_quant.scale[0] / twice_max),
            quantize_multiplier(b_quant.scale[0] / twice_max),
        ),
        output_requant=quantize_multiplier(output_factor),
    )


def _rescaled(p: AddParams, inputs: Sequence[Array], side: int) -> IntArray:
    wide = (inputs[side].astype(np.int64) + p.offsets[side]) << p.left_shift
    return multiply_by_quantized_multiplier(
        wide, p.requants[side].multiplier, p.requants[side].shift
    )


def _output(p: AddParams, total: IntArray) -> Array:
    r = p.output_requant
    scaled = multiply_by_quantized_multiplier(total, r.multiplier, r.shift)
    return np.clip(wrap32(scaled + p.output_offset), p.act_min, p.act_max).astype(p.dtype)


def _add(p: AddParams, inputs: Sequence[Array]) -> Array:
    return _output(p, _rescaled(p, inputs, 0) + _rescaled(p, inputs, 1))


def _subtract(p: AddParams, inputs: Sequence[Array]) -> Array:
    return _output(p, _rescaled(p, inputs, 0) - _rescaled(p, inputs, 1))


def _square(p: AddParams, inputs: Sequence[Array]) -> Array:
    return _output(p, (_rescaled(p, inputs, 0) - _rescaled(p, inputs, 1)) ** 2)


def _c_call(p: AddParams, kernels: dict[str, str], b_sign: int) -> CCall:
    a, b, out = (f"{{{r.multiplier}, {r.shift}}}" for r in (*p.requants, p.output_requant))
    return CCall(
        function=kernels[p.dtype],
        params_type="nn_add_t",
        params={
            "walk": c_broadcast(*p.shapes, p.output_shape),
            "a_offset": str(p.offsets[0]),
            "b_offset": str(p.offsets[1]),
            "output_offset": str(p.output_offset),
            "act_min": str(p.act_min),
            "act_max": str(p.act_max),
            "left_shift": str(p.left_shift),
            "b_sign": str(b_sign),
            "a_requant": a,
            "b_requant": b,
            "output_requant": out,
        },
        inputs=(0, 1),
    )


ADD = OpSpec(
    name="ADD",
    max_version=4,
    signature=signature(inputs=2, table=11, options={"activation": (0, "i8", 0)}),
    prepare=_prepare,
    reference=_add,
    calls=lambda p: (_c_call(p, _KERNELS, 1),),
    rounding=Rounding.DOUBLE,
    int16_rounding=None,
    macs=no_macs,
    in_place=full_operands,
    alias=no_alias,
    state=(),
    ranges=RISING_INT8,
    folding=CHANNELWISE,
    advice=RESCALES,
    kernels=Kernels(armv7em=Lowering.WEIGHTED_SUM, xtensa=Lowering.WEIGHTED_SUM),
)

SUB = OpSpec(
    name="SUB",
    max_version=5,
    signature=signature(inputs=2, table=28, options={"activation": (0, "i8", 0)}),
    prepare=_prepare,
    reference=_subtract,
    calls=lambda p: (_c_call(p, _KERNELS, -1),),
    rounding=Rounding.DOUBLE,
    int16_rounding=None,
    macs=no_macs,
    in_place=full_operands,
    alias=no_alias,
    state=(),
    ranges=DIFFERENCE,
    folding=CHANNELWISE,
    advice=RESCALES,
    kernels=Kernels(armv7em=Lowering.WEIGHTED_SUM, xtensa=Lowering.WEIGHTED_SUM),
)

SQUARED_DIFFERENCE = OpSpec(
    name="SQUARED_DIFFERENCE",
    max_version=2,
    signature=signature(inputs=2, table=76, options=NO_OPTIONS),
    prepare=lambda graph, op: _prepare(graph, op, square=True),
    reference=_square,
    calls=lambda p: (_c_call(p, _SQUARE_KERNELS, -1),),
    rounding=Rounding.DOUBLE,
    int16_rounding=None,
    macs=no_macs,
    in_place=full_operands,
    alias=no_alias,
    state=(),
    ranges=Without(reason="it falls, then rises, when an input grows"),
    folding=CHANNELWISE,
    advice=Without(reason="differences of random inputs are larger than those of real ones"),
    kernels=Kernels(armv7em=Lowering.SQUARED_DIFFERENCE, xtensa=Lowering.PAIR_TABLE),
)
