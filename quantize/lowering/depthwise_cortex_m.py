"""DEPTHWISE_CONV_2D: packed for 3 x 3, by four channels, or as a convolution where it is one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from quantize.lowering.base import LoweredStep, with_kernel
from quantize.lowering.conv_cortex_m import convolution
from quantize.lowering.depthwise_lines import lower_lines, lower_rows
from quantize.lowering.packing import first_short_form, first_values, words_constant
from quantize.ops.base import CCall, int_constant_array
from quantize.ops.conv_2d import ConvParams
from quantize.proofs import Form
from quantize.reference import Step
from quantize.scheme import IntArray
from quantize.tflite.graph import Graph
from quantize.timings import NOTHING, Cost, cortex_m

C_FORMS: dict[Form, str] = {"fixed": "NN_FIXED", "sign": "NN_SIGN"}  # the shorter first
KERNEL = 3
GROUP = 4  # channels at a time
UNITS = 6  # at most so many columns at a time
BYTES = {"borders", "left", "pad_h", "pad_w", "block"}  # fields of 8 bits, the others have 16
GROUP_KERNELS = {1: "nn_depthwise_group_s8", 2: "nn_depthwise_group_by_2_s8"}
CHANNEL_BYTES = 40  # of a channel's expanded weights
COLUMN_BYTES = 48  # of a column of the ring: three pairs of rows of four channels
PAIR_BYTES = 80  # of a pair of columns with stride 2: five rows
GROUP_COST = cortex_m(370, words=200, flash=80, jumps=18)
ROWS_COST = cortex_m(56, words=38, jumps=2)
COLUMN_COSTS = {1: cortex_m(117, words=28), 2: cortex_m(179, words=68, jumps=2)}
SIGN_COST = cortex_m(30, words=24)
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


def _packed(step: Step, p: ConvParams) -> LoweredStep | None:
    """nn_depthwise_conv_2d_packed_s8; None where its requantisation or its window do not fit."""
    weights = three_by_three(p)
    if weights is None:
        return None
    requants = first_short_form(p, weights, tuple(C_FORMS), limit=1 << 31)
    if requants is None:
        return None
    first = first_values(p, weights, requants)
    call = packed_call(
        "nn_depthwise_conv_2d_packed_s8",
        p,
        values=[(v, r.multiplier, r.constant) for v, r in zip(first, requants, strict=True)],
        taps=np.column_stack(
            [weights, [r.shift if r.form == "sign" else r.pre_shift for r in requants]]
        ),
        form=C_FORMS[requants[0].form],
        group=GROUP_KERNELS[p.window.stride[0]],
    )
    return LoweredStep(
        step=step,
        calls=(call,),
        in_place=(0,) if works_in_place(p) else (),
        requantisation=requants[0].form,
        cost=_cost(p, requants[0].form),
    )


def packed_call(
    function: str,
    p: ConvParams,
    *,
    values: Sequence[tuple[int, int, int]],
    taps: IntArray,
    form: str,
    group: str,
) -> CCall:
    """A call with an nn_depthwise_packed_t; `taps` [channels, 10], of weights and a shift."""
    sizes = _sizes(p)
    return CCall(
        function=function,
        params_type="nn_depthwise_packed_t",
        params={
            **{name: str(size) for name, size in sizes.items()},
            "form": form,
            "zero_point": str(-p.input_offset),
            "values": "@values",
            "taps": "@taps",
            "group": group,
        },
        constants=(
            words_constant("values", np.array(values), biases=len(values)),
            replace(
                int_constant_array("taps", "int8_t", taps.astype(np.int8)),
                weight_bytes=KERNEL * KERNEL * len(taps),
            ),
        ),
        scratch_bytes=GROUP * CHANNEL_BYTES + 4 * sizes["ring"],
    )


def _sizes(p: ConvParams) -> dict[str, int]:
    """Of the fields of an nn_depthwise_packed_t; BYTES and 16 bits are room for them."""
    stride, (pad_h, pad_w) = p.window.stride[0], p.window.pad
    _, out_h, out_w, _ = p.output_shape
    columns = (out_w - 1) * stride + KERNEL
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


def _fit(sizes: dict[str, int]) -> bool:
    return all(0 <= size < 1 << (8 if name in BYTES else 16) for name, size in sizes.items())


def _cost(p: ConvParams, form: Form) -> Cost:
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
    if not plain or max(w.kernel) > KERNEL or not _fit(_sizes(p)):
        return None
    missing = [(0, KERNEL - size) for size in w.kernel]
    full = np.pad(p.weights[0].astype(np.int64), (*missing, (0, 0)))
    return full.reshape(KERNEL * KERNEL, -1).T


def _block(width: int) -> int:
    """Columns at a time: as many in each block, but for an overlap of the last two."""
    return -(-width // -(-width // UNITS))


def works_in_place(p: ConvParams) -> bool:
    """Whether every row is in the ring before an output of its channels lies on it."""
    _, out_h, out_w, _ = p.output_shape
    _, in_h, in_w, _ = p.input_shape
    stride = p.window.stride[0]
    written = np.minimum(np.arange(2, out_h + 2, 2), out_h)  # rows, two at a time
    loaded = (written - 1) * stride + KERNEL - p.window.pad[0]
    fits = (written * out_w <= loaded * in_w) | (loaded >= in_h)
    return bool(fits.all()) and out_h * out_w <= in_h * in_w
