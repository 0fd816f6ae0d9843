"""READ_VARIABLE and ASSIGN_VARIABLE: what a streaming model keeps from one run to the next.

Reading costs nothing where nothing assigns the variable while what was read is still needed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from quantize.ops import reshape
from quantize.ops.base import Array, CCall, OpSpec, malformed, no_alias, no_macs, not_in_place
from quantize.ops.copy import (
    MAY_BE_SAME,
    MOVABLE,
    MOVES_ONLY,
    Move,
    check_same_numbers,
    moved_input,
)
from quantize.ops.rules import Without, reference_kernels
from quantize.scheme import Rounding
from quantize.tflite.graph import Graph, Operator, Tensor
from quantize.tflite.signatures import NO_OPTIONS, Signature, signature

TYPES = (*MOVABLE, "float32")  # the converter keeps variables in float, between QUANTIZE operators
VARIABLE, VALUE = 0, 1  # positions of the inputs


@dataclass(frozen=True, slots=True, kw_only=True)
class VariableParams:
    """A copy from or to a variable; none is needed where the two share memory."""

    dtype: str
    elements: int
    shared: bool

    def call(self) -> CCall:
        """The copy of input 0 to output 0."""
        move = Move(count=(self.elements,), input_stride=(1,), output_stride=(1,))
        return move.call(self.dtype)


def _check(op: Operator, variable: Tensor, other: Tensor, role: str) -> None:
    check_same_numbers(op, variable, other, role)
    if other.shape != variable.shape:
        got, expected = list(other.shape), list(variable.shape)
        raise malformed(op, f"{role} is {got}, the variable {expected}")


def _may_share(graph: Graph, op: Operator) -> bool:
    """Whether every use of what is read comes before the next assignment of the variable."""
    same = {op.outputs[0]}  # tensors that would lie in the variable's memory
    last = op.index
    for later in graph.operators[op.index + 1 :]:
        if same & set(later.inputs):
            last = later.index
            same |= set(later.outputs) if _may_be_same(graph, later) else set()
    if same & set(graph.outputs):
        last = len(graph.operators)
    return not any(
        later.name == ASSIGN.name and later.inputs[0] == op.inputs[0] and later.index <= last
        for later in graph.operators[op.index + 1 :]
    )


def _may_be_same(graph: Graph, op: Operator) -> bool:
    """Whether an output may lie in the memory of input 0."""
    if op.name in MAY_BE_SAME:
        return graph.tensors[op.inputs[0]].bytes == graph.output(op).bytes
    return op.name in reshape.NAMES


def prepare_read(graph: Graph, op: Operator) -> VariableParams:
    """Check a READ_VARIABLE; the reader has replaced the handle by the variable's tensor."""
    variable = moved_input(graph, op, VARIABLE, TYPES)
    _check(op, variable, graph.output(op), "output")
    return VariableParams(
        dtype=variable.dtype,
        elements=math.prod(variable.shape),
        shared=_may_share(graph, op),
    )


def prepare_assign(graph: Graph, op: Operator) -> VariableParams:
    """Check an ASSIGN_VARIABLE of a value that is computed or constant."""
    variable = moved_input(graph, op, VARIABLE, TYPES)
    _check(op, variable, moved_input(graph, op, VALUE, TYPES), "value")
    return VariableParams(dtype=variable.dtype, elements=math.prod(variable.shape), shared=False)


def _read(_: VariableParams, inputs: Sequence[Array]) -> tuple[Array, Array]:
    """(variable) -> (its value, the variable as it was)."""
    return inputs[VARIABLE], inputs[VARIABLE]


def _assign(_: VariableParams, inputs: Sequence[Array]) -> tuple[Array]:
    """(variable, value) -> (the variable's new value)."""
    return (inputs[VALUE],)


NO_FOLDING = Without(reason="a variable keeps its shape from one run to the next")
COPIED = reference_kernels("nn_copy moves whole runs of bytes on every core")

READ = OpSpec(
    name="READ_VARIABLE",
    max_version=1,
    signature=signature(inputs=1, table=112, options=NO_OPTIONS),
    prepare=prepare_read,
    reference=_read,
    calls=lambda p: () if p.shared else (p.call(),),
    rounding=Rounding.NONE,
    int16_rounding=None,
    macs=no_macs,
    in_place=not_in_place,
    alias=lambda p: p.shared,
    state=(VARIABLE,),
    ranges=Without(reason="the variable holds what earlier runs left in it"),
    folding=NO_FOLDING,
    advice=MOVES_ONLY,
    kernels=COPIED,
)
ASSIGN = OpSpec(
    name="ASSIGN_VARIABLE",
    max_version=1,
    signature=Signature(inputs=(2, 2), outputs=(0, 0), table=113, options=NO_OPTIONS),
    prepare=prepare_assign,
    reference=_assign,
    calls=lambda p: (replace(p.call(), inputs=(VALUE, VARIABLE), outputs=()),),
    rounding=Rounding.NONE,
    int16_rounding=None,
    macs=no_macs,
    in_place=not_in_place,
    alias=no_alias,
    state=(VARIABLE,),
    ranges=Without(reason="it has no outputs"),
    folding=NO_FOLDING,
    advice=MOVES_ONLY,
    kernels=COPIED,
)
