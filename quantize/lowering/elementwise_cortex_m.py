"""ADD, SUB, MUL and QUANTIZE as nn_linear_s8 and nn_product_s8, equal for every pair of values."""

from __future__ import annotations

import math

import numpy as np

from quantize.linear import LinearForm, prove_linear
from quantize.lowering import elementwise_wide_cortex_m
from quantize.lowering.base import LoweredStep
from quantize.lowering.pairs import CODES, both_halves, lower_table, row_pairs, weighted_sum
from quantize.lowering.scalar_cortex_m import lower_sum_scalar, product_scalar
from quantize.ops.base import CCall, c_int, int_constant_array
from quantize.ops.mul import MulParams
from quantize.ops.quantize import RescaleParams
from quantize.ops.softmax import SoftmaxParams
from quantize.proofs import prove_short
from quantize.reference import Step
from quantize.tflite.graph import Graph
from quantize.timings import cortex_m, usual

# an element
SUM_COST = cortex_m(6.25, words=0.25, jumps=0.25)
PRODUCT_COST = cortex_m(9.5, words=0.25, jumps=0.25)
CALL_COST = cortex_m(35, words=15, flash=9, jumps=4)

SOFTMAX_COST = 40  # instructions an element, about
TABLE_ELEMENTS = 512  # of a softmax, from which on a table is worth its flash


def lower_sum(graph: Graph, step: Step, scratch_budget_bytes: int) -> LoweredStep | None:
    """ADD or SUB: a weighted sum, or a table; None where neither is equal."""
    if (found := weighted_sum(step)) is not None:
        return _linear(step, *found, (0, 1), math.prod(step.params.output_shape))
    return lower_table(graph, step, scratch_budget_bytes) or lower_sum_scalar(step)


def lower_rescale(graph: Graph, step: Step, scratch_budget_bytes: int) -> LoweredStep | None:
    """QUANTIZE from int8 to int8: a weighted sum of one operand; None where none is equal.

    From int16 as elementwise_wide_cortex_m has it.
    """
    p = step.params
    if not isinstance(p, RescaleParams) or p.dtypes != ("int8", "int8"):
        return elementwise_wide_cortex_m.lower_rescale(graph, step, scratch_budget_bytes)
    outputs = np.asarray(step.spec.reference(p, [CODES]))
    ratio = math.ldexp(p.requant.multiplier, p.requant.shift - 31)
    form = prove_linear(np.broadcast_to(outputs[:, None], (256, 256)), ratio, 0.0)
    rows = f"{{{math.prod(p.shape)}, 1, 0, 0}}"
    return _linear(step, form, rows, (0, 0), math.prod(p.shape)) if form else None


def lower_product(graph: Graph, step: Step, scratch_budget_bytes: int) -> LoweredStep | None:
    """MUL: a product in a short form, or a table; None where operands repeat in a way that no
    kernel takes, or the form is not proven."""
    p: MulParams = step.params
    rows = row_pairs(p)
    table = None if rows else lower_table(graph, step, scratch_budget_bytes)
    if p.dtype != "int8" or table is not None:
        return table
    corners = [(a + p.offsets[0]) * (b + p.offsets[1]) for a in (-128, 127) for b in (-128, 127)]
    proven = prove_short(
        [p.requant],
        output_offset=p.output_offset,
        act_min=p.act_min,
        act_max=p.act_max,
        low=np.array([min(corners)], np.int64),
        high=np.array([max(corners)], np.int64),
        form="sign",
    )
    if proven is None:
        return None
    call = CCall(
        function="nn_product_s8",
        params_type="nn_product_t",
        params={
            "a_offsets": c_int(both_halves(p.offsets[0])),
            "b_offsets": c_int(both_halves(p.offsets[1])),
            "multiplier": str(proven[0].multiplier),
            "constant": c_int(proven[0].constant),
            "shift": str(proven[0].shift),
            "rows": rows or "",
        },
        inputs=(0, 1),
    )
    found = call if rows else product_scalar(step, call)
    if found is None:
        return None
    return LoweredStep(
        step=step,
        calls=(found,),
        in_place=step.spec.in_place(p),
        requantisation=proven[0].form,
        cost=math.prod(p.output_shape) * PRODUCT_COST + CALL_COST,
    )


def lower_softmax(_graph: Graph, step: Step, _scratch_budget_bytes: int) -> LoweredStep | None:
    """SOFTMAX of int8 with a table of exponentials, 1 KiB of flash; None where so few elements make
    less of it: each saves about 45 instructions."""
    p = step.params
    if not isinstance(p, SoftmaxParams) or math.prod(p.shape) < TABLE_ELEMENTS:
        return None
    table = p.exponentials(np.arange(-255, 1, dtype=np.int64))
    call = CCall(
        function="nn_softmax_table_s8",
        params_type="nn_softmax_table_t",
        params={
            "rows": str(math.prod(p.shape[:-1])),
            "depth": str(p.shape[-1]),
            "table": "@exponentials",
        },
        constants=(int_constant_array("exponentials", "int32_t", table.astype(np.int32)),),
    )
    cost = usual(SOFTMAX_COST * math.prod(p.shape), "armv7em")
    return LoweredStep(step=step, calls=(call,), in_place=(0,), requantisation="table", cost=cost)


def _linear(
    step: Step, form: LinearForm, rows: str, inputs: tuple[int, int], elements: int
) -> LoweredStep:
    call = CCall(
        function="nn_linear_s8",
        params_type="nn_linear_t",
        params={
            "a_factor": c_int(form.a_factor),
            "b_factor": c_int(form.b_factor),
            "constant": c_int(form.constant),
            "rows": rows,
        },
        inputs=inputs,
    )
    return LoweredStep(
        step=step,
        calls=(call,),
        in_place=step.spec.in_place(step.params),
        requantisation="weighted sum",
        cost=elements * SUM_COST + CALL_COST,
    )
