"""Choose the kernels that compute each step: one set of kernels for each kind of core."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from quantize.lowering.base import LoweredStep
from quantize.lowering.bytes import lower_dense_bytes
from quantize.lowering.conv import lower_conv
from quantize.lowering.dense import lower_dense
from quantize.lowering.depthwise import lower_depthwise
from quantize.lowering.elementwise import (
    lower_product,
    lower_rescale,
    lower_sum,
    lower_table,
)
from quantize.lowering.line import lower_depthwise_line
from quantize.lowering.pool import lower_mean, lower_pool
from quantize.lowering.terms import lower_rescale_table, lower_sum_terms
from quantize.lowering.trio import lower_conv_trio
from quantize.reference import Step
from quantize.tflite.graph import Graph

# operator -> the lowering that knows faster kernels; None from it: take the reference kernel
# its last argument: the bytes of scratch that do not make the arena much larger
Lowering = Callable[[Graph, Step, int], LoweredStep | None]
KERNEL_SETS: dict[str, Mapping[str, Lowering]] = {
    "ref": {},
    "armv7em": {
        "ADD": lower_sum,
        "AVERAGE_POOL_2D": lower_pool,
        "CONV_2D": lower_conv,
        "DEPTHWISE_CONV_2D": lower_depthwise,
        "FULLY_CONNECTED": lower_dense,
        "MAXIMUM": lower_table,
        "MAX_POOL_2D": lower_pool,
        "MEAN": lower_mean,
        "MINIMUM": lower_table,
        "MUL": lower_product,
        "PRELU": lower_table,
        "QUANTIZE": lower_rescale,
        "SQUARED_DIFFERENCE": lower_table,
        "SUB": lower_sum,
        "SUM": lower_mean,
    },
    "xtensa": {
        "ADD": lower_sum_terms,
        "CONV_2D": lower_conv_trio,
        "DEPTHWISE_CONV_2D": lower_depthwise_line,
        "FULLY_CONNECTED": lower_dense_bytes,
        "MAXIMUM": lower_table,
        "MINIMUM": lower_table,
        "MUL": lower_table,
        "PRELU": lower_table,
        "QUANTIZE": lower_rescale_table,
        "SQUARED_DIFFERENCE": lower_table,
        "SUB": lower_sum_terms,
    },
}
__all__ = ["KERNEL_SETS", "LoweredStep", "lower"]


def lower(graph: Graph, steps: Sequence[Step], kernels: str = "ref") -> tuple[LoweredStep, ...]:
    """The kernel calls of all steps with the kernel set `kernels`, a key of KERNEL_SETS."""
    room = _room(graph)
    return tuple(_lower(graph, step, KERNEL_SETS[kernels], room[step.op.index]) for step in steps)


def _room(graph: Graph) -> list[int]:
    """For each operator: a third more than the fullest one's tensors, less its own tensors."""
    last = {i: op.index for op in graph.operators for i in op.inputs}
    last |= dict.fromkeys(graph.outputs, len(graph.operators))
    alive = set(graph.inputs)
    live = []
    for op in graph.operators:
        alive |= set(op.outputs)
        live.append(sum(graph.tensors[i].bytes for i in alive))
        alive = {i for i in alive if last.get(i, -1) > op.index}
    return [max(live) * 4 // 3 - size for size in live]


def _lower(graph: Graph, step: Step, lowerings: Mapping[str, Lowering], room: int) -> LoweredStep:
    int8 = graph.output(step.op).dtype == "int8"  # the faster kernels know no other activations
    lowering = lowerings.get(step.spec.name) if int8 else None
    lowered = lowering(graph, step, room) if lowering else None
    return lowered or LoweredStep(
        step=step, calls=step.spec.calls(step.params), in_place=step.spec.in_place(step.params)
    )
