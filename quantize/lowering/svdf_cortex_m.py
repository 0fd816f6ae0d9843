"""SVDF as a fully connected layer, for its features, and nn_svdf_packed_s8."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from quantize.lowering.base import LoweredStep
from quantize.lowering.dense_cortex_m import dense
from quantize.lowering.packing import pad_words, words_constant
from quantize.ops.base import CCall
from quantize.ops.fully_connected import FullyConnectedParams
from quantize.ops.svdf import STATE, SvdfParams
from quantize.reference import Step
from quantize.scheme import IntArray
from quantize.tflite.graph import Graph
from quantize.timings import total, usual

PER_WORD, PER_FILTER, PER_UNIT = 11, 25, 19  # instructions
SHIFTS = range(-31, 0)  # of the output's requantisation


def lower_svdf(_graph: Graph, step: Step, _scratch_budget_bytes: int) -> LoweredStep | None:
    """Two calls; None where the state is int16, or sums are not rescaled to the right.

    Costs what the dense layer does; 11 instructions for four values of a filter, 25 a filter and 19
    a unit.
    """
    p: SvdfParams = step.params
    weights = p.time_weights.astype(np.int64)
    units = weights.reshape(-1, p.rank * weights.shape[1])
    first = p.bias.astype(np.int64) - p.state_zero_point * units.sum(axis=1)
    if p.time_weights.dtype != np.int8 or p.output_requant.shift not in SHIFTS:
        return None
    features = dense(step, _features(p), 0)
    (call,) = features.calls
    filters = len(weights)
    newest = p.batches * filters
    in_output = p.rank == 1  # the newest values, where the units overwrite them one by one
    fresh = replace(
        call, outputs=(0,) if in_output else (), scratch_bytes=0 if in_output else newest
    )
    past = replace(
        _past(p, _stream(p, first)),
        outputs=(0, 0) if in_output else (0,),
        scratch_bytes=fresh.scratch_bytes,
    )
    words = -(-weights.shape[1] // 4)
    per_filter = PER_WORD * (words - 1) + PER_FILTER
    cost = usual(p.batches * (filters * per_filter + len(units) * PER_UNIT), "armv7em")
    return LoweredStep(
        step=step,
        calls=(fresh, past),
        in_place=(),
        requantisation=features.requantisation,
        cost=total([cost, features.cost]),
    )


def _features(p: SvdfParams) -> FullyConnectedParams:
    """What has to be remembered, before the state's zero point is added to it."""
    filters = len(p.feature_weights)
    return FullyConnectedParams(
        dtype="int8",
        output_shape=(p.batches, filters),
        input_offset=p.input_offset,
        output_offset=0,
        act_min=-128,
        act_max=127,
        weights=p.feature_weights,
        bias=np.zeros(filters, np.int32),
        requants=(p.state_requant,) * filters,
    )


def _stream(p: SvdfParams, first: IntArray) -> IntArray:
    """For each unit its first value, then the words of its filters."""
    words = pad_words(p.time_weights).astype(np.int8).view(np.int32)
    return np.concatenate([first[:, None], words.reshape(len(first), -1)], axis=1)


def _past(p: SvdfParams, stream: IntArray) -> CCall:
    filters, memory = p.time_weights.shape
    last = (memory - 1) % 4 + 1
    below = (1 << 8 * (last - 1)) - 1
    params = {
        "units": len(stream),
        "rank": p.rank,
        "stream": "@time",
        "words": (memory - 1) // 4,
        "old": f"{below}u",
        "next": f"{0xFFFFFFFF ^ (below << 8 | 0xFF)}u",
        "zero_point": p.state_zero_point,
        "place": 8 * (last - 1),
        "last_bytes": last,
        "multiplier": p.output_requant.multiplier,
        "shift": -p.output_requant.shift,
        "output_offset": p.output_offset,
        "batches": p.batches,
        "filters": filters,
    }
    firsts = len(stream)
    return CCall(
        function="nn_svdf_packed_s8",
        params_type="nn_svdf_packed_t",
        params={name: str(value) for name, value in params.items()},
        constants=(words_constant("time", stream, weights=stream.size - firsts, biases=firsts),),
        inputs=(STATE,),
    )
