"""RSQRT of int16: 1 / sqrt(x) by Newton's iteration in fixed point, of inputs of 0 and more.

TFLite Micro stops at a negative input, so that what computes the input has to rule it out.
"""

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
    activation_output,
    check_shape,
    refuse,
    with_kind,
)
from quantize.ops.fixed_point import inverse_root
from quantize.scheme import (
    Requant,
    Rounding,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
)
from quantize.tflite.graph import Graph, Operator

SHIFT = 20  # bits of head room between the two factors
INT16_MAX = 2**15 - 1
# operators of int16, whose zero point is 0: what they give is never negative ...
_NEVER = ("ABS", "LOGISTIC", "RELU", "RELU6", "SOFTMAX", "SQUARED_DIFFERENCE")
# ... or is not if none of their inputs is
_KEPT = ("ADD", "AVERAGE_POOL_2D", "MAX_POOL_2D", "MEAN", "MINIMUM", "MUL", "QUANTIZE", "RESHAPE")


@dataclass(frozen=True, slots=True, kw_only=True)
class InverseRoot:
    """The factor from 1 / sqrt of stored integers to the output."""

    elements: int
    requant: Requant

    @property
    def in_place(self) -> tuple[int, ...]:
        return (0,)

    def reference(self, inputs: Sequence[Array]) -> Array:
        """Any shape -> the same shape."""
        x = inputs[0].astype(np.int64)
        multiplier, right = inverse_root(x)
        root = multiply_by_quantized_multiplier(np.ones_like(x), multiplier, SHIFT - right)
        r = self.requant
        scaled = multiply_by_quantized_multiplier(root, r.multiplier, r.shift - SHIFT)
        return np.where(x <= 0, INT16_MAX, np.clip(scaled, -(2**15), INT16_MAX)).astype(np.int16)

    def call(self) -> CCall:
        """The kernel call."""
        params = {
            "count": str(self.elements),
            "requant": f"{{{self.requant.multiplier}, {self.requant.shift - SHIFT}}}",
        }
        return CCall(function="nn_rsqrt_s16", params_type="nn_rsqrt_t", params=params)


def _is_int16(graph: Graph, op: Operator) -> bool:
    return graph.input(op, 0).dtype == "int16"


def _never_negative(graph: Graph, index: int, before: int) -> bool:
    """Whether no input of the model makes tensor `index` negative; operators up to `before`."""
    found: set[int] = set()

    def known(number: int) -> bool:
        data = graph.tensors[number].data
        return number in found if data is None else bool(np.all(np.asarray(data, np.int64) >= 0))

    for op in graph.operators[:before]:
        values = [i for i in op.inputs if i >= 0 and graph.tensors[i].dtype == "int16"]
        squared = op.name == "MUL" and op.inputs[0] == op.inputs[1]
        kept = op.name in _KEPT and bool(values) and all(map(known, values))
        if op.name in _NEVER or squared or kept:
            found.update(op.outputs)
    return known(index)


def _prepare(graph: Graph, op: Operator) -> InverseRoot:
    source, quant = activation_input(graph, op, 0, ("int16",))
    target, target_quant = activation_output(graph, op, ("int16",))
    check_shape(op, target, source.shape)
    if not _never_negative(graph, source.index, op.index):
        fix = "TFLite Micro stops there; make its input 0 or more, as a RELU or ABS does"
        raise refuse(op, "an input may be negative", fix)
    requant = quantize_multiplier(1 / (math.sqrt(quant.scale[0]) * target_quant.scale[0]))
    if requant.shift < SHIFT - 31 or requant.multiplier == 0:
        fix = "TFLite Micro's result is undefined; calibrate the model again"
        raise refuse(op, f"its output's scale is {target_quant.scale[0]}", fix)
    return InverseRoot(elements=source.elements, requant=requant)


def with_int16(spec: OpSpec[Any]) -> OpSpec[Any]:
    """RSQRT of int8 for int16 as well."""
    return with_kind(spec, _is_int16, _prepare, InverseRoot, Rounding.FIXED_POINT)
