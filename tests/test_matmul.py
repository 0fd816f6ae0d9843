"""BATCH_MATMUL of the Cortex-M4 equals TFLite Micro, and is taken where its rounding is exact."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from model.files import write_bytes
from quantize.golden import make_golden, random_inputs, save_golden
from quantize.lowering import lower
from quantize.lowering.matmul_cortex_m import lower_matmul
from quantize.manifest import compile_model
from quantize.reference import compile_graph
from quantize.tflite.reader import parse_model
from tests import steps as command
from tests.factory import ModelBuilder
from tests.factory_matrix import batch_matmul
from tests.host_c import HostModel

CASES = 4
PACKED = "nn_batch_matmul_packed_s8"


def product(
    rows: int, depth: int, columns: int, adj: tuple[bool, bool] = (False, True), scale: float = 0.2
) -> bytes:
    """A model of one product of two inputs."""
    b = ModelBuilder()
    shapes = [
        [depth, rows] if adj[0] else [rows, depth],
        [columns, depth] if adj[1] else [depth, columns],
    ]
    x, y = (
        b.tensor([2, *s], scale=[0.02], zero_point=[z])
        for s, z in zip(shapes, (-3, 7), strict=True)
    )
    out = b.tensor([2, rows, columns], scale=[scale], zero_point=[11])
    b.operator("BATCH_MATMUL", [x, y], [out], "BatchMatMulOptions", 2, adjX=adj[0], adjY=adj[1])
    return b.pack([x, y], [out])


def kernel(model: bytes) -> str:
    graph = parse_model(model)
    return lower(graph, compile_graph(graph), "armv7em")[0].calls[0].function


def equal_on_the_host(model: bytes, seed: int, folder: Path) -> None:
    golden = make_golden(model, random_inputs(parse_model(model), CASES, seed))
    manifest = compile_model(model, golden, folder, name="m", settings={}, kernels="armv7em")
    host = HostModel(folder, manifest)
    for case in range(CASES):
        got = host.run(golden.case_inputs(case))[0]
        np.testing.assert_array_equal(got, golden.case_outputs(case)[0])


@pytest.mark.parametrize("seed", range(8))
def test_any_product_is_equal_to_tflite_micro(seed: int, tmp_path: Path) -> None:
    equal_on_the_host(batch_matmul(np.random.default_rng(seed)), seed, tmp_path)


@pytest.mark.parametrize("adj", [(False, False), (False, True), (True, False), (True, True)])
@pytest.mark.parametrize("shape", [(15, 17, 13), (16, 32, 16), (1, 15, 29)])
def test_odd_sizes_and_transposed_sides(
    shape: tuple[int, int, int], adj: tuple[bool, bool], tmp_path: Path
) -> None:
    model = product(*shape, adj)
    assert kernel(model) == PACKED
    equal_on_the_host(model, 1, tmp_path)


def test_what_is_not_proven_is_left_to_the_reference() -> None:
    assert kernel(product(16, 16, 16)) == PACKED
    assert kernel(product(16, 16, 16, scale=2e-4)) == "nn_batch_matmul_s8"  # shifts to the left
    assert kernel(product(8, 1 << 14, 8)) == "nn_batch_matmul_s8"  # sums of 2**30


@pytest.mark.parametrize(("bytes_", "block"), [(0, None), (400, 10), (100_000, 20)])
def test_the_scratch_bounds_the_columns_at_a_time(
    bytes_: int, block: int | None, tmp_path: Path
) -> None:
    graph = parse_model(product(6, 16, 19))
    lowered = lower_matmul(graph, compile_graph(graph)[0], bytes_)
    assert (lowered and int(lowered.calls[0].params["block"])) == block
    assert lowered is None or lowered.scratch_bytes <= bytes_


def test_assembly_equals_tflite_micro(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "BUILD", tmp_path)
    model, out_dir = product(17, 21, 19), tmp_path / "m"
    golden = make_golden(model, random_inputs(parse_model(model), CASES, 1))
    write_bytes(out_dir / "model.tflite", model)
    save_golden(out_dir / "golden.npz", golden)
    gen = out_dir / "gen" / "armv7em"
    compile_model(model, golden, gen, name="m", settings={}, kernels="armv7em")
    assert command.main(["build", "m", "qemu_m4"]) == 0
    assert command.main(["parity", "m", "qemu_m4"]) == 0
    report = json.loads((out_dir / "qemu_m4" / "parity.json").read_text())
    assert report["equal"] == report["cases"] == CASES
