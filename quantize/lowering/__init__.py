"""Choose the kernels that compute each step: one set of kernels for each kind of core."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from quantize.errors import QuantizeError
from quantize.lowering import (
    conv_cortex_m,
    conv_mac16,
    conv_xtensa,
    dense_cortex_m,
    dense_mac16,
    dense_xtensa,
    depthwise_cortex_m,
    depthwise_mac16,
    depthwise_xtensa,
    elementwise_cortex_m,
    elementwise_xtensa,
    lstm_cortex_m,
    matmul_cortex_m,
    pairs,
    pool_cortex_m,
    scalar_cortex_m,
    svdf_cortex_m,
    transpose_conv_cortex_m,
)
from quantize.lowering.base import LoweredStep
from quantize.ops.rules import Lowering
from quantize.reference import Step
from quantize.tflite.graph import Graph

__all__ = ["KERNEL_SETS", "LoweredStep", "lower"]

# Makes faster calls of a step; None from it: take the reference kernel. Its last argument are the
# bytes of scratch that do not make the arena much larger.
Lower = Callable[[Graph, Step, int], LoweredStep | None]
# Which of them an operator takes, its OpSpec says.
KERNEL_SETS: dict[str, Mapping[Lowering, Lower]] = {
    "ref": {},
    "armv7em": {
        Lowering.AVERAGE_POOL: pool_cortex_m.lower_average_pool,
        Lowering.BATCH_MATMUL: matmul_cortex_m.lower_matmul,
        Lowering.CONVOLUTION: conv_cortex_m.lower_conv,
        Lowering.DENSE: dense_cortex_m.lower_dense,
        Lowering.DEPTHWISE: depthwise_cortex_m.lower_depthwise,
        Lowering.LSTM: lstm_cortex_m.lower_lstm,
        Lowering.MAX_POOL: pool_cortex_m.lower_max_pool,
        Lowering.MEAN: pool_cortex_m.lower_mean,
        Lowering.PAIR_TABLE: pairs.lower_table,
        Lowering.PRODUCT: elementwise_cortex_m.lower_product,
        Lowering.RESCALE: elementwise_cortex_m.lower_rescale,
        Lowering.SOFTMAX: elementwise_cortex_m.lower_softmax,
        Lowering.SQUARED_DIFFERENCE: scalar_cortex_m.lower_squares,
        Lowering.SVDF: svdf_cortex_m.lower_svdf,
        Lowering.TRANSPOSE_CONV: transpose_conv_cortex_m.lower_transpose_conv,
        Lowering.WEIGHTED_SUM: elementwise_cortex_m.lower_sum,
    },
    "xtensa": {
        Lowering.CONVOLUTION: conv_xtensa.lower_conv,
        Lowering.DENSE: dense_xtensa.lower_dense,
        Lowering.DEPTHWISE: depthwise_xtensa.lower_depthwise,
        Lowering.PAIR_TABLE: pairs.lower_table,
        Lowering.RESCALE: elementwise_xtensa.lower_rescale,
        Lowering.WEIGHTED_SUM: elementwise_xtensa.lower_sum,
    },
}
# what MAC16 does not make faster stays
KERNEL_SETS["xtensa_mac16"] = {
    **KERNEL_SETS["xtensa"],
    Lowering.CONVOLUTION: conv_mac16.lower_conv,
    Lowering.DENSE: dense_mac16.lower_dense,
    Lowering.DEPTHWISE: depthwise_mac16.lower_depthwise,
}

# packings that take more flash and fewer instructions: only where the flash has bytes for them
LARGER: dict[str, Mapping[Lowering, Sequence[Lower]]] = {
    "armv7em": {
        Lowering.DENSE: (dense_cortex_m.lower_dense_halves, dense_cortex_m.lower_dense_narrow)
    },
    "xtensa_mac16": {Lowering.DENSE: (dense_mac16.lower_dense_halves,)},
}
REFERENCE_COST = 7  # instructions a MAC, about


Need = Callable[[LoweredStep], int]  # the bytes that are in use while a step runs


def lower(
    graph: Graph,
    steps: Sequence[Step],
    kernels: str = "ref",
    flash_bytes: int | None = None,
    ram: tuple[Need, int] | None = None,
) -> tuple[LoweredStep, ...]:
    """The kernel calls of all steps with the kernel set `kernels`, a key of KERNEL_SETS.

    With `flash_bytes`, the packings whose constants fit into them and cost the fewest instructions:
    larger ones than usual, or the reference kernels'. Raises QuantizeError when none fits. With
    `ram`, kernels that need at most so many bytes, or what needs least where there are none.
    """
    if kernels == "ref":
        return tuple(_reference(step) for step in steps)
    budgets = _scratch_budgets_bytes(graph)
    choices = [
        _choices(graph, step, kernels, budgets[step.op.index], flash_bytes is not None, ram)
        for step in steps
    ]
    if flash_bytes is None:
        return tuple(lowered[0] for lowered in choices)
    return _choose(choices, flash_bytes)


def _choices(
    graph: Graph,
    step: Step,
    kernels: str,
    scratch_bytes: int,
    by_flash: bool,
    ram: tuple[Need, int] | None,
) -> list[LoweredStep]:
    """The ways to compute a step, the usual one first; several only where flash chooses."""
    way = _lowering(graph, step, kernels)
    faster = KERNEL_SETS[kernels][way] if way else lambda *_: None
    found = [faster(graph, step, scratch_bytes) or _reference(step)]
    if ram is not None and ram[0](found[0]) > ram[1]:
        spare = max(ram[1] - ram[0](_reference(step)), 0)
        less = [faster(graph, step, scratch) for scratch in (spare, 0)]
        found += [*(lowered for lowered in less if lowered), _reference(step)]
    if by_flash and found[0].cost is not None:
        larger = LARGER.get(kernels, {}).get(way, ()) if way else ()
        made = [make(graph, step, scratch_bytes) for make in larger]
        made.append(faster(graph, step, 0))  # what saves scratch may save flash too
        found += [w for w in (*made, _reference(step)) if w]
    if ram is not None:
        need, limit = ram
        found = [w for w in found if need(w) <= limit] or [min(found, key=need)]
    if not by_flash or found[0].cost is None:
        return found[:1]
    macs = step.spec.macs(step.params)
    return [w if w.cost is not None else replace(w, cost=REFERENCE_COST * macs) for w in found]


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


def _scratch_budgets_bytes(graph: Graph) -> list[int]:
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


def _lowering(graph: Graph, step: Step, kernels: str) -> Lowering | None:
    """How a step is made faster; the faster kernels know no other activations than int8."""
    int8 = graph.output(step.op).dtype == "int8"
    return step.spec.kernels.lowering(kernels) if int8 else None


def _reference(step: Step) -> LoweredStep:
    return LoweredStep(
        step=step, calls=step.spec.calls(step.params), in_place=step.spec.in_place(step.params)
    )
