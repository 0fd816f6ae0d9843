"""CONV_2D as nn_conv_2d_packed_s8."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from quantize.lowering.base import LoweredStep
from quantize.lowering.packing import (
    pad_words,
    pair_words,
    scale_rows,
    short_requants,
    words_constant,
)
from quantize.ops.base import CCall, c_shape
from quantize.ops.conv_2d import ConvParams
from quantize.ops.window import Window
from quantize.proofs import Form
from quantize.reference import Step
from quantize.tflite.graph import Graph

QUAD = 4  # pixels at a time
C_FORMS: dict[Form, str] = {"floor": "NN_FLOOR", "sign": "NN_SIGN"}  # the shorter first


def lower_conv(graph: Graph, step: Step, room: int) -> LoweredStep | None:
    """The packed kernel; None where its short requantisation or its packing is not exact."""
    p = _flattened(step.params)
    runs = _runs(p)
    out_channels = p.output_shape[3]
    requants = short_requants(p, p.weights.reshape(out_channels, -1), tuple(C_FORMS))
    if requants is None:
        return None
    rows = pad_words(p.weights.reshape(out_channels, p.window.kernel[0] * runs, -1))
    weights = rows.reshape(out_channels, -1)
    first = p.bias.astype(np.int64) + p.input_offset * weights.sum(axis=1)
    words = pair_words(weights, first)
    if words is None:
        return None
    shifts, scales = scale_rows(requants, 2)
    stream = np.concatenate([words, scales, shifts], axis=1)
    ring_rows = _ring_rows(p)
    in_place = _works_in_place(p, ring_rows)
    columns = _padded(p, 1)
    if not ring_rows or (not in_place and not _needs_ring(p, runs)):
        ring_rows = 0
    row_bytes = columns * p.input_shape[3] if ring_rows else p.input_shape[2] * p.input_shape[3]
    row_bytes += -row_bytes % 4 if ring_rows else 0
    steps = weights.shape[1] // 2
    call = CCall(
        function="nn_conv_2d_packed_s8",
        params_type="nn_conv_packed_t",
        params={
            "input": c_shape(p.input_shape),
            "output": c_shape(p.output_shape),
            "window": p.window.c_initialiser(),
            "pad_value": str(-p.input_offset),
            "ring_rows": str(ring_rows),
            "row_bytes": str(row_bytes),
            "row_columns": str(columns),
            "runs": str(runs),
            "run_words": str(rows.shape[2] // 4),
            "quad.stream": "@stream",
            "quad.pairs": str((out_channels + 1) // 2),
            "quad.steps": str(steps),
            "quad.form": C_FORMS[requants[0].form],
        },
        constants=(words_constant("stream", stream),),
        scratch_bytes=16 * steps + (ring_rows * row_bytes + 4 if ring_rows else 0),
    )
    return LoweredStep(step=step, calls=(call,), in_place=(0,) if in_place else ())


def _flattened(p: ConvParams) -> ConvParams:
    """A 1x1 convolution over aligned pixels is one over a single row of them."""
    w = p.window
    if w.kernel != (1, 1) or w.stride != (1, 1) or w.pad != (0, 0) or p.input_shape[3] % 4:
        return p
    n, height, width, _ = p.input_shape
    row = (1, 1, n * height * width)
    return replace(
        p,
        input_shape=(*row, p.input_shape[3]),
        output_shape=(*row, p.output_shape[3]),
        window=Window(kernel=(1, 1), stride=(1, 1), dilation=(1, 1), pad=(0, 0)),
    )


def _runs(p: ConvParams) -> int:
    """Contiguous parts of a row of the window."""
    return 1 if p.window.dilation[1] == 1 else p.window.kernel[1]


def _padded(p: ConvParams, axis: int) -> int:
    """Rows (0) or columns (1) of the padded input that windows reach."""
    w = p.window
    return (
        (p.output_shape[1 + axis] - 1) * w.stride[axis]
        + (w.kernel[axis] - 1) * w.dilation[axis]
        + 1
    )


def _needs_ring(p: ConvParams, runs: int) -> bool:
    """Whether windows meet borders, or words reach beyond the input."""
    inside = all(p.window.pad[a] == 0 and _padded(p, a) <= p.input_shape[1 + a] for a in (0, 1))
    run = p.input_shape[3] * (p.window.kernel[1] if runs == 1 else 1)
    return not inside or run % 4 != 0


def _ring_rows(p: ConvParams) -> int:
    """Rows that four pixels need at once; 0 for a flattened convolution."""
    if p.output_shape[1] == 1 and p.window.kernel == (1, 1) and not _needs_ring(p, 1):
        return 0
    spanned = min((p.output_shape[2] - 2 + QUAD) // p.output_shape[2], p.output_shape[1] - 1)
    return spanned * p.window.stride[0] + (p.window.kernel[0] - 1) * p.window.dilation[0] + 1


def _works_in_place(p: ConvParams, ring_rows: int) -> bool:
    """Whether no input row is overwritten before it is in the ring (or its pixels are gathered)."""
    n, out_h, out_w, out_c = p.output_shape
    _, in_h, in_w, in_c = p.input_shape
    if n != 1:
        return False
    pixel = np.arange(0, out_h * out_w, dtype=np.int64)
    full = out_h * out_w - out_h * out_w % QUAD
    last = np.where(pixel < full, pixel - pixel % QUAD + QUAD - 1, pixel)
    written = (last + 1) * out_c
    if not ring_rows:
        return bool((written <= (last + 1) * in_c).all())
    w = p.window
    reach = (w.kernel[0] - 1) * w.dilation[0] + 1
    loaded = last // out_w * w.stride[0] + reach - w.pad[0]
    return bool(((written <= np.clip(loaded, 0, None) * in_w * in_c) | (loaded >= in_h)).all())
