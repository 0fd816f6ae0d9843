"""ADD, SUB, MUL and SQUARED_DIFFERENCE of rows and one element for each row: nn_linear_scalar_s8,
nn_product_scalar_s8 and nn_squares_scalar_s8."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from quantize.lowering.base import LoweredStep
from quantize.lowering.pairs import CODES, both_halves, lower_table, sum_form
from quantize.ops.add import AddParams
from quantize.ops.base import CCall, c_int
from quantize.ops.broadcast import Binary, merged_walk
from quantize.ops.mul import MulParams
from quantize.proofs import ShortRequant, prove_short
from quantize.reference import Step
from quantize.scheme import Requant, multiply_by_quantized_multiplier
from quantize.tflite.graph import Graph

HALF = Requant(multiplier=1 << 30, shift=0)
LARGEST = (1 << 15) - 1  # of a difference


def row_scalars(p: Binary) -> tuple[str, int] | None:
    """The nn_row_pairs_t of rows without gaps, of which there may be only one, and elements; then
    the operand with the rows. None when their shapes broadcast in another way."""
    axes = merged_walk(*p.shapes, p.output_shape) or [(1, 1, 1)]
    count, *inner = axes[-1]
    outer = axes[0] if len(axes) > 1 else (1, *(count * stride for stride in inner))
    if len(axes) > 2 or sorted(inner) != [0, 1]:
        return None
    side = inner.index(1)
    row, scalar = outer[1 + side], outer[2 - side]
    if row not in (0, count) or scalar not in (0, 1):
        return None
    return f"{{{count}, {outer[0]}, {row - count}, {scalar}}}", side


def lower_sum_scalar(step: Step) -> LoweredStep | None:
    """ADD or SUB; None where shapes are others or no weighted sum is equal."""
    p: AddParams = step.params
    found = row_scalars(p)
    form = sum_form(step) if found and p.dtype == "int8" else None
    if form is None or found is None:
        return None
    rows, side = found
    factors = (form.a_factor, form.b_factor)
    call = CCall(
        function="nn_linear_scalar_s8",
        params_type="nn_linear_t",
        params={
            "a_factor": c_int(factors[side]),
            "b_factor": c_int(factors[1 - side]),
            "constant": c_int(form.constant),
            "rows": rows,
        },
        inputs=(side, 1 - side),
    )
    return _lowered(step, call, "weighted sum")


def product_scalar(step: Step, call: CCall) -> CCall | None:
    """nn_product_s8's `call`, for such rows; None where shapes are others."""
    p: MulParams = step.params
    found = row_scalars(p)
    if found is None:
        return None
    rows, side = found
    params = call.params | {"rows": rows}
    if side == 1:
        offsets = {"a_offsets": params["b_offsets"], "b_offsets": params["a_offsets"]}
        params |= offsets
    return replace(call, function="nn_product_scalar_s8", params=params, inputs=(side, 1 - side))


def lower_squares(graph: Graph, step: Step, scratch_budget_bytes: int) -> LoweredStep | None:
    """SQUARED_DIFFERENCE, or a table; None where shapes are others or its form is not proven."""
    p: AddParams = step.params
    table = lower_table(graph, step, scratch_budget_bytes)
    found = row_scalars(p)
    if table is not None or found is None or p.dtype != "int8":
        return table
    operands = [_operand(p.requants[side], p.left_shift) for side in (0, 1)]
    output = _square_requant(p)
    if None in operands or output is None:
        return None
    rows, side = found
    offsets = c_int(both_halves(p.offsets[side])), str(p.offsets[1 - side])
    call = CCall(
        function="nn_squares_scalar_s8",
        params_type="nn_squares_t",
        params={
            "a": f"{{{offsets[0]}, {operands[side]}}}",
            "b": f"{{{offsets[1]}, {operands[1 - side]}}}",
            "multiplier": str(output.multiplier),
            "constant": c_int(output.constant),
            "shift": str(output.shift),
            "rows": rows,
        },
        inputs=(side, 1 - side),
    )
    return _lowered(step, call, output.form)


def _operand(requant: Requant, left_shift: int) -> str | None:
    """An nn_operand_t behind its offset; None where its factor may be above one half.

    One half itself is exact: without its shift, and with one of one bit of twice as much.
    """
    exact = requant == HALF
    if not exact and requant.shift >= 0:
        return None
    shift = 1 if exact else -requant.shift
    return f"{2 << left_shift + exact}, {requant.multiplier}, {1 << shift - 1}, {shift}"


def _square_requant(p: AddParams) -> ShortRequant | None:
    """Of the square of any difference: operands have at most half of 16 bits."""
    codes = CODES.astype(np.int64)
    values = [
        multiply_by_quantized_multiplier(codes + offset << p.left_shift, r.multiplier, r.shift)
        for offset, r in zip(p.offsets, p.requants, strict=True)
    ]
    largest = int(max(values[0].max() - values[1].min(), values[1].max() - values[0].min()))
    if largest > LARGEST:
        return None
    proven = prove_short(
        [p.output_requant],
        output_offset=p.output_offset,
        act_min=p.act_min,
        act_max=p.act_max,
        low=np.zeros(1, np.int64),
        high=np.array([largest**2], np.int64),
        form="sign",
    )
    return proven[0] if proven else None


def _lowered(step: Step, call: CCall, requantisation: str) -> LoweredStep:
    return LoweredStep(
        step=step,
        calls=(call,),
        in_place=step.spec.in_place(step.params),
        requantisation=requantisation,
    )
