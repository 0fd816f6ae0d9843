"""The payloads of the link's messages as values; firmware/link/PROTOCOL.md describes them.

No input or output happens here: bytes in, values out.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass

from host_tools.link.frames import MAX_PAYLOAD


class MessageType(enum.IntEnum):
    """The requests; a reply has the REPLY bit set as well."""

    HELLO = 0x01
    WRITE_INPUT = 0x02
    INVOKE = 0x03
    READ_OUTPUT = 0x04
    SELFTEST = 0x05
    PROFILE = 0x06
    RUN_TO = 0x07
    READ_ARENA = 0x08
    RESET = 0x09
    SAMPLES = 0x0A
    RECORD = 0x0C
    DRIFT = 0x0D
    BOOT = 0x0E
    FAULT = 0x0F  # a reply only: a fatal exception has stopped the firmware
    PLACE = 0x10
    ERROR = 0xFF  # a reply only: something arrived that cannot be attributed to a request


class Place(enum.IntEnum):
    """What PLACE asks for."""

    INPUT = 0
    OUTPUT = 1
    STEP = 2


class Mode(enum.IntFlag):
    """What SAMPLES does besides computing features."""

    INVOKE = 0
    HOLD = 1
    TRACE = 2


class TakeState(enum.IntFlag):
    """What happened to a recording so far."""

    OVERRUN = 1  # samples were lost
    ENDED = 2  # no more will follow
    FAILED = 4  # the sensor does not answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """What the firmware says about itself."""

    protocol_version: int
    max_payload: int
    step_count: int
    arena_bytes: int
    arena_used: int
    stack_bytes: int
    stack_used: int
    counter_num: int
    counter_den: int
    golden_count: int
    receive_bytes: int  # that the line keeps while the firmware is at work
    model_sha256: str
    model_name: str
    board_id: str
    run_id: str
    version: str
    kernels: str
    framework: str
    engine: str
    input_bytes: tuple[int, ...]
    output_bytes: tuple[int, ...]

    def counts(self, ticks: int) -> int:
        """Convert counter ticks into counts: cycles on a chip, instructions in an emulator."""
        return (ticks * self.counter_num + self.counter_den // 2) // self.counter_den


@dataclass(frozen=True, slots=True, kw_only=True)
class Selftest:
    """The golden vectors, run on the device; without failures the last four fields are 0."""

    cases: int
    failures: int
    first_case: int
    first_byte: int
    expected: int
    got: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftCounts:
    """Windows that the device has counted since its start or the last reset of the counts."""

    profile: int  # stands for what the bins mean
    windows: int
    bins: tuple[tuple[int, ...], ...]  # [tests][bins]
    classes: tuple[int, ...]  # windows by the class that the model named


@dataclass(frozen=True, slots=True, kw_only=True)
class Inference:
    """What completed one network input of a stream of samples."""

    index: int
    feature_ticks: int
    invoke_ticks: int  # 0 when it was held
    hashes: tuple[int, ...]  # of the front end's stages, when they were traced
    outputs: bytes  # the first MAX_STREAM_OUTPUT of all outputs; empty when it was held


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A quantity that a sensor measures: `lsb_nano` 1e-9 units a step of an int16."""

    name: str
    unit: str
    lsb_nano: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensor:
    """What a board measures."""

    rate_millihertz: int
    channels: tuple[Channel, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """A part of a recording: int16 samples of all channels, the first of which is `first`."""

    first: int
    state: TakeState
    samples: bytes


_HELLO = struct.Struct("<13I32s32s32s16s16s16s16s16s")
_SELFTEST = struct.Struct("<6I")
_DRIFT = struct.Struct("<I4H")
_RANGE = struct.Struct("<B3xII")
_OFFSET = struct.Struct("<B3xI")
_PAIR = struct.Struct("<II")
_U32 = struct.Struct("<I")
MAX_DATA = MAX_PAYLOAD - _OFFSET.size  # input bytes in one WRITE_INPUT
MAX_TICKS = (MAX_PAYLOAD - _U32.size) // _U32.size  # steps in one PROFILE
MAX_TENSOR_BYTES = 64 << 20  # of a model's inputs and outputs; no board has so much
MAX_STEPS = 65536
_INFERENCE = struct.Struct("<3I")
_CHANNEL = struct.Struct("<12s12sI")
MAX_STREAM_OUTPUT = 960  # output bytes of an inference in a SAMPLES reply
MAX_SAMPLES = (MAX_PAYLOAD - _PAIR.size) // 2  # int16 values in one SAMPLES, and in one RECORD
MAX_CHANNELS = (MAX_PAYLOAD - _PAIR.size) // _CHANNEL.size


def parts(total: int, most: int) -> list[tuple[int, int]]:
    """Cut `total` into (start, size) pieces of at most `most`."""
    return [(start, min(most, total - start)) for start in range(0, total, most)]


def write_input_payload(tensor: int, offset: int, data: bytes) -> bytes:
    """WRITE_INPUT: `data` goes to `offset` of input `tensor`."""
    return _OFFSET.pack(tensor, offset) + data


def read_output_payload(tensor: int, offset: int, count: int) -> bytes:
    """READ_OUTPUT: `count` bytes from `offset` of output `tensor`."""
    return _RANGE.pack(tensor, offset, count)


def pair_payload(first: int, second: int) -> bytes:
    """PROFILE (first step, count), READ_ARENA (offset, count) and RECORD (start, next sample)."""
    return _PAIR.pack(first, second)


def samples_payload(first: int, mode: Mode, samples: bytes) -> bytes:
    """SAMPLES: int16 samples [n, channels], before which the stream had `first` of them."""
    return _PAIR.pack(first, mode) + samples


def u32_payload(value: int) -> bytes:
    """RUN_TO (step) and DRIFT (1 to forget the counts first, else 0)."""
    return _U32.pack(value)


def parse_u32s(payload: bytes) -> tuple[int, ...]:
    """Return the numbers of a reply to a run: the CRC-32 of its inputs, then ticks.

    ValueError when a byte is left over.
    """
    if len(payload) % _U32.size:
        raise ValueError(f"{len(payload)} bytes are not whole 32-bit numbers")
    return tuple(number for (number,) in _U32.iter_unpack(payload))


def parse_selftest(payload: bytes) -> Selftest:
    """Return a SELFTEST reply as values; ValueError when its length is wrong."""
    if len(payload) != _SELFTEST.size:
        raise ValueError(f"a SELFTEST reply has {_SELFTEST.size} bytes, this one {len(payload)}")
    cases, failures, first_case, first_byte, expected, got = _SELFTEST.unpack(payload)
    if failures > cases:
        raise ValueError(f"SELFTEST announces {failures:,} failures in {cases:,} cases")
    return Selftest(
        cases=cases,
        failures=failures,
        first_case=first_case,
        first_byte=first_byte,
        expected=expected,
        got=got,
    )


def parse_drift(payload: bytes) -> DriftCounts:
    """Return a DRIFT reply as values; ValueError when its length or its sums are wrong."""
    if len(payload) < _DRIFT.size:
        raise ValueError(f"a DRIFT reply has at least {_DRIFT.size} bytes, this one {len(payload)}")
    profile, windows, tests, bins, classes = _DRIFT.unpack_from(payload)
    expected = _DRIFT.size + 2 * (tests * bins + classes)
    if len(payload) != expected:
        raise ValueError(
            f"DRIFT announces {tests} tests of {bins} bins and {classes} classes, which takes "
            f"{expected} bytes; it has {len(payload)}"
        )
    counts = struct.unpack_from(f"<{tests * bins + classes}H", payload, _DRIFT.size)
    rows = tuple(counts[test * bins : (test + 1) * bins] for test in range(tests))
    seen = counts[tests * bins :]
    if any(sum(row) != windows for row in (*rows, seen)):
        raise ValueError(f"DRIFT counts {windows} windows, which its bins do not add up to")
    return DriftCounts(profile=profile, windows=windows, bins=rows, classes=seen)


def parse_inferences(payload: bytes, output_bytes: int) -> list[Inference]:
    """Return a SAMPLES reply as values; ValueError when its length is wrong.

    `output_bytes` are those that an inference carries, 0 when it was held.
    """
    count, stages = _PAIR.unpack_from(payload) if len(payload) >= _PAIR.size else (0, 0)
    size = _INFERENCE.size + stages * _U32.size + output_bytes
    if len(payload) != _PAIR.size + count * size:
        raise ValueError(f"{len(payload)} bytes are no SAMPLES reply of {count} x {size}")
    found = []
    for at in range(_PAIR.size, len(payload), size):
        index, feature_ticks, invoke_ticks = _INFERENCE.unpack_from(payload, at)
        outputs = at + size - output_bytes
        found.append(
            Inference(
                index=index,
                feature_ticks=feature_ticks,
                invoke_ticks=invoke_ticks,
                hashes=parse_u32s(payload[at + _INFERENCE.size : outputs]),
                outputs=payload[outputs : at + size],
            )
        )
    return found


def pack_sensor(sensor: Sensor) -> bytes:
    """The bytes that describe a sensor; ValueError when something does not fit."""
    if not 0 < len(sensor.channels) <= MAX_CHANNELS:
        raise ValueError(f"{len(sensor.channels)} channels; a sensor has 1 to {MAX_CHANNELS}")
    packed = _pack(_PAIR, sensor.rate_millihertz, len(sensor.channels))
    for channel in sensor.channels:
        texts = [text.encode("ascii") for text in (channel.name, channel.unit)]
        if max(map(len, texts)) > 12:
            raise ValueError(f"{channel.name!r} in {channel.unit!r}: names have up to 12 letters")
        packed += _pack(_CHANNEL, *texts, channel.lsb_nano)
    return packed


def parse_sensor(payload: bytes) -> Sensor:
    """Return what RECORD replied to a start; ValueError when it cannot be right."""
    size = len(payload) - _PAIR.size
    rate, count = _PAIR.unpack_from(payload) if size >= 0 else (0, 0)
    if rate == 0 or count == 0 or size != count * _CHANNEL.size:
        raise ValueError(f"{len(payload)} bytes do not describe {count} channels at {rate} mHz")
    channels = [
        Channel(name=_text(name), unit=_text(unit), lsb_nano=lsb)
        for name, unit, lsb in _CHANNEL.iter_unpack(payload[_PAIR.size :])
    ]
    return Sensor(rate_millihertz=rate, channels=tuple(channels))


def split_recording(recording: bytes) -> tuple[Sensor, bytes]:
    """What pack_sensor packed, and the samples behind it; ValueError as parse_sensor."""
    size = _PAIR.size + _CHANNEL.size * int.from_bytes(recording[4:8], "little")
    return parse_sensor(recording[:size]), recording[size:]


def parse_take(payload: bytes, channels: int) -> Take:
    """Return what RECORD replied; ValueError when it is not of whole samples of all channels."""
    size = len(payload) - _PAIR.size
    if size < 0 or size % (2 * channels):
        raise ValueError(f"{len(payload)} bytes are no samples of {channels} channels")
    first, state = _PAIR.unpack_from(payload)
    return Take(first=first, state=TakeState(state & 7), samples=payload[_PAIR.size :])


def _pack(form: struct.Struct, *values: bytes | int) -> bytes:
    try:
        return form.pack(*values)
    except struct.error as error:
        raise ValueError(f"{values}: {error}") from error


def _text(field: bytes) -> str:
    """Printable, whatever a board sends: it reaches terminals and pages."""
    text = field.rstrip(b"\x00").decode("ascii", "backslashreplace")
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def parse_hello(payload: bytes) -> Hello:
    """Return a HELLO reply as values; ValueError when its length or a field cannot be right."""
    if len(payload) < _HELLO.size:
        raise ValueError(f"a HELLO reply has at least {_HELLO.size} bytes, this one {len(payload)}")
    numbers = _HELLO.unpack_from(payload)
    version, max_payload, inputs, outputs, steps, arena, arena_used = numbers[:7]
    stack, stack_used, num, den, golden, receive_bytes = numbers[7:13]
    sizes = parse_u32s(payload[_HELLO.size :])
    if len(sizes) != inputs + outputs:
        raise ValueError(
            f"HELLO announces {inputs} + {outputs} tensors and gives {len(sizes)} sizes"
        )
    if sum(sizes) > MAX_TENSOR_BYTES or steps > MAX_STEPS:
        raise ValueError(
            f"HELLO announces {sum(sizes):,} bytes of inputs and outputs and {steps:,} steps; "
            f"expected at most {MAX_TENSOR_BYTES:,} and {MAX_STEPS:,}"
        )
    if num == 0 or den == 0:
        raise ValueError(f"HELLO gives the counter scale {num} / {den}")
    texts = [_text(field) for field in numbers[14:]]
    return Hello(
        protocol_version=version,
        max_payload=max_payload,
        step_count=steps,
        arena_bytes=arena,
        arena_used=arena_used,
        stack_bytes=stack,
        stack_used=stack_used,
        counter_num=num,
        counter_den=den,
        golden_count=golden,
        receive_bytes=receive_bytes,
        model_sha256=numbers[13].hex(),
        model_name=texts[0],
        board_id=texts[1],
        run_id=texts[2],
        version=texts[3],
        kernels=texts[4],
        framework=texts[5],
        engine=texts[6],
        input_bytes=sizes[:inputs],
        output_bytes=sizes[inputs:],
    )
