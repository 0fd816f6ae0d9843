"""Weights as the stream that nn_trio_s8 reads, three output channels at a time (nn_trio.h)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from quantize.lowering.base import LoweredStep
from quantize.lowering.packing import words_constant
from quantize.lowering.split import (
    Changes,
    exact_requants,
    find_changes,
    near_requants,
)
from quantize.ops.base import CCall, CConstant, c_shape
from quantize.ops.conv_2d import ConvParams
from quantize.ops.window import OutputStage
from quantize.reference import Step
from quantize.scheme import IntArray
from quantize.tflite.graph import Graph

PIXELS = 4  # at a time
CHANNELS = 3
STEP = 4  # inputs
LARGEST_SUM = (1 << 20) - (1 << 10)  # of a chunk; the sums of three channels can be told apart
INPUT_MAX = 255  # the kernel's inputs are int8 plus 128


def lower_conv_trio(graph: Graph, step: Step, room: int) -> LoweredStep | None:
    """nn_conv_2d_trio_s8; None where its short requantisation is not exact.

    Costs a MAC: 1.88 instructions, and for each four pixels about 60 a channel and 16 an input of
    their windows.
    """
    p: ConvParams = step.params
    stream = trio_stream(p, p.weights.reshape(len(p.weights), -1))
    if stream is None:
        return None
    pixels = math.prod(p.output_shape[:3])
    call = CCall(
        function="nn_conv_2d_trio_s8",
        params_type="nn_conv_trio_t",
        params={
            "input": c_shape(p.input_shape),
            "output": c_shape(p.output_shape),
            "window": p.window.c_initialiser(),
            "pad_value": str(-p.input_offset),
        }
        | stream.fields("trio"),
        constants=(stream.constant,),
        scratch_bytes=PIXELS * STEP * stream.chunks * stream.steps,
    )
    taps = p.weights[0].size
    return LoweredStep(
        step=step,
        calls=(call,),
        in_place=(0,) if _works_in_place(p) else (),
        requantisation=stream.form.removeprefix("NN_").lower(),
        cost=round(math.prod(p.output_shape) * (1.88 * taps + 15) + pixels * 4 * taps),
    )


def _works_in_place(p: ConvParams) -> bool:
    """Whether the inputs of four pixels lie at or behind their outputs, and nowhere else."""
    w = p.window
    plain = w.kernel == (1, 1) and w.stride == (1, 1) and w.pad == (0, 0)
    return plain and p.input_shape[3] >= p.output_shape[3]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrioStream:
    """The constant that an nn_trio_t points to, and its fields."""

    constant: CConstant
    channels: int
    chunks: int
    steps: int  # of STEP inputs in each chunk
    form: str

    def fields(self, name: str) -> dict[str, str]:
        """The initialisers of the nn_trio_t `name`."""
        return {
            f"{name}.stream": "@stream",
            f"{name}.channels": str(self.channels),
            f"{name}.chunks": str(self.chunks),
            f"{name}.steps": str(self.steps),
            f"{name}.form": self.form,
        }


def trio_stream(p: OutputStage, weights: npt.NDArray[Any]) -> TrioStream | None:
    """The stream of weights [channels, inputs]; None when no requantisation is proven."""
    wide = weights.astype(np.int64)
    changes = find_changes(p, wide)
    if changes is None:
        return None
    chunks, steps = _chunks(wide)
    inputs = chunks * steps * STEP
    wide = np.pad(wide, ((0, -len(wide) % CHANNELS), (0, inputs - wide.shape[1])))
    parts = wide.reshape(len(wide), chunks, steps * STEP)
    middles = (INPUT_MAX * parts.sum(axis=2)) >> 1
    count = len(weights)
    centre = p.bias + (p.input_offset - 128) * wide.sum(axis=1)[:count]
    centre += middles.sum(axis=1)[:count]
    spare = LARGEST_SUM - _largest(parts[:count, 0])
    move = np.clip(changes.middle - centre, -spare, spare)
    middles[:count, 0] += move
    found = _numbers(p, changes, centre + move)
    if found is None:
        return None
    form, numbers = found
    return TrioStream(
        constant=words_constant("stream", _words(parts, middles, numbers)),
        channels=count,
        chunks=chunks,
        steps=steps,
        form=form,
    )


def _numbers(
    p: OutputStage, changes: Changes, centre: IntArray
) -> tuple[str, list[list[int]]] | None:
    """The form that costs least of those that are proven, and the words of each channel."""
    for form, by_sign in (("NN_NEAR", False), ("NN_NEAR_SIGN", True)):
        rows = near_requants(p.requants, changes, centre, by_sign=by_sign)
        if rows is not None:
            return form, [row.near() for row in rows]
    exact = exact_requants(p.requants, changes, by_sign=True)
    if exact is None:
        return None
    words = []
    for row, c in zip(exact, centre.tolist(), strict=True):
        least, most, *others = row.exact()
        words.append([c, least - c, most - c, *others])
    return "NN_EXACT", words


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


def _words(parts: IntArray, middles: IntArray, numbers: list[list[int]]) -> IntArray:
    """All words of the stream; parts [channels, chunks, inputs], middles [channels, chunks]."""
    weights = _packed(parts.transpose(0, 2, 1))  # [trios, inputs, chunks, 2]
    first = -_packed(middles[:, None, :])  # [trios, 1, chunks, 2]
    body = np.concatenate([first, weights], axis=1).transpose(0, 2, 1, 3)
    words: list[int] = []
    for trio, block in enumerate(body):
        words += block.reshape(-1).tolist()
        for row in numbers[CHANNELS * trio : CHANNELS * (trio + 1)]:
            words += row
    return np.array(words, np.int64)


def _packed(values: IntArray) -> IntArray:
    """values [channels, ...] as a + 2**11 b and c + 2**21 b on a new last axis."""
    a, b, c = (values[k::CHANNELS] for k in range(CHANNELS))
    return np.stack([a + (b << 11), c + (b << 21)], axis=-1)
