"""Make one operator of two where every output stays the same: a rewrite from Graph to Graph.

* PAD in front of a sliding window becomes padding of that window: a convolution's padding is the
  zero point, as PAD's is, and adds nothing to a sum; a maximum never is a value that no input is
  below. What is left of PAD is a tensor under another name, which costs nothing.
* Functions of one int8 value that follow each other become one table (quantize.fuse_tables).

Operators and tensors keep their indices. What else reads the tensor between the two, or gives it
out of the model, keeps them apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from quantize.fold import Folding, fold_channels
from quantize.fuse_tables import join_tables, look_up
from quantize.ops import pad, pool_2d
from quantize.ops.base import BORDER, Int8Array
from quantize.ops.conv_2d import ConvParams
from quantize.ranges import find_ranges
from quantize.reference import Step, compile_graph
from quantize.tflite.graph import Graph, Operator, Tensor

PADS = (pad.PAD, pad.PADV2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fusion:
    """Operators that are one in the firmware."""

    operators: tuple[int, ...]
    how: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Simplified:
    """The graph that firmware is made of, under the file's tensor and operator indices."""

    graph: Graph
    steps: tuple[Step, ...]  # of the graph
    folding: Folding  # of channels, which comes first
    regions: Mapping[int, tuple[slice, ...]]  # tensor -> the part that is left of it
    answers: Mapping[int, Int8Array]  # tensor -> for each value what the firmware has instead
    fusions: tuple[Fusion, ...]


def simplify(graph: Graph) -> Simplified:
    """Remove what cannot change an output: channels, then operators.

    Raises what compile_graph raises.
    """
    folding = fold_channels(graph)
    graph, steps = folding.graph, folding.steps
    regions: dict[int, tuple[slice, ...]] = {}
    fusions: list[Fusion] = []
    for step in steps:
        border = pad.border_of(graph, step.op, step.params) if step.spec in PADS else None
        readers = _readers(graph, steps, step, *border) if border else []
        if border is None or not readers:
            continue
        pads, source = border[0], graph.tensors[step.op.inputs[0]]
        graph = _without_pad(graph, step.op, source, pads, readers)
        regions[step.op.outputs[0]] = tuple(
            slice(before, before + size)
            for (before, _), size in zip(pads, source.shape, strict=True)
        )
        fusions.append(
            Fusion(
                operators=(step.op.index, *(s.op.index for s in readers)),
                how="padding",
                text=f"{_names([step])} is padding of {_names(readers)}",
            )
        )
    graph, tables = join_tables(graph, steps)
    for one in tables:
        indices = tuple(s.op.index for s in one.steps)
        text = f"{_names(one.steps)} are one table"
        fusions.append(Fusion(operators=indices, how="table", text=text))
    return Simplified(
        graph=graph,
        steps=compile_graph(graph) if fusions else steps,
        folding=folding,
        regions=regions,
        answers={index: answers for one in tables for index, answers in one.answers.items()},
        fusions=tuple(fusions),
    )


def left_of(found: Simplified, index: int, values: Any) -> Any:
    """What the firmware has of the values of a tensor."""
    if index in found.folding.kept:
        values = values[..., found.folding.kept[index]]
    if index in found.answers:
        values = look_up(found.answers[index], values)
    return values[found.regions[index]] if index in found.regions else values


def _names(steps: Sequence[Step]) -> str:
    return " and ".join(f"{s.op.name} #{s.op.index}" for s in steps)


def _readers(
    graph: Graph, steps: Sequence[Step], step: Step, pads: pad.Pads, value: int
) -> list[Step]:
    """Who takes the tensor padded with `value`, if all can pad it themselves; else nobody."""
    padded = step.op.outputs[0]
    if padded in graph.outputs:
        return []
    readers = [s for s in steps if padded in s.op.inputs]
    lowest = None
    for reader in readers:
        if reader.op.inputs.count(padded) != 1 or reader.op.inputs[0] != padded:
            return []
        if isinstance(reader.params, ConvParams):
            fits = value == -reader.params.input_offset
        elif isinstance(reader.params, pool_2d.PoolParams) and reader.spec is pool_2d.MAX:
            if lowest is None:
                lowest = int(find_ranges(graph, steps).tensors[step.op.inputs[0]].low.min())
            fits = value <= lowest
        else:
            return []
        if not fits or not _sees_input(reader.params, pads):
            return []
    return readers


def _sees_input(p: ConvParams | pool_2d.PoolParams, pads: pad.Pads) -> bool:
    """Whether every window has a row and a column of what PAD takes."""
    w = p.window
    for axis in (0, 1):
        before, after = pads[1 + axis]
        size = p.input_shape[1 + axis] - before - after
        starts = np.arange(p.output_shape[1 + axis]) * w.stride[axis] - w.pad[axis] - before
        taps = starts[:, None] + np.arange(w.kernel[axis]) * w.dilation[axis]
        if not ((taps >= 0) & (taps < size)).any(axis=1).all():
            return False
    return True


def _without_pad(
    graph: Graph, op: Operator, source: Tensor, pads: pad.Pads, readers: Sequence[Step]
) -> Graph:
    """PAD without a border, and the border as padding of its readers."""
    padded, zeros = graph.output(op), np.zeros((len(pads), 2), np.int32)
    none = Tensor(
        index=len(graph.tensors), name="", dtype="int32", shape=zeros.shape, quant=None, data=zeros
    )
    tensors = [replace(t, shape=source.shape) if t is padded else t for t in graph.tensors]
    operators = list(graph.operators)
    operators[op.index] = pad.without_border(op, none.index)
    for reader in readers:
        old = operators[reader.op.index]
        sizes = [size for axis in (1, 2) for size in pads[axis]]
        options = old.options | dict(zip(BORDER, sizes, strict=True))
        inputs = old.inputs
        if padded.quant == source.quant:  # then nobody reads what is left of PAD
            inputs = (source.index, *inputs[1:])
        operators[reader.op.index] = replace(old, inputs=inputs, options=options)
    return replace(graph, tensors=(*tensors, none), operators=tuple(operators))
