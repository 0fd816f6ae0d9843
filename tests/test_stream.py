"""SAMPLES and `live`: a stream of raw samples through the stub's front end and model."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from host_tools.boards.board import load_board
from host_tools.emulators import Replaying
from host_tools.errors import DeviceError, UsageError
from host_tools.link import frames, protocol
from host_tools.link.batch import Refused
from host_tools.link.device import Device
from host_tools.link.frames import Frame, FrameDecoder, Status
from host_tools.link.protocol import Channel, Inference, MessageType, Mode, Sensor, pack_sensor
from host_tools.link.record import with_replay
from host_tools.link.said import Prediction, read_line
from host_tools.link.target import choose_target
from host_tools.link.transport import Transport
from tests.faulty import Fault, FaultKind, FaultyTransport
from tests.firmware_builds import built_with_features
from tests.native_app import FIRMWARE, compile_app, start, start_device, stub_with_features

CHANNELS, WINDOW, HOP, OUTPUT_BYTES = 6, 128, 64, 7
BOARDS = ("native", "qemu_m4", "qemu_riscv32", "qemu_xtensa")
SAMPLES = np.random.default_rng(5).integers(-32768, 32768, (400, CHANNELS)).astype(np.int16)
INPUT_PLACE = 0  # of the stub's input in its arena
Request = tuple[MessageType, bytes]


def expected_inputs(samples: npt.NDArray[np.int16]) -> npt.NDArray[np.int8]:
    """[inputs, 768]: tests/stub_features in numpy, from the formulas of fe.h."""
    multiplier = np.array([16384] * 3 + [8192] * 3)
    features = np.clip((samples.astype(int) * multiplier + 8192) >> 14, -32768, 32767)
    product = features * 16384
    rounded = np.where(product < 0, -((-product + 2**21) >> 22), (product + 2**21) >> 22)
    values = np.clip(rounded + 3, -128, 127).astype(np.int8)
    starts = range(0, len(samples) - WINDOW + 1, HOP)
    return np.array([values[s : s + WINDOW].reshape(-1) for s in starts])


def expected_outputs(samples: npt.NDArray[np.int16]) -> list[bytes]:
    """The stub's answer is twice its first bytes."""
    return [
        bytes(2 * int(byte) % 256 for byte in row[:OUTPUT_BYTES])
        for row in expected_inputs(samples)
    ]


def pushes(cuts: list[int], mode: Mode = Mode.INVOKE) -> list[Request]:
    """SAMPLES requests that cut the stream at `cuts`."""
    edges = [0, *cuts, len(SAMPLES)]
    return [
        (MessageType.SAMPLES, protocol.samples_payload(a, mode, SAMPLES[a:b].tobytes()))
        for a, b in pairwise(edges)
    ]


def inferences(replies: list[bytes], output_bytes: int = OUTPUT_BYTES) -> list[Inference]:
    return [i for reply in replies for i in protocol.parse_inferences(reply, output_bytes)]


@pytest.fixture(scope="module")
def elf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The native firmware with the front end, watched by the sanitizers."""
    folder = tmp_path_factory.mktemp("stream")
    return compile_app(folder, stub_with_features(folder))


@pytest.fixture(scope="module")
def device(elf: Path) -> Iterator[Device]:
    with start_device(elf) as started:
        yield started


@pytest.fixture(scope="module")
def wire(elf: Path) -> Iterator[Transport]:
    transport = start(elf)
    yield transport
    transport.close()


@pytest.mark.parametrize("board_id", BOARDS)
def test_every_board_infers_as_the_host_computes(board_id: str) -> None:
    target = choose_target(load_board(board_id), None, None)
    assert target.emulator is not None
    transport = target.emulator.start(built_with_features(board_id) / "firmware.elf")
    with Device(transport) as started:
        found = inferences(started.exchange(pushes(list(range(HOP, len(SAMPLES), HOP)))))
    assert [i.outputs for i in found] == expected_outputs(SAMPLES)
    assert [i.index for i in found] == list(range(len(found)))
    assert all(i.feature_ticks > 0 and i.hashes == () for i in found)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.integers(1, 84), min_size=5, max_size=60), traced=st.booleans())
def test_the_answers_do_not_depend_on_how_a_stream_is_cut(
    device: Device, steps: list[int], traced: bool
) -> None:
    cuts = [int(c) for c in np.cumsum(steps) if c < len(SAMPLES)]
    cuts += range(cuts[-1] + 84, len(SAMPLES), 84)
    found = inferences(device.exchange(pushes(cuts, Mode.TRACE if traced else Mode.INVOKE)))
    assert [i.outputs for i in found] == expected_outputs(SAMPLES)
    assert {len(i.hashes) for i in found} == {5 if traced else 0}


def test_a_held_input_lies_in_the_arena_and_runs_by_invoke(device: Device) -> None:
    samples = SAMPLES[:WINDOW]
    expected = expected_inputs(samples)[0].tobytes()
    halves = [
        (MessageType.SAMPLES, protocol.samples_payload(at, Mode.HOLD, samples[at:][:HOP].tobytes()))
        for at in (0, HOP)
    ]
    read = (MessageType.READ_ARENA, protocol.pair_payload(INPUT_PLACE, len(expected)))
    output = (MessageType.READ_OUTPUT, protocol.read_output_payload(0, 0, OUTPUT_BYTES))
    replies = device.exchange([*halves, read, (MessageType.INVOKE, b""), output])
    (held,) = inferences(replies[:2], 0)
    assert (held.index, held.invoke_ticks, held.outputs) == (0, 0, b"")
    assert replies[2] == expected
    assert [replies[4]] == expected_outputs(samples)


def test_no_window_goes_on_from_the_state_of_another(tmp_path: Path) -> None:
    gen = stub_with_features(tmp_path)
    text = (gen / "model.c").read_text()
    for old, new in (
        ("void model_reset", "static uint8_t state;\n\nvoid model_reset"),
        ("(void)arena;", "(void)arena;\n    state = 0;"),
        ("arena[768 + i] = arena[i];", "arena[768 + i] = (uint8_t)(arena[i] + state);"),
        ("if (step == 0) {", "if (step == 0) {\n        state++;"),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    (gen / "model.c").write_text(text)
    with start_device(compile_app(tmp_path, gen)) as started:
        found = inferences(started.exchange(pushes(list(range(HOP, len(SAMPLES), HOP)))))
    after_reset = [bytes((b + 1) % 256 for b in row) for row in expected_outputs(SAMPLES)]
    assert [i.outputs for i in found] == after_reset


def refusal(device: Device, request: Request) -> int:
    with pytest.raises(DeviceError) as failed:
        device.exchange([request])
    error = failed.value.__cause__ or failed.value  # BAD_STATE is tried again first
    assert isinstance(error, Refused)
    return error.status


def samples_request(first: int, mode: int, count: int, more: bytes = b"") -> Request:
    data = SAMPLES[first : first + count].tobytes() + more
    return MessageType.SAMPLES, struct.pack("<II", first, mode) + data


REFUSED = [
    (samples_request(0, 0, 3, b"\x00"), Status.BAD_ARGUMENT),  # half a value
    (samples_request(0, 0, 3, b"\x00\x00"), Status.BAD_ARGUMENT),  # not all channels
    (samples_request(0, 4, 3), Status.BAD_ARGUMENT),  # no such mode
    (samples_request(0, Mode.HOLD, HOP + 1), Status.BAD_ARGUMENT),  # might complete two
    (samples_request(5, 0, 1), Status.BAD_STATE),  # the stream has had another number
    ((MessageType.SAMPLES, bytes(8)), Status.BAD_LENGTH),
    ((MessageType.SAMPLES, bytes(9)), Status.BAD_LENGTH),
]


@pytest.mark.parametrize(("request_", "status"), REFUSED)
def test_a_wrong_request_is_refused_and_changes_nothing(
    device: Device, request_: Request, status: Status
) -> None:
    device.exchange([samples_request(0, 0, 10)])
    assert refusal(device, request_) == status
    device.exchange([samples_request(0, 0, 10), samples_request(10, 0, 10)])


def test_a_trace_begins_with_its_stream(device: Device) -> None:
    device.exchange([samples_request(0, 0, 10)])
    assert refusal(device, samples_request(10, Mode.TRACE, 10)) == Status.BAD_STATE
    device.exchange([samples_request(0, Mode.TRACE, 10), samples_request(10, Mode.TRACE, 10)])
    assert refusal(device, samples_request(20, 0, 10)) == Status.BAD_STATE


FAULTS = [
    {"on_write": [Fault(kind=FaultKind.FLIP, at=900, count=1, mask=0x10)]},
    {"on_write": [Fault(kind=FaultKind.DROP, at=1500, count=40)]},
    {"on_read": [Fault(kind=FaultKind.FLIP, at=700, count=1, mask=0x04)]},
    {"on_read": [Fault(kind=FaultKind.DROP, at=650, count=200)]},
    {"on_read": [Fault(kind=FaultKind.DUPLICATE, at=640, count=120)]},
]


@pytest.mark.parametrize("faults", FAULTS)
def test_a_damaged_line_neither_skips_nor_repeats_samples(
    elf: Path, faults: dict[str, list[Fault]]
) -> None:
    with Device(FaultyTransport(start(elf), **faults), timeout_s=0.5) as faulty:
        found = inferences(faulty.exchange(pushes(list(range(HOP, len(SAMPLES), HOP)))))
    assert [i.outputs for i in found] == expected_outputs(SAMPLES)


def test_other_messages_between_do_not_disturb_a_stream(device: Device) -> None:
    first, *rest = pushes(list(range(HOP, len(SAMPLES), HOP)))
    replies = device.exchange([first])
    device.hello()
    replies += device.exchange(rest[:1])
    device.run([bytes(768)])
    replies += device.exchange(rest[1:])
    assert [i.outputs for i in inferences(replies)] == expected_outputs(SAMPLES)


WORDS = st.sampled_from([0, 1, 2, 3, 7, 8, 768, 1023, 1024, 1025, 1 << 31, (1 << 32) - 1])
WORD_COUNTS = {  # of a request's payload; data follows in the first two
    MessageType.WRITE_INPUT: 2,
    MessageType.SAMPLES: 2,
    MessageType.READ_OUTPUT: 3,
    MessageType.PROFILE: 2,
    MessageType.RUN_TO: 1,
    MessageType.READ_ARENA: 2,
    MessageType.RECORD: 2,
    MessageType.INVOKE: 0,
    MessageType.RESET: 0,
}
DATA = st.sampled_from([0, 1, 12, 24, 760, 768, 1008, 1012, 1016]).map(bytes)


@st.composite
def any_request(draw: st.DrawFn) -> tuple[int, bytes]:
    """(type, payload): the right number of words, or anything at all."""
    kind = draw(st.sampled_from([*WORD_COUNTS]))
    words = draw(st.lists(WORDS, min_size=WORD_COUNTS[kind], max_size=WORD_COUNTS[kind]))
    head = struct.pack(f"<{len(words)}I", *words)
    data = draw(DATA) if kind in (MessageType.WRITE_INPUT, MessageType.SAMPLES) else b""
    anything = st.tuples(st.integers(0, 0x7E), st.binary(max_size=16))
    return draw(st.one_of(st.just((int(kind), head + data)), anything))


@settings(max_examples=200)
@given(requests=st.lists(any_request(), min_size=10, max_size=30))
def test_every_request_is_answered_whatever_it_says(
    wire: Transport, requests: list[tuple[int, bytes]]
) -> None:
    """The sanitizers end the firmware where one makes it leave its memory."""
    decoder = FrameDecoder()
    for sequence, (kind, payload) in enumerate([(MessageType.HELLO, b""), *requests]):
        frame = Frame(type=kind, sequence=sequence, payload=payload)
        wire.write(frames.encode(frame))
        replies: list[Frame] = []
        while not replies:
            received = wire.read(5.0)
            assert received, f"no answer to {frame}"
            replies = [event for event in decoder.feed(received) if isinstance(event, Frame)]
        assert [(r.type, r.sequence) for r in replies] == [(kind | frames.REPLY, sequence)]


def test_firmware_without_a_front_end_says_so(tmp_path: Path) -> None:
    with start_device(compile_app(tmp_path)) as plain:
        assert refusal(plain, samples_request(0, 0, 1)) == Status.BAD_TYPE
        with pytest.raises(UsageError, match="unknown command 'live'"):
            plain.command("live")
        assert not [line for line in plain.command("help") if line.startswith("live")]


def recorded(folder: Path, channels: int = CHANNELS, rate: int = 50000) -> Path:
    path = folder / "recording.npz"
    np.savez(
        path,
        samples=SAMPLES[:, :channels],
        rate_hz=rate / 1000,
        channels=np.array([f"c{i}" for i in range(channels)]),
        units=np.array(["g"] * channels),
        lsb=np.array([0.001] * channels),
    )
    return path


def uncounted(line: str) -> str:
    """A line of `live` without what the inference has cost, which must stand at its end."""
    found = read_line(line)
    assert isinstance(found, Prediction)
    assert found.counts
    return line.removesuffix(f"; {found.counts} counts")


def means(rows: Sequence[npt.NDArray[np.int8]]) -> list[tuple[int, npt.NDArray[np.int8]]]:
    """What `live` makes of each result and the three before it: how many, and their mean."""
    last = [np.array(rows[max(0, i - 3) : i + 1], int) for i in range(len(rows))]
    return [(len(r), ((2 * r.sum(0) + len(r)) // (2 * len(r))).astype(np.int8)) for r in last]


@pytest.mark.parametrize("board_id", BOARDS)
def test_live_prints_class_scores_and_mean_until_the_recording_ends(
    board_id: str, tmp_path: Path
) -> None:
    target = with_replay(choose_target(load_board(board_id), None, None), recorded(tmp_path))
    assert target.emulator is not None
    transport = target.emulator.start(built_with_features(board_id) / "firmware.elf")
    with Device(transport) as started:
        head, *lines = started.command("live")
        assert [line for line in started.command("help") if line.startswith("live")]
    assert head == "live at 50000 mHz, the model is for 40000 mHz; a key ends it"
    scores = [np.frombuffer(output, np.int8) for output in expected_outputs(SAMPLES)]
    assert [uncounted(line) for line in lines] == [
        f"class {row.argmax()}, scores {' '.join(map(str, row))}; "
        f"mean of {count}: class {mean.argmax()}"
        for row, (count, mean) in zip(scores, means(scores), strict=True)
    ]


@pytest.mark.parametrize(
    ("channels", "message"), [(None, "has no sensor"), (5, "other channels than the model")]
)
def test_live_says_why_it_cannot(channels: int | None, message: str, tmp_path: Path) -> None:
    target = choose_target(load_board("native"), None, None)
    if channels:
        target = with_replay(target, recorded(tmp_path, channels))
    assert target.emulator is not None
    transport = target.emulator.start(built_with_features("native") / "firmware.elf")
    with Device(transport) as started, pytest.raises(UsageError, match=message):
        started.command("live")


def test_live_counts_gaps_and_begins_anew_behind_each(tmp_path: Path) -> None:
    """Samples 200 to 207 come with an overrun, and so do 352 to 359."""
    port = (FIRMWARE / "board" / "replay" / "sensor.c").read_text()
    marked = port.replace(
        "    return count;\n}",
        "    static uint32_t reads;\n    reads++;\n"
        "    *state |= reads == 26 || reads == 45 ? 1u : 0;\n"
        "    return count;\n}",
    )
    assert marked != port
    elf = compile_app(tmp_path, stub_with_features(tmp_path), replay=marked)
    target = with_replay(choose_target(load_board("native"), None, None), recorded(tmp_path))
    assert target.emulator is not None
    with Device(target.emulator.start(elf)) as started:
        lines = started.command("live")[1:]
    parts = [SAMPLES[:200], SAMPLES[208:352], SAMPLES[360:]]
    expected: list[str] = []
    for number, part in enumerate(parts):
        expected += [f"samples were lost ({number})"] if number else []
        expected += [f"mean of {min(i, 4)}" for i in range(1, 1 + len(expected_inputs(part)))]
    assert [line.partition("; ")[2].partition(":")[0] or line for line in lines] == expected


def test_a_replay_with_a_wrong_header_is_no_sensor(tmp_path: Path) -> None:
    """The firmware reads the file's header with bounds."""
    sensor = Sensor(
        rate_millihertz=1000, channels=(Channel(name="a", unit="g", lsb_nano=1),) * CHANNELS
    )
    good = pack_sensor(sensor)
    elf = built_with_features("native") / "firmware.elf"
    for content in (b"", good[:7], good[:-1], struct.pack("<II", 1, 17) + bytes(2000), bytes(8)):
        target = choose_target(load_board("native"), None, None)
        assert isinstance(target.emulator, Replaying)
        emulator = target.emulator.with_replay(content)
        with Device(emulator.start(elf)) as started, pytest.raises(UsageError, match="no sensor"):
            started.command("live")
