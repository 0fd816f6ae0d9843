"""ADD and SUB as a weighted sum (nn_linear_s8) where that equals them for every pair of values."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from quantize.linear import prove_linear
from quantize.lowering.base import LoweredStep
from quantize.ops.add import AddParams
from quantize.ops.base import CCall, c_int
from quantize.ops.broadcast import Binary, merged_walk
from quantize.reference import Step
from quantize.tflite.graph import Graph


def lower_sum(_graph: Graph, step: Step, _scratch: int) -> LoweredStep | None:
    """ADD or SUB of int8; None where an operand repeats within a row, or no sum is equal."""
    p: AddParams = step.params
    rows = _row_pairs(p)
    if p.dtype != "int8" or rows is None:
        return None
    sign = -1 if step.spec.name == "SUB" else 1
    form = prove_linear(_all_pairs(step), _ratio(p, 0), sign * _ratio(p, 1))
    if form is None:
        return None
    call = CCall(
        function="nn_linear_s8",
        params_type="nn_linear_t",
        params={
            "a_factor": c_int(form.a_factor),
            "b_factor": c_int(form.b_factor),
            "constant": c_int(form.constant),
            "rows": rows,
        },
        inputs=(0, 1),
    )
    return LoweredStep(step=step, calls=(call,), in_place=step.spec.in_place(p))


def _row_pairs(p: Binary) -> str | None:
    """The operands as an nn_row_pairs_t: rows without gaps, of which an operand may have only one.

    None when their shapes broadcast in another way.
    """
    axes = merged_walk(*p.shapes, p.output_shape) or [(1, 1, 1)]
    count, *strides = axes[-1]
    outer = axes[0] if len(axes) > 1 else (1, count, count)
    if len(axes) > 2 or strides != [1, 1] or not {*outer[1:]} <= {0, count}:
        return None
    steps = ", ".join(str(stride - count) for stride in outer[1:])
    return f"{{{count}, {outer[0]}, {steps}}}"


def _all_pairs(step: Step) -> npt.NDArray[np.int8]:
    """The outputs of an operator with two operands, [a + 128, b + 128]."""
    codes = np.arange(-128, 128).astype(np.int8)
    pairs = [np.repeat(codes, 256), np.tile(codes, 256)]
    result: npt.NDArray[np.int8] = np.asarray(step.spec.reference(step.params, pairs))
    return result.reshape(256, 256)


def _ratio(p: AddParams, side: int) -> float:
    """Output codes per code of an operand."""
    r, out = p.requants[side], p.output_requant
    return math.ldexp(r.multiplier * out.multiplier, r.shift + out.shift + p.left_shift - 62)
