"""Every wait of the link ends: a port that never stops sending, and one that takes nothing."""

from __future__ import annotations

import contextlib
import os
import pty
import socket
import termios
import threading
import time
import tty
import types
from collections.abc import Iterator

import pytest
import serial
from serial import rfc2217

from host_tools.errors import DeviceError
from host_tools.link import line, transport
from host_tools.link.batch import Batch, Lost, Request
from host_tools.link.device import Device
from host_tools.link.frames import Frame, encode
from host_tools.link.line import Line
from host_tools.link.protocol import MessageType
from host_tools.link.transport import Gone, PipeTransport, SerialTransport

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


@pytest.mark.parametrize(("most", "told"), [(1 << 16, "sends without end"), (1 << 40, "in 0 s")])
def test_a_program_that_sends_without_end_and_takes_nothing_is_an_error(
    most: int, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "PENDING_BYTES", most)
    theirs, ours = socket.socketpair()
    said, taken = os.pipe()

    def flood() -> None:
        with contextlib.suppress(OSError):
            while True:
                theirs.sendall(LINES)

    thread = threading.Thread(target=flood)
    thread.start()
    port = PipeTransport("flood", ours.detach(), taken)
    try:
        with pytest.raises(DeviceError, match=told):
            port.write(b"x" * 1_000_000)
    finally:
        port.close()
        os.close(said)
        thread.join()
        theirs.close()


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


class Server:
    """Takes one connection on a port of this machine."""

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen(1)
        self.port = self._socket.getsockname()[1]
        self.connection: socket.socket | None = None

    def accept(self) -> socket.socket:
        self.connection, _ = self._socket.accept()
        return self.connection

    def close(self) -> None:
        self._socket.close()
        if self.connection is not None:
            self.connection.close()


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server()
    yield found
    found.close()


def test_a_socket_that_takes_nothing_or_goes_is_an_error(server: Server) -> None:
    port = SerialTransport(f"socket://127.0.0.1:{server.port}")
    connection = server.accept()
    with pytest.raises(DeviceError, match=r"took nothing in 0 s; .* Reset the board"):
        for _ in range(100):
            port.write(b"x" * 1_000_000)
    connection.close()
    with pytest.raises(Gone, match="the port has gone"):
        for _ in range(10):
            port.write(b"x")
            port.read(0.1)
    port.close()


def test_a_port_of_another_computer_by_rfc_2217(server: Server) -> None:
    """pyserial serves it, too: bytes come back from its loop."""

    def serve() -> None:
        with serial.serial_for_url("loop://", timeout=0.05) as loop:
            connection = server.accept()
            manager = rfc2217.PortManager(loop, types.SimpleNamespace(write=connection.sendall))
            connection.settimeout(0.05)
            while not ended.is_set():
                with contextlib.suppress(TimeoutError):
                    loop.write(b"".join(manager.filter(connection.recv(1024))))
                if waiting := loop.in_waiting:
                    connection.sendall(b"".join(manager.escape(loop.read(waiting))))

    ended = threading.Event()
    thread = threading.Thread(target=serve)
    thread.start()
    try:
        port = SerialTransport(f"rfc2217://127.0.0.1:{server.port}")
        port.write(bytes(range(256)))
        received = b""
        deadline = time.monotonic() + 10
        while len(received) < 256 and time.monotonic() < deadline:
            received += port.read(0.5)
        assert received == bytes(range(256))
        port.close()
    finally:
        ended.set()
        thread.join()


def test_text_without_end_is_kept_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line, "MAX_LOG", 100)
    monkeypatch.setattr(line, "MAX_ANSWER", 500)
    talker = Line(Flood(LINES), timeout_s=1.0, run_timeout_s=600.0)
    with pytest.raises(Lost, match="did not end in 500 lines"):
        talker.ask("info")
    assert 100 <= len(talker.log) < 200
