"""Frames to and from one firmware: numbered, on the way ahead of their replies, matched with them.

Replies come in the order of the requests. So the reply to a later request says that an earlier one
or its reply is lost, and when nothing comes, a HELLO behind everything finds out. Nothing is
drained, and a good reply behind a damaged one counts.
"""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from host_tools.errors import DeviceError
from host_tools.link import frames
from host_tools.link.backtrace import explain
from host_tools.link.batch import LONG, Batch, Lost, Refused, Request
from host_tools.link.frames import Damage, Event, Frame, Status, TextLine
from host_tools.link.protocol import MessageType
from host_tools.link.transport import Transport

MAX_WINDOW = 2048  # bytes; with one frame less than a pseudo terminal takes, so no write waits
PIPE_WINDOW = 1024  # bytes; from here on few large writes are faster than many small ones
LEAST_WINDOW = 32  # bytes; below this one request at a time
GOOD_BATCHES = 4  # in a row, behind which a window that was halved doubles
BAD_REPLIES = 3  # missing in a row: the receiver may be deaf while it works
SILENCES = 5  # times the timeout until a device that does not answer counts as dead
PROBE_S = 1.0  # the most of silence before a HELLO asks what got lost; a run may take longer
PATIENCE = 4  # times the usual wait for a reply until that
GRACE_S = 0.05  # the same when as many damaged frames have come as replies were awaited
FULL_PROBE_S = 60.0  # between two HELLOs when those before fill the device's buffer
FAULT_ADVICE = "Reset the board to go on; the same inputs may bring the fault back."
HELLO_S = 1.0  # between two HELLOs to a board that may still be starting
FLOOD_S = 1.0  # how long one who sends without end is listened to when the time is over
TOLD_LINES = 5  # of an answer that did not end
MAX_LOG = 10_000  # lines of text kept at least, and at most twice as many
MAX_ANSWER = 10_000  # lines


class Faulted(DeviceError):
    """A fatal exception has stopped the firmware; the text says which and where."""


class Silent(DeviceError):
    """The device has stopped answering; `number` is that of the batch it should have answered."""

    def __init__(self, text: str, number: int) -> None:
        super().__init__(text)
        self.number = number


def other_version(name: str, version: int) -> DeviceError:
    """The firmware speaks another version of the protocol than these tools."""
    return DeviceError(
        f"{name}: the firmware speaks version {version} of the link protocol, these tools "
        f"{frames.PROTOCOL_VERSION}. Flash the firmware again with these tools: make flash"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sent:
    """A request on the way; a HELLO that only asks belongs to no batch."""

    type: MessageType
    sequence: int
    end: int  # position of the byte behind it among all bytes that were sent
    batch: Batch | None = None
    at: int = 0
    round: int = 0


class Line:
    """Frames to and fro over one transport, which `attach` may replace."""

    def __init__(
        self,
        transport: Transport,
        timeout_s: float,
        run_timeout_s: float,
        images: Sequence[Path] = (),
    ) -> None:
        self.log: list[str] = []
        self.received = 0  # bytes, of any kind
        self.sent = 0  # bytes
        self.lost = 0  # requests whose replies did not come
        self._timeout_s = timeout_s
        self._run_timeout_s = run_timeout_s
        self._images = images
        self._sequence = random.randrange(0x10000)  # late replies to another host fit nothing
        self._most = self._window = 0  # bytes behind the oldest request without a reply
        self._good = self._bad = 0  # batches, and losses, in a row
        self._usual_s: dict[bool, float] = {}  # of a reply to a run, and to anything else
        self.attach(transport)

    def attach(self, transport: Transport) -> None:
        """Go on over this transport, with nothing on the way."""
        self.name = transport.name
        self._transport = transport
        self._decoder = frames.FrameDecoder()
        self._events: deque[Event] = deque()
        self._abandon()

    def open_window(self, receive_bytes: int) -> None:
        """Send ahead as much as the device's line keeps while its firmware is at work."""
        self._most = self._window = min(receive_bytes, MAX_WINDOW)

    def serve(self, following: Callable[[], Batch | None]) -> Generator[Batch]:
        """Keep the line full with the batches that `following` gives, until it gives None.

        Yields each as it is done, in the order in which they end: complete, or with a problem.
        Raises Silent when the device stops answering. What is on the way when the iterator is
        closed is forgotten.
        """
        self._abandon()
        try:
            while True:
                self._fill(following)
                if not self._open:
                    return
                yield from self._next_done()
                while self._events and self._open and self._flight:  # one write for all answers
                    yield from self._next_done()
        finally:
            self._abandon()

    def exchange(self, batch: Batch) -> list[Frame]:
        """Send one batch and return its replies; raises its problem, and as serve does."""
        waiting = [batch] if batch.requests else []
        for done in self.serve(lambda: waiting.pop() if waiting else None):
            if done.problem is not None:
                raise done.problem
        return batch.replies

    def once(self, request: Request) -> Frame:
        """Send a request that must not be repeated, and return its reply; Lost without one."""
        frame = self._number(request)
        self._write(frames.encode(frame))
        reply = self._reply(frame, time.monotonic() + self._timeout_s)
        if reply.status != Status.OK:
            raise Refused(self.name, request.type, reply.status)
        return reply

    def hello(self, start_s: float) -> Frame:
        """Send HELLO once a second until one is answered; Lost after `start_s`."""
        deadline = time.monotonic() + start_s
        frame = self._number(Request(type=MessageType.HELLO))
        while True:
            self._write(frames.encode(frame))
            try:
                pause_s = min(HELLO_S, self._timeout_s)
                return self._reply(frame, min(deadline, time.monotonic() + pause_s))
            except Lost:
                if time.monotonic() >= deadline:
                    raise

    def ask(self, text: str, last: str = "ok", limit_s: float | None = None) -> list[str]:
        """Send a line of text; returns the lines up to `last` or "error: ...".

        Text that ends with % is a command of MLPerf Tiny and no line. Raises Lost when the answer
        does not end within `limit_s`, None is the limit of a run, or within MAX_ANSWER lines.
        """
        answer: list[str] = []
        limit_s = self._run_timeout_s if limit_s is None else limit_s
        self._drain()
        end = "" if text.endswith("%") else "\n"
        self._transport.write(frames.DELIMITER + (text + end).encode("ascii"))
        deadline = time.monotonic() + limit_s
        while not (answer and (answer[-1] == last or answer[-1].startswith("error: "))):
            event = self._event(deadline)
            if event is None:
                raise Lost(
                    f"the answer to '{text}' did not end in {limit_s:.0f} s: {answer[-TOLD_LINES:]}"
                )
            if isinstance(event, TextLine):
                answer.append(event.text)
            if len(answer) > MAX_ANSWER:
                raise Lost(
                    f"the answer to '{text}' did not end in {MAX_ANSWER:,} lines: "
                    f"{answer[-TOLD_LINES:]}"
                )
        return answer

    def _number(self, request: Request) -> Frame:
        self._sequence = (self._sequence + 1) % 0x10000
        return Frame(type=request.type, sequence=self._sequence, payload=request.payload)

    def _write(self, data: bytes) -> None:
        self.sent += len(data)
        try:
            self._transport.write(data)
        except DeviceError:
            self._drain()  # an emulator that ends by a fault has told it before
            raise

    def _abandon(self) -> None:
        self._flight: deque[_Sent] = deque()
        self._outbox = bytearray()  # the rest of a frame that the window has cut
        self._queued = self.sent  # position of the byte behind all that is on the way or to send
        self._newest: Batch | None = None
        self._open: dict[int, Batch] = {}  # begun and not done, by id
        self._progress()

    def _progress(self) -> None:
        """Something was answered, or begins."""
        self._since = self._asked = time.monotonic()
        self._probes = self._noise = 0

    def _fill(self, following: Callable[[], Batch | None]) -> None:
        """Send as much as the device can take in, beginning with what goes back."""
        if not self._open:
            self._flight.clear()  # of HELLOs whose answers say nothing any more
            self._progress()
        while self._queued < self._limit():
            if self._newest is None or not self._newest.sends:
                batch = following()
                if batch is None:
                    break
                self._newest = self._open[id(batch)] = batch
                continue
            at = self._newest.next()
            self._post(self._newest.requests[at], self._newest, at)
        part = self._outbox[: max(0, self._limit() - self.sent)]
        least = self._window // 2 if self._window >= PIPE_WINDOW else 1
        if part and len(part) >= min(len(self._outbox), least):
            del self._outbox[: len(part)]
            self._write(bytes(part))

    def _limit(self) -> int:
        """The position up to which bytes may be sent: a window behind the oldest request."""
        return self._flight[0].end + self._window if self._flight else self._queued + 1

    def _post(self, request: Request, batch: Batch | None = None, at: int = 0) -> None:
        frame = self._number(request)
        wire = frames.encode(frame)
        self._outbox += wire
        self._queued += len(wire)
        self._flight.append(
            _Sent(
                type=request.type,
                sequence=frame.sequence,
                end=self._queued,
                batch=batch,
                at=at,
                round=batch.round if batch else 0,
            )
        )

    def _next_done(self) -> list[Batch]:
        """Wait for one event; the batches that are done by it."""
        oldest = self._flight[0]
        limit_s = self._run_timeout_s if oldest.type in LONG else SILENCES * self._timeout_s
        event = self._event(min(self._asked + self._patience(), self._since + limit_s))
        if isinstance(event, Damage) and event.version:
            raise other_version(self.name, event.version)
        if isinstance(event, Damage) or (
            isinstance(event, Frame) and event.type == MessageType.ERROR
        ):
            self._noise += 1
        elif isinstance(event, Frame):
            return self._match(event)
        elif event is None and time.monotonic() >= self._since + limit_s:
            raise self._silence(oldest, limit_s)
        elif event is None:
            self._probe()
        return []

    def _patience(self) -> float:
        """Seconds of silence, since something was sent or asked, until a HELLO asks."""
        if self._noise >= len(self._flight):
            return min(self._timeout_s, GRACE_S * (1 << self._probes))
        long = self._flight[0].type in LONG
        if self._probes == 0 or not long:
            usual_s = PATIENCE * self._usual_s.get(long, PROBE_S)
            return min(self._timeout_s, PROBE_S, max(GRACE_S, usual_s) * (1 << self._probes))
        held = self._probes * len(frames.encode(Frame(type=MessageType.HELLO, sequence=1)))
        return self._timeout_s if held <= max(self._most, LEAST_WINDOW) else FULL_PROBE_S

    def _probe(self) -> None:
        """A HELLO behind everything; what the window has cut will not be sent on."""
        self._queued -= len(self._outbox)
        self._outbox.clear()
        self._post(Request(type=MessageType.HELLO))
        data, self._outbox = bytes(self._outbox), bytearray()
        self._write(data)
        self._asked = time.monotonic()
        self._probes += 1

    def _silence(self, oldest: _Sent, limit_s: float) -> Silent:
        number = next(iter(self._open.values())).number  # the first that was begun
        if oldest.type in LONG:
            text = f"{oldest.type.name} did not end in {limit_s:.0f} s; reset the board."
        else:
            text = (
                f"no reply to {oldest.type.name} in {limit_s:.0f} s, nor to {self._probes} HELLOs "
                "behind it. Check the cable and the speed, then reset the board."
            )
        return Silent(f"{self.name}: {text}", number)

    def _match(self, reply: Frame) -> list[Batch]:
        """Find the request of a reply; those before it have got none. Late replies fit nothing."""
        place = next(
            (
                place
                for place, sent in enumerate(self._flight)
                if sent.sequence == reply.sequence and reply.type == sent.type | frames.REPLY
            ),
            None,
        )
        if place is None:
            return []
        missing = [self._flight.popleft() for _ in range(place)]
        answered = self._flight.popleft()
        if missing:
            self._good, self._bad = 0, self._bad + 1
            if self._bad >= BAD_REPLIES:
                self._window = self._window // 2 if self._window > LEAST_WINDOW else 0
        else:
            took_s, long = time.monotonic() - self._since, answered.type in LONG
            self._usual_s[long] = max(took_s, 0.9 * self._usual_s.get(long, 0.0))
        self._progress()
        if reply.status == Status.OK:  # which may say that what is missing was carried out
            self._take(answered, reply)
        for sent in missing:
            self.lost += 1
            if (batch := self._living(sent)) is not None:
                batch.miss(sent.at, newest=batch is self._newest)
        if reply.status != Status.OK:  # which may be what is missing that was to blame for
            self._take(answered, reply)
        touched = [sent.batch for sent in (answered, *missing) if sent.batch is not None]
        return self._close(dict.fromkeys(touched))

    def _take(self, answered: _Sent, reply: Frame) -> None:
        if (batch := self._living(answered)) is not None:
            batch.take(self.name, answered.at, reply, newest=batch is self._newest)

    def _living(self, sent: _Sent) -> Batch | None:
        batch = sent.batch
        return batch if batch and not batch.done and batch.round == sent.round else None

    def _close(self, touched: Iterable[Batch]) -> list[Batch]:
        """Those of the batches that are done."""
        ended = []
        for batch in touched:
            if id(batch) not in self._open:
                continue
            done = batch.done
            if not done and not batch.sends and all(s.batch is not batch for s in self._flight):
                batch.problem = Lost("replies are missing")
                done = True
            if done:
                del self._open[id(batch)]
                ended.append(batch)
                if batch.problem is None:
                    self._good, self._bad = self._good + 1, 0
        if self._good >= GOOD_BATCHES:
            self._window = min(self._most, max(LEAST_WINDOW, 2 * self._window))
            self._good = 0
        return ended

    def _reply(self, request: Frame, deadline: float) -> Frame:
        """Wait for the reply to `request` alone; Lost when it does not come."""
        while True:
            event = self._event(deadline)
            if event is None:
                raise Lost(f"no reply to {MessageType(request.type).name}")
            if isinstance(event, Damage) and event.version:
                raise other_version(self.name, event.version)
            if (
                isinstance(event, Frame)
                and event.type == request.type | frames.REPLY
                and event.sequence == request.sequence
            ):
                return event

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
            if len(self.log) >= 2 * MAX_LOG:
                del self.log[:-MAX_LOG]
        if isinstance(event, Frame) and event.type == MessageType.FAULT | frames.REPLY:
            told = explain(event.payload, self._images)
            raise Faulted(f"{self.name}: {told}\n{FAULT_ADVICE}")
        return event

    def _drain(self) -> None:
        """Take what has arrived."""
        now = time.monotonic()
        while self._event(now) is not None:
            pass
