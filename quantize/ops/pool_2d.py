"""AVERAGE_POOL_2D and MAX_POOL_2D: the mean or maximum of a window, per channel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from quantize.ops.base import (
    INT8_OR_INT16,
    Array,
    CCall,
    OpSpec,
    activation_input,
    activation_output,
    border,
    c_shape,
    check_shape,
    check_taps,
    malformed,
    no_alias,
    no_macs,
    not_in_place,
    refuse,
    window,
)
from quantize.ops.fold_rules import CHANNELWISE
from quantize.ops.range_rules import RISING
from quantize.ops.rules import NO_LANES, Kernels, Lowering, Without
from quantize.ops.window import Window, inside_mask, patches
from quantize.scheme import Rounding, activation_range
from quantize.tflite.graph import Graph, Operator
from quantize.tflite.signatures import Options, signature

AVERAGE_KERNELS = {"int8": "nn_average_pool_2d_s8", "int16": "nn_average_pool_2d_s16"}
MAX_KERNELS = {"int8": "nn_max_pool_2d_s8", "int16": "nn_max_pool_2d_s16"}
MAX_INT16_TAPS = (1 << 16) - 1  # of a mean: more overflow 32 bits


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolParams:
    """The integers of a pooling operator."""

    dtype: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    window: Window
    act_min: int
    act_max: int


def prepare(graph: Graph, op: Operator) -> PoolParams:
    """Check a pooling operator; input and output must share their quantisation."""
    source, source_quant = activation_input(graph, op, 0, INT8_OR_INT16)
    target, target_quant = activation_output(graph, op, (source.dtype,))
    if len(source.shape) != 4:
        raise malformed(op, f"input {list(source.shape)} needs 4 dimensions")
    same_scale = abs(source_quant.scale[0] - target_quant.scale[0]) <= 1.0e-6
    if not same_scale or source_quant.zero_point != target_quant.zero_point:
        raise malformed(op, "input and output differ in scale or zero point")
    n, height, width, channels = source.shape
    o = op.options
    kernel = (int(o["filter_h"]), int(o["filter_w"]))
    rows, columns = border(op)
    out_h, pad_h = window(op, height, kernel[0], int(o["stride_h"]), 1, rows)
    out_w, pad_w = window(op, width, kernel[1], int(o["stride_w"]), 1, columns)
    check_shape(op, target, (n, out_h, out_w, channels))
    check_taps(op, target.shape, kernel)
    taps = min(kernel[0], height) * min(kernel[1], width)
    if op.name == "AVERAGE_POOL_2D" and source.dtype == "int16" and taps > MAX_INT16_TAPS:
        raise refuse(op, f"the mean of {taps} int16 values", f"at most {MAX_INT16_TAPS}")
    act_min, act_max = activation_range(int(o["activation"]), target_quant, target.dtype)
    return PoolParams(
        dtype=source.dtype,
        input_shape=source.shape,
        output_shape=target.shape,
        window=Window(
            kernel=kernel,
            stride=(int(o["stride_h"]), int(o["stride_w"])),
            dilation=(1, 1),
            pad=(pad_h, pad_w),
        ),
        act_min=act_min,
        act_max=act_max,
    )


def average(p: PoolParams, inputs: Sequence[Array]) -> Array:
    """[n, h, w, c] -> [n, out_h, out_w, c]; the mean of the taps inside, half away from zero."""
    sums = patches(inputs[0], p.window, p.output_shape, 0).sum(axis=(3, 4)).astype(np.int64)
    inside = inside_mask(p.input_shape, p.window, p.output_shape)
    count = inside.sum(axis=(2, 3))[None, :, :, None]
    magnitude = (np.abs(sums) + count // 2) // count
    mean: Array = np.clip(np.sign(sums) * magnitude, p.act_min, p.act_max).astype(p.dtype)
    return mean


def maximum(p: PoolParams, inputs: Sequence[Array]) -> Array:
    """[n, h, w, c] -> [n, out_h, out_w, c]; the maximum of the taps inside."""
    taps = patches(inputs[0], p.window, p.output_shape, 0)
    inside = inside_mask(p.input_shape, p.window, p.output_shape)
    largest = np.where(inside[None, ..., None], taps, np.iinfo(p.dtype).min).max(axis=(3, 4))
    clipped: Array = np.clip(largest, p.act_min, p.act_max).astype(p.dtype)
    return clipped


def _calls(kernels: Mapping[str, str]) -> Callable[[PoolParams], tuple[CCall, ...]]:
    return lambda p: (
        CCall(
            function=kernels[p.dtype],
            params_type="nn_pool_t",
            params={
                "input": c_shape(p.input_shape),
                "output": c_shape(p.output_shape),
                "window": p.window.c_initialiser(),
                "act_min": str(p.act_min),
                "act_max": str(p.act_max),
            },
        ),
    )


POOL_OPTIONS: Options = {
    "padding": (0, "i8", 0),
    "stride_w": (1, "i32", 0),
    "stride_h": (2, "i32", 0),
    "filter_w": (3, "i32", 0),
    "filter_h": (4, "i32", 0),
    "activation": (5, "i8", 0),
}

AVERAGE = OpSpec(
    name="AVERAGE_POOL_2D",
    max_version=3,
    signature=signature(inputs=1, table=5, options=POOL_OPTIONS),
    prepare=prepare,
    reference=average,
    calls=_calls(AVERAGE_KERNELS),
    rounding=Rounding.DIVIDE,
    int16_rounding=None,
    macs=no_macs,
    in_place=not_in_place,
    alias=no_alias,
    state=(),
    ranges=RISING,
    folding=CHANNELWISE,
    advice=Without(reason="input and output share their scale"),
    kernels=Kernels(armv7em=Lowering.AVERAGE_POOL, xtensa=NO_LANES),
)
MAX = OpSpec(
    name="MAX_POOL_2D",
    max_version=3,
    signature=signature(inputs=1, table=5, options=POOL_OPTIONS),
    prepare=prepare,
    reference=maximum,
    calls=_calls(MAX_KERNELS),
    rounding=Rounding.NONE,
    int16_rounding=None,
    macs=no_macs,
    in_place=not_in_place,
    alias=no_alias,
    state=(),
    ranges=RISING,
    folding=CHANNELWISE,
    advice=Without(reason="input and output share their scale"),
    kernels=Kernels(armv7em=Lowering.MAX_POOL, xtensa=NO_LANES),
)
