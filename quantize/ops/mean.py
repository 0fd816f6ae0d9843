"""Reductions over any axes: MEAN, SUM, REDUCE_MAX, REDUCE_MIN and REDUCE_ALL."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

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
    int_constant,
    malformed,
    no_alias,
    no_macs,
    not_in_place,
    refuse,
)
from quantize.ops.broadcast import merge_axes
from quantize.ops.copy import dense_strides
from quantize.ops.float32 import ReduceFloat, float_input, float_output
from quantize.ops.fold_rules import as_it_is, channelwise
from quantize.ops.range_rules import RISING, overflows, rising
from quantize.ops.rules import (
    NO_LANES,
    RESCALES,
    Channels,
    FoldRule,
    Kernels,
    Lowering,
    RangeRule,
    Without,
    reference_kernels,
)
from quantize.scheme import (
    Requant,
    Rounding,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    wrap32,
)
from quantize.tflite.graph import Graph, Operator, Tensor
from quantize.tflite.signatures import Options, signature

MEAN_KERNELS = {"int8": "nn_mean_s8", "int16": "nn_mean_s16"}
C_AXES = 4  # NN_REDUCE_AXES: as many runs of kept or of reduced axes as 8 dimensions can have


@dataclass(frozen=True, slots=True, kw_only=True)
class ReduceParams:
    """The axes of a reduction."""

    dtype: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    axes: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanParams:
    """The integers of a MEAN or SUM."""

    reduce: ReduceParams
    input_offset_sum: int
    output_offset: int
    requant: Requant


def resolve_axes(op: Operator, axes: Sequence[int], rank: int) -> tuple[int, ...]:
    """Distinct non-negative axes in ascending order; ModelError when one is out of range."""
    if any(not -rank <= a < rank for a in axes):
        raise malformed(op, f"axes {list(axes)[:8]} of a tensor with {rank} dimensions")
    return tuple(sorted({a % rank for a in axes}))


def fold_count(requant: Requant, count: int) -> Requant:
    """`requant` divided by `count`: as much of the shift as fits goes into the multiplier first."""
    shift = min(count.bit_length() - 1, 32, 31 + requant.shift)
    return Requant(multiplier=(requant.multiplier << shift) // count, shift=requant.shift - shift)


def _prepare_reduce(graph: Graph, op: Operator) -> ReduceParams:
    # TFLite Micro's maximum and minimum know int8 only
    source, _ = activation_input(
        graph, op, 0, INT8 if op.name in ("REDUCE_MAX", "REDUCE_MIN") else INT8_OR_INT16
    )
    target, _ = activation_output(graph, op, (source.dtype,))
    return _reduction(graph, op, source, target)


def _reduction(graph: Graph, op: Operator, source: Tensor, target: Tensor) -> ReduceParams:
    axes = resolve_axes(op, int_constant(graph, op, 1), len(source.shape))
    if op.options["keep_dims"]:
        expected = tuple(1 if i in axes else d for i, d in enumerate(source.shape))
    else:
        expected = tuple(d for i, d in enumerate(source.shape) if i not in axes)
    check_shape(op, target, expected)
    return ReduceParams(
        dtype=source.dtype, input_shape=source.shape, output_shape=target.shape, axes=axes
    )


def prepare_float(graph: Graph, op: Operator) -> ReduceFloat:
    """Check a reduction of float32 with constant axes."""
    p = _reduction(graph, op, float_input(graph, op), float_output(graph, op))
    return ReduceFloat(
        name=op.name,
        input_shape=p.input_shape,
        output_shape=p.output_shape,
        axes=p.axes,
        walk=_c_axes(p),
    )


def _prepare_sum(graph: Graph, op: Operator) -> MeanParams:
    """Check a SUM with constant axes."""
    reduce = _prepare_reduce(graph, op)
    _, source_quant = activation_input(graph, op, 0, (reduce.dtype,))
    _, target_quant = activation_output(graph, op, (reduce.dtype,))
    count = math.prod(reduce.input_shape[a] for a in reduce.axes)
    return MeanParams(
        reduce=reduce,
        input_offset_sum=-source_quant.zero_point[0] * count,
        output_offset=target_quant.zero_point[0],
        requant=quantize_multiplier(source_quant.scale[0] / target_quant.scale[0]),
    )


def _prepare_mean(graph: Graph, op: Operator) -> MeanParams:
    """Check a MEAN with constant axes: a sum whose factor holds 1 / count."""
    total = _prepare_sum(graph, op)
    count = math.prod(total.reduce.input_shape[a] for a in total.reduce.axes)
    return dataclasses.replace(total, requant=fold_count(total.requant, count))


def _prepare_max(graph: Graph, op: Operator) -> ReduceParams:
    """Check a REDUCE_MAX or REDUCE_MIN with constant axes."""
    reduce = _prepare_reduce(graph, op)
    _, source_quant = activation_input(graph, op, 0)
    _, target_quant = activation_output(graph, op, INT8)
    if source_quant.scale != target_quant.scale or (
        source_quant.zero_point != target_quant.zero_point
    ):
        raise malformed(op, "input and output differ in scale or zero point")
    return reduce


def _prepare_all(graph: Graph, op: Operator) -> ReduceParams:
    """Check a REDUCE_ALL with constant axes: the minimum of truth values."""
    source, target = graph.input(op, 0), graph.output(op)
    if source.dtype != "bool" or target.dtype != "bool":
        raise malformed(op, f"{source.dtype} to {target.dtype}, expected bool")
    if source.data is not None:
        raise refuse(op, "input 0 is a constant", "fold it when exporting the model")
    return _reduction(graph, op, source, target)


def _mean(p: MeanParams, inputs: Sequence[Array]) -> Array:
    sums = inputs[0].astype(np.int64).sum(axis=p.reduce.axes, keepdims=True) + p.input_offset_sum
    scaled = multiply_by_quantized_multiplier(wrap32(sums), p.requant.multiplier, p.requant.shift)
    limits = np.iinfo(p.reduce.dtype)
    values = np.clip(wrap32(scaled + p.output_offset), limits.min, limits.max)
    return values.astype(limits.dtype).reshape(p.reduce.output_shape)


def _max(p: ReduceParams, inputs: Sequence[Array]) -> Array:
    values: Array = inputs[0].max(axis=p.axes, keepdims=True).reshape(p.output_shape)
    return values


def _min(p: ReduceParams, inputs: Sequence[Array]) -> Array:
    values: Array = inputs[0].min(axis=p.axes, keepdims=True).reshape(p.output_shape)
    return values


def _c_axes(p: ReduceParams) -> dict[str, str]:
    """The kept and the reduced axes as nn_axis_t[NN_REDUCE_AXES] initialisers."""
    fields = {}
    steps = list(zip(p.input_shape, dense_strides(p.input_shape), strict=True))
    for field, reduced in (("kept", False), ("reduced", True)):
        axes = merge_axes([step for i, step in enumerate(steps) if (i in p.axes) == reduced])
        padded = [(1, 0)] * (C_AXES - len(axes)) + axes
        fields[field] = "{" + ", ".join(f"{{{axis[0]}, {axis[1]}}}" for axis in padded) + "}"
    return fields


def _c_mean(p: MeanParams) -> CCall:
    return CCall(
        function=MEAN_KERNELS[p.reduce.dtype],
        params_type="nn_mean_t",
        params=_c_axes(p.reduce)
        | {
            "input_offset_sum": str(p.input_offset_sum),
            "output_offset": str(p.output_offset),
            "requant": f"{{{p.requant.multiplier}, {p.requant.shift}}}",
        },
    )


def _c_min(p: ReduceParams) -> CCall:
    return CCall(function="nn_reduce_min_s8", params_type="nn_reduce_t", params=_c_axes(p))


def _c_max(p: ReduceParams) -> CCall:
    return CCall(function="nn_reduce_max_s8", params_type="nn_reduce_t", params=_c_axes(p))


KEEP_DIMS: Options = {"keep_dims": (0, "bool", 0)}
MEAN_RANGES: RangeRule[MeanParams] = RangeRule(
    bounds=rising,
    dtypes=INT8,
    may_wrap=lambda p: overflows(255 * math.prod(p.reduce.input_shape), p.requant),
)


def _reduce_demand(found: Channels, op: Operator, p: ReduceParams) -> bool:
    """Channels pass where the last axis is kept apart."""
    return len(p.input_shape) - 1 not in p.axes and channelwise(found, op, p)


def _mean_demand(found: Channels, op: Operator, p: MeanParams) -> bool:
    return _reduce_demand(found, op, p.reduce)


MEAN = OpSpec(
    name="MEAN",
    max_version=3,
    signature=signature(inputs=2, table=27, options=KEEP_DIMS),
    prepare=_prepare_mean,
    reference=_mean,
    calls=lambda p: (_c_mean(p),),
    rounding=Rounding.DOUBLE,
    int16_rounding=None,
    macs=no_macs,
    in_place=not_in_place,
    alias=no_alias,
    state=(),
    ranges=MEAN_RANGES,
    folding=FoldRule(demand=_mean_demand, shrink=as_it_is),
    advice=RESCALES,
    kernels=Kernels(armv7em=Lowering.MEAN, xtensa=NO_LANES),
)

SUM = OpSpec(
    name="SUM",
    max_version=2,
    signature=signature(inputs=2, table=27, options=KEEP_DIMS),
    prepare=_prepare_sum,
    reference=_mean,
    calls=lambda p: (_c_mean(p),),
    rounding=Rounding.DOUBLE,
    int16_rounding=None,
    macs=no_macs,
    in_place=not_in_place,
    alias=no_alias,
    state=(),
    ranges=MEAN_RANGES,
    folding=FoldRule(demand=_mean_demand, shrink=as_it_is),
    advice=Without(reason="not looked at yet"),
    kernels=Kernels(armv7em=Lowering.MEAN, xtensa=NO_LANES),
)

REDUCE_MAX = OpSpec(
    name="REDUCE_MAX",
    max_version=2,
    signature=signature(inputs=2, table=27, options=KEEP_DIMS),
    prepare=_prepare_max,
    reference=_max,
    calls=lambda p: (_c_max(p),),
    rounding=Rounding.NONE,
    int16_rounding=None,
    macs=no_macs,
    in_place=not_in_place,
    alias=no_alias,
    state=(),
    ranges=RISING,
    folding=FoldRule(demand=_reduce_demand, shrink=as_it_is),
    advice=Without(reason="it does not rescale"),
    kernels=reference_kernels("none is written yet"),
)

REDUCE_MIN = replace(REDUCE_MAX, name="REDUCE_MIN", reference=_min, calls=lambda p: (_c_min(p),))
REDUCE_ALL = replace(
    REDUCE_MIN,
    name="REDUCE_ALL",
    prepare=_prepare_all,
    ranges=Without(reason="its outputs are truth values"),
    folding=Without(reason="its outputs are truth values"),
)
