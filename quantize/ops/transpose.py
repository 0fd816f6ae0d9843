"""TRANSPOSE: axes in another order."""

from __future__ import annotations

from quantize.ops.base import check_shape, int_constant, malformed, refuse
from quantize.ops.copy import (
    Move,
    Rearrangement,
    copy_spec,
    dense_strides,
    moved_input,
    rearrangement,
    single_output,
)
from quantize.ops.rules import Without
from quantize.tflite.graph import Graph, Operator
from quantize.tflite.signatures import NO_OPTIONS, signature

MAX_RANK = 5  # TFLite Micro's limit


def prepare(graph: Graph, op: Operator) -> Rearrangement:
    """Check a TRANSPOSE with a constant permutation."""
    source = moved_input(graph, op, 0, ("int8", "int16", "float32"))
    target = single_output(graph, op, source)
    rank = len(source.shape)
    if not 1 <= rank <= MAX_RANK:
        raise refuse(op, f"input has {rank} dimensions", f"reshape it to 1 to {MAX_RANK}")
    order = int_constant(graph, op, 1)
    if sorted(order) != list(range(rank)) or len(graph.input(op, 1).shape) != 1:
        raise malformed(op, f"permutation {list(order[:8])} of {rank} dimensions")
    check_shape(op, target, [source.shape[axis] for axis in order])
    strides = dense_strides(source.shape)
    move = Move(
        count=target.shape,
        input_stride=tuple(strides[axis] for axis in order),
        output_stride=dense_strides(target.shape),
    )
    return rearrangement(op, [target], [(0, 0, move)])


SPEC = copy_spec(
    "TRANSPOSE",
    6,
    signature(inputs=2, table=26, options=NO_OPTIONS),
    prepare,
    Without(reason="channels may become another axis"),
)
