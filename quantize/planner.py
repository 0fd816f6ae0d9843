"""Give every run-time tensor a place in the arena; two that live at the same time never overlap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from quantize.ops import find_op
from quantize.tflite.graph import Graph

ALIGNMENT = 16  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """Where one buffer lies, and from which to which step (both included) it is needed."""

    tensors: tuple[int, ...]  # all that share these bytes
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Buffer:
    tensors: tuple[int, ...]
    size: int  # padded to ALIGNMENT
    first: int
    last: int

    def meets(self, other: _Buffer) -> bool:
        """Whether the two are needed at the same time."""
        return self.first <= other.last and other.first <= self.last


def plan_arena(graph: Graph) -> ArenaPlan:
    """Place all run-time tensors; the smallest of several greedy orders.

    Model inputs are needed from step 0, model outputs until after the last step, the output of
    an operator marked `alias` shares its input's bytes.
    """
    buffers = _buffers(graph)
    orders: tuple[Callable[[_Buffer], tuple[int, ...]], ...] = (
        lambda b: (-b.size, b.first),
        lambda b: (-b.size * (b.last - b.first + 1), b.first),
        lambda b: (b.first, -b.size),
        lambda b: (-(b.last - b.first), -b.size),
    )
    plans = [_place(sorted(buffers, key=order)) for order in orders]
    best = min(plans, key=lambda plan: max(offset + b.size for b, offset in plan))
    steps = range(len(graph.operators) + 1)
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
        bytes=max(offset + b.size for b, offset in best),
        lower_bound=max(sum(b.size for b in buffers if b.first <= s <= b.last) for s in steps),
    )


def _buffers(graph: Graph) -> list[_Buffer]:
    owner = {i: i for i in graph.inputs}
    first = dict.fromkeys(graph.inputs, 0)
    last = dict.fromkeys(graph.inputs, 0)
    for op in graph.operators:
        read = [owner[i] for i in op.inputs if i in owner]
        for tensor in read:
            last[tensor] = op.index
        for o in op.outputs:
            if find_op(op).alias and read:
                owner[o] = read[0]
            else:
                owner[o] = o
                first[o] = last[o] = op.index
    for o in graph.outputs:
        if o in owner:
            last[owner[o]] = len(graph.operators)
    return [
        _Buffer(
            tensors=tuple(t for t, root in owner.items() if root == buffer),
            size=-(-graph.tensors[buffer].bytes // ALIGNMENT) * ALIGNMENT,
            first=first[buffer],
            last=last[buffer],
        )
        for buffer in first
    ]


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
