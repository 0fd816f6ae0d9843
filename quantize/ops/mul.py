"""MUL: a product of two tensors; PRELU: negative inputs times a tensor; with broadcasting."""

from __future__ import annotations

from collections.abc import Sequence
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
    operand,
)
from quantize.ops.broadcast import broadcast_shape, c_broadcast, full_operands
from quantize.ops.fold_rules import CHANNELWISE
from quantize.ops.range_rules import overflows, product
from quantize.ops.rules import RESCALES, Kernels, Lowering, RangeRule, Without
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


@dataclass(frozen=True, slots=True, kw_only=True)
class MulParams:
    """The integers of a MUL or PRELU."""

    dtype: str  # of the first operand and the output: int8 or int16
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    output_shape: tuple[int, ...]
    offsets: tuple[int, int]
    output_offset: int
    act_min: int
    act_max: int
    requant: Requant  # of the product
    input_requant: Requant  # PRELU: of an input of at least 0


def _prepare(graph: Graph, op: Operator, *, b_types: tuple[str, ...] = ()) -> MulParams:
    """Check the operator; the second operand has the first one's type where `b_types` is empty."""
    a, a_quant = operand(graph, op, 0, INT8_OR_INT16)
    b, b_quant = operand(graph, op, 1, b_types or (a.dtype,))
    target, target_quant = activation_output(graph, op, (a.dtype,))
    check_shape(op, target, broadcast_shape(op, a.shape, b.shape))
    act_min, act_max = activation_range(int(op.options.get("activation", 0)), target_quant, a.dtype)
    factor = a_quant.scale[0] * b_quant.scale[0] / target_quant.scale[0]
    return MulParams(
        dtype=a.dtype,
        shapes=(a.shape, b.shape),
        output_shape=target.shape,
        offsets=(-a_quant.zero_point[0], -b_quant.zero_point[0]),
        output_offset=target_quant.zero_point[0],
        act_min=act_min,
        act_max=act_max,
        requant=quantize_multiplier(factor),
        input_requant=quantize_multiplier(a_quant.scale[0] / target_quant.scale[0]),
    )


def _prepare_prelu(graph: Graph, op: Operator) -> MulParams:
    """Check a PRELU; alpha is int8, may be a constant, and repeats to the input's shape."""
    source, _ = activation_input(graph, op, 0, INT8_OR_INT16)
    params = _prepare(graph, op, b_types=INT8)
    if params.output_shape != source.shape:
        raise malformed(op, f"alpha {list(params.shapes[1])} for input {list(source.shape)}")
    return params


def _shifted(p: MulParams, inputs: Sequence[Array], side: int) -> IntArray:
    return inputs[side].astype(np.int64) + p.offsets[side]


def _scaled(values: IntArray, requant: Requant) -> IntArray:
    return multiply_by_quantized_multiplier(values, requant.multiplier, requant.shift)


def _output(p: MulParams, scaled: IntArray) -> Array:
    return np.clip(wrap32(scaled + p.output_offset), p.act_min, p.act_max).astype(p.dtype)


def _multiply(p: MulParams, inputs: Sequence[Array]) -> Array:
    product = _shifted(p, inputs, 0) * _shifted(p, inputs, 1)
    return _output(p, _scaled(product, p.requant))


def _prelu(p: MulParams, inputs: Sequence[Array]) -> Array:
    x = _shifted(p, inputs, 0)
    negative = _scaled(x * _shifted(p, inputs, 1), p.requant)
    return _output(p, np.where(x >= 0, _scaled(x, p.input_requant), negative))


def _c_requant(requant: Requant) -> str:
    return f"{{{requant.multiplier}, {requant.shift}}}"


def _c_mul(p: MulParams) -> CCall:
    return CCall(
        function="nn_mul_s8" if p.dtype == "int8" else "nn_mul_s16",
        params_type="nn_mul_t",
        params={
            "walk": c_broadcast(*p.shapes, p.output_shape),
            "a_offset": str(p.offsets[0]),
            "b_offset": str(p.offsets[1]),
            "output_offset": str(p.output_offset),
            "act_min": str(p.act_min),
            "act_max": str(p.act_max),
            "requant": _c_requant(p.requant),
        },
        inputs=(0, 1),
    )


def _c_prelu(p: MulParams) -> CCall:
    return CCall(
        function="nn_prelu_s8" if p.dtype == "int8" else "nn_prelu_s16",
        params_type="nn_prelu_t",
        params={
            "walk": c_broadcast(*p.shapes, p.output_shape),
            "a_offset": str(p.offsets[0]),
            "alpha_offset": str(p.offsets[1]),
            "output_offset": str(p.output_offset),
            "requant": _c_requant(p.input_requant),
            "alpha_requant": _c_requant(p.requant),
        },
        inputs=(0, 1),
    )


MUL = OpSpec(
    name="MUL",
    max_version=5,
    signature=signature(inputs=2, table=21, options={"activation": (0, "i8", 0)}),
    prepare=_prepare,
    reference=_multiply,
    calls=lambda p: (_c_mul(p),),
    rounding=Rounding.DOUBLE,
    int16_rounding=None,
    macs=no_macs,
    in_place=full_operands,
    alias=no_alias,
    state=(),
    ranges=RangeRule(
        bounds=product, dtypes=INT8, may_wrap=lambda p: overflows(255 * 255, p.requant)
    ),
    folding=CHANNELWISE,
    advice=RESCALES,
    kernels=Kernels(armv7em=Lowering.PRODUCT, xtensa=Lowering.PAIR_TABLE),
)

PRELU = OpSpec(
    name="PRELU",
    max_version=1,
    signature=signature(inputs=2, table=0, options=NO_OPTIONS),
    prepare=_prepare_prelu,
    reference=_prelu,
    calls=lambda p: (_c_prelu(p),),
    rounding=Rounding.DOUBLE,
    int16_rounding=None,
    macs=no_macs,
    in_place=full_operands,
    alias=no_alias,
    state=(),
    ranges=Without(reason="negative inputs rise or fall with the sign of alpha"),
    folding=CHANNELWISE,
    advice=Without(reason="not looked at yet"),
    kernels=Kernels(armv7em=Lowering.PAIR_TABLE, xtensa=Lowering.PAIR_TABLE),
)
