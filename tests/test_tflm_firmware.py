"""ENGINE=tflm on devices: the shim around a double of TFLite Micro's API, built by PlatformIO."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from host_tools.bench.benchmark import run_benchmark
from host_tools.bench.compare import stored, write_comparison
from host_tools.boards.board import Board, load_board
from host_tools.build.engine import NAMED
from host_tools.build.firmware import build_firmware
from host_tools.cli import main
from host_tools.commands.mlperf import command
from host_tools.errors import DeviceError, UsageError
from host_tools.link.batch import Refused
from host_tools.link.frames import Status
from host_tools.link.protocol import Place
from host_tools.link.target import Target, check_identity, choose_target, open_device
from host_tools.mlperf.benchmarks import BENCHMARKS
from host_tools.mlperf.dataset import read_dataset
from host_tools.mlperf.runner import load, run_mlperf
from host_tools.parity.outputs import run_parity
from host_tools.report.engines import rows
from host_tools.report.results import read_manifest
from quantize.emit_tflm import emit_tflm
from quantize.golden import load_golden
from tests.benchmark_models import model, sent
from tests.chains import chain
from tests.generators import GENERATORS
from tests.test_tflm import folder_of
from tests.tflm_double import write_double

CASES = 6


def build(out_dir: Path, board: Board, library: Path) -> Target:
    """The board's firmware with `library` as its TFLite Micro, and where it runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(NAMED, str(library))
        build_firmware(board, board.gen_dir(out_dir), out_dir / board.folder)
    return choose_target(board, None, None)


@pytest.fixture(scope="module")
def out_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Several operators, RESHAPE among them, and no channel that folding removes; an arena of
    exactly what the double takes."""
    out_dir = folder_of(tmp_path_factory.mktemp("tflm"), chain(10, 0.0), CASES)
    emit_tflm(out_dir, read_manifest(load_board("native"), out_dir)["arena_bytes"] + 16)
    return out_dir


@pytest.fixture(
    scope="module",
    params=[("native-tflm", True), ("qemu_m4-tflm", False)],
    ids=["native with upstream's names", "qemu_m4 with the library's names"],
)
def built(
    out_dir: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> tuple[Board, Target]:  # fmt: skip
    """Firmware with the double."""
    name, upstream = request.param
    library = write_double(tmp_path_factory.mktemp(name) / "lib", out_dir, upstream=upstream)
    board = load_board(name)
    return board, build(out_dir, board, library)


def test_every_byte_and_every_tensor_are_equal(out_dir: Path, built: tuple[Board, Target]) -> None:
    board, target = built
    report = run_parity(out_dir, board, target, None, tap=True)
    assert (report.equal, report.cases, report.failures) == (CASES, CASES, [])
    assert (report.kernels, report.framework, report.engine) == ("tflm", "bare", "tflm")
    operators = read_manifest(board, out_dir)["operators"]
    assert report.layers is not None and report.layers.equal == len(operators)
    assert [op["op"] for op in operators] == [
        "PAD", "CONV_2D", "ADD", "RESHAPE", "FULLY_CONNECTED", "SOFTMAX",
    ]  # fmt: skip
    size = json.loads((out_dir / board.folder / "size.json").read_text())
    assert (size["engine"], size["weight_bytes"] > 0) == ("tflm", True)


def test_each_operator_is_counted(out_dir: Path, built: tuple[Board, Target]) -> None:
    board, target = built
    result = run_benchmark(out_dir, board, target)
    assert [layer["op"] for layer in result.per_layer][3] == "RESHAPE"
    assert result.start_counts is not None and result.start_counts > 0
    ours = read_manifest(load_board("native"), out_dir)
    assert result.arena_used == ours["arena_bytes"] + 16  # what the double says
    if result.unit == "instructions":
        counts = {layer["op"]: layer["counts"] for layer in result.per_layer}
        assert counts["CONV_2D"] > 2 * counts["RESHAPE"]  # which only walks past the others
        assert sum(counts.values()) < 3 * result.counts


def test_a_step_runs_alone_and_again(out_dir: Path, built: tuple[Board, Target]) -> None:
    board, target = built
    inputs = [np.zeros(read_manifest(board, out_dir)["inputs"][0]["bytes"], np.int8)]
    with open_device(target, board, out_dir / board.folder) as device:
        device.write_inputs(inputs)
        assert device.info.arena_bytes - device.info.arena_used < 16
        first = device.tap_output(1, 0, 16)
        assert device.tap_output(1, 0, 16) == first
        place = device.place(Place.INPUT, 0)
        assert place % 16 == 0 and place > 0  # not where generated code has it
        assert device.place(Place.OUTPUT, 0) > 0
        for kind, index in ((Place.INPUT, 1), (Place.OUTPUT, 9), (Place.STEP, 1)):
            with pytest.raises(Refused, match="BAD_ARGUMENT"):
                device.place(kind, index)


def test_it_is_never_taken_for_generated_code(out_dir: Path, built: tuple[Board, Target]) -> None:
    board, target = built
    with open_device(target, board, out_dir / board.folder) as device:
        assert "image     kernels tflm, framework bare, engine tflm" in device.command("info")
        other = read_manifest(load_board("native"), out_dir)
        with pytest.raises(DeviceError, match="of run"):
            check_identity(device, other, load_board(board.id))
        same_run = other | {"run_id": device.info.run_id}
        with pytest.raises(DeviceError, match=r"kernels tflm, framework bare, engine tflm; expect"):
            check_identity(device, same_run, load_board(board.id))
        check_identity(device, read_manifest(board, out_dir), board)
        with pytest.raises(DeviceError):
            check_identity(device, read_manifest(board, out_dir), replace(board, engine="aot"))


def test_both_engines_stand_in_one_table(out_dir: Path, built: tuple[Board, Target]) -> None:
    board, target = built
    if board.id == "native":
        pytest.skip("one board is enough")
    plain = load_board(board.id)
    build_firmware(plain, plain.gen_dir(out_dir), out_dir / plain.folder)
    boards = {"aot": plain, "tflm": board}
    assert set(stored(out_dir, boards, target)) <= {"tflm"}
    for each in boards.values():
        run_parity(out_dir, each, target, None)
        run_benchmark(out_dir, each, target)
    found = stored(out_dir, boards, target)
    table = {row.title: row for row in rows(found)}
    assert table["cases equal, every byte"].values == (f"{CASES} of {CASES}",) * 2
    flash = table["flash, bytes"]
    sizes = [json.loads((out_dir / b.folder / "size.json").read_text()) for b in boards.values()]
    assert flash.values == tuple(f"{size['flash_bytes']:,}" for size in sizes)
    assert flash.ratio == f"{sizes[1]['flash_bytes'] / sizes[0]['flash_bytes']:.2f}"
    kept = json.loads(write_comparison(out_dir, plain, target, found).read_text())
    assert set(kept["engines"]) == {"aot", "tflm"}
    assert kept["engines"]["tflm"]["run_id"] != kept["engines"]["aot"]["run_id"]
    manifest = board.gen_dir(out_dir) / "manifest.json"
    text = manifest.read_text()
    try:  # a run that is generated no more does not count
        manifest.write_text(text.replace(kept["engines"]["tflm"]["run_id"], "0" * 12))
        assert set(stored(out_dir, boards, target)) == {"aot"}
    finally:
        manifest.write_text(text)


def test_compare_runs_both_engines(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command, from a model's file on; with the same double for a model of one operator."""
    (project / "a.tflite").write_bytes(GENERATORS["RELU"](np.random.default_rng(3)))
    assert main(["emit", "a.tflite"]) == 0
    (folder,) = (project / "build" / "models").iterdir()
    emit_tflm(folder)
    write_double(project / "tflm", folder)
    capsys.readouterr()
    words = ["a.tflite", "--board", "native", "--cases", "3", "--tflm", "tflm"]
    assert main(["compare", *words]) == 0
    told = capsys.readouterr().out
    assert "native: both engines" in told and "bytes of its arena; " in told
    kept = json.loads((folder / "native" / "compare.json").read_text())["engines"]
    assert {name: (e["equal"], e["cases"]) for name, e in kept.items()} == {
        "aot": (3, 3),
        "tflm": (3, 3),
    }


@pytest.mark.slow
def test_it_answers_a_benchmark_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out_dir = folder_of(tmp_path, model("kws01"), CASES)
    emit_tflm(out_dir)
    library = write_double(tmp_path / "lib", out_dir)
    board = load_board("native-tflm-kws01")
    target = build(out_dir, board, library)
    golden = load_golden(out_dir / "golden.npz")
    labels = golden.outputs[0].reshape(CASES, 12).argmax(axis=1)
    rows = [f"{i}.bin,12,{label}\n" for i, label in enumerate(labels)]
    for i in range(CASES):
        (tmp_path / f"{i}.bin").write_bytes(sent("kws01", golden, i))
    (tmp_path / "y_labels.csv").write_text("".join(rows))
    dataset = read_dataset(tmp_path, "kws01", BENCHMARKS["kws01"])
    found = run_mlperf(out_dir, board, target, "kws01", dataset, ("performance", "accuracy"), None)
    assert (found.engine, found.kernels, found.board) == ("tflm", "tflm", "native")
    assert found.accuracy is not None and found.accuracy.top1 == 1
    assert found.performance is not None and found.performance.latency_ms > 0
    assert run_parity(out_dir, board, target, None).equal == CASES
    monkeypatch.setenv(NAMED, str(library))
    words = ["--board", "native", "--engine", "tflm", "--mlperf", "kws01", "--dry-run"]
    words += ["--model", str(out_dir / "model.tflite"), "--project", str(tmp_path)]
    done = CliRunner().invoke(command, words)
    assert "build-native-tflm-kws01" in done.output, done.output
    emit_tflm(out_dir, read_manifest(load_board("native"), out_dir)["arena_bytes"])
    build(out_dir, board, library)
    with open_device(target, board, out_dir / board.folder) as device:
        load(device, sent("kws01", golden, 0))
        with pytest.raises(UsageError, match=r"infer: e-.TFLite Micro: the arena is too small"):
            device.mlperf("infer 1 0")


# --- what goes wrong on the device --------------------------------------------------------------


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Path]:
    """A folder of one's own, to break."""
    out_dir = folder_of(tmp_path, GENERATORS["CONV_2D"](np.random.default_rng(3)), CASES)
    emit_tflm(out_dir)
    yield out_dir


def refusal(out_dir: Path, library: Path) -> str:
    """What parity says of firmware whose engine does not start; it answers nothing all the same."""
    board = load_board("native-tflm")
    target = build(out_dir, board, library)
    with pytest.raises(DeviceError) as told:
        run_parity(out_dir, board, target, None)
    with open_device(target, board, out_dir / board.folder) as device:
        case = [np.zeros(size, np.int8) for size in device.info.input_bytes]
        device.write_inputs(case)
        with pytest.raises(Refused, match=f"INVOKE was refused: {Status.NO_ENGINE.name}"):
            device.invoke()
        with pytest.raises(Refused, match=Status.NO_ENGINE.name):
            device.place(Place.INPUT, 0)
        assert any("self-test FAIL" in line for line in device.command("info"))
    return str(told.value)


def test_an_arena_that_is_too_small_is_told(own: Path, tmp_path: Path) -> None:
    library = write_double(tmp_path / "lib", own)
    ours = read_manifest(load_board("native"), own)
    emit_tflm(own, ours["arena_bytes"])  # the double takes 16 bytes more
    told = refusal(own, library)
    size = -(-ours["arena_bytes"] // 16) * 16
    assert f"TFLite Micro: the arena is too small; its arena has {size:,} bytes" in told
    assert "ARENA=bytes" in told


@pytest.mark.slow
def test_an_operator_that_does_not_prepare_is_told(own: Path, tmp_path: Path) -> None:
    told = refusal(own, write_double(tmp_path / "lib", own, refuses=True))
    assert "an operator refused to prepare" in told


def test_an_operator_that_the_resolver_lacks_is_told(tmp_path: Path) -> None:
    """ADD, whose number is 0."""
    out_dir = folder_of(tmp_path, GENERATORS["ADD"](np.random.default_rng(3)), CASES)
    emit_tflm(out_dir)
    library = write_double(tmp_path / "lib", out_dir)
    header = out_dir / "gen-tflm" / "model_resolver.h"
    header.write_text(header.read_text().replace("resolver.AddAdd()", "resolver.AddConv2D()"))
    assert "the resolver lacks an operator of the model" in refusal(out_dir, library)


@pytest.mark.parametrize(
    "name", ["SVDF", pytest.param("UNIDIRECTIONAL_SEQUENCE_LSTM", marks=pytest.mark.slow)]
)
def test_state_goes_on_and_is_forgotten(name: str, tmp_path: Path) -> None:
    out_dir = folder_of(tmp_path, GENERATORS[name](np.random.default_rng(5)), CASES)
    emit_tflm(out_dir)
    assert "#define MODEL_HAS_STATE 1" in (out_dir / "gen-tflm" / "model_resolver.h").read_text()
    board = load_board("native-tflm")
    target = build(out_dir, board, write_double(tmp_path / "lib", out_dir))
    assert run_parity(out_dir, board, target, None).failures == []
