"""The range rules that operators share: see quantize.ranges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from quantize.ops.base import INT8, INT8_OR_INT16, Array
from quantize.ops.rules import Ends, Interval, RangeRule, Run
from quantize.ops.window import OutputStage
from quantize.proofs import acc_bounds
from quantize.scheme import INT32_MAX, IntArray, Requant


def spread(values: IntArray, dtype: str, shape: tuple[int, ...]) -> Array:
    """A tensor with the channels' values everywhere; read-only."""
    return np.broadcast_to(values.astype(dtype).reshape(shape[-1:]), shape)


def gathered(low: Array, high: Array, channels: int) -> Interval:
    """The bounds of each index of the last axis over tensors of lowest and highest values."""
    return Interval(
        low=low.astype(np.int64).reshape(-1, channels).min(axis=0),
        high=high.astype(np.int64).reshape(-1, channels).max(axis=0),
    )


def tap_sums(p: OutputStage, rows: Array, source: Interval, *, padded: bool) -> Interval:
    """Bounds of bias + sum(weight * (input + input_offset)); rows [outputs, taps], of whose taps
    the source's channels are the fastest axis. With `padded` any may lie outside the input."""
    taps = [np.tile(end, rows.shape[1] // len(end)) for end in (source.low, source.high)]
    low, high = acc_bounds(rows, p.bias, p.input_offset, *taps, padded=padded)
    return Interval(low=low, high=high)


def overflows(largest: int, requant: Requant) -> bool:
    """Whether rescaling an accumulator of that size may leave 32 bits: factors above 1 can."""
    return largest << max(requant.shift, 0) > INT32_MAX - 255


def _collect(runs: Sequence[tuple[Array, ...]]) -> list[Interval]:
    """The bounds of each output over several runs."""
    return [
        gathered(np.stack(values), np.stack(values), values[0].shape[-1] if values[0].ndim else 1)
        for values in zip(*runs, strict=True)
    ]


def rising(run: Run, ends: Sequence[Ends]) -> list[Interval]:
    """No output decreases when any input grows."""
    return _collect([run([end[side] for end in ends]) for side in (0, 1)])


def difference(run: Run, ends: Sequence[Ends]) -> list[Interval]:
    """No output decreases when input 0 grows or input 1 falls."""
    return _collect([run([ends[0][side], ends[1][1 - side]]) for side in (0, 1)])


def product(run: Run, ends: Sequence[Ends]) -> list[Interval]:
    """A product is largest and smallest where both inputs are at an end."""
    return _collect([run([a, b]) for a in ends[0] for b in ends[1]])


def table(run: Run, ends: Sequence[Ends]) -> list[Interval]:
    """A function of one int8 value: all that the interval reaches, exactly."""
    values = np.arange(-128, 128, dtype=np.int64)
    answers = run([values.astype(np.int8)])[0].astype(np.int64)[:, None]
    low, high = (end.reshape(-1, end.shape[-1] if end.ndim else 1)[0] for end in ends[0])
    inside = (values[:, None] >= low) & (values[:, None] <= high)
    return [
        Interval(
            low=np.where(inside, answers, 127).min(axis=0),
            high=np.where(inside, answers, -128).max(axis=0),
        )
    ]


def never_wraps(_: object) -> bool:
    return False


# of those that do not rescale, int16 included
RISING: RangeRule[Any] = RangeRule(bounds=rising, dtypes=INT8_OR_INT16, may_wrap=never_wraps)
RISING_INT8: RangeRule[Any] = RangeRule(bounds=rising, dtypes=INT8, may_wrap=never_wraps)
DIFFERENCE: RangeRule[Any] = RangeRule(bounds=difference, dtypes=INT8, may_wrap=never_wraps)
TABLE: RangeRule[Any] = RangeRule(bounds=table, dtypes=INT8, may_wrap=never_wraps)
