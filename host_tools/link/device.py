"""One running firmware: say hello, run the model, read any tensor, over any transport.

A lost or damaged frame is repeated a bounded number of times. Running the model uses up its
inputs and may change its state, so every case begins with a RESET, and whatever includes a run is
repeated from there on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, TypeVar

from host_tools.errors import DeviceError, UsageError
from host_tools.link import protocol
from host_tools.link.line import ATTEMPTS, Line, Lost, Refused, Request, other_version
from host_tools.link.protocol import (
    DriftCounts,
    Frame,
    Hello,
    MessageType,
    Place,
    Selftest,
    Sensor,
    Status,
    Take,
)
from host_tools.link.transport import Transport

log = logging.getLogger(__name__)

T = TypeVar("T")
BANNERS = ("tinyproof ", "rst:0x")  # the first line of the firmware, of an ESP32's ROM


class _Array(Protocol):
    """What a numpy array offers; numpy itself is not needed here."""

    def tobytes(self) -> bytes: ...


TensorData = bytes | _Array


def _writes(case: Sequence[bytes]) -> list[Request]:
    return [
        Request(
            type=MessageType.WRITE_INPUT,
            payload=protocol.write_input_payload(tensor, part, data[part : part + size]),
        )
        for tensor, data in enumerate(case)
        for part, size in protocol.parts(len(data), protocol.MAX_DATA)
    ]


class Device:
    """A firmware behind a transport, which it owns from now on; use it as a context manager.

    `timeout_s` bounds the wait for a reply, `run_timeout_s` for one that runs the model, and
    `start_s` for the first sign of life. `running`: the firmware is not about to start, so a
    banner means that opening the port has reset the board, which is told. `images` are ELF files,
    one of which may be the firmware's and then tells the place of a fault. All methods raise
    DeviceError when the device does not answer or refuses.

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
        running: bool = False,
        images: Sequence[Path] = (),
    ) -> None:
        self._transport = transport
        self._start_s = start_s
        self._running = running
        self._line = Line(transport, timeout_s, run_timeout_s, images)
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
        except Lost as loss:
            raise DeviceError(self._silence()) from loss
        if self._running and any(line.startswith(BANNERS) for line in self.log):
            log.warning(
                "%s: the board was reset as its port was opened; what it had counted is lost",
                self._line.name,
            )
        self._hello = self._parse(protocol.parse_hello, reply)
        if self._hello.protocol_version != protocol.PROTOCOL_VERSION:
            raise other_version(self._line.name, self._hello.protocol_version)
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
        reply = self._run_case([Request(type=MessageType.INVOKE)])[0]
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
        replies = self._run_case([Request(type=MessageType.INVOKE), *self._output_requests()])
        assert self._case is not None
        self._ran = (*self._before, self._case)
        return self._join_outputs(replies[1:])

    def selftest(self) -> Selftest:
        """Run the golden vectors that are built into the firmware."""
        self._written = False
        reply = self._line.exchange([Request(type=MessageType.SELFTEST)])[0]
        return self._parse(protocol.parse_selftest, reply)

    def drift(self, *, reset: bool = False) -> DriftCounts:
        """Read what the firmware has counted of its inputs; with `reset` forget it, then read."""
        request = Request(type=MessageType.DRIFT, payload=protocol.u32_payload(int(reset)))
        return self._parse(protocol.parse_drift, self._line.exchange([request])[0])

    def enter_boot_loader(self) -> bool:
        """Have the board reset into its boot loader; False when it has none to be asked so.

        A reply that gets lost is as good as one: the board may be gone already.
        """
        try:
            self._line.once(Request(type=MessageType.BOOT))
        except Refused as refusal:
            if refusal.status != Status.BAD_TYPE:
                raise
            return False
        except Lost:
            pass
        return True

    def profile(self) -> list[int]:
        """Run the model on the written inputs; returns the cost of each step in counts."""
        counts: list[int] = []
        for first, count in protocol.parts(self.info.step_count, protocol.MAX_TICKS):
            payload = protocol.pair_payload(first, count)
            reply = self._run_case([Request(type=MessageType.PROFILE, payload=payload)])[0]
            counts += [self.info.counts(ticks) for ticks in self._u32s(reply, count)]
        return counts

    def place(self, kind: Place, index: int) -> int:
        """Where an input or output lies in the arena, of firmware whose engine plans it there."""
        request = Request(type=MessageType.PLACE, payload=protocol.pair_payload(kind, index))
        return self._u32s(self._line.exchange([request])[0], 1)[0]

    def tap_output(self, step: int, output: int, count: int) -> bytes:
        """As `tap`, of output `output` of the last step: the firmware tells where it lies."""
        self._run_case([Request(type=MessageType.RUN_TO, payload=protocol.u32_payload(step))])
        return self.tap(step, self.place(Place.STEP, output), count)

    def tap(self, step: int, offset: int, count: int) -> bytes:
        """Run steps 0 to `step` on the written inputs; returns arena bytes from `offset` on."""
        requests = [Request(type=MessageType.RUN_TO, payload=protocol.u32_payload(step))]
        for part, size in protocol.parts(count, protocol.MAX_PAYLOAD):
            payload = protocol.pair_payload(offset + part, size)
            requests.append(Request(type=MessageType.READ_ARENA, payload=payload))
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
        except Lost as loss:
            raise DeviceError(
                f"{self._line.name}: {loss}. Reset the board and try again."
            ) from loss
        if lines[-1] != "ok":
            raise UsageError(f"{self._line.name}: {lines[-1].removeprefix('error: ')}")
        return lines[:-1]

    def mlperf(self, text: str, limit_s: float | None = None) -> list[str]:
        """Send a command of MLPerf Tiny, and return the lines before m-ready.

        Raises UsageError when it is refused, DeviceError when nothing comes for `limit_s`.
        """
        _ = self.info
        self._written = False
        try:
            lines = self._line.ask(f"{text}%", "m-ready", limit_s)[:-1]
        except Lost as loss:
            raise DeviceError(f"{self._line.name}: {loss}") from loss
        if lines and lines[-1].startswith("e-["):
            raise UsageError(f"{self._line.name}: {text.split()[0]}: {lines[-1]}")
        return lines

    def exchange(self, requests: Sequence[tuple[MessageType, bytes]]) -> list[bytes]:
        """Send (type, payload) requests that begin from nothing; returns each reply's payload.

        They are sent again, from the first one on, when one gets lost.
        """
        self._written = False
        whole = [Request(type=type_, payload=payload) for type_, payload in requests]
        return [reply.payload for reply in self._repeat(lambda: whole)]

    def _run_case(self, requests: Sequence[Request]) -> list[Frame]:
        """Exchange `requests`, behind the case's inputs when the device does not hold them."""

        def case() -> list[Request]:
            writes = [] if self._written else self._input_requests()
            self._written = False  # a run uses the inputs up, even one whose reply gets lost
            self._ran = None
            return [*writes, *requests]

        replies = self._repeat(case)
        self._written = not requests
        return replies[len(replies) - len(requests) :]

    def _repeat(self, requests: Callable[[], Sequence[Request]]) -> list[Frame]:
        why: Exception | None = None
        for _ in range(ATTEMPTS):
            try:
                return self._line.exchange(requests())
            except Lost as loss:
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

    def _input_requests(self) -> list[Request]:
        if self._case is None:
            raise UsageError(
                f"{self._line.name}: there is no input to run on; call write_inputs first"
            )
        if self._before and self._ran == self._before:
            return _writes(self._case)
        requests = [Request(type=MessageType.RESET)]
        for earlier in self._before:
            requests += [*_writes(earlier), Request(type=MessageType.INVOKE)]
        return [*requests, *_writes(self._case)]

    def _output_requests(self) -> list[Request]:
        return [
            Request(
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


def _record(start: int, following: int) -> Request:
    return Request(type=MessageType.RECORD, payload=protocol.pair_payload(start, following))
