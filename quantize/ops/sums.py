"""CUMSUM and ADD_N of int8, and L2_NORMALIZATION: sums along an axis, or of many tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from quantize.ops.base import (
    Array,
    CCall,
    OpSpec,
    activation_input,
    check_shape,
    int8_output,
    int_constant,
    malformed,
    no_alias,
    no_macs,
    not_in_place,
    operand,
    refuse,
)
from quantize.ops.copy import resolve_axis
from quantize.ops.fixed_point import inverse_root
from quantize.ops.integer import plain_spec
from quantize.ops.rules import RESCALES, Without, reference_kernels
from quantize.scheme import (
    IntArray,
    QuantParams,
    Requant,
    Rounding,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    wrap32,
)
from quantize.tflite.graph import Graph, Operator, Tensor
from quantize.tflite.signatures import MANY, NO_OPTIONS, Signature, signature

LEFT_SHIFT = 20
HALF = Requant(multiplier=1 << 30, shift=0)  # TFLite Micro's factor of every input
MAX_RANK = 4  # TFLite Micro's limit for L2_NORMALIZATION

BLOCKS, MIN_BLOCK = 8, 64  # parts of an ADD_N: its sums take 4 bytes an element of a part


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """How int8 values are added up: each in steps of 2**-19 of the input's."""

    input_offset: int
    output_offset: int
    output_requant: Requant

    def term(self, values: Array) -> IntArray:
        """What each value counts."""
        wide = (values.astype(np.int64) + self.input_offset) << LEFT_SHIFT
        return multiply_by_quantized_multiplier(wide, HALF.multiplier, HALF.shift)

    @property
    def start(self) -> int:
        """What a sum begins with: TFLite Micro adds an input of 0."""
        return int(self.term(np.zeros((), np.int8)))

    def output(self, sums: IntArray) -> Array:
        """Sums, which wrap -> int8."""
        r = self.output_requant
        scaled = multiply_by_quantized_multiplier(wrap32(sums), r.multiplier, r.shift)
        return np.clip(wrap32(scaled + self.output_offset), -128, 127).astype(np.int8)

    def fields(self) -> dict[str, str]:
        """The same in C."""
        r = self.output_requant
        return {
            "input_offset": str(self.input_offset),
            "output_offset": str(self.output_offset),
            "input_requant": f"{{{HALF.multiplier}, {HALF.shift}}}",
            "output_requant": f"{{{r.multiplier}, {r.shift}}}",
        }


def _sums(op: Operator, source: QuantParams, target: QuantParams) -> Sums:
    factor = 2.0 * source.scale[0] / ((1 << LEFT_SHIFT) * target.scale[0])
    if factor >= 1:
        raise malformed(op, "the output's scale is too small for its inputs")
    return Sums(
        input_offset=-source.zero_point[0],
        output_offset=target.zero_point[0],
        output_requant=quantize_multiplier(factor),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CumsumParams:
    """A CUMSUM along `axis`."""

    sums: Sums
    shape: tuple[int, ...]
    axis: int
    exclusive: bool
    reverse: bool

    @property
    def in_place(self) -> tuple[int, ...]:
        return (0,)

    def reference(self, inputs: Sequence[Array]) -> Array:
        """Any shape -> the same shape."""
        terms = self.sums.term(inputs[0])
        terms = np.flip(terms, self.axis) if self.reverse else terms
        totals = np.cumsum(terms, axis=self.axis) + self.sums.start
        totals = totals - terms if self.exclusive else totals
        return self.sums.output(np.flip(totals, self.axis) if self.reverse else totals)

    def call(self) -> CCall:
        """The kernel call."""
        params = {
            "outer": str(math.prod(self.shape[: self.axis])),
            "count": str(self.shape[self.axis]),
            "inner": str(math.prod(self.shape[self.axis + 1 :])),
            "exclusive": str(int(self.exclusive)),
            "reverse": str(int(self.reverse)),
        }
        return CCall(
            function="nn_cumsum_s8",
            params_type="nn_cumsum_t",
            params=params | self.sums.fields(),
        )


def prepare_cumsum(graph: Graph, op: Operator) -> CumsumParams:
    """Check a CUMSUM along a constant axis."""
    source, quant = activation_input(graph, op, 0)
    target, target_quant = int8_output(graph, op)
    check_shape(op, target, source.shape)
    axes = int_constant(graph, op, 1)
    if len(axes) != 1:
        raise malformed(op, f"{len(axes)} axes, expected 1")
    return CumsumParams(
        sums=_sums(op, quant, target_quant),
        shape=source.shape,
        axis=resolve_axis(op, axes[0], len(source.shape)),
        exclusive=bool(op.options["exclusive"]),
        reverse=bool(op.options["reverse"]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AddNParams:
    """An ADD_N of `inputs` tensors of `elements` each."""

    sums: Sums
    inputs: int
    elements: int


def prepare_add_n(graph: Graph, op: Operator) -> AddNParams:
    """Check an ADD_N: all inputs of one shape and scale; some may be constants."""
    operands: list[tuple[Tensor, QuantParams]] = [
        operand(graph, op, position) for position in range(len(op.inputs))
    ]
    target, quant = int8_output(graph, op)
    first = operands[0]
    for tensor, own in operands:
        check_shape(op, target, tensor.shape)
        if own.scale != first[1].scale or own.zero_point != first[1].zero_point:
            raise malformed(op, "its inputs differ in scale or zero point")
    return AddNParams(
        sums=_sums(op, first[1], quant), inputs=len(operands), elements=target.elements
    )


def _add_n(p: AddNParams, inputs: Sequence[Array]) -> Array:
    """Tensors of one shape -> that shape."""
    total = sum((p.sums.term(values) for values in inputs), np.int64(p.sums.start))
    return p.sums.output(np.asarray(total))


def _c_add_n(p: AddNParams) -> tuple[CCall, ...]:
    block = max(MIN_BLOCK, -(-p.elements // BLOCKS))
    return tuple(
        CCall(
            function="nn_add_n_s8",
            params_type="nn_add_n_t",
            params={
                "start": str(start),
                "count": str(min(block, p.elements - start)),
                "first": str(int(position == 0)),
                "last": str(int(position == p.inputs - 1)),
            }
            | p.sums.fields(),
            inputs=(position,),
            scratch_bytes=4 * min(block, p.elements),
        )
        for start in range(0, p.elements, block)
        for position in range(p.inputs)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class L2Params:
    """An L2_NORMALIZATION along the last axis."""

    shape: tuple[int, ...]
    input_offset: int

    @property
    def in_place(self) -> tuple[int, ...]:
        return ()

    def reference(self, inputs: Sequence[Array]) -> Array:
        """Any shape -> the same shape."""
        x = inputs[0].astype(np.int64) + self.input_offset
        multiplier, right = inverse_root((x * x).sum(axis=-1, keepdims=True))
        scaled = multiply_by_quantized_multiplier(x, multiplier, 7 - right)
        return np.clip(scaled, -128, 127).astype(np.int8)

    def call(self) -> CCall:
        """The kernel call."""
        params = {
            "rows": str(math.prod(self.shape[:-1])),
            "depth": str(self.shape[-1]),
            "input_offset": str(self.input_offset),
        }
        return CCall(
            function="nn_l2_normalization_s8", params_type="nn_l2_normalization_t", params=params
        )


def prepare_l2(graph: Graph, op: Operator) -> L2Params:
    """Check an L2_NORMALIZATION: its output has the scale 1/128 and zero point 0."""
    source, quant = activation_input(graph, op, 0)
    target, target_quant = int8_output(graph, op)
    check_shape(op, target, source.shape)
    if op.options["activation"]:
        raise refuse(op, "a fused activation", "TFLite Micro has none here; export it separately")
    if not 1 <= len(source.shape) <= MAX_RANK:
        raise refuse(op, f"input has {len(source.shape)} dimensions", "reshape it to 1 to 4")
    if target_quant.scale[0] != 1 / 128 or target_quant.zero_point[0]:
        what = f"output has scale {target_quant.scale[0]}, zero point {target_quant.zero_point[0]}"
        raise refuse(op, what, "TFLite Micro's is always 1/128 and 0; put a QUANTIZE after it")
    zero = quant.zero_point[0]
    if max(127 - zero, zero + 128) ** 2 * source.shape[-1] >= 2**31:
        raise refuse(op, f"rows of {source.shape[-1]}", "their sum of squares may overflow")
    return L2Params(shape=source.shape, input_offset=-zero)


CUMSUM = plain_spec(
    "CUMSUM",
    1,
    signature(
        inputs=2, table=102, options={"exclusive": (0, "bool", 0), "reverse": (1, "bool", 0)}
    ),
    prepare_cumsum,
    Rounding.DOUBLE,
)
L2_NORMALIZATION = plain_spec(
    "L2_NORMALIZATION",
    2,
    signature(inputs=1, table=12, options={"activation": (0, "i8", 0)}),
    prepare_l2,
    Rounding.DOUBLE,
)
ADD_N: OpSpec[Any] = OpSpec(
    name="ADD_N",
    max_version=1,
    signature=Signature(inputs=(2, MANY), outputs=(1, 1), table=0, options=NO_OPTIONS),
    prepare=prepare_add_n,
    reference=_add_n,
    calls=_c_add_n,
    rounding=Rounding.DOUBLE,
    int16_rounding=None,
    macs=no_macs,
    in_place=not_in_place,
    alias=no_alias,
    state=(),
    ranges=Without(reason="any value of the type may come out"),
    folding=Without(reason="no network has lost a channel here yet"),
    advice=RESCALES,
    kernels=reference_kernels("it takes one value after another on every core"),
)
SPECS = (ADD_N, CUMSUM, L2_NORMALIZATION)
