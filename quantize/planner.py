"""Give every run-time tensor a place in the arena; two that live at the same time never overlap."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from quantize.lowering import LoweredStep
from quantize.tflite.graph import Graph

ALIGNMENT = 16  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """Where one buffer lies, and from which to which step (both included) it is needed."""

    tensors: tuple[int, ...]  # all that share these bytes; none: scratch of its step
    offset: int
    bytes: int
    first_step: int
    last_step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ArenaPlan:
    """A plan and how good it is: no plan is smaller than `lower_bound` bytes."""

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
    tensors: tuple[int, ...]
    size: int  # padded to ALIGNMENT
    first: int
    last: int

    def meets(self, other: _Buffer) -> bool:
        """Whether the two are needed at the same time."""
        return self.first <= other.last and other.first <= self.last


def plan_arena(graph: Graph, steps: Sequence[LoweredStep]) -> ArenaPlan:
    """Place all tensors and scratch: the smallest of several greedy orders and of random ones.

    Model inputs are needed from step 0, model outputs until after the last step, variable tensors
    all the time. The output of an operator that is an alias shares its input's bytes; the output of
    one that works in place takes over an input's bytes when nothing reads them any more and they
    suffice.
    """
    buffers = _buffers(graph, steps)
    last = len(graph.operators) + 1
    bound = max(sum(b.size for b in buffers if b.first <= s <= b.last) for s in range(last))
    best = min((_place(order) for order in _orders(buffers, bound)), key=_height)
    return ArenaPlan(
        allocations=tuple(
            Allocation(
                tensors=b.tensors,
                offset=offset,
                bytes=b.size,
                first_step=b.first,
                last_step=b.last,
            )
            for b, offset in sorted(best, key=lambda item: (item[0].first, item[1]))
        ),
        bytes=_height(best),
        lower_bound=bound,
    )


def _height(plan: Sequence[tuple[_Buffer, int]]) -> int:
    return max(offset + b.size for b, offset in plan)


def _orders(buffers: list[_Buffer], bound: int) -> Iterator[list[_Buffer]]:
    """Orders to place buffers in: by size, area, time, life; then a search from the first one."""
    keys: tuple[Callable[[_Buffer], tuple[int, ...]], ...] = (
        lambda b: (-b.size, b.first),
        lambda b: (-b.size * (b.last - b.first + 1), b.first),
        lambda b: (b.first, -b.size),
        lambda b: (-(b.last - b.first), -b.size),
    )
    for key in keys:
        yield sorted(buffers, key=key)
    rng = random.Random(0)
    order = sorted(buffers, key=keys[0])
    best = _height(_place(order))
    for _ in range(min(400, 400_000 // len(buffers) ** 2)):
        if best == bound:
            return
        trial = list(order)
        i, j = rng.randrange(len(trial)), rng.randrange(len(trial))
        trial.insert(j, trial.pop(i))
        height = _height(_place(trial))
        if height <= best:
            order, best = trial, height
    yield order


def _last_uses(graph: Graph) -> dict[int, int]:
    """Tensor -> the last step that reads it; after the last step for what outlives a run."""
    uses = {i: op.index for op in graph.operators for i in op.inputs}
    outlive = (*graph.outputs, *(t.index for t in graph.variables))
    return uses | dict.fromkeys(outlive, len(graph.operators))


def _buffers(graph: Graph, steps: Sequence[LoweredStep]) -> list[_Buffer]:
    uses = _last_uses(graph)
    given = (*graph.inputs, *(t.index for t in graph.variables))
    owner = {i: i for i in given}
    first = dict.fromkeys(given, 0)
    last = {i: uses.get(i, 0) for i in given}
    for lowered in steps:
        op = lowered.step.op
        for o in op.outputs:
            root = _shared(graph, lowered, owner, last)
            if root is None:
                owner[o], first[o], last[o] = o, op.index, op.index
                root = o
            owner[o] = root
            last[root] = max(last[root], uses.get(o, op.index))
    tensors = [
        _Buffer(
            tensors=tuple(t for t, root in owner.items() if root == buffer),
            size=_aligned(graph.tensors[buffer].bytes),
            first=first[buffer],
            last=last[buffer],
        )
        for buffer in first
    ]
    return tensors + [
        _Buffer(
            tensors=(), size=_aligned(s.scratch_bytes), first=s.step.op.index, last=s.step.op.index
        )
        for s in steps
        if s.scratch_bytes
    ]


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _shared(
    graph: Graph, lowered: LoweredStep, owner: dict[int, int], last: dict[int, int]
) -> int | None:
    """The buffer that a step's output shares with one of its inputs, if any."""
    op = lowered.step.op
    if lowered.step.alias:
        return owner.get(op.inputs[0])
    for position in lowered.in_place:
        index = op.inputs[position]
        root = owner.get(index)
        free = root is not None and last[root] == op.index
        if free and graph.tensors[index].bytes >= graph.output(op).bytes:
            return root
    return None


def _place(buffers: Sequence[_Buffer]) -> list[tuple[_Buffer, int]]:
    """First fit: each buffer at the lowest offset that is free while it lives."""
    placed: list[tuple[_Buffer, int]] = []
    for buffer in buffers:
        offset = 0
        for other, start in sorted(placed, key=lambda item: item[1]):
            if buffer.meets(other):
                if offset + buffer.size <= start:
                    break
                offset = max(offset, start + other.size)
        placed.append((buffer, offset))
    return placed
