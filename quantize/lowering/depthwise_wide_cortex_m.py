"""DEPTHWISE_CONV_2D of int16 activations: packed for 3 x 3, or a convolution where it is one."""

from __future__ import annotations

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
from quantize.ops.conv_2d import ConvParams
from quantize.reference import Step
from quantize.tflite.graph import Graph

GROUP_KERNELS = {1: "nn_depthwise_group_s16", 2: "nn_depthwise_group_by_2_s16"}


def lower_depthwise(_graph: Graph, step: Step, _scratch_budget_bytes: int) -> LoweredStep | None:
    """A packed kernel; None where its window, its requantisation or sums of 32 bits do not fit."""
    p: ConvParams = step.params
    if p.input_shape[3] == 1:
        full = replace(p, weights=np.ascontiguousarray(p.weights.transpose(3, 1, 2, 0)))
        return convolution(step, full)
    weights = three_by_three(p)
    if p.depth_multiplier != 1 or p.input_shape[3] < GROUP or weights is None:
        return None
    requants = wide_requants(p, weights)
    if requants is None:
        return None
    call = packed_call(
        "nn_depthwise_conv_2d_packed_s16",
        p,
        values=[
            (bias, r.multiplier, r.constant)
            for bias, r in zip(p.bias.tolist(), requants, strict=True)
        ],
        taps=np.column_stack([weights, [r.shift for r in requants]]),
        form=C_FORMS[p.act_min],
        group=GROUP_KERNELS[p.window.stride[0]],
    )
    return LoweredStep(
        step=step,
        calls=(call,),
        in_place=(0,) if works_in_place(p) else (),
        requantisation="wide",
        cost=2 * step.spec.macs(p),
    )
