"""ADD, SUB and MUL of int16 activations as nn_plus_s16 and others, which round as the reference.

The operand with the larger scale is halved, so that it needs no product. Double rounding takes
ADD, SMMLAR and ASR: the sign that decides where halves go is that of what is rescaled, which is
another than that of the rounded product at 0 only, where it does not count.
"""

from __future__ import annotations

import math

import numpy as np

from quantize.lowering.base import LoweredStep
from quantize.lowering.pairs import both_halves
from quantize.ops.add import LEFT_SHIFT, AddParams
from quantize.ops.base import CCall, c_int
from quantize.ops.mul import MulParams
from quantize.ops.quantize import RescaleParams
from quantize.reference import Step
from quantize.scheme import INT32_MAX, INT32_MIN, Requant, multiply_by_quantized_multiplier
from quantize.tflite.graph import Graph
from quantize.timings import usual

HALF = Requant(multiplier=1 << 30, shift=0)  # exactly, of the operand with the larger scale
MINUS_ONE = (INT32_MIN, 1, 1)  # in the terms of nn_sum_factor_t: -1/2 in the place of 1/2
SHIFTS = range(1, 31)  # to the right
LIMITS = np.iinfo(np.int16)
RELU = {int(LIMITS.min): "0", 0: "1"}  # by the smallest output; the largest is that of the type


def lower_sum(_graph: Graph, step: Step, _scratch_budget_bytes: int) -> LoweredStep | None:
    """ADD or SUB of two tensors of one shape; None of others, and of odd factors and clamps."""
    p: AddParams = step.params
    (call,) = step.spec.calls(p)
    output = _factor(p.output_requant)
    if not _is_plain(p) or p.left_shift != LEFT_SHIFT["int16"]:
        return None
    if output is None or HALF not in p.requants:
        return None
    whole = p.requants.index(HALF)
    part = _factor(p.requants[1 - whole])
    sign = int(call.params["b_sign"])
    kernel = ("nn_plus_s16", "nn_plus_s16") if sign == 1 else ("nn_minus_s16", "nn_from_s16")
    function = kernel[whole]
    if p.requants[0] == p.requants[1]:
        part, function = MINUS_ONE, "nn_minus_s16" if sign == 1 else "nn_plus_s16"
    if part is None:
        return None
    fields = {"part": _c_factor(part), "output": _c_factor(output)}
    return _lowered(step, function, "nn_sum_s16_t", fields, (whole, 1 - whole), 14)


def lower_product(_graph: Graph, step: Step, _scratch_budget_bytes: int) -> LoweredStep | None:
    """MUL of two tensors of one shape; None as above, and where the largest product counts."""
    p: MulParams = step.params
    output = _factor(p.requant)
    if not _is_plain(p) or output is None:
        return None
    least, r = int(LIMITS.min), p.requant
    exact = multiply_by_quantized_multiplier(np.array([least * least]), r.multiplier, r.shift)
    multiplier, half, shift = output
    kept = ((INT32_MAX * multiplier + (1 << 31) >> 32) + half) >> shift
    if min(int(exact[0]), LIMITS.max) != min(kept, LIMITS.max):
        return None
    fields = {"output": _c_factor(output)}
    return _lowered(step, "nn_product_s16", "nn_product_s16_t", fields, (0, 1), 9)


def lower_rescale(_graph: Graph, step: Step, _scratch_budget_bytes: int) -> LoweredStep | None:
    """QUANTIZE between int8 and int16 whose zero point is 0; None of others, and of odd factors."""
    p = step.params
    if not isinstance(p, RescaleParams):
        return None
    left = p.requant.shift
    if p.dtypes == ("int16", "int8") and p.input_offset == 0 and -left in range(1, 23):
        half, shift, constant = 1 << 14, -left, (2 * p.output_offset + 1) << (-left - 1)
    elif p.dtypes == ("int8", "int16") and p.output_offset == 0 and left in range(15):
        half, shift, constant = 1 << (14 - left), 15 - left, both_halves(p.input_offset)
    else:
        return None
    narrower, count = p.dtypes[1] == "int8", math.prod(p.shape)
    call = CCall(
        function="nn_rescale_s16_s8" if narrower else "nn_rescale_s8_s16",
        params_type="nn_rescale_wide_t",
        params={
            "count": str(count),
            "multiplier": c_int(p.requant.multiplier),
            "half": str(half),
            "constant": c_int(constant),
            "shift": str(shift),
        },
    )
    return LoweredStep(
        step=step,
        calls=(call,),
        in_place=step.spec.in_place(p) if narrower else (),
        requantisation="double",
        cost=usual(15 * count, "armv7em"),
    )


def _is_plain(p: AddParams | MulParams) -> bool:
    """Whether both operands are int16 of the output's shape, and saturation or a ReLU clamps."""
    same = p.shapes[0] == p.shapes[1] == p.output_shape and math.prod(p.output_shape) > 0
    return same and p.dtype == "int16" and p.act_min in RELU and p.act_max == LIMITS.max


def _factor(r: Requant) -> tuple[int, int, int] | None:
    """A factor as multiplier, half and shift of an nn_sum_factor_t, None where it is none."""
    if r.multiplier == 0:
        return 0, 1, 1
    return (r.multiplier, 1 << (-r.shift - 1), -r.shift) if -r.shift in SHIFTS else None


def _c_factor(factor: tuple[int, int, int]) -> str:
    return "{" + ", ".join(c_int(number) for number in factor) + "}"


def _lowered(
    step: Step,
    function: str,
    params_type: str,
    fields: dict[str, str],
    inputs: tuple[int, int],
    cost: int,
) -> LoweredStep:
    """`cost`: instructions an element."""
    p: AddParams | MulParams = step.params
    count = math.prod(p.output_shape)
    call = CCall(
        function=function,
        params_type=params_type,
        params=fields | {"count": str(count), "relu": RELU[p.act_min]},
        inputs=inputs,
    )
    return LoweredStep(
        step=step,
        calls=(call,),
        in_place=step.spec.in_place(p),
        requantisation="double",
        cost=usual(cost * count, "armv7em"),
    )
