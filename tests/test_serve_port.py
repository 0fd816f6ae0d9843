"""A board that is lent: no client keeps it, and none takes it from those that follow."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

import pytest

from host_tools.errors import DeviceError
from host_tools.link import serve as module
from host_tools.link.serve import OTHER, listen, serve
from host_tools.link.transport import Gone, SerialTransport

HELD = b"\xff\xfd\x2c"  # IAC DO COM-PORT: as every client of RFC 2217 begins


class Echo:
    """A board that says what it hears; `fail` is raised by its next write."""

    name = "echo"

    def __init__(self, flood: bool = False) -> None:
        self._flood, self._said = flood, bytearray()
        self.heard = bytearray()
        self.fail: DeviceError | None = None

    def write(self, data: bytes) -> None:
        if (error := self.fail) is not None:
            self.fail = None
            raise error
        self.heard += data
        self._said += data

    def read(self, timeout_s: float) -> bytes:
        if not self._said and self._flood:
            return b"x"
        if not self._said:
            time.sleep(min(timeout_s, 0.01))
        data = bytes(self._said)
        del self._said[: len(data)]
        return data

    def close(self) -> None:
        pass


@contextmanager
def lent(board: Echo) -> Iterator[tuple[str, int]]:
    """The address of a server of `board`."""
    with listen("127.0.0.1:0") as server:

        def run() -> None:
            with suppress(OSError, DeviceError):
                serve(board, server)

        threading.Thread(target=run, daemon=True).start()
        yield server.getsockname()


def answered(address: tuple[str, int], text: bytes = b"hello") -> bool:
    """Whether a client that comes now has the board."""
    with closing(SerialTransport(f"rfc2217://{address[0]}:{address[1]}")) as line:
        line.write(text)
        got, end = b"", time.monotonic() + 10
        while text not in got and time.monotonic() < end:
            got += line.read(0.1)
        return text in got


def silent(line: socket.socket) -> None:
    """A client that says nothing at all."""


def greets(line: socket.socket) -> None:
    line.sendall(HELD)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("begin", [silent, greets])
def test_a_client_that_holds_the_board_gives_way(
    begin: Callable[[socket.socket], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in (("START_S", 0.2), ("IDLE_S", 0.2), ("STALL_S", 0.1)):
        monkeypatch.setattr(module, name, seconds)
    with lent(Echo()) as address, socket.create_connection(address) as held:
        begin(held)
        assert answered(address)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_one_that_holds_it_alone_may_be_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("IDLE_S", "STALL_S"):
        monkeypatch.setattr(module, name, 0.05)
    with lent(Echo()) as address, socket.create_connection(address) as line:
        line.sendall(HELD)
        time.sleep(0.3)  # more than IDLE_S: nobody waits
        line.sendall(b"still here")
        line.settimeout(10)
        got = b""
        while b"still here" not in got:
            data = line.recv(4096)
            assert data, got
            got += data


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    "sent", [b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nreset-counts\n", b"\x00", b"\x16\x03\x01"]
)
def test_what_is_no_rfc_2217_reaches_no_board(sent: bytes) -> None:
    """As a page in a browser of this computer can send it."""
    board = Echo()
    with lent(board) as address:
        with socket.create_connection(address) as line:
            line.settimeout(10)
            line.sendall(sent)
            assert line.recv(4096) == OTHER
        assert not board.heard
        assert answered(address)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_board_that_takes_nothing_costs_one_client_its_turn(
    capsys: pytest.CaptureFixture[str],
) -> None:
    board = Echo()
    with lent(board) as address:
        board.fail = DeviceError("echo: took nothing in 30 s")
        with socket.create_connection(address) as line:
            line.settimeout(10)
            line.sendall(HELD + b"hello")
            while line.recv(4096):
                pass  # until it is sent away
        assert answered(address)
        assert "client sent away: echo: took nothing" in capsys.readouterr().err


def test_the_end_of_the_port_is_the_end_of_the_server() -> None:
    board = Echo()
    board.fail = Gone("echo: the port has gone")
    with listen("127.0.0.1:0") as server, socket.create_connection(server.getsockname()) as line:
        line.sendall(HELD + b"hello")
        with pytest.raises(Gone):
            serve(board, server)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_board_that_never_stops_talking_is_lent_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FLOOD_S", 0.1)
    with lent(Echo(flood=True)) as address:
        assert answered(address)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_after_many_that_came_and_went_it_is_free() -> None:
    with lent(Echo()) as address:
        for number in range(40):
            with socket.create_connection(address) as line:
                if number % 2:
                    line.sendall(HELD)
        assert answered(address)
