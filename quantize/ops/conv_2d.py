"""CONV_2D: int8 or int16 convolution, weights per channel or tensor, any stride and dilation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from quantize.ops.base import (
    INT8_OR_INT16,
    Array,
    CCall,
    Int8Array,
    OpSpec,
    activation_input,
    activation_output,
    border,
    c_shape,
    channel_requants,
    check_shape,
    check_taps,
    int8_weights,
    malformed,
    no_alias,
    not_in_place,
    refuse,
    sum_bias,
    weight_types,
    window,
)
from quantize.ops.fold_rules import sum_rule
from quantize.ops.range_rules import tap_sums
from quantize.ops.rules import (
    Advice,
    Channels,
    FoldRule,
    Interval,
    Kernels,
    Lowering,
    SumRule,
    Weights,
)
from quantize.ops.window import (
    Window,
    c_constants,
    c_fields,
    inside_mask,
    int16_rounding,
    output_values,
    patches,
    sum_type,
)
from quantize.scheme import Requant, Rounding, activation_range
from quantize.tflite.graph import Graph, Operator
from quantize.tflite.signatures import Signature

MAX_GROUPED_WEIGHTS = 1 << 24  # as many as if all groups read all channels
KERNELS = {"int8": "nn_conv_2d_s8", "int16": "nn_conv_2d_s16"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvParams:
    """The integers of a convolution, shared by CONV_2D and DEPTHWISE_CONV_2D."""

    dtype: str  # of input and output
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    window: Window
    input_offset: int
    output_offset: int
    act_min: int
    act_max: int
    depth_multiplier: int
    weights: Int8Array
    bias: Array  # its type is that of the sums
    requants: tuple[Requant, ...]
    groups: int = 1  # of channels; weights are those of all channels, 0 outside of their group
    first_input: int = 0  # elements that lie before those of one group
    first_output: int = 0


def conv_params(
    graph: Graph, op: Operator, kernel: tuple[int, int], channels: int, depth_multiplier: int
) -> ConvParams:
    """Check what both convolutions have in common and compute their integers."""
    source, source_quant = activation_input(graph, op, 0, INT8_OR_INT16)
    target, target_quant = activation_output(graph, op, (source.dtype,))
    _, weight_quant, weights = int8_weights(graph, op, 4, weight_types(source))
    axis = 0 if op.name == "CONV_2D" else 3
    if weight_quant.per_channel and weight_quant.axis != axis:
        raise malformed(op, f"weights are quantised along axis {weight_quant.axis}, not {axis}")
    n, height, width, _ = source.shape
    o = op.options
    rows, columns = border(op)
    out_h, pad_h = window(op, height, kernel[0], int(o["stride_h"]), int(o["dilation_h"]), rows)
    out_w, pad_w = window(op, width, kernel[1], int(o["stride_w"]), int(o["dilation_w"]), columns)
    check_shape(op, target, (n, out_h, out_w, channels))
    check_taps(op, (n, out_h, out_w, source.shape[3] * max(depth_multiplier, 1)), kernel)
    act_min, act_max = activation_range(int(o["activation"]), target_quant, target.dtype)
    bias = sum_bias(graph, op, source, channels, other="int32" if op.name == "CONV_2D" else "")
    return ConvParams(
        dtype=source.dtype,
        input_shape=source.shape,
        output_shape=target.shape,
        window=Window(
            kernel=kernel,
            stride=(int(o["stride_h"]), int(o["stride_w"])),
            dilation=(int(o["dilation_h"]), int(o["dilation_w"])),
            pad=(pad_h, pad_w),
        ),
        input_offset=-source_quant.zero_point[0],
        output_offset=target_quant.zero_point[0],
        act_min=act_min,
        act_max=act_max,
        depth_multiplier=depth_multiplier,
        weights=weights,
        bias=bias,
        requants=channel_requants(source_quant, weight_quant, target_quant, bias),
    )


def conv_call(kernels: Mapping[str, str], p: ConvParams) -> CCall:
    """The C call of the convolution kernel for the activations' type."""
    return CCall(
        function=kernels[p.dtype],
        params_type="nn_conv_t",
        params={
            "input": c_shape(p.input_shape),
            "output": c_shape(p.output_shape),
            "window": p.window.c_initialiser(),
            "outputs": str(p.depth_multiplier or len(p.weights)),
        }
        | c_fields(p),
        constants=c_constants(p),
        first_input=p.first_input,
        first_output=p.first_output,
    )


def numbered(call: CCall, number: int) -> CCall:
    """The call with a number behind the names of its constants."""
    return replace(
        call,
        params={k: f"{v}_{number}" if v.startswith("@") else v for k, v in call.params.items()},
        constants=tuple(replace(c, suffix=f"{c.suffix}_{number}") for c in call.constants),
    )


def split_groups(p: ConvParams) -> list[ConvParams]:
    """An ordinary convolution for each group of channels.

    Pixels of `groups` times as many channels are as many times more pixels. From the first input of
    a group on, every so manieth of them is one of this group's, so windows stride over the others.
    Of the outputs a group computes only some channels: its weights are fewer than output_shape[3].
    """
    n, height, width, channels = p.input_shape
    inputs, outputs, w = channels // p.groups, p.output_shape[3] // p.groups, p.window

    def wider(pair: tuple[int, int]) -> tuple[int, int]:
        return pair[0], pair[1] * p.groups

    whole = replace(
        p,
        input_shape=(n, height, width * p.groups, inputs),
        window=replace(w, stride=wider(w.stride), dilation=wider(w.dilation), pad=wider(w.pad)),
        groups=1,
    )
    parts = []
    for number in range(p.groups):
        rows = slice(number * outputs, (number + 1) * outputs)
        columns = slice(number * inputs, (number + 1) * inputs)
        parts.append(
            replace(
                whole,
                weights=np.ascontiguousarray(p.weights[rows, ..., columns]),
                bias=p.bias[rows],
                requants=p.requants[rows],
                first_input=columns.start,
                first_output=rows.start,
            )
        )
    return parts


def _of_all_channels(weights: Int8Array, groups: int) -> Int8Array:
    """Weights [out_c, kh, kw, in_c / groups] as those of [out_c, kh, kw, in_c], 0 elsewhere."""
    outputs, inputs = len(weights) // groups, weights.shape[3]
    full = np.zeros((*weights.shape[:3], groups * inputs), np.int8)
    for number in range(groups):
        rows = slice(number * outputs, (number + 1) * outputs)
        full[rows, ..., number * inputs : (number + 1) * inputs] = weights[rows]
    return full


def prepare(graph: Graph, op: Operator) -> ConvParams:
    """Check a CONV_2D; weights are [out_c, kh, kw, in_c]."""
    source, _ = activation_input(graph, op, 0, INT8_OR_INT16)
    _, _, weights = int8_weights(graph, op, 4, weight_types(source))
    groups = source.shape[3] // weights.shape[3] if len(source.shape) == 4 else 0
    if not groups or source.shape[3] % weights.shape[3] or len(weights) % groups:
        raise malformed(
            op, f"input {list(source.shape)} does not fit weights {list(weights.shape)}"
        )
    if groups * weights.size > MAX_GROUPED_WEIGHTS:
        raise refuse(op, f"{groups} groups of {weights.size} weights", "use fewer groups")
    p = conv_params(graph, op, weights.shape[1:3], weights.shape[0], 0)
    if groups > 1:
        p = replace(p, weights=_of_all_channels(p.weights, groups), groups=groups)
    return p


def reference(p: ConvParams, inputs: Sequence[Array]) -> Array:
    """[n, h, w, in_c] -> [n, out_h, out_w, out_c]."""
    dtype = sum_type(p)
    columns = patches(inputs[0], p.window, p.output_shape, p.input_offset, dtype)
    weights = p.weights.reshape(len(p.weights), -1).T.astype(dtype)
    sums = columns.reshape(-1, len(weights)) @ weights
    return output_values(sums.astype(np.int64), p).reshape(p.output_shape)


WEIGHT_AXIS = 0  # of output channels
WEIGHTS = Weights(axis=WEIGHT_AXIS, products=lambda shape: math.prod(shape[1:]))


def is_padded(p: ConvParams) -> bool:
    """Whether a tap of the window may lie outside the input."""
    return not bool(inside_mask(p.input_shape, p.window, p.output_shape).all())


def _sums(p: ConvParams, source: Interval, _: tuple[int, ...]) -> Interval:
    rows = p.weights.reshape(len(p.weights), -1)
    return tap_sums(p, rows, source, padded=is_padded(p))


def _calls(p: ConvParams) -> tuple[CCall, ...]:
    if p.groups == 1:
        return (conv_call(KERNELS, p),)
    parts = enumerate(split_groups(p))
    return tuple(numbered(conv_call(KERNELS, part), number) for number, part in parts)


def _macs(p: ConvParams) -> int:
    return math.prod(p.output_shape) * math.prod(p.weights.shape[1:]) // p.groups


_SUM_RULE = sum_rule(axis=WEIGHT_AXIS, is_padded=is_padded)


def _demand(found: Channels, op: Operator, p: ConvParams) -> bool:
    """A channel less would leave groups of different sizes."""
    return p.groups == 1 and _SUM_RULE.demand(found, op, p)


SPEC = OpSpec(
    name="CONV_2D",
    max_version=8,
    signature=Signature(
        inputs=(2, 3),
        outputs=(1, 1),
        table=1,
        options={
            "padding": (0, "i8", 0),
            "stride_w": (1, "i32", 0),
            "stride_h": (2, "i32", 0),
            "activation": (3, "i8", 0),
            "dilation_w": (4, "i32", 1),
            "dilation_h": (5, "i32", 1),
        },
    ),
    prepare=prepare,
    reference=reference,
    calls=_calls,
    rounding=Rounding.DOUBLE,
    int16_rounding=int16_rounding,
    macs=_macs,
    in_place=not_in_place,
    alias=no_alias,
    state=(),
    ranges=SumRule(source=0, sums=_sums),
    folding=FoldRule(demand=_demand, shrink=_SUM_RULE.shrink),
    advice=Advice(weights=WEIGHTS, rescales=True),
    kernels=Kernels(armv7em=Lowering.CONVOLUTION, xtensa=Lowering.CONVOLUTION),
)
