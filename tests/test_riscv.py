"""RISC-V: the portable kernels on QEMU's riscv32 and on labwired's ESP32-C3."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from host_tools.boards import flash, rom_loader
from host_tools.boards.board import BOARDS, load_board, read_board
from host_tools.commands import selftest
from host_tools.errors import UsageError
from model.files import write_bytes
from quantize.golden import make_golden, random_inputs, save_golden
from quantize.manifest import compile_sets
from quantize.tflite.reader import parse_model
from tests import steps as command
from tests.factory_float import layer_norm
from tests.generators import GENERATORS

CASES = 20


def row(name: str) -> Callable[[], bytes]:
    """A model of one operator."""
    return lambda: GENERATORS[name](np.random.default_rng(5))


@pytest.mark.parametrize(
    ("board", "make_model", "cases"),
    [
        ("qemu_riscv32", row("CONV_2D"), CASES),
        ("qemu_riscv32", layer_norm, CASES),
        ("esp32c3", layer_norm, 5),
    ],
    ids=["conv", "float", "float-esp32c3"],
)
def test_every_byte_is_equal(
    board: str,
    make_model: Callable[[], bytes],
    cases: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A sample of the slow sweep of test_ops_boards.py. rv32imc has no float unit: floats are
    libgcc's there."""
    monkeypatch.setattr(command, "BUILD", tmp_path)
    model = make_model()
    golden = make_golden(model, random_inputs(parse_model(model), CASES, 0))
    write_bytes(tmp_path / "m" / "model.tflite", model)
    save_golden(tmp_path / "m" / "golden.npz", golden)
    compile_sets(model, golden, {"ref": tmp_path / "m" / "gen" / "ref"}, name="m", settings={})
    assert command.main(["build", "m", board]) == 0
    assert command.main(["parity", "m", board]) == 0
    report = json.loads((tmp_path / "m" / board / "parity.json").read_text())
    assert report["equal"] == report["cases"] == cases
    assert report["kernels"] == "ref"


@pytest.mark.parametrize("board", ["qemu_riscv32-selftest", "esp32c3-selftest", "native-selftest"])
def test_portable_kernels_have_nothing_to_compare(board: str) -> None:
    with pytest.raises(
        UsageError, match=r"portable kernels .ref.*kernels of their own have esp32, q"
    ):
        selftest.require_fast_kernels(board)
    selftest.require_fast_kernels("nano33-selftest")  # the chip's are not the emulator's
    selftest.require_fast_kernels("native-armv7em-selftest")


@pytest.mark.parametrize(("board_id", "place"), [("esp32", "0x1000"), ("esp32c3", "0x0")])
def test_chip_and_place_of_the_image_are_the_boards(
    board_id: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[Sequence[str]] = []

    def run(command: Sequence[str]) -> tuple[int, str]:
        commands.append(command)
        return 0, ""

    monkeypatch.setattr(rom_loader, "_run", run)
    upload = load_board(board_id).upload
    assert upload is not None
    flash.UPLOADERS[upload.tool]("/dev/null", tmp_path, upload.chip, upload.image_at)
    words = ["--chip", board_id, "--port", "/dev/null", "write-flash", place, str(tmp_path)]
    assert list(commands[0][3:]) == words


@pytest.mark.parametrize("key", ["chip", "image_at"])
def test_a_board_of_esptool_without_its_chip_is_refused(key: str, tmp_path: Path) -> None:
    content = json.loads(BOARDS["esp32c3"].read_text())
    del content["tinyproof"]["upload"][key]
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(content))
    with pytest.raises(UsageError, match=rf"the key 'tinyproof\.upload\.{key}' is missing"):
        read_board(path)
