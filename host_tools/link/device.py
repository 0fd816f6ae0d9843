"""One running firmware: say hello, run the model, read any tensor, over any transport.

A lost or damaged frame is repeated a bounded number of times. Running the model uses up its
inputs and may change its state, so every case begins with a RESET, and whatever includes a run is
repeated from there on.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, TypeVar

from host_tools.errors import DeviceError, UsageError
from host_tools.link import protocol
from host_tools.link.protocol import (
    Damage,
    DriftCounts,
    Event,
    Frame,
    Hello,
    MessageType,
    Selftest,
    Sensor,
    Status,
    Take,
    TextLine,
)
from host_tools.link.transport import Transport

ATTEMPTS = 5  # for each frame, and for each run with its inputs
HELLO_S = 1.0  # between two HELLOs to a board that may still be starting

_RUNS = frozenset(
    {
        MessageType.INVOKE,
        MessageType.SELFTEST,
        MessageType.PROFILE,
        MessageType.RUN_TO,
        MessageType.SAMPLES,
    }
)
_ADVICE: dict[int, str] = {
    Status.BAD_STATE: "Inputs are incomplete or used up, or no output yet: write and invoke.",
    Status.BAD_ARGUMENT: "There is no such tensor or step, or the range lies outside of it.",
    Status.BAD_TYPE: "The firmware is older than these tools or lacks this part: flash it again.",
    Status.ARENA_OVERRUN: "The model wrote past its arena: trust no result of this firmware.",
}

T = TypeVar("T")


class _Array(Protocol):
    """What a numpy array offers; numpy itself is not needed here."""

    def tobytes(self) -> bytes: ...


TensorData = bytes | _Array


class _Lost(Exception):
    """A request or its reply did not arrive whole; the text says how."""


class Refused(DeviceError):
    """The firmware understood a request and did not carry it out; `status` says why."""

    def __init__(self, name: str, request: Frame, status: int) -> None:
        known = status in Status.__members__.values()
        why = Status(status).name if known else f"unknown status {status}"
        super().__init__(
            f"{name}: {MessageType(request.type).name} was refused: {why}. "
            + _ADVICE.get(status, "Flash the firmware that belongs to these tools.")
        )
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    type: MessageType
    payload: bytes = b""


class _Line:
    """Frames to and fro: numbers requests, finds their replies, and repeats what got lost."""

    def __init__(self, transport: Transport, timeout_s: float, run_timeout_s: float) -> None:
        self.name = transport.name
        self.log: list[str] = []
        self.received = 0  # bytes, of any kind
        self._transport = transport
        self._timeout_s = timeout_s
        self._run_timeout_s = run_timeout_s
        self._decoder = protocol.FrameDecoder()
        self._events: deque[Event] = deque()
        self._sequence = 0
        self._several_at_once = True

    def exchange(self, requests: Sequence[_Request]) -> list[Frame]:
        """Send all and return the replies in order; _Lost when a run needs its inputs again."""
        frames = [self._number(request) for request in requests]
        if self._several_at_once and len(frames) > 1:
            try:
                return self._at_once(frames)
            except _Lost:
                self._several_at_once = False
                if any(request.type in _RUNS for request in requests):
                    raise
        return [self._one(frame) for frame in frames]

    def hello(self, start_s: float) -> Frame:
        """Send HELLO once a second until one is answered; _Lost after `start_s`."""
        deadline = time.monotonic() + start_s
        frame = self._number(_Request(type=MessageType.HELLO))
        while True:
            self._send([frame])
            try:
                left_s = max(0.0, deadline - time.monotonic())
                return self._reply(frame, min(HELLO_S, self._timeout_s, left_s))
            except _Lost:
                if time.monotonic() >= deadline:
                    raise

    def ask(self, text: str) -> list[str]:
        """Send a line of text; returns the lines up to "ok" or "error: ...", or raises _Lost."""
        answer: list[str] = []
        self._drain()
        self._transport.write(protocol.DELIMITER + text.encode("ascii") + b"\n")
        while not (answer and (answer[-1] == "ok" or answer[-1].startswith("error: "))):
            event = self._event(self._run_timeout_s)
            if event is None:
                raise _Lost(
                    f"the answer to '{text}' did not end in {self._run_timeout_s:.0f} s: {answer}"
                )
            if isinstance(event, TextLine):
                answer.append(event.text)
        return answer

    def _number(self, request: _Request) -> Frame:
        self._sequence = (self._sequence + 1) % 0x10000
        return Frame(type=request.type, sequence=self._sequence, payload=request.payload)

    def _send(self, frames: Sequence[Frame]) -> None:
        self._transport.write(b"".join(protocol.encode(frame) for frame in frames))

    def _at_once(self, frames: Sequence[Frame]) -> list[Frame]:
        self._send(frames)
        return [self._reply(frame, self._limit(frame)) for frame in frames]

    def _one(self, frame: Frame) -> Frame:
        why: _Lost | None = None
        for _ in range(ATTEMPTS):
            self._send([frame])
            try:
                return self._reply(frame, self._limit(frame))
            except _Lost as loss:
                why = loss
                self._drain()
        raise DeviceError(
            f"{self.name}: gave up on {MessageType(frame.type).name} after {ATTEMPTS} attempts: "
            f"{why}. Check the cable and the speed, then reset the board."
        ) from why

    def _limit(self, frame: Frame) -> float:
        return self._run_timeout_s if frame.type in _RUNS else self._timeout_s

    def _reply(self, request: Frame, limit_s: float) -> Frame:
        """Wait for the reply to `request`; a reply to what was sent later means that it got lost.

        A run may take long. When nothing comes for a while, a HELLO is sent behind it: a device
        that has lost the request answers the HELLO at once, a device at work answers it later.
        """
        name = MessageType(request.type).name
        is_run = request.type in _RUNS
        wait_s = min(limit_s, self._timeout_s) if is_run else limit_s
        probe_s = limit_s - wait_s
        deadline = time.monotonic() + wait_s
        while True:
            event = self._event(max(0.0, deadline - time.monotonic()))
            if event is None and probe_s > 0:
                self._send([self._number(_Request(type=MessageType.HELLO))])
                deadline = time.monotonic() + probe_s
                probe_s = 0.0
            elif event is None and is_run:
                raise DeviceError(
                    f"{self.name}: {name} did not end in {limit_s:.0f} s; reset the board."
                )
            elif event is None:
                raise _Lost(f"no reply to {name} in {limit_s:.1f} s")
            elif isinstance(event, Damage):
                raise _Lost(f"a damaged reply ({event.status.name}) while waiting for {name}")
            elif isinstance(event, Frame):
                if event.type == MessageType.ERROR:
                    raise _Lost(
                        f"{name} or what came before it arrived damaged (status {event.status})"
                    )
                ahead = (event.sequence - request.sequence) % 0x10000
                if ahead == 0 and event.type == request.type | protocol.REPLY:
                    return self._accept(request, event)
                if 0 < ahead < 0x8000:
                    raise _Lost(f"the reply to {name} is missing")

    def _accept(self, request: Frame, reply: Frame) -> Frame:
        if reply.status != Status.OK:
            raise Refused(self.name, request, reply.status)
        return reply

    def _event(self, timeout_s: float) -> Event | None:
        """Return what arrives next, or None when nothing does in time; text is logged as well."""
        deadline = time.monotonic() + timeout_s
        while not self._events:
            data = self._transport.read(max(0.0, deadline - time.monotonic()))
            if not data:
                return None
            self.received += len(data)
            self._events.extend(self._decoder.feed(data))
        event = self._events.popleft()
        if isinstance(event, TextLine):
            self.log.append(event.text)
        return event

    def _drain(self) -> None:
        while self._event(0.0) is not None:
            pass


def _writes(case: Sequence[bytes]) -> list[_Request]:
    return [
        _Request(
            type=MessageType.WRITE_INPUT,
            payload=protocol.write_input_payload(tensor, part, data[part : part + size]),
        )
        for tensor, data in enumerate(case)
        for part, size in protocol.parts(len(data), protocol.MAX_DATA)
    ]


class Device:
    """A firmware behind a transport, which it owns from now on; use it as a context manager.

    `timeout_s` bounds the wait for a reply, `run_timeout_s` for one that runs the model, and
    `start_s` for the first sign of life. All methods raise DeviceError when the device does not
    answer or refuses.

    Several frames are sent at once until a frame gets lost that way: then the receiver is one that
    cannot listen while it works, and from there on each frame waits for its reply.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        timeout_s: float = 5.0,
        run_timeout_s: float = 120.0,
        start_s: float = 10.0,
    ) -> None:
        self._transport = transport
        self._start_s = start_s
        self._line = _Line(transport, timeout_s, run_timeout_s)
        self._hello: Hello | None = None
        self._case: tuple[bytes, ...] | None = None
        self._before: tuple[tuple[bytes, ...], ...] = ()  # cases that have run when it does
        self._ran: tuple[tuple[bytes, ...], ...] | None = None  # since a reset; None: not known
        self._written = False  # the device holds the whole case, unused

    def __enter__(self) -> Device:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the transport; may be called again."""
        self._transport.close()

    @property
    def log(self) -> list[str]:
        """The lines of text that have arrived so far."""
        return self._line.log

    @property
    def info(self) -> Hello:
        """What the firmware said about itself, asked for once."""
        return self._hello if self._hello is not None else self.hello()

    def hello(self) -> Hello:
        """Ask the firmware who it is, again and again while the board may still be starting."""
        try:
            reply = self._line.hello(self._start_s)
        except _Lost as loss:
            raise DeviceError(self._silence()) from loss
        self._hello = self._parse(protocol.parse_hello, reply)
        if self._hello.protocol_version != protocol.PROTOCOL_VERSION:
            raise DeviceError(
                f"{self._line.name}: the firmware speaks protocol {self._hello.protocol_version}, "
                f"these tools {protocol.PROTOCOL_VERSION}. Flash the firmware of this version."
            )
        return self._hello

    def write_inputs(
        self, inputs: Sequence[TensorData], after: Sequence[Sequence[TensorData]] = ()
    ) -> None:
        """Write every input of the model, in order; later runs use them, as often as needed.

        `after` are cases that run before, from the state that a reset leaves.
        """
        self._set_case(inputs, after)
        self._run_case([])

    def invoke(self) -> int:
        """Run the model on the written inputs; returns the cost in counts."""
        reply = self._run_case([_Request(type=MessageType.INVOKE)])[0]
        return self.info.counts(self._u32s(reply, 1)[0])

    def read_outputs(self) -> list[bytes]:
        """Return every output of the last run, in order."""
        return self._join_outputs(self._line.exchange(self._output_requests()))

    def run(
        self, inputs: Sequence[TensorData], after: Sequence[Sequence[TensorData]] = ()
    ) -> list[bytes]:
        """Write the inputs, run the model, and return every output, in order.

        `after` are cases that run before, from the state that a reset leaves; they are not run
        again when they are what the device has just run.
        """
        self._set_case(inputs, after)
        replies = self._run_case([_Request(type=MessageType.INVOKE), *self._output_requests()])
        assert self._case is not None
        self._ran = (*self._before, self._case)
        return self._join_outputs(replies[1:])

    def selftest(self) -> Selftest:
        """Run the golden vectors that are built into the firmware."""
        self._written = False
        reply = self._line.exchange([_Request(type=MessageType.SELFTEST)])[0]
        return self._parse(protocol.parse_selftest, reply)

    def drift(self, *, reset: bool = False) -> DriftCounts:
        """Read what the firmware has counted of its inputs; with `reset` forget it, then read."""
        request = _Request(type=MessageType.DRIFT, payload=protocol.u32_payload(int(reset)))
        return self._parse(protocol.parse_drift, self._line.exchange([request])[0])

    def profile(self) -> list[int]:
        """Run the model on the written inputs; returns the cost of each step in counts."""
        counts: list[int] = []
        for first, count in protocol.parts(self.info.step_count, protocol.MAX_TICKS):
            payload = protocol.pair_payload(first, count)
            reply = self._run_case([_Request(type=MessageType.PROFILE, payload=payload)])[0]
            counts += [self.info.counts(ticks) for ticks in self._u32s(reply, count)]
        return counts

    def tap(self, step: int, offset: int, count: int) -> bytes:
        """Run steps 0 to `step` on the written inputs; returns arena bytes from `offset` on."""
        requests = [_Request(type=MessageType.RUN_TO, payload=protocol.u32_payload(step))]
        for part, size in protocol.parts(count, protocol.MAX_PAYLOAD):
            payload = protocol.pair_payload(offset + part, size)
            requests.append(_Request(type=MessageType.READ_ARENA, payload=payload))
        data = b"".join(reply.payload for reply in self._run_case(requests)[1:])
        return self._sized(data, count)

    def record_start(self) -> Sensor:
        """Begin to record from the board's sensor; Refused when there is none."""
        reply = self._line.exchange([_record(1, 0)])[0]
        return self._parse(protocol.parse_sensor, reply)

    def record_read(self, following: int, channels: int) -> Take:
        """What has been measured from sample `following` on; those before it are forgotten."""
        reply = self._line.exchange([_record(0, following)])[0]
        return self._parse(lambda payload: protocol.parse_take(payload, channels), reply)

    def command(self, text: str) -> list[str]:
        """Send a line of text and return the lines it prints; UsageError when it is refused."""
        if not (text.isascii() and text.isprintable()):
            raise UsageError(f"a command is one line of printable ASCII, this one is {text!r}")
        _ = self.info  # the boot banner is over after this
        self._written = False  # a command may run the model
        try:
            lines = self._line.ask(text)
        except _Lost as loss:
            raise DeviceError(
                f"{self._line.name}: {loss}. Reset the board and try again."
            ) from loss
        if lines[-1] != "ok":
            raise UsageError(f"{self._line.name}: {lines[-1].removeprefix('error: ')}")
        return lines[:-1]

    def exchange(self, requests: Sequence[tuple[MessageType, bytes]]) -> list[bytes]:
        """Send (type, payload) requests that begin from nothing; returns each reply's payload.

        They are sent again, from the first one on, when one gets lost.
        """
        self._written = False
        whole = [_Request(type=type_, payload=payload) for type_, payload in requests]
        return [reply.payload for reply in self._repeat(lambda: whole)]

    def _run_case(self, requests: Sequence[_Request]) -> list[Frame]:
        """Exchange `requests`, behind the case's inputs when the device does not hold them."""

        def case() -> list[_Request]:
            writes = [] if self._written else self._input_requests()
            self._written = False  # a run uses the inputs up, even one whose reply gets lost
            self._ran = None
            return [*writes, *requests]

        replies = self._repeat(case)
        self._written = not requests
        return replies[len(replies) - len(requests) :]

    def _repeat(self, requests: Callable[[], Sequence[_Request]]) -> list[Frame]:
        why: Exception | None = None
        for _ in range(ATTEMPTS):
            try:
                return self._line.exchange(requests())
            except _Lost as loss:
                why = loss
            except Refused as refusal:
                if refusal.status != Status.BAD_STATE:
                    raise
                why = refusal
        raise DeviceError(
            f"{self._line.name}: gave up on a run after {ATTEMPTS} attempts: {why}. "
            "Check the cable and the speed, then reset the board."
        ) from why

    def _set_case(
        self, inputs: Sequence[TensorData], after: Sequence[Sequence[TensorData]]
    ) -> None:
        self._before = tuple(map(self._checked, after))
        self._case = self._checked(inputs)
        self._written = False

    def _checked(self, inputs: Sequence[TensorData]) -> tuple[bytes, ...]:
        data = tuple(value if isinstance(value, bytes) else value.tobytes() for value in inputs)
        sizes = tuple(len(value) for value in data)
        if sizes != self.info.input_bytes:
            raise UsageError(
                f"{self._line.name}: got inputs of {sizes} bytes; model '{self.info.model_name}' "
                f"takes {self.info.input_bytes}. Give one int8 array for each input, in order."
            )
        return data

    def _input_requests(self) -> list[_Request]:
        if self._case is None:
            raise UsageError(
                f"{self._line.name}: there is no input to run on; call write_inputs first"
            )
        if self._before and self._ran == self._before:
            return _writes(self._case)
        requests = [_Request(type=MessageType.RESET)]
        for earlier in self._before:
            requests += [*_writes(earlier), _Request(type=MessageType.INVOKE)]
        return [*requests, *_writes(self._case)]

    def _output_requests(self) -> list[_Request]:
        return [
            _Request(
                type=MessageType.READ_OUTPUT,
                payload=protocol.read_output_payload(tensor, part, size),
            )
            for tensor, total in enumerate(self.info.output_bytes)
            for part, size in protocol.parts(total, protocol.MAX_PAYLOAD)
        ]

    def _join_outputs(self, replies: Sequence[Frame]) -> list[bytes]:
        sizes = self.info.output_bytes
        joined = self._sized(b"".join(reply.payload for reply in replies), sum(sizes))
        starts = [sum(sizes[:index]) for index in range(len(sizes))]
        return [joined[start : start + size] for start, size in zip(starts, sizes, strict=True)]

    def _sized(self, data: bytes, expected: int) -> bytes:
        if len(data) != expected:
            raise DeviceError(
                f"{self._line.name}: replied {len(data)} bytes of data; expected {expected}"
            )
        return data

    def _u32s(self, reply: Frame, expected: int) -> tuple[int, ...]:
        self._sized(reply.payload, 4 * expected)
        return self._parse(protocol.parse_u32s, reply)

    def _parse(self, parser: Callable[[bytes], T], reply: Frame) -> T:
        try:
            return parser(reply.payload)
        except ValueError as error:
            raise DeviceError(
                f"{self._line.name}: {error}. Flash the firmware that belongs to these tools."
            ) from error

    def _silence(self) -> str:
        wait = f"{self._line.name}: no answer to HELLO in {self._start_s:.0f} s"
        if self._line.received == 0:
            return (
                f"{wait}, nothing arrived at all. Is the board powered and flashed (make flash), "
                "is this its port, and does its TX go to the adapter's RX?"
            )
        said = f"; the last line it sent: '{self.log[-1]}'" if self.log else " and no readable text"
        return (
            f"{wait}; {self._line.received} bytes arrived, but no good frame{said}. "
            "Is the speed right, and is it tinyproof's firmware (make flash)?"
        )


def _record(start: int, following: int) -> _Request:
    return _Request(type=MessageType.RECORD, payload=protocol.pair_payload(start, following))
