"""int16 activations: CONV_2D as nn_conv_2d_packed_s16, FULLY_CONNECTED as that of single pixels or,
where few vectors have an even length, as nn_fully_connected_packed_s16.

Where sums may leave 32 bits, as nn_conv_2d_long_s16 and nn_fully_connected_long_s16.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from quantize.lowering.base import LoweredStep, in_groups
from quantize.lowering.conv_cortex_m import (
    QUAD,
    in_one_row,
    is_point,
    load_cost,
    pixels_of,
    windows_call,
)
from quantize.lowering.packing import quad_sizes, small_sizes, words_constant
from quantize.lowering.runs import runs_of
from quantize.ops.base import CCall, CConstant
from quantize.ops.conv_2d import ConvParams, split_groups
from quantize.ops.fully_connected import FullyConnectedParams
from quantize.ops.window import OutputStage, Window, is_wide
from quantize.proofs import WideRequant, acc_bounds, prove_long, prove_wide
from quantize.reference import Step
from quantize.scheme import IntArray, Requant
from quantize.tflite.graph import Graph
from quantize.timings import usual

Prove = Callable[[Sequence[Requant], IntArray, IntArray], tuple[WideRequant, ...] | None]

BYTES = 2  # of an activation
LIMITS = np.iinfo(np.int16)
WORDS = {"packed": 6, "long": 9}  # of a pair of channels in the stream, besides its steps
# the smallest output -> form; the largest is that of the type
C_FORMS = {int(LIMITS.min): "NN_WIDE", 0: "NN_WIDE_RELU"}


def lower_conv(_graph: Graph, step: Step, _scratch_budget_bytes: int) -> LoweredStep | None:
    """The packed kernel; None where its short requantisation or sums of 32 bits are not exact."""
    p: ConvParams = step.params
    if p.groups == 1:
        return convolution(step, p)
    return in_groups(step, [convolution(step, part) for part in split_groups(p)])


def lower_dense(_graph: Graph, step: Step, _scratch_budget_bytes: int) -> LoweredStep | None:
    """A packed kernel; None as above."""
    p: FullyConnectedParams = step.params
    outputs, depth = p.weights.shape
    batches = int(np.prod(p.output_shape)) // outputs
    if batches >= QUAD or depth % 2:
        return convolution(step, _as_pixels(p, batches))
    packed = _quad(p, p.weights.astype(np.int64))
    if packed is None:
        return None
    call = CCall(
        function=f"nn_fully_connected_{packed.kind}_s16",
        params_type="nn_wide_dense_t",
        params={"batches": str(batches)} | packed.fields,
        constants=(packed.stream,),
    )
    cost = usual(batches * _pixel_cost(outputs, depth // 2), "armv7em")
    return LoweredStep(step=step, calls=(call,), in_place=(), requantisation=packed.form, cost=cost)


def convolution(step: Step, p: ConvParams) -> LoweredStep | None:
    """A step that is the convolution `p`, with weights [out_c, kh, kw, in_c]; None as above."""
    sizes = _sizes(p)
    packed = _quad(p, _arranged(p, sizes))
    if packed is None:
        return None
    function = f"nn_conv_2d_{packed.kind}_s16"
    kernel = windows_call(function, sizes, packed.fields, packed.stream, packed.block)
    if kernel is None:
        return None
    call, ahead = kernel
    call = replace(call, first_input=p.first_input, first_output=p.first_output)
    return LoweredStep(
        step=step,
        calls=(call,),
        in_place=(0,) if ahead == 0 else (),
        ahead_bytes=ahead,
        requantisation=packed.form,
        cost=usual(_cost(sizes, len(p.weights), packed), "armv7em"),
    )


def _sizes(p: ConvParams) -> ConvParams:
    """The same in bytes; of pixels in whole words a single row, where that is not too long."""
    sizes = _in_bytes(p)
    row = in_one_row(sizes)
    words = is_point(sizes) and sizes.input_shape[3] % 4 == 0
    return row if words and small_sizes(row) else sizes


def _in_bytes(p: ConvParams) -> ConvParams:
    """The same with bytes as channels, for sizes and places; the weights have a shape only."""
    outputs, height, width, inputs = p.weights.shape
    return replace(
        p,
        input_shape=(*p.input_shape[:3], BYTES * p.input_shape[3]),
        output_shape=(*p.output_shape[:3], BYTES * p.output_shape[3]),
        weights=np.broadcast_to(np.int8(0), (BYTES * outputs, height, width, BYTES * inputs)),
        first_input=BYTES * p.first_input,
        first_output=BYTES * p.first_output,
    )


def _arranged(p: ConvParams, sizes: ConvParams) -> IntArray:
    """Weights as [channels, inputs], each run of a window filled up to whole words."""
    runs = runs_of(sizes)
    weights = p.weights.astype(np.int64)
    rows = weights.reshape(len(weights), runs.parts * runs.count, runs.bytes // BYTES)
    return np.pad(rows, ((0, 0), (0, 0), (0, rows.shape[2] % 2))).reshape(len(weights), -1)


def _as_pixels(p: FullyConnectedParams, batches: int) -> ConvParams:
    """Vectors as the pixels of an image."""
    outputs, depth = p.weights.shape
    return ConvParams(
        dtype=p.dtype,
        input_shape=(1, 1, batches, depth),
        output_shape=(1, 1, batches, outputs),
        window=Window(kernel=(1, 1), stride=(1, 1), dilation=(1, 1), pad=(0, 0)),
        input_offset=p.input_offset,
        output_offset=p.output_offset,
        act_min=p.act_min,
        act_max=p.act_max,
        depth_multiplier=0,
        weights=p.weights.reshape(outputs, 1, 1, depth),
        bias=p.bias,
        requants=p.requants,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Packed:
    """The fields and the stream of an nn_quad_t."""

    kind: str  # in the kernel's name: packed, or long where sums have 64 bits
    fields: dict[str, str]
    stream: CConstant
    steps: int

    @property
    def block(self) -> int:
        """Pixels that are read before one is written."""
        return QUAD if self.kind == "packed" else 1

    @property
    def form(self) -> str:
        """Of the requantisation."""
        return "wide" if self.kind == "packed" else "long"


def wide_requants(
    p: OutputStage, weights: IntArray, prove: Prove = prove_wide
) -> tuple[WideRequant, ...] | None:
    """A form of all of weights [channels, taps], None where it is not proven or does not clamp as
    `p`."""
    if not is_wide(p) or p.act_min not in C_FORMS or p.act_max != LIMITS.max:
        return None
    bounds = acc_bounds(weights, p.bias, 0, LIMITS.min, LIMITS.max, padded=True)
    return prove(p.requants, *bounds)


def _quad(p: OutputStage, weights: IntArray) -> _Packed | None:
    """The stream of weights [channels, inputs], inputs even; None where no form is proven."""
    kind, requants = "packed", wide_requants(p, weights)
    if requants is None:
        kind, requants = "long", wide_requants(p, weights, prove_long)
    if requants is None:
        return None
    steps = weights.shape[1] // 2
    sizes = quad_sizes(len(weights), steps)
    if sizes is None:
        return None
    words = _pair_words(weights, p.bias.astype(np.int64), requants, kind)
    firsts = (2 if kind == "packed" else 4) * len(words)
    fields = sizes | {"quad.stream": "@stream", "quad.form": C_FORMS[p.act_min]}
    stream = words_constant("stream", words, weights=steps * len(words), biases=firsts)
    return _Packed(kind=kind, fields=fields, stream=stream, steps=steps)


def _pair_words(
    weights: IntArray, bias: IntArray, requants: Sequence[WideRequant], kind: str
) -> IntArray:
    """The stream of nn_wide.h, a row for each pair of channels."""
    odd = len(weights) & 1
    pairs = np.pad(weights, ((0, odd), (0, 0))).reshape(-1, 2, weights.shape[1] // 2, 2)
    first = np.pad(bias, (0, odd)).reshape(-1, 2)
    taps = pairs.transpose(0, 2, 3, 1).reshape(len(pairs), -1, 4) & 0xFF  # a0, b0, a1, b1
    steps = (taps << np.arange(0, 32, 8)).sum(axis=2)
    numbers = np.array([(r.multiplier, r.constant, r.shift) for r in requants], np.int64)
    numbers = np.pad(numbers, ((0, odd), (0, 0))).reshape(-1, 2, 3)
    shifts = numbers[:, 0, 2:] | numbers[:, 1, 2:] << 8
    if kind == "packed":
        multipliers = numbers[:, 0, :1] | numbers[:, 1, :1] << 16
        return np.concatenate([first, steps, multipliers, numbers[..., 1], shifts], axis=1)
    halves = np.stack([first, first >> 32], axis=2).reshape(len(pairs), -1)
    return np.concatenate([halves, steps, numbers[..., :2].reshape(len(pairs), -1), shifts], axis=1)


def _cost(sizes: ConvParams, outputs: int, packed: _Packed) -> int:
    """Instructions of all pixels."""
    runs, steps = runs_of(sizes), packed.steps
    pair = 13 * steps + 6 * -(-steps // 16) + 57
    gather = runs.parts * (25 + runs.count * (6 + 7 * runs.words))
    quad = (outputs + 1) // 2 * pair + gather + 120 + 4 * load_cost(sizes)
    pixel = _pixel_cost(outputs, steps) + 6 * steps + 120 + load_cost(sizes)
    quads, left = divmod(pixels_of(sizes), QUAD if packed.kind == "packed" else 1 << 31)
    return round(sizes.output_shape[0] * (quads * quad + left * pixel))


def _pixel_cost(outputs: int, steps: int) -> int:
    """Instructions of nn_pixel_s16."""
    return (outputs + 1) // 2 * (5 * steps + 3 * (steps % 4) + 24)
