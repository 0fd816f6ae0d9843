"""The operators that we compile. Adding one: a module here, a kernel, a table of cases."""

from __future__ import annotations

from typing import Any

from quantize.errors import UnsupportedOperator
from quantize.ops import (
    add,
    arg_max,
    batch_matmul,
    concatenation,
    conv_2d,
    depthwise_conv_2d,
    fully_connected,
    gather,
    lstm,
    maximum,
    mean,
    mul,
    pad,
    pool_2d,
    quantize,
    reshape,
    resize_bilinear,
    softmax,
    space,
    split,
    strided_slice,
    svdf,
    transpose,
    transpose_conv,
    unary,
    variable,
)
from quantize.ops.base import OpSpec
from quantize.ops.rules import Advice, Weights
from quantize.ops.unsupported import why_not
from quantize.tflite.graph import Graph, Operator

OPS: dict[str, OpSpec[Any]] = {
    spec.name: spec
    for spec in (
        add.ADD,
        add.SQUARED_DIFFERENCE,
        add.SUB,
        arg_max.ARG_MAX,
        arg_max.ARG_MIN,
        batch_matmul.SPEC,
        concatenation.CONCATENATION,
        concatenation.PACK,
        conv_2d.SPEC,
        depthwise_conv_2d.SPEC,
        fully_connected.SPEC,
        gather.GATHER,
        gather.RESIZE,
        lstm.SPEC,
        maximum.MAXIMUM,
        maximum.MINIMUM,
        mean.MEAN,
        mean.REDUCE_MAX,
        mean.SUM,
        mul.MUL,
        mul.PRELU,
        pad.MIRROR_PAD,
        pad.PAD,
        pad.PADV2,
        pool_2d.AVERAGE,
        pool_2d.MAX,
        quantize.DEQUANTIZE,
        quantize.QUANTIZE,
        reshape.EXPAND_DIMS,
        reshape.SPEC,
        reshape.SQUEEZE,
        resize_bilinear.SPEC,
        softmax.SPEC,
        space.BATCH_TO_SPACE,
        space.DEPTH_TO_SPACE,
        space.SPACE_TO_BATCH,
        space.SPACE_TO_DEPTH,
        split.SPLIT,
        split.SPLIT_V,
        split.UNPACK,
        strided_slice.SLICE,
        strided_slice.STRIDED_SLICE,
        svdf.SPEC,
        transpose.SPEC,
        transpose_conv.SPEC,
        variable.ASSIGN,
        variable.READ,
        *unary.SPECS,
    )
}


def weights_of(op: Operator) -> Weights | None:
    """The weights of an operator that multiplies, whether it compiles or not."""
    spec = OPS.get(op.name)
    advice = spec.advice if spec else None
    return advice.weights if isinstance(advice, Advice) else None


def find_op(graph: Graph, op: Operator) -> OpSpec[Any]:
    """The spec of an operator; UnsupportedOperator when we do not compile it."""
    spec = OPS.get(op.name)
    if spec is None:
        dtypes = frozenset(graph.tensors[i].dtype for i in op.inputs if i >= 0)
        raise UnsupportedOperator(
            f"operator {op.index} {op.name} version {op.version} is not supported: "
            f"{why_not(op.name, dtypes)}"
        )
    if op.version > spec.max_version:
        raise UnsupportedOperator(
            f"operator {op.index} {op.name} version {op.version} is not supported; "
            f"export with version {spec.max_version} or lower"
        )
    return spec
