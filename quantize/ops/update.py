"""DYNAMIC_UPDATE_SLICE: a tensor with a part of it replaced, at a place of run time or a constant.

A place is moved to where the part fits, as TFLite Micro does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from quantize.ops.base import Array, CCall, check_shape, malformed, with_kind
from quantize.ops.copy import (
    AXES,
    Move,
    Rearrangement,
    check_same_numbers,
    copy_spec,
    dense_strides,
    moved_input,
    rearrangement,
    single_output,
)
from quantize.ops.integer import C_TYPES
from quantize.ops.rules import Without
from quantize.scheme import Rounding
from quantize.tflite.graph import Graph, Operator, Tensor
from quantize.tflite.signatures import NO_OPTIONS, signature

PLACES = ("int32", "int64")


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """An update at a place of type `place`, of run time."""

    dtype: str
    place: str
    shape: tuple[int, ...]
    part: tuple[int, ...]

    @property
    def in_place(self) -> tuple[int, ...]:
        return ()

    @property
    def room(self) -> tuple[int, ...]:
        """The last place along each axis."""
        return tuple(whole - part for whole, part in zip(self.shape, self.part, strict=True))

    def reference(self, inputs: Sequence[Array]) -> Array:
        """[shape], [part], place -> [shape]."""
        result = inputs[0].copy()
        first = np.clip(inputs[2].astype(np.int64), 0, self.room)
        where = tuple(slice(f, f + n) for f, n in zip(first, self.part, strict=True))
        result[where] = inputs[1]
        return result

    def call(self) -> CCall:
        """The kernel call."""
        size, dense = np.dtype(self.dtype).itemsize, dense_strides(self.shape)
        copied = Move(
            count=self.part, input_stride=dense_strides(self.part), output_stride=dense
        ).call(self.dtype)
        rest = [0] * (AXES - len(self.shape))
        params = {
            "bytes": str(dense[0] * self.shape[0] * size),
            "axes": str(len(self.shape)),
            "room": "{" + ", ".join(str(r) for r in (*self.room, *rest)) + "}",
            "stride": "{" + ", ".join(str(s) for s in (*(s * size for s in dense), *rest)) + "}",
            "place": C_TYPES[self.place],
            "part": "{" + ", ".join(f".{k} = {v}" for k, v in copied.params.items()) + "}",
        }
        return CCall(
            function="nn_update_slice",
            params_type="nn_update_slice_t",
            params=params,
            inputs=(0, 1, 2),
        )


def _operands(graph: Graph, op: Operator) -> tuple[Tensor, Tensor, Tensor]:
    """Tensor, part and place, checked."""
    source, part, place = moved_input(graph, op, 0), moved_input(graph, op, 1), graph.input(op, 2)
    target = single_output(graph, op, source)
    check_same_numbers(op, part, target, "the output")
    check_shape(op, target, source.shape)
    rank = len(source.shape)
    fits = len(part.shape) == rank and all(
        p <= s for p, s in zip(part.shape, source.shape, strict=False)
    )
    if not 1 <= rank <= AXES or not fits:
        raise malformed(op, f"{list(part.shape)} does not fit into {list(source.shape)}")
    if place.dtype not in PLACES or place.shape != (rank,):
        raise malformed(op, f"its place is {place.dtype} {list(place.shape)}")
    return source, part, place


def _is_computed(graph: Graph, op: Operator) -> bool:
    return graph.input(op, 2).data is None


def _prepare_computed(graph: Graph, op: Operator) -> Update:
    source, part, place = _operands(graph, op)
    return Update(dtype=source.dtype, place=place.dtype, shape=source.shape, part=part.shape)


def _prepare(graph: Graph, op: Operator) -> Rearrangement:
    """Check one whose place is a constant: two moves."""
    source, part, place = _operands(graph, op)
    update = Update(dtype=source.dtype, place=place.dtype, shape=source.shape, part=part.shape)
    dense = dense_strides(source.shape)
    first = np.clip(np.asarray(place.data, np.int64), 0, update.room)
    everything = Move(count=(source.elements,), input_stride=(1,), output_stride=(1,))
    moved = Move(
        count=part.shape,
        input_stride=dense_strides(part.shape),
        output_stride=dense,
        output_offset=sum(int(f) * s for f, s in zip(first, dense, strict=True)),
    )
    return rearrangement(op, [graph.output(op)], [(0, 0, everything), (1, 0, moved)])


_CONSTANT: Any = copy_spec(
    "DYNAMIC_UPDATE_SLICE",
    2,
    signature(inputs=3, table=0, options=NO_OPTIONS),
    _prepare,
    Without(reason="no network has lost a channel here yet"),
)
SPEC = with_kind(_CONSTANT, _is_computed, _prepare_computed, Update, Rounding.NONE)
