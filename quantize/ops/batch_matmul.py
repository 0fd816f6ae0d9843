"""BATCH_MATMUL: products of int8 or int16 matrices, broadcasting over the axes in front."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from quantize.ops.base import (
    INT8_OR_INT16,
    Array,
    CCall,
    OpSpec,
    activation_output,
    check_shape,
    malformed,
    no_alias,
    not_in_place,
    operand,
    refuse,
)
from quantize.ops.rules import RESCALES, Kernels, Lowering, Without
from quantize.scheme import (
    QuantParams,
    Requant,
    Rounding,
    multiply_by_quantized_multiplier,
    multiply_wide,
    narrow_multiplier,
    quantize_multiplier,
    wrap32,
)
from quantize.tflite.graph import Graph, Operator, Tensor
from quantize.tflite.signatures import signature

KERNELS = {"int8": "nn_batch_matmul_s8", "int16": "nn_batch_matmul_s16"}
MAX_INT16_DEPTH = (1 << 17) - 1  # sums of squares of 2**15 stay below 2**47
BATCH_AXES = 3  # before the two of the matrix; TFLite Micro's limit


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchMatmulParams:
    """The integers of a BATCH_MATMUL."""

    dtype: str
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    output_shape: tuple[int, ...]
    transposed: tuple[bool, bool]  # adj_x, adj_y
    offsets: tuple[int, int]
    output_offset: int
    requant: Requant

    @property
    def depth(self) -> int:
        """Products summed for one output."""
        return self.shapes[0][-2 if self.transposed[0] else -1]


def _operand(graph: Graph, op: Operator, position: int) -> tuple[Tensor, QuantParams]:
    tensor = graph.input(op, position)
    if tensor.quant is not None and tensor.quant.per_channel:
        fix = "quantise it per tensor: TFLite Micro uses the first scale for all of it"
        raise refuse(op, f"input {position} has {len(tensor.quant.scale)} scales", fix)
    rank = len(tensor.shape)
    if not 2 <= rank <= BATCH_AXES + 2:
        fix = f"reshape it to 2 to {BATCH_AXES + 2}"
        raise refuse(op, f"input {position} has {rank} dimensions", fix)
    return operand(graph, op, position, INT8_OR_INT16)


def prepare(graph: Graph, op: Operator) -> BatchMatmulParams:
    """Check a BATCH_MATMUL; one operand may be a constant."""
    (a, a_quant), (b, b_quant) = (_operand(graph, op, position) for position in (0, 1))
    if len(op.inputs) != 2:
        raise malformed(op, f"{len(op.inputs)} inputs, expected 2")
    if a.data is not None and b.data is not None:
        raise refuse(op, "both inputs are constants", "fold it when exporting the model")
    if a.dtype != b.dtype:
        fix = "quantise both alike: TFLite Micro knows no mixture"
        raise refuse(op, f"inputs are {a.dtype} and {b.dtype}", fix)
    target, target_quant = activation_output(graph, op, (a.dtype,))
    transposed = (bool(op.options["adj_x"]), bool(op.options["adj_y"]))
    a_matrix, b_matrix = (
        t.shape[-2:][::-1] if swap else t.shape[-2:]
        for t, swap in zip((a, b), transposed, strict=True)
    )
    if a_matrix[1] != b_matrix[0]:
        raise malformed(op, f"matrices {list(a_matrix)} and {list(b_matrix)} do not multiply")
    if a.dtype == "int16" and a_matrix[1] > MAX_INT16_DEPTH:
        raise refuse(op, f"sums of {a_matrix[1]} products", f"at most {MAX_INT16_DEPTH}")
    try:
        batches = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError as error:
        raise malformed(op, f"shapes {list(a.shape)} and {list(b.shape)} do not fit") from error
    check_shape(op, target, (*(int(d) for d in batches), a_matrix[0], b_matrix[1]))
    requant = quantize_multiplier(a_quant.scale[0] * b_quant.scale[0] / target_quant.scale[0])
    return BatchMatmulParams(
        dtype=a.dtype,
        shapes=(a.shape, b.shape),
        output_shape=target.shape,
        transposed=transposed,
        offsets=(-a_quant.zero_point[0], -b_quant.zero_point[0]),
        output_offset=target_quant.zero_point[0],
        requant=narrow_multiplier(requant) if a.dtype == "int16" else requant,
    )


def reference(p: BatchMatmulParams, inputs: Sequence[Array]) -> Array:
    """[..., rows, depth] and [..., depth, columns], or transposed -> output_shape."""
    a, b = (
        (np.swapaxes(v, -1, -2) if swap else v).astype(np.float64) + offset
        for v, swap, offset in zip(inputs, p.transposed, p.offsets, strict=True)
    )
    sums = np.matmul(a, b).astype(np.int64)  # exact: |sum| < 2**53
    if p.dtype == "int16":
        scaled = multiply_wide(sums, p.requant.multiplier, p.requant.shift)
    else:
        factor = (p.requant.multiplier, p.requant.shift)
        scaled = wrap32(multiply_by_quantized_multiplier(wrap32(sums), *factor) + p.output_offset)
    limits = np.iinfo(p.dtype)
    return np.clip(scaled, limits.min, limits.max).astype(p.dtype)


def _c_side(p: BatchMatmulParams, side: int) -> str:
    """One operand as an nn_matrix_t initialiser."""
    shape = (1,) * (BATCH_AXES + 2 - len(p.shapes[side])) + p.shapes[side]
    strides = [math.prod(shape[i + 1 :]) for i in range(len(shape))]
    batch = [0 if shape[i] == 1 else strides[i] for i in range(BATCH_AXES)]
    row, column = (1, shape[-1]) if p.transposed[side] else (shape[-1], 1)
    return f"{{{{{', '.join(map(str, batch))}}}, {row}, {column}, {p.offsets[side]}}}"


def _c_call(p: BatchMatmulParams) -> CCall:
    batches = (1,) * (BATCH_AXES + 2 - len(p.output_shape)) + p.output_shape[:-2]
    return CCall(
        function=KERNELS[p.dtype],
        params_type="nn_batch_matmul_t",
        params={
            "batches": "{" + ", ".join(map(str, batches)) + "}",
            "rows": str(p.output_shape[-2]),
            "depth": str(p.depth),
            "columns": str(p.output_shape[-1]),
            "a": _c_side(p, 0),
            "b": _c_side(p, 1),
            "output_offset": str(p.output_offset),
            "requant": f"{{{p.requant.multiplier}, {p.requant.shift}}}",
        },
        inputs=(0, 1),
    )


SPEC = OpSpec(
    name="BATCH_MATMUL",
    max_version=4,
    signature=signature(
        inputs=2, table=101, options={"adj_x": (0, "bool", 0), "adj_y": (1, "bool", 0)}
    ),
    prepare=prepare,
    reference=reference,
    calls=lambda p: (_c_call(p),),
    rounding=Rounding.DOUBLE,
    int16_rounding=Rounding.WIDE,
    macs=lambda p: math.prod(p.output_shape) * p.depth,
    in_place=not_in_place,
    alias=no_alias,
    state=(),
    ranges=Without(reason="sums of products of two inputs are not followed yet"),
    folding=Without(reason="a channel of one operand is a row of the other: not followed yet"),
    advice=RESCALES,
    kernels=Kernels(armv7em=Lowering.BATCH_MATMUL, xtensa=Without(reason="none is written yet")),
)
