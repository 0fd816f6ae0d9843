"""Run operators together, some rows at a time, where that makes the arena smaller.

The fullest step decides: it is joined with operators before or behind it, whose tensors between
them then never are whole in the arena, until no step needs more than what is aimed at. Operators
that run together read some rows twice, so a smaller arena has its price, unless a budget asks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from quantize.lowering import LoweredStep
from quantize.lowering.rows import (
    bare_rows,
    instructions,
    lower_rows,
    more_instructions,
    runs_by_rows,
)
from quantize.planner import ArenaPlan, needs_of, plan_arena
from quantize.tflite.graph import Graph

Steps = tuple[LoweredStep, ...]
Planned = tuple[Steps, ArenaPlan]
LONGEST = (2, 4)  # operators together: at most so many, one after the other
HEIGHTS = (1, 2, 4, 6, 8, 12, 16, 24, 32)  # rows of the last output at a time
GAIN = 95  # percent of an arena that a smaller one takes at most, to be worth more calls
NEAR = 102  # percent of the bound, from which on no longer search for a plan pays
PRICE = 25  # percent of an arena that one percent more instructions has to save


def with_joined(graph: Graph, steps: Sequence[LoweredStep]) -> Graph:
    """The graph as the steps run it: operators that run together are one."""
    return replace(graph, operators=tuple(s.step.op for s in steps))


def join(graph: Graph, steps: Steps, kernels: str, budget_bytes: int | None = None) -> Planned:
    """The steps, some of them joined, and their plan. A budget that the arena is above is worth any
    price."""
    joining = _Joining(graph=graph, kernels=kernels, alone={s.step.op.index: s for s in steps})
    best = first = joining.planned(steps, search=budget_bytes is not None)
    while True:
        pressed = budget_bytes is not None and best[1].bytes > budget_bytes
        found = joining.smaller(best, 100 if pressed else GAIN)
        worth = [f for f in found if pressed or joining.is_worth(best, f)]
        if not worth:
            far = 100 if best is first else NEAR  # joined steps have been compared already
            near = best[1].bytes * 100 <= best[1].lower_bound * far
            return best if near else joining.planned(best[0])
        best = min(worth, key=lambda f: f[1].bytes)


@dataclass(frozen=True, slots=True)
class _Joining:
    """Ways to join the steps of a graph."""

    graph: Graph
    kernels: str
    alone: Mapping[int, LoweredStep]  # operator -> what it is when it runs alone

    def smaller(self, now: Planned, percent: int) -> Iterator[Planned]:
        """Steps with more of them joined, whose arena is at most so many percent, and smaller."""
        for longest in LONGEST:
            limit = now[1].lower_bound * percent // 100 - 1
            joined = self._within(now[0], limit, longest)
            if joined is not None:
                planned = self.planned(joined, search=False)
                if planned[1].bytes <= now[1].bytes * percent // 100 - 1:
                    yield self._taller(planned)

    def is_worth(self, before: Planned, after: Planned) -> bool:
        """Whether an arena is as much smaller as its instructions are more."""
        saved = 1 - after[1].bytes / before[1].bytes
        more = sum(map(self._more, after[0])) - sum(map(self._more, before[0]))
        return saved * sum(map(instructions, self.alone.values())) >= PRICE * more

    def planned(self, steps: Steps, *, search: bool = True) -> Planned:
        """The steps and the plan of their arena."""
        return steps, plan_arena(with_joined(self.graph, steps), steps, search=search)

    def _parts(self, steps: Sequence[LoweredStep]) -> list[LoweredStep]:
        return [self.alone[one.op.index] for s in steps for one in (*s.before, s.step)]

    def _more(self, step: LoweredStep) -> int:
        """Instructions that operators of a step take together and not alone."""
        return more_instructions(self._parts([step]), step.height) if step.before else 0

    def _taller(self, now: Planned) -> Planned:
        """The same steps together, with as many rows at a time as the arena has room for."""
        for one in (s for s in now[0] if s.before):
            for height in reversed(_heights(one)):
                if height <= one.height:
                    break
                bare = bare_rows(self._parts([one]), height)
                if bare is None or self._more(bare) >= self._more(one):
                    continue
                steps = tuple(bare if s is one else s for s in now[0])
                if self._need(steps, bare) > now[1].bytes:
                    continue
                taller = lower_rows(self.graph, self._parts([one]), self.kernels, height)
                if taller is not None:
                    steps = tuple(taller if s is one else s for s in now[0])
                    planned = self.planned(steps, search=False)
                    if planned[1].bytes <= now[1].bytes:
                        now = planned
                        break
        return now

    def _within(self, steps: Steps, limit: int, longest: int) -> Steps | None:
        """Steps of which none needs more than `limit` bytes; None without a way."""
        while True:
            needs = _needs(self.graph, steps)
            fullest = max(steps, key=lambda s: needs[s.step.op.index])
            if needs[fullest.step.op.index] <= limit:
                return steps
            joined = self._joined(steps, fullest, limit, longest)
            if joined is None:
                return None
            steps = joined

    def _joined(self, steps: Steps, fullest: LoweredStep, limit: int, longest: int) -> Steps | None:
        """The steps with the fullest one joined to neighbours: those that need least, of these the
        cheapest."""
        needs = _needs(self.graph, steps)
        ways = []
        for group in _groups(self.graph, steps, fullest):
            parts, indices = self._parts(group), {s.step.op.index for s in group}
            if len(parts) > longest:
                continue
            floor = max((n for i, n in needs.items() if i not in indices), default=0)
            for height in _heights(group[-1]):
                if (bare := bare_rows(parts, height)) is not None:
                    need = self._need(_replaced(steps, indices, bare), bare)
                    more = more_instructions(parts, height)
                    ways.append(((max(need, floor), more), height, parts, indices, floor))
        found: tuple[tuple[int, int], Steps] | None = None
        for rank, height, parts, indices, floor in sorted(ways, key=lambda way: way[0]):
            if rank[0] > limit or (found is not None and rank >= found[0]):
                break  # with scratch each needs more
            one = lower_rows(self.graph, parts, self.kernels, height)
            if one is not None:
                joined = _replaced(steps, indices, one)
                need = self._need(joined, one)
                real = (max(need, floor), rank[1])
                if need <= limit and (found is None or real < found[0]):
                    found = (real, joined)
        return found[1] if found else None

    def _need(self, steps: Steps, one: LoweredStep) -> int:
        return needs_of(with_joined(self.graph, steps), [s.step for s in steps])(one)


def _needs(graph: Graph, steps: Steps) -> dict[int, int]:
    """Operator of each step -> the bytes that are in use while it runs."""
    need = needs_of(with_joined(graph, steps), [s.step for s in steps])
    return {s.step.op.index: need(s) for s in steps}


def _replaced(steps: Steps, indices: set[int], one: LoweredStep) -> Steps:
    """`one` in the place of the last of the steps with these indices, and the others gone."""
    last = max(indices)
    kept = (one if s.step.op.index == last else s for s in steps)
    return tuple(s for s in kept if s is one or s.step.op.index not in indices)


def _heights(last: LoweredStep) -> list[int]:
    rows = last.step.params.output_shape[1]
    return [*(h for h in HEIGHTS if h < rows), rows]


def _groups(graph: Graph, steps: Steps, fullest: LoweredStep) -> Iterator[list[LoweredStep]]:
    """What may run together with the fullest step, which may be joined already.

    Nothing runs between them, such as an assignment of the variable that the first one reads.
    """
    order = {s.step.op.index: k for k, s in enumerate(s for s in steps if not s.step.alias)}
    for group in _paths(graph, steps, fullest):
        if order[group[-1].step.op.index] - order[group[0].step.op.index] == len(group) - 1:
            yield group


def _paths(graph: Graph, steps: Steps, fullest: LoweredStep) -> Iterator[list[LoweredStep]]:
    """Operators of rows one behind the other, each the only reader of the one before."""
    makers = {o: s for s in steps for o in s.step.op.outputs}
    read = {i for s in steps for i in s.step.op.inputs} | {*graph.outputs}
    readers: dict[int, list[LoweredStep]] = {}
    for s in steps:
        if s.step.alias and not read & set(s.step.op.outputs):
            continue  # what is left of a PAD
        for i in s.step.op.inputs:
            readers.setdefault(i, []).append(s)

    def is_between(tensor: int) -> bool:
        """Whether only one operator reads it."""
        return len(readers.get(tensor, [])) == 1 and tensor not in graph.outputs

    def before(s: LoweredStep) -> LoweredStep | None:
        source = s.step.op.inputs[0]
        maker = makers.get(source)
        return maker if maker and is_between(source) and runs_by_rows(maker.step) else None

    def behind(s: LoweredStep) -> LoweredStep | None:
        output = s.step.op.outputs[0]
        reader = readers[output][0] if is_between(output) else None
        return reader if reader and runs_by_rows(reader.step) else None

    if not runs_by_rows(fullest.step):
        return
    front = [fullest]
    while len(front) < max(LONGEST) and (maker := before(front[0])) is not None:
        front.insert(0, maker)
    for first in range(len(front)):
        group = front[first:]
        if len(group) > 1 or fullest.before:
            yield group
        while len(group) < max(LONGEST) and (reader := behind(group[-1])) is not None:
            group = [*group, reader]
            yield group
