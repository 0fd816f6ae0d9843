"""The armv7em kernels of int16 activations equal TFLite Micro, and are taken for most layers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.files import write_bytes
from quantize.golden import Golden, make_golden, random_inputs, save_golden
from quantize.lowering import LoweredStep, lower
from quantize.manifest import compile_model
from quantize.reference import compile_graph
from quantize.tflite.reader import parse_model
from tests import steps as command
from tests.factory import ModelBuilder
from tests.host_c import KERNELS, HostModel
from tests.native_app import compile_app, start_device
from tests.packed_rows import INT16_ROWS, rows_model
from tests.sweeps import sweep

CASES = 4
SIDE_BY_SIDE = 24  # operators in a model
REFERENCE = {path.stem for path in (KERNELS / "ref").glob("*.c")}


def golden_of(model: bytes, seed: int) -> Golden:
    """Random cases, then one of the smallest and one of the largest input."""
    inputs = []
    for values in random_inputs(parse_model(model), CASES, seed):
        limits, ones = np.iinfo(values.dtype), np.ones_like(values[:1])
        inputs.append(np.concatenate([values, ones * limits.min, ones * limits.max]))
    return make_golden(model, inputs)


def lowered_of(model: bytes) -> tuple[LoweredStep, ...]:
    graph = parse_model(model)
    return lower(graph, compile_graph(graph), "armv7em")


@pytest.mark.parametrize("seed", sweep(range(3), [0]))
@pytest.mark.parametrize("name", sorted(INT16_ROWS))
def test_host_c_equals_tflite_micro(name: str, seed: int, tmp_path: Path) -> None:
    model = rows_model([INT16_ROWS[name]] * SIDE_BY_SIDE, seed)
    steps = lowered_of(model)
    fast = [step for step in steps if step.calls[0].function not in REFERENCE]
    assert len(fast) >= 0.6 * SIDE_BY_SIDE
    golden = golden_of(model, seed)
    manifest = compile_model(model, golden, tmp_path, name="rows", settings={}, kernels="armv7em")
    host = HostModel(tmp_path, manifest)
    for case in range(len(golden)):
        got = host.run(golden.case_inputs(case))
        for step, a, b in zip(steps, got, golden.case_outputs(case), strict=True):
            params, function = step.step.params, step.calls[0].function
            assert np.array_equal(a, b), (case, step.step.op.index, function, params)


@pytest.mark.parametrize("dtypes", [("int16", "int8"), ("int8", "int16")])
def test_every_value_between_int8_and_int16(dtypes: tuple[str, str], tmp_path: Path) -> None:
    limits = np.iinfo(dtypes[0])
    values = np.arange(limits.min, limits.max + 1).astype(dtypes[0])
    for row, factor in enumerate((256.0, 257.3, 200.0, 1000.0)):
        b = ModelBuilder()
        kinds: dict[str, dict[str, Any]] = {
            "int8": {"scale": [1e-3 * factor], "zero_point": [17 * row - 30]},
            "int16": {"dtype": "int16", "scale": [1e-3]},
        }
        x, y = (b.tensor([1, values.size], **kinds[dtype]) for dtype in dtypes)
        b.operator("QUANTIZE", [x], [y], "QuantizeOptions", 2)
        model = b.pack([x], [y])
        assert lowered_of(model)[0].calls[0].function not in REFERENCE
        golden, gen = make_golden(model, [values[None, None]]), tmp_path / str(row)
        manifest = compile_model(model, golden, gen, name="m", settings={}, kernels="armv7em")
        got = HostModel(gen, manifest).run(golden.case_inputs(0))[0]
        assert np.array_equal(got, golden.case_outputs(0)[0])


def test_sums_of_more_than_32_bits_have_kernels_of_their_own() -> None:
    names = ("CONV_2D", "CONV_2D_POINT", "FULLY_CONNECTED")
    steps = lowered_of(rows_model([INT16_ROWS[name] for name in names] * 20, 0))
    for kernel in ("nn_conv_2d_long_s16", "nn_fully_connected_long_s16"):
        assert sum(step.calls[0].function == kernel for step in steps) > 1


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("outputs", [5, 9, 12])
def test_outputs_ahead_of_the_inputs_overwrite_none_unread(
    large: bool, outputs: int, tmp_path: Path
) -> None:
    """Where the sums leave 32 bits each pixel is written before the next one is read."""
    b, rng = ModelBuilder(), np.random.default_rng(outputs)
    like: dict[str, Any] = {"dtype": "int16", "scale": [3e-4]}
    x, h, y = (b.tensor([1, 4, 4, c], **like) for c in (4, 4, outputs))
    b.operator("RELU", [x], [h])
    data = rng.integers(-40, 41, (outputs, 1, 1, 4)).astype(np.int8)
    w = b.tensor(data.shape, scale=[0.01] * outputs, data=data)
    first = np.zeros(outputs, np.int64)
    first[-1] = (1 << 33) * large
    bias = b.tensor([outputs], dtype="int64", scale=[3e-6] * outputs, data=first)
    b.operator("CONV_2D", [h, w, bias], [y], "Conv2DOptions", 3, strideH=1, strideW=1,
               dilationHFactor=1, dilationWFactor=1)  # fmt: skip
    golden = golden_of(model := b.pack([x], [y]), 0)
    function = "nn_conv_2d_long_s16" if large else "nn_conv_2d_packed_s16"
    assert lowered_of(model)[1].calls[0].function == function
    manifest = compile_model(model, golden, tmp_path, name="m", settings={}, kernels="armv7em")
    host = HostModel(tmp_path, manifest)
    for case in range(len(golden)):
        got = host.run(golden.case_inputs(case))[0]
        assert np.array_equal(got, golden.case_outputs(case)[0])


@pytest.mark.parametrize("times", sweep([1, 4], []))
def test_sanitizers_find_nothing(times: int, tmp_path: Path) -> None:
    """Reads and writes beyond the arena, overflows, shifts by too much."""
    model = rows_model(list(INT16_ROWS.values()) * times, 0)
    golden, gen = golden_of(model, 0), tmp_path / "gen"
    compile_model(model, golden, gen, name="rows", settings={}, kernels="armv7em")
    with start_device(compile_app(tmp_path, gen, kernels="armv7em"), timeout_s=60) as device:
        assert device.selftest().failures == 0
        for case in range(len(golden)):
            expected = [value.tobytes() for value in golden.case_outputs(case)]
            assert device.run(golden.case_inputs(case)) == expected


@pytest.mark.parametrize("times", sweep([2, 6], [2]))
def test_assembly_equals_tflite_micro(
    times: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same on the emulated Cortex-M4, where the kernels are machine code."""
    monkeypatch.setattr(command, "BUILD", tmp_path)
    model = rows_model(list(INT16_ROWS.values()) * times, 1)
    golden, out_dir = golden_of(model, 1), tmp_path / "rows"
    write_bytes(out_dir / "model.tflite", model)
    save_golden(out_dir / "golden.npz", golden)
    gen = out_dir / "gen" / "armv7em"
    compile_model(model, golden, gen, name="rows", settings={}, kernels="armv7em")
    assert command.main(["build", "rows", "qemu_m4"]) == 0
    assert command.main(["parity", "rows", "qemu_m4"]) == 0
    report = json.loads((out_dir / "qemu_m4" / "parity.json").read_text())
    assert report["equal"] == report["cases"] == len(golden)


@pytest.mark.parametrize("size", [(2, 2), (3, 5)])
def test_long_sums_are_not_written_over_pixels_that_are_read_later(
    size: tuple[int, int], tmp_path: Path
) -> None:
    """More channels than the input has, in the input's bytes."""
    b, rng = ModelBuilder(), np.random.default_rng(0)
    x = b.tensor([1, *size, 4], dtype="int16", scale=[1e-3], zero_point=[0])
    y = b.tensor([1, *size, 8], dtype="int16", scale=[200.0], zero_point=[0])
    data = rng.integers(-127, 128, (8, 1, 1, 4)).astype(np.int8)
    w = b.tensor(data.shape, scale=[1.0] * 8, axis=0, data=data)
    bias = rng.integers(-(1 << 32), 1 << 32, 8)
    c = b.tensor([8], dtype="int64", data=bias)
    b.operator("CONV_2D", [x, w, c], [y], "Conv2DOptions", 5, padding=1, strideH=1, strideW=1,
               dilationHFactor=1, dilationWFactor=1)  # fmt: skip
    model = b.pack([x], [y])
    golden = golden_of(model, 0)
    manifest = compile_model(model, golden, tmp_path, name="long", settings={}, kernels="armv7em")
    (step,) = lowered_of(model)
    assert step.calls[0].function == "nn_conv_2d_long_s16"
    host = HostModel(tmp_path, manifest)
    for case in range(len(golden)):
        (got,), (wanted,) = host.run(golden.case_inputs(case)), golden.case_outputs(case)
        assert np.array_equal(got, wanted), case
