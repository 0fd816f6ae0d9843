"""FULLY_CONNECTED as nn_fully_connected_bytes_s8 (nn_trio.h)."""

from __future__ import annotations

import numpy as np

from quantize.lowering.base import LoweredStep
from quantize.lowering.packing import words_constant
from quantize.lowering.split import SplitRequant, centred_requants
from quantize.ops.base import CCall
from quantize.ops.fully_connected import FullyConnectedParams
from quantize.reference import Step
from quantize.scheme import IntArray
from quantize.tflite.graph import Graph

GROUP = 4  # channels at a time
STEP = 4  # inputs at a time


def lower_dense_bytes(_graph: Graph, step: Step, _scratch: int) -> LoweredStep | None:
    """The kernel on bytes; None where its requantisation is not exact.

    Costs a MAC: 3.4 instructions and one byte of flash, which a single vector reads just once.
    """
    p: FullyConnectedParams = step.params
    weights = p.weights.astype(np.int64)
    found = centred_requants(p, weights)
    if found is None:
        return None
    firsts, rows = found
    steps = -(-weights.shape[1] // STEP)
    call = CCall(
        function="nn_fully_connected_bytes_s8",
        params_type="nn_dense_bytes_t",
        params={
            "stream": "@stream",
            "output_depth": str(len(weights)),
            "steps": str(steps),
            "by_sign": str(int(rows[0].signs is not None)),
            "batches": str(int(np.prod(p.output_shape)) // len(weights)),
            "input_depth": str(weights.shape[1]),
        },
        constants=(words_constant("stream", _stream(weights, steps, firsts, rows)),),
        scratch_bytes=STEP * steps,
    )
    return LoweredStep(step=step, calls=(call,), in_place=())


def _stream(
    weights: IntArray, steps: int, firsts: IntArray, rows: tuple[SplitRequant, ...]
) -> IntArray:
    """All words of the stream; of weights that do not exist nothing is ever used."""
    missing = -len(weights) % GROUP
    inputs = steps * STEP
    bytes_ = np.pad(weights + 128, ((0, missing), (0, inputs - weights.shape[1])))
    words = (bytes_.reshape(-1, GROUP, inputs) << 8 * np.arange(GROUP)[:, None]).sum(axis=1)
    starts = np.pad(firsts, (0, missing)).reshape(-1, GROUP)
    stream: list[int] = []
    for group, (start, row) in enumerate(zip(starts, words, strict=True)):
        stream += [*start.tolist(), *row.tolist()]
        for requant in rows[GROUP * group : GROUP * (group + 1)]:
            stream += requant.words()
    return np.array(stream, np.int64)
