"""TABLE: a chain of float operators that is a function of one int8 tensor, element by element.

No file has it: quantize.tflite.float_tables puts it in the place of DEQUANTIZE, float operators and
QUANTIZE, and quantize.fuse_tables in that of several functions of int8 values. Its second input is
a constant of all 256 answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from quantize.ops.base import Array, CCall, OpSpec, check_shape, malformed, no_alias, no_macs
from quantize.ops.fold_rules import as_it_is, channelwise
from quantize.ops.quantize import DequantizeParams, c_dequantize, dequantize
from quantize.ops.range_rules import TABLE as TABLE_RANGES
from quantize.ops.rules import FoldRule, Without, reference_kernels
from quantize.ops.unary import UnaryParams
from quantize.scheme import Rounding
from quantize.tflite.graph import Graph, Operator, Tensor
from quantize.tflite.signatures import NO_OPTIONS, signature

NAME = "TABLE"
TableParams = UnaryParams | DequantizeParams


def of_answers(tensors: list[Tensor], op: Operator, source: int, answers: Array) -> Operator:
    """A TABLE of a tensor in the place of an operator; its answers are put behind the tensors."""
    constant = Tensor(
        index=len(tensors),
        name="",
        dtype=str(answers.dtype),
        shape=answers.shape,
        quant=None,
        data=answers,
    )
    tensors.append(constant)
    return replace(op, name=NAME, version=1, inputs=(source, constant.index), options={})


def _prepare(graph: Graph, op: Operator) -> TableParams:
    source, table, target = graph.input(op, 0), graph.input(op, 1), graph.output(op)
    if table.data is None or table.dtype != target.dtype:
        raise malformed(op, "its table is not a constant of the output's type")
    check_shape(op, target, source.shape)
    if target.dtype == "int8":
        return UnaryParams(shape=source.shape, table=table.data.astype(np.int8))
    return DequantizeParams(shape=source.shape, values=table.data.astype(np.float32))


def _reference(p: TableParams, inputs: Sequence[Array]) -> Array:
    """Any shape -> the same shape."""
    return p.reference(inputs[0]) if isinstance(p, UnaryParams) else dequantize(p, inputs)


def _call(p: TableParams) -> CCall:
    return p.call() if isinstance(p, UnaryParams) else c_dequantize(p)


SPEC = OpSpec(
    name=NAME,
    max_version=1,
    signature=signature(inputs=2, table=0, options=NO_OPTIONS),
    prepare=_prepare,
    reference=_reference,
    calls=lambda p: (_call(p),),
    rounding=Rounding.FLOAT,
    int16_rounding=None,
    macs=no_macs,
    in_place=lambda p: (0,) if isinstance(p, UnaryParams) else (),
    alias=no_alias,
    state=(),
    ranges=TABLE_RANGES,
    folding=FoldRule(demand=channelwise, shrink=as_it_is),
    advice=Without(reason="its table may end at a limit on purpose"),
    kernels=reference_kernels("int8 is a table of 256 answers on every core"),
)
