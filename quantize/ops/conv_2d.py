"""CONV_2D: int8 convolution, per-channel or per-tensor weights, any stride and dilation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quantize.ops.base import (
    CCall,
    Int8Array,
    OpSpec,
    activation_input,
    c_shape,
    channel_requants,
    check_shape,
    check_taps,
    int8_output,
    int8_weights,
    int32_bias,
    malformed,
    window,
)
from quantize.ops.window import Window, c_constants, c_fields, output_values, patches
from quantize.scheme import Requant, Rounding, activation_range
from quantize.tflite.graph import Graph, Operator


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvParams:
    """The integers of a convolution, shared by CONV_2D and DEPTHWISE_CONV_2D."""

    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    window: Window
    input_offset: int
    output_offset: int
    act_min: int
    act_max: int
    depth_multiplier: int
    weights: Int8Array
    bias: npt.NDArray[np.int32]
    requants: tuple[Requant, ...]


def conv_params(
    graph: Graph, op: Operator, kernel: tuple[int, int], channels: int, depth_multiplier: int
) -> ConvParams:
    """Check what both convolutions have in common and compute their integers."""
    source, source_quant = activation_input(graph, op, 0)
    target, target_quant = int8_output(graph, op)
    _, weight_quant, weights = int8_weights(graph, op, 4)
    axis = 0 if op.name == "CONV_2D" else 3
    if weight_quant.per_channel and weight_quant.axis != axis:
        raise malformed(op, f"weights are quantised along axis {weight_quant.axis}, not {axis}")
    n, height, width, _ = source.shape
    o = op.options
    out_h, pad_h = window(op, height, kernel[0], int(o["stride_h"]), int(o["dilation_h"]))
    out_w, pad_w = window(op, width, kernel[1], int(o["stride_w"]), int(o["dilation_w"]))
    check_shape(op, target, (n, out_h, out_w, channels))
    check_taps(op, (n, out_h, out_w, source.shape[3] * max(depth_multiplier, 1)), kernel)
    act_min, act_max = activation_range(int(o["activation"]), target_quant)
    return ConvParams(
        input_shape=source.shape,
        output_shape=target.shape,
        window=Window(
            kernel=kernel,
            stride=(int(o["stride_h"]), int(o["stride_w"])),
            dilation=(int(o["dilation_h"]), int(o["dilation_w"])),
            pad=(pad_h, pad_w),
        ),
        input_offset=-source_quant.zero_point[0],
        output_offset=target_quant.zero_point[0],
        act_min=act_min,
        act_max=act_max,
        depth_multiplier=depth_multiplier,
        weights=weights,
        bias=int32_bias(graph, op, channels),
        requants=channel_requants(source_quant, weight_quant, target_quant, channels),
    )


def conv_call(function: str, p: ConvParams) -> CCall:
    """The C call of a convolution kernel."""
    return CCall(
        function=function,
        params_type="nn_conv_t",
        params={
            "input": c_shape(p.input_shape),
            "output": c_shape(p.output_shape),
            "window": p.window.c_initialiser(),
            "depth_multiplier": str(p.depth_multiplier),
        }
        | c_fields(p),
        constants=c_constants(p),
    )


def prepare(graph: Graph, op: Operator) -> ConvParams:
    """Check a CONV_2D; weights are [out_c, kh, kw, in_c]."""
    source, _ = activation_input(graph, op, 0)
    _, _, weights = int8_weights(graph, op, 4)
    if len(source.shape) != 4 or source.shape[3] != weights.shape[3]:
        raise malformed(
            op, f"input {list(source.shape)} does not fit weights {list(weights.shape)}"
        )
    return conv_params(graph, op, weights.shape[1:3], weights.shape[0], 0)


def reference(p: ConvParams, inputs: Sequence[Int8Array]) -> Int8Array:
    """[n, h, w, in_c] -> [n, out_h, out_w, out_c]."""
    columns = patches(inputs[0], p.window, p.output_shape, p.input_offset)
    # float64 holds these sums exactly: |sum| <= 255 * 128 * taps < 2**53
    sums = columns.reshape(-1, p.weights[0].size) @ p.weights.reshape(len(p.weights), -1).T.astype(
        np.float64
    )
    return output_values(sums.astype(np.int64), p).reshape(p.output_shape)


SPEC = OpSpec(
    name="CONV_2D",
    max_version=8,
    rounding=Rounding.DOUBLE,
    prepare=prepare,
    reference=reference,
    calls=lambda p: (conv_call("nn_conv_2d_s8", p),),
    macs=lambda p: int(np.prod(p.output_shape)) * p.weights[0].size,
)
