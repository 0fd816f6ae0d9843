"""DEPTHWISE_CONV_2D: int8 or int16 convolution of each channel, with a depth multiplier."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from quantize.ops.base import (
    INT8_OR_INT16,
    Array,
    OpSpec,
    activation_input,
    int8_weights,
    malformed,
    refuse,
    weight_types,
)
from quantize.ops.conv_2d import ConvParams, conv_call, conv_params
from quantize.ops.window import int16_rounding, output_values, patches
from quantize.scheme import Rounding
from quantize.tflite.graph import Graph, Operator

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
    taps = patches(inputs[0], p.window, p.output_shape, p.input_offset)
    repeated = np.repeat(taps, p.depth_multiplier, axis=-1)
    sums = np.einsum("nyxijc,ijc->nyxc", repeated, p.weights[0].astype(np.float64))
    return output_values(sums.astype(np.int64), p)


SPEC = OpSpec(
    name="DEPTHWISE_CONV_2D",
    max_version=7,
    rounding=Rounding.DOUBLE,
    prepare=prepare,
    reference=reference,
    calls=lambda p: (conv_call(KERNELS, p),),
    macs=lambda p: int(np.prod(p.output_shape)) * p.weights.shape[1] * p.weights.shape[2],
    int16_rounding=int16_rounding,
)
