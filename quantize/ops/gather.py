"""GATHER, GATHER_ND (constant indices), RESIZE_NEAREST_NEIGHBOR: moves that follow a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from quantize.ops.base import (
    Array,
    CCall,
    OpSpec,
    check_shape,
    int_constant,
    int_constant_array,
    malformed,
    no_alias,
    no_macs,
    not_in_place,
    refuse,
)
from quantize.ops.copy import MOVES_ONLY, dense_strides, moved_input, resolve_axis, single_output
from quantize.ops.fold_rules import CHANNELWISE
from quantize.ops.range_rules import RISING
from quantize.ops.rules import Without, reference_kernels
from quantize.scheme import Rounding
from quantize.tflite.graph import Graph, Operator, Tensor
from quantize.tflite.signatures import NO_OPTIONS, signature

MAX_TABLE = 1 << 16  # entries
MAX_INDICES = 5  # dimensions that one index of GATHER_ND picks from, in TFLite Micro


@dataclass(frozen=True, slots=True, kw_only=True)
class TableParams:
    """Output [outer][rows][columns][run], each run from a place that two tables add up to.

    All in elements.
    """

    dtype: str
    shape: tuple[int, ...]
    outer: int
    outer_stride: int
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    run: int


def prepare_gather(graph: Graph, op: Operator) -> TableParams:
    """Check a GATHER of constant indices."""
    source = moved_input(graph, op, 0, ("int8", "float32"))
    target = single_output(graph, op, source)
    shape, picked = source.shape, graph.input(op, 1)
    indices = np.array(int_constant(graph, op, 1), np.int64).reshape(picked.shape)
    axis = resolve_axis(op, int(op.options["axis"]), len(shape))
    batch = batch_dims(op, shape, picked.shape, axis)
    if indices.min() < 0 or indices.max() >= shape[axis]:
        what = f"indices {indices.min()} to {indices.max()} into a dimension of {shape[axis]}"
        raise malformed(op, what)
    check_shape(op, target, (*shape[:axis], *picked.shape[batch:], *shape[axis + 1 :]))
    return _gather(op, source, target, indices, axis, batch)


def batch_dims(op: Operator, shape: tuple[int, ...], picked: tuple[int, ...], axis: int) -> int:
    """How many leading axes tensor and indices of a GATHER have in common."""
    batch = int(op.options["batch_dims"])
    batch += len(picked) if batch < 0 else 0
    if not 0 <= batch <= min(axis, len(picked)) or shape[:batch] != picked[:batch]:
        what = f"batch_dims {op.options['batch_dims']} for {list(shape)} and {list(picked)}"
        raise malformed(op, what)
    return batch


def _gather(
    op: Operator,
    source: Tensor,
    target: Tensor,
    indices: npt.NDArray[np.int64],
    axis: int,
    batch: int,
) -> TableParams:
    shape = source.shape
    run = math.prod(shape[axis + 1 :])
    block = shape[axis] * run
    batches, outer = math.prod(shape[:batch]), math.prod(shape[batch:axis])
    rows = indices.reshape(batches, 1, -1) * run
    if batches > 1:  # the indices differ, so that the table holds all of them
        blocks = np.arange(batches * outer, dtype=np.int64) * block
        rows, outer = rows + blocks.reshape(batches, outer, 1), 1
    if rows.size > MAX_TABLE:
        raise refuse(op, f"{rows.size} indices", f"use at most {MAX_TABLE}")
    return TableParams(
        dtype=source.dtype,
        shape=target.shape,
        outer=outer,
        outer_stride=block,
        rows=tuple(int(r) for r in rows.reshape(-1)),
        columns=(0,),
        run=run,
    )


def prepare_gather_nd(graph: Graph, op: Operator) -> TableParams:
    """Check a GATHER_ND of constant indices."""
    source = moved_input(graph, op, 0, ("int8", "float32"))
    target = single_output(graph, op, source)
    shape, picked = source.shape, graph.input(op, 1)
    indices = np.array(int_constant(graph, op, 1), np.int64).reshape(picked.shape)
    depth = picked.shape[-1] if picked.shape else 0
    if not 1 <= depth <= min(len(shape), MAX_INDICES):
        raise malformed(op, f"indices {list(picked.shape)} into {list(shape)}")
    check_shape(op, target, (*picked.shape[:-1], *shape[depth:]))
    if indices.min() < 0 or (indices >= np.array(shape[:depth])).any():
        raise malformed(op, f"an index outside of {list(shape)}")
    rows = indices.reshape(-1, depth) @ np.array(dense_strides(shape)[:depth], np.int64)
    if rows.size > MAX_TABLE:
        raise refuse(op, f"{rows.size} indices", f"use at most {MAX_TABLE}")
    return TableParams(
        dtype=source.dtype,
        shape=target.shape,
        outer=1,
        outer_stride=0,
        rows=tuple(int(r) for r in rows),
        columns=(0,),
        run=math.prod(shape[depth:]),
    )


def _nearest(size: int, output_size: int, align_corners: bool, half_pixel: bool) -> list[int]:
    """The input index of each output index, in the float32 arithmetic of TFLite Micro."""
    if align_corners and output_size > 1:
        scale = np.float32(size - 1) / np.float32(output_size - 1)
    else:
        scale = np.float32(size) / np.float32(output_size)
    offset = np.float32(0.5 if half_pixel else 0.0)
    places = (np.arange(output_size).astype(np.float32) + offset) * scale
    rounded = np.floor(places.astype(np.float64) + (0.5 if align_corners else 0.0))
    return [int(i) for i in np.minimum(rounded, size - 1)]


def prepare_resize(graph: Graph, op: Operator) -> TableParams:
    """Check a RESIZE_NEAREST_NEIGHBOR of [n, h, w, c] to a constant size."""
    source = moved_input(graph, op, 0, ("int8", "int16", "float32"))
    target = single_output(graph, op, source)
    if len(source.shape) != 4:
        raise malformed(op, f"input {list(source.shape)} needs 4 dimensions")
    size = int_constant(graph, op, 1)
    if graph.input(op, 1).shape != (2,) or not all(0 < s <= MAX_TABLE for s in size):
        raise refuse(op, f"size {list(size[:4])}", f"export two sizes of 1 to {MAX_TABLE}")
    n, height, width, channels = source.shape
    check_shape(op, target, (n, *size, channels))
    modes = bool(op.options["align_corners"]), bool(op.options["half_pixel_centers"])
    batch, row, column, _ = dense_strides(source.shape)
    return TableParams(
        dtype=source.dtype,
        shape=target.shape,
        outer=n,
        outer_stride=batch,
        rows=tuple(i * row for i in _nearest(height, size[0], *modes)),
        columns=tuple(i * column for i in _nearest(width, size[1], *modes)),
        run=channels,
    )


def reference(p: TableParams, inputs: Sequence[Array]) -> Array:
    """Any shape -> p.shape."""
    outer = np.arange(p.outer, dtype=np.int64) * p.outer_stride
    starts = outer[:, None, None] + np.array(p.rows)[:, None] + np.array(p.columns)
    places = starts[..., None] + np.arange(p.run)
    gathered: Array = inputs[0].reshape(-1)[places].reshape(p.shape)
    return gathered


def _call(p: TableParams) -> CCall:
    size = np.dtype(p.dtype).itemsize
    return CCall(
        function="nn_gather",
        params_type="nn_gather_t",
        params={
            "outer": str(p.outer),
            "rows": str(len(p.rows)),
            "columns": str(len(p.columns)),
            "outer_stride": str(p.outer_stride * size),
            "run_bytes": str(p.run * size),
            "row_offset": "@rows",
            "column_offset": "@columns",
        },
        constants=(
            int_constant_array("rows", "int32_t", np.array(p.rows, np.int32) * size),
            int_constant_array("columns", "int32_t", np.array(p.columns, np.int32) * size),
        ),
    )


KERNELS = reference_kernels("nn_gather moves whole runs of bytes on every core")

GATHER = OpSpec(
    name="GATHER",
    max_version=6,
    signature=signature(
        inputs=2, table=23, options={"axis": (0, "i32", 0), "batch_dims": (1, "i32", 0)}
    ),
    prepare=prepare_gather,
    reference=reference,
    calls=lambda p: (_call(p),),
    rounding=Rounding.NONE,
    int16_rounding=None,
    macs=no_macs,
    in_place=not_in_place,
    alias=no_alias,
    state=(),
    ranges=RISING,
    folding=Without(reason="it may pick channels by number"),
    advice=MOVES_ONLY,
    kernels=KERNELS,
)
GATHER_ND = replace(
    GATHER,
    name="GATHER_ND",
    max_version=3,
    signature=signature(inputs=2, table=0, options=NO_OPTIONS),
    prepare=prepare_gather_nd,
)
RESIZE = OpSpec(
    name="RESIZE_NEAREST_NEIGHBOR",
    max_version=4,
    signature=signature(
        inputs=2,
        table=74,
        options={"align_corners": (0, "bool", 0), "half_pixel_centers": (1, "bool", 0)},
    ),
    prepare=prepare_resize,
    reference=reference,
    calls=lambda p: (_call(p),),
    rounding=Rounding.NONE,
    int16_rounding=None,
    macs=no_macs,
    in_place=not_in_place,
    alias=no_alias,
    state=(),
    ranges=RISING,
    folding=CHANNELWISE,
    advice=MOVES_ONLY,
    kernels=KERNELS,
)
