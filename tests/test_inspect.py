"""`quantize inspect`: all layers, all problems, what fits where, and what is hardly meant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from host_tools.cli import main
from quantize.golden import make_golden, random_inputs
from quantize.inspect import Inspection, inspect_model
from quantize.manifest import compile_model
from quantize.tflite.reader import parse_model
from tests.factory import ModelBuilder
from tests.generators import GENERATORS
from tests.test_tap import folded_model, model


def inspected(tmp_path: Path, data: bytes) -> Inspection:
    path = tmp_path / "m.tflite"
    path.write_bytes(data)
    return inspect_model(path)


def dense(
    weights: np.ndarray[Any, Any],
    *,
    bias: np.ndarray[Any, Any] | None = None,
    scale: float = 0.5,
    kind: str = "int8",
) -> bytes:
    """A FULLY_CONNECTED with the given weights; `kind` is the activations' element type."""
    b = ModelBuilder()
    quant: dict[str, Any] = {"scale": [0.1], "zero_point": [0]} if kind != "float32" else {}
    x = b.tensor([1, weights.shape[1]], dtype=kind, **quant)
    stored = {"scale": [0.01]} if weights.dtype == np.int8 else {}
    w = b.tensor(weights.shape, dtype=str(weights.dtype), data=weights, **stored)
    c = -1 if bias is None else b.tensor(bias.shape, dtype="int32", data=bias)
    y = b.tensor([1, len(weights)], dtype=kind, **(quant and quant | {"scale": [scale]}))
    b.operator("FULLY_CONNECTED", [x, w, c], [y], "FullyConnectedOptions", 4)
    return b.pack([x], [y])


RANDOM = np.random.default_rng(0).integers(-127, 128, (8, 40)).astype(np.int8)


def test_the_figures_are_those_of_the_manifest(tmp_path: Path) -> None:
    data = model()
    found = inspected(tmp_path, data)
    golden = make_golden(data, random_inputs(parse_model(data), 4, 0))
    manifest = compile_model(data, golden, tmp_path / "gen", name="m", settings={})
    assert found.supported
    assert found.problems == []
    assert found.macs == manifest["macs"]
    assert found.constant_bytes == manifest["weight_bytes"]
    assert found.arena_bytes == manifest["arena_bytes"]
    assert found.tflm_arena_bytes == manifest["tflm_arena_bytes"]
    assert [layer.op for layer in found.layers] == [
        "CONV_2D", "RESHAPE", "FULLY_CONNECTED", "SOFTMAX"]  # fmt: skip
    assert found.layers[0].inputs == ["int8 1x5x4x2", "#int8 6x3x3x2", "#int32 6"]
    assert found.layers[0].activation_bytes == 120
    assert {fit.board for fit in found.fit} >= {"nano33", "esp32", "qemu_m4"}
    assert all(fit.fits for fit in found.fit)


def test_totals_are_those_after_folding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = folded_model()
    found = inspected(tmp_path, data)
    golden = make_golden(data, random_inputs(parse_model(data), 4, 0))
    manifest: Any = compile_model(data, golden, tmp_path / "gen", name="m", settings={})
    assert found.folded_channels == manifest["folded"]["channels"] == 2
    assert found.folded_macs == manifest["folded"]["macs"] == 20 * (2 * 2 + 2 * 9 * 3)
    assert found.folded_bytes == manifest["folded"]["bytes"] == 2 * (2 + 12) + 2 * 9 * 3
    assert found.macs == manifest["macs"]
    assert found.constant_bytes == manifest["weight_bytes"]
    assert found.arena_bytes == manifest["arena_bytes"]
    assert main(["inspect", str(tmp_path / "m.tflite")]) == 0
    assert "folded: 2 channels" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("name", sorted(GENERATORS))
def test_every_operator_can_be_inspected(name: str, tmp_path: Path) -> None:
    found = inspected(tmp_path, GENERATORS[name](np.random.default_rng(3)))
    assert found.supported, found.problems


def test_every_problem_is_listed_not_the_first_only(tmp_path: Path) -> None:
    b, q = ModelBuilder(), {"scale": [0.1], "zero_point": [0]}
    x, y, z = (b.tensor([1, 4], **q) for _ in range(3))
    out = b.tensor([1, 5], **q)
    b.operator("COS", [x], [y], version=5)
    b.operator("SOFTMAX", [y], [z], "SoftmaxOptions", 99, beta=1.0)
    b.operator("RESHAPE", [z], [out])
    found = inspected(tmp_path, b.pack([x], [out]))
    assert not found.supported
    assert len(found.problems) == 3
    for words, text in zip(("COS", "SOFTMAX version 99", "RESHAPE"), found.problems, strict=True):
        assert words in text
    assert [layer.problem for layer in found.layers] == found.problems


@pytest.mark.parametrize("shape", [(2, 9), ()])
def test_weights_with_too_few_dimensions_are_a_problem(
    shape: tuple[int, ...], tmp_path: Path
) -> None:
    b, q = ModelBuilder(), {"scale": [0.1], "zero_point": [0]}
    x, y = (b.tensor([1, 4, 4, 2], **q) for _ in range(2))
    w = b.tensor(shape, scale=[0.01], data=np.ones(shape, np.int8))
    b.operator("DEPTHWISE_CONV_2D", [x, w, -1], [y], "DepthwiseConv2DOptions", 3, strideH=1,
               strideW=1, depthMultiplier=1)  # fmt: skip
    found = inspected(tmp_path, b.pack([x], [y]))
    assert "weights need 4 dimensions" in found.problems[0]


def test_what_only_the_whole_model_shows_is_a_problem_too(tmp_path: Path) -> None:
    b, q = ModelBuilder(), {"scale": [0.1], "zero_point": [0]}
    x, y = (b.tensor([1, 2048, 1024, 1], **q) for _ in range(2))
    b.operator("ADD", [x, x], [y], "AddOptions", 2)
    found = inspected(tmp_path, b.pack([x], [y]))
    assert not found.supported
    assert "the model's ends have 2097152 bytes" in found.problems[0]


def test_a_model_that_is_too_large_for_a_board(tmp_path: Path) -> None:
    weights = np.random.default_rng(0).integers(-127, 128, (2000, 500)).astype(np.int8)
    fits = {fit.board: fit.fits for fit in inspected(tmp_path, dense(weights, scale=9.0)).fit}
    assert fits["esp32"]
    assert not fits["nano33"]


WIDE = RANDOM.copy()
WIDE[1:] //= 32
OUTLIER = np.ones((8, 400), np.int8)
OUTLIER[3, 7] = 127
DEAD = RANDOM.copy()
DEAD[5] = 0
STUCK = np.zeros(8, np.int32)
STUCK[2] = 10_000_000
WARNINGS: dict[str, tuple[bytes, str]] = {
    "float": (dense(RANDOM.astype(np.float32), kind="float32"), "a float model, not quantised"),
    "dynamic": (dense(RANDOM, kind="float32"), "a dynamic-range model: int8 weights"),
    "int16": (dense(RANDOM, kind="int16"), "int16 activations"),
    "wide": (dense(WIDE), "channel 0 reaches"),
    "outlier": (dense(OUTLIER), "1 of 8 channels (3) spend their range on outliers"),
    "dead": (dense(DEAD), "1 of 8 channels (5) have no weight but 0"),
    "stuck": (dense(RANDOM, bias=STUCK), "1 of 8 channels (2) give the same output"),
    "saturated": (dense(RANDOM, scale=0.001), "of its outputs saturate"),
}


@pytest.mark.parametrize("name", sorted(WARNINGS))
def test_warnings(name: str, tmp_path: Path) -> None:
    data, words = WARNINGS[name]
    found = inspected(tmp_path, data)
    assert any(words in text for text in found.warnings), found.warnings
    if name in {"float", "dynamic", "int16"}:
        assert "representative_dataset" in " ".join(found.warnings)


def test_a_good_model_has_no_warnings(tmp_path: Path) -> None:
    assert inspected(tmp_path, dense(RANDOM, scale=2.0)).warnings == []


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad, broken = (tmp_path / f"{n}.tflite" for n in ("good", "bad", "broken"))
    good.write_bytes(model())
    bad.write_bytes(dense(RANDOM, kind="float32"))
    broken.write_bytes(model()[:200])
    assert main(["inspect", str(good)]) == 0
    said = capsys.readouterr().out
    for words in ("FULLY_CONNECTED", "1x5x4x6", "Arduino Nano 33 BLE", "fits", "supported"):
        assert words in said
    assert main(["inspect", str(good), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["macs"] > 0
    assert main(["inspect", str(bad)]) == 1
    assert "not supported: 1 problem" in capsys.readouterr().out
    assert main(["inspect", str(broken)]) == 2
    assert "damaged" in capsys.readouterr().err
    assert main(["inspect", str(tmp_path / "absent.tflite")]) == 2


def test_a_factor_that_is_too_large_names_its_operator(tmp_path: Path) -> None:
    found = inspected(tmp_path, dense(RANDOM, scale=1e-30))
    assert found.problems[0].startswith("operator 0 FULLY_CONNECTED: requantisation factor")
    assert found.layers[0].problem == found.problems[0]
