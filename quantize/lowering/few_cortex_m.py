"""CONV_2D of 1 x 1 with few inputs as nn_conv_2d_few_s8."""

from __future__ import annotations

import numpy as np

from quantize.lowering.base import LoweredStep
from quantize.lowering.packing import first_short_form, words_constant
from quantize.ops.base import CCall
from quantize.ops.conv_2d import ConvParams
from quantize.reference import Step

INPUTS = range(4, 17)  # with fewer, more than the last pixel would be read beyond the input's end
# inputs that stay in registers -> kernel, instructions an output, channels in its loop
KERNELS = {8: ("nn_few_8_s8", 8, 8), 16: ("nn_few_16_s8", 15, 4)}


def is_few(p: ConvParams) -> bool:
    """Whether a pixel of the output is made of one pixel of some INPUTS channels."""
    w = p.window
    alone = w.kernel == (1, 1) and w.stride == (1, 1) and w.pad == (0, 0)
    return alone and p.input_shape[3] in INPUTS


def few_inputs(step: Step, p: ConvParams, ahead_bytes: int | None) -> LoweredStep | None:
    """A step that is the convolution `p`, for which `is_few` holds; None where its short
    requantisation is not exact."""
    weights = p.weights.reshape(len(p.weights), -1).astype(np.int64)
    requants = first_short_form(p, weights, ("fixed",), limit=1 << 31)
    if requants is None:
        return None
    shifts = np.array([r.pre_shift for r in requants])
    first = (p.bias.astype(np.int64) + p.input_offset * weights.sum(axis=1)) << shifts
    inputs = min(n for n in KERNELS if n >= weights.shape[1])
    kernel, instructions, block = KERNELS[inputs]
    padded = np.pad(weights, ((0, 0), (0, inputs - weights.shape[1]))) << shifts[:, None]
    halves = padded.reshape(-1, 4)[:, [0, 2, 1, 3]].reshape(len(weights), -1, 2) & 0xFFFF
    scales = np.array([(r.multiplier, r.constant) for r in requants], np.int64)
    stream = np.concatenate(
        [first[:, None], halves[..., 0] | (halves[..., 1] << 16), scales], axis=1
    )
    pixels = int(np.prod(p.output_shape[:3]))
    call = CCall(
        function="nn_conv_2d_few_s8",
        params_type="nn_few_t",
        params={
            "stream": "@stream",
            "channels": str(len(weights)),
            "pixels": str(pixels),
            "depth": str(weights.shape[1]),
            "words": str(stream.size),
            "kernel": kernel,
        },
        constants=(
            words_constant("stream", stream, weights=halves.size // 2, biases=len(weights)),
        ),
        scratch_bytes=4 * stream.size,
    )
    return LoweredStep(
        step=step,
        calls=(call,),
        in_place=(0,) if ahead_bytes == 0 else (),
        ahead_bytes=ahead_bytes,
        requantisation=requants[0].form,
        cost=pixels * (instructions * len(weights) + 3 * -(-len(weights) // block) + 18),
    )
