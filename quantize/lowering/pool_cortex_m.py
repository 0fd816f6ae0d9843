"""Pooling, MEAN and SUM: the same calls, to kernels that take four channels at a time."""

from __future__ import annotations

import itertools
import math

from quantize.lowering.base import LoweredStep, with_kernel
from quantize.ops.mean import MeanParams
from quantize.ops.pool_2d import PoolParams
from quantize.reference import Step
from quantize.tflite.graph import Graph

LANES = 4  # channels at a time


def lower_average_pool(_graph: Graph, step: Step, _scratch_budget_bytes: int) -> LoweredStep | None:
    """AVERAGE_POOL_2D; None with fewer channels than run at a time."""
    return _pool(step, "nn_average_pool_2d_quads_s8")


def lower_max_pool(_graph: Graph, step: Step, _scratch_budget_bytes: int) -> LoweredStep | None:
    """MAX_POOL_2D; None with fewer channels than run at a time."""
    return _pool(step, "nn_max_pool_2d_quads_s8")


def _pool(step: Step, function: str) -> LoweredStep | None:
    p: PoolParams = step.params
    return with_kernel(step, function) if p.input_shape[3] >= LANES else None


def lower_mean(_graph: Graph, step: Step, _scratch_budget_bytes: int) -> LoweredStep | None:
    """MEAN or SUM; None where fewer neighbours than run at a time are kept apart."""
    p: MeanParams = step.params
    dims = list(enumerate(p.reduce.input_shape))
    kept = itertools.takewhile(lambda dim: dim[0] not in p.reduce.axes, reversed(dims))
    beside = math.prod(size for _, size in kept)
    return with_kernel(step, "nn_mean_quads_s8") if beside >= LANES else None
