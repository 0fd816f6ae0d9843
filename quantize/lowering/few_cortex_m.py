"""CONV_2D of 1 x 1 with few inputs as nn_conv_2d_few_s8, FULLY_CONNECTED with few as its kernel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from quantize.lowering.base import LoweredStep, aligned
from quantize.lowering.offsets import offset_channels
from quantize.lowering.packing import halfword_pairs, widened_order, words_constant
from quantize.ops.base import CCall, CConstant
from quantize.ops.conv_2d import ConvParams
from quantize.ops.fully_connected import FullyConnectedParams
from quantize.ops.window import OutputStage
from quantize.reference import Step
from quantize.timings import cortex_m

INPUTS = range(4, 17)  # with fewer, more than the last pixel would be read beyond the input's end
# inputs that stay in registers -> kernel, instructions an output, channels in its loop, words it
# loads an instruction
KERNELS = {8: ("nn_few_8_s8", 8, 8, 0.66), 16: ("nn_few_16_s8", 14, 4, 0.66)}
CHANNEL_WORDS = {"nn_few_8_s8": 6, "nn_few_16_s8": 10}
INPUT_BITS = 8  # by which the kernels shift inputs
MOST_VALUES = 4  # of a dense layer; with more, the others have fewer bytes


def is_few(p: ConvParams) -> bool:
    """Whether a pixel of the output is made of one pixel of some INPUTS channels."""
    w = p.window
    even = p.input_shape[0] == 1 or p.input_shape[1] == p.output_shape[1] * w.stride[0]
    return w.kernel == (1, 1) and w.pad == (0, 0) and even and p.input_shape[3] in INPUTS


def few_inputs(step: Step, p: ConvParams) -> LoweredStep | None:
    """A step that is the convolution `p`, for which `is_few` holds; None where its short
    requantisation is not exact."""
    stream = _stream(p)
    if stream is None:
        return None
    channels = p.output_shape[3]
    lines, pixels, pixel_bytes, line_bytes = _lines(p)
    ahead_bytes = _ahead(lines, pixels, pixel_bytes, line_bytes, channels)
    inputs = p.input_shape[3]
    call = _call("nn_conv_2d_few_s8", stream, inputs, (lines, pixels, pixel_bytes, line_bytes))
    _, instructions, block, words_each = _kernel(inputs)
    cost = lines * pixels * (instructions * channels + 3 * -(-channels // block) + 18)
    return LoweredStep(
        step=step,
        calls=(replace(call, scratch_bytes=stream.bytes),),
        in_place=(0,) if ahead_bytes == 0 else (),
        ahead_bytes=ahead_bytes,
        requantisation="offset",
        cost=cortex_m(cost, words=words_each * cost, jumps=0.016 * cost),
    )


def few_values(step: Step, p: FullyConnectedParams) -> LoweredStep | None:
    """A dense layer as one pixel of at most MOST_VALUES inputs, whose weights are read where they
    are. None for more, for several rows, and where its short requantisation is not exact.

    Eight inputs are read of fewer: all that lies in the arena is as long.
    """
    channels, inputs = p.weights.shape
    if inputs > MOST_VALUES or int(np.prod(p.output_shape)) != channels:
        return None
    stream = _stream(p)
    if stream is None:
        return None
    kernel, instructions, _, words_each = _kernel(inputs)
    cost = instructions * channels
    return LoweredStep(
        step=step,
        calls=(_call(kernel, stream, inputs, (1, 1, inputs, 0)),),
        in_place=(),
        requantisation="offset",
        cost=cortex_m(cost + 50, words=words_each * cost + 15, flash=stream.bytes // 4),
    )


def _kernel(inputs: int) -> tuple[str, int, int, float]:
    return KERNELS[min(n for n in KERNELS if n >= inputs)]


def _stream(p: OutputStage) -> CConstant | None:
    """That of an nn_few_t."""
    weights = p.weights.reshape(len(p.weights), -1).astype(np.int64)
    found = offset_channels(p, weights, 0)
    if found is None:
        return None
    first, factor, bits, weights = found
    missing = min(n for n in KERNELS if n >= weights.shape[1]) - weights.shape[1]
    padded = np.pad(weights, ((0, 0), (0, missing))) << (bits - INPUT_BITS)[:, None]
    taps = halfword_pairs(widened_order(padded))
    words = np.column_stack([first, taps, factor])
    return words_constant("stream", words, weights=taps.size, biases=len(weights))


def _call(function: str, stream: CConstant, inputs: int, lines: Sequence[int]) -> CCall:
    """`lines`, their pixels, and the input's bytes from a pixel and from a line to the next."""
    words = stream.bytes // 4
    kernel, *_ = _kernel(inputs)
    return CCall(
        function=function,
        params_type="nn_few_t",
        params={
            "stream": "@stream",
            "channels": str(words // CHANNEL_WORDS[kernel]),
            "pixels": str(lines[1]),
            "pixel_bytes": str(lines[2]),
            "lines": str(lines[0]),
            "line_bytes": str(lines[3]),
            "inputs": str(inputs),
            "words": str(words),
            "kernel": kernel,
        },
        constants=(stream,),
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
