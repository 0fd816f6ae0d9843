"""Weights as the stream that nn_quad_s8 reads, for two output channels at a time (nn_packed.h)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from quantize.ops.base import CConstant
from quantize.ops.window import OutputStage
from quantize.proofs import Form, ShortRequant, acc_bounds, prove_short
from quantize.scheme import IntArray, wrap32

FORMS: tuple[Form, ...] = ("floor", "sign")  # the shorter first
C_FORMS = {"floor": "NN_FLOOR", "sign": "NN_SIGN"}
_LARGEST_SUM = 1 << 23  # 256 times a sum of channel A must fit 32 bits


def short_requants(p: OutputStage, weights: npt.NDArray[Any]) -> tuple[ShortRequant, ...] | None:
    """The short form of every channel of weights [channels, taps], or None without a proof."""
    low, high = acc_bounds(weights, p.bias, p.input_offset, -128, 127, padded=True)
    if int(low.min()) <= -_LARGEST_SUM or int(high.max()) >= _LARGEST_SUM:
        return None
    for form in FORMS:
        proven = prove_short(
            p.requants,
            output_offset=p.output_offset,
            act_min=p.act_min,
            act_max=p.act_max,
            low=low,
            high=high,
            form=form,
        )
        if proven is not None:
            return proven
    return None


def pad_words(weights: npt.NDArray[Any]) -> IntArray:
    """Zeros behind the last axis, up to a multiple of four."""
    pad = [(0, 0)] * (weights.ndim - 1) + [(0, -weights.shape[-1] % 4)]
    return np.pad(weights.astype(np.int64), pad)


def pair_stream(
    weights: npt.NDArray[Any], first: IntArray, requants: Sequence[ShortRequant]
) -> IntArray | None:
    """The stream of weights [channels, inputs], inputs a multiple of four, as uint32 values.

    `first` [channels] are the sums' first values. None when a weight of -128 meets a negative one
    of its pair: both do not fit a halfword.
    """
    odd = len(weights) & 1
    pairs = np.pad(weights, ((0, odd), (0, 0))).reshape(-1, 2, weights.shape[1])
    halves = 256 * pairs[:, 0] + pairs[:, 1]
    if int(halves.min(initial=0)) < -(1 << 15):
        return None
    steps = halves.reshape(len(pairs), -1, 4)[..., [0, 2, 1, 3]].reshape(len(pairs), -1, 2)
    words = (steps[..., 0] & 0xFFFF) | ((steps[..., 1] & 0xFFFF) << 16)
    start = np.pad(wrap32(first), (0, odd)).reshape(-1, 2)
    both = np.stack([256 * start[:, 0] + start[:, 1], start[:, 1]], axis=1)
    numbers = np.array([(r.multiplier, r.constant, r.shift) for r in requants], np.int64)
    numbers = np.pad(numbers, ((0, odd), (0, 0))).reshape(-1, 2, 3)
    scales = numbers[..., :2].reshape(-1, 4)
    shifts = numbers[:, :1, 2] | (numbers[:, 1:, 2] << 8)
    return np.concatenate([both, words, scales, shifts], axis=1).reshape(-1) & 0xFFFFFFFF


def stream_constant(words: IntArray) -> CConstant:
    """A stream as a C array."""
    signed = wrap32(words)
    values = tuple("INT32_MIN" if v == -(2**31) else str(v) for v in signed.tolist())
    return CConstant(suffix="stream", ctype="int32_t", values=values, bytes=4 * len(values))
