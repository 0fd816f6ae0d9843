"""3 x 3 convolutions of images of one channel, as nn_conv_2d_mono_s8 (nn_depthwise.h)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from quantize.lowering.base import LoweredStep
from quantize.lowering.offsets import offset_values
from quantize.lowering.packing import Fields, fields_of, words_constant
from quantize.ops.base import CCall, int_constant_array
from quantize.ops.conv_2d import ConvParams
from quantize.reference import Step
from quantize.timings import cortex_m

ROW_COST = 140  # instructions
WINDOW = 3  # rows and columns
CHANNEL_BYTES = 32  # of a channel's widened weights
TAPS = (6, 8, 0, 3, 2, 5, 1, 4, 7)  # the order in which they are widened; then one of 0
BYTES = {"stride_h", "stride_w", "pad_h", "pad_w"}  # fields of 8 bits, the others have 16


def one_channel(
    step: Step, p: ConvParams, ahead_bytes: int | None, scratch_budget_bytes: int
) -> LoweredStep | None:
    """A step that is the convolution `p` of one channel, with weights [out_c, kh, kw, 1].

    None for larger or dilated windows, where its short requantisation is not exact, or where its
    rows would make the arena much larger.
    """
    w = p.window
    columns = (p.output_shape[2] - 1) * w.stride[1] + WINDOW
    row_bytes = columns + 1 + -(columns + 1) % 4
    scratch_bytes = CHANNEL_BYTES * len(p.weights) + WINDOW * row_bytes
    small = max(w.kernel) <= WINDOW and max(w.kernel) > 1 and w.dilation == (1, 1)
    sizes = _sizes(p, columns, row_bytes)
    if p.input_shape[3] != 1 or not small or scratch_bytes > scratch_budget_bytes or sizes is None:
        return None
    missing = [(0, WINDOW - size) for size in w.kernel]
    weights = np.pad(p.weights[..., 0].astype(np.int64), ((0, 0), *missing))
    weights = weights.reshape(len(weights), WINDOW * WINDOW)
    found = offset_values(p, weights)
    if found is None:
        return None
    values, weights = found
    taps = np.pad(weights[:, TAPS], ((0, 0), (0, 1)))
    call = CCall(
        function="nn_conv_2d_mono_s8",
        params_type="nn_mono_t",
        params=sizes
        | {
            "pad_value": str(-p.input_offset),
            "out_zero_point": str(p.output_offset),
            "values": "@values",
            "taps": "@taps",
        },
        constants=(
            words_constant("values", values, biases=len(values)),
            replace(
                int_constant_array("taps", "int8_t", taps.astype(np.int8)),
                weight_bytes=weights.size,
            ),
        ),
        scratch_bytes=scratch_bytes,
    )
    pixels = int(np.prod(p.output_shape[:3]))
    each = 26 + 10 * len(weights) + 2 * -(-len(weights) // 4)
    cost = pixels * each + pixels // p.output_shape[2] * ROW_COST
    return LoweredStep(
        step=step,
        calls=(call,),
        in_place=(0,) if ahead_bytes == 0 else (),
        ahead_bytes=ahead_bytes,
        requantisation="offset",
        cost=cortex_m(cost, words=0.68 * cost, jumps=0.05 * cost),
    )


def _sizes(p: ConvParams, columns: int, row_bytes: int) -> Fields | None:
    """Of the fields of an nn_mono_t; None where one has no room."""
    w = p.window
    sizes = {
        **dict(zip(("images", "height", "width"), p.input_shape[:3], strict=True)),
        **dict(zip(("out_height", "out_width", "channels"), p.output_shape[1:], strict=True)),
        "inside": max(min(p.input_shape[2], columns - w.pad[1]), 0),
        "row_bytes": row_bytes,
        **dict(zip(("stride_h", "stride_w", "pad_h", "pad_w"), (*w.stride, *w.pad), strict=True)),
    }
    return fields_of(sizes, BYTES)
