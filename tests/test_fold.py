"""Channels that cannot matter vanish, and what is left answers byte for byte as before."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quantize.fold import Folding, fold_channels
from quantize.golden import make_golden, random_inputs
from quantize.lowering import KERNEL_SETS
from quantize.manifest import compile_model
from quantize.reference import Reference, compile_graph, integer_bits
from quantize.tflite.reader import parse_model
from tests.chains import chain
from tests.factory import ModelBuilder
from tests.generators import GENERATORS
from tests.host_c import HostModel

ROWS = int(os.environ.get("ROWS", "20"))
CASES = 8  # four edge cases and four random ones
ZERO = -128  # the zero point of hidden tensors: what a channel without weights and bias gives


def _check(model: bytes, seed: int, where: str) -> Folding:
    """The folded graph equals TFLite Micro on the whole model, tensor by tensor where it can."""
    graph = parse_model(model)
    folding = fold_channels(graph)
    golden = make_golden(model, random_inputs(graph, CASES, seed))
    whole, folded = Reference(graph), Reference(folding.graph)
    for case in range(CASES):
        inputs = golden.case_inputs(case)
        for reference in (whole, folded):
            reference.reset()
        before, after = whole.run_all(inputs), folded.run_all(inputs)
        for step in folding.steps:
            for i in step.op.outputs:
                channels = folding.kept.get(i)
                expected = before[i] if channels is None else before[i][..., channels]
                same = np.array_equal(integer_bits(after[i]), integer_bits(expected))
                assert same, f"{where}, case {case}, tensor {i}"
        for i, expected in zip(graph.outputs, golden.case_outputs(case), strict=True):
            same = np.array_equal(integer_bits(after[i]), integer_bits(expected))
            assert same, f"{where}, case {case}, output {i}"
    steps = compile_graph(graph)
    saved = sum(s.spec.macs(s.params) for s in steps) - sum(
        s.spec.macs(s.params) for s in folding.steps
    )
    assert folding.macs == saved
    return folding


@pytest.mark.parametrize("dead", [0.0, 0.3, 0.8])
@pytest.mark.parametrize("block", range(4))
def test_folded_networks_equal_tflite_micro(block: int, dead: float) -> None:
    folded = 0
    for seed in range(block * ROWS, block * ROWS + ROWS):
        folded += bool(_check(chain(seed, dead), seed, f"chain({seed}, {dead})").kept)
    assert folded >= ROWS // 4 or dead < 0.5


@pytest.mark.parametrize("name", sorted(GENERATORS))
def test_single_operators_keep_all_their_outputs(name: str) -> None:
    for row in range(ROWS // 4):
        _check(GENERATORS[name](np.random.default_rng(row)), row, f"{name} row {row}")


@pytest.mark.parametrize("kernels", sorted(KERNEL_SETS))
@pytest.mark.parametrize("seed", range(ROWS // 2))
def test_host_c_of_a_folded_network_equals_tflite_micro(
    seed: int, kernels: str, tmp_path: Path
) -> None:
    model = chain(1000 + seed, 0.5)
    golden = make_golden(model, random_inputs(parse_model(model), CASES, seed))
    manifest: dict[str, Any] = compile_model(
        model, golden, tmp_path, name="m", settings={}, kernels=kernels
    )
    host = HostModel(tmp_path, manifest)
    for case in range(CASES):
        host.reset()
        got = host.run(golden.case_inputs(case))
        for a, b in zip(got, golden.case_outputs(case), strict=True):
            assert np.array_equal(a, b), f"chain({1000 + seed}, 0.5), case {case}"


# --- built by hand: exactly what is expected goes ------------------------------------------------


class _Net:
    """Layers on an input of 1x6x5x4, hidden tensors with the zero point -128."""

    def __init__(self) -> None:
        self.b, self.rng = ModelBuilder(), np.random.default_rng(5)
        self.x = self.hidden((1, 6, 5, 4), 3)

    def hidden(self, shape: tuple[int, ...], zero: int = ZERO) -> int:
        return self.b.tensor(shape, scale=[0.05], zero_point=[zero])

    def weights(
        self, shape: tuple[int, ...], axis: int, dead: dict[int, int], blind: tuple[int, ...]
    ) -> list[int]:
        """Output channels `dead` give a constant; input channels `blind` have weights of 0."""
        data = self.rng.integers(1, 128, shape).astype(np.int8)
        data *= self.rng.choice(np.array([-1, 1], np.int8), shape)
        data[..., list(blind)] = 0
        rows, bias = np.moveaxis(data, axis, 0), self.rng.integers(500, 4000, shape[axis])
        for channel, value in dead.items():
            rows[channel], bias[channel] = 0, round((value - ZERO) * 0.05 / (0.05 * 0.01))
        w = self.b.tensor(shape, scale=[0.01], data=data)
        return [w, self.b.tensor([len(bias)], dtype="int32", data=bias.astype(np.int32))]

    def conv(
        self,
        x: int,
        shape: tuple[int, int, int],
        sizes: tuple[int, int, int],
        dead: dict[int, int] | None = None,
        *,
        same: bool = True,
        blind: tuple[int, ...] = (),
    ) -> int:
        """shape: input height, width, channels; sizes: kernel rows, columns, output channels."""
        (h, w, c), (kh, kw, out) = shape, sizes
        operands = self.weights((out, kh, kw, c), 0, dead or {}, blind)
        y = self.hidden((1, h, w, out) if same else (1, h - kh + 1, w - kw + 1, out))
        self.b.operator("CONV_2D", [x, *operands], [y], "Conv2DOptions", 3,
                        padding=0 if same else 1, strideH=1, strideW=1)  # fmt: skip
        return y

    def depthwise(
        self, x: int, channels: int, multiplier: int = 1, dead: dict[int, int] | None = None
    ) -> int:
        out = channels * multiplier
        operands = self.weights((1, 3, 3, out), 3, dead or {}, ())
        y = self.hidden((1, 6, 5, out))
        self.b.operator("DEPTHWISE_CONV_2D", [x, *operands], [y], "DepthwiseConv2DOptions", 3,
                        padding=0, strideH=1, strideW=1, depthMultiplier=multiplier)  # fmt: skip
        return y

    def dense(
        self,
        x: int,
        depth: int,
        out: int,
        dead: dict[int, int] | None = None,
        *,
        blind: tuple[int, ...] = (),
    ) -> int:
        y = self.hidden((1, out))
        operands = self.weights((out, depth), 0, dead or {}, blind)
        self.b.operator("FULLY_CONNECTED", [x, *operands], [y], "FullyConnectedOptions", 4)
        return y

    def check(self, *outputs: int) -> Folding:
        return _check(self.b.pack([self.x], outputs), 0, "net")


def _macs(folding: Folding) -> list[int]:
    return [step.spec.macs(step.params) for step in folding.steps]


def test_dead_channels_vanish_through_a_chain() -> None:
    """A constant at the zero point passes the borders of all that follows."""
    n = _Net()
    y = n.conv(n.x, (6, 5, 4), (3, 3, 8), {1: ZERO, 5: ZERO, 6: ZERO})
    y = n.depthwise(y, 8, dead={1: ZERO, 5: ZERO, 6: ZERO})
    y = n.conv(y, (6, 5, 8), (1, 1, 6))
    folding = n.check(y)
    assert _macs(folding) == [30 * 9 * 4 * 5, 30 * 9 * 5, 30 * 5 * 6]
    assert (folding.channels, folding.macs) == (6, 30 * 9 * 4 * 3 + 30 * 9 * 3 + 30 * 3 * 6)
    sizes = (3 * 36 + 3 * 12, 3 * 9 + 3 * 12, 3 * 6)  # weights, bias and requantisation
    assert [operator.bytes for operator in folding.operators] == list(sizes)


@pytest.mark.parametrize("same", [False, True])
def test_other_constants_fold_only_away_from_borders(same: bool) -> None:
    n = _Net()
    y = n.conv(n.x, (6, 5, 4), (1, 1, 8), {1: -100, 5: 127, 6: ZERO})
    folding = n.check(n.conv(y, (6, 5, 8), (3, 3, 6), same=same))
    assert folding.kept[y] == ((0, 1, 2, 3, 4, 5, 7) if same else (0, 2, 3, 4, 7))


def test_what_nobody_reads_is_not_computed() -> None:
    """A depthwise channel without weights makes its live input superfluous, two layers up."""
    n = _Net()
    first = n.conv(n.x, (6, 5, 4), (3, 3, 8))
    second = n.depthwise(first, 8, dead={2: ZERO, 3: -90})
    third = n.conv(second, (6, 5, 8), (1, 1, 6), blind=(7,))
    folding = n.check(third)
    assert folding.kept == {first: (0, 1, 4, 5, 6), second: (0, 1, 4, 5, 6)}


def test_a_second_reader_keeps_what_it_needs() -> None:
    n = _Net()
    first = n.conv(n.x, (6, 5, 4), (3, 3, 8))
    second = n.depthwise(first, 8, dead={2: ZERO, 3: ZERO})
    total = n.hidden((1, 6, 5, 8))
    n.b.operator("ADD", [first, second], [total], "AddOptions", 2)
    assert n.check(n.conv(total, (6, 5, 8), (1, 1, 6))).kept == {}


def test_a_residual_loses_what_is_dead_in_both_branches() -> None:
    n = _Net()
    first = n.conv(n.x, (6, 5, 4), (1, 1, 8), {1: ZERO, 2: ZERO, 3: ZERO})
    second = n.conv(first, (6, 5, 8), (3, 3, 8), {0: ZERO, 2: ZERO, 3: ZERO})
    total, scaled = n.hidden((1, 6, 5, 8)), n.hidden((1, 6, 5, 8))
    factors = n.b.tensor([8], scale=[0.01], zero_point=[0], data=np.arange(1, 9, dtype=np.int8))
    n.b.operator("ADD", [first, second], [total], "AddOptions", 2)
    n.b.operator("MUL", [total, factors], [scaled], "MulOptions", 2)
    folding = n.check(n.conv(scaled, (6, 5, 8), (1, 1, 6)))
    both = (0, 1, 4, 5, 6, 7)
    assert folding.kept == dict.fromkeys((first, second, total, scaled), both)


def test_a_dense_layer_loses_all_places_of_a_channel() -> None:
    n = _Net()
    y = n.conv(n.x, (6, 5, 4), (1, 1, 3), {1: -77})
    flat = n.hidden((1, 90))
    shape = n.b.tensor([2], dtype="int32", data=np.array([1, 90], np.int32))
    n.b.operator("RESHAPE", [y, shape], [flat], "ReshapeOptions", 1)
    z = n.dense(flat, 90, 7, {0: 5, 6: ZERO})
    folding = n.check(n.dense(z, 7, 4))
    assert _macs(folding) == [30 * 4 * 2, 0, 60 * 5, 5 * 4]


def test_outputs_of_the_model_keep_their_shape() -> None:
    """A constant that has to be written needs no inputs any more."""
    n = _Net()
    y = n.conv(n.x, (6, 5, 4), (1, 1, 3))
    z = n.conv(y, (6, 5, 3), (1, 1, 2), {0: 9, 1: -3})
    folding = n.check(z)
    assert z not in folding.kept
    assert _macs(folding) == [30 * 4, 30 * 2]  # one channel stays, as every tensor has one


def test_each_input_of_a_concatenation_loses_its_own() -> None:
    n = _Net()
    first = n.conv(n.x, (6, 5, 4), (1, 1, 3), {1: ZERO})
    second = n.conv(n.x, (6, 5, 4), (1, 1, 4), {0: ZERO, 3: -50})
    joined = n.hidden((1, 6, 5, 7))
    n.b.operator("CONCATENATION", [first, second], [joined], "ConcatenationOptions", 2, axis=-1)
    folding = n.check(n.conv(joined, (6, 5, 7), (3, 3, 2)))
    assert folding.kept == {first: (0, 2), second: (1, 2, 3), joined: (0, 2, 4, 5, 6)}


def test_a_constant_in_a_concatenation_stays_whole() -> None:
    n = _Net()
    y = n.conv(n.x, (6, 5, 4), (1, 1, 3), {1: ZERO})
    data = np.full((1, 6, 5, 2), ZERO, np.int8)
    fixed = n.b.tensor(data.shape, scale=[0.05], zero_point=[ZERO], data=data)
    joined = n.hidden((1, 6, 5, 5))
    n.b.operator("CONCATENATION", [fixed, y], [joined], "ConcatenationOptions", 2, axis=3)
    folding = n.check(n.conv(joined, (6, 5, 5), (3, 3, 2)))
    assert folding.kept == {y: (0, 2), joined: (0, 1, 2, 4)}


def test_a_mean_over_channels_needs_them_all() -> None:
    """Its last axis are columns, as many as there were channels."""
    n = _Net()
    y, z = n.conv(n.x, (6, 5, 4), (1, 1, 5), {1: ZERO}), n.hidden((1, 6, 5))
    axes = n.b.tensor([1], dtype="int32", data=np.array([3], np.int32))
    n.b.operator("MEAN", [y, axes], [z], "ReducerOptions", 2)
    folding = n.check(n.dense(z, 30, 4, blind=tuple(range(1, 30, 5))))
    assert folding.kept == {}


def test_a_single_channel_meets_many() -> None:
    """The operand that repeats stays, the channels of the other one go."""
    n = _Net()
    first = n.conv(n.x, (6, 5, 4), (1, 1, 1))
    second = n.conv(n.x, (6, 5, 4), (1, 1, 4), {2: ZERO})
    product = n.hidden((1, 6, 5, 4))
    n.b.operator("MUL", [first, second], [product], "MulOptions", 2)
    folding = n.check(n.conv(product, (6, 5, 4), (3, 3, 2)))
    assert folding.kept == dict.fromkeys((second, product), (0, 1, 3))


def test_a_single_channel_spreads_to_fewer() -> None:
    """DEPTHWISE_CONV_2D from one channel: the multiplier shrinks."""
    n = _Net()
    y = n.conv(n.x, (6, 5, 4), (1, 1, 1))
    z = n.depthwise(y, 1, 8, {0: ZERO, 3: ZERO})
    folding = n.check(n.conv(z, (6, 5, 8), (3, 3, 2)))
    assert folding.kept == {z: (1, 2, 4, 5, 6, 7)}
    assert folding.steps[1].params.depth_multiplier == 6


def test_channels_of_a_depthwise_group_go_together() -> None:
    n = _Net()
    y = n.conv(n.x, (6, 5, 4), (1, 1, 3))
    z = n.depthwise(y, 3, 2, {0: ZERO, 1: ZERO, 2: ZERO})
    folding = n.check(n.conv(z, (6, 5, 6), (3, 3, 2)))
    assert folding.kept == {y: (1, 2), z: (2, 3, 4, 5)}


def test_nothing_to_fold_is_the_same_graph() -> None:
    n = _Net()
    graph = parse_model(n.b.pack([n.x], [n.conv(n.x, (6, 5, 4), (3, 3, 8), {2: 7})]))
    folding = fold_channels(graph)
    assert folding.graph is graph
    assert (folding.channels, folding.macs, folding.bytes, folding.operators) == (0, 0, 0, ())


def test_the_manifest_tells_what_vanished(tmp_path: Path) -> None:
    n = _Net()
    y = n.conv(n.x, (6, 5, 4), (3, 3, 8), {1: ZERO, 5: ZERO})
    model = n.b.pack([n.x], [n.conv(y, (6, 5, 8), (1, 1, 6))])
    golden = make_golden(model, random_inputs(parse_model(model), CASES, 0))
    manifest: Any = compile_model(model, golden, tmp_path, name="m", settings={})
    assert manifest["folded"] == {
        "channels": 2,
        "macs": 30 * 36 * 2 + 30 * 2 * 6,
        "bytes": 2 * 36 + 2 * 12 + 2 * 6,
        "operators": [
            {"index": 0, "op": "CONV_2D", "channels": 2, "macs": 30 * 36 * 2, "bytes": 96},
            {"index": 1, "op": "CONV_2D", "channels": 0, "macs": 30 * 2 * 6, "bytes": 12},
        ],
    }
    assert manifest["macs"] == 30 * 36 * 6 + 30 * 6 * 6
    assert manifest["operators"][0]["output"]["shape"] == [1, 6, 5, 6]
