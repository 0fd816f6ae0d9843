"""MAXIMUM and MINIMUM of two tensors, with broadcasting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    no_macs,
    operand,
)
from quantize.ops.broadcast import broadcast_fields, broadcast_shape, full_operands
from quantize.ops.fold_rules import CHANNELWISE
from quantize.ops.range_rules import RISING
from quantize.ops.rules import Kernels, Lowering, Without
from quantize.scheme import Rounding
from quantize.tflite.graph import Graph, Operator
from quantize.tflite.signatures import NO_OPTIONS, signature


@dataclass(frozen=True, slots=True, kw_only=True)
class MaximumParams:
    """The type and shapes of a MAXIMUM or MINIMUM."""

    dtype: str  # of both operands and the output: int8 or int16
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    output_shape: tuple[int, ...]


def prepare(graph: Graph, op: Operator) -> MaximumParams:
    """Check the operator: TFLite Micro compares the stored integers, so all share one scale."""
    a, a_quant = operand(graph, op, 0, INT8_OR_INT16)
    b, b_quant = operand(graph, op, 1, (a.dtype,))
    target, quant = activation_output(graph, op, (a.dtype,))
    if any(q.scale != quant.scale or q.zero_point != quant.zero_point for q in (a_quant, b_quant)):
        raise malformed(op, "inputs and output differ in scale or zero point")
    check_shape(op, target, broadcast_shape(op, a.shape, b.shape))
    return MaximumParams(dtype=a.dtype, shapes=(a.shape, b.shape), output_shape=target.shape)


def _spec(
    name: str, kernels: dict[str, str], choose: Callable[[Array, Array], Array]
) -> OpSpec[MaximumParams]:
    def reference(_: MaximumParams, inputs: Sequence[Array]) -> Array:
        return choose(inputs[0], inputs[1])

    def call(p: MaximumParams) -> CCall:
        return CCall(
            function=kernels[p.dtype],
            params_type="nn_broadcast_t",
            params=broadcast_fields(*p.shapes, p.output_shape),
            inputs=(0, 1),
        )

    return OpSpec(
        name=name,
        max_version=4,
        signature=signature(inputs=2, table=39, options=NO_OPTIONS),
        prepare=prepare,
        reference=reference,
        calls=lambda p: (call(p),),
        rounding=Rounding.NONE,
        int16_rounding=None,
        macs=no_macs,
        in_place=full_operands,
        alias=no_alias,
        state=(),
        ranges=RISING,
        folding=CHANNELWISE,
        advice=Without(reason="it does not rescale"),
        kernels=Kernels(armv7em=Lowering.PAIR_TABLE, xtensa=Lowering.PAIR_TABLE),
    )


MAXIMUM = _spec("MAXIMUM", {"int8": "nn_maximum_s8", "int16": "nn_maximum_s16"}, np.maximum)
MINIMUM = _spec("MINIMUM", {"int8": "nn_minimum_s8", "int16": "nn_minimum_s16"}, np.minimum)
