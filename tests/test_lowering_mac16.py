"""The xtensa_mac16 kernels equal TFLite Micro, on this machine and as machine code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.files import write_bytes
from quantize import lowering
from quantize.golden import make_golden, random_inputs, save_golden
from quantize.lowering import LoweredStep, depthwise_mac16, lower
from quantize.lowering.packing import WIDENED, widened_order
from quantize.manifest import compile_model
from quantize.reference import compile_graph
from quantize.tflite.reader import parse_model
from quantize.timings import total
from tests import steps as command
from tests.host_c import HostModel
from tests.layers import Layer, convolutions, dense_layers
from tests.test_lowering_xtensa import CASES, CONVOLUTIONS, DEPTHWISE

SET = "xtensa_mac16"
RUN = "nn_depthwise_conv_2d_run_s8"
PIXELS, COLUMNS = "nn_conv_2d_pixels_s8", "nn_conv_2d_columns_s8"
NINE, PAIRS = "nn_depthwise_conv_2d_nine_s8", "nn_fully_connected_pairs_s8"
MORE = (
    *(Layer(size=(5, 5), channels=n, outputs=3) for n in (4, 8, 12, 20, 7)),
    *(Layer(size=(9, 8), channels=n, outputs=5, kernel=(3, 3)) for n in (1, 2, 4, 8, 9)),
    *(Layer(size=(n, 7), channels=4, outputs=4, kernel=(3, 3)) for n in (1, 2, 9, 16)),
    Layer(size=(14, 9), channels=4, outputs=8, kernel=(3, 3), stride=(2, 2)),
    Layer(size=(14, 9), channels=3, outputs=8, kernel=(3, 3), stride=(2, 1), images=2),
    Layer(size=(9, 9), channels=8, outputs=8, stride=(2, 2)),
    Layer(size=(9, 9), channels=2, outputs=8, stride=(3, 3), images=2),
    Layer(size=(12, 12), channels=1, outputs=3, kernel=(2, 3), stride=(3, 3)),
    Layer(size=(8, 8), channels=4, outputs=3, kernel=(2, 2), stride=(2, 2)),  # without a gap
    Layer(size=(6, 13), channels=1, outputs=3, stride=(1, 3)),  # a gap of a word
    Layer(size=(30, 1), channels=4, outputs=6, kernel=(5, 1), stride=(1, 2)),
    Layer(size=(6, 6), channels=8, outputs=70, kernel=(3, 3), largest=127),
)
NINES = (
    *(Layer(size=(4, n), channels=2, depthwise=1, kernel=(3, 3)) for n in range(1, 12)),
    *(Layer(size=(n, 4), channels=3, depthwise=2, kernel=(3, 3), stride=(2, 2)) for n in (1, 6, 9)),
    *(Layer(size=(7, 9), channels=2, depthwise=1, kernel=(3, 3), largest=127) for _ in range(4)),
    *(Layer(size=(9, 9), channels=2, depthwise=1, kernel=(3, 3), stride=(2, 2)) for _ in range(4)),
    Layer(size=(8, 9), channels=2, depthwise=1, kernel=(3, 3), stride=(2, 3), same=False),
    Layer(size=(8, 9), channels=4, depthwise=1, kernel=(3, 3), same=False, images=2),
    *(Layer(size=(20, 1), channels=3, depthwise=1, kernel=(n, 1)) for n in (2, 5, 7, 10)),
    *(Layer(size=(n, 3), channels=3, depthwise=1, kernel=(4, 1)) for n in (2, 3, 4, 9)),
    Layer(size=(3, 20), channels=2, depthwise=2, kernel=(1, 5), stride=(1, 2), images=2),
    Layer(size=(3, 21), channels=2, depthwise=2, kernel=(1, 6), stride=(1, 3)),
    Layer(size=(4, 21), channels=2, depthwise=1, kernel=(1, 3), stride=(2, 1), same=False),
    Layer(size=(15, 1), channels=6, depthwise=1, kernel=(15, 1), same=False),
    Layer(size=(20, 17), channels=1, depthwise=8, kernel=(10, 8), stride=(2, 2)),
)
DENSE = (
    *((1, 8 * n, 3 * n + 1) for n in range(1, 12)),
    *((2, 100, n) for n in (1, 2, 31, 32, 33, 70)),
    (1, 640, 40),
    (3, 1200, 5),
)


def mac16_model(name: str) -> bytes:
    rng = np.random.default_rng(len(name))
    layers = {
        "convolutions": CONVOLUTIONS,
        "more convolutions": MORE,
        "depthwise": DEPTHWISE,
        "three by three": NINES,
    }
    return convolutions(rng, layers[name]) if name in layers else dense_layers(rng, DENSE)


NAMES = ("convolutions", "more convolutions", "depthwise", "three by three", "dense")


LARGER = lowering.LARGER


@pytest.fixture(autouse=True)
def _pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dense layers keep a byte a weight, where no budget says otherwise; and layers are small: the
    numbers of their channels would be beyond the set's share of constants."""
    monkeypatch.setattr(lowering, "LARGER", {})
    monkeypatch.setattr(lowering, "SMALL_BYTES", 1 << 20)


def _lowered(model: bytes, **budgets: int) -> tuple[LoweredStep, ...]:
    graph = parse_model(model)
    return lower(graph, compile_graph(graph), SET, **budgets)


def _kernels(model: bytes, **budgets: int) -> list[str]:
    return [call.function for step in _lowered(model, **budgets) for call in step.calls]


@pytest.mark.parametrize("name", NAMES)
def test_host_c_equals_tflite_micro(name: str, tmp_path: Path) -> None:
    model = mac16_model(name)
    golden = make_golden(model, random_inputs(parse_model(model), CASES, 0))
    manifest: Any = compile_model(model, golden, tmp_path, name="m", settings={}, kernels=SET)
    host = HostModel(tmp_path, manifest)
    for case in range(CASES):
        got = host.run(golden.case_inputs(case))
        for layer, (a, b) in enumerate(zip(got, golden.case_outputs(case), strict=True)):
            assert np.array_equal(a, b), f"{name} case {case} layer {layer}"


@pytest.mark.parametrize("name", NAMES)
def test_machine_code_equals_tflite_micro(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "BUILD", tmp_path)
    model, out_dir = mac16_model(name), tmp_path / "m"
    write_bytes(out_dir / "model.tflite", model)
    golden = make_golden(model, random_inputs(parse_model(model), CASES, 1))
    save_golden(out_dir / "golden.npz", golden)
    compile_model(model, golden, out_dir / "gen" / SET, name="m", settings={}, kernels=SET)
    assert command.main(["build", "m", "qemu_xtensa"]) == 0
    assert command.main(["parity", "m", "qemu_xtensa", "--cases", "2"]) == 0
    report = json.loads((out_dir / "qemu_xtensa" / "parity.json").read_text())
    assert report["equal"] == report["cases"] == 2 and report["kernels"] == SET


def test_the_layers_above_take_every_path() -> None:
    taken = {name: _lowered(mac16_model(name)) for name in NAMES}
    kernels = {name: {s.calls[0].function for s in steps} for name, steps in taken.items()}
    assert kernels["convolutions"] == {PIXELS, COLUMNS, "nn_conv_2d_trio_s8"}  # of dilations
    assert kernels["more convolutions"] == {PIXELS, COLUMNS}
    assert kernels["depthwise"] >= {NINE, COLUMNS, "nn_depthwise_conv_2d_line_s8"}
    assert kernels["three by three"] >= {NINE, COLUMNS, RUN}
    assert kernels["dense"] == {PAIRS}
    calls = {function: [] for function in (PIXELS, COLUMNS, NINE, RUN, PAIRS)}
    for steps in taken.values():
        for step in steps:
            calls.get(step.calls[0].function, []).append(step)
    for function in (PIXELS, COLUMNS):
        forms = {step.requantisation for step in calls[function]}
        assert forms == {"products", "products, kept", "products by sign"}, function
    columns = [step.calls[0].params for step in calls[COLUMNS]]
    for field in ("again", "spare"):
        assert len({c[field] for c in columns}) > 1, field
    gaps = {np.sign(int(c["windows.gap"])) for c in columns}
    assert gaps == {-1, 0, 1}
    nines = [step.calls[0].params for step in calls[NINE]]
    assert {int(c["nine.outputs"]) % 4 for c in nines} == {0, 1, 2, 3}
    ways = {(s.calls[0].params["nine.is_by_2"], s.requantisation) for s in calls[NINE]}
    assert len(ways) >= 4
    runs = [step.calls[0].params for step in calls[RUN]]
    assert {int(run["even"]) - int(run["odd"]) for run in runs} >= {0, 1}
    assert {run["odd_start"] for run in runs if run["odd"] != "0"} == {"0", "2"}
    assert {run["plane.head"] for run in runs} == {"0", "1"}
    assert any(run["odd"] == "0" and int(run["even"]) > 1 for run in runs)
    pairs = [step.calls[0].params for step in calls[PAIRS]]
    assert len({p["are_shared"] for p in pairs}) == 2
    assert {int(p["chunk"]) < int(p["input_depth"]) for p in pairs} == {False, True}


def test_more_flash_takes_fewer_cycles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lowering, "LARGER", LARGER)
    model = mac16_model("dense")
    monkeypatch.setattr(lowering, "LARGER_SHARE", 0.0)
    usual = _lowered(model)
    larger = _lowered(model, flash_bytes=1 << 24)
    assert {step.calls[0].function for step in larger} == {PIXELS}
    assert total(s.cost for s in larger).cycles < total(s.cost for s in usual).cycles
    assert "nn_fully_connected_s8" in _kernels(model, flash_bytes=_least(model))


def _least(model: bytes) -> int:
    graph = parse_model(model)
    return sum(step.constant_bytes for step in lower(graph, compile_graph(graph), "ref"))


def test_where_the_output_lies_on_the_input() -> None:
    layers = [
        Layer(size=(5, 5), channels=8, outputs=8),
        Layer(size=(5, 5), channels=8, outputs=9),
        Layer(size=(5, 5), channels=8, outputs=8, kernel=(3, 3)),
        Layer(size=(5, 5), channels=8, outputs=8, kernel=(3, 3), images=2),
        Layer(size=(5, 5), channels=3, outputs=3, kernel=(3, 3)),  # loaded again for each row
        Layer(size=(5, 5), channels=8, depthwise=1, kernel=(3, 3)),
        Layer(size=(5, 5), channels=8, depthwise=2, kernel=(3, 3)),
        Layer(size=(64, 1), channels=1, depthwise=1, kernel=(8, 1), stride=(2, 1), same=False),
        Layer(size=(64, 1), channels=1, depthwise=2, kernel=(8, 1), stride=(2, 1), same=False),
    ]
    steps = _lowered(convolutions(np.random.default_rng(2), layers))
    found = [bool(step.in_place) for step in steps]
    assert found == [True, False, True, False, False, True, False, True, True]
    run = depthwise_mac16._run(steps[8].step, steps[8].step.params, 1 << 10)
    assert run is not None and not run.in_place  # it copies the input anew for each output channel
    assert steps[4].ahead_bytes == 16 and steps[1].ahead_bytes == 32


def test_what_its_scratch_does_not_fit_is_left_to_the_xtensa_kernels() -> None:
    wide = Layer(size=(6, 900), channels=4, outputs=1, kernel=(6, 1))
    assert _kernels(convolutions(np.random.default_rng(6), [wide])) == ["nn_conv_2d_trio_s8"]


def test_the_order_in_which_inputs_are_widened() -> None:
    assert widened_order(np.arange(8)).tolist() == [0, 2, 1, 3, 4, 6, 5, 7] and len(WIDENED) == 4
