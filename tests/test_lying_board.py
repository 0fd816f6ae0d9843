"""A board whose frames are good and whose answers are nonsense ends with an error, and soon."""

from __future__ import annotations

import re
import shutil
import struct
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from host_tools.emulators.native import Native
from host_tools.errors import DeviceError
from host_tools.link import protocol
from host_tools.link.frames import REPLY, Frame, FrameDecoder, Status, TextLine, encode
from host_tools.link.protocol import MessageType, parse_hello, parse_selftest
from host_tools.link.transport import Transport
from host_tools.live.session import Session
from host_tools.live.state import State
from host_tools.parity.outputs import run_parity
from tests.live_plan import stub_plan
from tests.test_live import running, until, with_sensor
from tests.test_parity import CASES, make_build
from tests.test_parity_faults import NATIVE, native, with_firmware

MOST = 2**32 - 1
NUMBERS = ("protocol_version", "max_payload", "inputs", "outputs", "steps", "arena", "arena_used",
           "stack", "stack_used", "num", "den", "golden", "receive_bytes")  # fmt: skip
Lie = Callable[[Frame], Frame]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return with_firmware(make_build(tmp_path_factory.mktemp("project")))


class Lying:
    """The frames of `inner`, with what `lie` makes of them."""

    def __init__(self, inner: Transport, lie: Lie) -> None:
        self.name, self.write, self.close = inner.name, inner.write, inner.close
        self._inner, self._lie, self._decoder = inner, lie, FrameDecoder()

    def read(self, timeout_s: float) -> bytes:
        out = b""
        for event in self._decoder.feed(self._inner.read(timeout_s)):
            if isinstance(event, Frame):
                out += encode(self._lie(event))
            elif isinstance(event, TextLine):
                out += event.text.encode() + b"\n"
        return out


def hello(sizes: list[int] | None = None, **changes: int) -> Lie:
    """HELLO with other numbers, or other sizes of inputs and outputs."""

    def lie(frame: Frame) -> Frame:
        if frame.type != MessageType.HELLO | REPLY:
            return frame
        size = protocol._HELLO.size
        values = list(protocol._HELLO.unpack_from(frame.payload))
        for name, value in changes.items():
            values[NUMBERS.index(name)] = value
        own = protocol.parse_u32s(frame.payload[size:])
        packed = [struct.pack("<I", number) for number in (own if sizes is None else sizes)]
        return replace(frame, payload=protocol._HELLO.pack(*values) + b"".join(packed))

    return lie


def on(kind: MessageType, payload: bytes = b"", status: Status = Status.OK) -> Lie:
    """Every reply of a kind."""
    return lambda frame: (
        replace(frame, payload=payload, status=status) if frame.type == kind | REPLY else frame
    )


@pytest.mark.parametrize(
    ("lie", "told"),
    [
        (hello(inputs=MOST), r"announces 4294967295 \+ 1 tensors"),
        (hello([7, MOST]), "bytes of inputs and outputs .* expected at most"),
        (hello(steps=MOST), "4,294,967,295 steps"),
        (hello([7, 0]), r"outputs have \(0,\) bytes, the manifest \(21,\)"),
        (hello([7, 20, 1], outputs=2), r"outputs have \(20, 1\) bytes"),
        (hello([7], outputs=0), r"outputs have \(\) bytes"),
        (hello([8, 21]), r"inputs have \(8,\) bytes"),
        (on(MessageType.SELFTEST, bytes(24)), "self-test ran 0 golden vectors, .* has 2"),
        (on(MessageType.INVOKE), "gave up on a run after 20 attempts"),
        (on(MessageType.INVOKE, bytes(1024)), "gave up on a run after 20 attempts"),
        (on(MessageType.INVOKE, b"", Status.STALE), r"20 attempts: .* before\. Check"),
        (on(MessageType.SELFTEST, b"", Status.STALE), "20 attempts"),
        (on(MessageType.READ_OUTPUT), "replied 0 bytes of data; expected 21"),
        (on(MessageType.READ_OUTPUT, bytes(1024)), "replied 1024 bytes of data"),
    ],
)
def test_parity_ends_with_what_is_wrong(
    lie: Lie, told: str, built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = Native.start
    monkeypatch.setattr(Native, "start", lambda self, elf: Lying(start(self, elf), lie))
    out_dir = Path(shutil.copytree(built, tmp_path / "build"))
    begun = time.monotonic()
    with pytest.raises(DeviceError, match=told):
        run_parity(out_dir, NATIVE, native(), None)
    assert time.monotonic() - begun < 30
    assert not (out_dir / "native" / "parity.json").exists()


@pytest.mark.parametrize("receive_bytes", [0, 1, MOST])
def test_any_buffer_that_a_board_claims_to_have_is_lived_with(
    receive_bytes: int, built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lie, start = hello(receive_bytes=receive_bytes), Native.start
    monkeypatch.setattr(Native, "start", lambda self, elf: Lying(start(self, elf), lie))
    out_dir = Path(shutil.copytree(built, tmp_path / "build"))
    assert run_parity(out_dir, NATIVE, native(), None).equal == CASES


def cut(kind: MessageType, size: int) -> Lie:
    """Replies of a kind that are shorter."""
    return lambda frame: (
        replace(frame, payload=frame.payload[:size]) if frame.type == kind | REPLY else frame
    )


@pytest.mark.parametrize(
    ("lie", "told"),
    [
        (hello(inputs=MOST), "announces 4294967295"),
        (hello(num=0), "counter scale 0"),
        (cut(MessageType.RECORD, 3), "describe 0 channels"),
        (on(MessageType.RECORD, b"\xff" * 8), "bytes do not describe 4294967295 channels"),
        (cut(MessageType.SAMPLES, 5), "cannot be read|SAMPLES reply"),
        (on(MessageType.SAMPLES, b"\xff" * 1024), "cannot be read|SAMPLES reply"),
    ],
)
def test_the_live_page_says_what_is_wrong(lie: Lie, told: str, tmp_path: Path) -> None:
    plan = stub_plan(tmp_path, lambda elf: Lying(with_sensor(elf), lie))
    with running(Session(plan)) as session:
        until(lambda: session.snapshot().state is State.AWAY, "that it is away")
        message = session.snapshot().message
    assert re.search(told, message) and "an error of these tools" not in message, message


def test_counts_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="3 failures in 2 cases"):
        parse_selftest(struct.pack("<6I", 2, 3, 0, 0, 0, 0))
    with pytest.raises(ValueError, match="at least"):
        parse_hello(b"")
