"""The operators that we compile. Adding one: a module here, a kernel, a table of cases."""

from __future__ import annotations

from typing import Any

from quantize.errors import UnsupportedOperator
from quantize.ops import (
    add,
    arg_max,
    batch_matmul,
    compare,
    concatenation,
    conv_2d,
    depthwise_conv_2d,
    div,
    fill,
    fully_connected,
    gather,
    integer,
    lstm,
    maximum,
    mean,
    mul,
    pad,
    picks,
    pool_2d,
    quantize,
    reshape,
    resize_bilinear,
    select,
    softmax,
    space,
    split,
    strided_slice,
    sums,
    svdf,
    table,
    transpose,
    transpose_conv,
    unary,
    update,
    variable,
)
from quantize.ops.base import OpSpec
from quantize.ops.float32 import (
    LIBRARY,
    UNARY,
    float_spec,
    prepare_binary,
    prepare_library,
    prepare_unary,
    refuse_library,
    with_float,
)
from quantize.ops.integer import with_integers
from quantize.ops.rules import Advice, Weights
from quantize.ops.unsupported import why_not
from quantize.tflite.graph import Graph, Operator
from quantize.tflite.signatures import NO_OPTIONS, signature

ONE_INPUT = signature(inputs=1, table=0, options=NO_OPTIONS)
DIVISION = signature(inputs=2, table=29, options={"activation": (0, "i8", 0)})
OPS: dict[str, OpSpec[Any]] = {
    spec.name: spec
    for spec in (
        with_integers(with_float(add.ADD, prepare_binary)),
        with_integers(with_float(add.SQUARED_DIFFERENCE, prepare_binary)),
        with_integers(with_float(add.SUB, prepare_binary)),
        arg_max.ARG_MAX,
        arg_max.ARG_MIN,
        batch_matmul.SPEC,
        concatenation.CONCATENATION,
        concatenation.PACK,
        conv_2d.SPEC,
        depthwise_conv_2d.SPEC,
        fully_connected.SPEC,
        picks.with_picks(gather.GATHER),
        picks.with_picks(gather.GATHER_ND),
        picks.EMBEDDING_LOOKUP,
        gather.RESIZE,
        lstm.SPEC,
        div.with_int8(with_integers(float_spec("DIV", 2, DIVISION, prepare_binary))),
        with_integers(with_float(maximum.MAXIMUM, prepare_binary)),
        with_integers(with_float(maximum.MINIMUM, prepare_binary)),
        with_float(mean.MEAN, mean.prepare_float),
        with_float(mean.REDUCE_MAX, mean.prepare_float),
        mean.REDUCE_ALL,
        mean.REDUCE_MIN,
        with_float(mean.SUM, mean.prepare_float),
        with_integers(with_float(mul.MUL, prepare_binary)),
        with_float(mul.PRELU, prepare_binary),
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
        softmax.LOG,
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
        table.SPEC,
        *integer.SPECS,
        *compare.SPECS,
        select.SPEC,
        *fill.SPECS,
        update.SPEC,
        *sums.SPECS,
        *(
            with_float(spec, prepare_unary if spec.name in UNARY else prepare_library)
            for spec in unary.SPECS
        ),
        *(float_spec(name, 1, ONE_INPUT, prepare_unary) for name in ("NEG", "SQRT", "SQUARE")),
    )
}


# what people do instead of what TFLite Micro has not


def weights_of(op: Operator) -> Weights | None:
    """The weights of an operator that multiplies, whether it compiles or not."""
    spec = OPS.get(op.name)
    advice = spec.advice if spec else None
    return advice.weights if isinstance(advice, Advice) else None


def find_op(graph: Graph, op: Operator) -> OpSpec[Any]:
    """The spec of an operator; UnsupportedOperator when we do not compile it."""
    spec = OPS.get(op.name)
    if spec is None and op.name in LIBRARY:
        raise refuse_library(op)
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
