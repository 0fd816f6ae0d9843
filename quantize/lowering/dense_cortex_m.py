"""FULLY_CONNECTED as nn_fully_connected_packed_s8 or, where scratch is cheap, _wide_s8.

Where its rescaling or its sums do not suit these, as _chunks_s8. With flash to spare, as _halves_s8
or, without scratch, _narrow_s8.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from quantize.lowering.base import LoweredStep
from quantize.lowering.conv_cortex_m import convolution
from quantize.lowering.packing import (
    PAIR_LIMIT,
    first_short_form,
    pair_words,
    scale_rows,
    words_constant,
)
from quantize.ops.base import CCall, requant_constant
from quantize.ops.conv_2d import ConvParams
from quantize.ops.fully_connected import FullyConnectedParams
from quantize.ops.window import Window
from quantize.proofs import ShortRequant
from quantize.reference import Step
from quantize.scheme import IntArray
from quantize.tflite.graph import Graph

GROUP = 4  # channels at a time
BLOCK = 8  # inputs at a time
NARROW = "nn_fully_connected_narrow_s8"  # 16-bit weights, no scratch: 0.88 instructions a MAC


def lower_dense(_graph: Graph, step: Step, scratch_budget_bytes: int) -> LoweredStep:
    """A kernel on weights of a byte: of several vectors, as a convolution where that is cheaper.

    Costs a MAC: 1.06 instructions without scratch, 0.84 with two bytes of it an input; 1.16 where
    the short requantisation or a sum of 24 bits is not exact.
    """
    p: FullyConnectedParams = step.params
    found = dense(step, p, scratch_budget_bytes)
    batches = int(np.prod(p.output_shape)) // len(p.weights)
    pixels = convolution(step, _pixels(p, batches), scratch_budget_bytes) if batches > 1 else None
    return pixels if pixels and (pixels.cost or 0) < (found.cost or 0) else found


def _pixels(p: FullyConnectedParams, batches: int) -> ConvParams:
    """The layer as a convolution of 1 x 1 over an image of `batches` pixels."""
    outputs, depth = p.weights.shape
    return ConvParams(
        dtype=p.dtype,
        depth_multiplier=1,
        input_shape=(1, 1, batches, depth),
        output_shape=(1, 1, batches, outputs),
        window=Window(kernel=(1, 1), stride=(1, 1), dilation=(1, 1), pad=(0, 0)),
        input_offset=p.input_offset,
        output_offset=p.output_offset,
        act_min=p.act_min,
        act_max=p.act_max,
        weights=p.weights.reshape(outputs, 1, 1, depth),
        bias=p.bias,
        requants=p.requants,
    )


def dense(step: Step, p: FullyConnectedParams, scratch_budget_bytes: int) -> LoweredStep:
    """A step that is the fully connected layer `p`, by vectors."""
    requants = first_short_form(p, p.weights, ("sign",))
    weights = _padded(p)
    whole = p.weights.shape[1] % BLOCK == 0
    wide = 2 * weights.shape[1] <= scratch_budget_bytes or (not whole and scratch_budget_bytes > 0)
    stream = _group_stream(weights, p) if requants else None
    if requants is None or stream is None or not (wide or whole):
        return _chunks(step, p)
    function = "nn_fully_connected_wide_s8" if wide else "nn_fully_connected_packed_s8"
    return _lowered(step, p, function, weights, stream, requants, 0.87 if wide else 1.07)


def lower_dense_halves(_graph: Graph, step: Step, _scratch_budget_bytes: int) -> LoweredStep | None:
    """The kernel on weights of two bytes: 0.66 instructions a MAC for twice the flash."""
    return _halves(step, "nn_fully_connected_halves_s8")


def lower_dense_narrow(_graph: Graph, step: Step, _scratch_budget_bytes: int) -> LoweredStep | None:
    """The same without scratch: 0.88 instructions a MAC. None where inputs fill no whole blocks."""
    p: FullyConnectedParams = step.params
    return None if p.weights.shape[1] % BLOCK else _halves(step, NARROW)


def _chunks(step: Step, p: FullyConnectedParams) -> LoweredStep:
    weights = _padded(p)
    depth = weights.shape[1]
    rows = np.pad(weights, ((0, -len(weights) % GROUP), (0, 0)))
    first = np.pad(_firsts(weights, p), (0, len(rows) - len(weights)))
    pairs = rows.reshape(-1, 2, depth)
    missing = np.zeros_like(pairs)
    missing[:, 0] = (pairs[:, 0] == -128) & (pairs[:, 1] < 0)
    words = pair_words((pairs + missing).reshape(rows.shape), np.zeros_like(first))
    assert words is not None  # with -127 any two fit
    steps = words[:, 2:].reshape(len(rows) // GROUP, 2, -1).transpose(0, 2, 1)
    stream = np.concatenate([first.reshape(-1, GROUP), steps.reshape(len(steps), -1)], axis=1)
    places = np.argwhere(missing.reshape(rows.shape))
    alike = all(r == p.requants[0] for r in p.requants)
    constants = [
        words_constant("stream", stream, weights=stream.size - len(rows), biases=len(rows)),
        requant_constant(p.requants[:1] if alike else p.requants),
    ]
    if len(places):
        constants.append(words_constant("missing", places, weights=places.size))
    batches = int(np.prod(p.output_shape)) // len(weights)
    call = CCall(
        function="nn_fully_connected_chunks_s8",
        params_type="nn_dense_chunks_t",
        params={
            "stream": "@stream",
            "requant": "@requant",
            "requant_step": str(int(not alike)),
            "missing": "@missing" if len(places) else "0",
            "missing_count": str(len(places)),
            "chunk": str(_chunk(weights)),
            "batches": str(batches),
            "input_depth": str(p.weights.shape[1]),
            "output_depth": str(len(weights)),
            "output_offset": str(p.output_offset),
            "act_min": str(p.act_min),
            "act_max": str(p.act_max),
        },
        constants=tuple(constants),
    )
    cost = round(batches * (len(weights) * (1.16 * depth + 45) + 8 * len(places)))
    return LoweredStep(step=step, calls=(call,), in_place=(), cost=cost)


def _chunk(weights: IntArray) -> int:
    """Inputs, a multiple of BLOCK, of which no sum leaves 24 bits, wherever they begin."""
    chunk = int(weights.shape[1])
    while True:
        sums = np.add.reduceat(np.abs(weights), range(0, weights.shape[1], chunk), axis=1)
        if 128 * int(sums.max()) < PAIR_LIMIT:
            return chunk
        chunk = -(-chunk // (2 * BLOCK)) * BLOCK


def _halves(step: Step, function: str) -> LoweredStep | None:
    p: FullyConnectedParams = step.params
    requants = first_short_form(p, p.weights, ("sign",), limit=1 << 30)
    if requants is None:
        return None
    weights = _padded(p)
    rows = np.pad(weights, ((0, -len(weights) % GROUP), (0, 0)))
    first = np.pad(_firsts(weights, p), (0, len(rows) - len(weights))).reshape(-1, GROUP)
    halves = rows.reshape(-1, 4)[:, [0, 2, 1, 3]].reshape(len(first), GROUP, -1, 2) & 0xFFFF
    words = (halves[..., 0] | (halves[..., 1] << 16)).transpose(0, 2, 1).reshape(len(first), -1)
    stream = np.concatenate([first, words], axis=1)
    per_mac = 0.9 if function == NARROW else 0.68
    return _lowered(step, p, function, weights, stream, requants, per_mac)


def _padded(p: FullyConnectedParams) -> IntArray:
    """Weights with zeros behind the inputs, up to a whole block."""
    return np.pad(p.weights.astype(np.int64), ((0, 0), (0, -p.weights.shape[1] % BLOCK)))


def _lowered(
    step: Step,
    p: FullyConnectedParams,
    function: str,
    weights: IntArray,
    stream: IntArray,
    requants: Sequence[ShortRequant],
    per_mac: float,
) -> LoweredStep:
    scales, firsts = _scales(requants), len(p.weights) + -len(p.weights) % GROUP
    wide = function not in ("nn_fully_connected_packed_s8", NARROW)
    batches = int(np.prod(p.output_shape)) // len(p.weights)
    call = CCall(
        function=function,
        params_type="nn_dense_t",
        params={
            "stream": "@stream",
            "requant": "@requant",
            "requant_bytes": str(0 if len(scales) == 1 else 4 * scales.shape[1]),
            "steps": str(weights.shape[1] // 2),
            "wide": str(int(wide)),
            "batches": str(batches),
            "input_depth": str(p.weights.shape[1]),
            "output_depth": str(len(p.weights)),
        },
        constants=(
            words_constant("stream", stream, weights=stream.size - firsts, biases=firsts),
            words_constant("requant", scales),
        ),
        scratch_bytes=2 * weights.shape[1] if wide else 0,
    )
    cost = round(batches * len(weights) * (per_mac * weights.shape[1] + 13))
    return LoweredStep(
        step=step, calls=(call,), in_place=(), requantisation=requants[0].form, cost=cost
    )


def _firsts(weights: IntArray, p: FullyConnectedParams) -> IntArray:
    """What the sums start from: the bias, with the input's zero point folded in."""
    firsts: IntArray = p.bias.astype(np.int64) + p.input_offset * weights.sum(axis=1)
    return firsts


def _group_stream(weights: IntArray, p: FullyConnectedParams) -> IntArray | None:
    """Of four channels: first values, then a word of A and B and one of C and D for each step."""
    padding = -len(weights) % GROUP
    first = np.pad(_firsts(weights, p), (0, padding))
    packed = pair_words(np.pad(weights, ((0, padding), (0, 0))), first)
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
