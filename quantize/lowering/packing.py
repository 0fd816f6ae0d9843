"""Weights as the stream that nn_quad_s8 reads, for two output channels at a time (nn_quad.h)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from quantize.lowering.base import aligned
from quantize.lowering.jumps import JumpRequant, prove_jump
from quantize.ops.base import CConstant, int_constant_array
from quantize.ops.conv_2d import ConvParams
from quantize.ops.window import OutputStage, Window
from quantize.proofs import Form, ShortRequant, acc_bounds, prove_short
from quantize.scheme import IntArray, wrap32

WIDENED = (0, 2, 1, 3)  # the order in which four inputs are widened: SXTB16 takes every other byte
PAIR_LIMIT = 1 << 23  # 256 times a sum of channel A must fit 32 bits
C_FORMS: dict[str, str] = {  # of an nn_quad_t
    "fixed_8": "NN_FIXED_8",
    "floor": "NN_FLOOR",
    "sign": "NN_SIGN",
    "jump": "NN_JUMP",
}
CONSTANT_BITS = {"fixed_8": 16, "jump": 13}  # of a constant, more than that of the layer
WITH_SHIFT = ("floor", "sign")  # a channel has a shift and a constant of its own
OUTPUTS = {
    "NN_FIXED_8": "0",
    "NN_FLOOR": "nn_quad_floor_s8",
    "NN_SIGN": "nn_quad_sign_s8",
    "NN_JUMP": "nn_quad_jump_s8",
}
Requants = Sequence[ShortRequant] | Sequence[JumpRequant]
Fields = dict[str, str]


def first_short_form(
    p: OutputStage, weights: npt.NDArray[Any], forms: Sequence[Form], limit: int = PAIR_LIMIT
) -> tuple[ShortRequant, ...] | None:
    """The first short form that is proven for all of weights [channels, taps], None without.

    Sums that may reach `limit` are not proven.
    """
    low, high = acc_bounds(weights, p.bias, p.input_offset, -128, 127, padded=True)
    if int(low.min()) <= -limit or int(high.max()) >= limit:
        return None
    for form in forms:
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


def first_pair_form(
    p: OutputStage, weights: npt.NDArray[Any], forms: Sequence[Form]
) -> tuple[ShortRequant, ...] | None:
    """first_short_form of those that an nn_quad_t has room for."""
    for form in forms:
        proven = first_short_form(p, weights, (form,))
        if proven is not None and layer_constant(proven) is not None:
            return proven
    return None


def jump_form(p: OutputStage, weights: npt.NDArray[Any]) -> tuple[JumpRequant, ...] | None:
    """The form `quantize.lowering.jumps` of all of weights [channels, taps], None without."""
    low, high = acc_bounds(weights, p.bias, p.input_offset, -128, 127, padded=True)
    proven = prove_jump(
        p.requants,
        output_offset=p.output_offset,
        act_min=p.act_min,
        act_max=p.act_max,
        low=low,
        high=high,
    )
    return proven if proven and layer_constant(proven) is not None else None


def first_values(p: OutputStage, weights: IntArray, requants: Sequence[ShortRequant]) -> list[int]:
    """What the sums of weights [channels, taps] begin with: bias and input zero point, << p."""
    first = p.bias.astype(np.int64) + p.input_offset * weights.sum(axis=1)
    return [start << r.pre_shift for start, r in zip(first.tolist(), requants, strict=True)]


def as_row(p: ConvParams) -> ConvParams:
    """An image of one column as one of one row, which is the same memory: windows lie in one piece
    there. Other images as they are."""
    if p.input_shape[2] != 1 or p.output_shape[2] != 1:
        return p
    (n, height, _, channels), w = p.input_shape, p.window
    return replace(
        p,
        input_shape=(n, 1, height, channels),
        output_shape=(n, 1, p.output_shape[1], p.output_shape[3]),
        window=Window(
            kernel=w.kernel[::-1], stride=w.stride[::-1], dilation=w.dilation[::-1], pad=w.pad[::-1]
        ),
        weights=np.ascontiguousarray(p.weights.transpose(0, 2, 1, 3)),
    )


def small_sizes(p: ConvParams) -> dict[str, str] | None:
    """The fields of the nn_sizes_t `size`; None where one has no room in 16 bits."""
    w, (out_h, out_w, out_c) = p.window, p.output_shape[1:]
    sizes = {
        **dict(zip(("images", "height", "width", "depth"), p.input_shape, strict=True)),
        "out_height": out_h,
        "out_width": out_w,
        "out_depth": out_c,
        "reach": reach_of(p),
        "stride_h": w.stride[0],
        "stride_w": w.stride[1],
        "pad_h": w.pad[0],
        "pad_w": w.pad[1],
    }
    if not all(0 <= size < 1 << 16 for size in sizes.values()):
        return None
    sizes["pad_value"] = -p.input_offset
    return {f"size.{name}": str(size) for name, size in sizes.items()}


def reach_of(p: ConvParams) -> int:
    """Rows from a window's first to its last."""
    return (p.window.kernel[0] - 1) * p.window.dilation[0] + 1


def ahead_of(p: ConvParams, block: int, reach: int | None) -> int | None:
    """How many bytes the output must begin before the input, so that none is overwritten unread.

    Outputs are written in blocks of pixels, after the rows that they reach are in scratch, or
    (reach None: windows of one pixel) after those pixels of the input have been read.
    """
    n, out_h, out_w, out_c = p.output_shape
    _, in_h, in_w, in_c = p.input_shape
    if n != 1:
        return None
    pixel = np.arange(0, out_h * out_w, dtype=np.int64)
    full = out_h * out_w - out_h * out_w % block
    last = np.where(pixel < full, pixel - pixel % block + block - 1, pixel)
    written = (last + 1) * out_c
    if reach is None:
        down, right = p.window.stride
        next_ = np.unique(last[last + 1 < out_h * out_w] + 1)
        unread = (next_ // out_w * down * in_w + next_ % out_w * right) * in_c
        return aligned(int((next_ * out_c - unread).max(initial=0)))
    loaded = last // out_w * p.window.stride[0] + reach - p.window.pad[0]
    unread = written - np.clip(loaded, 0, None) * in_w * in_c
    return aligned(int(unread[loaded < in_h].max(initial=0)))


def widened_order(weights: IntArray) -> IntArray:
    """The last axis, a multiple of four, in the order of widened inputs."""
    fours = weights.reshape(*weights.shape[:-1], -1, len(WIDENED))
    return fours[..., WIDENED].reshape(weights.shape)


def halfword_pairs(values: IntArray) -> IntArray:
    """Words of two neighbours on the last axis, the first in the lower half."""
    pairs = (values & 0xFFFF).reshape(*values.shape[:-1], -1, 2)
    return pairs[..., 0] | pairs[..., 1] << 16


def pad_words(weights: npt.NDArray[Any]) -> IntArray:
    """Zeros behind the last axis, up to a multiple of four."""
    pad = [(0, 0)] * (weights.ndim - 1) + [(0, -weights.shape[-1] % 4)]
    return np.pad(weights.astype(np.int64), pad)


def pair_words(weights: npt.NDArray[Any], first: IntArray) -> IntArray | None:
    """For each pair of channels A and B: 256 * A + B and B of their first values, then the steps.

    weights [channels, inputs], inputs a multiple of four; `first` [channels]. None when a weight
    of -128 meets a negative one of its pair: both do not fit a halfword.
    """
    odd = len(weights) & 1
    pairs = np.pad(weights, ((0, odd), (0, 0))).reshape(-1, 2, weights.shape[1])
    halves = 256 * pairs[:, 0] + pairs[:, 1]
    if int(halves.min(initial=0)) < -(1 << 15):
        return None
    words = halfword_pairs(widened_order(halves))
    start = np.pad(wrap32(first), (0, odd)).reshape(-1, 2)
    both = np.stack([256 * start[:, 0] + start[:, 1], start[:, 1]], axis=1)
    return np.concatenate([both, words], axis=1)


def scale_rows(requants: Sequence[ShortRequant], group: int) -> tuple[IntArray, IntArray]:
    """For each `group` channels: their shifts, a byte each in a word; multipliers and constants."""
    numbers = np.array([(r.multiplier, r.constant, r.shift) for r in requants], np.int64)
    numbers = np.pad(numbers, ((0, -len(numbers) % group), (0, 0))).reshape(-1, group, 3)
    shifts = (numbers[..., 2] << np.arange(0, 8 * group, 8)).sum(axis=1, keepdims=True)
    return shifts, numbers[..., :2].reshape(len(numbers), -1)


def layer_constant(requants: Requants) -> int | None:
    """The least constant of all channels, 0 where each has its own in the stream. None where one
    is more than that by a number that the stream has no room for."""
    if requants[0].form in WITH_SHIFT:
        return 0
    constants = [r.constant for r in requants]
    least, room = min(constants), 1 << CONSTANT_BITS[requants[0].form]
    return least if max(constants) - least < room else None


def pair_rows(
    weights: npt.NDArray[Any], first: IntArray, requants: Requants, constant: int
) -> IntArray | None:
    """The stream of an nn_quad_t, a row for each pair of channels; None as pair_words.

    weights and `first` as there, `constant` as layer_constant.
    """
    offsets = np.array([r.offset if isinstance(r, JumpRequant) else 0 for r in requants])
    second = np.arange(len(first)) % 2 == 1
    words = pair_words(weights, first + np.where(second, offsets >> 8, 0))
    if words is None:
        return None
    words[:, 0] += offsets[::2]

    def pairs(values: Sequence[int]) -> IntArray:
        return np.pad(np.array(values, np.int64), (0, len(values) & 1)).reshape(-1, 2)

    multipliers = pairs([r.multiplier for r in requants])
    if requants[0].form in WITH_SHIFT:
        shifts = pairs([r.shift for r in requants if isinstance(r, ShortRequant)])
        constants = pairs([r.constant for r in requants])
        tail = [multipliers, shifts[:, :1] | shifts[:, 1:] << 8, constants]
    else:
        more = pairs([r.constant - constant for r in requants])
        both = more[:, :1] | more[:, 1:] << 16
        if requants[0].form == "jump":  # the lowest bits of constants are 0
            both = pairs(offsets.tolist())[:, 1:] & 0xFF | more[:, :1] << 5 | more[:, 1:] << 19
        tail = [multipliers, both]
    return np.concatenate([words, *tail], axis=1)


def quad_fields(channels: int, steps: int, requants: Requants, constant: int) -> Fields | None:
    """Those of an nn_quad_t; None where one has no room in 16 bits."""
    if max(channels, steps) >= 1 << 16:
        return None
    form = C_FORMS[requants[0].form]
    return {
        "quad.stream": "@stream",
        "quad.count": str(channels),
        "quad.steps": str(steps),
        "quad.form": form,
        "quad.requant_words": str(numbers_of(requants)),
        "quad.constant": str(constant),
        "quad.outputs": OUTPUTS[form],
    }


def numbers_of(requants: Requants) -> int:
    """Words of a pair in the stream, behind its steps."""
    return 5 if requants[0].form in WITH_SHIFT else 3


def words_constant(suffix: str, words: IntArray, *, weights: int = 0, biases: int = 0) -> CConstant:
    """32-bit words, signed or not, as a C array of int32_t; `weights` and `biases` of them are."""
    constant = int_constant_array(suffix, "int32_t", wrap32(words.reshape(-1)).astype(np.int32))
    return replace(constant, weight_bytes=4 * weights, bias_bytes=4 * biases)
