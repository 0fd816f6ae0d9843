"""No input, random or extreme, drives a channel or an accumulator out of its proven bounds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from quantize.golden import random_inputs
from quantize.ops import conv_2d, depthwise_conv_2d, fully_connected, transpose_conv
from quantize.ops.base import INT8_OR_INT16, Array
from quantize.ranges import Ranges, find_ranges
from quantize.reference import Reference
from quantize.scheme import IntArray
from quantize.tflite.graph import Graph
from quantize.tflite.reader import parse_model
from tests.chains import chain
from tests.factory import ModelBuilder
from tests.generators import GENERATORS

ROWS = int(os.environ.get("ROWS", "20"))
CASES = 8  # four edge cases and four random ones
WEIGHTED: tuple[ModuleType, ...] = (conv_2d, depthwise_conv_2d, fully_connected, transpose_conv)


def _extremes(graph: Graph, seed: int) -> list[Array]:
    """Inputs at the ends of their type, in random patterns of elements, channels and places."""
    rng = np.random.default_rng(seed)
    inputs: list[Array] = []
    for index in graph.inputs:
        tensor = graph.tensors[index]
        if tensor.dtype not in INT8_OR_INT16:
            inputs.append(random_inputs(graph, CASES, seed)[len(inputs)])
            continue
        channels = rng.integers(0, 2, (CASES, *[1] * (len(tensor.shape) - 1), *tensor.shape[-1:]))
        places = rng.integers(0, 2, (CASES, *tensor.shape))
        noise = rng.random((CASES, *tensor.shape)) < rng.choice([0.0, 0.1, 1.0])
        limits, high = np.iinfo(tensor.dtype), np.where(noise, places, channels) > 0
        inputs.append(np.where(high, limits.max, limits.min).astype(tensor.dtype))
    return inputs


@pytest.fixture
def sums(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[IntArray]]:
    """The accumulators of weighted operators, in order of their runs."""
    seen: list[IntArray] = []
    for module in WEIGHTED:
        original = module.output_values

        def watched(values: IntArray, p: Any, original: Any = original) -> Array:
            seen.append((values + p.bias).reshape(-1, len(p.bias)))
            result: Array = original(values, p)
            return result

        monkeypatch.setattr(module, "output_values", watched)
    yield seen


def _check(model: bytes, seed: int, sums: list[IntArray], where: str) -> Ranges:
    reference = Reference(parse_model(model))
    graph = reference.graph
    ranges = find_ranges(graph, reference.steps)
    runs = [
        [values[case] for values in side]
        for side in (random_inputs(graph, CASES, seed), _extremes(graph, seed))
        for case in range(CASES)
    ]
    for inputs in runs:
        sums.clear()
        reference.reset()
        values = reference.run_all(inputs)
        for index, found in ranges.tensors.items():
            if index in values:
                got = values[index].reshape(-1, len(found.low))
                inside = (got >= found.low) & (got <= found.high)
                assert inside.all(), f"{where}: tensor {index}"
        for got, index in zip(sums, sorted(ranges.accumulators), strict=True):
            found = ranges.accumulators[index]
            inside = (got >= found.low) & (got <= found.high)
            assert inside.all(), f"{where}: accumulators of operator {index}"
    return ranges


@pytest.mark.parametrize("name", sorted(GENERATORS))
def test_no_operator_leaves_its_bounds(name: str, sums: list[IntArray]) -> None:
    for row in range(ROWS):
        _check(GENERATORS[name](np.random.default_rng(row)), row, sums, f"{name} row {row}")


@pytest.mark.parametrize("dead", [0.0, 0.3])
@pytest.mark.parametrize("block", range(5))
def test_no_network_leaves_its_bounds(block: int, dead: float, sums: list[IntArray]) -> None:
    for seed in range(block * ROWS, block * ROWS + ROWS):
        _check(chain(seed, dead), seed, sums, f"chain({seed}, {dead})")


def _dense(bias: int, factor: float) -> bytes:
    """A FULLY_CONNECTED of 8 inputs with this bias, whose sums are rescaled by `factor`."""
    b = ModelBuilder()
    x = b.tensor([1, 8], scale=[1.0], zero_point=[0])
    w = b.tensor([1, 8], scale=[1.0], data=np.full((1, 8), 127, np.int8))
    c = b.tensor([1], dtype="int32", data=np.array([bias], np.int32))
    y = b.tensor([1, 1], scale=[1.0 / factor], zero_point=[5])
    b.operator("FULLY_CONNECTED", [x, w, c], [y], "FullyConnectedOptions", 4)
    return b.pack([x], [y])


def _wide(factor: float) -> bytes:
    """A FULLY_CONNECTED of 8 int16 inputs, whose sums of 64 bits are rescaled by `factor`."""
    b = ModelBuilder()
    x = b.tensor([1, 8], dtype="int16", scale=[1.0], zero_point=[0])
    w = b.tensor([1, 8], scale=[1.0], data=np.full((1, 8), 127, np.int8))
    y = b.tensor([1, 1], dtype="int16", scale=[1.0 / factor], zero_point=[0])
    b.operator("FULLY_CONNECTED", [x, w, -1], [y], "FullyConnectedOptions", 4)
    return b.pack([x], [y])


def _product(factor: float) -> bytes:
    b = ModelBuilder()
    x = b.tensor([1, 8], scale=[1.0], zero_point=[0])
    y = b.tensor([1, 8], scale=[1.0], zero_point=[0], data=np.full((1, 8), 64, np.int8))
    z = b.tensor([1, 8], scale=[1.0 / factor], zero_point=[5])
    b.operator("MUL", [x, y], [z], "MulOptions", 2)
    return b.pack([x], [z])


def _sum(factor: float) -> bytes:
    b = ModelBuilder()
    x = b.tensor([8, 2], scale=[1.0], zero_point=[0])
    axes = b.tensor([1], dtype="int32", data=np.array([0], np.int32))
    y = b.tensor([2], scale=[1.0 / factor], zero_point=[5])
    b.operator("SUM", [x, axes], [y], "ReducerOptions", 2)
    return b.pack([x], [y])


WRAPPING = {
    "sum of a dense layer": lambda: _dense(2**31 - 1, 2**-20),
    "shift of a dense layer": lambda: _dense(100_000, 2.0**14.5),
    "offset of a dense layer": lambda: _dense(2**31 - 2**20, 0.999),
    "sum of 64 bits": lambda: _wide(110.0),
    "shift of a MUL": lambda: _product(2.0**18.3),
    "shift of a SUM": lambda: _sum(2.0**23.3),
}


@pytest.mark.parametrize("case", WRAPPING)
def test_what_wraps_is_not_bounded(case: str, sums: list[IntArray]) -> None:
    for seed in range(ROWS):
        _check(WRAPPING[case](), seed, sums, case)


def test_bounds_pass_through_operators_and_tighten_sums() -> None:
    """A ReLU at the zero point, a pool, a flattening: the dense layer sees what is left."""
    b = ModelBuilder()
    q: dict[str, Any] = {"scale": [0.1], "zero_point": [-28]}
    x = b.tensor([1, 2, 2, 3], **q)
    r, p = (b.tensor([1, n, n, 3], **q) for n in (2, 1))
    y = b.tensor([1, 1], **q)
    w = b.tensor([1, 3], scale=[0.01], data=np.array([[1, 2, -3]], np.int8))
    b.operator("RELU", [x], [r], version=2)
    b.operator("MAX_POOL_2D", [r], [p], "Pool2DOptions", 2, padding=1, strideH=1, strideW=1,
               filterHeight=2, filterWidth=2)  # fmt: skip
    b.operator("FULLY_CONNECTED", [p, w, -1], [y], "FullyConnectedOptions", 4)
    graph = parse_model(b.pack([x], [y]))
    found = find_ranges(graph, Reference(graph).steps)
    assert found.tensors[p].low.tolist() == [-28] * 3
    assert found.tensors[p].high.tolist() == [127] * 3
    assert found.accumulators[2].low.tolist() == [-3 * 155]
    assert found.accumulators[2].high.tolist() == [3 * 155]


def test_bounds_of_one_layer_are_reached() -> None:
    """The proven ends of a dense layer's outputs are outputs of some input."""
    for seed in range(ROWS):
        graph = parse_model(GENERATORS["FULLY_CONNECTED"](np.random.default_rng(seed)))
        reference = Reference(graph)
        found = find_ranges(graph, reference.steps).tensors[graph.outputs[0]]
        weights = graph.input(graph.operators[0], 1).data
        assert weights is not None
        shape = graph.tensors[graph.inputs[0]].shape
        for channel, row in enumerate(weights.astype(np.int64)):
            for end, value in ((found.low, -1), (found.high, 1)):
                inputs = np.where(row * value > 0, 127, -128).astype(np.int8)
                got = reference.run([np.broadcast_to(inputs, shape)])[0]
                assert (got[..., channel] == end[channel]).all()
