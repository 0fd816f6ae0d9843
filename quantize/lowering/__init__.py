"""Choose the kernels that compute each step: one set of kernels for each kind of core."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from quantize.errors import QuantizeError
from quantize.lowering.base import LoweredStep
from quantize.lowering.bytes import lower_dense_bytes
from quantize.lowering.conv import lower_conv
from quantize.lowering.dense import lower_dense, lower_dense_halves
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

__all__ = ["KERNEL_SETS", "LoweredStep", "lower"]

# Knows faster kernels of an operator; None from it: take the reference kernel. Its last argument,
# `room`, are the bytes of scratch that do not make the arena much larger.
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

# packings that take more flash and fewer instructions: only where a budget has room for them
LARGER: dict[str, Mapping[str, Lowering]] = {
    "armv7em": {"FULLY_CONNECTED": lower_dense_halves},
}
REFERENCE_COST = 7  # instructions a MAC, about


def lower(
    graph: Graph, steps: Sequence[Step], kernels: str = "ref", flash_bytes: int | None = None
) -> tuple[LoweredStep, ...]:
    """The kernel calls of all steps with the kernel set `kernels`, a key of KERNEL_SETS.

    With `flash_bytes`, the packings whose constants fit into them and cost the fewest instructions:
    larger ones than usual, or the reference kernels'. Raises QuantizeError when none fits.
    """
    room = _room(graph)
    usual = [_lower(graph, step, KERNEL_SETS[kernels], room[step.op.index]) for step in steps]
    if flash_bytes is None:
        return tuple(usual)
    choices = []
    for lowered in usual:
        step = lowered.step
        if lowered.cost is None:
            choices.append([lowered])
            continue
        small = replace(_reference(step), cost=REFERENCE_COST * step.spec.macs(step.params))
        larger = _faster(graph, step, LARGER.get(kernels, {}), room[step.op.index])
        choices.append([small, lowered, *([larger] if larger else [])])
    return _choose(choices, flash_bytes)


def _choose(choices: Sequence[Sequence[LoweredStep]], budget: int) -> tuple[LoweredStep, ...]:
    """Begin with the smallest of each step, then take what saves most for a byte, while it fits."""
    picked = [min(steps, key=lambda s: s.constant_bytes) for steps in choices]
    free = budget - sum(s.constant_bytes for s in picked)
    if free < 0:
        raise QuantizeError(
            f"a flash budget of {budget} bytes: the model's constants take at least "
            f"{budget - free}; allow that much, or make the model smaller"
        )
    while True:
        better = [
            ((now.cost - s.cost) / max(s.constant_bytes - now.constant_bytes, 1), i, s)
            for i, now in enumerate(picked)
            for s in choices[i]
            if s.cost is not None
            and now.cost is not None
            and s.cost < now.cost
            and s.constant_bytes - now.constant_bytes <= free
        ]
        if not better:
            return tuple(picked)
        _, i, best = max(better, key=lambda item: item[0])
        free -= best.constant_bytes - picked[i].constant_bytes
        picked[i] = best


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
    return _faster(graph, step, lowerings, room) or _reference(step)


def _faster(
    graph: Graph, step: Step, lowerings: Mapping[str, Lowering], room: int
) -> LoweredStep | None:
    int8 = graph.output(step.op).dtype == "int8"  # the faster kernels know no other activations
    lowering = lowerings.get(step.spec.name) if int8 else None
    return lowering(graph, step, room) if lowering else None


def _reference(step: Step) -> LoweredStep:
    return LoweredStep(
        step=step, calls=step.spec.calls(step.params), in_place=step.spec.in_place(step.params)
    )
