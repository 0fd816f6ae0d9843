"""CONV_2D as nn_conv_2d_pixels_s8 (nn_mac16.h), else as the xtensa kernels."""

from __future__ import annotations

import math

import numpy as np

from quantize.lowering import conv_xtensa
from quantize.lowering.base import LoweredStep, aligned
from quantize.lowering.windows import (
    CHANNEL_COST,
    OUTPUT_COST,
    STEP,
    widened_order,
    windows_stream,
)
from quantize.ops.base import CCall
from quantize.ops.conv_2d import ConvParams
from quantize.reference import Step
from quantize.tflite.graph import Graph

ROOM = 640  # bytes of scratch for pixels
FEWEST = 4  # pixels, whatever their size
WORD = 4  # bytes that are read beyond the last window


def lower_conv(graph: Graph, step: Step, scratch_budget_bytes: int) -> LoweredStep | None:
    """The kernel for single pixels; others and what is not proven as the xtensa kernels."""
    p: ConvParams = step.params
    found = _pixels(step, p, scratch_budget_bytes) if _is_pixels(p) else None
    return found or conv_xtensa.lower_conv(graph, step, scratch_budget_bytes)


def _is_pixels(p: ConvParams) -> bool:
    """Whether each output pixel is of one input pixel, in the same order, of whole words."""
    w = p.window
    single = w.kernel == (1, 1) and w.stride == (1, 1) and w.pad == (0, 0)
    return single and p.groups == 1 and p.input_shape[3] % STEP == 0


def _pixels(step: Step, p: ConvParams, scratch_budget_bytes: int) -> LoweredStep | None:
    weights = p.weights.reshape(len(p.weights), -1).astype(np.int64)
    windows = windows_stream(p, weights, widened_order(weights))
    pixels, depth = math.prod(p.output_shape[:3]), p.input_shape[3]
    at_once = min(max(ROOM // (2 * depth), FEWEST), pixels)
    at_once = -(-pixels // -(-pixels // at_once))
    scratch = 2 * depth * at_once + WORD
    if windows is None or scratch > max(scratch_budget_bytes, 0):
        return None
    call = CCall(
        function="nn_conv_2d_pixels_s8",
        params_type="nn_conv_pixels_t",
        params=windows.fields(2 * depth, len(weights))
        | {
            "images_pixels": str(pixels),
            "at_once": str(at_once),
            "input_depth": str(depth),
        },
        constants=(windows.constant,),
        scratch_bytes=scratch,
    )
    ahead = aligned(pixels * max(p.output_shape[3] - depth, 0))
    each = len(weights) * (depth + OUTPUT_COST + CHANNEL_COST / at_once) + 2 * depth
    return LoweredStep(
        step=step,
        calls=(call,),
        in_place=(0,) if ahead == 0 else (),
        ahead_bytes=ahead,
        requantisation=windows.requantisation,
        cost=round(pixels * each),
    )
