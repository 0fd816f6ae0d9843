"""ADD: the sum of two tensors, with broadcasting."""

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
from quantize.scheme import (
    Requant,
    Rounding,
    activation_range,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    wrap32,
)
from quantize.tflite.graph import Graph, Operator

MAX_RANK = 6  # TFLite Micro's limit
LEFT_SHIFT = 20  # bits of head room that TFLite gives int8 operands before rescaling


@dataclass(frozen=True, slots=True, kw_only=True)
class AddParams:
    """The integers of an ADD."""

    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    output_shape: tuple[int, ...]
    offsets: tuple[int, int]
    output_offset: int
    act_min: int
    act_max: int
    requants: tuple[Requant, Requant]
    output_requant: Requant


def broadcast_shape(op: Operator, a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of an element-wise result; refuses more dimensions than TFLite Micro takes."""
    if max(len(a), len(b)) > MAX_RANK:
        raise refuse(op, f"{max(len(a), len(b))} dimensions", f"reshape to at most {MAX_RANK}")
    try:
        return tuple(int(d) for d in np.broadcast_shapes(a, b))
    except ValueError as error:
        raise malformed(op, f"shapes {list(a)} and {list(b)} do not broadcast") from error


def broadcast_strides(shape: tuple[int, ...], rank: int) -> list[int]:
    """Element strides over `rank` output axes; 0 where `shape` repeats."""
    padded = (1,) * (rank - len(shape)) + shape
    return [0 if d == 1 else math.prod(padded[i + 1 :]) for i, d in enumerate(padded)]


def prepare(graph: Graph, op: Operator) -> AddParams:
    """Check an ADD of two run-time tensors."""
    a, a_quant = activation_input(graph, op, 0)
    b, b_quant = activation_input(graph, op, 1)
    target, target_quant = int8_output(graph, op)
    check_shape(op, target, broadcast_shape(op, a.shape, b.shape))
    act_min, act_max = activation_range(int(op.options["activation"]), target_quant)
    twice_max = 2.0 * max(a_quant.scale[0], b_quant.scale[0])
    output_factor = twice_max / ((1 << LEFT_SHIFT) * target_quant.scale[0])
    if output_factor >= 1:
        raise malformed(op, "the output's scale is too small for its inputs")
    return AddParams(
        shapes=(a.shape, b.shape),
        output_shape=target.shape,
        offsets=(-a_quant.zero_point[0], -b_quant.zero_point[0]),
        output_offset=target_quant.zero_point[0],
        act_min=act_min,
        act_max=act_max,
        requants=(
            quantize_multiplier(a_quant.scale[0] / twice_max),
            quantize_multiplier(b_quant.scale[0] / twice_max),
        ),
        output_requant=quantize_multiplier(output_factor),
    )


def reference(p: AddParams, inputs: Sequence[Int8Array]) -> Int8Array:
    """Two broadcastable tensors -> output_shape."""
    total = np.zeros(p.output_shape, np.int64)
    for values, offset, requant in zip(inputs, p.offsets, p.requants, strict=True):
        wide = (values.astype(np.int64) + offset) << LEFT_SHIFT
        total = total + multiply_by_quantized_multiplier(wide, requant.multiplier, requant.shift)
    scaled = multiply_by_quantized_multiplier(
        total, p.output_requant.multiplier, p.output_requant.shift
    )
    return np.clip(wrap32(scaled + p.output_offset), p.act_min, p.act_max).astype(np.int8)


def _c_call(p: AddParams) -> CCall:
    rows = (
        [1] * (MAX_RANK - len(p.output_shape)) + list(p.output_shape),
        broadcast_strides(p.shapes[0], MAX_RANK),
        broadcast_strides(p.shapes[1], MAX_RANK),
    )
    walk = ", ".join("{" + ", ".join(str(v) for v in row) + "}" for row in rows)
    a, b, out = (f"{{{r.multiplier}, {r.shift}}}" for r in (*p.requants, p.output_requant))
    return CCall(
        function="nn_add_s8",
        params_type="nn_add_t",
        params={
            "walk": f"{{{walk}}}",
            "a_offset": str(p.offsets[0]),
            "b_offset": str(p.offsets[1]),
            "output_offset": str(p.output_offset),
            "act_min": str(p.act_min),
            "act_max": str(p.act_max),
            "left_shift": str(LEFT_SHIFT),
            "a_requant": a,
            "b_requant": b,
            "output_requant": out,
        },
    )


SPEC = OpSpec(
    name="ADD",
    max_version=4,
    rounding=Rounding.DOUBLE,
    prepare=prepare,
    reference=reference,
    c_call=_c_call,
)
