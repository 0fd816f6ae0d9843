"""Every message of PROTOCOL.md: no flipped bit and no cut makes another of it, on either side."""

from __future__ import annotations

from pathlib import Path

import pytest

from host_tools.link import frames, protocol
from host_tools.link.device import Device
from host_tools.link.frames import Frame, FrameDecoder
from host_tools.link.protocol import MessageType
from host_tools.link.transport import Transport
from tests.faulty import Fault, FaultKind, FaultyTransport, NoisyTransport
from tests.native_app import compile_app, start
from tests.test_link_c import CLink
from tests.test_link_c import link as link  # a fixture
from tests.test_protocol import document_examples

EXAMPLES = document_examples()
AFTER = Frame(type=MessageType.HELLO, sequence=77)


def found(data: bytes) -> list[Frame]:
    return [event for event in FrameDecoder().feed(data) if isinstance(event, Frame)]


def found_in_c(link: CLink, data: bytes) -> list[Frame]:
    return [event for event in link.receive(data) if isinstance(event, Frame)]


@pytest.mark.parametrize(("title", "wire"), EXAMPLES, ids=[title[:40] for title, _ in EXAMPLES])
def test_a_flipped_bit_is_never_accepted(link: CLink, title: str, wire: bytes) -> None:
    """Each bit between the delimiters; the frame behind is understood."""
    after = frames.encode(AFTER)
    for bit in range(8, 8 * (len(wire) - 1)):
        damaged = bytearray(wire)
        damaged[bit // 8] ^= 1 << bit % 8
        assert found(bytes(damaged) + after) == [AFTER], f"{title}: bit {bit}"
        assert found_in_c(link, bytes(damaged) + after) == [AFTER], f"{title}: bit {bit}"


@pytest.mark.parametrize(("title", "wire"), EXAMPLES, ids=[title[:40] for title, _ in EXAMPLES])
def test_a_cut_frame_is_never_accepted(link: CLink, title: str, wire: bytes) -> None:
    """Without its end, and without its beginning; only a whole one with the next's 00 is whole."""
    after = frames.encode(AFTER)
    whole = found(wire)
    for cut in range(len(wire)):
        expected = [*whole, AFTER] if cut == len(wire) - 1 else [AFTER]
        assert found(wire[:cut] + after) == expected, f"{title}: {cut} bytes"
        assert found_in_c(link, wire[:cut] + after) == expected, f"{title}: {cut} bytes"
        expected = [*whole, AFTER] if cut <= 1 else [AFTER]
        assert found(wire[cut:] + after) == expected, f"{title}: from {cut} on"
        assert found_in_c(link, wire[cut:] + after) == expected, f"{title}: from {cut} on"


@pytest.fixture(scope="module")
def stub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_app(tmp_path_factory.mktemp("stub"))


DATA = bytes(range(256)) * 3
OUTPUTS = [bytes(2 * value % 256 for value in DATA[:7])]


def session(device: Device) -> None:
    """HELLO, the golden vectors, and a case."""
    assert device.selftest().failures == 0
    assert device.run([DATA]) == OUTPUTS
    device.close()


def places(stub: Path, direction: str) -> int:
    """Bytes of a session that goes well, to the firmware or from it."""
    device = Device(start(stub))
    session(device)
    return device._line.sent if direction == "on_write" else device._line.received


def lose(stub: Path, direction: str, at: int) -> None:
    """A byte is lost on the way."""
    faults = {direction: [Fault(kind=FaultKind.DROP, at=at)]}
    session(Device(FaultyTransport(start(stub), **faults), timeout_s=0.5))


def cut(stub: Path, at: int) -> None:
    """The firmware gets so many bytes, then it is reset and begins anew."""
    resets = [at]

    def connect() -> Transport:
        return NoisyTransport(start(stub), 0, lost=0.0, flipped=0.0, resets=resets)

    session(Device(connect(), reconnect=connect))


@pytest.mark.parametrize("direction", ["on_write", "on_read"])
def test_a_byte_lost_somewhere_changes_nothing(stub: Path, direction: str) -> None:
    for at in range(0, places(stub, direction), 37):
        lose(stub, direction, at)


def test_a_stream_cut_somewhere_changes_nothing(stub: Path) -> None:
    for at in range(1, places(stub, "on_write"), 37):
        cut(stub, at)


@pytest.mark.slow
def test_a_byte_lost_or_a_stream_cut_anywhere_changes_nothing(stub: Path) -> None:
    for direction in ("on_write", "on_read"):
        for at in range(places(stub, direction)):
            lose(stub, direction, at)
    for at in range(1, places(stub, "on_write")):
        cut(stub, at)


def test_all_message_types_are_there() -> None:
    seen = {frame.type for _, wire in EXAMPLES for frame in found(wire)}
    requests = set(MessageType) - {MessageType.ERROR, MessageType.FAULT}
    replies = {kind | frames.REPLY for kind in (*requests, MessageType.FAULT)}
    assert seen == requests | replies | {MessageType.ERROR}
    assert protocol.MAX_DATA + 8 == frames.MAX_PAYLOAD
