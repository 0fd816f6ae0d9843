"""One running firmware: say hello, run the model, read any tensor, over any transport.

A lost or damaged frame is repeated a bounded number of times. Running the model uses up its
inputs and may change its state, so every case begins with a RESET, whatever includes a run is
repeated from there on, and the reply to a run proves by a CRC what it ran on.
"""

from __future__ import annotations

import contextlib
import zlib
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from host_tools.errors import DeviceError, UsageError
from host_tools.link import frames, protocol
from host_tools.link.batch import Batch, Lost, Refused, Request
from host_tools.link.frames import Frame, Status
from host_tools.link.line import Silent
from host_tools.link.protocol import (
    DriftCounts,
    MessageType,
    Place,
    Selftest,
    Sensor,
    Take,
)
from host_tools.link.session import ATTEMPTS, Session
from host_tools.link.transport import Gone

T = TypeVar("T")


class _Array(Protocol):
    """What a numpy array offers; numpy itself is not needed here."""

    def tobytes(self) -> bytes: ...


TensorData = bytes | _Array


@dataclass(frozen=True, slots=True)
class _Case:
    """Inputs, and those of the cases that run before them from the state that a reset leaves."""

    inputs: tuple[bytes, ...]
    before: tuple[tuple[bytes, ...], ...] = ()

    @property
    def crc(self) -> int:
        """What the device replies when it has run on all of them."""
        value = 0
        for inputs in (*self.before, self.inputs):
            for data in inputs:
                value = zlib.crc32(data, value)
        return value


def _writes(case: Sequence[bytes]) -> list[Request]:
    return [
        Request(
            type=MessageType.WRITE_INPUT,
            payload=protocol.write_input_payload(tensor, part, data[part : part + size]),
        )
        for tensor, data in enumerate(case)
        for part, size in protocol.parts(len(data), protocol.MAX_DATA)
    ]


class Device(Session):
    """A model on a device: its inputs, runs, outputs and tensors, and what a firmware knows."""

    _case: _Case | None = None
    _ran: tuple[tuple[bytes, ...], ...] | None = None  # since a reset, with what is on the way
    _written = False  # the device holds the whole case, unused

    def write_inputs(
        self, inputs: Sequence[TensorData], after: Sequence[Sequence[TensorData]] = ()
    ) -> None:
        """Write every input of the model, in order; later runs use them, as often as needed.

        `after` are cases that run before, from the state that a reset leaves.
        """
        self._set_case(self._checked(inputs, after))
        self._run_case([])

    def invoke(self) -> int:
        """Run the model on the written inputs; returns the cost in counts."""
        reply = self._run_case([Request(type=MessageType.INVOKE)])[0]
        return self.info.counts(self._u32s(reply, 2)[1])

    def read_outputs(self) -> list[bytes]:
        """Return every output of the last run, in order."""
        return self._join_outputs(self._perform(self._output_requests()))

    def run(
        self, inputs: Sequence[TensorData], after: Sequence[Sequence[TensorData]] = ()
    ) -> list[bytes]:
        """Write the inputs, run the model, and return every output, in order.

        `after` are cases that run before, from the state that a reset leaves; they are not run
        again when they are what the device has just run.
        """
        ((_, outputs),) = self.run_all([(inputs, after)])
        if isinstance(outputs, DeviceError):
            raise outputs
        return outputs

    def run_all(
        self, cases: Iterable[tuple[Sequence[TensorData], Sequence[Sequence[TensorData]]]]
    ) -> Iterator[tuple[int, list[bytes] | DeviceError]]:
        """As `run`, of many (inputs, after): the next are on the way while the device answers.

        Yields, in the order in which they end, each case's place in `cases` with its outputs or, of
        one that was given up, the error. What refuses the next case as well is raised.
        """
        _ = self.info
        fresh = enumerate(cases)
        waiting: deque[tuple[int, _Case]] = deque()  # for another attempt
        flying: dict[int, _Case] = {}
        attempts: Counter[int] = Counter()
        outputs = len(self._output_requests())

        def following() -> Batch | None:
            if waiting:
                number, case = waiting.popleft()
            elif (new := next(fresh, None)) is not None:
                number, case = new[0], self._checked(*new[1])
            else:
                return None
            flying[number] = case
            return self._case_batch(case, number)

        def again(numbers: Sequence[int]) -> None:
            waiting.extendleft((n, flying.pop(n)) for n in sorted(numbers, reverse=True))
            self._ran = None

        while True:
            try:
                with contextlib.closing(self._line.serve(following)) as ended:
                    for batch in ended:
                        if batch.problem is None:
                            self._returns = 0
                            self._set_case(flying.pop(batch.number))
                            yield batch.number, self._join_outputs(batch.replies[-outputs:])
                            continue
                        self._require_repeatable(batch.problem)
                        attempts[batch.number] += 1
                        self.setbacks.retries += 1
                        if attempts[batch.number] == ATTEMPTS:
                            del flying[batch.number]
                            yield batch.number, self._gave_up(batch.problem)
                        else:
                            again([batch.number])
                        if self._is_stale(batch.problem):
                            break
                    else:
                        return
                again(list(flying))
                self._start_over()
            except Gone as gone:
                self.setbacks.retries += len(flying)
                again(list(flying))
                self._come_back(gone)
            except Silent as silent:
                flying.pop(silent.number)
                again(list(flying))
                yield silent.number, silent

    def selftest(self) -> Selftest:
        """Run the golden vectors that are built into the firmware; of one without any, no cases."""
        self._written = False
        try:
            reply = self._perform([Request(type=MessageType.SELFTEST)])[0]
        except Refused as refusal:
            if refusal.status != Status.BAD_TYPE or self.info.golden_count > 0:
                raise
            return Selftest(cases=0, failures=0, first_case=0, first_byte=0, expected=0, got=0)
        found = self._parse(protocol.parse_selftest, reply)
        if found.cases != self.info.golden_count:
            raise DeviceError(
                f"{self._line.name}: the self-test ran {found.cases:,} golden vectors, the "
                f"firmware has {self.info.golden_count:,}. Flash the firmware that belongs to "
                "these tools."
            )
        return found

    def drift(self, *, reset: bool = False) -> DriftCounts:
        """Read what the firmware has counted of its inputs; with `reset` forget it, then read."""
        request = Request(type=MessageType.DRIFT, payload=protocol.u32_payload(int(reset)))
        return self._parse(protocol.parse_drift, self._perform([request])[0])

    def enter_boot_loader(self) -> bool:
        """Have the board reset into its boot loader; False when it has none to be asked so.

        A reply that gets lost is as good as one: the board may be gone already.
        """
        _ = self.info  # before HELLO the firmware carries nothing out
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
            counts += [self.info.counts(ticks) for ticks in self._u32s(reply, 1 + count)[1:]]
        return counts

    def place(self, kind: Place, index: int) -> int:
        """Where an input or output lies in the arena, of firmware whose engine plans it there."""
        request = Request(type=MessageType.PLACE, payload=protocol.pair_payload(kind, index))
        return self._u32s(self._perform([request])[0], 1)[0]

    def tap_output(self, step: int, output: int, count: int) -> bytes:
        """As `tap`, of output `output` of the last step: the firmware tells where it lies."""
        self._run_case([Request(type=MessageType.RUN_TO, payload=protocol.u32_payload(step))])
        return self.tap(step, self.place(Place.STEP, output), count)

    def tap(self, step: int, offset: int, count: int) -> bytes:
        """Run steps 0 to `step` on the written inputs; returns arena bytes from `offset` on."""
        requests = [Request(type=MessageType.RUN_TO, payload=protocol.u32_payload(step))]
        for part, size in protocol.parts(count, frames.MAX_PAYLOAD):
            payload = protocol.pair_payload(offset + part, size)
            requests.append(Request(type=MessageType.READ_ARENA, payload=payload))
        data = b"".join(reply.payload for reply in self._run_case(requests)[1:])
        return self._sized(data, count)

    def record_start(self) -> Sensor:
        """Begin to record from the board's sensor; Refused when there is none."""
        reply = self._perform([_record(1, 0)])[0]
        return self._parse(protocol.parse_sensor, reply)

    def record_read(self, following: int, channels: int) -> Take:
        """What has been measured from sample `following` on; those before it are forgotten."""
        reply = self._perform([_record(0, following)])[0]
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
        return [reply.payload for reply in self._repeat(lambda: Batch(whole))]

    def _run_case(self, requests: Sequence[Request]) -> list[Frame]:
        """Exchange `requests`, behind the case's inputs when the device does not hold them."""
        if self._case is None:
            raise UsageError(
                f"{self._line.name}: there is no input to run on; call write_inputs first"
            )
        case = self._case

        def batch() -> Batch:
            writes = [] if self._written else self._input_requests(case)
            self._written = False  # a run uses the inputs up, even one whose reply gets lost
            self._ran = None
            return Batch([*writes, *requests], inputs_crc=case.crc if requests else None)

        replies = self._repeat(batch)
        self._written = not requests
        return replies[len(replies) - len(requests) :]

    def _set_case(self, case: _Case) -> None:
        self._case = case
        self._written = False

    def _checked(
        self, inputs: Sequence[TensorData], after: Sequence[Sequence[TensorData]]
    ) -> _Case:
        return _Case(self._sized_inputs(inputs), tuple(map(self._sized_inputs, after)))

    def _sized_inputs(self, inputs: Sequence[TensorData]) -> tuple[bytes, ...]:
        data = tuple(value if isinstance(value, bytes) else value.tobytes() for value in inputs)
        sizes = tuple(len(value) for value in data)
        if sizes != self.info.input_bytes:
            raise UsageError(
                f"{self._line.name}: got inputs of {sizes} bytes; model '{self.info.model_name}' "
                f"takes {self.info.input_bytes}. Give one int8 array for each input, in order."
            )
        return data

    def _case_batch(self, case: _Case, number: int) -> Batch:
        """Inputs, INVOKE and the outputs, from whatever the device will have run by then."""
        requests = [*self._input_requests(case), Request(type=MessageType.INVOKE)]
        self._ran = (*case.before, case.inputs)
        whole = [*requests, *self._output_requests()]
        return Batch(whole, inputs_crc=case.crc, number=number)

    def _input_requests(self, case: _Case) -> list[Request]:
        if case.before and self._ran == case.before:
            return _writes(case.inputs)
        requests = [Request(type=MessageType.RESET)]
        for earlier in case.before:
            requests += [*_writes(earlier), Request(type=MessageType.INVOKE)]
        return [*requests, *_writes(case.inputs)]

    def _output_requests(self) -> list[Request]:
        return [
            Request(
                type=MessageType.READ_OUTPUT,
                payload=protocol.read_output_payload(tensor, part, size),
            )
            for tensor, total in enumerate(self.info.output_bytes)
            for part, size in protocol.parts(total, frames.MAX_PAYLOAD)
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


def _record(start: int, following: int) -> Request:
    return Request(type=MessageType.RECORD, payload=protocol.pair_payload(start, following))
