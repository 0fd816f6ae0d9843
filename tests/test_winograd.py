"""Three columns in four products: Winograd's F(2,3), exact, where the flash has room for it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from model.files import write_bytes
from quantize.golden import Golden, make_golden, random_inputs, save_golden
from quantize.lowering import LoweredStep, lower
from quantize.lowering.winograd_cortex_m import lower_winograd
from quantize.manifest import compile_sets
from quantize.reference import compile_graph
from quantize.tflite.reader import parse_model
from tests import steps as command
from tests.factory import ModelBuilder
from tests.host_c import HostModel
from tests.layers import Layer, convolutions
from tests.packed_rows import ROWS, rows_model
from tests.sweeps import sweep

LOADER = "nn_load_tiles_s8"
FLASH_BYTES = 1 << 24
CASES = 6


def _tiles(count: int, seed: int) -> bytes:
    return rows_model([ROWS["CONV_2D_TILES"]] * count, seed)


def _share(model: bytes, flash_bytes: int | None) -> float:
    """Of the steps, those that the kernel computes."""
    graph = parse_model(model)
    steps = lower(graph, compile_graph(graph), "armv7em", flash_bytes)
    return float(np.mean([step.calls[0].params.get("load") == LOADER for step in steps]))


def test_it_is_taken_where_the_flash_has_room_only() -> None:
    model = _tiles(24, 0)
    assert _share(model, None) == 0
    assert _share(model, FLASH_BYTES) > 0.3


def _compile(model: bytes, golden: Golden, folder: Path) -> dict[str, object]:
    return compile_sets(
        model, golden, {"armv7em": folder}, name="tiles", settings={}, constants_bytes=FLASH_BYTES
    )["armv7em"]


@pytest.mark.parametrize("seed", range(3))
def test_host_c_equals_tflite_micro(seed: int, tmp_path: Path) -> None:
    model = _tiles(24, seed)
    golden = make_golden(model, random_inputs(parse_model(model), CASES, seed))
    host = HostModel(tmp_path, _compile(model, golden, tmp_path))
    for case in range(CASES):
        for a, b in zip(host.run(golden.case_inputs(case)), golden.case_outputs(case), strict=True):
            assert np.array_equal(a, b), case


def _extreme(weights: tuple[int, int, int], scale: float, zero: int) -> bytes:
    """A convolution of 8 channels whose windows all have these three columns of weights."""
    b = ModelBuilder()
    x = b.tensor([1, 6, 8, 8], scale=[0.05], zero_point=[zero])
    y = b.tensor([1, 6, 8, 4], scale=[scale], zero_point=[zero])
    data = np.broadcast_to(np.array(weights, np.int8)[:, None], (4, 3, 3, 8))
    w = b.tensor([4, 3, 3, 8], scale=[0.01] * 4, axis=0, data=np.ascontiguousarray(data))
    b.operator("CONV_2D", [x, w], [y], "Conv2DOptions", 3, padding=0, strideH=1, strideW=1,
               dilationHFactor=1, dilationWFactor=1)  # fmt: skip
    return b.pack([x], [y])


@pytest.mark.parametrize("weights", [(-128, -128, -128), (127, -128, 127), (-128, 0, 127)])
@pytest.mark.parametrize(("scale", "zero"), [(2.0, -128), (1.0, 127), (0.02, 0)])
def test_the_largest_products_are_exact(
    weights: tuple[int, int, int], scale: float, zero: int, tmp_path: Path
) -> None:
    model = _extreme(weights, scale, zero)
    shape, ends = (1, 6, 8, 8), (-128, 127)
    columns = np.arange(8)[:, None] % 2
    cases = [np.full(shape, v) for v in ends]
    cases += [np.broadcast_to(np.where(columns == i, *ends), shape) for i in (0, 1)]
    cases += [np.broadcast_to(np.where(columns * i % 4 < 2, *ends), shape) for i in (2, 3)]
    golden = make_golden(model, [np.stack(cases).astype(np.int8)])
    host = HostModel(tmp_path, _compile(model, golden, tmp_path))
    for case in range(len(golden)):
        expected = golden.case_outputs(case)[0]
        assert np.array_equal(host.run(golden.case_inputs(case))[0], expected), case


def test_weights_that_leave_16_bits_are_left_to_other_kernels() -> None:
    """A large factor wants sums that are shifted by 8 bits before."""
    for weight, form in ((80, "fixed"), (127, "sign")):
        graph = parse_model(_extreme((weight, weight, weight), 0.018, -128))
        lowered = lower_winograd(graph, compile_graph(graph)[0], 1 << 20)
        assert lowered is not None and lowered.requantisation == form


OTHERS = (
    Layer(size=(8, 8), channels=8, outputs=8, kernel=(3, 3), stride=(2, 1)),
    Layer(size=(8, 8), channels=8, outputs=8, kernel=(3, 3), dilation=(1, 2)),
    Layer(size=(8, 8), channels=8, outputs=8, kernel=(3, 5)),
    Layer(size=(8, 12), channels=8, outputs=8, kernel=(3, 3)),
    Layer(size=(8, 8), channels=6, outputs=8, kernel=(3, 3)),
    Layer(size=(8, 8), channels=8, outputs=7, kernel=(3, 3)),
    Layer(size=(8, 8), channels=8, outputs=8, kernel=(2, 3)),
)


def _alone(layer: Layer, scratch_budget_bytes: int) -> LoweredStep | None:
    graph = parse_model(convolutions(np.random.default_rng(0), [layer]))
    return lower_winograd(graph, compile_graph(graph)[0], scratch_budget_bytes)


def test_what_would_be_left_over_is_left_to_other_kernels() -> None:
    whole = Layer(size=(8, 8), channels=8, outputs=8, kernel=(3, 3))
    needed = _alone(whole, 1 << 20)
    assert needed is not None
    assert _alone(whole, needed.scratch_bytes - 1) is None
    assert [layer for layer in OTHERS if _alone(layer, 1 << 20) is not None] == []


@pytest.mark.parametrize(("rows", "taken"), [(20, True), (22, False)])
def test_steps_beyond_16_bits_are_left_to_other_kernels(rows: int, taken: bool) -> None:
    """Of a phase, 60,000 and 66,000 where there is room for 65,535."""
    layer = Layer(size=(8, 8), channels=8, outputs=2, kernel=(3, 3))
    graph = parse_model(convolutions(np.random.default_rng(0), [layer]))
    (step,) = compile_graph(graph)
    p = step.params
    weights = np.pad(p.weights, ((0, 0), (0, rows - 3), (0, 0), (0, 6000 - 8)))
    window = replace(p.window, kernel=(rows, 3))
    large = replace(p, input_shape=(1, 8, 8, 6000), weights=weights, window=window)
    lowered = lower_winograd(graph, replace(step, params=large), 1 << 30)
    assert (lowered is not None) == taken


@pytest.mark.parametrize("count", sweep([6, 30], [6]))
def test_assembly_equals_tflite_micro(
    count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "BUILD", tmp_path)
    model, out_dir = _tiles(count, 7), tmp_path / "tiles"
    golden = make_golden(model, random_inputs(parse_model(model), CASES, 7))
    write_bytes(out_dir / "model.tflite", model)
    save_golden(out_dir / "golden.npz", golden)
    _compile(model, golden, out_dir / "gen" / "armv7em")
    assert command.main(["build", "tiles", "qemu_m4"]) == 0
    assert command.main(["parity", "tiles", "qemu_m4"]) == 0
    report = json.loads((out_dir / "qemu_m4" / "parity.json").read_text())
    assert report["equal"] == report["cases"] == CASES
