"""MEAN: the mean over any axes."""

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
    int_constant,
    malformed,
    refuse,
)
from quantize.scheme import (
    Requant,
    Rounding,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    wrap32,
)
from quantize.tflite.graph import Graph, Operator

MAX_RANK = 4  # TFLite Micro's limit


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanParams:
    """The integers of a MEAN."""

    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    axes: tuple[int, ...]
    input_offset_sum: int
    output_offset: int
    requant: Requant


def resolve_axes(op: Operator, axes: Sequence[int], rank: int) -> tuple[int, ...]:
    """Distinct non-negative axes in ascending order; ModelError when one is out of range."""
    if any(not -rank <= a < rank for a in axes):
        raise malformed(op, f"axes {list(axes)} of a tensor with {rank} dimensions")
    return tuple(sorted({a % rank for a in axes}))


def fold_count(requant: Requant, count: int) -> Requant:
    """`requant` divided by `count`: as much of the shift as fits goes into the multiplier first."""
    shift = min(count.bit_length() - 1, 32, 31 + requant.shift)
    return Requant(multiplier=(requant.multiplier << shift) // count, shift=requant.shift - shift)


def prepare(graph: Graph, op: Operator) -> MeanParams:
    """Check a MEAN with constant axes."""
    source, source_quant = activation_input(graph, op, 0)
    target, target_quant = int8_output(graph, op)
    rank = len(source.shape)
    if rank > MAX_RANK:
        raise refuse(op, f"input has {rank} dimensions", f"reshape it to at most {MAX_RANK}")
    axes = resolve_axes(op, int_constant(graph, op, 1), rank)
    if op.options["keep_dims"]:
        expected = tuple(1 if i in axes else d for i, d in enumerate(source.shape))
    else:
        expected = tuple(d for i, d in enumerate(source.shape) if i not in axes)
    check_shape(op, target, expected)
    count = math.prod(source.shape[a] for a in axes)
    return MeanParams(
        input_shape=source.shape,
        output_shape=target.shape,
        axes=axes,
        input_offset_sum=-source_quant.zero_point[0] * count,
        output_offset=target_quant.zero_point[0],
        requant=fold_count(
            quantize_multiplier(source_quant.scale[0] / target_quant.scale[0]), count
        ),
    )


def reference(p: MeanParams, inputs: Sequence[Int8Array]) -> Int8Array:
    """input_shape -> output_shape."""
    sums = inputs[0].astype(np.int64).sum(axis=p.axes, keepdims=True) + p.input_offset_sum
    scaled = multiply_by_quantized_multiplier(wrap32(sums), p.requant.multiplier, p.requant.shift)
    return (
        np.clip(wrap32(scaled + p.output_offset), -128, 127).astype(np.int8).reshape(p.output_shape)
    )


def _c_axes(p: MeanParams, reduced: bool) -> str:
    """The kept or the reduced axes as an nn_axis_t[NN_REDUCE_AXES] initialiser."""
    strides = [math.prod(p.input_shape[i + 1 :]) for i in range(len(p.input_shape))]
    axes = [
        (p.input_shape[i], strides[i])
        for i in range(len(p.input_shape))
        if (i in p.axes) == reduced
    ]
    padded = [(1, 0)] * (MAX_RANK - len(axes)) + axes
    return "{" + ", ".join(f"{{{count}, {stride}}}" for count, stride in padded) + "}"


def _c_call(p: MeanParams) -> CCall:
    return CCall(
        function="nn_mean_s8",
        params_type="nn_mean_t",
        params={
            "kept": _c_axes(p, reduced=False),
            "reduced": _c_axes(p, reduced=True),
            "input_offset_sum": str(p.input_offset_sum),
            "output_offset": str(p.output_offset),
            "requant": f"{{{p.requant.multiplier}, {p.requant.shift}}}",
        },
    )


SPEC = OpSpec(
    name="MEAN",
    max_version=3,
    rounding=Rounding.DOUBLE,
    prepare=prepare,
    reference=reference,
    c_call=_c_call,
)
