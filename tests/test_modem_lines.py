"""DTR and RTS of a port: on many boards they are wired to reset, on others they mean a listener."""

from __future__ import annotations

import fcntl
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from host_tools.boards.board import load_board
from host_tools.link import target as target_module
from host_tools.link.device import Device
from host_tools.link.frames import DELIMITER
from host_tools.link.target import open_port
from host_tools.link.transport import SerialTransport
from tests.native_app import compile_app
from tests.pty_board import PtyBoard

NANO33, ESP32 = load_board("nano33"), load_board("esp32")
DTR, RTS = termios.TIOCM_DTR, termios.TIOCM_RTS


class Lines:
    """The modem lines of a port, which a pseudo terminal lacks: Linux has both on as it opens.

    With the two transistors of an ESP32 board the chip is held in reset while RTS alone is on.
    """

    def __init__(self) -> None:
        self.on = DTR | RTS
        self.states = [self.on]
        self._ioctl = fcntl.ioctl

    def ioctl(self, fd: int, request: int, argument: Any = 0, *more: Any) -> Any:
        if request not in (termios.TIOCMBIS, termios.TIOCMBIC, termios.TIOCMSET):
            return self._ioctl(fd, request, argument, *more)
        lines = int.from_bytes(argument, sys.byteorder)
        if request == termios.TIOCMSET:
            self.on = lines
        elif request == termios.TIOCMBIS:
            self.on |= lines
        else:
            self.on &= ~lines
        self.states.append(self.on & (DTR | RTS))
        return argument

    def resets(self) -> int:
        return sum(state == RTS for state in self.states)


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Lines:
    found = Lines()
    monkeypatch.setattr(fcntl, "ioctl", found.ioctl)
    return found


@pytest.fixture
def port(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> Iterator[PtyBoard]:
    program = compile_app(tmp_path_factory.mktemp("stub"), board_id="esp32")
    with PtyBoard(program, tmp_path / "ttyUSB0") as board:
        time.sleep(0.3)  # its banner is written before a port opens, and so is dropped
        yield board


def test_an_esp32_is_not_reset_and_both_lines_are_off(port: PtyBoard, lines: Lines) -> None:
    line = open_port(str(port.port), ESP32)
    assert lines.resets() == 0 and lines.states[-1] == 0
    line.close()


def test_a_nano_sees_a_listener(port: PtyBoard, lines: Lines) -> None:
    """Its core's USB port takes DTR for one, and drops what it would send without."""
    line = open_port(str(port.port), NANO33)
    assert set(lines.states) == {DTR | RTS}
    line.close()


def test_a_port_of_no_named_board_goes_by_its_usb_identity(
    port: PtyBoard, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ESP32.upload is not None
    monkeypatch.setattr(target_module, "usb_identity", lambda name: ESP32.upload.usb[0])
    open_port(str(port.port), None).close()
    assert lines.resets() == 0 and lines.states[-1] == 0


def test_a_port_without_such_lines_opens() -> None:
    SerialTransport("loop://", dtr_rts=False).close()


class Restarted:
    """The line of a board whose ROM speaks before the firmware answers."""

    def __init__(self, inner: SerialTransport) -> None:
        self.name = inner.name
        self.write, self.close = inner.write, inner.close
        self._inner = inner
        self._text = b"rst:0x1 (POWERON_RESET),boot:0x13\r\n" + DELIMITER

    def read(self, timeout_s: float) -> bytes:
        data, self._text = self._text, b""
        return data or self._inner.read(timeout_s)


@pytest.mark.parametrize("restarted", [False, True])
def test_a_reset_by_opening_is_told(
    port: PtyBoard, caplog: pytest.LogCaptureFixture, restarted: bool
) -> None:
    line = open_port(str(port.port), ESP32)
    with Device(Restarted(line) if restarted else line, running=True) as device:
        assert device.hello().board_id == "esp32"
    assert ("the board was reset as its port was opened" in caplog.text) == restarted


def test_what_info_says_is_no_reset(port: PtyBoard, caplog: pytest.LogCaptureFixture) -> None:
    """Its first line is that of the banner, and `bench` says HELLO behind it."""
    with Device(open_port(str(port.port), ESP32), running=True) as device:
        assert any(line.startswith("tinyproof ") for line in device.command("info"))
        device.hello()
    assert "the board was reset" not in caplog.text
