"""FULLY_CONNECTED as nn_fully_connected_bytes_s8 or, without scratch, _direct_s8 (nn_trio.h)."""

from __future__ import annotations

import numpy as np

from quantize.lowering.base import LoweredStep
from quantize.lowering.packing import words_constant
from quantize.lowering.split import Rows, exact_requants, find_changes
from quantize.ops.base import CCall, CConstant, c_int
from quantize.ops.fully_connected import FullyConnectedParams
from quantize.reference import Step
from quantize.scheme import IntArray
from quantize.tflite.graph import Graph
from quantize.timings import usual

GROUP = 4  # channels at a time
STEP = 4  # inputs at a time
OUTPUT_COST = 30  # instructions, besides its products
BYTES = "nn_fully_connected_bytes_s8"
DIRECT = "nn_fully_connected_direct_s8"  # no scratch


def lower_dense(_graph: Graph, step: Step, scratch_budget_bytes: int) -> LoweredStep | None:
    """A kernel on bytes; None where its requantisation is not exact.

    Costs a MAC: 3.4 instructions and one byte of flash, which a single vector reads just once;
    3.5 without scratch, where whole words are read.
    """
    p: FullyConnectedParams = step.params
    weights = p.weights.astype(np.int64)
    shared = all(requant == p.requants[0] for requant in p.requants)
    changes = find_changes(p, weights, shared=shared)
    requants = p.requants[:1] if shared else p.requants
    rows = exact_requants(requants, changes, by_sign=True) if changes else None
    if rows is None:
        return None
    firsts = p.bias + (p.input_offset - 128) * weights.sum(axis=1)
    steps = -(-weights.shape[1] // STEP)
    stream = _stream(weights, steps, firsts)
    direct = scratch_budget_bytes <= 0 and weights.shape[1] % STEP == 0
    call = CCall(
        function=DIRECT if direct else BYTES,
        params_type="nn_dense_bytes_t",
        params={
            "stream": "@stream",
            "exact": "@exact",
            "exact_bytes": str(0 if shared else 4 * len(rows[0].exact())),
            "output_depth": str(len(weights)),
            "steps": str(steps),
            "batches": str(int(np.prod(p.output_shape)) // len(weights)),
            "input_depth": str(weights.shape[1]),
        },
        constants=(
            words_constant(
                "stream", stream, weights=stream[:, GROUP:].size, biases=stream[:, :GROUP].size
            ),
            _exact_constant(rows),
        ),
        scratch_bytes=0 if direct else STEP * steps,
    )
    return LoweredStep(
        step=step,
        calls=(call,),
        in_place=(),
        requantisation="exact",
        cost=usual(
            (3.5 if direct else 3.4) * step.spec.macs(p)
            + OUTPUT_COST * int(np.prod(p.output_shape)),
            "xtensa",
        ),
    )


def _stream(weights: IntArray, steps: int, firsts: IntArray) -> IntArray:
    """All words of the stream; of weights that do not exist nothing is ever used."""
    missing = -len(weights) % GROUP
    inputs = steps * STEP
    padded = np.pad(weights + 128, ((0, missing), (0, inputs - weights.shape[1])))
    words = (padded.reshape(-1, GROUP, inputs) << 8 * np.arange(GROUP)[:, None]).sum(axis=1)
    starts = np.pad(firsts, (0, missing)).reshape(-1, GROUP)
    return np.concatenate([starts, words], axis=1)


def _exact_constant(rows: Rows) -> CConstant:
    numbers = [row.exact() for row in rows]
    values = tuple("{" + ", ".join(map(c_int, row)) + "}" for row in numbers)
    return CConstant(suffix="exact", ctype="nn_exact_t", values=values, bytes=36 * len(values))
