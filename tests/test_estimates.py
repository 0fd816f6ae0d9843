"""What the lowerings predict is what the bench counts: kernels are chosen by it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from host_tools.bench.suite import find_models, run_suite
from quantize import timings
from quantize.lowering import lower
from quantize.reference import compile_graph
from quantize.tflite.reader import parse_model
from tests.bench_models import write_models
from tests.factory import ModelBuilder

ENOUGH = 10_000  # cycles: below, what a call takes besides its loops is most of it
LARGEST_ERROR = 0.15
BOARDS = ("qemu_m4", "qemu_xtensa")
# inputs and outputs of a dense layer -> instructions and cycles that the bench counted (ad01)
COUNTED = {(128, 128): (19_271, 29_956), (640, 128): (91_959, 143_252), (8, 128): (2_231, 3_396)}


@pytest.mark.slow
@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("model", ["bench_residual", "bench_separable"])
def test_predicted_cycles_are_those_of_the_bench(model: str, board: str, tmp_path: Path) -> None:
    found = [path for path in find_models([write_models(tmp_path)]) if path.stem == model]
    (row,) = run_suite([], found, tmp_path / "build", [board])
    assert row.result is not None
    (manifest,) = (tmp_path / "build").glob(f"*/gen/{row.result.kernels}/manifest.json")
    content = json.loads(manifest.read_text())
    assert content["estimated_chip"] == row.result.estimates[0].chip
    predicted = {op["index"]: op["estimate"] for op in content["operators"]}
    compared = 0
    for layer in row.result.per_layer:
        estimate = predicted[layer["operator"]]
        if estimate and layer["cycles"] >= ENOUGH:
            for key, value in (("cycles", layer["cycles"]), ("instructions", layer["counts"])):
                assert abs(estimate[key] / value - 1) <= LARGEST_ERROR, (layer, estimate)
            compared += 1
    assert compared >= 3
    assert sum(layer["cycles"] for layer in row.result.per_layer) == pytest.approx(
        row.result.estimates[0].cycles[timings.MIDDLE], rel=0.01
    )


@pytest.mark.parametrize(("depth", "channels"), COUNTED)
def test_predicted_cycles_of_a_dense_layer(depth: int, channels: int) -> None:
    b, rng = ModelBuilder(), np.random.default_rng(0)
    x = b.tensor([1, depth], scale=[0.05], zero_point=[3])
    y = b.tensor([1, channels], scale=[0.4], zero_point=[-128])
    data = rng.integers(-90, 90, (channels, depth)).astype(np.int8)
    w = b.tensor([channels, depth], scale=[0.01], data=data)
    b.operator("FULLY_CONNECTED", [x, w], [y], "FullyConnectedOptions", 4)
    graph = parse_model(b.pack([x], [y]))
    (step,) = lower(graph, compile_graph(graph), "armv7em")
    instructions, cycles = COUNTED[depth, channels]
    assert step.cost is not None
    assert step.cost.instructions == pytest.approx(instructions, rel=0.03)
    assert step.cost.cycles == pytest.approx(cycles, rel=0.03)
    assert all(other.cost and other.cost.cycles > cycles for other in step.alternatives)


def test_costs_add_up() -> None:
    load = timings.cortex_m(1, words=4, flash=4)
    assert (load.instructions, load.cycles) == (1, 1 + 4 + 4 * timings.NRF52840[1].flash)
    assert 2 * load + timings.NOTHING == timings.total([load, None, load])
    assert timings.lx6(10, waits=3, jumps=1) == timings.Cost(10, 15)
