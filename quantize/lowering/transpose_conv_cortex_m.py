"""TRANSPOSE_CONV as nn_transpose_conv_packed_s8: convolutions for each rest of a stride."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from quantize.lowering.base import LoweredStep
from quantize.lowering.packing import (
    Fields,
    first_short_form,
    layer_constant,
    pad_words,
    pair_rows,
    quad_fields,
    requant_words,
    sums_begin,
    words_constant,
)
from quantize.ops.base import CCall, CConstant, Int8Array, c_shape
from quantize.ops.transpose_conv import TransposeConvParams
from quantize.proofs import Form, ShortRequant
from quantize.reference import Step
from quantize.scheme import IntArray
from quantize.tflite.graph import Graph
from quantize.timings import usual

QUAD = 4  # pixels at a time
FORMS: tuple[Form, ...] = ("fixed_8", "sign")  # the shorter first
PER_PAIR, PER_QUAD, PER_WORD = 61, 100, 16  # instructions, besides 5.5 an input and pair


def lower_transpose_conv(
    _graph: Graph, step: Step, _scratch_budget_bytes: int
) -> LoweredStep | None:
    """The packed kernel; None where its short requantisation or its packing is not exact.

    Costs 0.7 instructions a MAC, 15 an output, and 4 for each input of a window.
    """
    p: TransposeConvParams = step.params
    phases = _phases(p)
    requants = _requants(p, phases)
    if requants is None:
        return None
    every = [one for phase in requants for one in phase]
    constant = layer_constant(every)
    if constant is None:
        return None
    steps = max(2 * w.shape[1] * _run_words(w) for w in phases)
    fields = quad_fields(p.output_shape[3], steps, every, constant)
    streams = [_stream(p, w, r, constant) for w, r in zip(phases, requants, strict=True)]
    found = [stream for stream in streams if stream is not None]
    if fields is None or len(found) < len(streams):
        return None
    call = _call(p, phases, found, fields, requant_words(every))
    return LoweredStep(
        step=step,
        calls=(call,),
        in_place=(),
        requantisation=requants[0][0].form,
        cost=usual(_cost(p, phases), "armv7em"),
    )


def _phases(p: TransposeConvParams) -> list[Int8Array]:
    """For each rest of y, then of x, the weights [out_c, rows, columns, in_c] of its window; a
    rest that no weight has gets one of 0."""
    (sh, sw), (kh, kw) = p.window.stride, p.window.kernel
    none = np.zeros_like(p.weights[:, :1, :1])
    return [
        p.weights[:, y::sh, x::sw][:, ::-1, ::-1] if y < kh and x < kw else none
        for y in range(sh)
        for x in range(sw)
    ]


def _requants(
    p: TransposeConvParams, phases: Sequence[Int8Array]
) -> list[tuple[ShortRequant, ...]] | None:
    """Those of all phases in the first form that all of them have."""
    for form in FORMS:
        proven = [first_short_form(p, w.reshape(len(w), -1), (form,)) for w in phases]
        found = [requants for requants in proven if requants is not None]
        every = [one for requants in found for one in requants]
        if len(found) == len(proven) and layer_constant(every) is not None:
            return found
    return None


def _stream(
    p: TransposeConvParams, weights: Int8Array, requants: Sequence[ShortRequant], constant: int
) -> IntArray | None:
    """[pairs of channels, words], as an nn_quad_t's; None where weights do not fit a pair."""
    rows = pad_words(weights.reshape(*weights.shape[:2], -1)).reshape(len(weights), -1)
    first = sums_begin(p, rows)
    return pair_rows(rows, first, requants, constant)


def _run_words(weights: Int8Array) -> int:
    """Words of a row of a window."""
    return -(-int(weights.shape[2] * weights.shape[3]) // 4)


def _call(
    p: TransposeConvParams,
    phases: Sequence[Int8Array],
    streams: Sequence[IntArray],
    fields: Fields,
    pair_numbers: int,
) -> CCall:
    sizes = [stream.size for stream in streams]
    rows = max(w.shape[1] for w in phases)
    left = max(w.shape[2] for w in phases) - 1
    columns = (p.output_shape[2] - 1 + p.window.pad[1]) // p.window.stride[1] + 1
    row_bytes = (left + max(columns, p.input_shape[2])) * p.input_shape[3]
    row_bytes += 4 + -row_bytes % 4  # a window's last word may reach beyond the row
    x_bytes = max(8 * QUAD * w.shape[1] * _run_words(w) for w in phases)
    values = [
        f"{{{sum(sizes[:i])}, {w.shape[1]}, {w.shape[2]}, {_run_words(w)}}}"
        for i, w in enumerate(phases)
    ]
    firsts = sum(2 * len(stream) for stream in streams)
    numbers = sum(pair_numbers * len(stream) for stream in streams)
    weights = sum(sizes) - firsts - numbers
    stream = np.concatenate([stream.reshape(-1) for stream in streams])
    return CCall(
        function="nn_transpose_conv_packed_s8",
        params_type="nn_transpose_packed_t",
        params={
            "input": c_shape(p.input_shape),
            "output": c_shape(p.output_shape),
            "window": p.window.c_initialiser(),
            "pad_value": str(-p.input_offset),
            "x_bytes": str(x_bytes),
            "rows": str(rows),
            "row_bytes": str(row_bytes),
            "left": str(left),
            "phases": "@phases",
            **fields,
        },
        constants=(
            words_constant("stream", stream, weights=weights, biases=firsts),
            CConstant(
                suffix="phases",
                ctype="nn_phase_t",
                values=tuple(values),
                bytes=16 * len(values),
            ),
        ),
        inputs=(2,),
        scratch_bytes=x_bytes + rows * row_bytes,
    )


def _cost(p: TransposeConvParams, phases: Sequence[Int8Array]) -> int:
    """Instructions of all pixels, as if they filled groups of four."""
    pairs = -(-p.output_shape[3] // 2)
    of_quads: int = sum(
        pairs * (22 * w.shape[1] * _run_words(w) + PER_PAIR)
        + PER_QUAD
        + w.shape[1] * (20 + PER_WORD * _run_words(w))
        for w in phases
    )
    return round(int(np.prod(p.output_shape[:3])) / QUAD * of_quads / len(phases))
