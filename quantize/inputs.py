"""How features become the model's int8 input."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from model.features import Windows
from model.features.library import quantise_features
from quantize.errors import ModelError
from quantize.ops.base import Int8Array
from quantize.tflite.graph import Graph


@dataclass(frozen=True, slots=True, kw_only=True)
class InputRequant:
    """The arguments of fe_quantise."""

    multiplier: int  # 2**14 .. 2**15 - 1
    shift: int  # 1 .. 30
    zero_point: int


def input_requant(graph: Graph, feature_scale: float) -> InputRequant:
    """How int16 features with a step of `feature_scale` become the model's first input.

    Raises ModelError for a model whose first input is not int8, or whose scale is too far off.
    """
    tensor = graph.tensors[graph.inputs[0]]
    if tensor.dtype != "int8" or tensor.quant is None or len(graph.inputs) != 1:
        raise ModelError(
            f"the model has {len(graph.inputs)} inputs, the first of type {tensor.dtype}; a front "
            "end fills one int8 input"
        )
    mantissa, exponent = math.frexp(feature_scale / tensor.quant.scale[0])
    multiplier, shift = math.floor(mantissa * 2**15 + 0.5), 15 - exponent
    if multiplier == 2**15:
        multiplier, shift = 2**14, shift - 1
    if not 1 <= shift <= 30:
        raise ModelError(
            f"a feature's step {feature_scale:g} and the input's {tensor.quant.scale[0]:g} do not "
            "fit together; change features.scale so that features are about as large as 1"
        )
    return InputRequant(multiplier=multiplier, shift=shift, zero_point=tensor.quant.zero_point[0])


def quantised_inputs(graph: Graph, windows: Windows) -> Int8Array:
    """Windows as the model's int8 input [n, *shape with batch 1], as firmware computes it."""
    requant = input_requant(graph, windows.feature_scale)
    rows = quantise_features(windows.features, **asdict(requant))
    return rows.reshape(len(rows), *graph.tensors[graph.inputs[0]].shape)
