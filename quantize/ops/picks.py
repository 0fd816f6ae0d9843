"""GATHER, GATHER_ND and EMBEDDING_LOOKUP with indices that are computed at run time.

TFLite Micro stops at an index outside of the tensor, and answers nothing. Where it answers, we
answer the same; else we read the nearest place that is inside.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from quantize.ops.base import (
    Array,
    CCall,
    OpSpec,
    check_shape,
    malformed,
    no_alias,
    no_macs,
    not_in_place,
    refuse,
    with_kind,
)
from quantize.ops.copy import (
    MOVES_ONLY,
    check_same_numbers,
    dense_strides,
    moved_input,
    resolve_axis,
    single_output,
)
from quantize.ops.gather import KERNELS, MAX_INDICES, batch_dims
from quantize.ops.rules import Without
from quantize.scheme import Rounding
from quantize.tflite.graph import Graph, Operator, Tensor
from quantize.tflite.signatures import NO_OPTIONS, signature

TYPES = ("int8", "float32")
# operators that hand on indices as they are: where those come from
_HANDED_ON = ("CAST", "EXPAND_DIMS", "RESHAPE", "SQUEEZE")


@dataclass(frozen=True, slots=True, kw_only=True)
class Picks:
    """Output [batches][outer][count][run]: a run of block [batch][outer] for each index, which has
    `len(strides)` coordinates. All in elements."""

    dtype: str
    shape: tuple[int, ...]
    positions: tuple[int, int]  # the operator's inputs that hold the values and the indices
    batches: int
    outer: int
    count: int
    block: int
    run: int
    strides: tuple[int, ...]

    @property
    def in_place(self) -> tuple[int, ...]:
        return ()

    def reference(self, inputs: Sequence[Array]) -> Array:
        """Any shape, int32 indices -> p.shape."""
        values, indices = (inputs[position] for position in self.positions)
        rows = indices.astype(np.int64).reshape(self.batches, 1, self.count, len(self.strides))
        inside = np.clip(rows @ np.array(self.strides, np.int64), 0, self.block - self.run)
        blocks = np.arange(self.batches * self.outer, dtype=np.int64) * self.block
        starts = inside + blocks.reshape(self.batches, self.outer, 1)
        picked: Array = values.reshape(-1)[starts[..., None] + np.arange(self.run)]
        return picked.reshape(self.shape)

    def call(self) -> CCall:
        """The kernel call."""
        size = np.dtype(self.dtype).itemsize
        steps = [*(s * size for s in self.strides), *[0] * (MAX_INDICES - len(self.strides))]
        return CCall(
            function="nn_pick",
            params_type="nn_pick_t",
            params={
                "batches": str(self.batches),
                "outer": str(self.outer),
                "count": str(self.count),
                "coordinates": str(len(self.strides)),
                "stride": "{" + ", ".join(str(s) for s in steps) + "}",
                "block_bytes": str(self.block * size),
                "run_bytes": str(self.run * size),
            },
            inputs=self.positions,
        )


def _indices(graph: Graph, op: Operator, position: int) -> Tensor:
    indices = graph.input(op, position)
    if indices.dtype != "int32":
        raise refuse(op, f"the indices are {indices.dtype}", "TFLite Micro takes int32 there")
    return indices


def _are_computed(graph: Graph, op: Operator) -> bool:
    return graph.input(op, 1).data is None


def _prepare_gather(graph: Graph, op: Operator) -> Picks:
    source, indices = moved_input(graph, op, 0, TYPES), _indices(graph, op, 1)
    target, shape = single_output(graph, op, source), source.shape
    axis = resolve_axis(op, int(op.options["axis"]), len(shape))
    batch = batch_dims(op, shape, indices.shape, axis)
    check_shape(op, target, (*shape[:axis], *indices.shape[batch:], *shape[axis + 1 :]))
    run = math.prod(shape[axis + 1 :])
    return Picks(
        dtype=source.dtype,
        shape=target.shape,
        positions=(0, 1),
        batches=math.prod(shape[:batch]),
        outer=math.prod(shape[batch:axis]),
        count=math.prod(indices.shape[batch:]),
        block=shape[axis] * run,
        run=run,
        strides=(run,),
    )


def _prepare_gather_nd(graph: Graph, op: Operator) -> Picks:
    source, indices = moved_input(graph, op, 0, TYPES), _indices(graph, op, 1)
    target, shape = single_output(graph, op, source), source.shape
    depth = indices.shape[-1] if indices.shape else 0
    if not 1 <= depth <= min(len(shape), MAX_INDICES):
        raise malformed(op, f"indices {list(indices.shape)} into {list(shape)}")
    check_shape(op, target, (*indices.shape[:-1], *shape[depth:]))
    return Picks(
        dtype=source.dtype,
        shape=target.shape,
        positions=(0, 1),
        batches=1,
        outer=1,
        count=math.prod(indices.shape[:-1]),
        block=source.elements,
        run=math.prod(shape[depth:]),
        strides=dense_strides(shape)[:depth],
    )


def _prepare_embedding(graph: Graph, op: Operator) -> Picks:
    source, indices = moved_input(graph, op, 1, TYPES), _indices(graph, op, 0)
    target = graph.output(op)
    if source.dtype == "int8" and target.dtype == "float32":
        fix = "convert with int8 post-training quantisation, activations too"
        raise refuse(op, "an int8 table gives floats", fix)
    check_same_numbers(op, source, target, "the output")
    if len(indices.shape) != 1 or len(source.shape) < 2:
        raise malformed(op, f"indices {list(indices.shape)} into {list(source.shape)}")
    check_shape(op, target, (*indices.shape, *source.shape[1:]))
    run = math.prod(source.shape[1:])
    return Picks(
        dtype=source.dtype,
        shape=target.shape,
        positions=(1, 0),
        batches=1,
        outer=1,
        count=indices.elements,
        block=source.elements,
        run=run,
        strides=(run,),
    )


_PREPARE = {
    "EMBEDDING_LOOKUP": _prepare_embedding,
    "GATHER": _prepare_gather,
    "GATHER_ND": _prepare_gather_nd,
}
_INDICES = {"EMBEDDING_LOOKUP": 0, "GATHER": 1, "GATHER_ND": 1}


def with_picks(spec: OpSpec[Any]) -> OpSpec[Any]:
    """A GATHER or GATHER_ND for indices of run time as well."""
    return with_kind(spec, _are_computed, _PREPARE[spec.name], Picks, Rounding.NONE)


EMBEDDING_LOOKUP: OpSpec[Picks] = OpSpec(
    name="EMBEDDING_LOOKUP",
    max_version=3,
    signature=signature(inputs=2, table=0, options=NO_OPTIONS),
    prepare=_prepare_embedding,
    reference=lambda p, inputs: p.reference(inputs),
    calls=lambda p: (p.call(),),
    rounding=Rounding.NONE,
    int16_rounding=None,
    macs=no_macs,
    in_place=not_in_place,
    alias=no_alias,
    state=(),
    ranges=Without(reason="its input is indices"),
    folding=Without(reason="it may pick channels by number"),
    advice=MOVES_ONLY,
    kernels=KERNELS,
)


def index_limits(graph: Graph) -> dict[int, npt.NDArray[np.int64]]:
    """Tensor of indices -> how many places each coordinate has, for all that hold such indices.

    Also where those come from, handed on as they are. Raises ModelError where an operator that
    picks is not one that compiles.
    """
    limits: dict[int, npt.NDArray[np.int64]] = {}
    for op in reversed(graph.operators):
        if op.name in _PREPARE and graph.input(op, _INDICES[op.name]).data is None:
            p = _PREPARE[op.name](graph, op)
            found = np.array([p.block, *p.strides[:-1]]) // np.array(p.strides)
            source = op.inputs[p.positions[1]]
        elif op.name in _HANDED_ON and op.outputs[0] in limits:
            found, source = limits[op.outputs[0]], op.inputs[0]
            if len(found) > 1 and op.name != "CAST":
                continue  # an index of several coordinates is no longer along the last axis
        else:
            continue
        limits[source] = np.minimum(limits.get(source, found), found)
    return limits
