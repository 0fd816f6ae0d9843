"""DEPTHWISE_CONV_2D: packed for 3 x 3, by four channels, or as a convolution where it is one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from quantize.lowering.base import LoweredStep, with_kernel
from quantize.lowering.conv_cortex_m import convolution
from quantize.lowering.depthwise_lines import lower_lines, lower_rows
from quantize.lowering.offsets import FACTOR_LIMIT, LEAST_BITS, offset_values
from quantize.lowering.packing import (
    Fields,
    bounds_of,
    fields_of,
    first_short_form,
    sums_begin,
    words_constant,
)
from quantize.ops.base import CCall, CConstant
from quantize.ops.conv_2d import ConvParams
from quantize.reference import Step
from quantize.scheme import IntArray, wrap32
from quantize.tflite.graph import Graph
from quantize.timings import NOTHING, Cost, cortex_m

WINDOW = 3  # rows and columns
GROUP = 4  # channels at a time
UNITS = 6  # at most so many columns at a time
BYTES = {"borders", "left", "pad_h", "pad_w", "block"}  # fields of 8 bits, the others have 16
GROUP_KERNELS = {  # of a form and a stride
    ("offset", 1): "nn_depthwise_group_s8",
    ("offset", 2): "nn_depthwise_group_by_2_s8",
    ("sign", 1): "nn_depthwise_group_sign_s8",
    ("sign", 2): "nn_depthwise_group_by_2_sign_s8",
}
SIGN_BITS = LEAST_BITS + 1  # by which sums are shifted
STEADY_SHIFT = 8  # of FACTOR_LIMIT and a sum of 512 a code
CHANNEL_BYTES = 32  # of a channel's expanded weights
COLUMN_BYTES = 48  # of a column of the ring: three pairs of rows of four channels
PAIR_BYTES = 80  # of a pair of columns with stride 2: five rows
GROUP_COST = cortex_m(370, words=200, flash=80, jumps=18)
ROWS_COST = cortex_m(56, words=38, jumps=2)
COLUMN_COSTS = {1: cortex_m(117, words=28), 2: cortex_m(179, words=68, jumps=2)}
SIGN_COST = cortex_m(43, words=24)
TAP_COST = cortex_m(5.4, words=1.05, flash=0.54, jumps=0.28)  # of nn_depthwise_conv_2d_quads_s8
OUTPUT_COST = cortex_m(30, words=5, flash=2, jumps=1)


def lower_depthwise(_graph: Graph, step: Step, scratch_budget_bytes: int) -> LoweredStep | None:
    """The fastest kernel that is exact; None with a depth multiplier and for 2 or 3 channels."""
    p: ConvParams = step.params
    if p.input_shape[3] == 1:
        full = replace(p, weights=np.ascontiguousarray(p.weights.transpose(3, 1, 2, 0)))
        return convolution(step, full, scratch_budget_bytes)
    if p.depth_multiplier != 1 or p.input_shape[3] < GROUP:
        return None
    faster = lower_lines(step, p, scratch_budget_bytes) or _packed(step, p)
    faster = faster or lower_rows(step, p, scratch_budget_bytes)
    outputs = int(np.prod(p.output_shape))
    cost = step.spec.macs(p) * TAP_COST + outputs * OUTPUT_COST
    return faster or with_kernel(step, "nn_depthwise_conv_2d_quads_s8", cost)


@dataclass(frozen=True, slots=True)
class _Channels:
    """What a stream has of them: values and weights as `offset_values`."""

    form: Literal["offset", "sign"]
    values: IntArray
    weights: IntArray


def _packed(step: Step, p: ConvParams) -> LoweredStep | None:
    """nn_depthwise_conv_2d_packed_s8; None where its requantisation or its window do not fit."""
    weights = three_by_three(p)
    if weights is None:
        return None
    plain = offset_values(p, weights)
    channels = _Channels("offset", *plain) if plain else _with_signs(p, weights)
    if channels is None:
        return None
    call = packed_call(
        "nn_depthwise_conv_2d_packed_s8",
        p,
        values=channels.values,
        weights=channels.weights,
        fields={"out_zero_point": str(p.output_offset)},
        group=GROUP_KERNELS[channels.form, p.window.stride[0]],
        channel_bytes=CHANNEL_BYTES,
    )
    return LoweredStep(
        step=step,
        calls=(call,),
        in_place=(0,) if works_in_place(p) else (),
        requantisation=channels.form,
        cost=_cost(p, channels.form),
    )


def _with_signs(p: ConvParams, weights: IntArray) -> _Channels | None:
    """In the form "sign", where it is exact with the constant that the kernel takes for a shift.

    The first bit of multipliers, which have 31, is what says SIGN_BITS. A channel of one output has
    no weights: its sum is the one that STEADY_SHIFT takes to that.
    """
    requants = first_short_form(p, weights, ("sign",), limit=1 << 31)
    if requants is None:
        return None
    numbers = np.array([(r.multiplier, r.constant, r.shift) for r in requants], np.int64)
    factor, constant, shift = numbers.T
    steady = factor == 0
    lowest, highest = bounds_of(p, weights)
    made = ((2 * p.output_offset + 1) << shift) >> 1
    large = np.maximum(-lowest, highest) >= 1 << (31 - SIGN_BITS)
    if np.any(~steady & ((factor < FACTOR_LIMIT) | (constant != made) | large)):
        return None
    least = (
        constant + (lowest >> 31)
    ) >> shift  # as the form makes an output of it, with no product
    alone = (np.clip(least, -128, 127) - p.output_offset) << (STEADY_SHIFT + 1)
    first = np.where(steady, alone, sums_begin(p, weights)) << SIGN_BITS
    first += np.where(steady, STEADY_SHIFT, shift)
    values = np.column_stack([first, np.where(steady, FACTOR_LIMIT, factor)])
    return _Channels("sign", values, np.where(steady[:, None], 0, weights))


def packed_call(
    function: str,
    p: ConvParams,
    *,
    values: IntArray,
    weights: IntArray,
    fields: Fields,
    group: str,
    channel_bytes: int,
) -> CCall:
    """A call with an nn_depthwise_packed_t; `values` [channels, 2], `weights` [channels, 9]."""
    sizes = _sizes(p)
    return CCall(
        function=function,
        params_type="nn_depthwise_packed_t",
        params={
            **{name: str(size) for name, size in sizes.items()},
            "zero_point": str(-p.input_offset),
            **fields,
            "stream": "@stream",
            "group": group,
        },
        constants=(_stream(values, weights),),
        scratch_bytes=GROUP * channel_bytes + 4 * sizes["ring"],
    )


def _stream(values: IntArray, weights: IntArray) -> CConstant:
    """Of each four channels their values, then their weights, a byte each."""
    parts = []
    for c in range(0, len(values), GROUP):
        parts.append(wrap32(values[c : c + GROUP]).astype("<i4").tobytes())
        parts.append(weights[c : c + GROUP].astype(np.int8).tobytes())
    stream = b"".join(parts)
    words = np.frombuffer(stream + bytes(-len(stream) % 4), "<i4").astype(np.int64)
    return replace(words_constant("stream", words, biases=len(values)), weight_bytes=weights.size)


def _sizes(p: ConvParams) -> dict[str, int]:
    """Of the fields of an nn_depthwise_packed_t; BYTES and 16 bits are room for them."""
    stride, (pad_h, pad_w) = p.window.stride[0], p.window.pad
    _, out_h, out_w, _ = p.output_shape
    columns = (out_w - 1) * stride + WINDOW
    inside = min(p.input_shape[2], columns - pad_w)
    left, end, places = pad_w // stride, -(-(pad_w + inside) // stride), -(-columns // stride)
    words = (COLUMN_BYTES if stride == 1 else PAIR_BYTES) // 4
    return {
        **dict(zip(("images", "height", "width", "depth"), p.input_shape, strict=True)),
        "out_height": out_h,
        "out_width": out_w,
        "inside": inside,
        "ring": places * words,
        "borders": (left + places - end) * words,
        "left": left * words,
        "pad_h": pad_h,
        "pad_w": pad_w,
        "block": _block(out_w),
    }


def _cost(p: ConvParams, form: str) -> Cost:
    """Of each four channels, two rows of outputs of these, and a column of both rows."""
    stride, (n, height, width, channels) = p.window.stride[0], p.output_shape
    column = COLUMN_COSTS[stride] + (SIGN_COST if form == "sign" else NOTHING)
    columns = -(-width // UNITS) * _block(width)
    rows = -(-height // 2) * (ROWS_COST + columns * column)
    return n * -(-channels // GROUP) * (GROUP_COST + rows)


def three_by_three(p: ConvParams) -> IntArray | None:
    """Weights [channels, 9], a smaller window with zeros around it; None for another window, or
    where a size has no room in an nn_depthwise_packed_t."""
    w = p.window
    plain = w.stride in ((1, 1), (2, 2)) and w.dilation == (1, 1)
    if not plain or max(w.kernel) > WINDOW or fields_of(_sizes(p), BYTES) is None:
        return None
    missing = [(0, WINDOW - size) for size in w.kernel]
    full = np.pad(p.weights[0].astype(np.int64), (*missing, (0, 0)))
    return full.reshape(WINDOW * WINDOW, -1).T


def _block(width: int) -> int:
    """Columns at a time: as many in each block, but for an overlap of the last two."""
    return -(-width // -(-width // UNITS))


def works_in_place(p: ConvParams) -> bool:
    """Whether every row is in the ring before an output of its channels lies on it."""
    _, out_h, out_w, _ = p.output_shape
    _, in_h, in_w, _ = p.input_shape
    stride = p.window.stride[0]
    written = np.minimum(np.arange(2, out_h + 2, 2), out_h)  # rows, two at a time
    loaded = (written - 1) * stride + WINDOW - p.window.pad[0]
    fits = (written * out_w <= loaded * in_w) | (loaded >= in_h)
    return bool(fits.all()) and out_h * out_w <= in_h * in_w
