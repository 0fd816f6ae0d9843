"""Flashing with stand-ins for what is not there: the tools, the ports, and PlatformIO."""

from __future__ import annotations

import os
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from host_tools import flash as flash_module
from host_tools.errors import DeviceError, HostToolsError, UsageError
from host_tools.flash import FlashTarget, enter_boot_loader, flash, main
from tests.native_app import ROOT, compile_app
from tests.pty_board import PtyBoard

STUB_SHA256 = bytes(range(32)).hex()
STAND_IN = """#!{python}
import os, pathlib, sys
pathlib.Path({log!r}).open("a").write(" ".join(sys.argv[1:]) + "\\n")
sys.exit(int(os.environ.get("STAND_IN_CODE", "0")))
"""


@pytest.fixture(scope="module")
def stub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_app(tmp_path_factory.mktemp("stub"))


class Tools:
    """Stand-ins for bossac, esptool and platformio that log how they were called."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "calls.txt"
        self.folder = folder
        text = STAND_IN.format(python=sys.executable, log=str(self._log))
        for name in ("bossac", "esptool.py", "platformio.py"):
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
            "host_tools.flash",
            "--tool",
            tool,
            "--port",
            port,
            "--image",
            image,
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
def test_bossac_gets_the_port_that_came_back(
    stub: Path, tools: Tools, image: Path, tmp_path: Path, name: str
) -> None:
    back_as = tmp_path / name
    with PtyBoard(stub, tmp_path / "ttyACM0") as board, boot_loader(board, back_as):
        done = run_tool("bossac", str(board.port), image)
    assert done.returncode == 0, done.stderr
    assert tools.calls() == [f"--port {back_as} --write --erase -U --reset {image}"]


def test_a_new_port_wins_over_one_that_was_there(
    stub: Path, tools: Tools, image: Path, tmp_path: Path
) -> None:
    (tmp_path / "ttyACM5").symlink_to("/dev/null")
    old, new = tmp_path / "ttyACM0", tmp_path / "ttyACM7"
    with PtyBoard(stub, old) as board, boot_loader(board, new):
        done = run_tool("bossac", str(old), image)
    assert done.returncode == 0, done.stderr
    assert str(new) in tools.calls()[0]


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


@pytest.mark.parametrize(
    ("tool", "advice"), [("bossac", "reset button twice"), ("esptool", "BOOT button")]
)
def test_a_tool_that_fails_ends_with_code_3(
    stub: Path,
    tools: Tools,
    image: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tool: str,
    advice: str,
) -> None:
    monkeypatch.setenv("STAND_IN_CODE", "5")
    with PtyBoard(stub, tmp_path / "ttyACM0") as board, boot_loader(board, tmp_path / "ttyACM0"):
        done = run_tool(tool, str(board.port), image)
    assert done.returncode == 3
    assert "ended with code 5" in done.stderr
    assert advice in done.stderr


@pytest.mark.parametrize("tool", ["bossac", "esptool"])
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


def test_a_missing_image_and_a_missing_tool_end_with_code_2(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    port = tmp_path / "port"
    port.touch()
    assert main(["--tool", "bossac", "--port", str(port), "--image", str(tmp_path / "no")]) == 2
    assert "build it first" in capsys.readouterr().err
    monkeypatch.setenv("PATH", "/nowhere")
    assert main(["--tool", "bossac", "--port", str(port), "--image", str(image)]) == 2
    assert "apt-get install bossa-cli" in capsys.readouterr().err


def target(port: str, **changes: str) -> FlashTarget:
    values = {
        "board": "esp32",
        "env": "esp32",
        "tool": "esptool",
        "port": port,
        "link_port": "",
        "link_wiring": "",
        "model_sha256": STUB_SHA256,
    }
    return FlashTarget(baud=115200, **{**values, **changes})


def test_flash_builds_uploads_and_proves(stub: Path, tools: Tools, tmp_path: Path) -> None:
    with PtyBoard(stub, tmp_path / "ttyUSB0") as board:
        result = flash(target(str(board.port)))
    build = f"run --project-dir {ROOT} --environment esp32"
    assert tools.calls() == [build, f"{build} --target upload --upload-port {board.port}"]
    assert result.selftest is not None and result.selftest.failures == 0
    assert result.text.startswith("uploaded to esp32; it runs model 'stub' 000102030405, self-test")


WIRING = "Connect a 3.3 V USB-serial adapter: its RX to D1, its TX to D0, ground to ground."


def test_flash_without_a_link_says_that_nothing_was_proved(
    stub: Path, tools: Tools, tmp_path: Path
) -> None:
    with PtyBoard(stub, tmp_path / "ttyACM0") as board:
        result = flash(target(str(board.port), board="nano33", link_wiring=WIRING))
        assert result.hello is None and result.selftest is None
        assert "self-test not run" in result.text
        assert WIRING in result.text
        assert f"make flash BOARD=nano33 PORT={board.port} LINK_PORT=" in result.text


def test_flash_with_a_link_port_of_its_own(stub: Path, tools: Tools, tmp_path: Path) -> None:
    usb = tmp_path / "ttyACM0"
    usb.symlink_to("/dev/null")
    with PtyBoard(stub, tmp_path / "ttyUSB0") as board:
        result = flash(target(str(usb), link_port=str(board.port), link_wiring=WIRING))
    assert result.selftest is not None and result.selftest.cases == 2


def test_flash_notices_another_model(stub: Path, tools: Tools, tmp_path: Path) -> None:
    with (
        PtyBoard(stub, tmp_path / "ttyUSB0") as board,
        pytest.raises(HostToolsError, match=r"runs another model: expected sha256 ff.*00") as e,
    ):
        flash(target(str(board.port), model_sha256="ff" * 32))
    assert e.value.exit_code == 1


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({}, UsageError),
        ({"port": "/dev/ttyNONE"}, DeviceError),
        ({"port": "/dev/null", "link_port": "/dev/ttyNONE"}, DeviceError),
    ],
)
def test_flash_without_a_port_builds_nothing(
    tools: Tools, changes: dict[str, str], error: type[HostToolsError]
) -> None:
    with pytest.raises(error, match=r"type, for example: make flash BOARD=esp32 PORT=/dev/"):
        flash(target(**{"port": "", **changes}))
    assert tools.calls() == []


def test_a_build_that_fails_is_not_the_devices_fault(
    tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAND_IN_CODE", "1")
    with pytest.raises(HostToolsError, match="ended with code 1") as caught:
        flash(target("/dev/null"))
    assert caught.value.exit_code == 1
    assert len(tools.calls()) == 1


def test_an_upload_that_fails_is(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    run: Callable[..., None] = flash_module._run

    def fail_upload(command: list[str], limit_s: float, failure: type[HostToolsError]) -> None:
        monkeypatch.setenv("STAND_IN_CODE", "1" if "upload" in command else "0")
        run(command, limit_s, failure)

    monkeypatch.setattr(flash_module, "_run", fail_upload)
    with pytest.raises(
        DeviceError, match=r"the upload to /dev/null failed.*make flash BOARD=esp32"
    ):
        flash(target("/dev/null"))
