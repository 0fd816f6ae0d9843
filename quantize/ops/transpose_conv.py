"""TRANSPOSE_CONV: int8 or int16 transposed convolution, weights per channel or tensor."""

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
    c_shape,
    channel_requants,
    check_shape,
    int8_weights,
    int_constant,
    malformed,
    no_alias,
    not_in_place,
    refuse,
    sum_bias,
    window,
)
from quantize.ops.range_rules import tap_sums
from quantize.ops.rules import Advice, Interval, Kernels, Lowering, SumRule, Weights, Without
from quantize.ops.window import Window, c_constants, c_fields, int16_rounding, output_values
from quantize.scheme import Requant, Rounding, activation_range
from quantize.tflite.graph import Graph, Operator
from quantize.tflite.signatures import Signature

KERNELS = {"int8": "nn_transpose_conv_s8", "int16": "nn_transpose_conv_s16"}
MAX_STRIDE = 1 << 16  # a kernel's position plus a stride stays within 32 bits


@dataclass(frozen=True, slots=True, kw_only=True)
class TransposeConvParams:
    """The integers of a TRANSPOSE_CONV."""

    dtype: str  # of input and output
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    window: Window  # over the output
    input_offset: int
    output_offset: int
    act_min: int
    act_max: int
    weights: Int8Array  # [out_c, kh, kw, in_c]
    bias: Array  # its type is that of the sums
    requants: tuple[Requant, ...]


def prepare(graph: Graph, op: Operator) -> TransposeConvParams:
    """Check a TRANSPOSE_CONV: its input is as large as a convolution of its output would be."""
    source, source_quant = activation_input(graph, op, 2, INT8_OR_INT16)
    target, target_quant = activation_output(graph, op, (source.dtype,))
    _, weight_quant, weights = int8_weights(graph, op, 4)
    channels, kernel = weights.shape[0], weights.shape[1:3]
    if len(source.shape) != 4 or source.shape[3] != weights.shape[3]:
        raise malformed(
            op, f"input {list(source.shape)} does not fit weights {list(weights.shape)}"
        )
    if weight_quant.per_channel and weight_quant.axis != 0:
        raise malformed(op, f"weights are quantised along axis {weight_quant.axis}, not 0")
    expected = int_constant(graph, op, 0)
    if len(expected) != 4:
        raise malformed(op, f"the output's shape has {len(expected)} values, expected 4")
    if expected[0] != source.shape[0] or expected[3] != channels:
        raise malformed(op, f"output shape {list(expected)} does not fit input and weights")
    check_shape(op, target, expected)
    stride = (int(op.options["stride_h"]), int(op.options["stride_w"]))
    if max(stride) > MAX_STRIDE:
        raise refuse(op, f"strides {list(stride)}", f"use at most {MAX_STRIDE}")
    rows, pad_h = window(op, target.shape[1], kernel[0], stride[0], 1)
    columns, pad_w = window(op, target.shape[2], kernel[1], stride[1], 1)
    if source.shape[1:3] != (rows, columns):
        raise malformed(op, f"input is {list(source.shape[1:3])}, expected {[rows, columns]}")
    act_min, act_max = activation_range(int(op.options["activation"]), target_quant, target.dtype)
    bias = sum_bias(graph, op, source, channels, position=3, other="int16")
    return TransposeConvParams(
        dtype=source.dtype,
        input_shape=source.shape,
        output_shape=target.shape,
        window=Window(kernel=kernel, stride=stride, dilation=(1, 1), pad=(pad_h, pad_w)),
        input_offset=-source_quant.zero_point[0],
        output_offset=target_quant.zero_point[0],
        act_min=act_min,
        act_max=act_max,
        weights=weights,
        bias=bias,
        requants=channel_requants(source_quant, weight_quant, target_quant, bias),
    )


def reference(p: TransposeConvParams, inputs: Sequence[Array]) -> Array:
    """(shape, weights, [n, h, w, in_c], bias) -> [n, out_h, out_w, out_c]."""
    values = inputs[2].astype(np.float64) + p.input_offset
    n, rows, columns, _ = p.input_shape
    (kh, kw), (sh, sw), (pad_h, pad_w) = p.window.kernel, p.window.stride, p.window.pad
    height, width, channels = p.output_shape[1:]
    # Every tap adds a strided lattice; the margin holds what falls outside the output.
    span = (max((rows - 1) * sh + kh, pad_h + height), max((columns - 1) * sw + kw, pad_w + width))
    sums = np.zeros((n, *span, channels), np.int64)
    for y in range(kh):
        for x in range(kw):
            tap = values @ p.weights[:, y, x].T.astype(np.float64)  # exact: |sum| < 2**53
            lattice = (slice(y, y + rows * sh, sh), slice(x, x + columns * sw, sw))
            sums[:, lattice[0], lattice[1]] += tap.astype(np.int64)
    return output_values(sums[:, pad_h : pad_h + height, pad_w : pad_w + width], p)


def _c_call(p: TransposeConvParams) -> CCall:
    return CCall(
        function=KERNELS[p.dtype],
        params_type="nn_conv_t",
        params={
            "input": c_shape(p.input_shape),
            "output": c_shape(p.output_shape),
            "window": p.window.c_initialiser(),
        }
        | c_fields(p),
        constants=c_constants(p),
        inputs=(2,),
    )


# Its products for one output depend on the stride: a layer that does not compile counts none.
WEIGHTS = Weights(axis=0, products=lambda _: 0)


def _sums(p: TransposeConvParams, source: Interval, _: tuple[int, ...]) -> Interval:
    """An output is reached by some taps, or by none."""
    return tap_sums(p, p.weights.reshape(len(p.weights), -1), source, padded=True)


SPEC = OpSpec(
    name="TRANSPOSE_CONV",
    max_version=4,
    signature=Signature(
        inputs=(3, 4),
        outputs=(1, 1),
        table=49,
        options={
            "padding": (0, "i8", 0),
            "stride_w": (1, "i32", 0),
            "stride_h": (2, "i32", 0),
            "activation": (3, "i8", 0),
        },
    ),
    prepare=prepare,
    reference=reference,
    calls=lambda p: (_c_call(p),),
    rounding=Rounding.DOUBLE,
    int16_rounding=int16_rounding,
    macs=lambda p: int(np.prod(p.input_shape[:3])) * p.weights.size,
    in_place=not_in_place,
    alias=no_alias,
    state=(),
    ranges=SumRule(source=2, sums=_sums),
    folding=Without(reason="no network has lost a channel here yet"),
    advice=Advice(weights=WEIGHTS, rescales=True),
    kernels=Kernels(armv7em=Lowering.TRANSPOSE_CONV, xtensa=Without(reason="none is written yet")),
)
