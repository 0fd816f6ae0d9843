"""3 x 3 convolutions of images of one channel, as nn_conv_2d_mono_s8 (nn_depthwise.h)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from quantize.lowering.base import LoweredStep
from quantize.lowering.packing import first_short_form, first_values, words_constant
from quantize.ops.base import CCall, c_shape, int_constant_array
from quantize.ops.conv_2d import ConvParams
from quantize.reference import Step
from quantize.timings import cortex_m

ROW_COST = 140  # instructions
KERNEL = 3
CHANNEL_BYTES = 32  # of a channel's widened weights


def one_channel(
    step: Step, p: ConvParams, ahead_bytes: int | None, scratch_budget_bytes: int
) -> LoweredStep | None:
    """A step that is the convolution `p` of one channel, with weights [out_c, kh, kw, 1].

    None for larger or dilated windows, where its short requantisation is not exact, or where its
    rows would make the arena much larger.
    """
    w = p.window
    columns = (p.output_shape[2] - 1) * w.stride[1] + KERNEL
    row_bytes = columns + 1 + -(columns + 1) % 4
    scratch_bytes = CHANNEL_BYTES * len(p.weights) + KERNEL * row_bytes
    small = max(w.kernel) <= KERNEL and max(w.kernel) > 1 and w.dilation == (1, 1)
    if p.input_shape[3] != 1 or not small or scratch_bytes > scratch_budget_bytes:
        return None
    missing = [(0, KERNEL - size) for size in w.kernel]
    weights = np.pad(p.weights[..., 0].astype(np.int64), ((0, 0), *missing))
    weights = weights.reshape(len(weights), KERNEL * KERNEL)
    requants = first_short_form(p, weights, ("fixed",), limit=1 << 31)
    if requants is None:
        return None
    first = first_values(p, weights, requants)
    values = [(v, r.multiplier, r.constant) for v, r in zip(first, requants, strict=True)]
    taps = np.column_stack([weights, [r.pre_shift for r in requants]])
    call = CCall(
        function="nn_conv_2d_mono_s8",
        params_type="nn_mono_t",
        params={
            "input": c_shape(p.input_shape),
            "output": c_shape(p.output_shape),
            "stride_h": str(w.stride[0]),
            "stride_w": str(w.stride[1]),
            "pad_h": str(w.pad[0]),
            "pad_w": str(w.pad[1]),
            "pad_value": str(-p.input_offset),
            "inside": str(max(min(p.input_shape[2], columns - w.pad[1]), 0)),
            "row_bytes": str(row_bytes),
            "values": "@values",
            "taps": "@taps",
        },
        constants=(
            words_constant("values", np.array(values), biases=len(values)),
            replace(
                int_constant_array("taps", "int8_t", taps.astype(np.int8)),
                weight_bytes=weights.size,
            ),
        ),
        scratch_bytes=scratch_bytes,
    )
    pixels = int(np.prod(p.output_shape[:3]))
    each = 25 + 10 * len(weights) + 2 * -(-len(weights) // 4)
    cost = pixels * each + pixels // p.output_shape[2] * ROW_COST
    return LoweredStep(
        step=step,
        calls=(call,),
        in_place=(0,) if ahead_bytes == 0 else (),
        ahead_bytes=ahead_bytes,
        requantisation=requants[0].form,
        cost=cortex_m(cost, words=0.68 * cost, jumps=0.05 * cost),
    )
