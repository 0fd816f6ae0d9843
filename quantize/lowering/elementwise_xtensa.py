"""ADD and SUB as nn_linear_terms_s8, whose products are read from tables; QUANTIZE as a table."""

from __future__ import annotations

import numpy as np

from quantize.linear import FRACTION
from quantize.lowering.base import LoweredStep
from quantize.lowering.packing import words_constant
from quantize.lowering.pairs import lower_table, weighted_sum
from quantize.ops.base import CCall
from quantize.ops.quantize import RescaleParams
from quantize.ops.unary import UnaryParams
from quantize.reference import Step
from quantize.scheme import IntArray
from quantize.tflite.graph import Graph

_BYTES: IntArray = np.arange(256, dtype=np.int64).astype(np.uint8).view(np.int8).astype(np.int64)


def lower_sum(graph: Graph, step: Step, scratch_budget_bytes: int) -> LoweredStep | None:
    """ADD or SUB in 2 KB of tables, or one table where an operand has one value.

    None where neither is equal, and for few elements.
    """
    table = lower_table(graph, step, scratch_budget_bytes)
    found = None if table else weighted_sum(step)
    if found is None or int(np.prod(step.params.output_shape)) < len(_BYTES):
        return table
    form, rows = found
    call = CCall(
        function="nn_linear_terms_s8",
        params_type="nn_linear_terms_t",
        params={"a_terms": "@a_terms", "b_terms": "@b_terms", "rows": rows},
        constants=(
            words_constant("a_terms", (_BYTES * form.a_factor >> FRACTION) + form.constant),
            words_constant("b_terms", _BYTES * form.b_factor >> FRACTION),
        ),
        inputs=(0, 1),
    )
    return LoweredStep(
        step=step,
        calls=(call,),
        in_place=step.spec.in_place(step.params),
        requantisation="weighted sum",
    )


def lower_rescale(_graph: Graph, step: Step, _scratch_budget_bytes: int) -> LoweredStep | None:
    """QUANTIZE from int8 to int8 as a table of its answers."""
    p = step.params
    if not isinstance(p, RescaleParams) or p.dtypes != ("int8", "int8"):
        return None
    codes = np.arange(-128, 128).astype(np.int8)
    table = np.asarray(step.spec.reference(p, [codes]))
    call = UnaryParams(shape=p.shape, table=table).call()
    return LoweredStep(step=step, calls=(call,), in_place=(0,), requantisation="table")
