"""What is flashed is what was proven: the image's kernels, framework and engine."""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from cobs import cobs

from host_tools import commands_shared
from host_tools.boards.board import board_of_folder, chip_board, load_board
from host_tools.commands_shared import flashed_board
from host_tools.errors import DeviceError, UsageError
from host_tools.link.device import Device
from host_tools.link.frames import Status
from host_tools.link.protocol import MessageType
from host_tools.link.target import Target, check_identity, choose_target, open_device
from host_tools.parity.selftest import compare_kernels
from host_tools.report.chips import counts_of_others, image_told
from host_tools.report.results import MANIFEST_KEYS
from model.files import write_json
from tests.firmware_builds import built
from tests.native_app import compile_app, start_device

MANIFEST = {
    "model_sha256": bytes(range(32)).hex(),
    "name": "stub",
    "run_id": "0123456789ab",
    "kernels": "ref",
}


class OldFirmware:
    """Answers every frame as firmware that speaks version 1 does: BAD_VERSION."""

    name = "old"

    def __init__(self) -> None:
        self._waiting = b"tinyproof 0.1.0 on nano33\r\n"

    def write(self, data: bytes) -> None:
        body = struct.pack("<BBBBHH", 1, 0, MessageType.ERROR, Status.BAD_VERSION, 0, 0)
        wire = cobs.encode(body + struct.pack("<I", zlib.crc32(body)))
        self._waiting += b"\0" + wire + b"\0"

    def read(self, timeout_s: float) -> bytes:
        data, self._waiting = self._waiting, b""
        return data

    def close(self) -> None:
        pass


def test_firmware_of_the_version_before_is_told_to_be_flashed_again() -> None:
    with (
        Device(OldFirmware(), start_s=30.0) as device,
        pytest.raises(DeviceError, match=r"version 1 of the link protocol, these tools 3.*make fl"),
    ):
        device.hello()


@pytest.mark.parametrize("board_id", ["native", "qemu_m4"])
def test_a_build_tells_what_image_it_is(board_id: str) -> None:
    folder, _ = built(board_id)
    board = load_board(board_id)
    size = json.loads((folder / "size.json").read_text())
    image = (board.kernels, "bare", "aot")
    assert (size["kernels"], size["framework"], size["engine"]) == image
    with open_device(choose_target(board, None, None), board, folder) as device:
        info = device.info
        lines = device.command("info")
        assert device.enter_boot_loader() is False  # nothing to enter there
        assert device.selftest().failures == 0
    assert (info.kernels, info.framework, info.engine) == image
    assert f"image     kernels {board.kernels}, framework bare, engine aot" in lines


def test_another_image_of_the_same_run_is_refused(tmp_path: Path) -> None:
    board = load_board("native")
    with start_device(compile_app(tmp_path, kernels=None)) as device:
        check_identity(device, MANIFEST, board)
        for manifest, asked in (
            (MANIFEST | {"kernels": "armv7em"}, board),
            (MANIFEST, board.with_framework("arduino")),
            (MANIFEST, replace(board, engine="other")),
        ):
            with pytest.raises(DeviceError, match=r"has kernels ref, framework bare, engine aot; "):
                check_identity(device, manifest, asked)


def test_flash_takes_the_chips_kernels_for_the_selftest_too() -> None:
    """Not the emulator's, which would be compared with themselves."""
    chosen = chip_board(load_board("nano33-selftest"))
    assert (chosen.folder, chosen.kernels) == ("nano33-armv7em-selftest", "armv7em")
    assert chosen.selftest
    named = chip_board(load_board("nano33-ref-selftest"))
    assert named.kernels == "ref"  # what is asked for by name is taken
    assert chip_board(load_board("esp32-selftest")).kernels == "xtensa_mac16"


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("nano33-selftest", r"make flash BOARD=nano33-selftest, then make selftest BOARD=nano33 P"),
        ("qemu_m4-ref-selftest", "BOARD=native-armv7em"),
    ],
)
def test_the_reference_is_not_compared_with_itself(name: str, advice: str, tmp_path: Path) -> None:
    manifest = tmp_path / "gen" / "ref" / "manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text(json.dumps(dict.fromkeys(MANIFEST_KEYS)))
    with pytest.raises(UsageError, match=f"nothing to compare.*{advice}"):
        compare_kernels(tmp_path, load_board(name), Target(emulator=None, port="/dev/null"))


class Flashed:
    """What a board's HELLO says, for a board that is compared with a folder of results."""

    def __init__(self, port: str) -> None:
        self.name = port

    def __enter__(self) -> Flashed:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    info = SimpleNamespace(
        board_id="nano33", run_id="r2", framework="arduino", model_name="m", model_sha256="0" * 64
    )


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    for kernels, run in (("ref", "r1"), ("armv7em", "r2")):
        write_json(tmp_path / "gen" / kernels / "manifest.json", {"run_id": run})
    monkeypatch.setattr(commands_shared, "open_port", lambda port, board: port)
    monkeypatch.setattr(commands_shared, "Device", lambda port, **_: Flashed(port))
    return SimpleNamespace(folder=tmp_path, says="RECIPE=m")


def test_results_of_a_port_lie_where_its_image_was_built(source: SimpleNamespace) -> None:
    for name in (None, "nano33", "nano33-armv7em"):
        board = flashed_board(source, name, "/dev/x")
        assert (board.folder, board.kernels) == ("nano33-armv7em-arduino", "armv7em")
        assert board.framework == "arduino"
    chosen = flashed_board(source, "nano33-selftest", "/dev/x")
    assert chosen.selftest and chosen.kernels == "armv7em"  # not the emulator's
    for name in (None, "nano33-kws01"):
        board = flashed_board(source, name, "/dev/x", "-kws01")
        assert (board.folder, board.mlperf) == ("nano33-armv7em-kws01-arduino", "kws01")


def test_other_kernels_than_asked_for_by_name_are_refused(source: SimpleNamespace) -> None:
    with pytest.raises(DeviceError, match="has the kernels armv7em; BOARD=nano33-ref asks for ref"):
        flashed_board(source, "nano33-ref", "/dev/x")


def test_a_framework_that_is_none_names_no_folder(
    source: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Flashed.info, "framework", "../../up")
    with pytest.raises(DeviceError, match=r"framework '\.\./\.\./up'; expected one of bare, ard"):
        flashed_board(source, "nano33", "/dev/x")


def test_a_report_says_which_image_was_proven_where() -> None:
    size = {"image_sha256": "b" * 64}
    parity = {"image_sha256": "a" * 64, "kernels": "armv7em", "framework": "bare", "engine": "aot"}
    assert image_told({"parity": parity, "size": size}) == ("a" * 16, "armv7em, bare, aot")
    at_a_port = parity | {"image_sha256": None}
    assert image_told({"parity": at_a_port, "size": size})[0] == f"built here: {'b' * 16}"


def test_a_count_of_other_kernels_stands_for_no_board() -> None:
    def board(kernels: str, counts: int, emulator: str) -> dict[str, object]:
        bench = {"counts": counts, "emulator": emulator, "unit": "instructions"}
        return {"kernels": kernels, "bench": bench}

    boards = {
        "nano33": board("ref", 1_807_007, "labwired_nrf52840"),
        "esp32": board("xtensa", 739_107, "labwired_esp32"),
        "qemu_m4": board("armv7em", 299_637, "qemu_m4"),
    }
    assert list(counts_of_others(boards)) == [
        "nano33: its emulator runs the ref kernels, the board gets the armv7em kernels (`make "
        "flash`): do not take this count for the board's; qemu_m4 counts 299,637 instructions with "
        "these.",
        "esp32: its emulator runs the xtensa kernels, the board gets the xtensa_mac16 kernels "
        "(`make flash`): do not take this count for the board's.",
    ]


def test_a_folder_of_results_names_board_kernels_and_framework() -> None:
    board = board_of_folder("nano33-armv7em-arduino")
    assert (board.id, board.kernels, board.framework) == ("nano33", "armv7em", "arduino")
    assert board.folder == "nano33-armv7em-arduino"
    assert board_of_folder("nano33-ref").framework == "bare"
