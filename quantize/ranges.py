"""What every channel of an int8 or int16 tensor can be, and every accumulator, whatever the input.

Interval arithmetic per index of the last axis with the operators' own integer references: an
operator that never decreases when an input grows is computed at both ends, a table is looked up
over the interval, weighted sums take the worst input of each tap. Operators that are not named
here may give any value of their type, so the result always holds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from quantize.ops.base import INT8_OR_INT16, Array
from quantize.ops.conv_2d import ConvParams
from quantize.ops.fully_connected import FullyConnectedParams
from quantize.ops.mean import MeanParams
from quantize.ops.mul import MulParams
from quantize.ops.transpose_conv import TransposeConvParams
from quantize.ops.window import inside_mask, is_wide, output_values
from quantize.proofs import acc_bounds
from quantize.reference import Step
from quantize.scheme import (
    INT32_MAX,
    INT32_MIN,
    IntArray,
    Requant,
    multiply_by_quantized_multiplier,
)
from quantize.tflite.graph import Graph, Tensor

_WIDE_MAX = 2**47 - 1  # of what multiply_wide takes
Weighted = ConvParams | FullyConnectedParams | TransposeConvParams


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Inclusive bounds of each channel, int64 [channels]; reached or not."""

    low: IntArray
    high: IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """Bounds that no input can leave."""

    tensors: Mapping[int, Interval]  # of every int8 and int16 tensor that operators compute or read
    accumulators: Mapping[int, Interval]  # of the operator at this index, bias included, unwrapped


def find_ranges(graph: Graph, steps: Sequence[Step]) -> Ranges:
    """The bounds of all activations, and of the sums of convolutions and dense layers."""
    tensors: dict[int, Interval] = {}
    accumulators: dict[int, Interval] = {}
    used = {i for step in steps for i in (*step.op.inputs, *step.op.outputs) if i >= 0}
    for tensor in (graph.tensors[i] for i in sorted(used)):
        if tensor.dtype in INT8_OR_INT16 and tensor.data is None:
            tensors[tensor.index] = _anything(tensor)
    for step in steps:
        if step.op.name in _WEIGHTED:
            sums = _sums(graph, step, tensors)
            accumulators[step.op.index] = sums
            tensors[step.op.outputs[0]] = _rescaled(step.params, sums)
        elif (rule := _RULES.get(step.op.name)) is not None and _bounded(graph, step):
            ends = [_ends(graph, i, tensors) for i in step.op.inputs]
            for index, found in zip(step.op.outputs, rule(step, ends), strict=True):
                tensors[index] = found
    return Ranges(tensors=tensors, accumulators=accumulators)


def _anything(tensor: Tensor) -> Interval:
    channels, limits = tensor.shape[-1] if tensor.shape else 1, np.iinfo(tensor.dtype)
    low, high = (np.full(channels, end, np.int64) for end in (limits.min, limits.max))
    return Interval(low=low, high=high)


def _spread(values: IntArray, tensor: Tensor) -> Array:
    """The tensor with the channels' values everywhere; read-only."""
    row = values.astype(tensor.dtype).reshape(tensor.shape[-1:])
    return np.broadcast_to(row, tensor.shape)


def _gathered(low: Array, high: Array, channels: int) -> Interval:
    """The bounds of each index of the last axis over tensors of lowest and highest values."""
    return Interval(
        low=low.astype(np.int64).reshape(-1, channels).min(axis=0),
        high=high.astype(np.int64).reshape(-1, channels).max(axis=0),
    )


# --- weighted sums ------------------------------------------------------------------------------

_WEIGHTED = {"CONV_2D": 0, "DEPTHWISE_CONV_2D": 0, "FULLY_CONNECTED": 0, "TRANSPOSE_CONV": 2}


def _sums(graph: Graph, step: Step, tensors: Mapping[int, Interval]) -> Interval:
    """Bounds of bias + sum(weight * (input + input_offset)), per output channel."""
    p: Weighted = step.params
    index = step.op.inputs[_WEIGHTED[step.op.name]]
    source = tensors[index]
    rows, padded = p.weights.reshape(len(p.weights), -1), True
    if isinstance(p, FullyConnectedParams):
        tensor, padded = graph.tensors[index], False
        ends = _spread(source.low, tensor), _spread(source.high, tensor)
        source = _gathered(*ends, p.weights.shape[1])
    elif isinstance(p, ConvParams):
        padded = not bool(inside_mask(p.input_shape, p.window, p.output_shape).all())
    taps = [np.tile(end, rows.shape[1] // len(end)) for end in (source.low, source.high)]
    if step.op.name == "DEPTHWISE_CONV_2D":
        rows = p.weights.reshape(-1, p.weights.shape[-1]).T
        repeats = len(rows) // len(source.low)
        taps = [np.repeat(end, repeats)[:, None] for end in (source.low, source.high)]
    low, high = acc_bounds(rows, p.bias, p.input_offset, *taps, padded=padded)
    return Interval(low=low, high=high)


def _rescaled(p: Weighted, sums: Interval) -> Interval:
    """The outputs of accumulators; any in the clamp where one could wrap on the way."""
    safe = np.ones(len(p.requants), np.bool_)
    for end in (sums.low, sums.high):
        for value in _on_the_way(p, end):
            safe &= (value >= INT32_MIN) & (value <= INT32_MAX)
    low, high = (output_values(end - p.bias, p).astype(np.int64) for end in (sums.low, sums.high))
    safe |= sums.low == sums.high
    least, most = min(p.act_min, p.act_max), max(p.act_min, p.act_max)
    return Interval(low=np.where(safe, low, least), high=np.where(safe, high, most))


def _on_the_way(p: Weighted, acc: IntArray) -> tuple[IntArray, ...]:
    """What must fit 32 bits when an accumulator is rescaled."""
    multiplier = np.array([r.multiplier for r in p.requants], np.int64)
    shift = np.array([r.shift for r in p.requants], np.int64)
    if is_wide(p):
        inside, right = np.clip(acc, -_WIDE_MAX, _WIDE_MAX), 15 - shift
        raw = (inside * multiplier + (np.int64(1) << (right - 1))) >> right
        return (np.where(acc == inside, raw + p.output_offset, INT32_MAX + 1),)
    inside = np.clip(acc, INT32_MIN, INT32_MAX)
    raw = multiply_by_quantized_multiplier(inside, multiplier, shift) + p.output_offset
    return acc, inside << np.maximum(shift, 0), raw


# --- operators computed at both ends, or by table -----------------------------------------------

Ends = tuple[Array, Array]  # an operand with every channel at its lowest, and at its highest
Rule = Callable[[Step, Sequence[Ends]], list[Interval]]
_ABSENT: Array = np.empty(0, np.int8)  # stands for an optional input that is absent


def _bounded(graph: Graph, step: Step) -> bool:
    """Whether the rule holds for the types of what the operator reads and writes."""
    read = [graph.tensors[i] for i in step.op.inputs if i >= 0]
    computed = [t for t in read if t.data is None]
    types = {t.dtype for t in (*computed, *(graph.tensors[i] for i in step.op.outputs))}
    known = types == {"int8"} or (types == {"int16"} and step.op.name in _RISING_INT16)
    return known and not _may_wrap(step, read)


def _may_wrap(step: Step, read: Sequence[Tensor]) -> bool:
    """Whether a MUL, MEAN or SUM could overflow when it rescales: factors above 1 can do that."""
    p = step.params
    if isinstance(p, MulParams):
        return _overflows(255 * 255, p.requant)
    return isinstance(p, MeanParams) and _overflows(255 * read[0].elements, p.requant)


def _overflows(most: int, requant: Requant) -> bool:
    return most << max(requant.shift, 0) > INT32_MAX - 255


def _ends(graph: Graph, index: int, tensors: Mapping[int, Interval]) -> Ends:
    if index < 0:
        return _ABSENT, _ABSENT
    tensor = graph.tensors[index]
    if tensor.data is not None:
        return tensor.data, tensor.data
    found = tensors[index]
    return _spread(found.low, tensor), _spread(found.high, tensor)


def _run(step: Step, operands: Sequence[Array]) -> tuple[Array, ...]:
    result = step.spec.reference(step.params, operands)
    return result if isinstance(result, tuple) else (result,)


def _collect(runs: Sequence[tuple[Array, ...]]) -> list[Interval]:
    """The bounds of each output over several runs."""
    return [
        _gathered(np.stack(values), np.stack(values), values[0].shape[-1] if values[0].ndim else 1)
        for values in zip(*runs, strict=True)
    ]


def _rising(step: Step, ends: Sequence[Ends]) -> list[Interval]:
    """No output decreases when any input grows."""
    return _collect([_run(step, [end[side] for end in ends]) for side in (0, 1)])


def _difference(step: Step, ends: Sequence[Ends]) -> list[Interval]:
    """No output decreases when input 0 grows or input 1 falls."""
    return _collect([_run(step, [ends[0][side], ends[1][1 - side]]) for side in (0, 1)])


def _product(step: Step, ends: Sequence[Ends]) -> list[Interval]:
    """A product is largest and smallest where both inputs are at an end."""
    return _collect([_run(step, [a, b]) for a in ends[0] for b in ends[1]])


def _table(step: Step, ends: Sequence[Ends]) -> list[Interval]:
    """A function of one int8 value: all that the interval reaches, exactly."""
    values = np.arange(-128, 128, dtype=np.int64)
    table = _run(step, [values.astype(np.int8)])[0].astype(np.int64)[:, None]
    low, high = (end.reshape(-1, end.shape[-1] if end.ndim else 1)[0] for end in ends[0])
    inside = (values[:, None] >= low) & (values[:, None] <= high)
    return [
        Interval(
            low=np.where(inside, table, 127).min(axis=0),
            high=np.where(inside, table, -128).max(axis=0),
        )
    ]


_RISING = (
    "ADD", "AVERAGE_POOL_2D", "BATCH_TO_SPACE_ND", "CONCATENATION", "DEPTH_TO_SPACE",
    "EXPAND_DIMS", "GATHER", "MAXIMUM", "MAX_POOL_2D", "MEAN", "MINIMUM", "MIRROR_PAD", "PACK",
    "PAD", "PADV2", "REDUCE_MAX", "RESHAPE", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "SLICE",
    "SPACE_TO_BATCH_ND", "SPACE_TO_DEPTH", "SPLIT", "SPLIT_V", "SQUEEZE", "STRIDED_SLICE", "SUM",
    "TRANSPOSE", "UNPACK",
)  # fmt: skip
_RISING_INT16 = {*_RISING} - {"ADD", "MEAN", "SUM"}  # those that do not rescale
_TABLES = (
    "ABS", "ELU", "HARD_SWISH", "LEAKY_RELU", "LOGISTIC", "QUANTIZE", "RELU", "RELU6", "TANH",
)  # fmt: skip
_RULES: dict[str, Rule] = (
    dict.fromkeys(_RISING, _rising)
    | dict.fromkeys(_TABLES, _table)
    | {"MUL": _product, "SUB": _difference}
)
