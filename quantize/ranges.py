"""What every channel of an int8 or int16 tensor can be, and every accumulator, whatever the input.

Interval arithmetic per index of the last axis with the operators' own integer references, by the
rule of each OpSpec: an operator that never decreases when an input grows is computed at both ends,
a table is looked up over the interval, weighted sums take the worst input of each tap. Operators
without a rule may give any value of their type, so the result always holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from quantize.ops.base import INT8_OR_INT16, Array
from quantize.ops.range_rules import spread
from quantize.ops.rules import Ends, Interval, RangeRule, SumRule
from quantize.ops.window import OutputStage, is_wide, output_values
from quantize.reference import Step
from quantize.scheme import INT32_MAX, INT32_MIN, IntArray, multiply_by_quantized_multiplier
from quantize.tflite.graph import Graph, Tensor

_WIDE_MAX = 2**47 - 1  # of what multiply_wide takes
_ABSENT: Array = np.empty(0, np.int8)  # stands for an optional input that is absent


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
        op, rule = step.op, step.spec.ranges
        if isinstance(rule, SumRule):
            source = op.inputs[rule.source]
            sums = rule.sums(step.params, tensors[source], graph.tensors[source].shape)
            accumulators[op.index] = sums
            tensors[op.outputs[0]] = _rescaled(step.params, sums)
        elif isinstance(rule, RangeRule) and _holds(rule, graph, step):
            ends = [_ends(graph, i, tensors) for i in op.inputs]
            tensors |= dict(zip(op.outputs, rule.bounds(step.run, ends), strict=True))
    return Ranges(tensors=tensors, accumulators=accumulators)


def _anything(tensor: Tensor) -> Interval:
    channels, limits = tensor.shape[-1] if tensor.shape else 1, np.iinfo(tensor.dtype)
    low, high = (np.full(channels, end, np.int64) for end in (limits.min, limits.max))
    return Interval(low=low, high=high)


def _rescaled(p: OutputStage, sums: Interval) -> Interval:
    """The outputs of accumulators; any in the clamp where one could wrap on the way."""
    safe = np.ones(len(p.requants), np.bool_)
    for end in (sums.low, sums.high):
        for value in _on_the_way(p, end):
            safe &= (value >= INT32_MIN) & (value <= INT32_MAX)
    low, high = (output_values(end - p.bias, p).astype(np.int64) for end in (sums.low, sums.high))
    safe |= sums.low == sums.high
    minimum, maximum = sorted((p.act_min, p.act_max))
    return Interval(low=np.where(safe, low, minimum), high=np.where(safe, high, maximum))


def _on_the_way(p: OutputStage, acc: IntArray) -> tuple[IntArray, ...]:
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


def _holds(rule: RangeRule[object], graph: Graph, step: Step) -> bool:
    """Whether the rule holds for the types of what the operator reads and writes."""
    read = [graph.tensors[i] for i in step.op.inputs if i >= 0]
    computed = [t.dtype for t in read if t.data is None]
    types = {*computed, *(graph.tensors[i].dtype for i in step.op.outputs)}
    return len(types) == 1 and types <= {*rule.dtypes} and not rule.may_wrap(step.params)


def _ends(graph: Graph, index: int, tensors: Mapping[int, Interval]) -> Ends:
    if index < 0:
        return _ABSENT, _ABSENT
    tensor = graph.tensors[index]
    if tensor.data is not None:
        return tensor.data, tensor.data
    found = tensors[index]
    low, high = (spread(end, tensor.dtype, tensor.shape) for end in (found.low, found.high))
    return low, high
