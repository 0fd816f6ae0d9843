"""CONCATENATION and PACK: tensors side by side along an axis, existing or new."""

from __future__ import annotations

import math
from collections.abc import Sequence

from quantize.ops.base import check_shape, malformed, refuse
from quantize.ops.copy import (
    ANY,
    MOVABLE,
    Move,
    Rearrangement,
    check_same_numbers,
    copy_spec,
    moved_input,
    rearrangement,
    resolve_axis,
    single_output,
)
from quantize.ops.fold_rules import as_it_is, channelwise
from quantize.ops.rules import Channels, FoldRule, Without
from quantize.tflite.graph import Graph, Operator, Tensor
from quantize.tflite.signatures import MANY, Options, Signature

MAX_INPUTS = 10  # TFLite Micro's limit for CONCATENATION


def _sources(graph: Graph, op: Operator, types: Sequence[str]) -> list[Tensor]:
    if not op.inputs:
        raise malformed(op, "no inputs")
    return [moved_input(graph, op, position, types) for position in range(len(op.inputs))]


def _join(op: Operator, sources: Sequence[Tensor], target: Tensor, axis: int) -> Rearrangement:
    """Each input is one block of every outer index of the output."""
    outer = math.prod(target.shape[:axis])
    row = math.prod(target.shape[axis:])
    moves, offset = [], 0
    for position, source in enumerate(sources):
        block = source.elements // outer
        move = Move(
            count=(outer, block),
            input_stride=(block, 1),
            output_stride=(row, 1),
            output_offset=offset,
        )
        moves.append((position, 0, move))
        offset += block
    return rearrangement(op, [target], moves)


def prepare_concatenation(graph: Graph, op: Operator) -> Rearrangement:
    """Check a CONCATENATION; inputs may be constants, all share one scale."""
    sources = _sources(graph, op, ANY)
    target = single_output(graph, op, sources[0])
    first = sources[0].shape
    axis = resolve_axis(op, int(op.options["axis"]), len(first))
    if op.options["activation"]:
        raise refuse(op, "a fused activation", "TFLite Micro has none here; export it separately")
    if len(sources) > MAX_INPUTS:
        raise refuse(
            op, f"{len(sources)} inputs", f"TFLite Micro takes {MAX_INPUTS}; join in steps"
        )
    for position, source in enumerate(sources):
        check_same_numbers(op, source, target, "the output")
        if source.dtype == "int8" and source.quant != target.quant:
            what = f"the scale of input {position} differs from the output's"
            raise refuse(op, what, "put a QUANTIZE before the operator")
        if len(source.shape) != len(first):
            raise malformed(op, f"inputs {list(first)} and {list(source.shape)} do not join")
    total = sum(source.shape[axis] for source in sources)
    expected = (*first[:axis], total, *first[axis + 1 :])
    for source in sources:
        if (*source.shape[:axis], total, *source.shape[axis + 1 :]) != expected:
            raise malformed(op, f"inputs {list(first)} and {list(source.shape)} do not join")
    check_shape(op, target, expected)
    return _join(op, sources, target, axis)


def prepare_pack(graph: Graph, op: Operator) -> Rearrangement:
    """Check a PACK: inputs of one shape along a new axis."""
    sources = _sources(graph, op, (*MOVABLE, "int64"))
    target = single_output(graph, op, sources[0])
    shape = sources[0].shape
    axis = resolve_axis(op, int(op.options["axis"]), len(shape) + 1)
    if op.options["values_count"] != len(sources):
        raise malformed(op, f"{len(sources)} inputs, expected {op.options['values_count']}")
    for source in sources:
        check_same_numbers(op, source, target, "the output")
        if source.shape != shape:
            raise malformed(op, f"inputs {list(shape)} and {list(source.shape)} differ")
    check_shape(op, target, (*shape[:axis], len(sources), *shape[axis:]))
    return _join(op, sources, target, axis)


def _demand(found: Channels, op: Operator, p: Rearrangement) -> bool:
    """Along the last axis each input of a CONCATENATION has its piece, else all lose the same."""
    shapes = [found.graph.tensors[i].shape for i in (*op.inputs, *op.outputs)]
    if int(op.options["axis"]) % len(shapes[-1]) != len(shapes[-1]) - 1:
        return all(i in found.gone for i in op.inputs) and channelwise(found, op, p)
    start, output = 0, found.gone[op.outputs[0]]
    for index, shape in zip(op.inputs, shapes, strict=False):
        piece = output[start : start + shape[-1]]
        start += shape[-1]
        if index in found.gone:
            found.gone[index] &= piece
            piece &= found.gone[index]
        else:
            piece[:] = False  # a constant stays whole
    return True


def _signature(table: int, options: Options) -> Signature:
    return Signature(inputs=(1, MANY), outputs=(1, 1), table=table, options=options)


CONCATENATION = copy_spec(
    "CONCATENATION",
    4,
    _signature(10, {"axis": (0, "i32", 0), "activation": (1, "i8", 0)}),
    prepare_concatenation,
    FoldRule(demand=_demand, shrink=as_it_is),
)
PACK = copy_spec(
    "PACK",
    4,
    _signature(59, {"values_count": (0, "i32", 0), "axis": (1, "i32", 0)}),
    prepare_pack,
    Without(reason="the new axis may be the last one"),
)
