"""RESHAPE, SQUEEZE and EXPAND_DIMS: the same bytes under another shape.

They cost nothing: input and output share memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from quantize.ops.base import Array, OpSpec, int_constant, malformed, refuse
from quantize.ops.copy import MOVABLE, moved_input
from quantize.scheme import Rounding
from quantize.tflite.graph import Graph, Operator, Tensor


def _ends(graph: Graph, op: Operator, types: Sequence[str] = MOVABLE) -> tuple[Tensor, Tensor]:
    """The run-time input and the output; their scales may differ, as TFLite Micro allows."""
    source = moved_input(graph, op, 0, types)
    if source.data is not None:
        raise refuse(op, "input 0 is a constant", "fold it when exporting the model")
    target = graph.output(op)
    if len(op.outputs) != 1 or target.dtype != source.dtype:
        raise malformed(op, f"{source.dtype} to {len(op.outputs)} outputs of {target.dtype}")
    return source, target


def prepare_reshape(graph: Graph, op: Operator) -> tuple[int, ...]:
    """Check a RESHAPE; returns the output shape."""
    source, target = _ends(graph, op)
    if source.elements != target.elements:
        raise malformed(op, f"{list(source.shape)} to {list(target.shape)} changes the size")
    return target.shape


def prepare_squeeze(graph: Graph, op: Operator) -> tuple[int, ...]:
    """Check a SQUEEZE; returns the output shape."""
    source, target = _ends(graph, op)
    kept = iter(source.shape)
    longer = [[d for d in shape if d != 1] for shape in (source.shape, target.shape)]
    if longer[0] != longer[1] or not all(d in kept for d in target.shape):
        what = f"{list(source.shape)} to {list(target.shape)} removes more than dimensions of 1"
        raise malformed(op, what)
    return target.shape


def prepare_expand_dims(graph: Graph, op: Operator) -> tuple[int, ...]:
    """Check an EXPAND_DIMS with a constant axis; returns the output shape."""
    source, target = _ends(graph, op, ("int8", "int16"))
    axes = int_constant(graph, op, 1)
    rank = len(source.shape) + 1
    if len(axes) != 1 or not -rank <= axes[0] < rank:
        raise malformed(op, f"axis {list(axes)} for an output with {rank} dimensions")
    axis = axes[0] % rank
    expected = (*source.shape[:axis], 1, *source.shape[axis:])
    if target.shape != expected:
        raise malformed(op, f"output shape is {list(target.shape)}, expected {list(expected)}")
    return target.shape


def reference(shape: tuple[int, ...], inputs: Sequence[Array]) -> Array:
    """Any shape -> `shape`."""
    return inputs[0].reshape(shape)


def _spec(
    name: str, max_version: int, prepare: Callable[[Graph, Operator], tuple[int, ...]]
) -> OpSpec[tuple[int, ...]]:
    return OpSpec(
        name=name,
        max_version=max_version,
        rounding=Rounding.NONE,
        prepare=prepare,
        reference=reference,
        calls=lambda _: (),
        alias=lambda _: True,
    )


SPEC = _spec("RESHAPE", 1, prepare_reshape)
SQUEEZE = _spec("SQUEEZE", 2, prepare_squeeze)
EXPAND_DIMS = _spec("EXPAND_DIMS", 1, prepare_expand_dims)
NAMES = frozenset(spec.name for spec in (SPEC, SQUEEZE, EXPAND_DIMS))
