"""MAXIMUM and MINIMUM of two tensors, with broadcasting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from quantize.ops.base import (
    CCall,
    Int8Array,
    OpSpec,
    check_shape,
    int8_output,
    malformed,
    operand,
)
from quantize.ops.broadcast import broadcast_fields, broadcast_shape, full_operands
from quantize.scheme import Rounding
from quantize.tflite.graph import Graph, Operator


@dataclass(frozen=True, slots=True, kw_only=True)
class MaximumParams:
    """The shapes of a MAXIMUM or MINIMUM."""

    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    output_shape: tuple[int, ...]


def prepare(graph: Graph, op: Operator) -> MaximumParams:
    """Check the operator: TFLite Micro compares the stored integers, so all share one scale."""
    a, a_quant = operand(graph, op, 0)
    b, b_quant = operand(graph, op, 1)
    target, quant = int8_output(graph, op)
    if any(q.scale != quant.scale or q.zero_point != quant.zero_point for q in (a_quant, b_quant)):
        raise malformed(op, "inputs and output differ in scale or zero point")
    check_shape(op, target, broadcast_shape(op, a.shape, b.shape))
    return MaximumParams(shapes=(a.shape, b.shape), output_shape=target.shape)


def _spec(
    name: str, function: str, choose: Callable[[Int8Array, Int8Array], Int8Array]
) -> OpSpec[MaximumParams]:
    def reference(_: MaximumParams, inputs: Sequence[Int8Array]) -> Int8Array:
        return choose(inputs[0], inputs[1])

    def call(p: MaximumParams) -> CCall:
        return CCall(
            function=function,
            params_type="nn_broadcast_t",
            params=broadcast_fields(*p.shapes, p.output_shape),
            inputs=(0, 1),
        )

    return OpSpec(
        name=name,
        max_version=3,
        rounding=Rounding.NONE,
        prepare=prepare,
        reference=reference,
        calls=lambda p: (call(p),),
        in_place=full_operands,
    )


MAXIMUM = _spec("MAXIMUM", "nn_maximum_s8", np.maximum)
MINIMUM = _spec("MINIMUM", "nn_minimum_s8", np.minimum)
