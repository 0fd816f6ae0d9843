"""FULLY_CONNECTED as nn_fully_connected_packed_s8 or, where scratch is cheap, _wide_s8."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from quantize.lowering.base import LoweredStep
from quantize.lowering.packing import pair_words, scale_rows, short_requants, words_constant
from quantize.ops.base import CCall
from quantize.ops.fully_connected import FullyConnectedParams
from quantize.proofs import ShortRequant
from quantize.reference import Step
from quantize.scheme import IntArray
from quantize.tflite.graph import Graph

GROUP = 4  # channels at a time
BLOCK = 8  # inputs at a time


def lower_dense(graph: Graph, step: Step, room: int) -> LoweredStep | None:
    """A packed kernel; None where its short requantisation or its packing is not exact.

    Costs a MAC: 1.06 instructions without scratch, 0.84 with two bytes of it an input.
    """
    p: FullyConnectedParams = step.params
    requants = short_requants(p, p.weights, ("sign",))
    if requants is None:
        return None
    depth = p.weights.shape[1]
    weights = np.pad(p.weights.astype(np.int64), ((0, 0), (0, -depth % BLOCK)))
    stream = _group_stream(weights, p)
    if stream is None:
        return None
    wide = 2 * weights.shape[1] <= room or depth % BLOCK != 0
    scales = _scales(requants)
    call = CCall(
        function="nn_fully_connected_wide_s8" if wide else "nn_fully_connected_packed_s8",
        params_type="nn_dense_t",
        params={
            "stream": "@stream",
            "requant": "@requant",
            "requant_bytes": str(0 if len(scales) == 1 else 4 * scales.shape[1]),
            "steps": str(weights.shape[1] // 2),
            "wide": str(int(wide)),
            "batches": str(int(np.prod(p.output_shape)) // len(p.weights)),
            "input_depth": str(depth),
            "output_depth": str(len(p.weights)),
        },
        constants=(
            words_constant("stream", stream),
            words_constant("requant", scales),
        ),
        scratch_bytes=2 * weights.shape[1] if wide else 0,
    )
    return LoweredStep(step=step, calls=(call,), in_place=())


def _group_stream(weights: IntArray, p: FullyConnectedParams) -> IntArray | None:
    """Of four channels: first values, then a word of A and B and one of C and D for each step."""
    first = p.bias.astype(np.int64) + p.input_offset * weights.sum(axis=1)
    padding = -len(weights) % GROUP
    packed = pair_words(np.pad(weights, ((0, padding), (0, 0))), np.pad(first, (0, padding)))
    if packed is None:
        return None
    groups = packed.reshape(-1, 2, packed.shape[1])
    return np.concatenate(
        [
            groups[:, :, :2].transpose(0, 2, 1).reshape(len(groups), -1),
            groups[:, :, 2:].transpose(0, 2, 1).reshape(len(groups), -1),
        ],
        axis=1,
    ).reshape(-1)


def _scales(requants: Sequence[ShortRequant]) -> IntArray:
    """Rows of shifts, multipliers and constants of four channels; one row when all are alike."""
    alike = all(r == requants[0] for r in requants)
    return np.concatenate(scale_rows([requants[0]] * GROUP if alike else requants, GROUP), axis=1)
