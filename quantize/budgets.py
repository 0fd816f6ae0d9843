"""Kernels and arena of a model within the budgets that it is given."""

from __future__ import annotations

from collections.abc import Sequence

from quantize.chains import join, with_joined
from quantize.errors import QuantizeError
from quantize.lowering import LARGER, LoweredStep, lower, with_larger, with_less_scratch
from quantize.lowering.base import in_ram
from quantize.planner import ArenaPlan, needs_of, plan_arena
from quantize.reference import Step
from quantize.tflite.graph import Graph

COPYING = {"armv7em"}  # sets of kernels whose chip waits for each word from flash
# Of the goal: what a step may need at once, so that the plan, which may have gaps, reaches it.
LIMITS = (1.0, 0.9, 0.8, 0.6, 0.0)


def lower_and_plan(
    graph: Graph,
    steps: Sequence[Step],
    kernels: str,
    *,
    constants_bytes: int | None = None,
    ram_bytes: int | None = None,
    usual_bytes: int | None = None,
) -> tuple[tuple[LoweredStep, ...], ArenaPlan]:
    """The kernels of all steps, and the arena that holds their tensors and scratch.

    The usual kernels, larger packings where they make the arena no larger, and others with less
    scratch where the arena is above `ram_bytes`, which is a budget, or above `usual_bytes`, which
    is a goal. Operators whose tensors make the arena large then run together, some rows at a time
    (quantize.chains). The reference kernels have no budgets. Raises QuantizeError where a budget is
    too small.
    """
    if kernels == "ref":
        constants_bytes = ram_bytes = None

    def planned(lowered: tuple[LoweredStep, ...]) -> tuple[tuple[LoweredStep, ...], ArenaPlan]:
        if kernels == "ref":
            return lowered, plan_arena(graph, lowered)
        return join(graph, lowered, kernels, ram_bytes)

    lowered = lower(graph, steps, kernels, constants_bytes)
    larger = lowered
    if constants_bytes is None and kernels in LARGER:
        larger = with_larger(graph, lowered, kernels)
    taken = any(a.calls != b.calls for a, b in zip(larger, lowered, strict=True))
    best = planned(lowered if taken else larger)
    if taken and (found := planned(larger))[1].bytes <= best[1].bytes:
        best = found
    need = needs_of(graph, steps)
    goals = [b for b in (ram_bytes, usual_bytes) if b is not None]
    if goals and best[1].bytes > min(goals):
        found = planned(with_less_scratch(graph, lowered, kernels))
        if found[1].bytes < best[1].bytes:
            best = found
    for limit in LIMITS if goals else ():
        if best[1].bytes <= min(goals):
            break
        try:
            within = (need, int(limit * min(goals)))
            lowered = lower(graph, steps, kernels, constants_bytes, within)
        except QuantizeError:
            break  # what takes less RAM takes more flash than there is
        found = planned(lowered)
        if found[1].bytes < best[1].bytes:
            best = found
    if ram_bytes is not None and best[1].bytes > ram_bytes:
        beside = f" beside {constants_bytes} bytes of constants" if constants_bytes else ""
        what = f"a RAM budget of {ram_bytes} bytes{beside}: with the kernels {kernels}"
        raise QuantizeError(f"{what} {_fullest(graph, *best)}")
    return _with_copies(graph, *best) if kernels in COPYING else best


def _fullest(graph: Graph, lowered: tuple[LoweredStep, ...], plan: ArenaPlan) -> str:
    """What the smallest arena is, and the step that takes most of it."""
    need = needs_of(with_joined(graph, lowered), [s.step for s in lowered])
    fullest = max(lowered, key=need)
    op, scratch = fullest.step.op, fullest.scratch_bytes
    names = ", ".join(dict.fromkeys(call.function for call in fullest.calls)) or "no kernel"
    return (
        f"the smallest arena takes {plan.bytes}, most at operator {op.index} {op.name} ({names}, "
        f"{scratch} bytes of scratch); allow that much, or make the model smaller"
    )


def _with_copies(
    graph: Graph, lowered: tuple[LoweredStep, ...], plan: ArenaPlan
) -> tuple[tuple[LoweredStep, ...], ArenaPlan]:
    """The same with weights in RAM where they are read often and the arena has free bytes while
    the step runs; it gets no larger."""
    whole = with_joined(graph, lowered)
    need = needs_of(whole, [s.step for s in lowered])
    for limit in LIMITS[:-1]:
        steps = tuple(
            copy if copy is not None and need(copy) <= limit * plan.bytes else step
            for step, copy in zip(lowered, map(in_ram, lowered), strict=True)
        )
        if steps == lowered:
            break
        copying = plan_arena(whole, steps)
        if copying.bytes <= plan.bytes:
            return steps, copying
    return lowered, plan
