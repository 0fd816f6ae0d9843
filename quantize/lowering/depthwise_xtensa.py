"""DEPTHWISE_CONV_2D as nn_depthwise_conv_2d_line_s8 (nn_trio.h)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from quantize.lowering.base import LoweredStep
from quantize.lowering.packing import words_constant
from quantize.lowering.split import Rows, exact_requants, find_changes
from quantize.ops.base import CCall
from quantize.ops.conv_2d import ConvParams
from quantize.reference import Step
from quantize.scheme import IntArray
from quantize.tflite.graph import Graph
from quantize.timings import usual

GROUP = 4  # outputs at a time
SEGMENT = 3  # weights side by side
STRIDES = (1, 2)  # along a line
INT16_MAX = (1 << 15) - 1  # inputs from one segment to the next


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One axis of the image: sizes and steps of the window along it."""

    image: int
    output: int
    kernel: int
    stride: int
    dilation: int
    pad: int
    image_bytes: int  # from one element to the next
    output_bytes: int


def lower_depthwise(_graph: Graph, step: Step, scratch_budget_bytes: int) -> LoweredStep | None:
    """The kernel by lines; None where no line fits it, its requantisation is not exact, or the
    plane of a channel would make the arena much larger.

    Costs about 95 instructions for each four outputs, 37 more a segment, and 5 an input.
    """
    p: ConvParams = step.params
    axes = axes_of(p)
    orders = [(line, across) for line, across in (axes[::-1], axes) if _fits(line)]
    if not orders:
        return None
    line, across = min(orders, key=lambda order: _groups(order[0]) * order[1].output)
    taps = p.weights[0].astype(np.int64)
    taps = taps.transpose(2, 0, 1) if across is axes[0] else taps.transpose(2, 1, 0)
    rows = _requants(p, taps.reshape(len(taps), -1))
    if rows is None:
        return None
    segments = -(-line.kernel // SEGMENT)
    width = (max(line.output, GROUP) - 1) * line.stride + SEGMENT * segments
    height = (across.output - 1) * across.stride + (across.kernel - 1) * across.dilation + 1
    plane_bytes, in_place = width * height, works_in_place(p)
    if width * across.dilation > INT16_MAX or (plane_bytes > scratch_budget_bytes and not in_place):
        return None
    fours = p.output_shape[0] * p.output_shape[3] * across.output * _groups(line)
    words = _stream(p, taps, width * across.dilation, rows)
    taps_words = 2 * segments * across.kernel * len(words)
    call = CCall(
        function="nn_depthwise_conv_2d_line_s8",
        params_type="nn_depthwise_line_t",
        params=image_fields(p)
        | {
            "plane_bytes": str(plane_bytes),
            "plane_start": str(across.pad * width + line.pad),
            "lines": str(min(across.image, height - across.pad)),
            "inputs": str(min(line.image, width - line.pad)),
            "plane_line": str(width),
            "image_line": str(across.image_bytes),
            "image_input": str(line.image_bytes),
            "output_lines": str(across.output),
            "line_inputs": str(across.stride * width),
            "line_outputs": str(across.output_bytes),
            "stream": "@stream",
            "channel_words": str(words.shape[1]),
        }
        | _line_fields(line, segments * across.kernel, any(row.signs is not None for row in rows)),
        constants=(words_constant("stream", words, weights=taps_words, biases=len(words)),),
        scratch_bytes=plane_bytes,
    )
    return LoweredStep(
        step=step,
        calls=(call,),
        in_place=(0,) if in_place else (),
        ahead_bytes=0 if in_place and p.input_shape[3] == 1 else None,
        requantisation="exact",
        cost=usual(
            fours * (95 + 37 * segments * across.kernel) + 5 * math.prod(p.input_shape), "xtensa"
        ),
    )


def works_in_place(p: ConvParams) -> bool:
    """Whether the outputs of a channel lie on the inputs of that channel only, or there is no other
    channel."""
    images, height, width, channels = p.input_shape
    shrinks = p.output_shape[1] * p.output_shape[2] <= height * width
    return images == 1 and (channels == 1 or (p.depth_multiplier == 1 and shrinks))


def axes_of(p: ConvParams) -> tuple[Axis, Axis]:
    """Rows and columns."""
    w = p.window
    steps = [(shape[2] * shape[3], shape[3]) for shape in (p.input_shape, p.output_shape)]
    rows, columns = (
        Axis(
            image=p.input_shape[1 + k],
            output=p.output_shape[1 + k],
            kernel=w.kernel[k],
            stride=w.stride[k],
            dilation=w.dilation[k],
            pad=w.pad[k],
            image_bytes=steps[0][k],
            output_bytes=steps[1][k],
        )
        for k in (0, 1)
    )
    return rows, columns


def _fits(line: Axis) -> bool:
    return line.stride in STRIDES and (line.dilation == 1 or line.kernel == 1)


def _groups(line: Axis) -> int:
    return -(-line.output // GROUP)


def _requants(p: ConvParams, weights: IntArray) -> Rows | None:
    changes = find_changes(p, weights)
    if changes is None:
        return None
    plain = exact_requants(p.requants, changes, by_sign=False)
    return plain or exact_requants(p.requants, changes, by_sign=True)


def _stream(p: ConvParams, taps: IntArray, line_inputs: int, rows: Rows) -> IntArray:
    """[channels, words]: nn_line_channel_t and the segments of taps [channels, lines, inputs]."""
    channels, kernel, _ = taps.shape
    padded = np.pad(taps, ((0, 0), (0, 0), (0, -taps.shape[2] % SEGMENT)))
    segments = padded.reshape(channels, kernel, -1, SEGMENT)
    ways = np.full((channels, kernel, segments.shape[2], 1), SEGMENT, np.int64)
    ways[:, :, -1] = line_inputs - SEGMENT * (segments.shape[2] - 1)
    halves = np.concatenate([segments, ways], axis=3).reshape(channels, -1, 2) & 0xFFFF
    firsts = p.bias + (p.input_offset - 128) * taps.sum(axis=(1, 2))
    head = [[first, *row.exact()] for first, row in zip(firsts.tolist(), rows, strict=True)]
    return np.concatenate([np.array(head, np.int64), halves[..., 0] | halves[..., 1] << 16], axis=1)


def image_fields(p: ConvParams) -> dict[str, str]:
    """The fields that the params structs of the depthwise kernels share."""
    return {
        "images": str(p.input_shape[0]),
        "channels": str(p.input_shape[3]),
        "depth_multiplier": str(p.depth_multiplier),
        "input_bytes": str(int(np.prod(p.input_shape[1:]))),
        "output_bytes": str(int(np.prod(p.output_shape[1:]))),
        "pad_value": str(-p.input_offset),
    }


def _line_fields(line: Axis, segments: int, by_sign: bool) -> dict[str, str]:
    """The fields of the nn_line_t."""
    step = line.output_bytes
    outputs = [step if k < line.output else 0 for k in (1, 2, 3)]
    move = (line.output - 1) % GROUP + 1 if line.output > GROUP else 0
    return {
        "line.groups": str(_groups(line)),
        "line.segments": str(segments),
        "line.stride": str(line.stride),
        "line.by_sign": str(int(by_sign)),
        "line.outputs": "{" + ", ".join(map(str, outputs)) + "}",
        "line.next": f"{{{GROUP * line.stride}, {GROUP * step}}}",
        "line.last": f"{{{move * line.stride}, {move * step}}}",
    }
