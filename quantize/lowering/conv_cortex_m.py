"""CONV_2D as nn_conv_2d_rows_s8, of pixels or of pairs of bytes, as nn_conv_2d_points_s8, as
nn_conv_2d_fours_s8, or as nn_conv_2d_packed_s8."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from quantize.lowering.base import LoweredStep, aligned, in_groups, rivals
from quantize.lowering.few_cortex_m import few_inputs, is_few
from quantize.lowering.fours_cortex_m import KERNEL as FOURS
from quantize.lowering.fours_cortex_m import band_of, fours_call, fours_cost
from quantize.lowering.mono_cortex_m import WINDOW as MONO_ROWS
from quantize.lowering.mono_cortex_m import one_channel
from quantize.lowering.packing import (
    Fields,
    Requants,
    ahead_of,
    as_row,
    first_pair_form,
    jump_form,
    layer_constant,
    pad_words,
    pair_rows,
    quad_fields,
    reach_of,
    small_sizes,
    sums_begin,
    words_constant,
)
from quantize.lowering.rows_cortex_m import KERNEL as ROWS
from quantize.lowering.rows_cortex_m import Rows, rows_step
from quantize.lowering.runs import padded, runs_of
from quantize.ops.base import CCall, CConstant
from quantize.ops.conv_2d import ConvParams, split_groups
from quantize.ops.window import Window
from quantize.proofs import Form
from quantize.reference import Step
from quantize.scheme import IntArray
from quantize.tflite.graph import Graph
from quantize.timings import Cost, cortex_m

PACKED, POINTS, SINGLE = "nn_conv_2d_packed_s8", "nn_conv_2d_points_s8", "nn_conv_2d_single_s8"
QUAD = 4  # pixels at a time
QUAD_WORDS, PIXEL_WORDS = 0.45, 0.5  # loaded, an instruction: 5 in a step of 11, of a pixel 2 of 4
POINT = Window(kernel=(1, 1), stride=(1, 1), dilation=(1, 1), pad=(0, 0))
NEARLY = 1.02  # as fast: nn_conv_2d_packed_s8 has 800 bytes of code more than nn_conv_2d_fours_s8
SPARE_ROWS = 4  # of nn_conv_2d_rows_s8: more cost scratch, fewer cost moves
FORMS: tuple[Form, ...] = ("fixed_8", "floor", "sign")  # the shortest first
NO_QUAD = {"quad.outputs": "0"}  # of what never calls nn_quad_s8


def lower_conv(_graph: Graph, step: Step, scratch_budget_bytes: int) -> LoweredStep | None:
    """A packed kernel; None where its short requantisation or its packing is not exact."""
    p: ConvParams = step.params
    if p.groups == 1:
        return convolution(step, p, scratch_budget_bytes)
    groups = split_groups(_side_by_side(p))
    parts = [_lowered(step, part, scratch_budget_bytes) for part in groups]
    return in_groups(step, parts)


def convolution(step: Step, p: ConvParams, scratch_budget_bytes: int) -> LoweredStep | None:
    """A step that is the convolution `p`, with weights [out_c, kh, kw, in_c]; None as above.

    A column is a row where that is cheaper and its scratch, a copy of the whole image, fits the
    budget; so must a copy of the weights for few inputs.
    """
    mono = one_channel(step, p, ahead_of(p, 1, MONO_ROWS), scratch_budget_bytes)
    if mono is not None:
        return mono
    flat, row = _side_by_side(p), as_row(p)
    pairs = _by_pairs(step, p)
    few = few_inputs(step, p) if is_few(p) else None
    for special in (pairs, few):
        fits = special and special.scratch_bytes <= scratch_budget_bytes
        if special and fits and special.cost and special.cost.cycles < _cost(flat).cycles:
            return replace(special, alternatives=rivals({_kernel(flat): _cost(flat)}, ""))
    shorter = _cost(row).cycles < _cost(flat).cycles
    along = _lowered(step, row, scratch_budget_bytes) if shorter else None
    if along and along.scratch_bytes <= scratch_budget_bytes:
        return along
    return _lowered(step, flat, scratch_budget_bytes)


def by_windows(step: Step) -> LoweredStep | None:
    """The convolution `step` with windows that are gathered from rows in scratch, of which no word
    is read beyond the input. None as lower_conv."""
    return _by(PACKED, step, step.params)


def _lowered(step: Step, p: ConvParams, scratch_budget_bytes: int) -> LoweredStep | None:
    kernel = _kernel(p)
    lowered = _by(kernel, step, p)
    if kernel != FOURS or (lowered and lowered.scratch_bytes <= scratch_budget_bytes):
        return lowered
    return _by(PACKED, step, p)


def _by(kernel: str, step: Step, p: ConvParams) -> LoweredStep | None:
    requants = _requants(p, kernel)
    if requants is None:
        return None
    if kernel == ROWS:
        return _by_rows(step, p, requants)
    quad = _quad(p, runs_of(p).arranged(p.weights), requants)
    if quad is None:
        return None
    if kernel == FOURS:
        made = fours_call(p, *quad, _products(p))
    else:
        made = _by_points(p, *quad) if kernel == POINTS else windows_call(PACKED, p, *quad)
    if made is None:
        return None
    call, ahead = made
    ahead = ahead if _is_whole(p) else None
    others = {PACKED: _cost(p, PACKED)} if kernel == FOURS else {}
    return LoweredStep(
        step=step,
        calls=(call,),
        in_place=(0,) if ahead == 0 else (),
        ahead_bytes=ahead,
        requantisation=requants[0].form,
        cost=_cost(p, kernel),
        alternatives=rivals(others, kernel),
        stream_words=_stream_words(p, kernel),
    )


def _kernel(p: ConvParams) -> str:
    """What is asked first: that of pixels side by side, then the one of the fewest instructions,
    but nn_conv_2d_fours_s8 where it is NEARLY that."""
    if _is_points(p):
        return POINTS
    if _is_by_rows(p):
        return ROWS
    return _windows_kernel(p)


def _windows_kernel(p: ConvParams) -> str:
    return FOURS if _fours_cost(p) <= NEARLY * _windows_cost(p) else PACKED


def _requants(p: ConvParams, kernel: str) -> Requants | None:
    """The form that costs least, None where none is exact. Single pixels have no jump form."""
    weights = p.weights.reshape(len(p.weights), -1)
    short = first_pair_form(p, weights, FORMS)
    fours = kernel == FOURS or pixels_of(p) % QUAD == 0
    if short and short[0].form == "sign" and fours:
        return jump_form(p, weights) or short
    return short


def _quad(p: ConvParams, rows: IntArray, requants: Requants) -> tuple[Fields, CConstant] | None:
    """The fields and the stream of an nn_quad_t; `rows` [channels, ...] are padded."""
    weights = rows.reshape(len(rows), -1)
    first = sums_begin(p, weights)
    constant, steps = layer_constant(requants), weights.shape[1] // 2
    if constant is None:
        return None
    fields = quad_fields(len(weights), steps, requants, constant)
    stream = pair_rows(weights, first, requants, constant)
    if fields is None or stream is None:
        return None
    taps, firsts = len(stream) * steps, 2 * len(stream)
    return fields, words_constant("stream", stream, weights=taps, biases=firsts)


def _by_rows(step: Step, p: ConvParams, requants: Requants) -> LoweredStep | None:
    taps = pad_words(p.weights.transpose(0, 2, 1, 3))
    quad = _quad(p, taps, requants)
    if quad is None:
        return None
    words = taps.shape[3] // 4
    rows = Rows(
        load="nn_load_quads_s8",
        products=_products(p),
        columns=_row_columns(p),
        slot_words=2 * QUAD * words,
        beside_bytes=8 * words,
        spare=SPARE_ROWS,
        groups=p.output_shape[2] // QUAD,
        group_columns=p.window.stride[1],
        quarter=p.output_shape[2] // QUAD * p.window.stride[1],
        words=words,
    )
    lowered = rows_step(step, p, rows, quad, requants[0].form, _cost(p))
    if lowered is None:
        return None
    name = _windows_kernel(p)
    others = rivals({name: _cost(p, name)}, ROWS)
    return replace(lowered, alternatives=others, stream_words=_stream_words(p, ROWS))


def _by_pairs(step: Step, p: ConvParams) -> LoweredStep | None:
    """With columns of two bytes, from one window to the next; None where rows do not consist of
    them, or no short requantisation is exact."""
    height, width, channels = p.weights.shape[1:]
    count, odd = -(-width * channels // 2), width * channels % 2
    if (
        p.window.stride[1] * channels != 2
        or p.window.dilation != (1, 1)
        or p.window.stride[0] > height
        or p.output_shape[2] % QUAD
        or height * count % 2
    ):
        return None
    requants = _requants(p, ROWS)
    taps = np.pad(p.weights.reshape(len(p.weights), height, -1), ((0, 0), (0, 0), (0, odd)))
    pairs = taps.reshape(len(taps), height, count, 2).transpose(0, 2, 1, 3)
    fours = pairs.reshape(len(taps), -1, 4)[..., [0, 2, 1, 3]].astype(np.int64)
    quad = _quad(p, fours, requants) if requants else None
    if requants is None or quad is None:
        return None
    groups = p.output_shape[2] // QUAD
    rows = Rows(
        load="nn_load_pairs_s8",
        products=_products(p),
        columns=groups - 1 + count,
        slot_words=QUAD,
        # eight words at a time are moved: up to four of what is beside are read with the last
        beside_bytes=max(2 * (p.output_shape[2] - 1 + count), 4 * QUAD),
        spare=p.window.stride[0],
        groups=groups,
        quarter=2 * groups,
    )
    stream = (len(p.weights) + 1) // 2 * (height * count + 5)
    four = cortex_m(1, words=QUAD_WORDS) * (_quad_cost(p, 2 * height * count) + 70)
    row = p.window.stride[0] * (120 + 2 * rows.beside_bytes + 17 * rows.columns)
    cost = cortex_m(row, words=row / 4) + groups * (four + cortex_m(0, flash=stream))
    return rows_step(step, p, rows, quad, requants[0].form, math.prod(p.output_shape[:2]) * cost)


def _by_points(p: ConvParams, quad: Fields, stream: CConstant) -> tuple[CCall, int | None] | None:
    """A call with an nn_points_t, or an nn_single_t, and `ahead_bytes`; None where the bytes of a
    pixel have no room in it."""
    pixels, inputs, outputs = p.output_shape[0] * pixels_of(p), p.input_shape[3], p.output_shape[3]
    if max(inputs, outputs) >= 1 << 16:
        return None
    single = quad | {
        "pixels": str(pixels),
        "input_bytes": str(inputs),
        "output_bytes": str(outputs),
    }
    points = {f"single.{field}": value for field, value in single.items()} | {
        "products": _products(p),
        "left": SINGLE if pixels % QUAD else "0",
    }
    call = CCall(
        function=POINTS if pixels >= QUAD else SINGLE,
        params_type="nn_points_t" if pixels >= QUAD else "nn_single_t",
        params=points if pixels >= QUAD else single | NO_QUAD,
        constants=(stream,),
        first_input=p.first_input,
        first_output=p.first_output,
        scratch_bytes=(4 * QUAD if pixels >= QUAD else 4) * int(quad["quad.steps"]),
    )
    return call, ahead_of(p, QUAD, None)


def windows_call(
    function: str, p: ConvParams, quad: Fields, stream: CConstant, block: int = QUAD
) -> tuple[CCall, int | None] | None:
    """A call with an nn_conv_packed_t, and `ahead_bytes`; all sizes of `p` are bytes. None where a
    size has no room in it.

    The kernel reads `block` pixels before it writes the first of them.
    """
    runs, rows, sizes = runs_of(p), _rows(p), small_sizes(p)
    if sizes is None or rows >= 1 << 16:
        return None
    ahead = ahead_of(p, block, reach_of(p) if rows else None) if _is_whole(p) else None
    columns = padded(p, 1)
    inside = min(columns - p.window.pad[1], p.input_shape[2] - p.first_input // p.input_shape[3])
    if ahead != 0 and rows and not _needs_rows(p):
        rows, ahead = 0, None
    row_bytes = columns * p.input_shape[3] if rows else p.input_shape[2] * p.input_shape[3]
    row_bytes += -row_bytes % 4 if rows else 0
    call = CCall(
        function=function,
        params_type="nn_conv_packed_t",
        params=sizes
        | quad
        | ({} if pixels_of(p) >= QUAD else NO_QUAD)
        | {
            "rows": str(rows),
            "row_bytes": str(row_bytes),
            "inside_bytes": str(inside * p.input_shape[3]),
            "parts": str(runs.parts),
            "part_bytes": str(p.window.dilation[0] * row_bytes),
            "runs": runs.c_initialiser(p.window.dilation[0] * row_bytes),
        },
        constants=(stream,),
        first_input=p.first_input,
        first_output=p.first_output,
        scratch_bytes=(4 * QUAD if pixels_of(p) >= QUAD else 4) * int(quad["quad.steps"])
        + (rows * row_bytes + 4 if rows else 0),
    )
    return call, ahead


def _products(p: ConvParams) -> str:
    return "nn_channels_s8" if len(p.weights) % 2 else "nn_quad_s8"


def _is_by_rows(p: ConvParams) -> bool:
    """Whether nn_conv_2d_rows_s8 can take it and is the fastest one."""
    w = p.window
    return (
        p.output_shape[2] % QUAD == 0
        and w.dilation == (1, 1)
        and w.stride[0] <= w.kernel[0]
        and w.kernel != (1, 1)
        and (p.input_shape[3] > 1 or has_room(p))
        and _rows_cost(p) < min(_windows_cost(p), _fours_cost(p))
    )


def _cost(p: ConvParams, kernel: str | None = None) -> Cost:
    """Of all pixels with the kernel that is chosen, or with `kernel`: each four, or each that is
    left, read all weights."""
    kernel = kernel or _kernel(p)
    stream = _stream(p, kernel)
    products = _quad_cost(p, runs_of(p).inputs)
    fours = cortex_m(products, words=QUAD_WORDS * products, flash=stream)
    if kernel == FOURS and (cost := fours_cost(p, fours)):
        return cost
    quads, left = divmod(pixels_of(p), QUAD)
    quad = _rows_cost(p) if kernel == ROWS else _windows_cost(p)
    pixel = 0 if kernel == ROWS else _pixel_cost(p)
    return p.output_shape[0] * (
        quads * cortex_m(quad, words=QUAD_WORDS * quad, flash=stream)
        + left * cortex_m(pixel, words=PIXEL_WORDS * pixel, flash=stream)
    )


def _stream(p: ConvParams, kernel: str) -> int:
    """Words of the stream, about."""
    inputs = p.weights[0].size if kernel == ROWS else runs_of(p).inputs
    return (len(p.weights) + 1) // 2 * (inputs // 2 + 5)


def _stream_words(p: ConvParams, kernel: str) -> int:
    """Words of the stream that are read in all."""
    band = band_of(p) if kernel == FOURS else None
    quads, left = divmod(pixels_of(p), QUAD)
    times = band.fours(pixels_of(p)) if band else p.output_shape[0] * (quads + left)
    return times * _stream(p, kernel)


def _fours_cost(p: ConvParams) -> float:
    """Instructions for four pixels with nn_conv_2d_fours_s8, on average."""
    cost = fours_cost(p, cortex_m(_quad_cost(p, runs_of(p).inputs)))
    return QUAD / pixels_of(p) * cost.instructions if cost else math.inf


def pixels_of(p: ConvParams) -> int:
    """Of one image of the output."""
    return p.output_shape[1] * p.output_shape[2]


def _row_columns(p: ConvParams) -> int:
    """Input columns that the windows of a quarter of an output row reach."""
    quarter = p.output_shape[2] // QUAD * p.window.stride[1]
    return quarter - p.window.stride[1] + p.window.kernel[1]


def _quad_cost(p: ConvParams, inputs: int) -> int:
    """Instructions of nn_quad_s8 for windows of so many inputs, padding included."""
    return (len(p.weights) + 1) // 2 * (11 * inputs // 2 + 6 * -(-inputs // 36) + 52)


def _rows_cost(p: ConvParams) -> float:
    """Instructions for four pixels with nn_conv_2d_rows_s8: rows are widened once, four columns
    at a time."""
    words = -(-p.input_shape[3] // 4)
    row = p.window.stride[0] * _row_columns(p) * (35 + 16 * words)
    quads = p.output_shape[2] // QUAD
    inputs = 4 * words * p.window.kernel[0] * p.window.kernel[1]
    return _quad_cost(p, inputs) + 30 + row / quads


def _windows_cost(p: ConvParams) -> float:
    """Instructions for four pixels with nn_conv_2d_points_s8, or with nn_conv_2d_packed_s8, which
    gathers every window."""
    runs = runs_of(p)
    if _is_points(p):
        return _quad_cost(p, runs.inputs) + 65 + 4 * runs.inputs
    found = 70 + 270 * min(QUAD / p.output_shape[2], 1)  # windows, again in each row
    return _quad_cost(p, runs.inputs) + found + runs.cost + 4 * load_cost(p)


def load_cost(p: ConvParams) -> float:
    """Instructions for a pixel's part of the rows that nn_conv_2d_packed_s8 copies."""
    row = 60 + 6 * padded(p, 1) * p.input_shape[3] // 4
    return min(p.window.stride[0], p.window.kernel[0]) * row / p.output_shape[2] if _rows(p) else 0


def _pixel_cost(p: ConvParams) -> float:
    """Instructions for a pixel that is left, with nn_conv_2d_single_s8 or nn_conv_2d_packed_s8."""
    runs = runs_of(p)
    products = (len(p.weights) + 1) // 2 * (2 * runs.inputs + 32)
    if _is_points(p):
        return products + 2 * runs.inputs + 45
    return products + 2 * runs.inputs + 15 * runs.parts * runs.count + 120 + load_cost(p)


def is_point(p: ConvParams) -> bool:
    """Whether a pixel of the output is made of the pixel of the input at the same place."""
    w = p.window
    return w.kernel == w.stride == (1, 1) and w.pad == (0, 0)


def in_one_row(p: ConvParams) -> ConvParams:
    """The same over a single row of pixels."""
    n, height, width, _ = p.input_shape
    row = (1, 1, n * height * width)
    return replace(
        p,
        input_shape=(*row, p.input_shape[3]),
        output_shape=(*row, p.output_shape[3]),
        window=POINT,
    )


def _is_points(p: ConvParams) -> bool:
    """Whether it is of pixels side by side, as nn_conv_2d_points_s8 takes them."""
    return is_point(p) and p.input_shape[:3] == p.output_shape[:3] and has_room(p)


def _side_by_side(p: ConvParams) -> ConvParams:
    """The same over a single row of pixels, where that is what nn_conv_2d_points_s8 takes."""
    return in_one_row(p) if _is_points(p) else p


def has_room(p: ConvParams) -> bool:
    """Whether words that begin in the last pixel end in the bytes of its tensor in the arena."""
    size, beyond = math.prod(p.input_shape), -int(p.weights.shape[3]) % 4
    return aligned(size) >= size + beyond


def _is_whole(p: ConvParams) -> bool:
    """Whether it computes all channels of its output."""
    return len(p.weights) == p.output_shape[3]


def _needs_rows(p: ConvParams) -> bool:
    """Whether windows meet borders, or words reach beyond the input."""
    inside = all(p.window.pad[a] == 0 and padded(p, a) <= p.input_shape[1 + a] for a in (0, 1))
    runs = runs_of(p)
    return not inside or (runs.bytes % 4 != 0 and not runs.tail)


def _rows(p: ConvParams) -> int:
    """Rows that four pixels need at once; 0 where windows of one pixel are read in place."""
    if p.window.kernel == (1, 1) and not _needs_rows(p):
        return 0
    spanned = min((p.output_shape[2] - 2 + QUAD) // p.output_shape[2], p.output_shape[1] - 1)
    return spanned * p.window.stride[0] + (p.window.kernel[0] - 1) * p.window.dilation[0] + 1
