"""FULLY_CONNECTED as nn_fully_connected_pairs_s8 or, with more flash, nn_conv_2d_pixels_s8
(nn_mac16.h), else as xtensa has it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from quantize.lowering import dense_xtensa
from quantize.lowering.base import LoweredStep
from quantize.lowering.packing import halfword_pairs, widened_order, words_constant
from quantize.lowering.products import ProductRequant, product_requants
from quantize.lowering.split import find_changes
from quantize.lowering.windows import (
    CHANNEL_COST,
    OUTPUT_COST,
    PRODUCT_WAITS,
    STEP,
    form_of,
    windows_stream,
)
from quantize.ops.base import CCall, CConstant
from quantize.ops.fully_connected import FullyConnectedParams
from quantize.reference import Step
from quantize.scheme import IntArray
from quantize.tflite.graph import Graph
from quantize.timings import lx6

GROUP = 32  # channels at a time
PAIR_WAITS = 0.15  # an instruction
ROOM = 512  # bytes of scratch, or one for each input
WORD = 4  # bytes that are read beyond the inputs
LARGEST_SUM = (1 << 23) - 1  # 256 times a sum of channel A fits 32 bits
INPUT_MAX = 255  # the kernel's inputs are int8 plus 128


def lower_dense(graph: Graph, step: Step, scratch_budget_bytes: int) -> LoweredStep | None:
    """The kernel on pairs of channels; other shapes, without scratch and what is not proven as the
    xtensa kernels.

    Costs a MAC: 1.63 instructions and one byte of flash.
    """
    p: FullyConnectedParams = step.params
    whole = p.weights.shape[1] % STEP == 0
    found = _pairs(step, p, scratch_budget_bytes) if whole else None
    return found or dense_xtensa.lower_dense(graph, step, scratch_budget_bytes)


def lower_dense_halves(_graph: Graph, step: Step, scratch_budget_bytes: int) -> LoweredStep | None:
    """The kernel for single pixels: 1 instruction a MAC for twice the flash."""
    p: FullyConnectedParams = step.params
    depth = p.weights.shape[1]
    scratch = 2 * depth + WORD
    if depth % STEP or scratch > scratch_budget_bytes:
        return None
    weights = p.weights.astype(np.int64)
    windows = windows_stream(p, weights, widened_order(weights))
    if windows is None:
        return None
    batches = _batches(p)
    call = CCall(
        function="nn_conv_2d_pixels_s8",
        params_type="nn_conv_pixels_t",
        params=windows.fields(2 * depth, len(weights))
        | {"images_pixels": str(batches), "at_once": "1", "input_depth": str(depth)},
        constants=(windows.constant,),
        scratch_bytes=scratch,
    )
    each = len(weights) * (depth + OUTPUT_COST + CHANNEL_COST) + 2 * depth
    return LoweredStep(
        step=step,
        calls=(call,),
        in_place=(),
        requantisation=windows.requantisation,
        cost=lx6(batches * each, waits=PRODUCT_WAITS * batches * weights.size),
    )


def _pairs(step: Step, p: FullyConnectedParams, scratch_budget_bytes: int) -> LoweredStep | None:
    """In as few chunks as the scratch has room for, which it need not fill."""
    weights = p.weights.astype(np.int64)
    rows = _requants(p, weights)
    count, depth = weights.shape
    group = min(GROUP, count + count % 2)
    room = min(max(ROOM, depth), scratch_budget_bytes)
    chunk = _chunk(weights, room - WORD - 4 * group)
    if rows is None or chunk is None:
        return None
    firsts = p.bias.astype(np.int64) + (p.input_offset - 128) * weights.sum(axis=1)
    origins = np.array([row.origin for row in rows], np.int64)
    words = _stream(weights, group, chunk)
    batches = _batches(p)
    call = CCall(
        function="nn_fully_connected_pairs_s8",
        params_type="nn_dense_pairs_t",
        params={
            "stream": "@stream",
            "firsts": "@firsts",
            "numbers": "@numbers",
            "are_shared": str(int(len(rows) == 1)),
            "batches": str(batches),
            "input_depth": str(depth),
            "output_depth": str(count),
            "group": str(group),
            "chunk": str(chunk),
        },
        constants=(
            words_constant("stream", words, weights=words.size - 1),
            words_constant(
                "firsts", np.pad(firsts - origins, (0, count % 2)), biases=count + count % 2
            ),
            _numbers(rows),
        ),
        scratch_bytes=2 * chunk + WORD + 4 * group,
    )
    chunks, groups = -(-depth // chunk), -(-count // group)
    widening = 3.1 * depth * (groups if chunks > 1 else 1)
    each = 1.63 * count * depth + (15 * chunks + 20) * count + widening
    return LoweredStep(
        step=step,
        calls=(call,),
        in_place=(),
        requantisation=form_of(rows),
        cost=lx6(batches * each, waits=PAIR_WAITS * batches * each),
    )


def _batches(p: FullyConnectedParams) -> int:
    return int(np.prod(p.output_shape)) // len(p.weights)


def _requants(p: FullyConnectedParams, weights: IntArray) -> tuple[ProductRequant, ...] | None:
    """Of each channel, or one for all."""
    shared = all(requant == p.requants[0] for requant in p.requants)
    changes = find_changes(p, weights, shared=shared)
    return product_requants(changes, always_kept=True) if changes else None


def _chunk(weights: IntArray, scratch_bytes: int) -> int | None:
    """Inputs of a chunk, of as few and as equal ones as fit; None where no chunk does."""
    depth = weights.shape[1]
    for chunks in range(1, depth // STEP + 1):
        chunk = -(-depth // (STEP * chunks)) * STEP
        ends = np.arange(0, depth, chunk)
        largest = INPUT_MAX * int(np.add.reduceat(np.abs(weights), ends, axis=1).max())
        if 2 * chunk <= scratch_bytes and largest <= LARGEST_SUM:
            return int(chunk)
    return None


def _stream(weights: IntArray, group: int, chunk: int) -> IntArray:
    """All words, and one that is read behind them."""
    even = np.pad(widened_order(weights), ((0, len(weights) % 2), (0, 0)))
    halves = halfword_pairs(256 * even[0::2] + even[1::2] + 128)
    parts = [
        halves[pair : pair + group // 2, at : at + chunk // 2].reshape(-1)
        for pair in range(0, len(halves), group // 2)
        for at in range(0, halves.shape[1], chunk // 2)
    ]
    return np.concatenate([*parts, np.zeros(1, np.int64)])


def _numbers(rows: Sequence[ProductRequant]) -> CConstant:
    """nn_mac_kept_t of all rows; sums begin elsewhere."""
    values = tuple(
        "{{" + ", ".join(map(str, n[:5])) + "}, " + ", ".join(map(str, n[5:])) + "}"
        for n in ([0, *row.words()] for row in rows)
    )
    return CConstant(suffix="numbers", ctype="nn_mac_kept_t", values=values, bytes=32 * len(rows))
