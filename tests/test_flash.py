"""Flashing with stand-ins for what is not there: the tools, the ports, and PlatformIO."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from host_tools.boards import flash as flash_module
from host_tools.boards.board import load_board
from host_tools.boards.flash import choose_port, enter_boot_loader, flash, main
from host_tools.boards.sam_ba import ORIGIN, RAM, RAM_END
from host_tools.build import firmware as build_module
from host_tools.errors import DeviceError, HostToolsError, UsageError
from host_tools.link import transport
from host_tools.link.transport import UsbPort
from host_tools.report.results import MANIFEST_KEYS
from tests.boot_loader import BootLoader
from tests.firmware_builds import write_gen
from tests.native_app import ROOT, changed_stub, compile_app
from tests.pty_board import PtyBoard
from tests.test_sam_ba import image_of

STUB_SHA256 = bytes(range(32)).hex()
STUB_RUN_ID = "0123456789ab"
STAND_IN = """#!{python}
import os, pathlib, sys
pathlib.Path({log!r}).open("a").write(" ".join(sys.argv[1:]) + "\\n")
of_upload = "_OF_UPLOAD" if "upload" in sys.argv else ""
sys.exit(int(os.environ.get("STAND_IN_CODE" + of_upload, "0")))
"""


@pytest.fixture(scope="module")
def stub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_app(tmp_path_factory.mktemp("stub"))


class Tools:
    """Stand-ins for esptool and platformio that log how they were called."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "calls.txt"
        self.folder = folder
        text = STAND_IN.format(python=sys.executable, log=str(self._log))
        for name in ("esptool.py", "platformio.py"):
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)

    def calls(self) -> list[str]:
        return self._log.read_text().splitlines() if self._log.exists() else []


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tools:
    folder = tmp_path / "tools"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    monkeypatch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{ROOT}")
    return Tools(folder)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "firmware.bin"
    path.write_bytes(b"firmware")
    return path


def run_tool(tool: str, port: str, image: Path) -> subprocess.CompletedProcess[str]:
    """Call the upload as PlatformIO's upload target does."""
    return subprocess.run(
        [
            sys.executable,
            "-m",
            "host_tools.boards.flash",
            "--tool",
            tool,
            "--port",
            port,
            "--image",
            image,
            *(["--chip", "esp32", "--image-at", "0x1000"] if tool == "esptool" else []),
        ],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@contextmanager
def boot_loader(board: PtyBoard, back_as: Path | None) -> Iterator[None]:
    """Play the Nano: when the port is opened at 1200 baud it vanishes, then comes back."""
    done = threading.Event()

    def play() -> None:
        while not done.wait(0.01):
            if board.speed() == termios.B1200:
                board.vanish()
                if not done.wait(0.2) and back_as is not None:
                    board.appear(back_as)
                return

    thread = threading.Thread(target=play)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize("name", ["ttyACM0", "ttyACM1"])
def test_the_port_that_came_back_is_the_loaders(stub: Path, tmp_path: Path, name: str) -> None:
    back_as = tmp_path / name
    with PtyBoard(stub, tmp_path / "ttyACM0") as board, boot_loader(board, back_as):
        assert enter_boot_loader(str(board.port)) == str(back_as)


def test_a_new_port_wins_over_one_that_was_there(stub: Path, tmp_path: Path) -> None:
    (tmp_path / "ttyACM5").symlink_to("/dev/null")
    old, new = tmp_path / "ttyACM0", tmp_path / "ttyACM7"
    with PtyBoard(stub, old) as board, boot_loader(board, new):
        assert enter_boot_loader(str(old)) == str(new)


def test_a_port_that_stays_belongs_to_the_boot_loader(
    stub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flash_module, "LEAVE_S", 0.1)
    with PtyBoard(stub, tmp_path / "ttyACM0") as board:
        assert enter_boot_loader(str(board.port)) == str(board.port)


def test_a_port_that_never_comes_back_is_an_error(
    stub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flash_module, "RETURN_S", 0.3)
    with (
        PtyBoard(stub, tmp_path / "ttyACM0") as board,
        boot_loader(board, None),
        pytest.raises(DeviceError, match=r"ttyACM0 vanished .* reset button twice"),
    ):
        enter_boot_loader(str(board.port))


def test_esptool_writes_at_the_rom_loaders_address(
    stub: Path, tools: Tools, image: Path, tmp_path: Path
) -> None:
    with PtyBoard(stub, tmp_path / "ttyUSB0") as board:
        done = run_tool("esptool", str(board.port), image)
        assert done.returncode == 0, done.stderr
        assert tools.calls() == [f"--chip esp32 --port {board.port} write-flash 0x1000 {image}"]


def test_a_tool_that_fails_ends_with_code_3(
    stub: Path, tools: Tools, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAND_IN_CODE", "5")
    with PtyBoard(stub, tmp_path / "ttyUSB0") as board:
        done = run_tool("esptool", str(board.port), image)
    assert done.returncode == 3
    assert "ended with code 5" in done.stderr


@pytest.mark.parametrize("tool", ["sam-ba", "esptool"])
@pytest.mark.parametrize(("port", "code"), [("", 2), ("/dev/ttyNONE", 3)])
def test_a_missing_port_ends_in_seconds(
    tools: Tools, image: Path, tool: str, port: str, code: int
) -> None:
    start = time.monotonic()
    done = run_tool(tool, port, image)
    assert time.monotonic() - start < 5
    assert done.returncode == code
    assert "Then type, for example: pio run --target upload --upload-port /dev/" in done.stderr
    assert tools.calls() == []


def test_a_missing_image_ends_with_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    port = tmp_path / "port"
    port.touch()
    assert main(["--tool", "sam-ba", "--port", str(port), "--image", str(tmp_path / "no")]) == 2
    assert "build it first" in capsys.readouterr().err


ESP32, NANO33 = load_board("esp32"), load_board("nano33")


@pytest.fixture
def out_dir(tmp_path: Path) -> Path:
    """A folder of results, with what flash reads of it."""
    return write_manifest(tmp_path / "build", STUB_SHA256)


def write_manifest(out_dir: Path, model_sha256: str) -> Path:
    own = {"model_sha256": model_sha256, "run_id": STUB_RUN_ID, "kernels": "ref"}
    content = json.dumps(dict.fromkeys(MANIFEST_KEYS) | own)
    for board in (ESP32, NANO33):
        (out_dir / board.folder).mkdir(parents=True, exist_ok=True)
        (out_dir / board.folder / "firmware.bin").write_bytes(image_of(5000))
        board.gen_dir(out_dir).mkdir(parents=True, exist_ok=True)
        (board.gen_dir(out_dir) / "manifest.json").write_text(content)
    return out_dir


@pytest.fixture(scope="module")
def esp32_firmware(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_app(tmp_path_factory.mktemp("esp32"), board_id="esp32")


def plugged(monkeypatch: pytest.MonkeyPatch, *ports: tuple[str, str]) -> None:
    found = [UsbPort(name=name, text="Nano 33 BLE", usb=usb) for name, usb in ports]
    for module in (flash_module, transport):
        monkeypatch.setattr(module, "usb_ports", lambda: found)


def test_a_board_is_found_by_its_usb_identity_and_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    plugged(monkeypatch, ("/dev/ttyUSB0", "10c4:ea60"), ("/dev/ttyACM3", "2341:805a"))
    assert choose_port(NANO33, None)[0] == "/dev/ttyACM3"
    assert "port /dev/ttyACM3: Nano 33 BLE (USB 2341:805a)" in capsys.readouterr().err
    assert choose_port(ESP32, None)[0] == "/dev/ttyUSB0"
    assert choose_port(NANO33, "/dev/null")[0] == "/dev/null"  # what is named is taken


def test_several_boards_are_a_list_of_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    plugged(monkeypatch, ("/dev/ttyACM0", "2341:805a"), ("/dev/ttyACM1", "2341:005a"))
    with pytest.raises(UsageError, match="several ports may be") as told:
        choose_port(NANO33, None)
    for port in ("/dev/ttyACM0", "/dev/ttyACM1"):
        assert f"make flash BOARD=nano33 FRAMEWORK=bare PORT={port}" in str(told.value)
    plugged(monkeypatch, ("/dev/ttyUSB9", "1234:5678"))
    with pytest.raises(UsageError, match=r"no serial port was given.*\n.*/dev/ttyUSB9"):
        choose_port(NANO33, None)


def test_usb_identities_are_of_the_form_that_ports_have() -> None:
    for board in (NANO33, ESP32):
        assert board.upload is not None and board.upload.usb
        assert all(re.fullmatch("[0-9a-f]{4}:[0-9a-f]{4}", usb) for usb in board.upload.usb)
        assert "usb" in board.provenance


def test_flash_uploads_what_was_built_and_proves(
    esp32_firmware: Path,
    tools: Tools,
    out_dir: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with PtyBoard(esp32_firmware, tmp_path / "ttyUSB0") as board:
        assert flash(out_dir, ESP32, port=str(board.port), link_port=None) == 0
    image = out_dir / "esp32" / "firmware.bin"
    assert tools.calls() == [f"--chip esp32 --port {board.port} write-flash 0x1000 {image}"]
    assert capsys.readouterr().out == (
        "uploaded to esp32; it runs model stub 0001020304050607 (kernels ref, framework bare, "
        "engine aot), self-test PASS: 2 of 2 golden vectors equal\n"
        f"compare every output byte: make parity BOARD=esp32 PORT={board.port}\n"
        f"count its cycles: make bench BOARD=esp32 PORT={board.port}\n"
        f"watch it: make monitor PORT={board.port}\n"
    )


def test_platformio_builds_and_hands_the_image_to_the_uploader(
    tools: Tools, tmp_path: Path
) -> None:
    """`pio run --target upload` with the real PlatformIO, onto a double of the boot loader."""
    (tools.folder / "platformio.py").unlink()
    gen = NANO33.gen_dir(tmp_path / "it's $HOME")
    write_gen(gen, **dict.fromkeys(MANIFEST_KEYS))
    with BootLoader(tmp_path / "ttyACM0") as loader:
        flash_module._upload_with_platformio(NANO33, gen, "bare", str(loader.port))
        stack, entry = np.frombuffer(loader.flash[:8], "<u4")
        assert loader.resets == 1
    assert RAM < stack <= RAM_END and ORIGIN < entry < ORIGIN + 0x10000


def test_flash_without_a_link_says_that_nothing_was_proved(
    out_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with BootLoader(tmp_path / "ttyACM0") as board:
        assert flash(out_dir, NANO33, port=str(board.port), link_port=None) == 0
        assert bytes(board.flash[:5000]) == image_of(5000)
    said = capsys.readouterr().out
    assert "self-test not run" in said
    assert NANO33.uart is not None and NANO33.uart.wiring in said
    assert f"make flash BOARD=nano33 FRAMEWORK=bare PORT={board.port} LINK_PORT=" in said


def test_flash_with_a_link_port_of_its_own(
    out_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (
        BootLoader(tmp_path / "ttyACM0") as usb,
        PtyBoard(compile_app(tmp_path, board_id="nano33"), tmp_path / "ttyUSB0") as board,
    ):
        assert flash(out_dir, NANO33, port=str(usb.port), link_port=str(board.port)) == 0
    assert "self-test PASS" in capsys.readouterr().out


def test_flash_with_arduino_uses_its_environment_and_the_same_port(
    tools: Tools,
    out_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "core" / "platforms" / "espressif32").mkdir(parents=True)
    monkeypatch.setattr(build_module, "CORE_DIR", tmp_path / "core")
    program = compile_app(tmp_path, board_id="esp32", framework="arduino")
    with PtyBoard(program, tmp_path / "ttyUSB0") as board:
        port = str(board.port)
        assert flash(out_dir, ESP32, port=port, link_port=None, framework="arduino") == 0
    assert all("--environment esp32_arduino" in call for call in tools.calls())


def test_flash_writes_the_nano_s_arduino_image_itself(
    out_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same boot loader takes it; the link is then on the port that the upload had."""
    board = load_board("nano33")
    image = image_of(7000)
    (out_dir / board.results("arduino")).mkdir()
    (out_dir / board.results("arduino") / "firmware.bin").write_bytes(image)
    monkeypatch.setattr(flash_module, "Device", FoundNothing)
    with BootLoader(tmp_path / "ttyACM0") as usb, pytest.raises(DeviceError, match="looked there"):
        flash(out_dir, board, port=str(usb.port), link_port=None, framework="arduino")
    assert bytes(usb.flash[:7000]) == image


class FoundNothing:
    """In place of a board that has started: the double is a boot loader only."""

    def __init__(self, *_: object, **__: object) -> None:
        raise DeviceError("looked there")


def test_flash_notices_another_model_and_another_board(
    stub: Path, esp32_firmware: Path, tools: Tools, out_dir: Path, tmp_path: Path
) -> None:
    with (
        PtyBoard(stub, tmp_path / "ttyUSB0") as board,
        pytest.raises(DeviceError, match="built for native, not for esp32"),
    ):
        flash(out_dir, ESP32, port=str(board.port), link_port=None)
    write_manifest(out_dir, "ff" * 32)
    with (
        PtyBoard(esp32_firmware, tmp_path / "ttyUSB1") as board,
        pytest.raises(DeviceError, match=r"000102.*ffffff"),
    ):
        flash(out_dir, ESP32, port=str(board.port), link_port=None)


def test_flash_notices_wrong_results(tools: Tools, out_dir: Path, tmp_path: Path) -> None:
    gen = changed_stub(tmp_path, "model_golden.c", "{18, 16, 14, 12,", "{18, 16, 14, 99,")
    program = compile_app(tmp_path, gen, board_id="esp32")
    with (
        PtyBoard(program, tmp_path / "ttyUSB0") as board,
        pytest.raises(HostToolsError, match=r"case 1, byte 3: expected 99, got 12") as caught,
    ):
        flash(out_dir, ESP32, port=str(board.port), link_port=None)
    assert caught.value.exit_code == 1


@pytest.mark.parametrize(
    ("port", "link_port", "error"),
    [
        (None, None, UsageError),
        ("/dev/ttyNONE", None, DeviceError),
        ("/dev/null", "/dev/ttyNONE", DeviceError),
    ],
)
def test_flash_without_a_port_builds_nothing(
    tools: Tools, out_dir: Path, port: str | None, link_port: str | None, error: type[Exception]
) -> None:
    with pytest.raises(
        error, match=r"type, for example: make flash BOARD=esp32 FRAMEWORK=bare PORT=/dev/"
    ):
        flash(out_dir, ESP32, port=port, link_port=link_port)
    assert tools.calls() == []


def test_an_emulator_cannot_be_flashed(tools: Tools, out_dir: Path) -> None:
    with pytest.raises(UsageError, match="make parity BOARD=qemu_m4"):
        flash(out_dir, load_board("qemu_m4"), port="/dev/null", link_port=None)


def test_an_upload_that_fails_says_how_to_repeat_it(
    tools: Tools, out_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAND_IN_CODE", "1")
    with pytest.raises(DeviceError, match=r"upload to /dev/null failed.*make flash BOARD=esp32"):
        flash(out_dir, ESP32, port="/dev/null", link_port=None)
    assert len(tools.calls()) == 1


def test_what_was_not_built_is_not_uploaded(tools: Tools, out_dir: Path) -> None:
    (out_dir / "esp32" / "firmware.bin").unlink()
    with pytest.raises(UsageError, match=r"no image; run `make build BOARD=esp32` first"):
        flash(out_dir, ESP32, port="/dev/null", link_port=None)
    assert tools.calls() == []


def test_another_run_of_the_same_model_is_noticed(
    esp32_firmware: Path, tools: Tools, out_dir: Path, tmp_path: Path
) -> None:
    """As when the board holds other kernels than those that were built."""
    path = ESP32.gen_dir(out_dir) / "manifest.json"
    path.write_text(path.read_text().replace(STUB_RUN_ID, "ffffffffffff"))
    with (
        PtyBoard(esp32_firmware, tmp_path / "ttyUSB0") as board,
        pytest.raises(DeviceError, match=r"run 0123456789ab, .*run ffffffffffff: other settings"),
    ):
        flash(out_dir, ESP32, port=str(board.port), link_port=None)
