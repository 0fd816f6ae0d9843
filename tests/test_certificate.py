"""The certificate of a front end: equal on every board, and what is broken is named."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest

from host_tools.boards.board import load_board
from host_tools.errors import HostToolsError, UsageError
from host_tools.link.target import choose_target
from host_tools.parity import certificate as module
from host_tools.parity.certificate import FeatureReport, fnv1a, run_features
from host_tools.report.collect import collect
from model.features import Windows
from model.features.design import feature_text
from model.features.library import Extractor
from model.files import write_arrays, write_bytes
from model.recipe import Recipe
from model.recipe_file import load_recipe
from quantize.golden import make_golden, random_inputs, save_golden
from quantize.inputs import quantised_inputs
from quantize.lowering import KERNEL_SETS
from quantize.manifest import compile_sets
from quantize.tflite.reader import FEATURES_ENTRY, parse_model
from tests import steps as command
from tests.factory import ModelBuilder, schema
from tests.front_ends import CONFIGS, front_end
from tests.sweeps import sweep

NAME = "m"
CASES = 6
INPUTS = 4  # of the stream


def network(rows: int, columns: int, outputs: int) -> bytes:
    """FULLY_CONNECTED on a frame of features."""
    b, rng = ModelBuilder(), np.random.default_rng(1)
    x = b.tensor([1, rows * columns], scale=[0.03], zero_point=[4])
    matrix = rng.integers(-127, 128, (outputs, rows * columns)).astype(np.int8)
    w = b.tensor(matrix.shape, scale=[0.01], data=matrix)
    y = b.tensor([1, outputs], scale=[0.2], zero_point=[5])
    b.operator("FULLY_CONNECTED", [x, w, -1], [y], "FullyConnectedOptions", 4)
    return b.pack([x], [y])


def with_features(data: bytes, text: str) -> bytes:
    """The model with the note by which the generator knows its front end."""
    model = schema.ModelT.InitFromPackedBuf(data, 0)
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = np.frombuffer(text.encode(), np.uint8)
    entry.name, entry.buffer = FEATURES_ENTRY.encode(), len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [entry]
    builder = flatbuffers.Builder(4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def recipe_of(kind: str) -> Recipe:
    """The recipe motion with another front end."""
    config, rate = CONFIGS[kind]
    motion = load_recipe("motion")
    names = tuple(f"c{i}" for i in range(len(config.lsb)))
    dataset = dataclasses.replace(
        motion.dataset, sample_rate_hz=rate, channels=names, units=("g",) * len(names)
    )
    return dataclasses.replace(motion, features=config, dataset=dataset)


def make_build(root: Path, kind: str, outputs: int = 5, labels: tuple[str, ...] = ()) -> Path:
    """build/m of a front end as `check`, `quantise` and `emit` leave it."""
    out_dir = root / "build" / NAME
    fe = front_end(kind)
    rng = np.random.default_rng(2)
    walk = rng.integers(-900, 900, (fe.window + (INPUTS - 1) * fe.hop + 3, fe.channels))
    stream = np.clip(walk.cumsum(axis=0), -32768, 32767).astype(np.int16)
    noise = rng.integers(-32768, 32768, (CASES - 1, fe.window, fe.channels))
    samples = np.concatenate([noise.astype(np.int16), stream[None, : fe.window]])
    frames = Extractor(fe).batch(samples)
    zeros = np.zeros(CASES, np.int64)
    windows = Windows(features=frames, feature_scale=fe.feature_scale, y=zeros, group=zeros)
    recipe = recipe_of(kind)
    data = with_features(network(fe.rows, fe.columns, outputs), feature_text(recipe))
    golden = make_golden(data, [quantised_inputs(parse_model(data), windows)])
    write_bytes(out_dir / "model.tflite", data)
    write_arrays(out_dir / "samples.npz", {"samples": samples, "stream": stream})
    save_golden(out_dir / "golden.npz", golden)
    folders = {kernels: out_dir / "gen" / kernels for kernels in KERNEL_SETS}
    settings = recipe.as_dict()
    compile_sets(
        data, golden, folders, name=NAME, settings=settings, recipe=recipe, labels=list(labels)
    )
    return out_dir


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """build/m of the front end that the test names."""
    kind: str = request.param
    monkeypatch.setattr(command, "BUILD", tmp_path / "build")
    monkeypatch.setattr(module, "recipe_of", lambda *_: recipe_of(kind))
    return make_build(tmp_path, kind)


def run(out_dir: Path, board_id: str) -> FeatureReport:
    board = load_board(board_id)
    return run_features(out_dir, board, choose_target(board, None, None))


@pytest.mark.parametrize(
    ("build", "board_id"),
    sweep(
        [(kind, board) for kind in CONFIGS for board in ("native", "qemu_m4", "qemu_xtensa")],
        [
            ("raw", "native"),
            ("logmel", "qemu_m4"),
            ("spectral", "qemu_xtensa"),
        ],
    ),
    indirect=["build"],
)
def test_every_front_end_is_equal_on_every_fast_board(
    build: Path, board_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["build", NAME, board_id]) == 0
    assert command.main(["features", NAME, board_id]) == 0
    assert f"{CASES} of {CASES} cases equal in every stage" in capsys.readouterr().out
    report = json.loads((build / board_id / "features.json").read_text())
    assert (report["cases"], report["equal"]) == (CASES, CASES)
    assert (report["stream_inputs"], report["stream_equal"]) == (INPUTS, INPUTS)
    assert (report["max_difference"], report["first_difference"]) == (0, None)
    stages = [stage["stage"] for stage in report["stages"]]
    whole = ["window", "spectrum", "bands", "features", "input"]
    assert stages == (whole[-2:] if report["kind"] == "raw" else whole)
    assert all(s["equal"] == s["compared"] == CASES + INPUTS for s in report["stages"])
    assert report["feature_counts"] > 0 and report["invoke_counts"] > 0


def test_a_slow_emulator_runs_a_few_cases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "recipe_of", lambda *_: recipe_of("raw"))
    monkeypatch.setattr(command, "BUILD", tmp_path / "build")
    out_dir = make_build(tmp_path, "raw")
    assert command.main(["build", NAME, "nano33"]) == 0
    report = run(out_dir, "nano33")
    assert (report.cases, report.equal, report.stream_inputs) == (2, 2, 2)
    assert report.first_difference is None


def test_outputs_that_do_not_fit_a_reply_are_compared_in_the_cases(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "recipe_of", lambda *_: recipe_of("raw"))
    monkeypatch.setattr(command, "BUILD", tmp_path / "build")
    out_dir = make_build(tmp_path, "raw", outputs=1100)
    assert command.main(["build", NAME, "native"]) == 0
    report = run(out_dir, "native")
    assert (report.equal, report.stream_equal) == (CASES, INPUTS)


BREAKS = [  # front end, file, text before the number that is changed, the stage that is named
    ("raw", "model_features.c", "scales[3] = {\n    {", "features"),
    ("raw", "model_features.h", "MODEL_FE_ZERO_POINT (", "input"),
    ("spectral", "model_features.c", "window[32] = {\n    0, ", "window"),
    ("spectral", "model_features.c", ".reciprocal = ", "window"),
    ("spectral", "model_features.h", "MODEL_FE_MULTIPLIER ", "input"),
    ("logmel", "model_features.c", "twiddles[512] = {\n    32767, 0, ", "spectrum"),
    ("logmel", "model_features.c", "weights[", "bands"),
]


def change_number(path: Path, before: str) -> None:
    """Take a sixteenth and one from the first number behind `before`."""
    head, found, rest = path.read_text().partition(before)
    assert found, path.read_text()[:3000]
    if before.endswith("["):  # the first large number of an array of unknown size
        more, _, rest = rest.partition("{")
        head, found = head + found + more, "{"
    digits = next(i for i, c in enumerate(rest) if c.isdigit() or c == "-")
    end = next(i for i in range(digits + 1, len(rest)) if not rest[i].isdigit())
    number = int(rest[digits:end])
    text = f"{number - number // 16 - 1}"
    path.write_text(head + found + rest[:digits] + text + rest[end:])


@pytest.mark.parametrize(("build", "file", "before", "stage"), BREAKS, indirect=["build"])
@pytest.mark.slow
def test_a_changed_constant_is_named_by_its_stage(
    build: Path, file: str, before: str, stage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    change_number(build / "gen" / "ref" / file, before)
    assert command.main(["build", NAME, "native"]) == 0
    assert command.main(["features", NAME, "native"]) == 1
    assert f"first difference: case 0, stage {stage}" in capsys.readouterr().out
    report = json.loads((build / "native" / "features.json").read_text())
    assert report["equal"] < CASES and report["stream_equal"] < INPUTS
    states = {s["stage"]: s["equal"] == s["compared"] for s in report["stages"]}
    assert not states[stage]
    for earlier in list(states)[: list(states).index(stage)]:
        assert states[earlier]
    assert (report["max_difference"] > 0) or stage != "input"
    verdict = collect(build)["verdict"]
    assert verdict["headline"] == "The front end differs on native"
    assert f"native: features differ first in case 0, {stage}." in verdict["details"]


@pytest.mark.parametrize("build", ["raw"], indirect=True)
def test_a_stream_of_another_hop_is_told(build: Path) -> None:
    path = build / "gen" / "ref" / "model_features.c"
    path.write_text(path.read_text().replace(".hop = 10", ".hop = 20"))
    assert command.main(["build", NAME, "native"]) == 0
    with pytest.raises(HostToolsError, match="completed 2 inputs .* expected 4"):
        run(build, "native")


@pytest.mark.parametrize("build", ["raw"], indirect=True)
def test_what_cannot_be_certified_is_explained(build: Path) -> None:
    manifest = build / "gen" / "ref" / "manifest.json"
    content: dict[str, Any] = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(content | {"features": None}))
    with pytest.raises(UsageError, match="no front end, because it was not made from a recipe"):
        run(build, "native")


@pytest.mark.parametrize("build", ["raw"], indirect=True)
def test_firmware_without_the_front_end_says_what_to_build(build: Path) -> None:
    for path in (build / "gen" / "ref").glob("model_features.*"):
        path.unlink()
    (build / "gen" / "ref" / "model_features.h").write_text("#define MODEL_FEATURES 0\n")
    assert command.main(["build", NAME, "native"]) == 0
    with pytest.raises(UsageError, match=r"native: this firmware has no front end.*make build"):
        run(build, "native")


@pytest.mark.parametrize("build", ["raw"], indirect=True)
def test_samples_of_another_run_are_noticed(build: Path) -> None:
    assert command.main(["build", NAME, "native"]) == 0
    data = (build / "model.tflite").read_bytes()
    save_golden(build / "golden.npz", make_golden(data, random_inputs(parse_model(data), 3, 0)))
    with pytest.raises(HostToolsError, match=r"samples.npz has 6 cases, golden.npz 3"):
        run(build, "native")


def test_the_hash_is_fnv1a() -> None:
    assert fnv1a(b"") == 0x811C9DC5
    assert fnv1a(b"foobar") == 0xBF9CF968
    assert fnv1a(b"bar", fnv1a(b"foo")) == fnv1a(b"foobar")
