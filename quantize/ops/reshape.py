"""RESHAPE, SQUEEZE and EXPAND_DIMS: the same bytes under another shape.

They cost nothing: input and output share memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from quantize.ops.base import (
    Array,
    OpSpec,
    check_shape,
    int_constant,
    malformed,
    no_macs,
    not_in_place,
    refuse,
    wrong_shape,
)
from quantize.ops.copy import ANY, MOVES_ONLY, moved_input
from quantize.ops.fold_rules import as_it_is
from quantize.ops.range_rules import RISING
from quantize.ops.rules import Channels, FoldRule, reference_kernels
from quantize.scheme import Rounding
from quantize.tflite.graph import Graph, Operator, Tensor
from quantize.tflite.signatures import NO_OPTIONS, VECTOR, Signature, signature


def _ends(graph: Graph, op: Operator, types: Sequence[str] = ANY) -> tuple[Tensor, Tensor]:
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
        what = f"{list(source.shape)} to {list(target.shape)} changes the size"
        raise wrong_shape(op, target, _wanted(graph, op, source) or target.shape, what)
    return target.shape


def _wanted(graph: Graph, op: Operator, source: Tensor) -> tuple[int, ...] | None:
    """The shape that the second input asks for; None when it is not known or does not fit."""
    tensor = graph.optional_input(op, 1)
    if tensor is None or tensor.data is None or tensor.dtype != "int32":
        return None
    shape = [int(v) for v in tensor.data.reshape(-1)]
    rest = math.prod(d for d in shape if d != -1)
    if shape.count(-1) == 1 and rest > 0:
        shape[shape.index(-1)] = source.elements // rest
    return tuple(shape) if all(d > 0 for d in shape) else None


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
    source, target = _ends(graph, op, ("int8", "int16", "float32"))
    axes = int_constant(graph, op, 1)
    rank = len(source.shape) + 1
    if len(axes) != 1 or not -rank <= axes[0] < rank:
        raise malformed(op, f"axis {list(axes)} for an output with {rank} dimensions")
    axis = axes[0] % rank
    expected = (*source.shape[:axis], 1, *source.shape[axis:])
    check_shape(op, target, expected)
    return target.shape


def reference(shape: tuple[int, ...], inputs: Sequence[Array]) -> Array:
    """Any shape -> `shape`."""
    return inputs[0].reshape(shape)


def _demand(found: Channels, op: Operator, _: tuple[int, ...]) -> bool:
    """The last axis stays, or whole rows of channels become one."""
    source, target = found.gone[op.inputs[0]], found.gone[op.outputs[0]]
    if len(target) % len(source):
        return False
    source &= target.reshape(-1, len(source)).all(axis=0)
    target &= np.tile(source, len(target) // len(source))
    return True


def _spec(
    name: str,
    max_version: int,
    signature: Signature,
    prepare: Callable[[Graph, Operator], tuple[int, ...]],
) -> OpSpec[tuple[int, ...]]:
    return OpSpec(
        name=name,
        max_version=max_version,
        signature=signature,
        prepare=prepare,
        reference=reference,
        calls=lambda _: (),
        rounding=Rounding.NONE,
        int16_rounding=None,
        macs=no_macs,
        in_place=not_in_place,
        alias=lambda _: True,
        state=(),
        ranges=RISING,
        folding=FoldRule(demand=_demand, shrink=as_it_is),
        advice=MOVES_ONLY,
        kernels=reference_kernels("nothing runs: input and output share memory"),
    )


SPEC = _spec(
    "RESHAPE",
    1,
    Signature(inputs=(1, 2), outputs=(1, 1), table=17, options={"new_shape": (0, VECTOR, 0)}),
    prepare_reshape,
)
SQUEEZE = _spec(
    "SQUEEZE",
    2,
    signature(inputs=1, table=30, options={"squeeze_dims": (0, VECTOR, 0)}),
    prepare_squeeze,
)
EXPAND_DIMS = _spec(
    "EXPAND_DIMS", 1, signature(inputs=2, table=52, options=NO_OPTIONS), prepare_expand_dims
)
NAMES = frozenset(spec.name for spec in (SPEC, SQUEEZE, EXPAND_DIMS))
