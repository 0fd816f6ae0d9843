"""Remove the channels that cannot matter: constant for every input, or read by nobody.

A channel is an index of a tensor's last axis. Which can go is the greatest solution of what every
operator demands: all are taken to go, then each operator keeps those that it needs, until nothing
changes. A weighted sum needs an input channel unless all of its weights are 0, or the channel is
constant, when weight * value moves into the bias. At a border that is exact only for the zero
point, so a padded convolution keeps constant channels of other values. An output channel that is
constant but has to be written keeps its place with weights of 0. Every channel that stays has
exactly the values that it had.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from quantize.emit_c import step_constants
from quantize.lowering import lower
from quantize.ops.conv_2d import ConvParams
from quantize.ops.fully_connected import FullyConnectedParams
from quantize.ops.mean import MeanParams, ReduceParams
from quantize.ops.window import inside_mask, output_values
from quantize.ranges import Interval, Ranges, find_ranges
from quantize.reference import Step, compile_graph
from quantize.scheme import IntArray, QuantParams, wrap32
from quantize.tflite.graph import Graph, Operator, Tensor

BoolArray = npt.NDArray[np.bool_]
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """The state of the search: gone[tensor] shrinks until every operator agrees."""

    graph: Graph
    ranges: Ranges
    gone: dict[int, BoolArray]  # of every int8 tensor computed at run time

    def keep(self, tensor: int, needed: BoolArray | bool) -> None:
        """Channels of a tensor that stay."""
        if tensor in self.gone:
            self.gone[tensor] &= ~np.asarray(needed)

    def tie(self, tensors: Sequence[int]) -> None:
        """Tensors that lose the same channels."""
        together = np.logical_and.reduce([self.gone[i] for i in tensors])
        for i in tensors:
            self.gone[i] &= together


Rule = Callable[[_Found, Step], bool]  # False: the operator needs all its channels


def _find(graph: Graph, steps: Sequence[Step]) -> _Found:
    ranges = find_ranges(graph, steps)
    gone = {
        i: np.ones(len(found.low), np.bool_)
        for i, found in ranges.tensors.items()
        if graph.tensors[i].dtype == "int8"
    }
    found = _Found(graph=graph, ranges=ranges, gone=gone)
    made = {i for step in steps for i in step.op.outputs if not graph.tensors[i].variable}
    for index in gone.keys() - (made - set(graph.outputs)):
        found.keep(index, True)
    for number in range(MAX_PASSES):
        before = {i: mask.copy() for i, mask in gone.items()}
        for step in reversed(steps) if number % 2 == 0 else steps:
            rule = _RULES.get(step.op.name)
            if rule is None or not _all_int8(found, step) or not rule(found, step):
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


def _all_int8(found: _Found, step: Step) -> bool:
    """Whether all that the operator computes and all computed inputs are int8 tensors."""
    read = [i for i in step.op.inputs if i >= 0 and found.graph.tensors[i].data is None]
    return all(i in found.gone for i in (*read, *step.op.outputs))


def _quiet_rows(found: _Found, step: Step) -> tuple[BoolArray, IntArray]:
    """Output channels that a bias alone computes for every input, and that bias."""
    sums = wrap32(found.ranges.accumulators[step.op.index].low)
    output = found.ranges.tensors[step.op.outputs[0]]
    alone = output_values(sums - step.params.bias, step.params)
    steady: BoolArray = (output.low == output.high) & (alone == output.low)
    return steady, sums


def _absorbed(found: _Found, step: Step) -> BoolArray:
    """Input channels whose share of a sum is the same everywhere, so that the bias can take it."""
    p = step.params
    source = found.ranges.tensors[step.op.inputs[0]]
    fixed: BoolArray = source.low == source.high
    if isinstance(p, ConvParams) and not inside_mask(p.input_shape, p.window, p.output_shape).all():
        fixed &= source.low == -p.input_offset
    return fixed


def _weighted(found: _Found, step: Step) -> bool:
    """CONV_2D and FULLY_CONNECTED, which may read several channels' worth of a flat tensor."""
    source, output = step.op.inputs[0], step.op.outputs[0]
    channels, weights = len(found.gone[source]), step.params.weights
    if weights.shape[-1] % channels:
        found.keep(source, True)
        return True
    live = ~found.gone[output] & ~_quiet_rows(found, step)[0]
    used = (weights[live] != 0).reshape(-1, channels).any(axis=0)
    found.keep(source, used & ~_absorbed(found, step))
    return True


def _depthwise(found: _Found, step: Step) -> bool:
    """Every input channel goes with all of its outputs; a single one stays, outputs are free."""
    source, output = step.op.inputs[0], step.op.outputs[0]
    if len(found.gone[source]) > 1:
        multiplier = step.params.depth_multiplier
        whole = found.gone[output].reshape(-1, multiplier).all(axis=1) & found.gone[source]
        found.keep(source, ~whole)
        found.keep(output, ~np.repeat(whole, multiplier))
    return True


def _channelwise(found: _Found, step: Step) -> bool:
    """Output channel c is made of channels c of the inputs, or of the only one of an input."""
    output = step.op.outputs[0]
    read = [i for i in step.op.inputs if i in found.gone]
    found.tie([output, *(i for i in read if len(found.gone[i]) == len(found.gone[output]))])
    return True


def _reduced(found: _Found, step: Step) -> bool:
    """MEAN and its like, over other axes than the last."""
    p: MeanParams | ReduceParams = step.params
    reduce = p.reduce if isinstance(p, MeanParams) else p
    return len(reduce.input_shape) - 1 not in reduce.axes and _channelwise(found, step)


def _padded(found: _Found, step: Step) -> bool:
    """PAD and its like, without a border along the last axis."""
    source, target = step.op.inputs[0], step.op.outputs[0]
    return len(found.gone[source]) == len(found.gone[target]) and _channelwise(found, step)


def _reshaped(found: _Found, step: Step) -> bool:
    """The last axis stays, or whole rows of channels become one."""
    source, target = found.gone[step.op.inputs[0]], found.gone[step.op.outputs[0]]
    if len(target) % len(source):
        return False
    source &= target.reshape(-1, len(source)).all(axis=0)
    target &= np.tile(source, len(target) // len(source))
    return True


def _joined(found: _Found, step: Step) -> bool:
    """CONCATENATION: along the last axis each input has its piece, else all lose the same."""
    shapes = [found.graph.tensors[i].shape for i in (*step.op.inputs, *step.op.outputs)]
    if int(step.op.options["axis"]) % len(shapes[-1]) != len(shapes[-1]) - 1:
        return all(i in found.gone for i in step.op.inputs) and _channelwise(found, step)
    start, output = 0, found.gone[step.op.outputs[0]]
    for index, shape in zip(step.op.inputs, shapes, strict=False):
        piece = output[start : start + shape[-1]]
        start += shape[-1]
        if index in found.gone:
            found.gone[index] &= piece
            piece &= found.gone[index]
        else:
            piece[:] = False  # a constant stays whole
    return True


_CHANNELWISE = (
    "ABS", "ADD", "AVERAGE_POOL_2D", "ELU", "HARD_SWISH", "LEAKY_RELU", "LOGISTIC", "MAXIMUM",
    "MAX_POOL_2D", "MINIMUM", "MUL", "PRELU", "QUANTIZE", "RELU", "RELU6", "RESIZE_BILINEAR",
    "RESIZE_NEAREST_NEIGHBOR", "SQUARED_DIFFERENCE", "SUB", "TANH",
)  # fmt: skip
_RULES: Mapping[str, Rule] = (
    dict.fromkeys(_CHANNELWISE, _channelwise)
    | dict.fromkeys(("MEAN", "SUM", "REDUCE_MAX"), _reduced)
    | dict.fromkeys(("PAD", "PADV2", "MIRROR_PAD"), _padded)
    | dict.fromkeys(("RESHAPE", "SQUEEZE", "EXPAND_DIMS"), _reshaped)
    | {"CONV_2D": _weighted, "FULLY_CONNECTED": _weighted, "CONCATENATION": _joined}
    | {"DEPTHWISE_CONV_2D": _depthwise}
)


# --- the smaller graph --------------------------------------------------------------------------


def _rewrite(
    graph: Graph, steps: Sequence[Step], found: _Found, kept: Mapping[int, BoolArray]
) -> Graph:
    tensors = [_taken(t, kept[t.index]) if t.index in kept else t for t in graph.tensors]

    def added(data: npt.NDArray[Any], like: Tensor | None, quant: QuantParams | None) -> int:
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

    operators = []
    for step in steps:
        op = step.op
        if op.name in _WEIGHT_AXIS and _touched(step, kept):
            op = _smaller_sum(graph, step, found, kept, added)
        elif op.name in _CHANNELWISE and op.outputs[0] in kept:
            keep = kept[op.outputs[0]]
            op = replace(op, inputs=tuple(_operand(graph, i, keep, added) for i in op.inputs))
        operators.append(op)
    return replace(graph, tensors=tuple(tensors), operators=tuple(operators))


_WEIGHT_AXIS = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0}  # of output channels
Added = Callable[[npt.NDArray[Any], Tensor | None, QuantParams | None], int]


def _taken(tensor: Tensor, keep: BoolArray) -> Tensor:
    return replace(tensor, shape=(*tensor.shape[:-1], int(keep.sum())))


def _operand(graph: Graph, index: int, keep: BoolArray, added: Added) -> int:
    """A constant operand without the channels that have gone; any other input as it is."""
    tensor = graph.tensors[index] if index >= 0 else None
    if tensor is None or tensor.data is None or tensor.dtype != "int8":
        return index
    if tensor.shape[-1:] != keep.shape:
        return index
    return added(np.ascontiguousarray(tensor.data[..., keep]), tensor, tensor.quant)


def _smaller_sum(
    graph: Graph, step: Step, found: _Found, kept: Mapping[int, BoolArray], added: Added
) -> Operator:
    """A convolution or dense layer with the rows and taps that are left."""
    op, p = step.op, step.params
    source, output = (found.ranges.tensors[i] for i in (op.inputs[0], op.outputs[0]))
    rows = kept.get(op.outputs[0], np.ones(len(output.low), np.bool_))
    columns = kept.get(op.inputs[0], np.ones(len(source.low), np.bool_))
    options = op.options
    if op.name == "DEPTHWISE_CONV_2D":
        weights, bias = p.weights[..., rows], p.bias[rows]
        options = options | {"depth_multiplier": int(rows.sum() // columns.sum())}
    else:
        weights, bias = _absorb(step, found, source, columns)
        weights, bias = weights[rows], bias[rows]
    old = graph.input(op, 1)
    quant = old.quant
    if quant is not None and quant.per_channel:
        scale = tuple(s for s, stays in zip(quant.scale, rows, strict=True) if stays)
        quant = QuantParams(scale=scale, zero_point=(0,) * len(scale), axis=_WEIGHT_AXIS[op.name])
    constants = (
        added(np.ascontiguousarray(weights), old, quant),
        added(bias.astype(np.int32), graph.optional_input(op, 2), None),
    )
    return replace(op, inputs=(op.inputs[0], *constants), options=options)


def _absorb(
    step: Step, found: _Found, source: Interval, columns: BoolArray
) -> tuple[npt.NDArray[np.int8], IntArray]:
    """All rows of the weights without the input channels that have gone, which the bias takes."""
    p: ConvParams | FullyConnectedParams = step.params
    weights = p.weights.reshape(len(p.weights), -1).copy()
    quiet, sums = _quiet_rows(found, step)
    weights[quiet] = 0
    repeats = weights.shape[1] // len(columns)
    gone = ~np.tile(columns, repeats)
    values = np.tile(source.low, repeats)[gone] + p.input_offset
    bias = wrap32(p.bias + weights[:, gone].astype(np.int64) @ values)
    shape = (*p.weights.shape[:-1], -1)
    return weights[:, ~gone].reshape(shape), np.where(quiet, sums, bias)
