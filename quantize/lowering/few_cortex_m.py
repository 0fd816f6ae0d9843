"""CONV_2D of 1 x 1 with few inputs as nn_conv_2d_few_s8."""

from __future__ import annotations

import numpy as np

from quantize.lowering.base import LoweredStep, aligned
from quantize.lowering.packing import (
    first_short_form,
    halfword_pairs,
    widened_order,
    words_constant,
)
from quantize.ops.base import CCall
from quantize.ops.conv_2d import ConvParams
from quantize.reference import Step
from quantize.timings import cortex_m

INPUTS = range(4, 17)  # with fewer, more than the last pixel would be read beyond the input's end
# inputs that stay in registers -> kernel, instructions an output, channels in its loop, words it
# loads an instruction
KERNELS = {8: ("nn_few_8_s8", 8, 8, 0.77), 16: ("nn_few_16_s8", 15, 4, 0.67)}


def is_few(p: ConvParams) -> bool:
    """Whether a pixel of the output is made of one pixel of some INPUTS channels."""
    w = p.window
    even = p.input_shape[0] == 1 or p.input_shape[1] == p.output_shape[1] * w.stride[0]
    return w.kernel == (1, 1) and w.pad == (0, 0) and even and p.input_shape[3] in INPUTS


def few_inputs(step: Step, p: ConvParams) -> LoweredStep | None:
    """A step that is the convolution `p`, for which `is_few` holds; None where its short
    requantisation is not exact."""
    weights = p.weights.reshape(len(p.weights), -1).astype(np.int64)
    requants = first_short_form(p, weights, ("fixed",), limit=1 << 31)
    if requants is None:
        return None
    shifts = np.array([r.pre_shift for r in requants])
    first = (p.bias.astype(np.int64) + p.input_offset * weights.sum(axis=1)) << shifts
    inputs = min(n for n in KERNELS if n >= weights.shape[1])
    kernel, instructions, block, words_each = KERNELS[inputs]
    padded = np.pad(weights, ((0, 0), (0, inputs - weights.shape[1]))) << shifts[:, None]
    words = halfword_pairs(widened_order(padded))
    scales = np.array([(r.multiplier, r.constant) for r in requants], np.int64)
    stream = np.concatenate([first[:, None], words, scales], axis=1)
    lines, pixels, pixel_bytes, line_bytes = _lines(p)
    each = instructions * len(weights) + 3 * -(-len(weights) // block) + 18
    cost = lines * pixels * each
    ahead_bytes = _ahead(lines, pixels, pixel_bytes, line_bytes, len(weights))
    call = CCall(
        function="nn_conv_2d_few_s8",
        params_type="nn_few_t",
        params={
            "stream": "@stream",
            "channels": str(len(weights)),
            "pixels": str(pixels),
            "pixel_bytes": str(pixel_bytes),
            "lines": str(lines),
            "line_bytes": str(line_bytes),
            "inputs": str(weights.shape[1]),
            "words": str(stream.size),
            "kernel": kernel,
        },
        constants=(words_constant("stream", stream, weights=words.size, biases=len(weights)),),
        scratch_bytes=4 * stream.size,
    )
    return LoweredStep(
        step=step,
        calls=(call,),
        in_place=(0,) if ahead_bytes == 0 else (),
        ahead_bytes=ahead_bytes,
        requantisation=requants[0].form,
        cost=cortex_m(cost, words=words_each * cost, jumps=0.016 * cost),
    )


def _lines(p: ConvParams) -> tuple[int, int, int, int]:
    """Lines, pixels of each, and the input's bytes from a pixel and from a line to the next."""
    n, height, width, _ = p.output_shape
    _, _, columns, channels = p.input_shape
    if p.window.stride == (1, 1):
        return 1, n * height * width, channels, 0
    down, right = p.window.stride
    return n * height, width, right * channels, down * columns * channels


def _ahead(lines: int, pixels: int, pixel_bytes: int, line_bytes: int, channels: int) -> int:
    """How many bytes the output must begin before the input: pixels are read one by one."""
    starts = line_bytes * np.arange(lines)[:, None] + pixel_bytes * np.arange(pixels)
    unread = starts.reshape(-1)[1:]
    written = channels * np.arange(1, lines * pixels)
    return aligned(int((written - unread).max(initial=0)))
