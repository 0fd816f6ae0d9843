"""CONV_2D of three columns in tiles (nn_rows.h): exact, weights of 2.67 times the bytes."""

from __future__ import annotations

import numpy as np

from quantize.lowering.base import LoweredStep
from quantize.lowering.packing import (
    first_short_form,
    first_values,
    quad_sizes,
    scale_rows,
    words_constant,
)
from quantize.lowering.rows_cortex_m import FOUR, Rows, rows_step
from quantize.ops.base import CConstant
from quantize.ops.conv_2d import ConvParams
from quantize.proofs import Form, ShortRequant
from quantize.reference import Step
from quantize.scheme import IntArray
from quantize.tflite.graph import Graph
from quantize.timings import Cost, cortex_m

COLUMNS = 3  # of a window
PHASES = 4
STEPS = 6  # of two inputs each, at a time
SPARE_ROWS = 2  # more cost scratch, fewer cost moves
ORDER = (0, 2, 1, 3)  # in which four inputs are widened
LIMIT = 1 << 15  # of a weight
C_FORMS: dict[Form, str] = {"fixed": "NN_FIXED", "sign": "NN_SIGN"}  # the shorter first


def lower_winograd(_graph: Graph, step: Step, scratch_budget_bytes: int) -> LoweredStep | None:
    """Two thirds of the multiplications: 0.5 to 0.6 instructions a MAC.

    None for windows that do not move by single pixels, for shapes that leave tiles, channels or
    steps over, and where scratch or no short requantisation fits.
    """
    p: ConvParams = step.params
    found = _stream(p) if _fits(p) else None
    sizes = quad_sizes(len(p.weights), _steps(p))
    if found is None or sizes is None:
        return None
    form, stream = found
    rows = Rows(
        load="nn_load_tiles_s8",
        products="nn_winograd_s8",
        columns=_groups(p),
        slot_words=8 * p.input_shape[3],
        beside_bytes=p.input_shape[3],
        spare=SPARE_ROWS,
        groups=_groups(p),
        group_pixels=2,
    )
    fields = sizes | {"quad.stream": "@stream", "quad.form": C_FORMS[form]}
    lowered = rows_step(step, p, rows, (fields, stream), form, _cost(p, form))
    return lowered if lowered and lowered.scratch_bytes <= scratch_budget_bytes else None


def _fits(p: ConvParams) -> bool:
    w = p.window
    return (
        p.groups == 1
        and w.kernel[1] == COLUMNS
        and w.stride == w.dilation == (1, 1)
        and p.input_shape[3] % 4 == 0
        and _steps(p) % STEPS == 0
        and p.output_shape[2] % (2 * FOUR) == 0
        and p.output_shape[3] % 2 == 0
    )


def _groups(p: ConvParams) -> int:
    """Of four tiles, in a row."""
    return p.output_shape[2] // (2 * FOUR)


def _steps(p: ConvParams) -> int:
    """Of a phase, two inputs each."""
    return p.window.kernel[0] * p.input_shape[3] // 2


def _stream(p: ConvParams) -> tuple[Form, CConstant] | None:
    """The stream and its form; None where none is exact or a weight is too large."""
    flat = p.weights.reshape(len(p.weights), -1).astype(np.int64)
    for form in C_FORMS:
        requants = first_short_form(p, flat, (form,), limit=1 << 31)
        if requants is None:
            continue
        before = np.array([r.pre_shift for r in requants])
        phases = _phases(p.weights.astype(np.int64)) << (before - 1)[:, None, None]
        if int(np.abs(phases).max()) < LIMIT:
            return form, _packed(phases, first_values(p, flat, requants), requants)
    return None


def _phases(weights: IntArray) -> IntArray:
    """Weights [channels, kh, 3, c] as [channels, phases, kh * c], those of nn_rows.h."""
    left, middle, right = (weights[:, :, i] for i in range(COLUMNS))
    both = left + right
    phases = np.stack([both + middle, both - middle, 2 * left, 2 * right], axis=1)
    return phases.reshape(len(weights), PHASES, -1)


def _packed(phases: IntArray, first: list[int], requants: tuple[ShortRequant, ...]) -> CConstant:
    shifts, scales = scale_rows(requants, 2)
    halves = phases.reshape(len(phases), -1, 4)[..., ORDER] & 0xFFFF
    words = halves[..., 0::2] | halves[..., 1::2] << 16
    pairs = words.reshape(len(shifts), 2, -1).transpose(0, 2, 1).reshape(len(shifts), -1)
    stream = np.concatenate([np.array(first).reshape(-1, 2), scales, shifts, pairs], axis=1)
    return words_constant("stream", stream, weights=pairs.size, biases=len(first))


def _cost(p: ConvParams, form: Form) -> Cost:
    n, height, _, channels = p.output_shape
    groups, steps = _groups(p), _steps(p)
    pair = 125 + PHASES * (11 * steps + 5 * steps // STEPS) + (38 if form == "sign" else 0)
    words = PHASES * steps * (4 + 2)  # inputs and weights, these from flash
    products = cortex_m(pair, words=words, flash=PHASES * 2 * steps)
    row = groups * (cortex_m(70) + channels // 2 * products)
    load = groups * FOUR * (75 + 31 * p.input_shape[3] // 4)
    loads = (height + p.window.kernel[0] - 1) * cortex_m(load, words=load / 4)
    return n * (height * row + loads)
