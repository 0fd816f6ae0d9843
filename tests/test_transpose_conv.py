"""TRANSPOSE_CONV of the Cortex-M4 equals TFLite Micro, and is taken where its rounding is exact."""

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
from tests.factory import ModelBuilder
from tests.factory_matrix import transpose_conv
from tests.host_c import HostModel

CASES = 4
PACKED = "nn_transpose_conv_packed_s8"
# input [h, w, c], channels of the output, kernel, stride, padding (1: none)
LAYERS = [
    ([5, 9, 6], 5, (3, 3), (2, 2), 0),
    ([4, 8, 4], 8, (2, 2), (2, 2), 1),
    ([3, 7, 3], 1, (4, 5), (2, 3), 1),
    ([1, 16, 8], 4, (1, 4), (1, 2), 0),
    ([6, 6, 5], 3, (3, 3), (1, 1), 1),
    ([4, 5, 2], 3, (1, 2), (3, 3), 0),  # some outputs have no weight
]


def layer(
    source: list[int],
    channels: int,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    padding: int,
    seed: int = 0,
) -> bytes:
    """A model of one transposed convolution of two images."""
    rng, b = np.random.default_rng(seed), ModelBuilder()
    size = [
        n * s if padding == 0 else (n - 1) * s + k
        for n, s, k in zip(source, stride, kernel, strict=False)
    ]
    shape = [2, *size, channels]
    weights = rng.integers(-127, 128, [channels, *kernel, source[2]]).astype(np.int8)
    s = b.tensor([4], dtype="int32", data=np.array(shape, np.int32))
    w = b.tensor([*weights.shape], scale=[0.01] * channels, data=weights)
    x = b.tensor([2, *source], scale=[0.02], zero_point=[5])
    y = b.tensor(shape, scale=[0.3], zero_point=[-11])
    b.operator("TRANSPOSE_CONV", [s, w, x], [y], "TransposeConvOptions", 3, padding=padding,
               strideH=stride[0], strideW=stride[1])  # fmt: skip
    return b.pack([x], [y])


def kernel(model: bytes) -> str:
    graph = parse_model(model)
    return lower(graph, compile_graph(graph), "armv7em")[0].calls[0].function


def equal_on_the_host(model: bytes, folder: Path) -> None:
    golden = make_golden(model, random_inputs(parse_model(model), CASES, 1))
    manifest = compile_model(model, golden, folder, name="m", settings={}, kernels="armv7em")
    host = HostModel(folder, manifest)
    for case in range(CASES):
        got = host.run(golden.case_inputs(case))[0]
        np.testing.assert_array_equal(got, golden.case_outputs(case)[0])


@pytest.mark.parametrize("seed", range(30))
def test_any_transposed_convolution_is_equal_to_tflite_micro(seed: int, tmp_path: Path) -> None:
    equal_on_the_host(transpose_conv(np.random.default_rng(seed)), tmp_path)


@pytest.mark.parametrize("shape", LAYERS)
def test_rests_of_all_kinds(
    shape: tuple[list[int], int, tuple[int, int], tuple[int, int], int], tmp_path: Path
) -> None:
    assert kernel(layer(*shape)) == PACKED
    equal_on_the_host(layer(*shape), tmp_path)


def test_assembly_equals_tflite_micro(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "BUILD", tmp_path)
    model = layer(*LAYERS[0])
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
