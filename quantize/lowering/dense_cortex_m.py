"""FULLY_CONNECTED as nn_fully_connected_packed_s8, with eight channels that have one requantisation
as _eight_s8, or, where scratch is cheap, as _wide_s8.

Where its rescaling or its sums do not suit these, as _chunks_s8.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from quantize.lowering.base import LoweredStep, rivals
from quantize.lowering.conv_cortex_m import POINT, SINGLE, convolution
from quantize.lowering.few_cortex_m import few_values
from quantize.lowering.packing import (
    PAIR_LIMIT,
    first_short_form,
    pair_words,
    scale_rows,
    sums_begin,
    words_constant,
)
from quantize.ops.base import CCall, requant_constant
from quantize.ops.conv_2d import ConvParams
from quantize.ops.fully_connected import FullyConnectedParams
from quantize.proofs import ShortRequant
from quantize.reference import Step
from quantize.scheme import IntArray
from quantize.tflite.graph import Graph
from quantize.timings import NOTHING, Cost, cortex_m

GROUP = 4  # channels at a time
EIGHT = 8  # channels of nn_fully_connected_eight_s8
BLOCK = 8  # inputs at a time
WIDE, PACKED = "nn_fully_connected_wide_s8", "nn_fully_connected_packed_s8"
EIGHTS = "nn_fully_connected_eight_s8"
# of a step of eight inputs and four channels: those with their words from flash, and a loop's end
STEP_COSTS = {
    WIDE: cortex_m(27, words=12, flash=8) + 0.25 * cortex_m(3, jumps=1),
    PACKED: cortex_m(34, words=10, flash=8, jumps=1),
    EIGHTS: 0.5 * (cortex_m(70, words=7, flash=16) + cortex_m(3, jumps=1) * (1 / 3)),
}
WIDEN_COST = cortex_m(22, words=2, jumps=2)  # eight inputs
GROUP_COST = cortex_m(48, words=13, flash=13, jumps=2)  # four channels, besides their products
EIGHT_COST = cortex_m(63, words=8, flash=8, jumps=2)  # eight channels
CALL_COST = cortex_m(110, words=30, flash=12, jumps=10)  # and of each vector of inputs
CHUNK_COST = cortex_m(35, words=10, flash=8, jumps=1)  # a step of nn_fully_connected_chunks_s8
CHANNEL_COST = cortex_m(45, words=13, flash=3, jumps=4)  # of that


def lower_dense(_graph: Graph, step: Step, scratch_budget_bytes: int) -> LoweredStep:
    """The kernel on weights of a byte that takes the fewest cycles: of several vectors, as a
    convolution where that is cheaper.

    Costs a MAC: 1.72 cycles with two bytes of scratch an input, without 1.70 for eight channels
    that are requantised alike, else 2.1; 2.4 where the short requantisation or a sum of 24 bits is
    not exact.
    """
    p: FullyConnectedParams = step.params
    # without scratch, the fewest bytes of flash
    few = few_values(step, p) if scratch_budget_bytes else None
    if few is not None:
        return few
    found = dense(step, p, scratch_budget_bytes)
    batches = _vectors(p)
    pixels = convolution(step, _pixels(p, batches), scratch_budget_bytes) if batches > 1 else None
    cheaper = pixels and pixels.cost and found.cost and pixels.cost.cycles < found.cost.cycles
    return pixels if pixels and cheaper else found


def lower_as_pixel(_graph: Graph, step: Step, scratch_budget_bytes: int) -> LoweredStep | None:
    """The layer with the kernel of a convolution's left pixels, which is small; None for more
    vectors, where its requantisation is not exact, and without room to widen the inputs."""
    p: FullyConnectedParams = step.params
    batches = _vectors(p)
    way = convolution(step, _pixels(p, batches), scratch_budget_bytes)
    if way is None or way.calls[0].function != SINGLE:
        return None
    return way if way.scratch_bytes <= scratch_budget_bytes else None


def _pixels(p: FullyConnectedParams, batches: int) -> ConvParams:
    """The layer as a convolution of 1 x 1 over an image of `batches` pixels."""
    outputs, depth = p.weights.shape
    return ConvParams(
        dtype=p.dtype,
        depth_multiplier=1,
        input_shape=(1, 1, batches, depth),
        output_shape=(1, 1, batches, outputs),
        window=POINT,
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
    # a block that one vector ends in may be read whole: all that lies in the arena is as long
    whole = p.weights.shape[1] % BLOCK == 0 or int(np.prod(p.output_shape)) == len(weights)
    words = pair_words(_rows(weights), _group_firsts(weights, p)) if requants else None
    if requants is None or words is None or not _has_small_sizes(p):
        return _chunks(step, p)
    functions = [PACKED] if whole else []
    if whole and len(weights) % EIGHT == 0 and _is_alike(requants):
        functions.append(EIGHTS)
    if 2 * weights.shape[1] <= scratch_budget_bytes:
        functions.append(WIDE)
    if not functions:
        return _chunks(step, p)
    costs = {function: _cost(function, p) for function in functions}
    best = min(functions, key=lambda function: costs[function].cycles)
    call = _eights(p, words, requants[0]) if best == EIGHTS else _groups(p, best, words, requants)
    return LoweredStep(
        step=step,
        calls=(call,),
        in_place=(),
        requantisation=requants[0].form,
        cost=costs[best],
        alternatives=rivals(costs, best),
    )


def _has_small_sizes(p: FullyConnectedParams) -> bool:
    """Whether all sizes fit 16 bits."""
    return all(size < 1 << 16 for size in (_vectors(p), *_padded(p).shape))


def _vectors(p: FullyConnectedParams) -> int:
    """How many there are."""
    return math.prod(p.output_shape) // len(p.weights)


def _cost(function: str, p: FullyConnectedParams) -> Cost:
    """Of one of STEP_COSTS."""
    channels, depth = p.weights.shape
    steps, groups = -(-depth // BLOCK), -(-channels // GROUP)
    vector = CALL_COST + (WIDEN_COST * steps if function == WIDE else NOTHING)
    group = 0.5 * EIGHT_COST if function == EIGHTS else GROUP_COST
    products: Cost = steps * STEP_COSTS[function]
    cost: Cost = _vectors(p) * (vector + groups * (group + products))
    return cost


def _chunks(step: Step, p: FullyConnectedParams) -> LoweredStep:
    weights = _padded(p)
    depth = weights.shape[1]
    rows, first = _rows(weights), _group_firsts(weights, p)
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
    batches = _vectors(p)
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
    steps = len(rows) // GROUP * (depth // BLOCK)
    channels = len(weights) * CHANNEL_COST + len(places) * cortex_m(8, words=2, flash=2, jumps=1)
    cost = batches * (CALL_COST + steps * CHUNK_COST + channels)
    return LoweredStep(step=step, calls=(call,), in_place=(), cost=cost)


def _chunk(weights: IntArray) -> int:
    """Inputs, a multiple of BLOCK, of which no sum leaves 24 bits, wherever they begin."""
    chunk = int(weights.shape[1])
    while True:
        sums = np.add.reduceat(np.abs(weights), range(0, weights.shape[1], chunk), axis=1)
        if 128 * int(sums.max()) < PAIR_LIMIT:
            return chunk
        chunk = -(-chunk // (2 * BLOCK)) * BLOCK


def _padded(p: FullyConnectedParams) -> IntArray:
    """Weights with zeros behind the inputs, up to a whole block."""
    return np.pad(p.weights.astype(np.int64), ((0, 0), (0, -p.weights.shape[1] % BLOCK)))


def _rows(weights: IntArray) -> IntArray:
    """Weights with channels of zeros, up to a whole group."""
    return np.pad(weights, ((0, -len(weights) % GROUP), (0, 0)))


def _group_firsts(weights: IntArray, p: FullyConnectedParams) -> IntArray:
    """What the sums of whole groups start from: the bias, with the input's zero point in it."""
    firsts = sums_begin(p, weights)
    return np.pad(firsts, (0, -len(weights) % GROUP))


def _groups(
    p: FullyConnectedParams, function: str, words: IntArray, requants: Sequence[ShortRequant]
) -> CCall:
    """A call with an nn_dense_t; `words` are those of pairs."""
    scales, stream = _scales(requants), _group_stream(words)
    depth, firsts = _padded(p).shape[1], 2 * len(words)
    return CCall(
        function=function,
        params_type="nn_dense_t",
        params={
            "stream": "@stream",
            "requant": "@requant",
            "requant_bytes": str(0 if len(scales) == 1 else 4 * scales.shape[1]),
            "steps": str(depth // 2),
            "batches": str(_vectors(p)),
            "input_depth": str(p.weights.shape[1]),
            "output_depth": str(len(p.weights)),
        },
        constants=(
            words_constant("stream", stream, weights=stream.size - firsts, biases=firsts),
            words_constant("requant", scales),
        ),
        scratch_bytes=2 * depth if function == WIDE else 0,
    )


def _eights(p: FullyConnectedParams, words: IntArray, requant: ShortRequant) -> CCall:
    """A call with an nn_dense_eight_t."""
    stream, firsts = _eight_stream(words), 2 * len(words)
    head = [requant.shift | _vectors(p) << 8, requant.multiplier, requant.constant]
    whole = np.concatenate([head, stream])
    return CCall(
        function=EIGHTS,
        params_type="nn_dense_eight_t",
        params={
            "stream": "@stream",
            "steps": str(_padded(p).shape[1] // 2),
            "output_depth": str(len(p.weights)),
        },
        constants=(words_constant("stream", whole, weights=stream.size - firsts, biases=firsts),),
    )


def _group_stream(words: IntArray) -> IntArray:
    """Of four channels: first values, then a word of A and B and one of C and D for each step;
    `words` are those of pairs."""
    groups = words.reshape(-1, 2, words.shape[1])
    return groups.transpose(0, 2, 1).reshape(-1)


def _eight_stream(words: IntArray) -> IntArray:
    """Of eight channels: the same with four words a step, in units of four steps: the last two
    first, and the last word before all others."""
    groups = words.reshape(-1, EIGHT // 2, words.shape[1]).transpose(0, 2, 1)
    units = groups[:, 2:].reshape(len(groups), -1, 2, BLOCK)[:, :, ::-1]
    units = np.roll(units.reshape(len(groups), -1, 2 * BLOCK), 1, axis=2)
    firsts = groups[:, :2].reshape(len(groups), -1)
    return np.concatenate([firsts, units.reshape(len(groups), -1)], axis=1).reshape(-1)


def _is_alike(requants: Sequence[ShortRequant]) -> bool:
    return all(r == requants[0] for r in requants)


def _scales(requants: Sequence[ShortRequant]) -> IntArray:
    """Rows of shifts, multipliers and constants of four channels; one row when all are alike."""
    rows = [requants[0]] * GROUP if _is_alike(requants) else requants
    return np.concatenate(scale_rows(rows, GROUP), axis=1)
