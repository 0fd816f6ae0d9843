"""Moves of elements: every operator that only rearranges its input is a list of these."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from quantize.ops.base import (
    Array,
    CCall,
    OpSpec,
    malformed,
    no_macs,
    not_in_place,
    refuse,
)
from quantize.ops.range_rules import RISING
from quantize.ops.rules import FoldRule, Without, reference_kernels
from quantize.scheme import Rounding
from quantize.tflite.graph import Graph, Operator, Tensor
from quantize.tflite.signatures import Signature

AXES = 6  # NN_COPY_AXES
MAX_MOVES = 128  # kernel calls of one operator
MOVABLE = ("int8", "int16", "int32", "float32")
ANY = (*MOVABLE, "int64", "bool")
MOVES_ONLY = Without(reason="no number changes")
# whose output may be the bytes of input 0, where nothing moves; QUANTIZE where its scale stays
MAY_BE_SAME = frozenset(
    {
        "BATCH_TO_SPACE_ND", "BROADCAST_TO", "CONCATENATION", "DEPTH_TO_SPACE", "MIRROR_PAD",
        "PACK", "PAD", "QUANTIZE", "REVERSE_V2", "SLICE", "SPACE_TO_BATCH_ND", "SPACE_TO_DEPTH",
        "SPLIT_V", "STRIDED_SLICE", "TRANSPOSE", "UNPACK",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """One strided copy; all in elements, axes outer to inner, at most AXES of them after merging.

    A stride may be 0 (the input repeats) or negative.
    """

    count: tuple[int, ...]
    input_stride: tuple[int, ...]
    output_stride: tuple[int, ...]
    input_offset: int = 0
    output_offset: int = 0

    def call(self, dtype: str, *, input: int = 0, output: int = 0) -> CCall:
        """The nn_copy call from input position `input` to output position `output`."""
        size = np.dtype(dtype).itemsize
        axes, run = self._walk(size)
        axes = [(1, 0, 0)] * (AXES - len(axes)) + axes
        names = ("count", "input_stride", "output_stride")
        return CCall(
            function="nn_copy",
            params_type="nn_copy_t",
            params={
                name: "{" + ", ".join(str(axis[k]) for axis in axes) + "}"
                for k, name in enumerate(names)
            }
            | {
                "input_offset": str(self.input_offset * size),
                "output_offset": str(self.output_offset * size),
                "run_bytes": str(run),
            },
            inputs=(input,),
            outputs=(output,),
        )

    def is_whole(self, elements: int) -> bool:
        """Whether it copies so many elements to where they were."""
        axes, run = self._walk(1)
        return not axes and run == elements and not (self.input_offset or self.output_offset)

    def apply(self, source: Array, target: Array) -> None:
        """Copy the elements of `source` into `target`, in place."""
        taken = _positions(self.count, self.input_stride, self.input_offset)
        written = _positions(self.count, self.output_stride, self.output_offset)
        target.reshape(-1)[written] = source.reshape(-1)[taken]

    def _walk(self, size: int) -> tuple[list[tuple[int, int, int]], int]:
        """The axes as (count, input bytes, output bytes), merged, and the bytes of one run."""
        merged: list[tuple[int, int, int]] = []
        for n, i, o in zip(self.count, self.input_stride, self.output_stride, strict=True):
            if n == 1:
                continue
            axis = (n, i * size, o * size)
            if merged and merged[-1][1:] == (axis[1] * n, axis[2] * n):
                axis = (merged.pop()[0] * n, axis[1], axis[2])
            merged.append(axis)
        contiguous = bool(merged) and merged[-1][1:] == (size, size)
        return merged, size * (merged.pop()[0] if contiguous else 1)


def move_words(size: int) -> CCall:
    """The call that moves `size` bytes, whole words, to where they do not overlap."""
    return CCall(function="nn_move", params_type="nn_move_t", params={"bytes": str(size)})


def _positions(count: Sequence[int], stride: Sequence[int], offset: int) -> npt.NDArray[np.int64]:
    positions = np.array(offset, np.int64)
    for n, step in zip(count, stride, strict=True):
        positions = positions[..., None] + np.arange(n, dtype=np.int64) * step
    return positions


@dataclass(frozen=True, slots=True, kw_only=True)
class Rearrangement:
    """All moves of one operator, each with the positions of its input and output."""

    dtype: str
    shapes: tuple[tuple[int, ...], ...]  # of the outputs
    moves: tuple[tuple[int, int, Move], ...]
    fill: int | None = None  # int8 value of every output byte that no move writes
    is_same: bool = False  # the output is input 0, which is computed at run time, byte by byte


def rearrangement(
    op: Operator,
    outputs: Sequence[Tensor],
    moves: Sequence[tuple[int, int, Move]],
    fill: int | None = None,
) -> Rearrangement:
    """The moves of an operator; refuses more than MAX_MOVES of them."""
    if len(moves) > MAX_MOVES:
        fix = f"split it into operators of at most {MAX_MOVES} each"
        raise refuse(op, f"{len(moves)} separate copies", fix)
    return Rearrangement(
        dtype=outputs[0].dtype,
        shapes=tuple(t.shape for t in outputs),
        moves=tuple(moves),
        fill=fill,
    )


def reference(p: Rearrangement, inputs: Sequence[Array]) -> tuple[Array, ...]:
    """Any shapes -> p.shapes."""
    size = np.dtype(p.dtype).itemsize
    outputs = tuple(
        np.full(math.prod(s) * size, p.fill or 0, np.int8).view(p.dtype).reshape(s)
        for s in p.shapes
    )
    for source, target, move in p.moves:
        move.apply(inputs[source], outputs[target])
    return outputs


def calls(p: Rearrangement) -> tuple[CCall, ...]:
    """A fill where moves leave gaps, then a copy for each move."""
    size = np.dtype(p.dtype).itemsize
    fills = [
        CCall(
            function="nn_fill",
            params_type="nn_fill_t",
            params={"count": str(math.prod(s) * size), "value": str(p.fill)},
            inputs=(),
            outputs=(target,),
        )
        for target, s in enumerate(p.shapes)
        if p.fill is not None
    ]
    copies = [m.call(p.dtype, input=source, output=target) for source, target, m in p.moves]
    return (*fills, *copies)


def copy_spec(
    name: str,
    max_version: int,
    signature: Signature,
    prepare: Callable[[Graph, Operator], Rearrangement],
    folding: FoldRule[Rearrangement] | Without,
) -> OpSpec[Rearrangement]:
    """The spec of an operator that only moves elements; one that moves none costs nothing."""

    def prepared(graph: Graph, op: Operator) -> Rearrangement:
        p = prepare(graph, op)
        return replace(p, is_same=_is_same(graph, op, p))

    return OpSpec(
        name=name,
        max_version=max_version,
        signature=signature,
        prepare=prepared,
        reference=reference,
        calls=lambda p: () if is_same(p) else calls(p),
        rounding=Rounding.NONE,
        int16_rounding=None,
        macs=no_macs,
        in_place=not_in_place,
        alias=is_same,
        state=(),
        ranges=RISING,
        folding=folding,
        advice=MOVES_ONLY,
        kernels=reference_kernels("nn_copy moves whole runs of bytes on every core"),
    )


def is_same(p: object) -> bool:
    """Whether an operator with these params moves nothing."""
    return isinstance(p, Rearrangement) and p.is_same


def _is_same(graph: Graph, op: Operator, p: Rearrangement) -> bool:
    """Whether the only output is input 0 as it is."""
    if len(p.shapes) != 1 or len(p.moves) != 1 or p.moves[0][:2] != (0, 0):
        return False
    source = graph.tensors[op.inputs[0]]
    whole = p.moves[0][2].is_whole(math.prod(p.shapes[0]))
    return whole and source.data is None and source.elements == math.prod(p.shapes[0])


def moved_input(
    graph: Graph, op: Operator, position: int, types: Sequence[str] = MOVABLE
) -> Tensor:
    """An input of one of `types`, computed at run time or constant."""
    tensor = graph.input(op, position)
    if tensor.dtype not in types:
        what = f"input {position} is {tensor.dtype}, expected {' or '.join(types)}"
        fix = "convert with int8 post-training quantisation, int8 input and output"
        if tensor.dtype in ANY:
            fix = "TFLite Micro has no kernel for that type; keep it int8, between two QUANTIZE"
        raise refuse(op, what, fix)
    return tensor


def moved_output(graph: Graph, op: Operator, position: int, source: Tensor) -> Tensor:
    """An output that takes elements of `source` as they are: same type and quantisation."""
    target = graph.tensors[op.outputs[position]]
    check_same_numbers(op, source, target, f"output {position}")
    return target


def single_output(graph: Graph, op: Operator, source: Tensor) -> Tensor:
    """The only output, with the type and quantisation of `source`."""
    if len(op.outputs) != 1:
        raise malformed(op, f"{len(op.outputs)} outputs, expected 1")
    return moved_output(graph, op, 0, source)


def check_same_numbers(op: Operator, source: Tensor, other: Tensor, role: str) -> None:
    """Refuse `other` where a copied number would not mean the same as in `source`.

    Scales may differ by as much as moves no number of the type by half a step.
    """
    if other.dtype != source.dtype:
        raise malformed(op, f"{role} is {other.dtype}, the input {source.dtype}")
    if source.dtype not in ("int8", "int16"):
        return
    a, b = source.quant, other.quant
    if a is None and b is None and source.dtype == "int16":
        return  # plain integers
    if a is None or b is None or a.per_channel or b.per_channel:
        raise malformed(op, f"input and {role} need exactly one scale and zero point each")
    steps = 2 ** (8 * np.dtype(source.dtype).itemsize)
    if a.zero_point != b.zero_point or abs(a.scale[0] - b.scale[0]) * steps >= 0.5 * b.scale[0]:
        what = f"the quantisation of its input differs from that of {role}"
        fix = "TFLite Micro copies without rescaling; put a QUANTIZE before the operator"
        raise refuse(op, what, fix)


def resolve_axis(op: Operator, axis: int, rank: int) -> int:
    """`axis` counted from the front; ModelError when it is out of range."""
    if not -rank <= axis < rank:
        raise malformed(op, f"axis {axis} of a tensor with {rank} dimensions")
    return axis % rank


def dense_strides(shape: Sequence[int]) -> tuple[int, ...]:
    """Row-major element strides of a shape."""
    return tuple(math.prod(shape[i + 1 :]) for i in range(len(shape)))
