"""Make one operator of two where every output stays the same: a rewrite from Graph to Graph.

* PAD in front of a sliding window becomes padding of that window: a convolution's padding is the
  zero point, as PAD's is, and adds nothing to a sum; a maximum never is a value that no input is
  below. What is left of PAD is a tensor under another name, which costs nothing.

Operators and tensors keep their indices. What else reads the tensor between the two, or gives it
out of the model, keeps them apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from quantize.fold import Folding, fold_channels
from quantize.ops.base import BORDER, border
from quantize.ops.conv_2d import ConvParams
from quantize.ops.copy import Rearrangement
from quantize.ops.pool_2d import PoolParams
from quantize.ranges import find_ranges
from quantize.reference import Step, compile_graph
from quantize.tflite.graph import Graph, Operator, Tensor

PADS = ("PAD", "PADV2")
MAXIMUM = "MAX_POOL_2D"
RANK = 4
Pads = tuple[tuple[int, int], ...]  # (before, after) of each axis


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
        if (pads := _pads(graph, step)) is None:
            continue
        readers = _readers(graph, steps, step, pads)
        if not readers:
            continue
        source = graph.tensors[step.op.inputs[0]]
        graph = _without_pad(graph, step.op, source, pads, readers)
        regions[step.op.outputs[0]] = tuple(
            slice(before, before + size)
            for (before, _), size in zip(pads, source.shape, strict=True)
        )
        names = " and ".join(f"{s.op.name} #{s.op.index}" for s in readers)
        fusions.append(
            Fusion(
                operators=(step.op.index, *(s.op.index for s in readers)),
                how="padding",
                text=f"{step.op.name} #{step.op.index} is padding of {names}",
            )
        )
    return Simplified(
        graph=graph,
        steps=compile_graph(graph) if fusions else steps,
        folding=folding,
        regions=regions,
        fusions=tuple(fusions),
    )


def left_of(found: Simplified, index: int, values: Any) -> Any:
    """What the firmware has of the values of a tensor."""
    if index in found.folding.kept:
        values = values[..., found.folding.kept[index]]
    return values[found.regions[index]] if index in found.regions else values


def _pads(graph: Graph, step: Step) -> Pads | None:
    """The borders of a PAD of rows and columns."""
    if step.spec.name not in PADS or not isinstance(step.params, Rearrangement):
        return None
    data = graph.input(step.op, 1).data
    source = graph.input(step.op, 0)
    if data is None or source.data is not None or len(source.shape) != RANK:
        return None
    pads = tuple((int(before), int(after)) for before, after in data.reshape(-1, 2))
    if pads[0] != (0, 0) or pads[3] != (0, 0) or not np.any(pads):
        return None
    return pads


def _readers(graph: Graph, steps: Sequence[Step], pad: Step, pads: Pads) -> list[Step]:
    """Who takes the padded tensor, if all of them can pad it themselves; else nobody."""
    padded, value = pad.op.outputs[0], _fill(graph, pad)
    if padded in graph.outputs or value is None:
        return []
    readers = [s for s in steps if padded in s.op.inputs]
    lowest = None
    for reader in readers:
        if reader.op.inputs.count(padded) != 1 or reader.op.inputs[0] != padded:
            return []
        if isinstance(reader.params, ConvParams):
            fits = value == -reader.params.input_offset
        elif isinstance(reader.params, PoolParams) and reader.spec.name == MAXIMUM:
            if lowest is None:
                lowest = int(find_ranges(graph, steps).tensors[pad.op.inputs[0]].low.min())
            fits = value <= lowest
        else:
            return []
        if not fits or not _sees_input(reader.params, pads):
            return []
    return readers


def _fill(graph: Graph, step: Step) -> int | None:
    """The value of the border; None where it is not known, or no integer."""
    tensor = graph.output(step.op)
    if tensor.dtype not in ("int8", "int16"):
        return None
    if len(step.op.inputs) < 3:
        fill: int | None = step.params.fill
        return fill
    data = graph.input(step.op, 2).data
    return None if data is None else int(data.reshape(-1)[0])


def _sees_input(p: ConvParams | PoolParams, pads: Pads) -> bool:
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
    graph: Graph, pad: Operator, source: Tensor, pads: Pads, readers: Sequence[Step]
) -> Graph:
    """PAD without a border, and the border as padding of its readers."""
    padded = graph.output(pad)
    zeros = np.zeros((RANK, 2), np.int32)
    none = Tensor(
        index=len(graph.tensors), name="", dtype="int32", shape=zeros.shape, quant=None, data=zeros
    )
    tensors = [replace(t, shape=source.shape) if t is padded else t for t in graph.tensors]
    operators = list(graph.operators)
    operators[pad.index] = replace(pad, name="PAD", inputs=(pad.inputs[0], none.index))
    for reader in readers:
        old = operators[reader.op.index]
        own = border(old)
        sizes = [a + b for axis in (0, 1) for a, b in zip(own[axis], pads[1 + axis], strict=True)]
        options = old.options | dict(zip(BORDER, sizes, strict=True))
        operators[reader.op.index] = replace(old, options=options)
    return replace(graph, tensors=(*tensors, none), operators=tuple(operators))
