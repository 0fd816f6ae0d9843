"""The whole way to a running firmware and back: the native build, with and without faults."""

from __future__ import annotations

import shutil
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cobs import cobs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from host_tools.errors import DeviceError, UsageError
from host_tools.link import frames, protocol
from host_tools.link.device import Device
from host_tools.link.frames import Frame, FrameDecoder, Status, TextLine
from host_tools.link.protocol import MessageType
from host_tools.link.transport import Transport
from tests.native_app import STUB, changed_stub, compile_app, start, start_device

GOLDEN = "model_golden.c"
# Two inputs and two outputs that each need more than one frame, and 300 steps.
BIG_HEADER = """
#ifndef MODEL_H
#define MODEL_H
#include <stdint.h>
#define MODEL_NAME "a model whose name is longer than the field for it"
#define MODEL_RUN_ID "0123456789abcdef"
#define MODEL_TOOL_VERSION "0.1.0"
#define MODEL_ARENA_BYTES 6144
#define MODEL_INPUT_COUNT 2
#define MODEL_OUTPUT_COUNT 2
#define MODEL_STEP_COUNT 300
#define MODEL_GOLDEN_COUNT 1
#define MODEL_GOLDEN_INPUT_BYTES 3100
#define MODEL_GOLDEN_OUTPUT_BYTES 1530
typedef struct { uint32_t offset; uint32_t bytes; } model_tensor_t;
extern const uint8_t model_sha256[32];
extern const model_tensor_t model_inputs[MODEL_INPUT_COUNT];
extern const model_tensor_t model_outputs[MODEL_OUTPUT_COUNT];
extern const uint8_t model_golden_inputs[MODEL_GOLDEN_COUNT][MODEL_GOLDEN_INPUT_BYTES];
extern const uint8_t model_golden_outputs[MODEL_GOLDEN_COUNT][MODEL_GOLDEN_OUTPUT_BYTES];
void model_reset(uint8_t *arena);
void model_step(uint8_t *arena, int32_t step);
void model_invoke(uint8_t *arena);
#endif
"""
BIG_SOURCE = """
#include "model.h"
const uint8_t model_sha256[32] = {0xAB};
const model_tensor_t model_inputs[2] = {{0, 3000}, {3008, 100}};
const model_tensor_t model_outputs[2] = {{3120, 30}, {4000, 1500}};
const uint8_t model_golden_inputs[1][3100] = {{0}};
const uint8_t model_golden_outputs[1][1530] = {{0}};
void model_reset(uint8_t *arena) {
    (void)arena;
}
void model_step(uint8_t *arena, int32_t step) {
    for (int32_t i = 0; step == 0 && i < 30; i++) {
        arena[3120 + i] = arena[3008 + i];
    }
    for (int32_t i = step * 5; i < step * 5 + 5; i++) {
        arena[4000 + i] = (uint8_t)(arena[2 * i] + arena[2 * i + 1]);
    }
}
void model_invoke(uint8_t *arena) {
    for (int32_t step = 0; step < MODEL_STEP_COUNT; step++) {
        model_step(arena, step);
    }
}
"""


@pytest.fixture(scope="module")
def stub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_app(tmp_path_factory.mktemp("stub"))


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    gen = tmp_path_factory.mktemp("gen")
    (gen / "model.h").write_text(BIG_HEADER)
    (gen / "model.c").write_text(BIG_SOURCE)
    shutil.copy(STUB / "model_features.h", gen)
    return compile_app(tmp_path_factory.mktemp("big"), gen)


@pytest.fixture
def device(stub: Path) -> Iterator[Device]:
    with start_device(stub) as opened:
        yield opened


def stub_output(data: bytes) -> list[bytes]:
    return [bytes(2 * value % 256 for value in data[:7])]


def big_case(seed: int) -> tuple[list[bytes], list[bytes]]:
    first = bytes((7 * i * i + seed) % 256 for i in range(3000))
    second = bytes((11 * i + seed) % 256 for i in range(100))
    sums = bytes((first[2 * i] + first[2 * i + 1]) % 256 for i in range(1500))
    return [first, second], [second[:30], sums]


def test_hello_tells_what_was_built(device: Device) -> None:
    hello = device.hello()
    assert (hello.board_id, hello.model_name, hello.version) == ("native", "stub", "0.1.0")
    assert hello.model_sha256 == bytes(range(32)).hex()
    assert (hello.input_bytes, hello.output_bytes) == ((768,), (7,))
    assert (hello.step_count, hello.golden_count, hello.run_id) == (2, 2, "0123456789ab")
    assert (hello.arena_used, hello.arena_bytes) == (775, 1024)
    assert hello.max_payload == frames.MAX_PAYLOAD
    assert (hello.kernels, hello.framework, hello.engine) == ("ref", "bare", "aot")


def test_banner_is_readable(device: Device) -> None:
    device.hello()
    assert device.log == [
        "tinyproof 0.1.0 on native",
        f"model     stub, sha256 {bytes(range(32)).hex()}",
        "run       0123456789ab",
        "image     kernels ref, framework bare, engine aot",
        "arena     775 of 1024 bytes used, canary intact",
        "stack     not known",
        "self-test PASS: 2 of 2 golden vectors equal",
        "ready: type help",
    ]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(min_size=768, max_size=768))
def test_run_gives_the_models_output(device: Device, data: bytes) -> None:
    assert device.run([data]) == stub_output(data)


def test_steps_of_a_case_one_by_one(device: Device) -> None:
    data = bytes(range(256)) * 3
    device.write_inputs([memoryview(data)])
    assert device.invoke() >= 0
    assert device.read_outputs() == stub_output(data)
    assert len(device.profile()) == 2
    assert device.tap(0, 0, 768) == bytes(2 * value % 256 for value in data)
    assert device.invoke() >= 0  # the inputs are written again by themselves
    assert device.read_outputs() == stub_output(data)


def test_tensors_and_steps_beyond_one_frame(big: Path) -> None:
    with start_device(big) as device:
        assert device.info.input_bytes == (3000, 100)
        assert device.info.output_bytes == (30, 1500)
        assert device.info.model_name == "a model whose name is longer than the field for it"[:32]
        for seed in range(20):
            inputs, outputs = big_case(seed)
            assert device.run(inputs) == outputs, f"seed {seed}"
        assert len(device.profile()) == 300
        assert device.tap(299, 4000, 1500) == outputs[1]


def test_selftest_passes(device: Device) -> None:
    result = device.selftest()
    assert (result.cases, result.failures) == (2, 0)
    assert (result.first_case, result.first_byte, result.expected, result.got) == (0, 0, 0, 0)


def test_selftest_fails_when_a_golden_is_wrong(tmp_path: Path) -> None:
    gen = changed_stub(tmp_path, GOLDEN, "{18, 16, 14, 12,", "{18, 16, 14, 99,")
    with start_device(compile_app(tmp_path, gen)) as device:
        result = device.selftest()
        assert (result.cases, result.failures, result.first_case) == (2, 1, 1)
        assert (result.first_byte, result.expected, result.got) == (3, 99, 12)
        line = (
            "self-test FAIL: 1 of 2 golden vectors equal; "
            "first difference at case 1, byte 3: expected 0x63, got 0x0c"
        )
        assert line in device.log
        assert device.command("selftest") == [line]


def test_a_model_that_leaves_its_arena_is_caught(tmp_path: Path) -> None:
    gen = changed_stub(tmp_path, "model.c", "arena[768 + i] = arena[i];", "arena[1024] = 1;")
    with start_device(compile_app(tmp_path, gen)) as device:
        with pytest.raises(DeviceError, match="INVOKE was refused: ARENA_OVERRUN"):
            device.run([bytes(768)])
        with pytest.raises(DeviceError, match="SELFTEST was refused: ARENA_OVERRUN"):
            device.selftest()
        assert any("CANARY OVERWRITTEN" in line for line in device.log)
        with pytest.raises(UsageError, match="CANARY OVERWRITTEN: the arena is too small"):
            device.command("selftest")


def test_commands(device: Device) -> None:
    assert [line.split()[0] for line in device.command("help")] == [
        "help",
        "info",
        "selftest",
        "bench",
    ]
    assert device.command("info")[0] == "tinyproof 0.1.0 on native"
    assert device.command("  selftest ") == ["self-test PASS: 2 of 2 golden vectors equal"]
    total, *steps = device.command("bench 3")
    assert total.startswith("counts per inference, 3 runs: min ")
    low, mean, high = (int(total.split()[position]) for position in (6, 8, 10))
    assert low <= mean <= high
    assert [line.split()[:2] for line in steps] == [["step", "0:"], ["step", "1:"]]
    assert all(int(line.split()[2]) >= 0 for line in steps)
    assert device.command("bench")[0].startswith("counts per inference, 10 runs")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("foo bar", r"unknown command 'foo bar'; type help"),
        ("hel", "unknown command"),
        ("helpx", "unknown command"),
        ("bench 0", "1 to 1000"),
        ("bench 1001", "1 to 1000"),
        ("bench 99999999999999", "1 to 1000"),
        ("bench ten", "1 to 1000"),
        ("bench -1", "1 to 1000"),
        ("x" * 2000, "too long"),
        ("two\nlines", "one line"),
        ("gr\u00fcn", "printable ASCII"),
    ],
)
def test_commands_that_are_refused(device: Device, text: str, answer: str) -> None:
    with pytest.raises(UsageError, match=answer):
        device.command(text)
    assert device.command("selftest")[0].startswith("self-test PASS")


def test_a_command_between_write_and_invoke_spoils_nothing(device: Device) -> None:
    data = bytes(range(256)) * 3
    device.write_inputs([data])
    device.command("bench 1")
    device.invoke()
    assert device.read_outputs() == stub_output(data)


@pytest.mark.parametrize("inputs", [[], [bytes(767)], [bytes(769)], [bytes(768), b""]])
def test_inputs_of_a_wrong_size_are_refused(device: Device, inputs: list[bytes]) -> None:
    with pytest.raises(UsageError, match=r"takes .768,."):
        device.run(inputs)


def test_a_run_without_inputs_is_refused(device: Device) -> None:
    with pytest.raises(UsageError, match="write_inputs first"):
        device.invoke()
    with pytest.raises(DeviceError, match="READ_OUTPUT was refused: BAD_STATE"):
        device.read_outputs()
    device.write_inputs([bytes(768)])
    with pytest.raises(DeviceError, match="RUN_TO was refused: BAD_ARGUMENT"):
        device.tap(2, 0, 4)
    with pytest.raises(DeviceError, match="READ_ARENA was refused: BAD_ARGUMENT"):
        device.tap(0, 1020, 5)


class Raw:
    """Sends bytes as they are and collects what comes back."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._decoder = FrameDecoder()

    def until(self, kind: Callable[[frames.Event], bool]) -> frames.Event:
        while data := self._transport.read(5.0):
            for event in self._decoder.feed(data):
                if kind(event):
                    return event
        pytest.fail("the awaited event did not come within 5 s")

    def ask(self, wire: bytes) -> Frame:
        self._transport.write(wire)
        event = self.until(lambda event: isinstance(event, Frame))
        assert isinstance(event, Frame)
        return event

    def send(self, kind: int, payload: bytes = b"") -> Frame:
        return self.ask(frames.encode(Frame(type=kind, sequence=4660, payload=payload)))


@pytest.fixture
def raw(stub: Path) -> Iterator[Raw]:
    transport = start(stub)
    raw = Raw(transport)
    assert raw.send(MessageType.HELLO).status == Status.OK
    yield raw
    transport.close()


WRITE, READ = MessageType.WRITE_INPUT, MessageType.READ_OUTPUT
TOP = 0xFFFFFFFF


@pytest.mark.parametrize(
    ("kind", "payload", "status"),
    [
        (0x00, b"", Status.BAD_TYPE),
        (0x42, b"", Status.BAD_TYPE),
        (0x81, b"", Status.BAD_TYPE),
        (MessageType.HELLO, b"x", Status.BAD_LENGTH),
        (WRITE, b"", Status.BAD_LENGTH),
        (WRITE, protocol.write_input_payload(0, 0, b""), Status.BAD_LENGTH),
        (WRITE, protocol.write_input_payload(1, 0, b"x"), Status.BAD_ARGUMENT),
        (WRITE, protocol.write_input_payload(255, 0, b"x"), Status.BAD_ARGUMENT),
        (WRITE, protocol.write_input_payload(0, 768, b"x"), Status.BAD_ARGUMENT),
        (WRITE, protocol.write_input_payload(0, 0, bytes(769)), Status.BAD_ARGUMENT),
        (WRITE, protocol.write_input_payload(0, TOP, b"xx"), Status.BAD_ARGUMENT),
        (WRITE, protocol.write_input_payload(0, 1, b"x"), Status.BAD_STATE),
        (WRITE, protocol.write_input_payload(0, 0, bytes(768)), Status.OK),
        (MessageType.INVOKE, b"", Status.BAD_STATE),
        (MessageType.INVOKE, b"x", Status.BAD_LENGTH),
        (READ, b"", Status.BAD_LENGTH),
        (READ, protocol.read_output_payload(0, 0, 7), Status.BAD_STATE),
        (READ, protocol.read_output_payload(0, 0, 8), Status.BAD_ARGUMENT),
        (READ, protocol.read_output_payload(0, 7, 0), Status.BAD_ARGUMENT),
        (READ, protocol.read_output_payload(0, TOP, 2), Status.BAD_ARGUMENT),
        (READ, protocol.read_output_payload(1, 0, 1), Status.BAD_ARGUMENT),
        (MessageType.PROFILE, protocol.pair_payload(0, 2), Status.BAD_STATE),
        (MessageType.PROFILE, protocol.pair_payload(0, 0), Status.BAD_ARGUMENT),
        (MessageType.PROFILE, protocol.pair_payload(1, 2), Status.BAD_ARGUMENT),
        (MessageType.PROFILE, protocol.pair_payload(TOP, 2), Status.BAD_ARGUMENT),
        (MessageType.RUN_TO, protocol.u32_payload(0), Status.BAD_STATE),
        (MessageType.RUN_TO, protocol.u32_payload(2), Status.BAD_ARGUMENT),
        (MessageType.RUN_TO, protocol.u32_payload(TOP), Status.BAD_ARGUMENT),
        (MessageType.READ_ARENA, protocol.pair_payload(0, 1024), Status.OK),
        (MessageType.READ_ARENA, protocol.pair_payload(0, 1025), Status.BAD_ARGUMENT),
        (MessageType.READ_ARENA, protocol.pair_payload(1024, 1), Status.BAD_ARGUMENT),
        (MessageType.READ_ARENA, protocol.pair_payload(TOP, 1), Status.BAD_ARGUMENT),
        (MessageType.READ_ARENA, protocol.pair_payload(4, TOP), Status.BAD_ARGUMENT),
        (MessageType.RESET, b"", Status.OK),
        (MessageType.RESET, b"x", Status.BAD_LENGTH),
    ],
)
def test_every_request_is_answered_with_its_status(
    raw: Raw, kind: int, payload: bytes, status: Status
) -> None:
    reply = raw.send(kind, payload)
    assert (reply.type, reply.sequence) == (kind | frames.REPLY, 4660)
    assert Status(reply.status) is status
    assert status is Status.OK or reply.payload == b""
    assert raw.send(MessageType.HELLO).status == Status.OK


def raw_frame(version: int, length: int, flip: int = 0) -> bytes:
    body = struct.pack("<BBBBHH", version, 0, MessageType.HELLO, 0, 1, length)
    crc = zlib.crc32(body) ^ flip
    return bytes(cobs.encode(body + struct.pack("<I", crc)))


@pytest.mark.parametrize(
    ("wire", "status"),
    [
        (raw_frame(3, 0, flip=1), Status.BAD_CRC),
        (raw_frame(1, 0), Status.BAD_VERSION),
        (raw_frame(3, 9), Status.BAD_LENGTH),
        (b"\x02\x01\x02", Status.BAD_FRAME),
        (b"\x02" + b"\x01" * 4000, Status.TOO_LONG),
        (b"\xff\xfe", Status.BAD_FRAME),
        (b"half a line", Status.BAD_FRAME),
    ],
)
def test_what_is_no_frame_is_answered_with_an_error_frame(
    raw: Raw, wire: bytes, status: Status
) -> None:
    reply = raw.ask(b"\x00" + wire + b"\x00")
    assert (reply.type, reply.sequence, reply.payload) == (MessageType.ERROR, 0, b"")
    assert Status(reply.status) is status
    assert raw.send(MessageType.HELLO).status == Status.OK


def test_a_line_that_is_not_printable_is_answered_with_a_line(stub: Path) -> None:
    transport = start(stub)
    transport.write(b"\x7f\x7fhelp\r\n")
    event = Raw(transport).until(lambda e: isinstance(e, TextLine) and "error" in e.text)
    assert event == TextLine(text="error: this line is too long or not printable; type help")
    transport.close()


def test_a_reset_forgets_inputs_and_outputs(raw: Raw) -> None:
    whole = protocol.write_input_payload(0, 0, b"\x01" * 768)
    assert raw.send(WRITE, whole).status == Status.OK
    assert raw.send(MessageType.RESET).status == Status.OK
    assert raw.send(MessageType.INVOKE).status == Status.BAD_STATE
    assert raw.send(WRITE, whole).status == Status.OK
    assert raw.send(MessageType.INVOKE).status == Status.OK
    assert raw.send(MessageType.RESET).status == Status.OK
    assert raw.send(READ, protocol.read_output_payload(0, 0, 7)).status == Status.BAD_STATE


def test_a_case_left_unfinished_does_not_leak_into_the_next(raw: Raw) -> None:
    whole = protocol.write_input_payload(0, 0, b"\x01" * 768)
    half = protocol.write_input_payload(0, 0, b"\x02" * 384)
    assert raw.send(WRITE, whole).status == Status.OK
    assert raw.send(WRITE, half).status == Status.OK
    assert raw.send(MessageType.INVOKE).status == Status.BAD_STATE
