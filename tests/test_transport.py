"""Serial ports and the faulty line."""

from __future__ import annotations

import errno
import itertools
import os
import pty
import tty
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tools.errors import DeviceError, UsageError
from host_tools.link import transport
from host_tools.link.device import Device
from host_tools.link.transport import SerialTransport, require_port
from tests.faulty import Fault, FaultKind, FaultyTransport
from tests.native_app import compile_app
from tests.pty_board import PtyBoard


@pytest.fixture(scope="module")
def stub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_app(tmp_path_factory.mktemp("stub"))


def test_a_board_on_a_serial_port(stub: Path, tmp_path: Path) -> None:
    with (
        PtyBoard(stub, tmp_path / "ttyUSB0") as board,
        Device(SerialTransport(str(board.port))) as device,
    ):
        assert device.hello().board_id == "native"
        for value in range(10):
            assert device.run([bytes([value]) * 768]) == [bytes([2 * value]) * 7]
        assert device.command("selftest") == ["self-test PASS: 2 of 2 golden vectors equal"]


def test_pyserial_urls_work() -> None:
    line = SerialTransport("loop://")
    line.write(b"\x00\x01\xff")
    received = b""
    while len(received) < 3:
        received += line.read(1.0)
    assert received == b"\x00\x01\xff"
    assert line.read(0.01) == b""
    line.close()
    line.close()


def test_a_port_that_goes_is_an_error() -> None:
    master, slave = pty.openpty()
    tty.setraw(slave)
    line = SerialTransport(os.ttyname(slave))
    os.close(slave)
    os.close(master)
    with pytest.raises(DeviceError, match=r"/dev/pts/\d+: the port has gone .*plug the board in"):
        for _ in range(10):
            line.write(b"x")
            line.read(0.05)
    line.close()
    with pytest.raises(DeviceError, match="the port has gone"):
        line.read(0.0)


def test_no_port_and_no_such_port_say_what_to_type() -> None:
    with pytest.raises(UsageError, match=r"no serial port was given[^$]*make flash PORT=/dev/"):
        require_port("", "make flash PORT={port}")
    with pytest.raises(DeviceError, match=r"/dev/ttyNONE does not exist[^$]*make flash PORT=/dev/"):
        require_port("/dev/ttyNONE", "make flash PORT={port}")
    with pytest.raises(DeviceError, match=r"/dev/ttyNONE does not exist"):
        SerialTransport("/dev/ttyNONE")


def test_a_port_that_is_none_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no terminal")
    with pytest.raises(DeviceError, match=r"cannot open .*file: .*no serial port"):
        SerialTransport(str(tmp_path / "file"))


@pytest.mark.parametrize(
    ("code", "advice"),
    [(errno.EACCES, "dialout"), (errno.EBUSY, "Another program"), (errno.EIO, "Unplug")],
)
def test_advice_for_a_port_that_does_not_open(code: int, advice: str) -> None:
    assert advice in transport._open_hint(OSError(code, os.strerror(code)))


def test_a_port_in_use_is_refused(stub: Path, tmp_path: Path) -> None:
    with PtyBoard(stub, tmp_path / "ttyUSB0") as board:
        first = SerialTransport(str(board.port))
        with pytest.raises(DeviceError, match="close its serial monitor"):
            SerialTransport(str(board.port))
        first.close()


class Echo:
    """A line that returns what was written."""

    name = "echo"

    def __init__(self) -> None:
        self.waiting = b""

    def write(self, data: bytes) -> None:
        self.waiting += data

    def read(self, timeout_s: float) -> bytes:
        data, self.waiting = self.waiting, b""
        return data

    def close(self) -> None:
        pass


TEXT = bytes(range(20))


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (Fault(kind=FaultKind.DROP, at=3, count=2), TEXT[:3] + TEXT[5:]),
        (Fault(kind=FaultKind.FLIP, at=3, mask=0x80), TEXT[:3] + b"\x83" + TEXT[4:]),
        (Fault(kind=FaultKind.DUPLICATE, at=0, count=2), b"\x00\x00\x01\x01" + TEXT[2:]),
        (Fault(kind=FaultKind.DROP, at=50), TEXT),
    ],
)
@given(cuts=st.lists(st.integers(0, 20), max_size=5))
def test_faults_hit_the_same_bytes_however_the_stream_is_cut(
    fault: Fault, expected: bytes, cuts: list[int]
) -> None:
    edges = [0, *sorted(cuts), len(TEXT)]
    line = FaultyTransport(Echo(), on_write=[fault])
    for start, end in itertools.pairwise(edges):
        line.write(TEXT[start:end])
    assert line.read(0.0) == expected


def test_a_delay_shows_as_reads_that_time_out() -> None:
    line = FaultyTransport(Echo(), on_read=[Fault(kind=FaultKind.DELAY, at=3, reads=2)])
    line.write(TEXT)
    assert [line.read(0.0) for _ in range(5)] == [TEXT[:3], b"", b"", TEXT[3:], b""]
