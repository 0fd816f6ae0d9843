"""Remove the channels that cannot matter: constant for every input, or read by nobody.

A channel is an index of a tensor's last axis. Which can go is the greatest solution of what every
operator demands by the rule of its OpSpec: all are taken to go, then each operator keeps those that
it needs, until nothing changes. A weighted sum needs an input channel unless all of its weights are
0, or the channel is constant, when weight * value moves into the bias. At a border that is exact
only for the zero point, so a padded convolution keeps constant channels of other values. An output
channel that is constant but has to be written keeps its place with weights of 0. Every channel that
stays has exactly the values that it had.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from quantize.emit_c import step_constants
from quantize.lowering import lower
from quantize.ops.base import Array
from quantize.ops.rules import BoolArray, Channels, Shrinking, Without
from quantize.ranges import find_ranges
from quantize.reference import Step, compile_graph
from quantize.scheme import QuantParams
from quantize.tflite.graph import Graph, Operator, Tensor

MAX_PASSES = 100  # over all operators; a network needs a few


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldedOperator:
    """What folding took from one operator."""

    index: int
    op: str
    channels: int  # of its outputs
    macs: int
    bytes: int  # of constants in flash, as the reference kernels read them


@dataclass(frozen=True, slots=True, kw_only=True)
class Folding:
    """The smaller graph, under the same tensor and operator indices, and what it saves."""

    graph: Graph
    steps: tuple[Step, ...]  # of the graph
    kept: Mapping[int, tuple[int, ...]]  # tensor that shrank -> its channels that are left
    operators: tuple[FoldedOperator, ...]  # those that shrank

    @property
    def channels(self) -> int:
        """Output channels of operators that multiply, no longer computed."""
        return sum(o.channels for o in self.operators if o.macs)

    @property
    def macs(self) -> int:
        """MACs of an inference that are saved."""
        return sum(o.macs for o in self.operators)

    @property
    def bytes(self) -> int:
        """Constants in flash that are saved."""
        return sum(o.bytes for o in self.operators)


def fold_channels(graph: Graph) -> Folding:
    """Remove all channels that cannot change an output of the model.

    Raises what compile_graph raises.
    """
    steps = compile_graph(graph)
    found = _find(graph, steps)
    kept = {i: ~gone for i, gone in found.gone.items() if gone.any()}
    if not kept:
        return Folding(graph=graph, steps=steps, kept={}, operators=())
    folded = _rewrite(graph, steps, found, kept)
    after = compile_graph(folded)
    return Folding(
        graph=folded,
        steps=after,
        kept={i: tuple(np.flatnonzero(stays).tolist()) for i, stays in kept.items()},
        operators=tuple(
            _difference(graph, folded, old, new, kept)
            for old, new in zip(steps, after, strict=True)
            if _touched(old, kept)
        ),
    )


def _touched(step: Step, kept: Mapping[int, BoolArray]) -> bool:
    return any(i in kept for i in (*step.op.inputs, *step.op.outputs))


def _difference(
    before: Graph, after: Graph, old: Step, new: Step, kept: Mapping[int, BoolArray]
) -> FoldedOperator:
    sizes = [
        sum(c.bytes for c in step_constants(graph, lower(graph, [step])[0]))
        for graph, step in ((before, old), (after, new))
    ]
    return FoldedOperator(
        index=old.op.index,
        op=old.spec.name,
        channels=sum(int((~kept[i]).sum()) for i in old.op.outputs if i in kept),
        macs=old.spec.macs(old.params) - new.spec.macs(new.params),
        bytes=sizes[0] - sizes[1],
    )


# --- what can go --------------------------------------------------------------------------------


def _find(graph: Graph, steps: Sequence[Step]) -> Channels:
    ranges = find_ranges(graph, steps)
    gone = {
        i: np.ones(len(found.low), np.bool_)
        for i, found in ranges.tensors.items()
        if graph.tensors[i].dtype == "int8"
    }
    found = Channels(
        graph=graph, tensors=ranges.tensors, accumulators=ranges.accumulators, gone=gone
    )
    made = {i for step in steps for i in step.op.outputs if not graph.tensors[i].variable}
    for index in gone.keys() - (made - set(graph.outputs)):
        found.keep(index, True)
    for number in range(MAX_PASSES):
        before = {i: mask.copy() for i, mask in gone.items()}
        for step in reversed(steps) if number % 2 == 0 else steps:
            if not _demand(found, step):
                for index in (*step.op.inputs, *step.op.outputs):
                    found.keep(index, True)
        if all(np.array_equal(before[i], mask) for i, mask in gone.items()):
            if not (empty := [mask for mask in gone.values() if mask.all()]):
                return found
            for mask in empty:
                mask[0] = False  # no tensor is left without channels
    for mask in gone.values():
        mask[:] = False
    return found


def _demand(found: Channels, step: Step) -> bool:
    """Keep what the operator needs; False where that is all."""
    rule = step.spec.folding
    if isinstance(rule, Without):
        return False
    read = [i for i in step.op.inputs if i >= 0 and found.graph.tensors[i].data is None]
    int8 = all(i in found.gone for i in (*read, *step.op.outputs))
    return int8 and rule.demand(found, step.op, step.params)


# --- the smaller graph --------------------------------------------------------------------------


def _rewrite(
    graph: Graph, steps: Sequence[Step], found: Channels, kept: Mapping[int, BoolArray]
) -> Graph:
    tensors = [_taken(t, kept[t.index]) if t.index in kept else t for t in graph.tensors]

    def add(data: Array, like: Tensor | None, quant: QuantParams | None) -> int:
        """A new constant; the old one may have other readers."""
        tensor = Tensor(
            index=len(tensors),
            name=like.name if like else "",
            dtype=str(data.dtype),
            shape=data.shape,
            quant=quant,
            data=data,
        )
        tensors.append(tensor)
        return tensor.index

    shrinking = Shrinking(found=found, kept=kept, add=add)
    operators = [_shrunk(shrinking, step) for step in steps]
    return replace(graph, tensors=tuple(tensors), operators=tuple(operators))


def _taken(tensor: Tensor, keep: BoolArray) -> Tensor:
    return replace(tensor, shape=(*tensor.shape[:-1], int(keep.sum())))


def _shrunk(shrinking: Shrinking, step: Step) -> Operator:
    rule = step.spec.folding
    if isinstance(rule, Without) or not _touched(step, shrinking.kept):
        return step.op
    return rule.shrink(shrinking, step.op, step.params)
