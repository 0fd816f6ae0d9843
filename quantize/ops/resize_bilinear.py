"""RESIZE_BILINEAR: linear interpolation of rows and columns with weights of 10 bits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quantize.ops.base import (
    Array,
    CCall,
    Int8Array,
    OpSpec,
    activation_input,
    c_shape,
    check_shape,
    int8_output,
    int_constant,
    malformed,
    no_alias,
    not_in_place,
    refuse,
)
from quantize.ops.fold_rules import CHANNELWISE
from quantize.ops.range_rules import RISING
from quantize.ops.rules import Without, reference_kernels
from quantize.scheme import Rounding
from quantize.tflite.graph import Graph, Operator
from quantize.tflite.signatures import signature

BITS = 10  # of the fraction of a position
ONE = 1 << BITS
MAX_SIZE = 1 << 20  # a position with its fraction stays within 32 bits


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """Output i lies at input position (i * step + origin) / ONE."""

    step: int
    origin: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ResizeParams:
    """The integers of a RESIZE_BILINEAR."""

    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    rows: Axis
    columns: Axis


def _axis(op: Operator, size: int, out: int) -> Axis:
    if max(size, out) > MAX_SIZE:
        raise refuse(op, f"{size} to {out} along an axis", f"use at most {MAX_SIZE}")
    step = (ONE * size + out // 2) // out
    if op.options["align_corners"] and out > 1:
        step = (ONE * (size - 1) + (out - 1) // 2) // (out - 1)
    origin = step // 2 - ONE // 2 if op.options["half_pixel"] else 0
    if ((out - 1) * step + origin) // ONE >= size:
        raise refuse(
            op,
            f"{size} to {out} along an axis, in steps of {step}/{ONE}",
            "its last positions lie outside the input, where TFLite Micro reads foreign memory; "
            "resize by a smaller factor or in two operators",
        )
    return Axis(step=step, origin=origin)


def prepare(graph: Graph, op: Operator) -> ResizeParams:
    """Check a RESIZE_BILINEAR; the operator does not rescale, so both ends share one scale."""
    source, source_quant = activation_input(graph, op, 0)
    target, target_quant = int8_output(graph, op)
    size = int_constant(graph, op, 1)
    if len(source.shape) != 4 or len(graph.input(op, 1).shape) != 1 or len(size) != 2:
        raise malformed(op, f"input {list(source.shape)}, {len(size)} sizes: expected 4 and 2")
    if min(size) < 1:
        raise malformed(op, f"size {list(size)}: expected at least 1")
    check_shape(op, target, (source.shape[0], *size, source.shape[3]))
    if source_quant.scale != target_quant.scale or source_quant.zero_point != (
        target_quant.zero_point
    ):
        raise malformed(op, "input and output need the same scale and zero point")
    if op.options["align_corners"] and op.options["half_pixel"]:
        raise malformed(op, "both align_corners and half_pixel_centers are set")
    return ResizeParams(
        input_shape=source.shape,
        output_shape=target.shape,
        rows=_axis(op, source.shape[1], size[0]),
        columns=_axis(op, source.shape[2], size[1]),
    )


def _neighbours(
    axis: Axis, size: int, out: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """[out] each: the two input positions, and the second one's weight in 1/ONE."""
    position = np.arange(out, dtype=np.int64) * axis.step + axis.origin
    low = np.maximum(position // ONE, 0)
    high = np.minimum(-(-position // ONE), size - 1)
    return low, np.maximum(high, 0), position - ONE * low


def reference(p: ResizeParams, inputs: Sequence[Array]) -> Int8Array:
    """[n, h, w, c] -> [n, out_h, out_w, c]."""
    top, bottom, down = _neighbours(p.rows, p.input_shape[1], p.output_shape[1])
    left, right, across = _neighbours(p.columns, p.input_shape[2], p.output_shape[2])
    values = inputs[0].astype(np.int64)
    down, across = down[:, None, None], across[:, None]
    mixed = values[:, top] * (ONE - down) + values[:, bottom] * down
    total = mixed[:, :, left] * (ONE - across) + mixed[:, :, right] * across
    half = 1 << (2 * BITS - 1)
    magnitude = (np.abs(total) + half) >> (2 * BITS)
    result: Int8Array = (np.sign(total) * magnitude).astype(np.int8)
    return result


def _c_call(p: ResizeParams) -> CCall:
    return CCall(
        function="nn_resize_bilinear_s8",
        params_type="nn_resize_t",
        params={
            "input": c_shape(p.input_shape),
            "output": c_shape(p.output_shape),
            "step_h": str(p.rows.step),
            "step_w": str(p.columns.step),
            "origin_h": str(p.rows.origin),
            "origin_w": str(p.columns.origin),
        },
    )


SPEC = OpSpec(
    name="RESIZE_BILINEAR",
    max_version=4,
    signature=signature(
        inputs=2, table=15, options={"align_corners": (2, "bool", 0), "half_pixel": (3, "bool", 0)}
    ),
    prepare=prepare,
    reference=reference,
    calls=lambda p: (_c_call(p),),
    rounding=Rounding.DIVIDE,
    int16_rounding=None,
    macs=lambda p: 4 * int(np.prod(p.output_shape)),
    in_place=not_in_place,
    alias=no_alias,
    state=(),
    ranges=RISING,
    folding=CHANNELWISE,
    advice=Without(reason="it does not rescale"),
    kernels=reference_kernels("none is written yet"),
)
