"""DEPTHWISE_CONV_2D: int8 or int16 convolution of each channel, with a depth multiplier."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from quantize.ops.base import (
    INT8_OR_INT16,
    Array,
    OpSpec,
    activation_input,
    int8_weights,
    malformed,
    no_alias,
    not_in_place,
    refuse,
    weight_types,
)
from quantize.ops.conv_2d import ConvParams, conv_call, conv_params, is_padded
from quantize.ops.fold_rules import with_weights
from quantize.ops.rules import (
    Advice,
    Channels,
    FoldRule,
    Interval,
    Kernels,
    Lowering,
    Shrinking,
    SumRule,
    Weights,
)
from quantize.ops.window import int16_rounding, output_values, patches, sum_type
from quantize.proofs import acc_bounds
from quantize.scheme import Rounding
from quantize.tflite.graph import Graph, Operator
from quantize.tflite.signatures import Signature

KERNELS = {"int8": "nn_depthwise_conv_2d_s8", "int16": "nn_depthwise_conv_2d_s16"}


def prepare(graph: Graph, op: Operator) -> ConvParams:
    """Check a DEPTHWISE_CONV_2D; weights are [1, kh, kw, in_c * depth_multiplier]."""
    source, _ = activation_input(graph, op, 0, INT8_OR_INT16)
    _, _, weights = int8_weights(graph, op, 4, weight_types(source))
    channels = weights.shape[3]
    if len(source.shape) != 4 or weights.shape[0] != 1 or channels % source.shape[3]:
        raise malformed(
            op, f"input {list(source.shape)} does not fit weights {list(weights.shape)}"
        )
    if len(op.inputs) == 3 and op.inputs[2] < 0:
        fix = "TFLite Micro crashes on it; export with a bias"
        raise refuse(op, "an absent bias is spelt as input -1", fix)
    multiplier = channels // source.shape[3]
    if op.options["depth_multiplier"] != multiplier:
        stated = op.options["depth_multiplier"]
        raise malformed(op, f"depth multiplier {stated}, its shapes say {multiplier}")
    return conv_params(graph, op, weights.shape[1:3], channels, multiplier)


def reference(p: ConvParams, inputs: Sequence[Array]) -> Array:
    """[n, h, w, in_c] -> [n, out_h, out_w, in_c * depth_multiplier]."""
    dtype = sum_type(p)
    taps = patches(inputs[0], p.window, p.output_shape, p.input_offset, dtype)
    weights = p.weights[0].reshape(*p.window.kernel, -1, p.depth_multiplier).astype(dtype)
    sums = np.einsum("nyxijc,ijcm->nyxcm", taps, weights).reshape(p.output_shape)
    return output_values(sums.astype(np.int64), p)


WEIGHT_AXIS = 3  # of output channels
WEIGHTS = Weights(axis=WEIGHT_AXIS, products=lambda shape: math.prod(shape[1:3]))


def _sums(p: ConvParams, source: Interval, _: tuple[int, ...]) -> Interval:
    """A row of taps for each output channel, all of the same input channel."""
    rows = p.weights.reshape(-1, p.weights.shape[-1]).T
    repeats = len(rows) // len(source.low)
    taps = [np.repeat(end, repeats)[:, None] for end in (source.low, source.high)]
    low, high = acc_bounds(rows, p.bias, p.input_offset, *taps, padded=is_padded(p))
    return Interval(low=low, high=high)


def _demand(found: Channels, op: Operator, p: ConvParams) -> bool:
    """Every input channel goes with all of its outputs; a single one stays, outputs are free."""
    source, output = op.inputs[0], op.outputs[0]
    if len(found.gone[source]) > 1:
        outputs = found.gone[output].reshape(-1, p.depth_multiplier)
        whole = outputs.all(axis=1) & found.gone[source]
        found.keep(source, ~whole)
        found.keep(output, ~np.repeat(whole, p.depth_multiplier))
    return True


def _shrink(s: Shrinking, op: Operator, p: ConvParams) -> Operator:
    rows, columns = s.stays(op.outputs[0]), s.stays(op.inputs[0])
    multiplier = {"depth_multiplier": int(rows.sum() // columns.sum())}
    smaller = with_weights(s, op, p.weights[..., rows], p.bias[rows], WEIGHT_AXIS)
    return replace(smaller, options=op.options | multiplier)


SPEC = OpSpec(
    name="DEPTHWISE_CONV_2D",
    max_version=7,
    signature=Signature(
        inputs=(2, 3),
        outputs=(1, 1),
        table=2,
        options={
            "padding": (0, "i8", 0),
            "stride_w": (1, "i32", 0),
            "stride_h": (2, "i32", 0),
            "depth_multiplier": (3, "i32", 0),
            "activation": (4, "i8", 0),
            "dilation_w": (5, "i32", 1),
            "dilation_h": (6, "i32", 1),
        },
    ),
    prepare=prepare,
    reference=reference,
    calls=lambda p: (conv_call(KERNELS, p),),
    rounding=Rounding.DOUBLE,
    int16_rounding=int16_rounding,
    macs=lambda p: int(np.prod(p.output_shape)) * p.weights.shape[1] * p.weights.shape[2],
    in_place=not_in_place,
    alias=no_alias,
    state=(),
    ranges=SumRule(source=0, sums=_sums),
    folding=FoldRule(demand=_demand, shrink=_shrink),
    advice=Advice(weights=WEIGHTS, rescales=True),
    kernels=Kernels(armv7em=Lowering.DEPTHWISE, xtensa=Lowering.DEPTHWISE),
)
