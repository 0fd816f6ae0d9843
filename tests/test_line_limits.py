"""Every wait of the link ends: a port that never stops sending, and one that takes nothing."""

from __future__ import annotations

import os
import pty
import termios
import time
import tty

import pytest

from host_tools.errors import DeviceError
from host_tools.link import line, transport
from host_tools.link.batch import Batch, Lost, Request
from host_tools.link.device import Device
from host_tools.link.frames import Frame, encode
from host_tools.link.line import Line
from host_tools.link.protocol import MessageType
from host_tools.link.transport import SerialTransport

LINES = b"temperature 21.5\r\n" * 1000
OLD_FRAMES = encode(Frame(type=0x82, sequence=0xFF00)) * 100


class Flood:
    """A sender without end, such as a sketch that prints in its loop."""

    name = "flood"

    def __init__(self, data: bytes) -> None:
        self.data = data

    def write(self, data: bytes) -> None:
        """Nobody reads it."""

    def read(self, timeout_s: float) -> bytes:
        """There is always more."""
        return self.data

    def close(self) -> None:
        """Nothing to do."""


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "FLOOD_S", 0.1)
    monkeypatch.setattr(transport, "WRITE_STALL_S", 0.2)


@pytest.mark.parametrize("data", [LINES, b"x" * 5000, b"\0" * 5000, OLD_FRAMES])
def test_a_port_that_never_stops_sending_is_no_firmware(data: bytes) -> None:
    start = time.monotonic()
    with pytest.raises(DeviceError, match=r"no answer to HELLO .* bytes arrived"):
        Device(Flood(data), timeout_s=0.1, start_s=0.3).hello()
    assert time.monotonic() - start < 5


def test_requests_to_such_a_port_end_too() -> None:
    flood = Line(Flood(LINES), 0.1, 0.2)
    start = time.monotonic()
    with pytest.raises(DeviceError, match="no reply to DRIFT in"):
        flood.exchange(Batch([Request(type=MessageType.DRIFT)]))
    with pytest.raises(DeviceError, match="SELFTEST did not end in 0 s"):
        flood.exchange(Batch([Request(type=MessageType.SELFTEST)]))
    with pytest.raises(Lost, match="the answer to 'info' did not end"):
        flood.ask("info")
    assert time.monotonic() - start < 10


def test_what_arrived_in_time_counts_however_late_it_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Slow(Flood):
        def read(self, timeout_s: float) -> bytes:
            time.sleep(0.3)
            return self.data

    monkeypatch.setattr(line.random, "randrange", lambda _: 0)
    reply = encode(Frame(type=MessageType.DRIFT | 0x80, sequence=1))
    found = Line(Slow(LINES + reply), 0.0, 0.0).once(Request(type=MessageType.DRIFT))
    assert found.sequence == 1


def test_a_port_that_takes_nothing_is_an_error() -> None:
    master, slave = pty.openpty()
    tty.setraw(slave)
    try:
        port = SerialTransport(os.ttyname(slave))
        with pytest.raises(DeviceError, match=r"took nothing in 0 s; .* Reset the board"):
            port.write(b"x" * 1_000_000)
        port.close()
    finally:
        os.close(slave)
        os.close(master)


def test_a_port_that_another_command_has_is_not_touched() -> None:
    master, slave = pty.openpty()
    try:
        first = SerialTransport(os.ttyname(slave))
        with pytest.raises(DeviceError, match="Another program has the port open"):
            transport.touch_port(os.ttyname(slave), 1200)
        assert termios.tcgetattr(slave)[5] == termios.B115200
        first.close()
        transport.touch_port(os.ttyname(slave), 1200)
        assert termios.tcgetattr(slave)[5] == termios.B1200
    finally:
        os.close(slave)
        os.close(master)


@pytest.mark.parametrize("url", ["hwgrep://(", "alt:///dev/null?class=os", "foo://x"])
def test_an_url_that_means_nothing_is_an_error(url: str) -> None:
    with pytest.raises(DeviceError, match="cannot open"):
        SerialTransport(url)
