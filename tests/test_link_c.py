"""The firmware's framing, compiled for this computer and compared with the host's."""

from __future__ import annotations

import ctypes
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from cobs import cobs
from hypothesis import given, settings
from hypothesis import strategies as st

from host_tools.link import frames
from host_tools.link.frames import Damage, Event, Frame, FrameDecoder, Status, TextLine
from tests.native_app import FIRMWARE, compile_c
from tests.test_protocol import FRAMES, LINES

EVENT_FRAME, EVENT_TEXT, EVENT_DAMAGE = 1, 2, 3
PIECE_BYTES = 64


class CFrame(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_uint8),
        ("status", ctypes.c_uint8),
        ("sequence", ctypes.c_uint16),
        ("length", ctypes.c_uint16),
        ("payload", ctypes.POINTER(ctypes.c_uint8)),
    )


class CReceiver(ctypes.Structure):
    _fields_ = (
        ("length", ctypes.c_size_t),
        ("frame", CFrame),
        ("status", ctypes.c_int),
        ("bytes", ctypes.c_uint8 * (frames.MAX_COBS + 1)),
    )


class CLink:
    """The C functions with Python's types."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library = library
        library.link_crc32.restype = ctypes.c_uint32

    def crc32(self, data: bytes) -> int:
        half = len(data) // 2
        start = self._library.link_crc32(ctypes.c_uint32(0), data, ctypes.c_size_t(half))
        rest = data[half:]
        return int(
            self._library.link_crc32(ctypes.c_uint32(start), rest, ctypes.c_size_t(len(rest)))
        )

    def encode(self, frame: Frame, tail: int = 0) -> bytes:
        """The pieces in which it is sent; the last `tail` bytes of the payload are elsewhere."""
        head = frame.payload[: len(frame.payload) - tail]
        payload = (ctypes.c_uint8 * max(1, len(head))).from_buffer_copy(head or b"\x00")
        c_frame = CFrame(frame.type, frame.status, frame.sequence, len(frame.payload), payload)
        pieces: list[bytes] = []
        taker = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_size_t)(
            lambda data, length: pieces.append(ctypes.string_at(data, length))
        )
        rest = frame.payload[len(head) :]
        self._library.link_send(ctypes.byref(c_frame), rest, ctypes.c_size_t(tail), taker)
        assert max(map(len, pieces)) <= PIECE_BYTES + 255
        assert all(len(piece) >= PIECE_BYTES for piece in pieces[:-1])
        return b"".join(pieces)

    def receive(self, data: bytes) -> list[Event]:
        receiver = CReceiver()
        self._library.link_receiver_init(ctypes.byref(receiver))
        events: list[Event] = []
        for byte in data:
            kind = self._library.link_receive(ctypes.byref(receiver), ctypes.c_uint8(byte))
            if kind == EVENT_FRAME:
                frame = receiver.frame
                events.append(
                    Frame(
                        type=frame.type,
                        status=frame.status,
                        sequence=frame.sequence,
                        payload=ctypes.string_at(frame.payload, frame.length),
                    )
                )
            elif kind == EVENT_TEXT:
                events.append(TextLine(text=ctypes.string_at(receiver.bytes).decode("ascii")))
            elif kind == EVENT_DAMAGE:
                events.append(Damage(status=Status(receiver.status), raw=b""))
        return events


@pytest.fixture(scope="module")
def link(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CLink]:
    library = tmp_path_factory.mktemp("link") / "link.so"
    # the address sanitizer does not work inside Python; undefined behaviour traps
    flags = ["-shared", "-fPIC", "-fsanitize=undefined", "-fsanitize-undefined-trap-on-error"]
    compile_c(library, [FIRMWARE / "link" / "link_frame.c"], flags)
    yield CLink(ctypes.CDLL(str(library)))


def host_events(data: bytes) -> list[Event]:
    return [
        Damage(status=event.status, raw=b"") if isinstance(event, Damage) else event
        for event in FrameDecoder().feed(data)
    ]


@given(data=st.binary(max_size=2000))
def test_crc_agrees(link: CLink, data: bytes) -> None:
    assert link.crc32(data) == zlib.crc32(data)


@given(frame=FRAMES)
def test_c_encodes_what_python_encodes(link: CLink, frame: Frame) -> None:
    assert link.encode(frame) == frames.encode(frame)


@pytest.mark.parametrize(
    "size", [0, 1, 238, 239, 240, 241, 242, 243, 244, 493, 494, 495, 1023, 1024]
)
@pytest.mark.parametrize("fill", [b"\x00", b"\x01", b"\xff"])
def test_sizes_around_the_stuffing_blocks(link: CLink, size: int, fill: bytes) -> None:
    frame = Frame(type=2, sequence=0x0101, payload=fill * size)
    wire = link.encode(frame)
    assert wire == frames.encode(frame)
    assert link.receive(wire) == [frame]


@pytest.mark.parametrize("size", [1025, 1028])
def test_a_payload_beyond_the_limit_is_no_frame(link: CLink, size: int) -> None:
    """Zeros stuff so well that it still fits what a receiver keeps."""
    body = frames.HEADER.pack(frames.PROTOCOL_VERSION, 0, 2, 0, 1, size) + bytes(size)
    raw = cobs.encode(body + frames.CRC.pack(zlib.crc32(body)))
    assert len(raw) <= frames.MAX_COBS
    data = b"\x00" + raw + b"\x00"
    assert link.receive(data) == host_events(data) == [Damage(status=Status.BAD_FRAME, raw=b"")]


@given(
    items=st.lists(
        st.one_of(FRAMES.map(frames.encode), LINES.map(str.encode), st.binary()), max_size=6
    )
)
def test_c_receives_what_python_receives(link: CLink, items: list[bytes]) -> None:
    for separator in (b"", b"\n", b"\x00"):
        data = separator.join(items) + b"\x00"
        assert link.receive(data) == host_events(data)


@settings(max_examples=200)
@given(
    frame=FRAMES,
    position=st.floats(0, 1, exclude_max=True),
    change=st.sampled_from(["flip", "drop", "double", "zero"]),
    mask=st.integers(1, 255),
)
def test_damage_is_never_accepted(
    link: CLink, frame: Frame, position: float, change: str, mask: int
) -> None:
    wire = frames.encode(frame)
    at = 1 + int(position * (len(wire) - 2))
    new = {
        "flip": bytes([wire[at] ^ mask]),
        "drop": b"",
        "double": wire[at : at + 1] * 2,
        "zero": b"\x00",
    }[change]
    damaged = wire[:at] + new + wire[at + 1 :]
    good = Frame(type=1, sequence=77)
    events = link.receive(damaged + frames.encode(good))
    assert events == host_events(damaged + frames.encode(good))
    assert [event for event in events if isinstance(event, Frame)] == [good]


def test_every_cut_and_every_bit_flip(link: CLink) -> None:
    frame = Frame(type=2, sequence=258, payload=bytes(range(0, 256, 9)) + b"\r\nhelp\r\n\x00")
    wire = frames.encode(frame)
    good = Frame(type=1, sequence=3)
    for length in range(len(wire)):
        got = [
            event
            for event in link.receive(wire[:length] + frames.encode(good))
            if isinstance(event, Frame)
        ]
        assert got == ([frame, good] if length == len(wire) - 1 else [good]), f"cut at {length}"
    for bit in range(8, 8 * (len(wire) - 1)):
        damaged = bytearray(wire)
        damaged[bit // 8] ^= 1 << bit % 8
        got = [
            event
            for event in link.receive(bytes(damaged) + frames.encode(good))
            if isinstance(event, Frame)
        ]
        assert got == [good], f"bit {bit}"


@pytest.mark.parametrize(
    "length", [frames.MAX_COBS - 1, frames.MAX_COBS, frames.MAX_COBS + 1, 5000]
)
def test_length_limit(link: CLink, length: int) -> None:
    for first in (b"\x02", b"x"):
        data = first + b"y" * (length - 1) + b"\x00help\n"
        assert link.receive(data) == host_events(data)
        assert link.receive(data)[-1] == TextLine(text="help")


def test_c_layout_is_what_ctypes_assumes() -> None:
    header = Path(FIRMWARE / "link" / "link_frame.h").read_text()
    fields = [name for name, _ in CReceiver._fields_]
    struct = header[header.index("size_t length; /* received") : header.index("} link_receiver_t")]
    positions = [struct.index(f" {name}") for name in fields]
    assert positions == sorted(positions)


@given(frame=FRAMES, tail=st.integers(0, 1024))
def test_a_frame_sent_in_pieces_is_the_same(link: CLink, frame: Frame, tail: int) -> None:
    assert link.encode(frame, min(tail, len(frame.payload))) == frames.encode(frame)
