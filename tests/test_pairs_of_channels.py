"""The stream of nn_quad_s8: what stands behind a pair's weights, and what has no room there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quantize.lowering.conv_cortex_m import lower_conv
from quantize.lowering.jumps import JumpRequant
from quantize.lowering.packing import layer_constant, pair_rows, quad_fields, requant_words
from quantize.ops.conv_2d import ConvParams
from quantize.proofs import Form, ShortRequant, prove_short
from quantize.reference import Step, compile_graph
from quantize.scheme import IntArray, Requant
from quantize.tflite.graph import Graph
from quantize.tflite.reader import parse_model
from tests.layers import Layer, convolutions

CHANNELS = 5
WEIGHTS: IntArray = np.arange(CHANNELS * 4, dtype=np.int64).reshape(CHANNELS, 4) - 9
FIRST: IntArray = np.array([7, -1000, 3_000_000, -5, 0], np.int64)
SHORT: tuple[Form, ...] = ("fixed_8", "floor", "sign")


def _short(form: Form) -> list[ShortRequant]:
    fixed = form == "fixed_8"
    return [
        ShortRequant(
            form=form,
            pre_shift=8,
            multiplier=(1 << 30) + k,
            constant=-522_240 + 13_001 * k,
            shift=12 if fixed else 3 + 2 * k,
        )
        for k in range(CHANNELS)
    ]


def _jumps() -> list[JumpRequant]:
    offsets = [0, -1, 70_000, 255, -40_001]
    return [
        JumpRequant(offset=f, multiplier=(1 << 29) - k, constant=8 * (k - 900) + 256 * (7 * k % 31))
        for k, f in enumerate(offsets)
    ]


def _numbers(requants: list[ShortRequant] | list[JumpRequant]) -> list[tuple[int, ...]]:
    """What a kernel finds in the stream, by nn_quad.h: of each channel the first value times 256
    with f, the multiplier, the constant and the shift."""
    constant = layer_constant(requants)
    assert constant is not None
    rows = pair_rows(WEIGHTS, FIRST, requants, constant)
    assert rows is not None
    found = []
    assert rows.shape[1] == 2 + WEIGHTS.shape[1] // 2 + requant_words(requants)
    for row in rows.tolist():
        both, b, (m_a, m_b, word, *own) = row[0], row[1], row[2 + WEIGHTS.shape[1] // 2 :]
        form, f_b = requants[0].form, 0
        shifts = (word & 0xFF, word >> 8 & 0xFF) if own else (0, 0)
        more = (word & 0xFFFF, word >> 16)
        if form == "jump":
            more, f_b = (8 * (word >> 8 & 0x3FF), 8 * (word >> 22)), word & 0xFF
        constants = own or [constant + add for add in more]
        found.append(((both - b), m_a, constants[0], shifts[0]))
        found.append((256 * b + f_b, m_b, constants[1], shifts[1]))
    return found


@pytest.mark.parametrize("form", SHORT)
def test_a_kernel_finds_the_numbers_of_each_channel(form: Form) -> None:
    requants = _short(form)
    expected = [
        (256 * first, r.multiplier, r.constant, 0 if form == "fixed_8" else r.shift)
        for first, r in zip(FIRST.tolist(), requants, strict=True)
    ]
    assert _numbers(requants)[:CHANNELS] == expected


def test_a_kernel_finds_the_offsets_of_the_jump_form() -> None:
    jumps = _jumps()
    expected = [
        (256 * first + r.offset, r.multiplier, r.constant, 0)
        for first, r in zip(FIRST.tolist(), jumps, strict=True)
    ]
    assert _numbers(jumps)[:CHANNELS] == expected


@pytest.mark.parametrize(("apart", "room"), [((1 << 16) - 1, True), (1 << 16, False)])
def test_constants_that_are_far_apart_have_no_room(apart: int, room: bool) -> None:
    one = _short("fixed_8")[0]
    both = [one, replace(one, constant=one.constant + apart)]
    assert (layer_constant(both) is not None) == room
    assert layer_constant([replace(r, form="floor") for r in both]) == 0


@pytest.mark.parametrize(("apart", "room"), [((1 << 13) - 8, True), (1 << 13, False)])
def test_constants_of_the_jump_form_have_less_room(apart: int, room: bool) -> None:
    one = _jumps()[0]
    both = [one, replace(one, constant=one.constant + apart)]
    assert (layer_constant(both) is not None) == room


@pytest.mark.parametrize("sizes", [(1 << 16, 4), (4, 1 << 16)])
def test_sizes_beyond_16_bits_have_no_fields(sizes: tuple[int, int]) -> None:
    assert quad_fields(*sizes, _short("fixed_8"), 0) is None


def _step(channels: int = 4) -> tuple[Graph, Step]:
    """A convolution with ReLU, whose outputs begin at -128."""
    layer = Layer(size=(4, 4), channels=20, outputs=channels, kernel=(1, 1))
    graph = parse_model(convolutions(np.random.default_rng(0), [layer]))
    (step,) = compile_graph(graph)
    assert step.params.output_offset == -128
    return graph, step


def _with_dead_channel(p: ConvParams, requant: Requant, bias: int) -> ConvParams:
    weights, biases = p.weights.copy(), p.bias.copy()
    weights[1], biases[1] = 0, bias
    requants = (p.requants[0], requant, *p.requants[2:])
    return replace(p, weights=weights, bias=biases, requants=requants)


def test_a_dead_channel_keeps_the_common_constant() -> None:
    """Its own factor gives its only output: without a product, the constant would be that."""
    graph, step = _step()
    p: ConvParams = step.params
    dead = _with_dead_channel(p, Requant(multiplier=1 << 30, shift=-7), 100 << 8)
    lowered = lower_conv(graph, replace(step, params=dead), 1 << 20)
    assert lowered is not None and lowered.requantisation == "fixed_8"


def test_a_dead_channel_that_no_common_constant_serves_takes_another_form() -> None:
    """Its factor is too large for products with a shift of 12, and its output is not 0."""
    graph, step = _step()
    requant = Requant(multiplier=1 << 30, shift=0)
    dead = _with_dead_channel(step.params, requant, 200)
    proven = prove_short(
        dead.requants[1:2],
        output_offset=-128,
        act_min=-128,
        act_max=127,
        low=np.array([200]),
        high=np.array([200]),
        form="fixed_8",
    )
    assert proven is not None and proven[0].multiplier == 0
    lowered = lower_conv(graph, replace(step, params=dead), 1 << 20)
    assert lowered is not None and lowered.requantisation != "fixed_8"
