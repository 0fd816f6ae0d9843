"""Give every run-time tensor a place in the arena; two that live at the same time never overlap."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from quantize.lowering import LoweredStep
from quantize.reference import Step
from quantize.scheme import IntArray
from quantize.tflite.graph import Graph

ALIGNMENT = 16  # bytes
TRIES = 400  # other orders of a small graph, where no usual one reaches the bound
WORK = 400_000  # what they may cost together: tries times the square of what is placed


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """Where some bytes lie, and from which to which step (both included) they are needed."""

    tensors: tuple[int, ...]  # all that are in these bytes; none: scratch of its step
    offset: int
    bytes: int
    first_step: int
    last_step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ArenaPlan:
    """A plan and how good it is: with these kernels no plan is smaller than `lower_bound` bytes."""

    allocations: tuple[Allocation, ...]
    bytes: int
    lower_bound: int

    def offset(self, tensor: int) -> int:
        """Byte offset of a run-time tensor in the arena."""
        for allocation in self.allocations:
            if tensor in allocation.tensors:
                return allocation.offset
        raise KeyError(tensor)

    def scratch(self, step: int) -> int:
        """Byte offset of the scratch of operator `step`."""
        for allocation in self.allocations:
            if not allocation.tensors and allocation.first_step == step:
                return allocation.offset
        raise KeyError(step)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Buffer:
    """A tensor and its aliases, or scratch."""

    tensors: tuple[int, ...]
    size: int  # padded to ALIGNMENT
    first: int
    last: int


_Unit = tuple[_Buffer, ...]  # at one offset: each is written over the one before, which is larger
_Sharing = Callable[[int, int], bool]  # whether an output of that size is written over that input


def plan_arena(graph: Graph, steps: Sequence[LoweredStep]) -> ArenaPlan:
    """Place all tensors and scratch: the smallest of several greedy orders and of random ones.

    Model inputs are needed from step 0, model outputs until after the last step, variable tensors
    all the time. The output of an operator that is an alias shares its input's bytes. The output of
    one that works in place takes over an input's bytes when nothing reads them any more and they
    suffice; what it leaves of them is free after that step. That is tried for all such operators,
    and only for inputs of the output's own size, which leaves more ways to place the rest.
    """
    bound = max(map(needs_of(graph, [s.step for s in steps]), steps))
    best: list[tuple[_Unit, int]] | None = None
    for units in _sharings(graph, steps):
        found = _best(units, bound)
        if best is None or _height(found) < _height(best):
            best = found
        if _height(best) == bound:
            break
    assert best is not None
    allocations = [a for unit, offset in best for a in _allocations(unit, offset)]
    return ArenaPlan(
        allocations=tuple(sorted(allocations, key=lambda a: (a.first_step, a.offset))),
        bytes=_height(best),
        lower_bound=bound,
    )


def needs_of(graph: Graph, steps: Sequence[Step]) -> Callable[[LoweredStep], int]:
    """How many bytes are in use at once while a step runs, its scratch among them.

    No plan has fewer, and the figure of a step depends on no other step's kernels.
    """
    buffers = _buffers(graph, steps)
    place = {t: b for b in buffers for t in b.tensors}
    alive = np.zeros(len(graph.operators) + 1, np.int64)
    for b in buffers:
        alive[b.first : b.last + 1] += b.size

    def need(lowered: LoweredStep) -> int:
        op = lowered.step.op
        shared = _taken_over(graph, lowered, place, lambda output, size: True)
        saved = place[op.outputs[0]].size if shared else 0
        return int(alive[op.index]) - saved + _aligned(lowered.scratch_bytes)

    return need


def _allocations(unit: _Unit, offset: int) -> Iterator[Allocation]:
    """At the step that writes one buffer over another, its bytes are the larger one's."""
    for first, last, size in _spans(unit):
        within = [b for b in unit if b.first <= last and b.last >= first]
        yield Allocation(
            tensors=tuple(t for b in within for t in b.tensors),
            offset=offset,
            bytes=size,
            first_step=first,
            last_step=last,
        )


def _spans(unit: _Unit) -> list[tuple[int, int, int]]:
    """First step, last step and size of what a unit takes, one after the other."""
    spans: list[tuple[int, int, int]] = []
    for b in unit:
        if spans and (b.size == spans[-1][2] or b.last <= spans[-1][1]):
            spans[-1] = (spans[-1][0], max(spans[-1][1], b.last), spans[-1][2])
        else:
            spans.append((spans[-1][1] + 1 if spans else b.first, b.last, b.size))
    return spans


def _height(plan: Sequence[tuple[_Unit, int]]) -> int:
    return max(offset + unit[0].size for unit, offset in plan)


def _sharings(graph: Graph, steps: Sequence[LoweredStep]) -> Iterator[list[_Unit]]:
    """What is placed, for each way to decide which outputs are written over inputs."""
    buffers = _buffers(graph, [s.step for s in steps])
    scratch = [
        _Buffer(tensors=(), size=_aligned(s.scratch_bytes), first=index, last=index)
        for s in steps
        for index in [s.step.op.index]
        if s.scratch_bytes
    ]
    place = {t: b for b in buffers for t in b.tensors}
    ways: tuple[_Sharing, ...] = (
        lambda output, size: True,
        lambda output, size: output == size,
        lambda output, size: False,
    )
    for way in ways:
        unit_of: dict[_Buffer, list[_Buffer]] = {b: [b] for b in buffers}
        for lowered in steps:
            under = _taken_over(graph, lowered, place, way)
            if under is not None:
                over = place[lowered.step.op.outputs[0]]
                unit_of[under].append(over)
                unit_of[over] = unit_of[under]
        yield [tuple(u) for b, u in unit_of.items() if u[0] == b] + [(b,) for b in scratch]


def _best(units: list[_Unit], bound: int) -> list[tuple[_Unit, int]]:
    """The lowest of the usual orders, else of a search; the first that reaches the bound."""
    needs = _needs(units)
    best, low = [0] * len(units), -1
    for order in _orders(units):
        offsets = _place(order, needs)
        height = max(o + u[0].size for o, u in zip(offsets, units, strict=True))
        if low < 0 or height < low:
            best, low = offsets, height
        if low == bound:
            break
    else:
        best = _searched(units, needs, best, bound)
    return list(zip(units, best, strict=True))


def _orders(units: list[_Unit]) -> Iterator[list[int]]:
    """Orders to place units in: by size, area, time, life."""
    firsts, lasts, sizes = ([u[0].first for u in units], [u[-1].last for u in units],
                            [u[0].size for u in units])  # fmt: skip
    keys: tuple[Callable[[int], tuple[int, ...]], ...] = (
        lambda i: (-sizes[i], firsts[i]),
        lambda i: (-sum(s * (b - a + 1) for a, b, s in _spans(units[i])), firsts[i]),
        lambda i: (firsts[i], -sizes[i]),
        lambda i: (firsts[i] - lasts[i], -sizes[i]),
        lambda i: (-lasts[i], -sizes[i]),
    )
    for key in keys:
        yield sorted(range(len(units)), key=key)


def _searched(units: list[_Unit], needs: IntArray, best: list[int], bound: int) -> list[int]:
    """Moves of one unit in the order of the offsets, which is an order that leads to the plan."""
    rng = random.Random(0)
    sizes = [u[0].size for u in units]
    order = sorted(range(len(units)), key=lambda i: (best[i], -sizes[i]))
    low = max(o + s for o, s in zip(best, sizes, strict=True))
    for _ in range(min(TRIES, WORK // len(units) ** 2)):
        trial = list(order)
        trial.insert(rng.randrange(len(trial)), trial.pop(rng.randrange(len(trial))))
        offsets = _place(trial, needs)
        height = max(o + s for o, s in zip(offsets, sizes, strict=True))
        if height <= low:
            order, best, low = trial, offsets, height
        if low == bound:
            break
    return best


def _needs(units: list[_Unit]) -> IntArray:
    """[i, j]: the most bytes that unit i takes at a step at which j takes any; 0: they never meet.

    Unit i may lie from there below j's offset.
    """
    spans = [_spans(u) for u in units]
    first, last, size = np.array([s for unit in spans for s in unit], np.int64).T
    starts = np.cumsum([0] + [len(s) for s in spans[:-1]])
    meets = (first[:, None] <= last) & (first <= last[:, None])
    met = np.where(meets, size[:, None], 0)
    per_unit = np.maximum.reduceat(np.maximum.reduceat(met, starts, axis=0), starts, axis=1)
    result: IntArray = per_unit
    return result


def _place(order: Sequence[int], needs: IntArray) -> list[int]:
    """First fit: each unit at the lowest offset that is free while it lives."""
    offsets = np.full(len(order), -1, np.int64)
    for i in order:
        others = np.flatnonzero((offsets >= 0) & (needs[i] > 0))
        ends = offsets[others] + needs[others, i]
        limits = offsets[others] - needs[i, others]  # the highest offset that is below each
        by_limit = np.argsort(limits, kind="stable")
        reached = np.maximum.accumulate(np.concatenate([[0], ends[by_limit]]))
        free = np.flatnonzero(reached[:-1] <= limits[by_limit])
        offsets[i] = reached[free[0]] if len(free) else reached[-1]
    return [int(o) for o in offsets]


def _last_uses(graph: Graph) -> dict[int, int]:
    """Tensor -> the last step that reads it; after the last step for what outlives a run."""
    uses = {i: op.index for op in graph.operators for i in op.inputs}
    outlive = (*graph.outputs, *(t.index for t in graph.variables))
    return uses | dict.fromkeys(outlive, len(graph.operators))


def _buffers(graph: Graph, steps: Sequence[Step]) -> list[_Buffer]:
    """All run-time tensors, each with its aliases."""
    uses = _last_uses(graph)
    given = (*graph.inputs, *(t.index for t in graph.variables))
    owner = {i: i for i in given}
    first = dict.fromkeys(given, 0)
    last = {i: uses.get(i, 0) for i in given}
    for step in steps:
        for o in step.op.outputs:
            root = owner.get(step.op.inputs[0], o) if step.alias else o
            first.setdefault(root, step.op.index)
            owner[o] = root
            last[root] = max(last.get(root, 0), uses.get(o, step.op.index))
    members: dict[int, list[int]] = {root: [] for root in first}
    for tensor, root in owner.items():
        members[root].append(tensor)
    return [
        _Buffer(
            tensors=tuple(members[root]),
            size=_aligned(graph.tensors[root].bytes),
            first=first[root],
            last=last[root],
        )
        for root in first
    ]


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _taken_over(
    graph: Graph, lowered: LoweredStep, place: Mapping[int, _Buffer], way: _Sharing
) -> _Buffer | None:
    """The buffer of an input that a step's output is written over, if any."""
    op = lowered.step.op
    if lowered.step.alias:
        return None
    for position in lowered.in_place:
        index = op.inputs[position]
        under = place.get(index)
        size, output = graph.tensors[index].bytes, graph.output(op).bytes
        if under is not None and under.last == op.index and output <= size and way(output, size):
            return under
    return None
