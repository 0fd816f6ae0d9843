"""Small models of the shapes that MLPerf Tiny's benchmarks take, and native firmware of them."""

from __future__ import annotations

import importlib.util
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from host_tools.boards.board import BOARDS
from host_tools.mlperf.benchmarks import BENCHMARKS
from model.files import write_bytes
from quantize.golden import Golden, make_golden, random_inputs, save_golden
from quantize.manifest import compile_sets
from quantize.tflite.reader import parse_model
from tests.factory import ModelBuilder
from tests.host_c import KERNELS
from tests.native_app import ROOT, compile_app

SHAPES = {"kws01": (49, 10, 1), "ic01": (32, 32, 3), "vww01": (96, 96, 3), "ad01": (640,)}
SCALES = {"kws01": 0.58, "ic01": 1.0, "vww01": 1 / 255, "ad01": 0.39101523}
CASES = 6
NAME = "m"


def model(name: str, outputs: int | None = None) -> bytes:
    """A dense layer over the whole input, and a softmax; for anomaly detection two layers."""
    benchmark = BENCHMARKS[name]
    b, rng = ModelBuilder(), np.random.default_rng(7)
    zero = 89 if benchmark.windows else 83 if name == "kws01" else -128
    x = b.tensor((1, *SHAPES[name]), scale=[SCALES[name]], zero_point=[zero])
    last, depth = x, benchmark.inputs
    if len(SHAPES[name]) > 1:
        flat = b.tensor([1, depth], scale=[SCALES[name]], zero_point=[zero])
        shape = b.tensor([2], dtype="int32", data=np.array([1, depth], np.int32))
        b.operator("RESHAPE", [x, shape], [flat], "ReshapeOptions", 1)
        last = flat
    sizes = (8, 640) if benchmark.windows else (outputs or benchmark.outputs,)
    for units in sizes:
        weights = rng.integers(-127, 128, (units, depth)).astype(np.int8)
        w = b.tensor(weights.shape, scale=[0.1 / depth / SCALES[name]], data=weights)
        out = {"scale": [0.05], "zero_point": [3]}
        if benchmark.windows and units == benchmark.outputs:
            out = {"scale": [0.36449847], "zero_point": [96]}
        y = b.tensor([1, units], **out)
        b.operator("FULLY_CONNECTED", [last, w, -1], [y], "FullyConnectedOptions", 4)
        last, depth = y, units
    if benchmark.probabilities:
        s = b.tensor([1, depth], scale=[1 / 256], zero_point=[-128])
        b.operator("SOFTMAX", [last], [s], "SoftmaxOptions", 2, beta=1.0)
        last = s
    return b.pack([x], [last])


def make_build(root: Path, data: bytes, kernels: tuple[str, ...] = ("ref",)) -> Path:
    """build/m of a model as `golden` and `emit` leave it, for some sets of kernels."""
    out_dir = root / "build" / NAME
    golden = make_golden(data, random_inputs(parse_model(data), CASES, 0))
    write_bytes(out_dir / "model.tflite", data)
    save_golden(out_dir / "golden.npz", golden)
    folders = {name: out_dir / "gen" / name for name in kernels}
    compile_sets(data, golden, folders, name=NAME, settings={})
    return out_dir


def builder_defines(name: str, board: str, manifest: dict[str, Any]) -> list[tuple[str, object]]:
    """What PlatformIO's build tells the firmware."""
    path = ROOT / "boards" / "platform" / "builder" / "mlperf.py"
    spec = importlib.util.spec_from_file_location("builder_mlperf", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    facts = json.loads(BOARDS[board].read_text("utf-8"))
    pairs: list[tuple[str, object]] = module.mlperf_defines(name, facts, manifest)
    return pairs


def native_image(root: Path, name: str) -> Path:
    """build/m with native-<name>/firmware.elf, compiled with the sanitizers."""
    out_dir = make_build(root, model(name))
    manifest = json.loads((out_dir / "gen" / "ref" / "manifest.json").read_text("utf-8"))
    folder = out_dir / f"native-{name}"
    shutil.copytree(out_dir / "gen" / "ref", folder / "gen")  # with the kernels that it calls
    for kernel in {kernel for op in manifest["operators"] for kernel in op["kernels"]}:
        shutil.copy(KERNELS / "ref" / f"{kernel}.c", folder / "gen")
    compile_native(folder, folder / "gen", dict(builder_defines(name, "native", manifest)))
    return out_dir


def compile_native(folder: Path, gen: Path, defines: Mapping[str, object]) -> Path:
    """The firmware with what PlatformIO's build would tell it, whose quotes are for a shell."""
    flags = [f"-D{key}={value}".replace("\\", "") for key, value in defines.items()]
    return compile_app(folder, gen, mlperf=flags)


def sent(name: str, golden: Golden, case: int) -> bytes:
    """A golden case as the benchmark sends it."""
    values = golden.inputs[0][case].reshape(-1)
    if name == "ad01":
        steps = values.astype(np.float32) - np.float32(89)
        return (steps * np.float32(SCALES[name])).astype(np.float32).tobytes()
    return bytes(int(v) & 0xFF if name == "kws01" else int(v) + 128 for v in values)
