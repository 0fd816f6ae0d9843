"""FILL, BROADCAST_TO, ZEROS_LIKE and REVERSE_V2: moves of whole tensors."""

from __future__ import annotations

from quantize.ops.base import check_shape, int_constant, malformed, refuse
from quantize.ops.broadcast import strides
from quantize.ops.copy import (
    ANY,
    Move,
    Rearrangement,
    copy_spec,
    dense_strides,
    moved_input,
    rearrangement,
    resolve_axis,
    single_output,
)
from quantize.ops.rules import Without
from quantize.tflite.graph import Graph, Operator
from quantize.tflite.signatures import NO_OPTIONS, signature

MAX_RANK = 5  # TFLite Micro's limit for BROADCAST_TO
REVERSED_RANK = 6
_NO_CHANNELS = Without(reason="no network has lost a channel here yet")


def _shape_constant(graph: Graph, op: Operator, position: int) -> tuple[int, ...]:
    """A constant shape, int32 or int64."""
    data = graph.input(op, position).data
    if data is None or data.dtype.kind != "i":
        fix = "TFLite Micro has only fixed shapes; export with all dimensions fixed"
        raise refuse(op, f"input {position} is not a constant shape", fix)
    return tuple(int(v) for v in data.reshape(-1))


def prepare_fill(graph: Graph, op: Operator) -> Rearrangement:
    """Check a FILL of a scalar that is computed at run time."""
    value = moved_input(graph, op, 1, ("int8", "int32", "float32"))
    target = single_output(graph, op, value)
    if value.shape:
        raise refuse(op, f"its value has shape {list(value.shape)}", "reshape it to a scalar")
    check_shape(op, target, _shape_constant(graph, op, 0))
    move = Move(count=(target.elements,), input_stride=(0,), output_stride=(1,))
    return rearrangement(op, [target], [(1, 0, move)])


def prepare_broadcast(graph: Graph, op: Operator) -> Rearrangement:
    """Check a BROADCAST_TO."""
    source = moved_input(graph, op, 0, ANY)
    target = single_output(graph, op, source)
    shape, rank = _shape_constant(graph, op, 1), len(source.shape)
    check_shape(op, target, shape)
    if len(shape) > MAX_RANK:
        raise refuse(op, f"{len(shape)} dimensions", f"reshape it to at most {MAX_RANK}")
    inner = shape[len(shape) - rank :]
    if rank > len(shape) or any(d not in (1, s) for d, s in zip(source.shape, inner, strict=True)):
        raise malformed(op, f"{list(source.shape)} does not broadcast to {list(shape)}")
    move = Move(
        count=shape,
        input_stride=tuple(strides(source.shape, len(shape))),
        output_stride=dense_strides(shape),
    )
    return rearrangement(op, [target], [(0, 0, move)])


def prepare_zeros(graph: Graph, op: Operator) -> Rearrangement:
    """Check a ZEROS_LIKE: zeros as they are stored, whatever the zero point."""
    source = moved_input(graph, op, 0, ("int8", "int32", "int64", "float32"))
    target = single_output(graph, op, source)
    check_shape(op, target, source.shape)
    return rearrangement(op, [target], [], 0)


def prepare_reverse(graph: Graph, op: Operator) -> Rearrangement:
    """Check a REVERSE_V2 of neighbouring axes."""
    source = moved_input(graph, op, 0, ANY)
    target = single_output(graph, op, source)
    check_shape(op, target, source.shape)
    rank = len(source.shape)
    if not 1 <= rank <= REVERSED_RANK:
        raise refuse(op, f"input has {rank} dimensions", f"reshape it to 1 to {REVERSED_RANK}")
    given = int_constant(graph, op, 1)
    axes = sorted(resolve_axis(op, axis, rank) for axis in given)
    if not axes or len(graph.input(op, 1).shape) != 1:
        raise malformed(op, f"axes {list(given)[:8]}")
    if axes != list(range(axes[0], axes[0] + len(axes))):
        fix = "TFLite Micro reverses neighbouring axes only; reverse one after another"
        raise refuse(op, f"axes {axes}", fix)
    dense = dense_strides(source.shape)
    move = Move(
        count=source.shape,
        input_stride=tuple(-s if a in axes else s for a, s in enumerate(dense)),
        output_stride=dense,
        input_offset=sum((source.shape[a] - 1) * dense[a] for a in axes),
    )
    return rearrangement(op, [target], [(0, 0, move)])


FILL = copy_spec(
    "FILL", 4, signature(inputs=2, table=0, options=NO_OPTIONS), prepare_fill, _NO_CHANNELS
)
BROADCAST_TO = copy_spec(
    "BROADCAST_TO",
    3,
    signature(inputs=2, table=0, options=NO_OPTIONS),
    prepare_broadcast,
    _NO_CHANNELS,
)
ZEROS_LIKE = copy_spec(
    "ZEROS_LIKE", 1, signature(inputs=1, table=0, options=NO_OPTIONS), prepare_zeros, _NO_CHANNELS
)
REVERSE_V2 = copy_spec(
    "REVERSE_V2", 3, signature(inputs=2, table=0, options=NO_OPTIONS), prepare_reverse, _NO_CHANNELS
)
SPECS = (BROADCAST_TO, FILL, REVERSE_V2, ZEROS_LIKE)
