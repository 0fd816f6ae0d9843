"""SVDF of the Cortex-M4 equals TFLite Micro, and is taken where its rounding is exact."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from model.files import write_bytes
from quantize.golden import make_golden, random_inputs, save_golden
from quantize.lowering import lower
from quantize.manifest import compile_model
from quantize.reference import compile_graph
from quantize.tflite.reader import parse_model
from tests import steps as command
from tests.factory_matrix import svdf
from tests.host_c import HostModel

CASES = 12
PACKED = "nn_svdf_packed_s8"
MODELS = [svdf(np.random.default_rng(seed)) for seed in range(40)]


def kernel(model: bytes) -> str:
    graph = parse_model(model)
    return lower(graph, compile_graph(graph), "armv7em")[0].calls[-1].function


@pytest.mark.parametrize("model", MODELS)
def test_any_svdf_is_equal_to_tflite_micro(model: bytes, tmp_path: Path) -> None:
    golden = make_golden(model, random_inputs(parse_model(model), CASES, 1))
    manifest = compile_model(model, golden, tmp_path, name="m", settings={}, kernels="armv7em")
    host = HostModel(tmp_path, manifest)
    for case in range(CASES):
        if not golden.before(case):
            host.reset()
        got = host.run(golden.case_inputs(case))[0]
        np.testing.assert_array_equal(got, golden.case_outputs(case)[0])


def test_states_of_a_byte_are_packed() -> None:
    graphs = [parse_model(model) for model in MODELS]
    of_a_byte = [g.tensors[g.operators[0].inputs[4]].dtype == "int8" for g in graphs]
    packed = [kernel(model) == PACKED for model in MODELS]
    assert sum(packed) > 10
    assert not any(np.array(packed) & ~np.array(of_a_byte))


@pytest.mark.parametrize("model", [m for m in MODELS if kernel(m) == PACKED][:2])
def test_assembly_equals_tflite_micro(
    model: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "BUILD", tmp_path)
    golden = make_golden(model, random_inputs(parse_model(model), CASES, 1))
    out_dir = tmp_path / "m"
    write_bytes(out_dir / "model.tflite", model)
    save_golden(out_dir / "golden.npz", golden)
    gen = out_dir / "gen" / "armv7em"
    compile_model(model, golden, gen, name="m", settings={}, kernels="armv7em")
    assert command.main(["build", "m", "qemu_m4"]) == 0
    assert command.main(["parity", "m", "qemu_m4"]) == 0
    report = json.loads((out_dir / "qemu_m4" / "parity.json").read_text())
    assert report["equal"] == report["cases"] == CASES
