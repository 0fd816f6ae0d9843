"""DEPTHWISE_CONV_2D of int16 activations: packed for 3 x 3, tap by tap for other windows, or a
convolution where it is one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from quantize.lowering.base import LoweredStep
from quantize.lowering.conv_wide_cortex_m import C_FORMS, convolution, wide_requants
from quantize.lowering.depthwise_cortex_m import (
    GROUP,
    packed_call,
    three_by_three,
    works_in_place,
)
from quantize.lowering.packing import words_constant
from quantize.ops.base import CCall, c_shape
from quantize.ops.conv_2d import ConvParams
from quantize.proofs import WideRequant
from quantize.reference import Step
from quantize.scheme import IntArray
from quantize.tflite.graph import Graph
from quantize.timings import usual

GROUP_KERNELS = {1: "nn_depthwise_group_s16", 2: "nn_depthwise_group_by_2_s16"}
LANES = (0, 2, 1, 3)  # channels of the bytes of a word, as SXTB16 takes them
CHANNEL_BYTES = 40  # of a channel's expanded weights
WORDS = 11  # of four channels in the stream, besides their taps


def lower_depthwise(_graph: Graph, step: Step, _scratch_budget_bytes: int) -> LoweredStep | None:
    """A packed kernel; None where its window, its requantisation or sums of 32 bits do not fit."""
    p: ConvParams = step.params
    if p.input_shape[3] == 1:
        full = replace(p, weights=np.ascontiguousarray(p.weights.transpose(3, 1, 2, 0)))
        return convolution(step, full)
    if p.depth_multiplier != 1 or p.input_shape[3] < GROUP:
        return None
    taps = p.weights[0].astype(np.int64).reshape(-1, p.input_shape[3]).T
    requants = wide_requants(p, taps)
    if requants is None:
        return None
    small = three_by_three(p)
    by_rows = small is not None
    call = _packed(p, small, requants) if small is not None else _by_taps(p, taps, requants)
    return LoweredStep(
        step=step,
        calls=(call,),
        in_place=(0,) if by_rows and works_in_place(p) else (),
        requantisation="wide",
        cost=usual(2.1 * step.spec.macs(p) if by_rows else _taps_cost(p), "armv7em"),
    )


def _packed(p: ConvParams, weights: IntArray, requants: Sequence[WideRequant]) -> CCall:
    """nn_depthwise_conv_2d_packed_s16; weights [channels, 9]."""
    return packed_call(
        "nn_depthwise_conv_2d_packed_s16",
        p,
        values=np.column_stack(
            [p.bias.astype(np.int64), [r.multiplier | r.shift << 16 for r in requants]]
        ),
        weights=weights,
        fields={"form": C_FORMS[p.act_min]},
        group=GROUP_KERNELS[p.window.stride[0]],
        channel_bytes=CHANNEL_BYTES,
    )


def _by_taps(p: ConvParams, weights: IntArray, requants: Sequence[WideRequant]) -> CCall:
    """nn_depthwise_conv_2d_taps_s16; weights [channels, taps]."""
    channels, taps = weights.shape
    starts = np.minimum(np.arange(0, channels, GROUP), channels - GROUP)
    members = starts[:, None] + np.arange(GROUP)
    lanes = weights[members][:, LANES].transpose(0, 2, 1) & 0xFF
    words = (lanes << np.arange(0, 32, 8)).sum(axis=2)
    numbers = np.array([(r.multiplier, r.constant, r.shift) for r in requants], np.int64)[members]
    multipliers = numbers[:, ::2, 0] | numbers[:, 1::2, 0] << 16
    shifts = (numbers[..., 2] << np.arange(0, 32, 8)).sum(axis=1, keepdims=True)
    stream = np.concatenate(
        [p.bias.astype(np.int64)[members], words, multipliers, numbers[..., 1], shifts], axis=1
    )
    return CCall(
        function="nn_depthwise_conv_2d_taps_s16",
        params_type="nn_depthwise_taps_t",
        params={
            "stream": "@stream",
            "channels": str(channels),
            "taps": str(taps),
            "form": C_FORMS[p.act_min],
            "input": c_shape(p.input_shape),
            "output": c_shape(p.output_shape),
            "window": p.window.c_initialiser(),
        },
        constants=(
            words_constant(
                "stream",
                stream,
                weights=words.size,
                biases=stream.size - words.size - 7 * len(words),
            ),
        ),
    )


def _taps_cost(p: ConvParams) -> int:
    """Instructions of nn_depthwise_conv_2d_taps_s16, borders not counted."""
    n, height, width, channels = p.output_shape
    rows, columns = p.window.kernel
    group = 46 + rows * (10 + 11 * columns + columns % 2)
    return n * height * width * (130 + -(-channels // GROUP) * group)
