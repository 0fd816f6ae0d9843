"""DEPTHWISE_CONV_2D as nn_depthwise_conv_2d_nine_s8 or _run_s8, of one channel as
nn_conv_2d_columns_s8 (nn_mac16.h), else as xtensa has it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from quantize.lowering import conv_mac16, depthwise_xtensa
from quantize.lowering.base import LoweredStep, alternative
from quantize.lowering.depthwise_xtensa import Axis, axes_of, image_fields, works_in_place
from quantize.lowering.packing import halfword_pairs, pad_words, words_constant
from quantize.lowering.products import product_requants
from quantize.lowering.split import find_changes
from quantize.lowering.windows import OUTPUT_COST as ROW_COST
from quantize.lowering.windows import (
    form_of,
    windows_stream,
)
from quantize.ops.base import CCall
from quantize.ops.conv_2d import ConvParams
from quantize.reference import Step
from quantize.scheme import IntArray
from quantize.tflite.graph import Graph
from quantize.timings import lx6

KERNEL = 3  # lines and columns of a window
WEIGHT_WORDS = 5
STRIDES = (1, 2)  # along a line
OUTPUT_COST = {1: 22, 2: 27}  # instructions, by the stride
LINE_COST = 30
CHANNEL_COST = 80
INPUT_COST = 5
RUN_INPUT_COST = 9.5
NINE_WAITS, RUN_WAITS = 0.08, 0.23  # an instruction


def lower_depthwise(graph: Graph, step: Step, scratch_budget_bytes: int) -> LoweredStep | None:
    """The kernel for three by three or for windows along one axis, or a convolution of one channel,
    whichever is cheaper; others and what is not proven as the xtensa kernels."""
    p: ConvParams = step.params
    ways = [_three_by_three(step, p, scratch_budget_bytes), _run(step, p, scratch_budget_bytes)]
    if p.input_shape[3] == 1 and p.window.dilation == (1, 1):
        whole = replace(p, weights=np.ascontiguousarray(p.weights.transpose(3, 1, 2, 0)))
        ways.append(conv_mac16.convolution(step, whole, scratch_budget_bytes))
    found = [way for way in ways if way is not None]
    if found:
        best = min(found, key=lambda way: way.cost.cycles if way.cost else 0)
        others = (alternative(way, "cycles") for way in found if way is not best)
        return replace(best, alternatives=tuple(others))
    return depthwise_xtensa.lower_depthwise(graph, step, scratch_budget_bytes)


def _three_by_three(step: Step, p: ConvParams, scratch_budget_bytes: int) -> LoweredStep | None:
    """None where the window is another, scratch does not fit or a requantisation is not proven."""
    axes = axes_of(p)
    orders = [(line, across) for line, across in (axes[::-1], axes) if line.stride in STRIDES]
    if p.window.kernel != (KERNEL, KERNEL) or p.window.dilation != (1, 1) or not orders:
        return None
    line, across = min(orders, key=lambda order: _cost(p, *order))
    found = _nine(step, p, line, across, is_columns=line is axes[0])
    fits = found and (found.in_place or found.scratch_bytes <= scratch_budget_bytes)
    return found if fits else None


def _run(step: Step, p: ConvParams, scratch_budget_bytes: int) -> LoweredStep | None:
    """None where windows have rows and columns, scratch does not fit or a requantisation is not
    proven."""
    rows, columns = axes_of(p)
    line, across = (columns, rows) if rows.kernel == 1 else (rows, columns)
    if across.kernel != 1 or line.kernel == 1 or line.dilation != 1 or across.pad:
        return None
    taps = p.weights[0].astype(np.int64).reshape(line.kernel, -1).T
    odd = line.output // 2 if line.stride % 2 else 0
    packed = np.stack(
        [
            pad_words(np.pad(taps, ((0, 0), (zeros, (1 if odd else 0) - zeros))))
            for zeros in range(2 if odd else 1)
        ],
        axis=1,
    )
    windows = windows_stream(p, taps, packed)
    if windows is None:
        return None
    step_halfwords = line.stride * packed.shape[1]
    ends = (line.output - odd - 1) * step_halfwords, (odd - 1) * step_halfwords + line.stride - 1
    halfwords = max(ends) + packed.shape[2] + 2
    inputs = min(line.image, halfwords - line.pad)
    # each output channel of an input channel copies the input anew
    in_place = works_in_place(p) and across.image == 1 and p.depth_multiplier == 1
    if 2 * halfwords > scratch_budget_bytes and not in_place:
        return None
    fields = windows.fields(2 * step_halfwords, packed.shape[1] * line.output_bytes)
    fields |= _run_fields(p, line, across, odd) | _plane_fields(line, 1, inputs)
    call = CCall(
        function="nn_depthwise_conv_2d_run_s8",
        params_type="nn_depthwise_run_t",
        params=fields | {"halfwords": str(halfwords)},
        constants=(windows.constant,),
        scratch_bytes=2 * halfwords,
    )
    runs = line.output * (packed.shape[2] + ROW_COST)
    each = 60 + 60 * packed.shape[1] + runs + RUN_INPUT_COST * inputs
    cost = p.output_shape[0] * len(taps) * across.output * each
    return LoweredStep(
        step=step,
        calls=(call,),
        in_place=(0,) if in_place else (),
        requantisation=windows.requantisation,
        cost=lx6(cost, waits=RUN_WAITS * cost),
    )


def _run_fields(p: ConvParams, line: Axis, across: Axis, odd: int) -> dict[str, str]:
    """Of which `odd` outputs of a line begin in the middle of a word."""
    return image_fields(p) | {
        "lines": str(across.output),
        "line_inputs": str(across.stride * across.image_bytes),
        "line_outputs": str(across.output_bytes),
        "even": str(line.output - odd),
        "odd": str(odd),
        "odd_start": str(line.stride - 1),
        "odd_output": str(line.output_bytes),
        "stream": "@stream",
        "windows.stream": "0",  # set at run time
        "windows.channels": "1",
        "plane.start": str(4 * (line.pad // 2)),
        "plane.lines": "1",
    }


def _plane_fields(line: Axis, height: int, inputs: int) -> dict[str, str]:
    """The fields of the nn_plane_t that are about a line of so many inputs, of `height` lines."""
    head = line.pad % 2
    return {
        "plane.head": str(head),
        "plane.pairs": str((inputs - head) // 2),
        "plane.tail": str((inputs - head) % 2),
        "plane.pair_step": str(4 * height),
        "plane.input_step": str(line.image_bytes),
    }


def _nine(
    step: Step, p: ConvParams, line: Axis, across: Axis, *, is_columns: bool
) -> LoweredStep | None:
    taps = p.weights[0].astype(np.int64).transpose(2, 1, 0) if is_columns else None
    if taps is None:
        taps = p.weights[0].astype(np.int64).transpose(2, 0, 1)
    stream = _stream(p, taps.reshape(len(taps), -1))
    if stream is None:
        return None
    words, requantisation = stream
    pairs = -(-((line.output - 1) * line.stride + KERNEL) // 2)
    height = (across.output - 1) * across.stride + KERNEL
    inputs = min(line.image, 2 * pairs - line.pad)
    cost = _cost(p, line, across)
    in_place = works_in_place(p)
    call = CCall(
        function="nn_depthwise_conv_2d_nine_s8",
        params_type="nn_depthwise_nine_t",
        params=image_fields(p)
        | _plane_fields(line, height, inputs)
        | {
            "plane_words": str(pairs * height),
            "stream": "@stream",
            "plane.start": str(4 * (line.pad // 2 * height + across.pad)),
            "plane.lines": str(min(across.image, height - across.pad)),
            "plane.line_step": str(across.image_bytes - inputs * line.image_bytes),
            "nine.outputs": str(line.output),
            "nine.lines": str(across.output),
            "nine.is_by_2": str(int(line.stride == 2)),
            "nine.pair_step": str(4 * height),
            "nine.line_inputs": str(4 * across.stride),
            "nine.output_step": str(line.output_bytes),
            "nine.line_outputs": str(across.output_bytes - line.output * line.output_bytes),
        },
        constants=(
            words_constant("stream", words, weights=len(taps) * WEIGHT_WORDS, biases=len(taps)),
        ),
        scratch_bytes=4 * pairs * height,
    )
    return LoweredStep(
        step=step,
        calls=(call,),
        in_place=(0,) if in_place else (),
        ahead_bytes=0 if in_place and p.input_shape[3] == 1 else None,
        requantisation=requantisation,
        cost=lx6(cost, waits=NINE_WAITS * cost),
    )


def _stream(p: ConvParams, taps: IntArray) -> tuple[IntArray, str] | None:
    """All words of taps [channels, 9], and how they are requantised; None where that is not
    proven."""
    changes = find_changes(p, taps)
    firsts = p.bias.astype(np.int64) + (p.input_offset - 128) * taps.sum(axis=1)
    rows = product_requants(changes, firsts) if changes else None  # all sums begin at 0
    if rows is None:
        return None
    words: list[int] = []
    weights = halfword_pairs(np.pad(taps, ((0, 0), (0, 1))))
    for row, pairs in zip(rows, weights, strict=True):
        words += [0, *row.words(), *pairs.tolist()]
    return np.array(words, np.int64), form_of(rows)


def _cost(p: ConvParams, line: Axis, across: Axis) -> int:
    """Instructions, about."""
    images, channels = p.input_shape[0], p.input_shape[3]
    a_line = LINE_COST + line.output * OUTPUT_COST[line.stride]
    outputs = p.depth_multiplier * (CHANNEL_COST + across.output * a_line)
    return images * channels * (outputs + across.image * (12 + INPUT_COST * line.image))
