"""Pooling, MEAN and SUM: the same calls, to kernels that take four channels at a time."""

from __future__ import annotations

import itertools
import math

from quantize.lowering.base import LoweredStep, with_kernel
from quantize.ops.base import CCall
from quantize.ops.mean import MeanParams
from quantize.ops.pool_2d import PoolParams
from quantize.reference import Step
from quantize.tflite.graph import Graph
from quantize.timings import cortex_m

LANES = 4  # channels at a time
TAP_COST = cortex_m(1, words=0.3, jumps=0.07)
OUTPUT_COST = cortex_m(40, words=10, flash=1, jumps=4)
CALL_COST = cortex_m(100, words=30, flash=12, jumps=8)


def lower_average_pool(_graph: Graph, step: Step, _scratch_budget_bytes: int) -> LoweredStep | None:
    """AVERAGE_POOL_2D; None with fewer channels than run at a time."""
    return _pool(step, "nn_average_pool_2d_quads_s8")


def lower_max_pool(_graph: Graph, step: Step, _scratch_budget_bytes: int) -> LoweredStep | None:
    """MAX_POOL_2D; None with fewer channels than run at a time."""
    return _pool(step, "nn_max_pool_2d_quads_s8")


def _pool(step: Step, function: str) -> LoweredStep | None:
    p: PoolParams = step.params
    outputs = math.prod(p.output_shape)
    taps = outputs * math.prod(p.window.kernel)
    cost = CALL_COST + taps * TAP_COST + outputs * OUTPUT_COST
    return with_kernel(step, function, cost) if p.input_shape[3] >= LANES else None


def lower_mean(_graph: Graph, step: Step, _scratch_budget_bytes: int) -> LoweredStep | None:
    """MEAN or SUM; None where fewer neighbours than run at a time are kept apart, or added."""
    p: MeanParams = step.params
    rows = _rows(p)
    if rows is not None:
        return _rows_of(step, p, rows)
    dims = list(enumerate(p.reduce.input_shape))
    kept = itertools.takewhile(lambda dim: dim[0] not in p.reduce.axes, reversed(dims))
    beside = math.prod(size for _, size in kept)
    sizes = math.prod(p.reduce.input_shape), math.prod(p.reduce.output_shape)
    cost = CALL_COST + sizes[0] * TAP_COST + sizes[1] * OUTPUT_COST
    return with_kernel(step, "nn_mean_quads_s8", cost) if beside >= LANES else None


def _rows(p: MeanParams) -> int | None:
    """How many elements are kept, where all that are added to one lie side by side."""
    axes, shape = set(p.reduce.axes), p.reduce.input_shape
    inner = [a for a in range(len(shape)) if shape[a] > 1 and a in axes]
    outer = [a for a in range(len(shape)) if shape[a] > 1 and a not in axes]
    count = math.prod(shape[a] for a in inner)
    side_by_side = not outer or not inner or max(outer) < min(inner)
    return math.prod(shape) // count if side_by_side and count >= LANES else None


def _rows_of(step: Step, p: MeanParams, rows: int) -> LoweredStep:
    """A step that adds up `rows` rows."""
    params = {
        "rows": rows,
        "count": math.prod(p.reduce.input_shape) // rows,
        "input_offset_sum": p.input_offset_sum,
        "output_offset": p.output_offset,
        "requant": f"{{{p.requant.multiplier}, {p.requant.shift}}}",
    }
    call = CCall(
        function="nn_mean_rows_s8",
        params_type="nn_mean_rows_t",
        params={name: str(value) for name, value in params.items()},
    )
    cost = CALL_COST + math.prod(p.reduce.input_shape) * TAP_COST + rows * OUTPUT_COST
    return LoweredStep(step=step, calls=(call,), in_place=(), cost=cost)
