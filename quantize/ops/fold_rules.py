"""The folding rules that operators share: see quantize.fold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from quantize.ops.base import Array
from quantize.ops.rules import BoolArray, Channels, FoldRule, Shrinking
from quantize.ops.window import OutputStage, output_values
from quantize.scheme import IntArray, QuantParams, wrap32
from quantize.tflite.graph import Operator

Stage = TypeVar("Stage", bound=OutputStage)


# --- operators without weights ------------------------------------------------------------------


def channelwise(found: Channels, op: Operator, _: object) -> bool:
    """Output channel c is made of channels c of the inputs, or of the only one of an input."""
    output = op.outputs[0]
    read = [i for i in op.inputs if i in found.gone]
    found.tie([output, *(i for i in read if len(found.gone[i]) == len(found.gone[output]))])
    return True


def as_it_is(_: Shrinking, op: Operator, __: object) -> Operator:
    """Nothing but the shapes of its tensors changes."""
    return op


def _shorter_operands(s: Shrinking, op: Operator, _: object) -> Operator:
    """Constant operands without the channels that have gone."""
    if op.outputs[0] not in s.kept:
        return op
    keep = s.kept[op.outputs[0]]
    return replace(op, inputs=tuple(_operand(s, index, keep) for index in op.inputs))


def _operand(s: Shrinking, index: int, keep: BoolArray) -> int:
    """A constant operand with the channels that stay; any other input as it is."""
    tensor = s.found.graph.tensors[index] if index >= 0 else None
    if tensor is None or tensor.data is None or tensor.dtype != "int8":
        return index
    if tensor.shape[-1:] != keep.shape:
        return index
    return s.add(np.ascontiguousarray(tensor.data[..., keep]), tensor, tensor.quant)


CHANNELWISE: FoldRule[Any] = FoldRule(demand=channelwise, shrink=_shorter_operands)


# --- weighted sums ------------------------------------------------------------------------------


def quiet_rows(found: Channels, op: Operator, p: OutputStage) -> tuple[BoolArray, IntArray]:
    """Output channels that a bias alone computes for every input, and that bias."""
    sums = wrap32(found.accumulators[op.index].low)
    output = found.tensors[op.outputs[0]]
    alone = output_values(sums - p.bias, p)
    steady: BoolArray = (output.low == output.high) & (alone == output.low)
    return steady, sums


def sum_rule(*, axis: int, is_padded: Callable[[Stage], bool]) -> FoldRule[Stage]:
    """Of weights [channels, ..., inputs], which may read several channels' worth of a flat tensor.

    `is_padded`: whether a tap may lie outside the input.
    """

    def demand(found: Channels, op: Operator, p: Stage) -> bool:
        source, output = op.inputs[0], op.outputs[0]
        channels = len(found.gone[source])
        if p.weights.shape[-1] % channels:
            found.keep(source, True)
            return True
        live = ~found.gone[output] & ~quiet_rows(found, op, p)[0]
        used = (p.weights[live] != 0).reshape(-1, channels).any(axis=0)
        # what is the same everywhere goes into the bias, at a border only where it adds 0
        bounds = found.tensors[source]
        fixed = bounds.low == bounds.high
        if is_padded(p):
            fixed &= bounds.low == -p.input_offset
        found.keep(source, used & ~fixed)
        return True

    def shrink(s: Shrinking, op: Operator, p: Stage) -> Operator:
        weights, bias = _absorb(s, op, p)
        rows = s.stays(op.outputs[0])
        return with_weights(s, op, weights[rows], bias[rows], axis)

    return FoldRule(demand=demand, shrink=shrink)


def with_weights(s: Shrinking, op: Operator, weights: Array, bias: IntArray, axis: int) -> Operator:
    """The operator with these weights and bias, of the output channels that stay along `axis`."""
    old = s.found.graph.input(op, 1)
    quant = old.quant
    if quant is not None and quant.per_channel:
        rows = s.stays(op.outputs[0])
        scale = tuple(q for q, stays in zip(quant.scale, rows, strict=True) if stays)
        quant = QuantParams(scale=scale, zero_point=(0,) * len(scale), axis=axis)
    constants = (
        s.add(np.ascontiguousarray(weights), old, quant),
        s.add(bias.astype(np.int32), s.found.graph.optional_input(op, 2), None),
    )
    return replace(op, inputs=(op.inputs[0], *constants))


def _absorb(s: Shrinking, op: Operator, p: OutputStage) -> tuple[Array, IntArray]:
    """All rows of the weights without the input channels that have gone, which the bias takes."""
    source, columns = s.found.tensors[op.inputs[0]], s.stays(op.inputs[0])
    weights = p.weights.reshape(len(p.weights), -1).copy()
    quiet, sums = quiet_rows(s.found, op, p)
    weights[quiet] = 0
    repeats = weights.shape[1] // len(columns)
    gone = ~np.tile(columns, repeats)
    values = np.tile(source.low, repeats)[gone] + p.input_offset
    bias = wrap32(p.bias + weights[:, gone].astype(np.int64) @ values)
    shape = (*p.weights.shape[:-1], -1)
    return weights[:, ~gone].reshape(shape), np.where(quiet, sums, bias)
