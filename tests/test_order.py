"""Requests that arrive late, twice or out of order, and lines that keep them back."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from host_tools.link import frames, protocol
from host_tools.link.device import Device
from host_tools.link.frames import Frame, Status
from host_tools.link.protocol import MessageType
from host_tools.link.transport import Transport
from tests.native_app import compile_app, start
from tests.test_device import Raw

INPUT = bytes(range(256)) * 3
WRITE = protocol.write_input_payload(0, 0, INPUT)
STATE_CHANGING = [
    (MessageType.WRITE_INPUT, WRITE),
    (MessageType.INVOKE, b""),
    (MessageType.PROFILE, protocol.pair_payload(0, 2)),
    (MessageType.RUN_TO, protocol.u32_payload(0)),
    (MessageType.RESET, b""),
    (MessageType.SELFTEST, b""),
]


@pytest.fixture(scope="module")
def stub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_app(tmp_path_factory.mktemp("stub"))


class Numbered(Raw):
    """Sends requests with any number."""

    def number(self, kind: int, sequence: int, payload: bytes = b"") -> Frame:
        return self.ask(frames.encode(Frame(type=kind, sequence=sequence, payload=payload)))


@pytest.fixture
def firmware(stub: Path) -> Iterator[Numbered]:
    transport = start(stub)
    yield Numbered(transport)
    transport.close()


@pytest.mark.parametrize("newest", [1, 100, 0x7FFF, 0x8000, 0xFFFF])
def test_a_late_request_changes_nothing(firmware: Numbered, newest: int) -> None:
    """Also over the wrap of the numbers."""
    before = [(newest - by) % 0x10000 for by in (1, 2, 1000, 0x7FFF)]
    assert firmware.number(MessageType.HELLO, (newest - 2) % 0x10000).status == Status.OK
    assert firmware.number(MessageType.WRITE_INPUT, newest, WRITE).status == Status.OK
    for sequence in before:
        for kind, payload in STATE_CHANGING:
            assert firmware.number(kind, sequence, payload).status == Status.STALE
    reply = firmware.number(MessageType.INVOKE, (newest + 1) % 0x10000)
    assert reply.status == Status.OK
    assert struct.unpack("<I", reply.payload[:4]) == (zlib.crc32(INPUT),)


def test_the_same_number_again_is_carried_out(firmware: Numbered) -> None:
    assert firmware.number(MessageType.HELLO, 7).status == Status.OK
    for _ in range(3):
        assert firmware.number(MessageType.WRITE_INPUT, 8, WRITE).status == Status.OK
    assert firmware.number(MessageType.INVOKE, 9).status == Status.OK


def test_a_new_host_begins_with_hello(firmware: Numbered) -> None:
    """Nothing is carried out before; afterwards the numbers may begin anywhere."""
    for kind, payload in STATE_CHANGING:
        assert firmware.number(kind, 1, payload).status == Status.STALE
    for first in (40000, 7, 0):
        assert firmware.number(MessageType.HELLO, first).status == Status.OK
        assert firmware.number(MessageType.RESET, first + 1).status == Status.OK


def test_a_run_tells_all_inputs_since_the_reset(firmware: Numbered) -> None:
    replies = [
        firmware.number(kind, sequence, payload)
        for sequence, (kind, payload) in enumerate(
            [
                (MessageType.HELLO, b""),
                *[(MessageType.WRITE_INPUT, WRITE), (MessageType.INVOKE, b"")] * 2,
                (MessageType.INVOKE, b""),  # nothing was written: refused, and not counted
                (MessageType.WRITE_INPUT, WRITE),
                (MessageType.PROFILE, protocol.pair_payload(0, 2)),
                (MessageType.RESET, b""),
                (MessageType.WRITE_INPUT, WRITE),
                (MessageType.RUN_TO, protocol.u32_payload(0)),
            ]
        )
    ]
    told = [struct.unpack("<I", replies[at].payload[:4])[0] for at in (2, 4, 7, 10)]
    assert replies[5].status == Status.BAD_STATE
    assert told == [zlib.crc32(INPUT * count) for count in (1, 2, 3, 1)]


class Reordering:
    """Holds some requests back until many others have gone, as a bad gateway may."""

    def __init__(self, inner: Transport, seed: int) -> None:
        self.name, self.close = inner.name, inner.close
        self._inner, self._random = inner, random.Random(seed)
        self._held: list[tuple[int, bytes]] = []
        self._sent = 0
        self._rest = b""

    def write(self, data: bytes) -> None:
        *whole, self._rest = (self._rest + data).split(b"\0")
        for frame in filter(None, whole):
            self._sent += 1
            if self._random.random() < 0.05:
                self._held.append((self._sent + self._random.randrange(1, 30), frame))
                continue
            self._inner.write(b"\0" + frame + b"\0")
            for due, late in [h for h in self._held if h[0] <= self._sent]:
                self._held.remove((due, late))
                self._inner.write(b"\0" + late + b"\0")

    def read(self, timeout_s: float) -> bytes:
        return self._inner.read(timeout_s)


@pytest.mark.parametrize("seed", range(4))
def test_a_line_that_reorders_changes_no_result(stub: Path, seed: int) -> None:
    """Two inputs that differ little: a late one would look like the right one."""
    with Device(Reordering(start(stub), seed), timeout_s=0.2) as device:
        inputs = [random.Random(case).randbytes(768) for case in range(60)]
        for case, outputs in device.run_all(([data], []) for data in inputs):
            assert outputs == [bytes(2 * value % 256 for value in inputs[case][:7])]
        assert device.setbacks.retries > 0
