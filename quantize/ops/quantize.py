"""QUANTIZE from int8 to int8: the same numbers on another scale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from quantize.ops.base import (
    CCall,
    Int8Array,
    OpSpec,
    activation_input,
    check_shape,
    int8_output,
)
from quantize.scheme import (
    Requant,
    Rounding,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    wrap32,
)
from quantize.tflite.graph import Graph, Operator


@dataclass(frozen=True, slots=True, kw_only=True)
class RescaleParams:
    """The integers of a QUANTIZE."""

    shape: tuple[int, ...]
    input_offset: int
    output_offset: int
    requant: Requant


def prepare(graph: Graph, op: Operator) -> RescaleParams:
    """Check a QUANTIZE between two int8 tensors of one shape."""
    source, source_quant = activation_input(graph, op, 0)
    target, target_quant = int8_output(graph, op)
    check_shape(op, target, source.shape)
    return RescaleParams(
        shape=source.shape,
        input_offset=-source_quant.zero_point[0],
        output_offset=target_quant.zero_point[0],
        requant=quantize_multiplier(source_quant.scale[0] / target_quant.scale[0]),
    )


def reference(p: RescaleParams, inputs: Sequence[Int8Array]) -> Int8Array:
    """Any shape -> the same shape."""
    shifted = inputs[0].astype(np.int64) + p.input_offset
    scaled = multiply_by_quantized_multiplier(shifted, p.requant.multiplier, p.requant.shift)
    return np.clip(wrap32(scaled + p.output_offset), -128, 127).astype(np.int8)


def _c_call(p: RescaleParams) -> CCall:
    return CCall(
        function="nn_rescale_s8",
        params_type="nn_rescale_t",
        params={
            "count": str(math.prod(p.shape)),
            "input_offset": str(p.input_offset),
            "output_offset": str(p.output_offset),
            "requant": f"{{{p.requant.multiplier}, {p.requant.shift}}}",
        },
    )


SPEC = OpSpec(
    name="QUANTIZE",
    max_version=3,
    rounding=Rounding.DOUBLE,
    prepare=prepare,
    reference=reference,
    c_call=_c_call,
)
