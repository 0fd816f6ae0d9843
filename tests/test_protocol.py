"""Frames on the host side, and the one description that C and Python share."""

from __future__ import annotations

import re
import struct
import zlib
from pathlib import Path

import pytest
from cobs import cobs
from hypothesis import given, settings
from hypothesis import strategies as st

from host_tools.link import frames, protocol
from host_tools.link.frames import Damage, Event, Frame, FrameDecoder, Status, TextLine
from host_tools.link.protocol import Channel, Inference, MessageType, Mode, Sensor, Take, TakeState

LINK = Path(__file__).resolve().parent.parent / "firmware" / "link"
FRAMES = st.builds(
    Frame,
    type=st.integers(0, 255),
    status=st.integers(0, 255),
    sequence=st.integers(0, 0xFFFF),
    payload=st.one_of(
        st.binary(max_size=600),
        st.sampled_from([0, 1, 239, 240, 241, 242, 243, 493, 494, 495, 1023, 1024]).map(
            lambda size: b"\x01" * size
        ),
    ),
)
LINES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=80)


def feed_all(pieces: list[bytes]) -> list[Event]:
    decoder = FrameDecoder()
    return [event for piece in pieces for event in decoder.feed(piece)]


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces, start = [], 0
    for size in sizes:
        pieces.append(data[start : start + size])
        start += size
    return [*pieces, data[start:]]


@given(frame=FRAMES)
def test_frame_round_trip(frame: Frame) -> None:
    wire = frames.encode(frame)
    assert wire[:3] == b"\x00\x02\x03"
    assert wire.count(0) == 2
    assert len(wire) <= frames.MAX_COBS + 2
    assert feed_all([wire]) == [frame]


@given(
    items=st.lists(st.one_of(FRAMES, LINES), max_size=5),
    sizes=st.lists(st.integers(0, 50), max_size=60),
)
def test_any_mixture_survives_any_chunking(items: list[Frame | str], sizes: list[int]) -> None:
    wire = b""
    expected: list[Event] = []
    for item in items:
        if isinstance(item, Frame):
            wire += frames.encode(item)
            expected.append(item)
        else:
            wire += item.encode() + b"\r\n"
            expected.append(TextLine(text=item))
    assert feed_all(cut(wire, sizes)) == expected


@given(garbage=st.binary(max_size=3000), frame=FRAMES)
def test_the_next_frame_after_garbage_is_understood(garbage: bytes, frame: Frame) -> None:
    assert feed_all([garbage, frames.encode(frame)])[-1] == frame


def test_every_single_bit_flip_is_rejected() -> None:
    frame = Frame(type=2, sequence=258, payload=bytes(range(0, 256, 5)) + b"\r\n")
    wire = frames.encode(frame)
    for bit in range(8 * len(wire)):
        damaged = bytearray(wire)
        damaged[bit // 8] ^= 1 << bit % 8
        got = [event for event in feed_all([bytes(damaged), b"\x00"]) if isinstance(event, Frame)]
        in_delimiter = bit // 8 in (0, len(wire) - 1)
        assert got == [] or (in_delimiter and got == [frame]), f"bit {bit}"


def test_a_stream_cut_at_every_byte_yields_nothing_wrong() -> None:
    first = Frame(type=1, sequence=1, payload=b"\x00\x02\x01\x00")
    second = Frame(type=4, sequence=2, payload=b"after")
    wire = frames.encode(first)
    for length in range(len(wire)):
        events = feed_all([wire[:length], frames.encode(second)])
        got = [event for event in events if isinstance(event, Frame)]
        assert got in ([second], [first, second]), f"cut at {length}"
        assert (first in got) == (length == len(wire) - 1), f"cut at {length}"


def frame_bytes(header: tuple[int, ...], payload: bytes, crc: int | None = None) -> bytes:
    body = struct.pack("<BBBBHH", *header) + payload
    check = zlib.crc32(body) if crc is None else crc
    return bytes(cobs.encode(body + struct.pack("<I", check)))


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"\x02", Status.BAD_FRAME),
        (b"\x02\x01\x30\x01", Status.BAD_FRAME),
        (frame_bytes((3, 0, 1, 0, 1, 0), b"", crc=0x12345678), Status.BAD_CRC),
        (frame_bytes((1, 0, 1, 0, 1, 0), b""), Status.BAD_VERSION),
        (frame_bytes((3, 0, 1, 0, 1, 5), b"four"), Status.BAD_LENGTH),
        (frame_bytes((3, 0, 1, 0, 1, 3), b"four"), Status.BAD_LENGTH),
        (b"\x02" + b"\x01" * frames.MAX_COBS, Status.TOO_LONG),
        (b"no\xffascii", Status.BAD_FRAME),
        (b"x" * (frames.MAX_COBS + 1), Status.TOO_LONG),
    ],
)
def test_damage_is_named(raw: bytes, status: Status) -> None:
    events = feed_all([b"\x00" + raw + b"\x00"])
    assert [type(event) for event in events] == [Damage]
    assert isinstance(events[0], Damage) and events[0].status == status


@pytest.mark.parametrize(
    "frame",
    [
        Frame(type=1, sequence=0x10000),
        Frame(type=256, sequence=0),
        Frame(type=1, sequence=0, payload=bytes(frames.MAX_PAYLOAD + 1)),
    ],
)
def test_what_does_not_fit_is_not_encoded(frame: Frame) -> None:
    with pytest.raises(ValueError, match=r"payload|format"):
        frames.encode(frame)


DRIFT_REPLY = struct.pack("<I4H6H", 0x12345678, 3, 1, 4, 2, 0, 2, 1, 0, 1, 2)
SENSOR = Sensor(
    rate_millihertz=119000,
    channels=(
        Channel(name="ax", unit="g", lsb_nano=122_000),
        Channel(name="gx", unit="dps", lsb_nano=70_000_000),
    ),
)

INPUTS_CRC = zlib.crc32(bytes([1, 2, 3, 4]))

# What each example in PROTOCOL.md says: heading -> (type, sequence, status, payload).
EXAMPLES: dict[str, tuple[int, int, int, bytes]] = {
    "request: sequence 15, the first output of the step": (
        0x10,
        15,
        0,
        protocol.pair_payload(protocol.Place.STEP, 0),
    ),
    "reply: it lies at 1536": (0x90, 15, 0, protocol.u32_payload(1536)),
    "request: sequence 1": (1, 1, 0, b""),
    "request: sequence 2, input 0, offset 0, data 01 02 03 04": (
        2,
        2,
        0,
        protocol.write_input_payload(0, 0, b"\x01\x02\x03\x04"),
    ),
    "request: sequence 3": (3, 3, 0, b""),
    "reply: 123456 ticks, on the inputs 01 02 03 04": (
        0x83,
        3,
        0,
        struct.pack("<2I", INPUTS_CRC, 123456),
    ),
    "reply: refused, sequence 9, BAD_STATE": (0x83, 9, 8, b""),
    "request: sequence 4, output 0, offset 0, count 7": (
        4,
        4,
        0,
        protocol.read_output_payload(0, 0, 7),
    ),
    "reply: 02 04 06 08 0a 0c 0e": (0x84, 4, 0, bytes(range(2, 15, 2))),
    "request: sequence 5": (5, 5, 0, b""),
    "reply: 1 of 2 cases failed; case 1, byte 3: expected 12, got 14": (
        0x85,
        5,
        0,
        struct.pack("<6I", 2, 1, 1, 3, 12, 14),
    ),
    "request: sequence 6, steps 0 and 1": (6, 6, 0, protocol.pair_payload(0, 2)),
    "reply: 100 and 20 ticks": (0x86, 6, 0, struct.pack("<3I", INPUTS_CRC, 100, 20)),
    "request: sequence 7, step 1": (7, 7, 0, protocol.u32_payload(1)),
    "reply: done, on the inputs 01 02 03 04": (0x87, 7, 0, protocol.u32_payload(INPUTS_CRC)),
    "request: sequence 8, offset 768, count 4": (8, 8, 0, protocol.pair_payload(768, 4)),
    "reply: 02 04 06 08": (0x88, 8, 0, b"\x02\x04\x06\x08"),
    "request: sequence 9": (9, 9, 0, b""),
    "request: sequence 10, a new stream, two samples of two channels, traced": (
        10,
        10,
        0,
        protocol.samples_payload(0, Mode.TRACE, struct.pack("<4h", 1, -2, 3, -4)),
    ),
    "reply: one inference, of 900 and 123456 ticks, two stages, output 02 04": (
        0x8A,
        10,
        0,
        struct.pack("<7I", 1, 2, 0, 900, 123456, 0x11223344, 0x55667788) + b"\x02\x04",
    ),
    "request: sequence 12, begin a take": (12, 12, 0, protocol.pair_payload(1, 0)),
    "reply: 119 Hz, ax in g, gx in dps": (0x8C, 12, 0, protocol.pack_sensor(SENSOR)),
    "request: sequence 13, read on from sample 5": (12, 13, 0, protocol.pair_payload(0, 5)),
    "reply: sample 5 is 1, -2; no more will follow": (
        0x8C,
        13,
        0,
        struct.pack("<2I2h", 5, TakeState.ENDED, 1, -2),
    ),
    "request: sequence 14": (14, 14, 0, b""),
    "request: sequence 10, keep the counts": (0x0D, 10, 0, protocol.u32_payload(0)),
    "reply: 3 windows, bins 0 2 1 0, classes 1 2": (0x8D, 10, 0, DRIFT_REPLY),
    "reply: BAD_CRC": (0xFF, 0, 2, b""),
}


def document_examples() -> list[tuple[str, bytes]]:
    text = (LINK / "PROTOCOL.md").read_text()
    found = re.findall(r"^Example (.*)\n\n((?:    [0-9a-f ]+\n)+)", text, re.MULTILINE)
    return [(title, bytes.fromhex(block)) for title, block in found]


def decode_one(wire: bytes) -> Frame:
    (event,) = feed_all([wire])
    assert isinstance(event, Frame), event
    assert frames.encode(event) == wire
    return event


def test_document_examples_say_what_they_are() -> None:
    seen = set()
    for title, wire in document_examples():
        frame = decode_one(wire)
        seen.add(frame.type)
        if title in EXAMPLES:
            got = (frame.type, frame.sequence, frame.status, frame.payload)
            assert got == EXAMPLES[title], title
        else:
            assert title in (
                "reply: done",
                "reply: Arm, BFAR F0000010, two words of the stack",  # test_board_faults.py
                "reply: model stub on qemu_m4, one input of 768 bytes, one output of 7",
            )
    requests = set(MessageType) - {MessageType.ERROR, MessageType.FAULT}
    unasked = {MessageType.ERROR, MessageType.FAULT | frames.REPLY}
    assert seen == requests | {kind | frames.REPLY for kind in requests} | unasked
    assert set(EXAMPLES) <= {title for title, _ in document_examples()}


def test_document_hello_parses() -> None:
    (wire,) = (wire for title, wire in document_examples() if "model stub" in title)
    hello = protocol.parse_hello(decode_one(wire).payload)
    assert (hello.model_name, hello.board_id, hello.run_id) == ("stub", "qemu_m4", "0123456789ab")
    assert (hello.input_bytes, hello.output_bytes) == ((768,), (7,))
    assert hello.model_sha256 == bytes(range(32)).hex()
    assert hello.receive_bytes == 4096
    assert hello.counts(16) == 10


def example(title: str) -> bytes:
    (payload,) = (payload for name, (_, _, _, payload) in EXAMPLES.items() if title in name)
    return payload


def test_document_sensor_take_and_inference_parse() -> None:
    assert protocol.parse_sensor(example("119 Hz")) == SENSOR
    assert protocol.parse_take(example("no more"), 2) == Take(
        first=5, state=TakeState.ENDED, samples=struct.pack("<2h", 1, -2)
    )
    (inference,) = protocol.parse_inferences(example("one inference"), 2)
    assert inference == Inference(
        index=0,
        feature_ticks=900,
        invoke_ticks=123456,
        hashes=(0x11223344, 0x55667788),
        outputs=b"\x02\x04",
    )


@given(data=st.binary(max_size=120), width=st.integers(1, 4))
def test_any_bytes_are_a_reply_or_refused(data: bytes, width: int) -> None:
    for parse in (
        lambda: protocol.pack_sensor(protocol.parse_sensor(data)),
        lambda: protocol.parse_take(data, width).samples,
        lambda: protocol.parse_inferences(data, width),
    ):
        try:
            parse()
        except ValueError as error:
            assert str(error)


@pytest.mark.parametrize("title", ["119 Hz", "no more", "one inference"])
def test_a_reply_with_a_byte_more_or_less_is_refused(title: str) -> None:
    payload = example(title)
    parse = {
        "119 Hz": protocol.parse_sensor,
        "no more": lambda data: protocol.parse_take(data, 2),
        "one inference": lambda data: protocol.parse_inferences(data, 2),
    }[title]
    parse(payload)
    for wrong in (payload[:-1], payload + b"\x00", payload[:7], b""):
        with pytest.raises(ValueError, match="bytes"):
            parse(wrong)


@pytest.mark.parametrize(
    "sensor",
    [
        Sensor(rate_millihertz=1, channels=()),
        Sensor(rate_millihertz=1, channels=SENSOR.channels * 19),
        Sensor(rate_millihertz=1 << 32, channels=SENSOR.channels),
        Sensor(rate_millihertz=1, channels=(Channel(name="x" * 13, unit="", lsb_nano=1),)),
        Sensor(rate_millihertz=1, channels=(Channel(name="x", unit="\u00b0", lsb_nano=1),)),
        Sensor(rate_millihertz=1, channels=(Channel(name="x", unit="g", lsb_nano=-1),)),
    ],
)
def test_a_sensor_that_does_not_fit_is_refused(sensor: Sensor) -> None:
    with pytest.raises(ValueError, match=r"channels|letters|ascii|format|range"):
        protocol.pack_sensor(sensor)


@pytest.mark.parametrize("size", [0, 176, 227, 228, 229, 235, 237, 240])
def test_hello_of_a_wrong_length_is_refused(size: int) -> None:
    (wire,) = (wire for title, wire in document_examples() if "model stub" in title)
    payload = (decode_one(wire).payload + bytes(8))[:size]
    with pytest.raises(ValueError, match=r"HELLO|whole"):
        protocol.parse_hello(payload)


def test_hello_with_a_zero_counter_scale_is_refused() -> None:
    (wire,) = (wire for title, wire in document_examples() if "model stub" in title)
    payload = bytearray(decode_one(wire).payload)
    payload[40:44] = bytes(4)
    with pytest.raises(ValueError, match="counter"):
        protocol.parse_hello(bytes(payload))


def test_drift_counts_parse() -> None:
    counts = protocol.parse_drift(DRIFT_REPLY)
    assert (counts.profile, counts.windows) == (0x12345678, 3)
    assert (counts.bins, counts.classes) == (((0, 2, 1, 0),), (1, 2))


@pytest.mark.parametrize("size", [0, 11, 12, len(DRIFT_REPLY) - 2, len(DRIFT_REPLY) + 2])
def test_drift_counts_of_a_wrong_length_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match="DRIFT"):
        protocol.parse_drift((DRIFT_REPLY + bytes(2))[:size])


@pytest.mark.parametrize("at", range(12, len(DRIFT_REPLY), 2))
def test_drift_counts_that_do_not_add_up_are_refused(at: int) -> None:
    damaged = bytearray(DRIFT_REPLY)
    damaged[at] += 1
    with pytest.raises(ValueError, match="add up"):
        protocol.parse_drift(bytes(damaged))


def header_numbers(prefix: str) -> dict[str, int]:
    text = (LINK / "link_protocol.h").read_text()
    defines = re.findall(rf"^#define {prefix}(\w+) (0x[0-9A-Fa-f]+|\d+)", text, re.MULTILINE)
    return {name: int(value, 0) for name, value in defines}


def test_c_and_python_have_the_same_numbers() -> None:
    text = (LINK / "link_protocol.h").read_text()
    types = re.findall(r"^    LINK_(\w+) = (0x[0-9A-F]+),", text, re.MULTILINE)
    assert {name: int(value, 0) for name, value in types} == {
        kind.name: kind for kind in MessageType
    }
    statuses = re.findall(r"^    LINK_STATUS_(\w+) = (\d+),", text, re.MULTILINE)
    assert {name: int(value) for name, value in statuses} == {kind.name: kind for kind in Status}
    numbers = header_numbers("LINK_")
    assert numbers["PROTOCOL_VERSION"] == frames.PROTOCOL_VERSION
    assert numbers["MAX_PAYLOAD"] == frames.MAX_PAYLOAD
    assert numbers["HEADER_BYTES"] == frames.HEADER.size
    assert numbers["CRC_BYTES"] == frames.CRC.size
    assert numbers["FRAME_START"] == frames.FRAME_START[0]
    assert numbers["REPLY"] == frames.REPLY
    assert numbers["MAX_STREAM_OUTPUT"] == protocol.MAX_STREAM_OUTPUT
    assert (numbers["HOLD"], numbers["TRACE"]) == (Mode.HOLD, Mode.TRACE)
    assert {kind.name: numbers[f"PLACE_{kind.name}"] for kind in protocol.Place} == {
        kind.name: kind.value for kind in protocol.Place
    }
    board = (LINK.parent / "board" / "board.h").read_text()
    states = re.findall(r"^#define BOARD_SENSOR_(\w+) (\d)u$", board, re.MULTILINE)
    assert {name: int(value) for name, value in states} == {
        state.name: state.value for state in TakeState
    }


def test_document_lists_the_same_statuses_and_messages() -> None:
    text = (LINK / "PROTOCOL.md").read_text()
    statuses = re.findall(r"^\| (\d+) \| ([A-Z_]+) \|", text, re.MULTILINE)
    assert [(int(number), name) for number, name in statuses] == [
        (kind.value, kind.name) for kind in Status
    ]
    messages = re.findall(r"^### 0x(\w\w) (\w+):", text, re.MULTILINE)
    assert [(int(number, 16), name) for number, name in messages] == [
        (kind.value, kind.name) for kind in MessageType
    ]
    assert str(frames.MAX_COBS) in text


@settings(max_examples=50)
@given(data=st.binary(max_size=40).filter(lambda data: len(data) % 4))
def test_numbers_with_a_byte_left_over_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="whole"):
        protocol.parse_u32s(data)


def test_texts_of_a_board_reach_no_terminal_as_commands() -> None:
    title = "reply: model stub on qemu_m4, one input of 768 bytes, one output of 7"
    payload = decode_one(dict(document_examples())[title]).payload
    hello = protocol.parse_hello(payload.replace(b"stub\0\0\0\0\0", b"\x1b[2J\n\xffab\0"))
    assert hello.model_name == r"\x1b[2J\x0a\xffab"
