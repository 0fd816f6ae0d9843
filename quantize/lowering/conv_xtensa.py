"""CONV_2D as nn_conv_2d_trio_s8: weights as a stream of three output channels (nn_trio.h)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from quantize.lowering.base import LoweredStep, aligned, in_groups
from quantize.lowering.packing import as_row, words_constant
from quantize.lowering.split import (
    EXACT_LIMIT,
    Changes,
    Rows,
    exact_requants,
    find_changes,
    short_requants,
)
from quantize.ops.base import CCall, CConstant, c_shape
from quantize.ops.conv_2d import ConvParams, split_groups
from quantize.ops.window import OutputStage
from quantize.reference import Step
from quantize.scheme import IntArray
from quantize.tflite.graph import Graph
from quantize.timings import usual

PIXELS = 4  # at a time
CHANNELS = 3
STEP = 4  # inputs
LARGEST_SUM = (1 << 20) - (1 << 10)  # of a chunk; the sums of three channels can be told apart
INPUT_MAX = 255  # the kernel's inputs are int8 plus 128


def lower_conv(_graph: Graph, step: Step, _scratch_budget_bytes: int) -> LoweredStep | None:
    """nn_conv_2d_trio_s8; None where its short requantisation is not exact.

    Costs a MAC: 1.88 instructions, and for each four pixels about 60 a channel and 16 an input of
    their windows.
    """
    p: ConvParams = step.params
    if p.groups > 1:
        return in_groups(step, [_convolution(step, part) for part in split_groups(p)])
    return _convolution(step, as_row(p))


def _convolution(step: Step, p: ConvParams) -> LoweredStep | None:
    stream = trio_stream(p, p.weights.reshape(len(p.weights), -1))
    if stream is None:
        return None
    pixels = math.prod(p.output_shape[:3])
    shapes = p.input_shape, p.output_shape
    if _is_plain(p):
        shapes = (1, 1, pixels, p.input_shape[3]), (1, 1, pixels, p.output_shape[3])
    call = CCall(
        function="nn_conv_2d_trio_s8",
        params_type="nn_conv_trio_t",
        params={
            "input": c_shape(shapes[0]),
            "output": c_shape(shapes[1]),
            "window": p.window.c_initialiser(),
            "pad_value": str(-p.input_offset),
        }
        | stream.fields("trio"),
        constants=(stream.constant,),
        first_input=p.first_input,
        first_output=p.first_output,
        scratch_bytes=PIXELS * STEP * stream.chunks * stream.steps + p.input_shape[3],
    )
    taps = p.weights[0].size
    longer = max(p.output_shape[3] - p.input_shape[3], 0)  # pixels of the output
    ahead = aligned(pixels * longer) if _is_plain(p) else None
    return LoweredStep(
        step=step,
        calls=(call,),
        in_place=(0,) if ahead == 0 else (),
        ahead_bytes=ahead,
        requantisation=stream.requantisation,
        cost=usual(pixels * (len(p.weights) * (1.88 * taps + 15) + 4 * taps), "xtensa"),
    )


def _is_plain(p: ConvParams) -> bool:
    """Whether all pixels are a row of their own, and output pixels lie where input pixels do.

    Outputs then lie at or before the inputs of their four pixels, when they begin so far ahead that
    the last ones do.
    """
    w = p.window
    return w.kernel == (1, 1) and w.stride == (1, 1) and w.pad == (0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrioStream:
    """The constant that an nn_trio_t points to, and its fields."""

    constant: CConstant
    channels: int
    chunks: int
    steps: int  # of STEP inputs in each chunk
    requantisation: str

    def fields(self, name: str) -> dict[str, str]:
        """The initialisers of the nn_trio_t `name`."""
        return {
            f"{name}.stream": "@stream",
            f"{name}.channels": str(self.channels),
            f"{name}.chunks": str(self.chunks),
            f"{name}.steps": str(self.steps),
        }


def trio_stream(p: OutputStage, weights: npt.NDArray[Any]) -> TrioStream | None:
    """The stream of weights [channels, inputs]; None when no requantisation is proven."""
    wide = weights.astype(np.int64)
    changes = find_changes(p, wide)
    if changes is None:
        return None
    rows = short_requants(p.requants, changes, CHANNELS)
    if rows is not None and _fit(changes):
        return _short_stream(p, wide, rows)
    # Sums that are too large may all be of one sign, behind a ReLU: their middle is as good a 0.
    large = np.maximum(-changes.minimum, changes.maximum) > EXACT_LIMIT
    origin = np.where(large, changes.middle, 0)
    rows = exact_requants(p.requants, changes.less(origin), by_sign=~large)
    return None if rows is None else _exact_stream(p, wide, rows, origin)


def _fit(changes: Changes) -> bool:
    """Whether the accumulators of three channels can be told apart."""
    return max(-int(changes.low.min()), int(changes.high.max())) <= LARGEST_SUM


def _short_stream(p: OutputStage, weights: IntArray, rows: Rows) -> TrioStream:
    steps = -(-weights.shape[1] // STEP)
    firsts = p.bias + (p.input_offset - 128) * weights.sum(axis=1)
    numbers = [row.short() for row in rows]
    shifts = [row.shift for row in rows[::CHANNELS]]
    parts = np.pad(weights, ((0, 0), (0, steps * STEP - weights.shape[1])))[:, None]
    return _trio_stream(parts, firsts[:, None], numbers, shifts)


def _exact_stream(p: OutputStage, weights: IntArray, rows: Rows, origin: IntArray) -> TrioStream:
    """Each chunk's sums begin so that 0 is in the middle of their range.

    `rows` take accumulators less `origin` [channels], which is 0 but where they are too large.
    """
    chunks, steps = _chunks(weights)
    padded = np.pad(weights, ((0, 0), (0, chunks * steps * STEP - weights.shape[1])))
    parts = padded.reshape(len(weights), chunks, steps * STEP)
    middles = (INPUT_MAX * parts.sum(axis=2)) >> 1
    centre = p.bias + (p.input_offset - 128) * weights.sum(axis=1) + middles.sum(axis=1)
    numbers = []
    for row, c in zip(rows, (centre - origin).tolist(), strict=True):
        minimum, maximum, *others = row.exact()
        numbers.append([c, minimum - c, maximum - c, *others])
    return _trio_stream(parts, -middles, numbers, [])


def _largest(weights: IntArray) -> IntArray:
    """The largest distance of a sum over the last axis from the middle of its range."""
    largest: IntArray = (INPUT_MAX * np.abs(weights).sum(axis=-1) + 1) >> 1
    return largest


def _chunks(weights: IntArray) -> tuple[int, int]:
    """The fewest equal chunks of weights [channels, inputs] with small sums, and their steps."""
    total = -(-weights.shape[1] // STEP)
    chunks = max(1, -(-int(_largest(weights).max()) // LARGEST_SUM))
    while True:
        steps = -(-total // chunks)
        padded = np.pad(weights, ((0, 0), (0, chunks * steps * STEP - weights.shape[1])))
        if int(_largest(padded.reshape(len(weights), chunks, -1)).max()) <= LARGEST_SUM:
            return chunks, steps
        chunks += 1


def _trio_stream(
    parts: IntArray, firsts: IntArray, numbers: list[list[int]], shifts: Sequence[int]
) -> TrioStream:
    """All words; parts [channels, chunks, inputs], firsts [channels, chunks].

    `shifts` of each three channels; none in the exact form.
    """
    inputs = np.concatenate([firsts[:, :, None], parts], axis=2)
    words: list[int] = []
    biases = 0
    for k in range(0, len(parts), CHANNELS):
        trio = inputs[k : k + CHANNELS]
        packed = (_packed(trio) if len(trio) > 1 else trio).reshape(parts.shape[1], -1)
        shift = shifts[k // CHANNELS] if shifts else -1
        words += np.pad(packed, ((0, 0), (0, 1)), constant_values=shift).reshape(-1).tolist()
        biases += packed.size // inputs.shape[2]
        for row in numbers[k : k + CHANNELS]:
            words += row
    return TrioStream(
        constant=words_constant(
            "stream",
            np.array(words, np.int64),
            weights=biases * (inputs.shape[2] - 1),
            biases=biases,
        ),
        channels=len(parts),
        chunks=parts.shape[1],
        steps=parts.shape[2] // STEP,
        requantisation="short" if shifts else "exact",
    )


def _packed(trio: IntArray) -> IntArray:
    """[channels, ...] as b + 2**11 c and a + 2**21 c on a new last axis."""
    a, b, *others = trio
    c = others[0] if others else np.zeros_like(a)
    return np.stack([b + (c << 11), a + (c << 21)], axis=-1)
