"""PAD, PADV2 and MIRROR_PAD: a border around a tensor."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from quantize.ops.base import check_shape, int_constant, malformed, refuse
from quantize.ops.copy import (
    AXES,
    Move,
    Rearrangement,
    check_same_numbers,
    copy_spec,
    dense_strides,
    moved_input,
    rearrangement,
    single_output,
)
from quantize.ops.fold_rules import as_it_is, channelwise
from quantize.ops.rules import Channels, FoldRule
from quantize.tflite.graph import Graph, Operator, Tensor
from quantize.tflite.signatures import NO_OPTIONS, signature

MAX_RANK = {"PAD": 5, "PADV2": 5, "MIRROR_PAD": AXES}  # TFLite Micro has no limit for the last
REFLECT, SYMMETRIC = 0, 1

Pads = tuple[tuple[int, int], ...]
Segment = tuple[int, int, int, int]  # first output, first input, count, step of the input


def _pads(graph: Graph, op: Operator, source: Tensor, target: Tensor) -> Pads:
    """(before, after) of each axis; checks the output's shape."""
    rank, most = len(source.shape), MAX_RANK[op.name]
    if not 1 <= rank <= most:
        raise refuse(op, f"input has {rank} dimensions", f"reshape it to 1 to {most}")
    flat = int_constant(graph, op, 1)
    if graph.input(op, 1).shape != (rank, 2):
        raise malformed(op, f"{len(flat)} paddings, expected [{rank}, 2]")
    if min(flat) < 0:
        raise refuse(op, f"paddings {list(flat)}", "use a SLICE to remove elements")
    pads = tuple(zip(flat[::2], flat[1::2], strict=True))
    expected = [d + before + after for d, (before, after) in zip(source.shape, pads, strict=True)]
    check_shape(op, target, expected)
    return pads


def _inside(source: Tensor, target: Tensor, pads: Pads) -> Move:
    strides = dense_strides(target.shape)
    return Move(
        count=source.shape,
        input_stride=dense_strides(source.shape),
        output_stride=strides,
        output_offset=sum(p[0] * s for p, s in zip(pads, strides, strict=True)),
    )


def prepare_pad(graph: Graph, op: Operator) -> Rearrangement:
    """Check a PAD or PADV2; the padding value is input 2, or the output's zero point."""
    source = moved_input(graph, op, 0)
    target = single_output(graph, op, source)
    inside = _inside(source, target, _pads(graph, op, source, target))
    if len(op.inputs) < 3:
        fill = target.quant.zero_point[0] if target.dtype == "int8" and target.quant else 0
        return rearrangement(op, [target], [(0, 0, inside)], fill)
    value = moved_input(graph, op, 2)
    check_same_numbers(op, value, target, "the output")
    if value.elements != 1:
        raise malformed(op, f"{value.elements} padding values, expected 1")
    if value.dtype == "int8" and value.quant != target.quant:
        fix = "TFLite Micro wants them equal"
        raise refuse(op, "the padding value's scale differs from the output's", fix)
    everywhere = Move(count=(target.elements,), input_stride=(0,), output_stride=(1,))
    return rearrangement(op, [target], [(2, 0, everywhere), (0, 0, inside)])


def border_of(graph: Graph, op: Operator, p: object) -> tuple[Pads, int] | None:
    """Paddings of rows and columns and the integer there, of a PAD or PADV2 of int8 or int16 images
    [n, h, w, c]; None of any other."""
    source, target = graph.input(op, 0), graph.output(op)
    data = graph.input(op, 1).data
    if not isinstance(p, Rearrangement) or target.dtype not in ("int8", "int16"):
        return None
    if data is None or source.data is not None or len(source.shape) != 4:
        return None
    pads = tuple((int(before), int(after)) for before, after in data.reshape(-1, 2))
    if pads[0] != (0, 0) or pads[3] != (0, 0) or not np.any(pads):
        return None
    if len(op.inputs) < 3:
        return (pads, p.fill or 0)
    value = graph.input(op, 2).data
    return None if value is None else (pads, int(value.reshape(-1)[0]))


def without_border(op: Operator, zeros: int) -> Operator:
    """A PAD of nothing; `zeros` is a constant of paddings of 0."""
    return replace(op, name="PAD", version=1, inputs=(op.inputs[0], zeros), options={})


def _segments(size: int, before: int, after: int, skip: int) -> list[Segment]:
    """The mirrored border before, the axis itself, the mirrored border after."""
    parts = (
        (0, before - 1 + skip, before, -1),
        (before, 0, size, 1),
        (before + size, size - 1 - skip, after, -1),
    )
    return [p for p in parts if p[2] > 0]


def _mirrored(source: Tensor, target: Tensor, segments: Sequence[Segment]) -> Move:
    inputs, outputs = dense_strides(source.shape), dense_strides(target.shape)
    return Move(
        count=tuple(s[2] for s in segments),
        input_stride=tuple(s[3] * i for s, i in zip(segments, inputs, strict=True)),
        output_stride=outputs,
        input_offset=sum(s[1] * i for s, i in zip(segments, inputs, strict=True)),
        output_offset=sum(s[0] * o for s, o in zip(segments, outputs, strict=True)),
    )


def prepare_mirror_pad(graph: Graph, op: Operator) -> Rearrangement:
    """Check a MIRROR_PAD: the edge element is not repeated (REFLECT) or is (SYMMETRIC)."""
    source = moved_input(graph, op, 0, ("int8", "float32"))
    target = single_output(graph, op, source)
    pads = _pads(graph, op, source, target)
    mode = op.options["mode"]
    if mode not in (REFLECT, SYMMETRIC):
        raise malformed(op, f"mode {mode}, expected 0 or 1")
    skip = 1 if mode == REFLECT else 0
    for size, pad in zip(source.shape, pads, strict=True):
        if max(pad) > size - skip:
            raise malformed(op, f"a border of {max(pad)} from a dimension of {size}")
    parts = [
        _segments(d, before, after, skip)
        for d, (before, after) in zip(source.shape, pads, strict=True)
    ]
    if int(np.prod([len(p) for p in parts])) > 3**4:
        raise refuse(op, "more than four dimensions are padded", "pad in two steps")
    moves = [(0, 0, _mirrored(source, target, chosen)) for chosen in itertools.product(*parts)]
    return rearrangement(op, [target], moves)


def _demand(found: Channels, op: Operator, p: Rearrangement) -> bool:
    """Channels pass where there is no border along them."""
    source, target = found.gone[op.inputs[0]], found.gone[op.outputs[0]]
    return len(source) == len(target) and channelwise(found, op, p)


FOLDING = FoldRule(demand=_demand, shrink=as_it_is)

PAD = copy_spec("PAD", 4, signature(inputs=2, table=22, options=NO_OPTIONS), prepare_pad, FOLDING)
PADV2 = copy_spec(
    "PADV2", 4, signature(inputs=3, table=43, options=NO_OPTIONS), prepare_pad, FOLDING
)
MIRROR_PAD = copy_spec(
    "MIRROR_PAD",
    3,
    signature(inputs=2, table=77, options={"mode": (0, "i8", 0)}),
    prepare_mirror_pad,
    FOLDING,
)
