"""Run operators together, some rows at a time, where the arena is smaller then.

The fullest step decides: it is joined with the operator before or behind it, whose tensor between
them then never is in the arena, until no such pair needs less.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from quantize.lowering import LoweredStep
from quantize.lowering.rows import bare_rows, lower_rows, runs_by_rows
from quantize.planner import ArenaPlan, needs_of, plan_arena
from quantize.tflite.graph import Graph

Steps = tuple[LoweredStep, ...]
LONGEST = 4  # operators together
HEIGHTS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)  # rows of the last output at a time
GAIN = 95  # percent of an arena that a smaller one has at most, to be worth more calls


def join(graph: Graph, steps: Steps, plan: ArenaPlan, kernels: str) -> tuple[Steps, ArenaPlan]:
    """The steps with some of them joined and the smaller plan, or what was given."""
    alone = {s.step.op.index: s for s in steps}
    while True:
        joined = _within(graph, steps, alone, kernels, plan.lower_bound * GAIN // 100)
        if joined is None:
            break
        found = plan_arena(with_joined(graph, joined), joined)
        if found.bytes > plan.bytes * GAIN // 100:
            break
        steps, plan = joined, found
    return steps, plan


def with_joined(graph: Graph, steps: Sequence[LoweredStep]) -> Graph:
    """The graph as the steps run it: operators that run together are one."""
    return replace(graph, operators=tuple(s.step.op for s in steps))


def _within(
    graph: Graph, steps: Steps, alone: Mapping[int, LoweredStep], kernels: str, limit: int
) -> Steps | None:
    """The steps with so many joined that none needs more than `limit` bytes; None without a way."""
    while True:
        need = needs_of(with_joined(graph, steps), [s.step for s in steps])
        fullest = max(steps, key=need)
        if need(fullest) <= limit:
            return steps
        joined = _joined(graph, steps, alone, kernels, fullest, limit)
        if joined is None:
            return None
        steps = joined


def _joined(
    graph: Graph,
    steps: Steps,
    alone: Mapping[int, LoweredStep],
    kernels: str,
    fullest: LoweredStep,
    limit: int,
) -> Steps | None:
    """The steps with the fullest one joined to neighbours: the group that needs least, of these
    the shortest, with the most rows at a time."""
    need = needs_of(with_joined(graph, steps), [s.step for s in steps])
    ways = []
    for group in _groups(graph, steps, fullest):
        indices = {s.step.op.index for s in group}
        parts = [alone[o.op.index] for s in group for o in (*s.before, s.step)]
        if len(parts) > LONGEST:
            continue
        floor = max((need(s) for s in steps if s.step.op.index not in indices), default=0)
        for height in _heights(parts):
            bare = bare_rows(parts, height)
            joined = _replaced(steps, indices, bare) if bare else steps
            needed = _need(graph, joined, bare) if bare else limit + 1
            if needed <= limit:
                ways.append((max(needed, floor), len(parts), -height, parts, indices, floor))
    found: tuple[tuple[int, int, int], Steps] | None = None
    for *rank, parts, indices, floor in sorted(ways, key=lambda way: way[:3]):
        if found is not None and tuple(rank) >= found[0]:
            break  # with scratch each needs more
        one = lower_rows(graph, parts, kernels, -rank[2])
        if one is None:
            continue
        joined = _replaced(steps, indices, one)
        needed = _need(graph, joined, one)
        real = (max(needed, floor), rank[1], rank[2])
        if needed <= limit and (found is None or real < found[0]):
            found = (real, joined)
    return found[1] if found else None


def _need(graph: Graph, steps: Steps, one: LoweredStep) -> int:
    return needs_of(with_joined(graph, steps), [s.step for s in steps])(one)


def _replaced(steps: Steps, indices: set[int], one: LoweredStep) -> Steps:
    """`one` in the place of the last of the steps with these indices, and the others gone."""
    last = max(indices)
    kept = (one if s.step.op.index == last else s for s in steps)
    return tuple(s for s in kept if s is one or s.step.op.index not in indices)


def _heights(parts: Sequence[LoweredStep]) -> list[int]:
    rows = parts[-1].step.params.output_shape[1]
    return [*(h for h in HEIGHTS if h < rows), rows]


def _groups(graph: Graph, steps: Steps, fullest: LoweredStep) -> Iterator[list[LoweredStep]]:
    """What may run together with the fullest step."""
    makers = {o: s for s in steps for o in s.step.op.outputs}
    readers: dict[int, list[LoweredStep]] = {}
    for s in steps:
        for i in s.step.op.inputs:
            readers.setdefault(i, []).append(s)

    def before(s: LoweredStep) -> LoweredStep | None:
        source = s.step.op.inputs[0]
        maker = makers.get(source)
        alone = len(readers[source]) == 1 and source not in graph.outputs
        return maker if maker and alone and _may(maker) else None

    def behind(s: LoweredStep) -> LoweredStep | None:
        output = s.step.op.outputs[0]
        found = readers.get(output, [])
        alone = len(found) == 1 and output not in graph.outputs
        return found[0] if alone and _may(found[0]) else None

    if not _may(fullest):
        return
    front = [fullest]
    while len(front) < LONGEST and (maker := before(front[0])) is not None:
        front.insert(0, maker)
    for first in range(len(front)):
        group = front[first:]
        if len(group) > 1 or group[0].before:
            yield group
        while len(group) < LONGEST and (reader := behind(group[-1])) is not None:
            group = [*group, reader]
            yield group


def _may(s: LoweredStep) -> bool:
    return runs_by_rows(s.step)
