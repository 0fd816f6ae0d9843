"""Frames to and from one firmware: numbered, matched with their replies, repeated when lost."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from host_tools.errors import DeviceError
from host_tools.link import protocol
from host_tools.link.backtrace import explain
from host_tools.link.protocol import Damage, Event, Frame, MessageType, Status, TextLine
from host_tools.link.transport import Transport

ATTEMPTS = 5  # for each frame, and for each run with its inputs
FAULT_ADVICE = "Reset the board to go on; the same inputs may bring the fault back."
HELLO_S = 1.0  # between two HELLOs to a board that may still be starting
FLOOD_S = 1.0  # how long one who sends without end is listened to when the time is over
TOLD_LINES = 5  # of an answer that did not end

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
    Status.NO_ENGINE: "The engine did not set the model up; the firmware's `info` says why.",
    Status.ARENA_OVERRUN: "The model wrote past its arena: trust no result of this firmware.",
}


class Lost(Exception):
    """A request or its reply did not arrive whole; the text says how."""


class Faulted(DeviceError):
    """A fatal exception has stopped the firmware; the text says which and where."""


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


def other_version(name: str, version: int) -> DeviceError:
    """The firmware speaks another version of the protocol than these tools."""
    return DeviceError(
        f"{name}: the firmware speaks version {version} of the link protocol, these tools "
        f"{protocol.PROTOCOL_VERSION}. Flash the firmware again with these tools: make flash"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A message to the firmware, before it has a number."""

    type: MessageType
    payload: bytes = b""


class Line:
    """Frames to and fro: numbers requests, finds their replies, and repeats what got lost."""

    def __init__(
        self,
        transport: Transport,
        timeout_s: float,
        run_timeout_s: float,
        images: Sequence[Path] = (),
    ) -> None:
        self.name = transport.name
        self.log: list[str] = []
        self.received = 0  # bytes, of any kind
        self._transport = transport
        self._timeout_s = timeout_s
        self._run_timeout_s = run_timeout_s
        self._images = images
        self._decoder = protocol.FrameDecoder()
        self._events: deque[Event] = deque()
        self._sequence = 0
        self._several_at_once = True

    def exchange(self, requests: Sequence[Request]) -> list[Frame]:
        """Send all and return the replies in order; Lost when a run needs its inputs again."""
        frames = [self._number(request) for request in requests]
        if self._several_at_once and len(frames) > 1:
            try:
                return self._at_once(frames)
            except Lost:
                self._several_at_once = False
                if any(request.type in _RUNS for request in requests):
                    raise
        return [self._one(frame) for frame in frames]

    def once(self, request: Request) -> Frame:
        """Send a request that must not be repeated, and return its reply; Lost without one."""
        frame = self._number(request)
        self._send([frame])
        return self._reply(frame, self._timeout_s)

    def hello(self, start_s: float) -> Frame:
        """Send HELLO once a second until one is answered; Lost after `start_s`."""
        deadline = time.monotonic() + start_s
        frame = self._number(Request(type=MessageType.HELLO))
        while True:
            self._send([frame])
            try:
                left_s = max(0.0, deadline - time.monotonic())
                return self._reply(frame, min(HELLO_S, self._timeout_s, left_s))
            except Lost:
                if time.monotonic() >= deadline:
                    raise

    def ask(self, text: str, last: str = "ok", limit_s: float | None = None) -> list[str]:
        """Send a line of text; returns the lines up to `last` or "error: ...".

        Text that ends with % is a command of MLPerf Tiny and no line. Raises Lost when nothing
        comes for `limit_s`; None is the limit of a run.
        """
        answer: list[str] = []
        limit_s = self._run_timeout_s if limit_s is None else limit_s
        self._drain()
        end = "" if text.endswith("%") else "\n"
        self._transport.write(protocol.DELIMITER + (text + end).encode("ascii"))
        deadline = time.monotonic() + limit_s
        while not (answer and (answer[-1] == last or answer[-1].startswith("error: "))):
            event = self._event(deadline)
            if event is None:
                raise Lost(
                    f"the answer to '{text}' did not end in {limit_s:.0f} s: {answer[-TOLD_LINES:]}"
                )
            if isinstance(event, TextLine):
                answer.append(event.text)
        return answer

    def _number(self, request: Request) -> Frame:
        self._sequence = (self._sequence + 1) % 0x10000
        return Frame(type=request.type, sequence=self._sequence, payload=request.payload)

    def _send(self, frames: Sequence[Frame]) -> None:
        try:
            self._transport.write(b"".join(protocol.encode(frame) for frame in frames))
        except DeviceError:
            self._drain()  # an emulator that ends by a fault has told it before
            raise

    def _at_once(self, frames: Sequence[Frame]) -> list[Frame]:
        self._send(frames)
        return [self._reply(frame, self._limit(frame)) for frame in frames]

    def _one(self, frame: Frame) -> Frame:
        why: Lost | None = None
        for _ in range(ATTEMPTS):
            self._send([frame])
            try:
                return self._reply(frame, self._limit(frame))
            except Lost as loss:
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
        A HELLO can get lost as well, so more follow, each after twice the wait of the one before:
        a run of ten minutes leaves nine of them in the buffer of the device.
        """
        name = MessageType(request.type).name
        is_run = request.type in _RUNS
        end = time.monotonic() + limit_s
        wait_s = min(limit_s, self._timeout_s) if is_run else limit_s
        deadline = time.monotonic() + wait_s
        while True:
            event = self._event(deadline)
            if event is None and is_run and deadline < end:
                self._send([self._number(Request(type=MessageType.HELLO))])
                wait_s *= 2
                deadline = min(end, deadline + wait_s)
            elif event is None and is_run:
                raise DeviceError(
                    f"{self.name}: {name} did not end in {limit_s:.0f} s; reset the board."
                )
            elif event is None:
                raise Lost(f"no reply to {name} in {limit_s:.1f} s")
            elif isinstance(event, Damage) and event.version:
                raise other_version(self.name, event.version)
            elif isinstance(event, Damage):
                raise Lost(f"a damaged reply ({event.status.name}) while waiting for {name}")
            elif isinstance(event, Frame):
                if event.type == MessageType.ERROR:
                    raise Lost(
                        f"{name} or what came before it arrived damaged (status {event.status})"
                    )
                ahead = (event.sequence - request.sequence) % 0x10000
                if ahead == 0 and event.type == request.type | protocol.REPLY:
                    return self._accept(request, event)
                if 0 < ahead < 0x8000:
                    raise Lost(f"the reply to {name} is missing")

    def _accept(self, request: Frame, reply: Frame) -> Frame:
        if reply.status != Status.OK:
            raise Refused(self.name, request, reply.status)
        return reply

    def _event(self, deadline: float) -> Event | None:
        """Return what arrives next, or None when nothing does in time; text is logged as well.

        Behind the deadline counts what has arrived by then, and FLOOD_S of what goes on coming.
        """
        while not self._events:
            left_s = deadline - time.monotonic()
            data = self._transport.read(max(0.0, left_s)) if left_s > -FLOOD_S else b""
            if not data:
                return None
            self.received += len(data)
            self._events.extend(self._decoder.feed(data))
        event = self._events.popleft()
        if isinstance(event, TextLine):
            self.log.append(event.text)
        if isinstance(event, Frame) and event.type == MessageType.FAULT | protocol.REPLY:
            told = explain(event.payload, self._images)
            raise Faulted(f"{self.name}: {told}\n{FAULT_ADVICE}")
        return event

    def _drain(self) -> None:
        """Take what has arrived."""
        now = time.monotonic()
        while self._event(now) is not None:
            pass
