"""The upload to an ESP32 with the real esptool, over a socket to a double of the ROM's loader.

The double is PyPI's esp32-mock-bootloader. A relay stands between: it damages what passes, and once
the upload is over it is the board that runs the firmware.
"""

from __future__ import annotations

import hashlib
import re
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from esp32_mock_bootloader import mock_bootloader

from host_tools.boards import flash as flash_module
from host_tools.boards import rom_loader
from host_tools.boards.board import load_board
from host_tools.boards.flash import flash, main
from host_tools.boards.sam_ba import RESET
from host_tools.errors import DeviceError
from tests.native_app import compile_app
from tests.pty_board import PtyBoard
from tests.test_flash import write_manifest

ESP32 = load_board("esp32")
CHIP = ["--chip", "esp32", "--image-at", "0x1000"]
WRITE = b"\xc0\x00\x11"  # the beginning of a frame that writes packed data to the flash
NANO_ADVICE = re.compile("Nano|reset button twice|SAM-BA|bossac|two quick|1200", re.IGNORECASE)


class Relay:
    """A serial line as a TCP port: to the loader first, then to the firmware.

    `harm` changes what the host sends; None cuts the line. Without a loader it swallows all.
    """

    def __init__(
        self,
        loader: int | None,
        firmware: Path | None = None,
        harm: Callable[[bytes], bytes | None] = bytes,
    ) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self._loader = loader
        self._firmware = firmware
        self._harm = harm
        self._programs: list[subprocess.Popen[bytes]] = []
        self.url = f"socket://127.0.0.1:{self._server.getsockname()[1]}"
        self.passed = b""
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._server.close()
        for program in self._programs:
            program.kill()
            program.wait()

    def _serve(self) -> None:
        with suppress(OSError):
            self._load(self._server.accept()[0])
            while self._firmware is not None:
                line = self._server.accept()[0]
                self._programs.append(
                    subprocess.Popen([self._firmware], stdin=line, stdout=line, close_fds=True)
                )
                line.close()

    def _load(self, host: socket.socket) -> None:
        with host:
            if self._loader is None:
                while host.recv(4096):
                    pass
                return
            with socket.create_connection(("127.0.0.1", self._loader)) as chip:
                threading.Thread(target=self._answer, args=(chip, host), daemon=True).start()
                while data := host.recv(65536):
                    self.passed += data
                    harmed = self._harm(data)
                    if harmed is None:
                        host.shutdown(socket.SHUT_RDWR)
                        return
                    chip.sendall(harmed)

    @staticmethod
    def _answer(chip: socket.socket, host: socket.socket) -> None:
        with suppress(OSError):
            while data := chip.recv(65536):
                host.sendall(data)


@contextmanager
def loader(
    chip: str = "esp32",
    firmware: Path | None = None,
    harm: Callable[[bytes], bytes | None] = bytes,
) -> Iterator[Relay]:
    with mock_bootloader(chip=chip) as mock:
        relay = Relay(mock.port(), firmware, harm)
        try:
            yield relay
        finally:
            relay.close()


@pytest.fixture
def out_dir(tmp_path: Path) -> Path:
    """A folder of results, with what flash reads of it; the image is one that esptool knows."""
    out_dir = write_manifest(tmp_path / "build", bytes(range(32)).hex())
    image = out_dir / "esp32" / "firmware.bin"
    image.write_bytes(bytes([0xE9, 1, 2, 0x20]) + hashlib.sha256(b"image").digest() * 400)
    return out_dir


@pytest.fixture(scope="module")
def firmware(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_app(tmp_path_factory.mktemp("esp32"), board_id="esp32")


def test_flash_uploads_with_esptool_and_proves(
    firmware: Path, out_dir: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with loader(firmware=firmware) as line:
        assert flash(out_dir, ESP32, port=line.url, link_port=None) == 0
        assert WRITE in line.passed
    said = capfd.readouterr()
    assert said.out.startswith(
        "uploaded to esp32; it runs model stub 0001020304050607 (kernels ref, framework bare, "
        "engine aot), self-test PASS: 2 of 2 golden vectors equal\n"
    )
    assert "at 0x00001000" in said.err and "Hash of data verified" in said.err


def test_platformio_s_upload_target_uses_it_too(out_dir: Path) -> None:
    image = out_dir / "esp32" / "firmware.bin"
    with loader() as line:
        assert main(["--tool", "esptool", *CHIP, "--port", line.url, "--image", str(image)]) == 0


def failure(out_dir: Path, url: str) -> str:
    """Flash to `url`, and return the message that it ends with."""
    with pytest.raises(DeviceError) as caught:
        flash(out_dir, ESP32, port=url, link_port=None)
    said = str(caught.value)
    assert f"make flash BOARD=esp32 FRAMEWORK=bare PORT={url}" in said
    assert not NANO_ADVICE.search(said)
    return said


@pytest.mark.slow
def test_a_silent_port_asks_for_the_boot_button(out_dir: Path) -> None:
    relay = Relay(None)
    try:
        said = failure(out_dir, relay.url)
    finally:
        relay.close()
    assert "Failed to connect to ESP32: No serial data received" in said
    assert "BOOT button" in said


def test_another_chip_is_told_and_not_blamed_on_a_button(out_dir: Path) -> None:
    with loader("esp32c3") as line:
        said = failure(out_dir, line.url)
        assert WRITE not in line.passed
    assert "This chip is ESP32-C3, not ESP32" in said
    assert rom_loader.OTHER_CHIP in said and "BOOT" not in said


def test_a_write_that_the_loader_refuses_is_told(out_dir: Path) -> None:
    """Its checksum is wrong each time, as on a line that loses bits."""

    def harm(data: bytes) -> bytes:
        at = data.find(WRITE)
        return data if at < 0 else data[: at + 40] + bytes([data[at + 40] ^ 1]) + data[at + 41 :]

    with loader(harm=harm) as line:
        said = failure(out_dir, line.url)
        assert WRITE in line.passed
    assert "write" in said.splitlines()[0]
    assert rom_loader.HALF_WRITTEN in said and "BOOT" not in said


@pytest.mark.slow
def test_a_lost_connection_is_told(out_dir: Path) -> None:
    with loader(harm=lambda data: None if WRITE in data else data) as line:
        said = failure(out_dir, line.url)
    assert rom_loader.HALF_WRITTEN in said and "BOOT" not in said


def test_a_loader_that_hangs_is_stopped(out_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rom_loader, "TOOL_S", 1.0)
    relay = Relay(None)
    try:
        assert "did not end in 1 s and was stopped" in failure(out_dir, relay.url)
    finally:
        relay.close()


def test_a_port_that_nothing_listens_at_is_told(out_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"socket://127.0.0.1:{server.getsockname()[1]}"
    said = failure(out_dir, url)
    assert rom_loader.NOT_OPENED in said and "BOOT" not in said


def test_a_port_that_never_comes_back_is_told_without_a_nano_s_button(
    firmware: Path, out_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the cable is drawn in the moment of the reset."""
    monkeypatch.setattr(flash_module, "RETURN_S", 0.2)
    with PtyBoard(firmware, tmp_path / "ttyUSB0") as board:
        url = str(board.port)
        upload = {"esptool": lambda *_: board.vanish()}
        monkeypatch.setattr(flash_module, "UPLOADERS", upload)
        with pytest.raises(DeviceError, match="ttyUSB0 vanished .*plug it in again") as caught:
            flash(out_dir, ESP32, port=url, link_port=None)
    assert not NANO_ADVICE.search(str(caught.value))


def test_a_nano_is_not_told_of_an_esp32_s_button() -> None:
    nano = (flash_module.PORT_HINTS["sam-ba"], flash_module.RETURN_HINTS["sam-ba"], RESET)
    assert not any("BOOT" in hint or "esptool" in hint for hint in nano)
    esp32 = (flash_module.PORT_HINTS["esptool"], *(advice for _, advice in rom_loader.ADVICE))
    assert not any(NANO_ADVICE.search(hint) for hint in esp32)
