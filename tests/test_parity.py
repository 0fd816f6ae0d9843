"""From a model to firmware to proof, on every emulated board; and how each failure looks."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host_tools.boards.board import BOARDS, load_board
from host_tools.errors import DeviceError, ToolMissing, UsageError
from host_tools.link.device import Device
from host_tools.link.session import Setbacks
from host_tools.link.target import choose_target
from host_tools.parity.outputs import describe, run_parity
from model.files import write_bytes
from quantize.golden import Golden, load_golden, make_golden, random_inputs, save_golden
from quantize.lowering import KERNEL_SETS
from quantize.manifest import compile_sets
from quantize.tflite.reader import parse_model
from tests import steps as command
from tests.faulty import Fault, FaultKind, FaultyTransport
from tests.generators import GENERATORS
from tests.native_app import compile_app, start
from tests.sweeps import sweep

FAULTS = st.builds(
    Fault,
    kind=st.sampled_from([FaultKind.DROP, FaultKind.FLIP, FaultKind.DUPLICATE]),
    at=st.integers(300, 2000),
    count=st.integers(1, 30),
    mask=st.integers(1, 255),
)
NAME = "small"
CASES = 5
COUNTED = ("qemu_m4", "qemu_xtensa")  # by a plugin of QEMU
QUICK = ("native", *COUNTED)  # of the boards


def make_build(root: Path, name: str = NAME, generator: str = "CONV_2D", seed: int = 3) -> Path:
    """The folder of a one-operator model, as `quantize golden` and `emit` leave it."""
    out_dir = root / "build" / name
    model = GENERATORS[generator](np.random.default_rng(seed))
    golden = make_golden(model, random_inputs(parse_model(model), CASES, 0))
    write_bytes(out_dir / "model.tflite", model)
    save_golden(out_dir / "golden.npz", golden)
    folders = {kernels: out_dir / "gen" / kernels for kernels in KERNEL_SETS}
    compile_sets(model, golden, folders, name=name, settings={})
    return out_dir


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with build/small and the firmware of every board."""
    root = tmp_path_factory.mktemp("project")
    make_build(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "BUILD", root / "build")
        for board in QUICK:
            assert command.main(["build", NAME, board]) == 0
    return root


@pytest.fixture(autouse=True)
def _build_folder(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "BUILD", root / "build")


@pytest.mark.parametrize("board", sweep(sorted(BOARDS), QUICK))
def test_every_byte_is_equal(board: str, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert board in QUICK or command.main(["build", NAME, board]) == 0
    assert command.main(["parity", NAME, board]) == 0
    report = json.loads((root / "build" / NAME / board / "parity.json").read_text())
    assert report["cases"] == report["equal"] == CASES
    assert report["first_difference"] is None
    assert report["selftest"] == {"cases": 2, "failures": 0}
    assert report["board"] == board
    assert "every byte" in capsys.readouterr().out
    banner = (root / "build" / NAME / board / "link.log").read_text()
    for word in ("tinyproof", board, NAME, report["model_sha256"], report["run_id"], "PASS"):
        assert word in banner


@pytest.mark.parametrize("board", sweep(sorted(BOARDS), QUICK))
def test_bench_counts_repeat(board: str, root: Path) -> None:
    assert board in QUICK or command.main(["build", NAME, board]) == 0
    results = []
    for _ in range(2):
        assert command.main(["bench", NAME, board]) == 0
        results.append(json.loads((root / "build" / NAME / board / "bench.json").read_text()))
    assert results[0]["macs"] > 0
    assert 0 < results[0]["arena_used"] <= results[0]["arena_bytes"]
    if results[0]["unit"] == "instructions":
        assert results[0] == results[1]
        assert 0 < results[0]["stack_bytes"] < results[0]["stack_reserved"]
        assert sum(layer["counts"] for layer in results[0]["per_layer"]) > 0
    mix, missing = results[0]["mix"], results[0]["mix_missing"]
    if board in COUNTED:
        assert missing is None
        kinds = ("loads", "stores", "branches", "multiplies", "divides", "other")
        assert mix["instructions"] == sum(mix[kind] for kind in kinds)
        assert 0 <= results[0]["counts"] - mix["instructions"] < 20
        assert mix["taken"] > 0
        layers = sum(layer["mix"]["instructions"] for layer in results[0]["per_layer"])
        assert abs(layers - mix["instructions"]) < 20
        assert [e["kind"] for e in results[0]["estimates"]] == ["estimate, not a measurement"]
    else:
        assert mix is None
        assert "takes no plugins" in missing
        assert results[0]["estimates"] == []


def test_a_wrong_kernel_is_caught(root: Path, tmp_path: Path) -> None:
    """A multiplier of the generated code is changed: parity names case, tensor, index, values."""
    out_dir = make_build(tmp_path)
    source = out_dir / "gen" / "ref" / "model.c"
    text = source.read_text()
    broken = re.sub(
        r"\.output_offset = (-?\d+)", lambda m: f".output_offset = {int(m[1]) ^ 1}", text
    )
    assert broken != text
    source.write_text(broken)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "BUILD", tmp_path / "build")
        assert command.main(["build", NAME, "native"]) == 0
        assert command.main(["parity", NAME, "native"]) == 1
    report = json.loads((out_dir / "native" / "parity.json").read_text())
    first = report["first_difference"]
    golden = load_golden(out_dir / "golden.npz")
    assert report["equal"] < report["cases"]
    assert report["selftest"]["failures"] > 0
    assert golden.case_outputs(first["case"])[0].reshape(-1)[first["index"]] == first["expected"]
    assert first["got"] != first["expected"]
    assert first["tensor"] == 0


def test_firmware_of_another_model_is_refused(root: Path, tmp_path: Path) -> None:
    out_dir = make_build(tmp_path, seed=4)
    (out_dir / "native").mkdir()
    shutil.copy(root / "build" / NAME / "native" / "firmware.elf", out_dir / "native")
    board = load_board("native")
    with pytest.raises(DeviceError, match="build and flash again"):
        run_parity(out_dir, board, choose_target(board, None, None), None)
    assert not (out_dir / "native" / "parity.json").exists()


def test_wrong_use_is_told_apart(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["parity", NAME, "nano3"]) == 2
    assert "nano33" in capsys.readouterr().err
    assert command.main(["parity", NAME, "nano33", "--emulator", "qemu_m4"]) == 2
    assert "does not run it" in capsys.readouterr().err
    assert command.main(["parity", NAME, "nano33", "--port", "/dev/ttyNONE"]) == 3
    assert "/dev/ttyNONE" in capsys.readouterr().err
    assert command.main(["parity", "absent", "native"]) == 2
    assert "run the step that writes it" in capsys.readouterr().err


def test_a_missing_emulator_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ToolMissing, match="qemu-system-arm"):
        choose_target(load_board("qemu_m4"), None, None)


def test_no_firmware_says_what_to_run(root: Path, tmp_path: Path) -> None:
    out_dir = make_build(tmp_path)
    board = load_board("native")
    with pytest.raises(UsageError, match="make build BOARD=native"):
        run_parity(out_dir, board, choose_target(board, None, None), None)


def test_a_firmware_runs_at_the_terminal(root: Path) -> None:
    script = (
        "from pathlib import Path; from host_tools.boards.board import load_board; "
        "from host_tools.monitor.emulate import run; "
        "from host_tools.link.target import choose_target; "
        "b = load_board('qemu_m4'); "
        f"run(b, choose_target(b, None, None), Path('build/{NAME}/qemu_m4'), Path('build'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        input="info\nbench 2\nnonsense\n",
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        cwd=root,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "self-test PASS: 2 of 2" in done.stdout
    assert "2 inferences: min " in done.stdout and " instructions; one more" in done.stdout
    assert "unknown command 'nonsense'" in done.stdout


def test_taps_see_a_model_with_state_from_its_reset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_build(tmp_path, generator="SVDF", seed=2)
    monkeypatch.setattr(command, "BUILD", tmp_path / "build")
    assert command.main(["build", NAME, "native"]) == 0
    assert command.main(["parity", NAME, "native", "--tap"]) == 0
    report = json.loads((tmp_path / "build" / NAME / "native" / "parity.json").read_text())
    assert report["equal"] == CASES
    assert report["layers"]["first"] is None


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(faults=st.lists(FAULTS, max_size=3))
def test_a_sequence_of_a_model_with_a_state_survives_a_bad_line(
    stateful: tuple[Path, Golden], faults: list[Fault]
) -> None:
    """Every run that is repeated begins with the reset and the cases before it."""
    program, golden = stateful
    transport = FaultyTransport(start(program), on_write=faults, on_read=faults)
    with Device(transport, timeout_s=0.2, run_timeout_s=30.0) as device:
        for case in range(len(golden)):
            before = [golden.case_inputs(c) for c in golden.before(case)]
            got = device.run(golden.case_inputs(case), before)
            assert got == [v.tobytes() for v in golden.case_outputs(case)], f"case {case}"


@pytest.fixture(scope="module")
def stateful(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Golden]:
    """The firmware of a model with a state, and cases of it in sequences of three."""
    folder = tmp_path_factory.mktemp("stateful")
    model = GENERATORS["SVDF"](np.random.default_rng(5))
    graph = parse_model(model)
    assert graph.variables
    golden = make_golden(model, random_inputs(graph, 7, 0), 3)
    alone = make_golden(model, golden.inputs)
    assert any(not np.array_equal(a, b) for a, b in zip(golden.outputs, alone.outputs, strict=True))
    compile_sets(model, golden, {"ref": folder / "gen"}, name="svdf", settings={})
    return compile_app(folder, folder / "gen", kernels="ref"), golden


@pytest.mark.parametrize(
    ("cases", "distinct", "told"),
    [(1, 1, False), (2, 1, True), (3, 1, True), (3, 2, False), (8, 3, True), (8, 4, False),
     (1000, 9, True), (1000, 10, False)],
)  # fmt: skip
def test_few_distinct_outputs_are_told(cases: int, distinct: int, told: bool) -> None:
    report: Any = SimpleNamespace(
        board="native", emulator=None, port=None, equal=cases, cases=cases, first_difference=None,
        reference="TFLite Micro", selftest={"cases": 2, "failures": 0}, float_comparison=None,
        layers=None,
        accuracy=None, golden_cases=cases, float_missing="none", image_sha256=None,
        model_sha256="0" * 64, kernels="ref", framework="bare", engine="aot", run_id="0",
        distinct_inputs=cases, distinct_outputs=distinct, missing=0, put_aside=(),
        link=Setbacks(), unanswered="",
    )  # fmt: skip
    assert any("few distinct outputs" in line for line in describe(report)) == told
