"""SELECT_V2: elements of one tensor or another, as a tensor of truth values says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from quantize.ops.base import Array, CCall, check_shape, malformed, refuse
from quantize.ops.broadcast import MAX_RANK, broadcast_shape, merge_axes, strides
from quantize.ops.copy import check_same_numbers
from quantize.ops.integer import plain_spec
from quantize.tflite.graph import Graph, Operator
from quantize.tflite.signatures import NO_OPTIONS, signature

TYPES = ("int8", "int16", "float32")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The shapes of the condition and both values, which broadcast to the output's."""

    dtype: str
    shapes: tuple[tuple[int, ...], ...]
    output_shape: tuple[int, ...]

    @property
    def in_place(self) -> tuple[int, ...]:
        return tuple(i for i in (1, 2) if self.shapes[i] == self.output_shape)

    def reference(self, inputs: Sequence[Array]) -> Array:
        """bool, values, values -> values."""
        return np.where(*(np.broadcast_to(v, self.output_shape) for v in inputs))

    def call(self) -> CCall:
        """The kernel call."""
        rank, size = len(self.output_shape), np.dtype(self.dtype).itemsize
        steps = [strides(shape, rank) for shape in self.shapes]
        axes = merge_axes(list(zip(self.output_shape, *steps, strict=True)))
        padded = [(1, 0, 0, 0)] * (MAX_RANK - len(axes)) + axes
        params = {
            field: "{" + ", ".join(str(axis[k] * unit) for axis in padded) + "}"
            for k, (field, unit) in enumerate(
                (("count", 1), ("stride_condition", 1), ("stride_a", size), ("stride_b", size))
            )
        }
        return CCall(
            function="nn_select",
            params_type="nn_select_t",
            params=params | {"element_bytes": str(size)},
            inputs=(0, 1, 2),
        )


def prepare(graph: Graph, op: Operator) -> Selection:
    """Check a SELECT_V2; each input may be a constant."""
    condition, a, b = (graph.input(op, position) for position in (0, 1, 2))
    target = graph.output(op)
    if condition.dtype != "bool":
        raise malformed(op, f"input 0 is {condition.dtype}, expected bool")
    if a.dtype not in TYPES:
        raise refuse(op, f"input 1 is {a.dtype}", f"TFLite Micro selects {' or '.join(TYPES)}")
    check_same_numbers(op, a, target, "the output")
    check_same_numbers(op, b, target, "the output")
    shape = broadcast_shape(op, broadcast_shape(op, condition.shape, a.shape), b.shape)
    check_shape(op, target, shape)
    return Selection(
        dtype=a.dtype, shapes=(condition.shape, a.shape, b.shape), output_shape=target.shape
    )


SPEC = plain_spec("SELECT_V2", 1, signature(inputs=3, table=0, options=NO_OPTIONS), prepare)
