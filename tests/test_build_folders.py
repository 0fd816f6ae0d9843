"""Builds in folders with any name, and with boards that only data describe."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from host_tools.boards.board import BOARDS, load_board
from host_tools.build.firmware import build_firmware
from host_tools.errors import HostToolsError, UsageError
from model.paths import ROOT
from quantize.golden import make_golden, random_inputs
from quantize.lowering import KERNEL_SETS
from quantize.manifest import compile_sets
from quantize.tflite.reader import parse_model
from tests.firmware_builds import built, symbol_names, write_gen
from tests.sweeps import sweep
from tests.test_tap import model as layers

PARTS = ("boards", "firmware", "host_tools", "model", "quantize")
RESULTS = 'build/it\'s "$HOME" (1) ;&'  # of a board, below the project
BUILD = """
import sys
from pathlib import Path
from host_tools.boards.board import load_board
from host_tools.build.firmware import build_firmware
board = load_board(sys.argv[1])
build_firmware(board, board.gen_dir(Path(sys.argv[2])), Path(sys.argv[3]))
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what builds need, in a folder whose name PlatformIO cannot take."""
    copy = tmp_path_factory.mktemp("projects") / "mein Prüf ordner" / "p"
    for part in PARTS:
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "platformio.ini", copy)
    return copy


@pytest.fixture(scope="module")
def results(project: Path) -> Path:
    """A folder with a generated model, below the project."""
    out_dir, data = project / RESULTS, layers()
    golden = make_golden(data, random_inputs(parse_model(data), 2, 0))
    folders = {kernels: out_dir / "gen" / kernels for kernels in KERNEL_SETS}
    compile_sets(data, golden, folders, name="m", settings={})
    return out_dir


def build_in(project: Path, board_id: str, results: Path) -> Path:
    """Build with the tools of `project` there; returns the folder of the firmware."""
    out_dir = results / board_id
    done = subprocess.run(
        [sys.executable, "-c", BUILD, board_id, results, out_dir],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return out_dir


@pytest.mark.parametrize(
    ("board_id", "variant"),
    sweep(
        [(board, variant) for board in BOARDS for variant in ("", "-selftest")],
        [("nano33", "")],
    ),
)
def test_any_folder_gives_the_same_bytes(
    project: Path, results: Path, tmp_path: Path, board_id: str, variant: str
) -> None:
    board = load_board(board_id + variant)
    there = build_in(project, board.folder, results)
    build_firmware(board, board.gen_dir(results), tmp_path)
    names = ["firmware.elf", "firmware.bin"] if board.upload else ["firmware.elf"]
    for name in names:
        assert (there / name).read_bytes() == (tmp_path / name).read_bytes(), name
    assert not list(there.glob(".*"))


def test_a_temporary_folder_that_platformio_cannot_take_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "a b"))
    with pytest.raises(UsageError, match=r"temporary folder .*a b: .*; set TMPDIR=/tmp"):
        build_firmware(load_board("native"), write_gen(tmp_path / "gen"), tmp_path / "out")


def test_a_firmware_that_runs_can_be_built_again(tmp_path: Path) -> None:
    board, gen, out_dir = load_board("native"), write_gen(tmp_path / "gen"), tmp_path / "out"
    build_firmware(board, gen, out_dir)
    elf = out_dir / "firmware.elf"
    first = elf.stat().st_ino
    with subprocess.Popen([elf], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as running:
        build_firmware(board, gen, out_dir)
        assert running.poll() is None
        assert running.stdin is not None
        running.stdin.close()
    assert elf.stat().st_ino != first
    assert os.access(elf, os.X_OK)


def test_size_json_comes_last_and_names_the_image(tmp_path: Path) -> None:
    out_dir, _ = built("nano33")
    times = {path.name: path.stat().st_ctime_ns for path in out_dir.iterdir()}
    assert max(times, key=lambda name: times[name]) == "size.json"
    digest = hashlib.sha256((out_dir / "firmware.elf").read_bytes()).hexdigest()
    assert json.loads((out_dir / "size.json").read_text())["image_sha256"] == digest


def test_a_failed_build_leaves_what_was_there_and_tells_the_user_s_paths(tmp_path: Path) -> None:
    board, out_dir = load_board("native"), tmp_path / "out"
    build_firmware(board, write_gen(tmp_path / "good"), out_dir)
    before = {path.name: path.read_bytes() for path in out_dir.iterdir()}
    gen = write_gen(tmp_path / "bad", {"if (step == 0) {": "int unused; if (step == 0) {"})
    with pytest.raises(HostToolsError, match=re.escape(f"{gen}/model.c:")):
        build_firmware(board, gen, out_dir)
    after = {path.name: path.read_bytes() for path in out_dir.iterdir()}
    assert before | {"build.log": b""} == after | {"build.log": b""}


def test_a_second_board_of_a_chip_is_data_only(project: Path, results: Path) -> None:
    """Another id and other pins of the UART; no line of C."""
    content = json.loads((project / "boards" / "nano33.json").read_text())
    content["tinyproof"]["env"] = "desk"
    content["tinyproof"]["sensors"] = []
    content["tinyproof"]["pins"] = {"UART_TX": "P0.06", "UART_RX": "P1.08"}
    (project / "boards" / "desk.json").write_text(json.dumps(content))
    with (project / "platformio.ini").open("a") as file:
        file.write("\n[env:desk]\nextends = bare\nboard = desk\n")
    images = [build_in(project, board, results) / "firmware.elf" for board in ("desk", "nano33")]
    code = [subprocess.check_output(["arm-none-eabi-objdump", "-d", i], text=True) for i in images]
    for (tx, rx), text in zip([("6", "40"), ("35", "42")], code, strict=True):
        init = text.split("<board_init>:")[1].split("\n\n")[0]
        assert re.search(rf"movs\s+r\d, #{tx}\b", init), init
        assert re.search(rf"movs\s+r\d, #{rx}\b", init), init
    assert b" on desk\r\n" in images[0].read_bytes()


def test_kernels_of_a_set_win_and_bring_what_they_call(project: Path, results: Path) -> None:
    """A fast kernel with a reference kernel's name, a helper that it calls, and a mere comment."""
    own = project / "firmware" / "kernels" / "armv7em"
    text = (own.parent / "ref" / "nn_softmax_s8.c").read_text()
    start = "void nn_softmax_s8("
    helper = "int32_t nn_helper(int32_t x);\n"
    (own / "nn_helper.c").write_text(
        f"#include <stdint.h>\n{helper}{helper[:-2]} {{ return x; }}\n"
    )
    text = text.replace(start, f"/* not nn_tanh_s16 */\n{helper}{start}")
    (own / "nn_softmax_s8.c").write_text(text.replace("p->rows", "nn_helper(p->rows)"))
    out_dir = build_in(project, "qemu_m4-selftest", results)
    names = symbol_names(out_dir / "firmware.elf")
    assert names.count("nn_softmax_s8") == 2
    assert names.count("nn_helper") == 1
    built_files = (out_dir / "build.log").read_text()
    assert "nn_tanh_s16" not in built_files
    assert built_files.count("/nn_softmax_s8.o") == 2
