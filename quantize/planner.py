"""Give every run-time tensor a place in the arena; two that live at the same time never overlap."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from quantize.lowering.base import LoweredStep, aligned
from quantize.reference import Step
from quantize.tflite.graph import Graph

TRIES = 400  # other orders of a small graph, where no usual one reaches the bound
FEW_TRIES = 100  # of a plan that is only compared with others
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

    def __contains__(self, tensor: int) -> bool:
        """Whether the tensor lies in the arena."""
        return any(tensor in allocation.tensors for allocation in self.allocations)

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


# At fixed distances: each buffer is written over the one before. With where it lies in the unit.
_Unit = tuple[tuple[_Buffer, int], ...]
_Units = tuple[_Unit, ...]
_Sharing = Callable[[int, int], bool]  # whether an output of that size is written over that input
NEVER, ANY_HEIGHT = -(1 << 40), 1 << 40  # bytes
AHEAD_LIMITS = 8  # between the bound and what is needed without outputs ahead of their inputs


def plan_arena(graph: Graph, steps: Sequence[LoweredStep], *, search: bool = True) -> ArenaPlan:
    """Place all tensors and scratch: the smallest of several greedy orders and of random ones; few
    of these without a `search`.

    Model inputs are needed from step 0, model outputs until after the last step, variable tensors
    all the time. The output of an operator that is an alias shares its input's bytes. The output of
    one that works in place takes over an input's bytes when nothing reads them any more and they
    suffice; what it leaves of them is free after that step. One that reads faster than it writes
    does so from some bytes before its input. Fewer shared bytes leave more ways to place the rest,
    so several ways are tried.
    """
    bound = max(map(needs_of(graph, [s.step for s in steps]), steps))
    best: list[tuple[_Unit, int]] | None = None
    for units in _sharings(graph, steps, bound):
        found = _best(units, bound, search)
        if best is None or _height(found) < _height(best):
            best = found
        if _height(best) == bound:
            break
    assert best is not None
    if not search and _height(best) > bound:
        units = tuple(unit for unit, _ in best)
        offsets = _searched(_Placing.of(units), [offset for _, offset in best], bound, FEW_TRIES)
        best = list(zip(units, offsets, strict=True))
    allocations = [a for unit, offset in best for a in _allocations(unit, offset)]
    return ArenaPlan(
        allocations=tuple(sorted(allocations, key=lambda a: (a.first_step, a.offset))),
        bytes=_height(best),
        lower_bound=bound,
    )


def needs_of(
    graph: Graph, steps: Sequence[Step], *, ahead: bool = True
) -> Callable[[LoweredStep], int]:
    """How many bytes are in use at once while a step runs, its scratch among them.

    No plan has fewer, and the figure of a step depends on no other step's kernels. Without `ahead`,
    no output begins before the input that it is written over.
    """
    buffers = _buffers(graph, steps)
    place = {t: b for b in buffers for t in b.tensors}
    alive = np.zeros(_end(graph) + 1, np.int64)
    for b in buffers:
        alive[b.first : b.last + 1] += b.size

    def need(lowered: LoweredStep) -> int:
        index = lowered.step.op.index
        shared = _taken_over(graph, lowered, place, _any_size, ahead=ahead)
        saved = 0
        if shared is not None:
            under, before = shared
            size = place[lowered.step.op.outputs[0]].size
            saved = under.size + size - max(size, before + under.size)
        return int(alive[index]) - saved + aligned(lowered.scratch_bytes)

    return need


def _allocations(unit: _Unit, offset: int) -> Iterator[Allocation]:
    """Buffers at one offset together: at the step that writes one over another, the larger one's
    bytes are needed. One that begins before its input overlaps it at that step."""
    for at, group in itertools.groupby(unit, key=lambda item: item[1]):
        run = tuple(group)
        for first, last, low, high in _spans(run):
            within = [b for b, _ in run if b.first <= last and b.last >= first]
            yield Allocation(
                tensors=tuple(t for b in within for t in b.tensors),
                offset=offset + at,
                bytes=high - low,
                first_step=first,
                last_step=last,
            )


def _spans(unit: _Unit) -> list[tuple[int, int, int, int]]:
    """First step, last step, begin and end of what a unit takes, one after the other."""
    spans: list[tuple[int, int, int, int]] = []

    def add(first: int, last: int, low: int, high: int) -> None:
        if spans and spans[-1][2:] == (low, high):
            spans[-1] = (spans[-1][0], max(last, spans[-1][1]), low, high)
        elif first <= last:
            spans.append((first, last, low, high))

    for k, (b, at) in enumerate(unit):
        if k:
            under, under_at = unit[k - 1]
            add(b.first, b.first, min(at, under_at), max(at + b.size, under_at + under.size))
        add(b.first + (k > 0), b.last - (k + 1 < len(unit)), at, at + b.size)
    return spans


def _size(unit: _Unit) -> int:
    return max(at + b.size for b, at in unit)


def _height(plan: Sequence[tuple[_Unit, int]]) -> int:
    return max(offset + _size(unit) for unit, offset in plan)


def _any_size(_output: int, _size: int) -> bool:
    return True


def _sharings(graph: Graph, steps: Sequence[LoweredStep], bound: int) -> Iterator[_Units]:
    """What is placed, once for each way to decide which outputs are written over inputs."""
    buffers = _buffers(graph, [s.step for s in steps])
    scratch = [
        _Buffer(tensors=(), size=aligned(s.scratch_bytes), first=index, last=index)
        for s in steps
        for index in [s.step.op.index]
        if s.scratch_bytes
    ]
    place = {t: b for b in buffers for t in b.tensors}
    plain = needs_of(graph, [s.step for s in steps], ahead=False)
    needs = [plain(s) for s in steps]
    most, spare = max(needs), max(needs) - bound
    # Outputs begin ahead of inputs where else more than a limit is needed: it ties many offsets.
    limits = [bound + k * spare // AHEAD_LIMITS for k in range(AHEAD_LIMITS if spare else 0)]
    ways: list[tuple[_Sharing, int]] = [
        (_any_size, most),
        *((_any_size, limit) for limit in limits),
        (lambda output, size: output == size, most),
        (lambda output, size: False, most),
    ]
    found: set[_Units] = set()
    for way, limit in ways:
        unit_of: dict[_Buffer, list[tuple[_Buffer, int]]] = {b: [(b, 0)] for b in buffers}
        for lowered, needed in zip(steps, needs, strict=True):
            shared = _taken_over(graph, lowered, place, way, ahead=needed > limit)
            if shared is not None:
                over, unit = place[lowered.step.op.outputs[0]], unit_of[shared[0]]
                unit.append((over, unit[-1][1] - shared[1]))
                unit_of[over] = unit
        whole = [u for b, u in unit_of.items() if u[0][0] == b] + [[(b, 0)] for b in scratch]
        units = tuple(tuple((b, at - min(at for _, at in u)) for b, at in u) for u in whole)
        if units not in found:
            found.add(units)
            yield units


def _best(units: _Units, bound: int, search: bool) -> list[tuple[_Unit, int]]:
    """The lowest of the usual orders, or of a search too; the first that reaches the bound."""
    placing = _Placing.of(units)
    best, low = [0] * len(units), ANY_HEIGHT
    for order in _orders(units, placing.sizes):
        offsets = placing.place(order, low - 1)
        if offsets is not None:
            best, low = offsets, placing.height(offsets)
        if low == bound:
            break
    else:
        best = _searched(placing, best, bound, TRIES) if search else best
    return list(zip(units, best, strict=True))


def _orders(units: _Units, sizes: Sequence[int]) -> Iterator[list[int]]:
    """Orders to place units in: by size, area, time, life."""
    firsts, lasts = [u[0][0].first for u in units], [u[-1][0].last for u in units]
    keys: tuple[Callable[[int], tuple[int, ...]], ...] = (
        lambda i: (-sizes[i], firsts[i]),
        lambda i: (-sum((d - c) * (b - a + 1) for a, b, c, d in _spans(units[i])), firsts[i]),
        lambda i: (firsts[i], -sizes[i]),
        lambda i: (firsts[i] - lasts[i], -sizes[i]),
        lambda i: (-lasts[i], -sizes[i]),
    )
    for key in keys:
        yield sorted(range(len(units)), key=key)


def _searched(placing: _Placing, best: list[int], bound: int, tries: int) -> list[int]:
    """Moves of one unit in the order of the offsets, which is an order that leads to the plan."""
    rng, count = random.Random(0), len(best)
    order = sorted(range(count), key=lambda i: (best[i], -placing.sizes[i]))
    low = placing.height(best)
    for _ in range(min(tries, WORK // count**2)):
        trial = list(order)
        trial.insert(rng.randrange(count), trial.pop(rng.randrange(count)))
        offsets = placing.place(trial, low)
        if offsets is not None:
            order, best, low = trial, offsets, placing.height(offsets)
        if low == bound:
            break
    return best


@dataclass(frozen=True, slots=True)
class _Placing:
    """What is known of units before they are placed."""

    sizes: Sequence[int]
    # of each unit those that it meets: how far it must lie behind the other's offset, and the other
    # behind its own
    meets: Sequence[Sequence[tuple[int, int, int]]]

    @classmethod
    def of(cls, units: _Units) -> _Placing:
        """Two units meet where spans of both share a step."""
        spans = [_spans(u) for u in units]
        first, last, low, high = np.array([s for unit in spans for s in unit], np.int64).T
        starts = np.cumsum([0] + [len(s) for s in spans[:-1]])
        together = (first[:, None] <= last) & (first <= last[:, None])
        behind = np.where(together, high[:, None] - low, NEVER)
        behind = np.maximum.reduceat(np.maximum.reduceat(behind, starts, axis=0), starts, axis=1)
        met: list[list[tuple[int, int, int]]] = [[] for _ in units]
        for i, j in np.argwhere(behind > NEVER).tolist():
            if i != j:
                met[i].append((j, int(behind[j, i]), int(behind[i, j])))
        return cls([_size(u) for u in units], met)

    def height(self, offsets: Sequence[int]) -> int:
        """Where the highest unit ends."""
        return max(o + s for o, s in zip(offsets, self.sizes, strict=True))

    def place(self, order: Sequence[int], most: int) -> list[int] | None:
        """First fit: each unit at the lowest offset that is free while it lives; None when one
        ends above `most`."""
        offsets = [-1] * len(order)
        for i in order:
            # where this unit lies at most to be below another, and at least to be behind it
            others = sorted(
                (offsets[j] - before, offsets[j] + behind)
                for j, behind, before in self.meets[i]
                if offsets[j] >= 0
            )
            at = 0
            for limit, end in others:
                if at <= limit:
                    break
                at = max(at, end)
            if at + self.sizes[i] > most:
                return None
            offsets[i] = at
        return offsets


def _last_uses(graph: Graph) -> dict[int, int]:
    """Tensor -> the last step that reads it; after the last step for what outlives a run."""
    uses = {i: op.index for op in graph.operators for i in op.inputs}
    outlive = (*graph.outputs, *(t.index for t in graph.variables))
    return uses | dict.fromkeys(outlive, _end(graph))


def _end(graph: Graph) -> int:
    """The step after the last one; operators that run together have the last one's index."""
    return graph.operators[-1].index + 1


def _buffers(graph: Graph, steps: Sequence[Step]) -> list[_Buffer]:
    """All run-time tensors, each with its aliases."""
    uses = _last_uses(graph)
    given = (*graph.inputs, *(t.index for t in graph.variables))
    owner = {i: i for i in given}
    first = dict.fromkeys(given, 0)
    last = {i: uses.get(i, 0) for i in given}
    for step in steps:
        if step.alias and step.op.inputs[0] not in owner:
            continue  # of a tensor that never is whole
        for o in step.op.outputs:
            root = owner[step.op.inputs[0]] if step.alias else o
            first.setdefault(root, step.op.index)
            owner[o] = root
            last[root] = max(last.get(root, 0), uses.get(o, step.op.index))
    members: dict[int, list[int]] = {root: [] for root in first}
    for tensor, root in owner.items():
        members[root].append(tensor)
    return [
        _Buffer(
            tensors=tuple(members[root]),
            size=aligned(graph.tensors[root].bytes),
            first=first[root],
            last=last[root],
        )
        for root in first
    ]


def _taken_over(
    graph: Graph,
    lowered: LoweredStep,
    place: Mapping[int, _Buffer],
    way: _Sharing,
    *,
    ahead: bool,
) -> tuple[_Buffer, int] | None:
    """The buffer of an input that a step's output is written over, and how many bytes before it."""
    op = lowered.step.op
    if lowered.step.alias:
        return None
    for position in lowered.in_place:
        index = op.inputs[position]
        under = place.get(index)
        size, output = graph.tensors[index].bytes, graph.output(op).bytes
        if under is not None and under.last == op.index and output <= size and way(output, size):
            return under, 0
    under = place.get(op.inputs[0]) if op.inputs else None
    before = lowered.ahead_bytes
    if not ahead or before is None or under is None or under.last != op.index:
        return None
    return (under, before) if before < aligned(graph.output(op).bytes) else None
