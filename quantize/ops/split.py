"""SPLIT, SPLIT_V and UNPACK: a tensor cut into pieces along an axis."""

from __future__ import annotations

import math
from collections.abc import Sequence

from quantize.ops.base import int_constant, malformed
from quantize.ops.copy import (
    Move,
    Rearrangement,
    copy_spec,
    moved_input,
    moved_output,
    rearrangement,
    resolve_axis,
)
from quantize.ops.rules import Without
from quantize.tflite.graph import Graph, Operator, Tensor
from quantize.tflite.signatures import MANY, NO_OPTIONS, Options, Signature


def _axis(graph: Graph, op: Operator, position: int, rank: int) -> int:
    values = int_constant(graph, op, position)
    if len(values) != 1:
        raise malformed(op, f"{len(values)} axes, expected 1")
    return resolve_axis(op, values[0], rank)


def _cut(
    graph: Graph,
    op: Operator,
    position: int,
    axis: int,
    sizes: Sequence[int],
    shapes: Sequence[tuple[int, ...]],
) -> Rearrangement:
    """One output of `shapes` for each part of `sizes` along `axis` of input `position`."""
    source = graph.input(op, position)
    targets: list[Tensor] = []
    for output, shape in enumerate(shapes):
        target = moved_output(graph, op, output, source)
        if target.shape != shape:
            what = f"output {output} has shape {list(target.shape)}, expected {list(shape)}"
            raise malformed(op, what)
        targets.append(target)
    outer, inner = math.prod(source.shape[:axis]), math.prod(source.shape[axis + 1 :])
    moves, offset = [], 0
    for output, size in enumerate(sizes):
        block = size * inner
        move = Move(
            count=(outer, block),
            input_stride=(source.shape[axis] * inner, 1),
            output_stride=(block, 1),
            input_offset=offset,
        )
        moves.append((position, output, move))
        offset += block
    return rearrangement(op, targets, moves)


def _shapes(shape: tuple[int, ...], axis: int, sizes: Sequence[int]) -> list[tuple[int, ...]]:
    return [(*shape[:axis], size, *shape[axis + 1 :]) for size in sizes]


def prepare_split(graph: Graph, op: Operator) -> Rearrangement:
    """Check a SPLIT into equal parts."""
    shape = moved_input(graph, op, 1).shape
    axis = _axis(graph, op, 0, len(shape))
    count = len(op.outputs)
    if op.options["num_splits"] != count or shape[axis] % count:
        what = f"{shape[axis]} elements in {op.options['num_splits']} parts, {count} outputs"
        raise malformed(op, what)
    sizes = [shape[axis] // count] * count
    return _cut(graph, op, 1, axis, sizes, _shapes(shape, axis, sizes))


def prepare_split_v(graph: Graph, op: Operator) -> Rearrangement:
    """Check a SPLIT_V; one of the sizes may be -1 and takes the rest."""
    shape = moved_input(graph, op, 0).shape
    sizes = list(int_constant(graph, op, 1))
    axis = _axis(graph, op, 2, len(shape))
    if sizes.count(-1) == 1:
        sizes[sizes.index(-1)] = shape[axis] - sum(sizes) - 1
    if len(sizes) != len(op.outputs) or min(sizes) < 1 or sum(sizes) != shape[axis]:
        raise malformed(op, f"{shape[axis]} elements in {len(op.outputs)} parts of {sizes[:8]}")
    return _cut(graph, op, 0, axis, sizes, _shapes(shape, axis, sizes))


def prepare_unpack(graph: Graph, op: Operator) -> Rearrangement:
    """Check an UNPACK: one output without the axis for each index along it."""
    shape = moved_input(graph, op, 0).shape
    axis = resolve_axis(op, int(op.options["axis"]), len(shape))
    count = len(op.outputs)
    if op.options["num"] != count or shape[axis] != count:
        raise malformed(op, f"{shape[axis]} elements in {op.options['num']}, {count} outputs")
    shapes = [(*shape[:axis], *shape[axis + 1 :])] * count
    return _cut(graph, op, 0, axis, [1] * count, shapes)


NO_FOLDING = Without(reason="channels may be cut: the sizes, which are constants, count them")


def _signature(inputs: int, table: int, options: Options) -> Signature:
    return Signature(inputs=(inputs, inputs), outputs=(1, MANY), table=table, options=options)


SPLIT = copy_spec(
    "SPLIT", 4, _signature(2, 35, {"num_splits": (0, "i32", 0)}), prepare_split, NO_FOLDING
)
SPLIT_V = copy_spec("SPLIT_V", 2, _signature(3, 79, NO_OPTIONS), prepare_split_v, NO_FOLDING)
UNPACK = copy_spec(
    "UNPACK",
    4,
    _signature(1, 64, {"num": (0, "i32", 0), "axis": (1, "i32", 0)}),
    prepare_unpack,
    NO_FOLDING,
)
