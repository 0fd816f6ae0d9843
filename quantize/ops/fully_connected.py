"""FULLY_CONNECTED: int8 or int16 matrix product, per-tensor or per-channel weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from quantize.ops.base import (
    INT8_OR_INT16,
    Array,
    CCall,
    Int8Array,
    OpSpec,
    activation_input,
    activation_output,
    channel_requants,
    int8_weights,
    malformed,
    no_alias,
    not_in_place,
    refuse,
    sum_bias,
    weight_types,
    wrong_shape,
)
from quantize.ops.fold_rules import sum_rule
from quantize.ops.range_rules import gathered, spread, tap_sums
from quantize.ops.rules import Advice, Interval, Kernels, Lowering, SumRule, Weights
from quantize.ops.window import c_constants, c_fields, int16_rounding, output_values
from quantize.scheme import Requant, Rounding, activation_range
from quantize.tflite.graph import Graph, Operator
from quantize.tflite.signatures import Signature

KERNELS = {"int8": "nn_fully_connected_s8", "int16": "nn_fully_connected_s16"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FullyConnectedParams:
    """The integers of a FULLY_CONNECTED."""

    dtype: str  # of input and output
    output_shape: tuple[int, ...]
    input_offset: int
    output_offset: int
    act_min: int
    act_max: int
    weights: Int8Array  # [output_depth, input_depth]
    bias: Array  # its type is that of the sums
    requants: tuple[Requant, ...]


def prepare(graph: Graph, op: Operator) -> FullyConnectedParams:
    """Check a FULLY_CONNECTED; the input is flattened to [batches, input_depth]."""
    source, source_quant = activation_input(graph, op, 0, INT8_OR_INT16)
    target, target_quant = activation_output(graph, op, (source.dtype,))
    weight, weight_quant, weights = int8_weights(graph, op, 2, weight_types(source))
    if op.options["weights_format"] != 0:
        raise refuse(op, "shuffled weights", "export with the default weights format")
    depth = weights.shape[1]
    rows = source.elements // depth
    fits = source.elements == rows * depth and target.elements == rows * len(weights)
    if not fits or target.shape[-1:] != (len(weights),):
        what = (
            f"input {list(source.shape)}, weights {list(weights.shape)} and output "
            f"{list(target.shape)} do not fit together"
        )
        outer = source.shape[:-1] if op.options["keep_num_dims"] else (rows,)
        raise wrong_shape(op, target, (*outer, len(weights)), what)
    if weight_quant.per_channel and weight_quant.axis != 0:
        raise malformed(op, f"weights are quantised along axis {weight_quant.axis}, not 0")
    if weight_quant.per_channel and weight.dtype == "int4":
        fix = "TFLite Micro knows int4 with one scale here; quantise them per tensor"
        raise refuse(op, f"int4 weights with {len(weight_quant.scale)} scales", fix)
    act_min, act_max = activation_range(int(op.options["activation"]), target_quant, target.dtype)
    bias = sum_bias(graph, op, source, len(weights), other="int32")
    return FullyConnectedParams(
        dtype=source.dtype,
        output_shape=target.shape,
        input_offset=-source_quant.zero_point[0],
        output_offset=target_quant.zero_point[0],
        act_min=act_min,
        act_max=act_max,
        weights=weights,
        bias=bias,
        requants=channel_requants(source_quant, weight_quant, target_quant, bias),
    )


def reference(p: FullyConnectedParams, inputs: Sequence[Array]) -> Array:
    """[..., input_depth] -> output_shape."""
    rows = inputs[0].reshape(-1, p.weights.shape[1]).astype(np.float64) + p.input_offset
    sums = rows @ p.weights.T.astype(np.float64)  # exact: |sum| < 2**53
    return output_values(sums.astype(np.int64), p).reshape(p.output_shape)


def _c_call(p: FullyConnectedParams) -> CCall:
    output_depth, input_depth = p.weights.shape
    return CCall(
        function=KERNELS[p.dtype],
        params_type="nn_fully_connected_t",
        params={
            "batches": str(int(np.prod(p.output_shape)) // output_depth),
            "input_depth": str(input_depth),
            "output_depth": str(output_depth),
        }
        | c_fields(p),
        constants=c_constants(p),
    )


WEIGHT_AXIS = 0  # of output channels
WEIGHTS = Weights(axis=WEIGHT_AXIS, products=lambda shape: shape[-1])


def _sums(p: FullyConnectedParams, source: Interval, shape: tuple[int, ...]) -> Interval:
    """A row of inputs may hold several channels' worth of the source, or a part of it."""
    low, high = (spread(end, p.dtype, shape) for end in (source.low, source.high))
    return tap_sums(p, p.weights, gathered(low, high, p.weights.shape[1]), padded=False)


SPEC = OpSpec(
    name="FULLY_CONNECTED",
    max_version=12,
    signature=Signature(
        inputs=(2, 3),
        outputs=(1, 1),
        table=8,
        options={
            "activation": (0, "i8", 0),
            "weights_format": (1, "i8", 0),
            "keep_num_dims": (2, "bool", 0),
        },
    ),
    prepare=prepare,
    reference=reference,
    calls=lambda p: (_c_call(p),),
    rounding=Rounding.DOUBLE,
    int16_rounding=int16_rounding,
    macs=lambda p: int(np.prod(p.output_shape)) * p.weights.shape[1],
    in_place=not_in_place,
    alias=no_alias,
    state=(),
    ranges=SumRule(source=0, sums=_sums),
    folding=sum_rule(axis=WEIGHT_AXIS, is_padded=lambda _: False),
    advice=Advice(weights=WEIGHTS, rescales=True),
    kernels=Kernels(armv7em=Lowering.DENSE, xtensa=Lowering.DENSE),
)
