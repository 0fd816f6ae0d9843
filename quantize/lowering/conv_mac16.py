"""CONV_2D as nn_conv_2d_pixels_s8 or nn_conv_2d_columns_s8 (nn_mac16.h), else as xtensa has it."""

from __future__ import annotations

import math

import numpy as np

from quantize.lowering import conv_xtensa
from quantize.lowering.base import LoweredStep, aligned
from quantize.lowering.packing import ahead_of, as_row, pad_words, widened_order
from quantize.lowering.windows import CHANNEL_COST, OUTPUT_COST, PRODUCT_WAITS, STEP, windows_stream
from quantize.ops.base import CCall, c_shape
from quantize.ops.conv_2d import ConvParams
from quantize.reference import Step
from quantize.scheme import IntArray
from quantize.tflite.graph import Graph
from quantize.timings import Cost, lx6

ROOM = 640  # bytes of scratch for single pixels
FEWEST = 4  # of them, whatever their size
SPARE_ROWS = 4  # more cost scratch, fewer cost moves
WORD = 4  # bytes that are read beyond the last window


def lower_conv(graph: Graph, step: Step, scratch_budget_bytes: int) -> LoweredStep | None:
    """The cheapest kernel whose scratch fits; what is not proven is as the xtensa kernels have it.

    Costs a MAC: 1 instruction, and 17 an output.
    """
    p: ConvParams = step.params
    found = None
    if p.groups == 1 and p.window.dilation == (1, 1):
        single = _is_pixels(p)
        found = (_pixels if single else convolution)(step, p, scratch_budget_bytes)
    return found or conv_xtensa.lower_conv(graph, step, scratch_budget_bytes)


def convolution(step: Step, p: ConvParams, scratch_budget_bytes: int) -> LoweredStep | None:
    """A step that is the convolution `p`, without dilation; None where its scratch does not fit or
    its requantisation is not proven."""
    shapes = [p] if as_row(p) is p else [as_row(p), p]
    fit = [shape for shape in shapes if _scratch_bytes(shape) <= scratch_budget_bytes]
    return _columns(step, min(fit, key=lambda shape: _cost(shape).cycles)) if fit else None


def _is_pixels(p: ConvParams) -> bool:
    """Whether each output pixel is of one input pixel, in the same order."""
    w = p.window
    return w.kernel == (1, 1) and w.stride == (1, 1) and w.pad == (0, 0)


def _pixels(step: Step, p: ConvParams, scratch_budget_bytes: int) -> LoweredStep | None:
    pixels, depth = math.prod(p.output_shape[:3]), p.input_shape[3]
    weights = p.weights.reshape(len(p.weights), -1).astype(np.int64)
    packed = pad_words(weights) if depth % STEP else widened_order(weights)
    size = 2 * packed.shape[1]
    at_once = min(max(ROOM // size, FEWEST), pixels)
    at_once = -(-pixels // -(-pixels // at_once))
    scratch = size * at_once + WORD
    windows = windows_stream(p, weights, packed) if scratch <= scratch_budget_bytes else None
    if windows is None:
        return None
    call = CCall(
        function="nn_conv_2d_pixels_s8",
        params_type="nn_conv_pixels_t",
        params=windows.fields(size, len(weights))
        | {
            "images_pixels": str(pixels),
            "at_once": str(at_once),
            "input_depth": str(depth),
        },
        constants=(windows.constant,),
        scratch_bytes=scratch,
    )
    ahead = aligned(pixels * max(p.output_shape[3] - depth, 0))
    each = len(weights) * (packed.shape[1] + OUTPUT_COST - 2 + CHANNEL_COST / at_once)
    each += (5 if depth % STEP else 2) * depth + 5
    return LoweredStep(
        step=step,
        calls=(call,),
        in_place=(0,) if ahead == 0 else (),
        ahead_bytes=ahead,
        requantisation=windows.requantisation,
        cost=lx6(pixels * each, waits=PRODUCT_WAITS * pixels * packed.size),
    )


def _columns(step: Step, p: ConvParams) -> LoweredStep | None:
    windows = windows_stream(p, p.weights.reshape(len(p.weights), -1).astype(np.int64), _packed(p))
    if windows is None:
        return None
    again = _is_again(p)
    call = CCall(
        function="nn_conv_2d_columns_s8",
        params_type="nn_conv_columns_t",
        params={
            "input": c_shape(p.input_shape),
            "output": c_shape(p.output_shape),
            "window": p.window.c_initialiser(),
            "pad_value": str(-p.input_offset),
            "columns": str(_reach(p)),
            "inside.inputs": str(p.input_shape[3]),
            "inside.columns": str(min(p.input_shape[2], _reach(p) - p.window.pad[1])),
            "inside.step": str(2 * _column(p)),
            "spare": str(_spare(p)),
            "again": str(int(again)),
        }
        | windows.fields(2 * p.window.stride[1] * _column(p), len(p.weights)),
        constants=(windows.constant,),
        scratch_bytes=_scratch_bytes(p),
    )
    ahead = ahead_of(p, p.output_shape[2], p.window.stride[0] if again else p.window.kernel[0])
    return LoweredStep(
        step=step,
        calls=(call,),
        in_place=(0,) if ahead == 0 else (),
        ahead_bytes=ahead,
        requantisation=windows.requantisation,
        cost=_cost(p),
    )


def _reach(p: ConvParams) -> int:
    """Columns of the padded input that windows reach."""
    return (p.output_shape[2] - 1) * p.window.stride[1] + p.window.kernel[1]


def _column(p: ConvParams) -> int:
    """Halfwords from one column to the next: a slot for each row of the window, whole words."""
    slots = p.window.kernel[0] * p.input_shape[3]
    return slots + slots % 2


def _is_again(p: ConvParams) -> bool:
    """Whether windows that move on to the next row would not begin with a whole word."""
    return p.window.stride[0] * p.input_shape[3] % 2 == 1 and p.output_shape[1] > 1


def _spare(p: ConvParams) -> int:
    rows = (p.output_shape[1] - 1) * p.window.stride[0]
    return 0 if _is_again(p) or p.window.stride[0] >= p.window.kernel[0] else min(SPARE_ROWS, rows)


def _window(p: ConvParams) -> int:
    """Halfwords of a window, whole steps."""
    inputs = (p.window.kernel[1] - 1) * _column(p) + p.window.kernel[0] * p.input_shape[3]
    return -(-inputs // STEP) * STEP


def _scratch_bytes(p: ConvParams) -> int:
    """Up to the end of the last window, or of what is moved back in two words at once."""
    last = (_reach(p) - p.window.kernel[1]) * _column(p) + _spare(p) * p.input_shape[3]
    inputs = (p.window.kernel[1] - 1) * _column(p) + p.window.kernel[0] * p.input_shape[3]
    return 2 * (last + max(_window(p) + 2, inputs + 3))


def _packed(p: ConvParams) -> IntArray:
    """[channels, inputs of a window]: column by column, in each row by row."""
    weights = p.weights.transpose(0, 2, 1, 3).astype(np.int64)  # [out, kw, kh, in]
    if p.input_shape[3] % STEP == 0:
        weights = widened_order(weights)
    columns = weights.reshape(*weights.shape[:2], -1)
    gap = _column(p) - columns.shape[2]
    return pad_words(np.pad(columns, ((0, 0), (0, 0), (0, gap))).reshape(len(weights), -1))[
        :, : _window(p)
    ]


def _cost(p: ConvParams) -> Cost:
    """About."""
    _, height, width, _ = p.output_shape
    each = len(p.weights) * (_window(p) + OUTPUT_COST + CHANNEL_COST / width)
    rows = p.window.kernel[0] if _is_again(p) else p.window.stride[0]
    depth = p.input_shape[3]
    load = rows * _reach(p) * (9 + depth * (2.1 if depth % STEP == 0 else 5))
    products = math.prod(p.output_shape) * _window(p)
    instructions = p.output_shape[0] * height * (width * each + load + 100)
    return lx6(instructions, waits=PRODUCT_WAITS * products)
