"""SLICE and STRIDED_SLICE: a part of a tensor, with steps of any sign."""

from __future__ import annotations

from collections.abc import Sequence

from quantize.ops.base import check_shape, int_constant, malformed, refuse
from quantize.ops.copy import (
    MOVABLE,
    Move,
    Rearrangement,
    copy_spec,
    dense_strides,
    moved_input,
    rearrangement,
    single_output,
)
from quantize.ops.rules import Without
from quantize.tflite.graph import Graph, Operator, Tensor
from quantize.tflite.signatures import NO_OPTIONS, signature

SLICE_RANK = 5  # TFLite Micro's limits
STRIDED_RANK = 4  # more are a SLICE to TFLite Micro (quantize.tflite.rewrite), which has no strides
TYPES = (*MOVABLE, "bool")

Range = tuple[int, int, int]  # first, count, step


def _part(op: Operator, source: Tensor, target: Tensor, ranges: Sequence[Range]) -> Rearrangement:
    """The elements of `ranges`, in order; `target` may lack axes of one element."""
    strides = dense_strides(source.shape)
    counts = tuple(count for _, count, _ in ranges)
    move = Move(
        count=counts,
        input_stride=tuple(r[2] * s for r, s in zip(ranges, strides, strict=True)),
        output_stride=dense_strides(counts),
        input_offset=sum(r[0] * s for r, s in zip(ranges, strides, strict=True)),
    )
    return rearrangement(op, [target], [(0, 0, move)])


def _vectors(graph: Graph, op: Operator, count: int, rank: int) -> list[tuple[int, ...]]:
    """Constant inputs 1 .. count with one value for each dimension."""
    vectors = [int_constant(graph, op, position + 1) for position in range(count)]
    for position, vector in enumerate(vectors):
        if len(vector) != rank or len(graph.input(op, position + 1).shape) != 1:
            what = f"input {position + 1} has {len(vector)} values for {rank} dimensions"
            raise refuse(op, what, "export one for each dimension; TFLite Micro needs all")
    return vectors


def prepare_slice(graph: Graph, op: Operator) -> Rearrangement:
    """Check a SLICE; a size of -1 takes the rest of the dimension."""
    source = moved_input(graph, op, 0, TYPES)
    target = single_output(graph, op, source)
    rank = len(source.shape)
    if not 1 <= rank <= SLICE_RANK:
        raise refuse(op, f"input has {rank} dimensions", f"reshape it to 1 to {SLICE_RANK}")
    begins, sizes = _vectors(graph, op, 2, rank)
    ranges = []
    for dimension, begin, size in zip(source.shape, begins, sizes, strict=True):
        count = dimension - begin if size == -1 else size
        if begin < 0 or count < 1 or begin + count > dimension:
            raise malformed(op, f"{size} elements from {begin} of a dimension of {dimension}")
        ranges.append((begin, count, 1))
    check_shape(op, target, [count for _, count, _ in ranges])
    return _part(op, source, target, ranges)


def _clip(index: int, size: int, step: int) -> int:
    """`index` counted from the front, inside what a walk with this step may start or end at."""
    if index < 0:
        index += size
    return min(max(index, 0), size) if step > 0 else min(max(index, -1), size - 1)


def _range(op: Operator, axis: int, size: int, begin: int, end: int, step: int) -> Range:
    """The elements of one axis, as TFLite Micro resolves masks."""
    bit = 1 << axis
    if step == 0:
        raise malformed(op, f"stride 0 along axis {axis}")
    last = size - 1
    first = _clip(begin, size, step)
    if int(op.options["begin_mask"]) & bit:
        first = 0 if step > 0 else last
    if int(op.options["shrink_axis_mask"]) & bit:
        if step < 0:
            raise refuse(op, f"axis {axis} is dropped with stride {step}", "use stride 1")
        if not 0 <= first <= last:
            raise malformed(op, f"index {begin} of a dimension of {size}")
        return first, 1, 1
    stop = _clip(end, size, step)
    if int(op.options["end_mask"]) & bit:
        stop = size if step > 0 else -1
    count = -((first - stop) // step) if step > 0 else -((stop - first) // -step)
    if count < 1:
        raise malformed(op, f"no elements along axis {axis}")
    return first, count, step


def strided_ranges(graph: Graph, op: Operator) -> list[Range]:
    """What a STRIDED_SLICE with constant bounds takes along each axis of its input."""
    rank = len(graph.input(op, 0).shape)
    if not 1 <= rank <= SLICE_RANK:
        raise refuse(op, f"input has {rank} dimensions", f"reshape it to 1 to {SLICE_RANK}")
    for field in ("ellipsis_mask", "new_axis_mask", "offset"):
        if op.options[field]:
            fix = "TFLite Micro ignores it; write all dimensions out, or use a RESHAPE"
            raise refuse(op, f"{field} is {op.options[field]}", fix)
    begins, ends, steps = _vectors(graph, op, 3, rank)
    ranges = [
        _range(op, axis, size, begins[axis], ends[axis], steps[axis])
        for axis, size in enumerate(graph.input(op, 0).shape)
    ]
    if rank > STRIDED_RANK and any(count > 1 and step != 1 for _, count, step in ranges):
        fix = f"TFLite Micro takes at most {STRIDED_RANK} then; reshape it, or use stride 1"
        raise refuse(op, f"input has {rank} dimensions, strides are {list(steps)}", fix)
    return ranges


def prepare_strided_slice(graph: Graph, op: Operator) -> Rearrangement:
    """Check a STRIDED_SLICE with constant bounds; begin, end and shrink-axis masks."""
    source = moved_input(graph, op, 0, TYPES)
    target = single_output(graph, op, source)
    ranges = strided_ranges(graph, op)
    dropped = int(op.options["shrink_axis_mask"])
    check_shape(op, target, [r[1] for axis, r in enumerate(ranges) if not dropped >> axis & 1])
    return _part(op, source, target, ranges)


NO_FOLDING = Without(reason="channels may be cut: the bounds, which are constants, count them")

SLICE = copy_spec(
    "SLICE", 6, signature(inputs=3, table=48, options=NO_OPTIONS), prepare_slice, NO_FOLDING
)
STRIDED_SLICE = copy_spec(
    "STRIDED_SLICE",
    8,
    signature(
        inputs=4,
        table=32,
        options={
            "begin_mask": (0, "i32", 0),
            "end_mask": (1, "i32", 0),
            "ellipsis_mask": (2, "i32", 0),
            "new_axis_mask": (3, "i32", 0),
            "shrink_axis_mask": (4, "i32", 0),
            "offset": (5, "bool", 0),
        },
    ),
    prepare_strided_slice,
    NO_FOLDING,
)
