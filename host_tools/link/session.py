"""The conversation with one running firmware, through lost frames, resets and unplugged cables."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from host_tools.errors import DeviceError
from host_tools.link import frames, protocol
from host_tools.link.batch import Batch, Lost, Refused, Request
from host_tools.link.frames import Frame, Status
from host_tools.link.line import Line, other_version
from host_tools.link.protocol import Hello
from host_tools.link.transport import Gone, Transport

log = logging.getLogger(__name__)

T = TypeVar("T")
S = TypeVar("S", bound="Session")  # typing.Self is of Python 3.11
ATTEMPTS = 20  # at each case; cheap, because what was lost is noticed at once
RETURNS = 3  # times in a row that a device may go away and come back without a result
BANNERS = ("tinyproof ", "rst:0x")  # the first line of the firmware, of an ESP32's ROM
_REPEATED = (Status.BAD_STATE, Status.STALE)  # what a lost or late request leaves behind


@dataclass(slots=True, kw_only=True)
class Setbacks:
    """What went wrong on the way and was made up for."""

    retries: int = 0  # cases that had to be sent again
    restarts: int = 0  # of the firmware, or a late request: HELLO had to be said again
    reconnects: int = 0  # the line had gone and was opened again


class Session:
    """A firmware behind a transport, which it owns from now on; use it as a context manager.

    `timeout_s` bounds the wait for a reply, `run_timeout_s` for one that runs the model, and
    `start_s` for the first sign of life. `running`: the firmware is not about to start, so a
    banner means that opening the port has reset the board, which is told. `images` are ELF files,
    one of which may be the firmware's and then tells the place of a fault. `reconnect` opens the
    line again after it has gone, by a reset or an unplugged cable, and waits for it; the firmware
    that answers there must be the same. All methods raise DeviceError when the device does not
    answer or refuses.
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
        reconnect: Callable[[], Transport] | None = None,
    ) -> None:
        self.setbacks = Setbacks()
        self._transport = transport
        self._reconnect = reconnect
        self._returns = 0  # since the last result
        self._start_s = start_s
        self._running = running
        self._line = Line(transport, timeout_s, run_timeout_s, images)
        self._hello: Hello | None = None

    def __enter__(self: S) -> S:
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
    def lost(self) -> int:
        """Requests so far whose replies did not come; what still matters was sent again."""
        return self._line.lost

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
        first = self._hello is None  # later the same words may be an answer to `info`
        if self._running and first and any(line.startswith(BANNERS) for line in self.log):
            log.warning(
                "%s: the board was reset as its port was opened; what it had counted is lost",
                self._line.name,
            )
        self._hello = self._parse(protocol.parse_hello, reply)
        if self._hello.protocol_version != frames.PROTOCOL_VERSION:
            raise other_version(self._line.name, self._hello.protocol_version)
        self._line.open_window(self._hello.receive_bytes)
        return self._hello

    def _perform(self, requests: Sequence[Request]) -> list[Frame]:
        """Exchange requests that may be sent again one by one; BAD_STATE is a refusal."""
        return self._repeat(lambda: Batch(requests), repeated=(Status.STALE,))

    def _repeat(
        self, make: Callable[[], Batch], repeated: Sequence[Status] = _REPEATED
    ) -> list[Frame]:
        """Exchange a batch, made anew for each attempt, until all of it is answered."""
        why: Exception | None = None
        for _ in range(ATTEMPTS):
            try:
                replies = self._line.exchange(make())
            except Gone as gone:
                self._come_back(gone)
                why = gone
            except (Lost, Refused) as problem:
                self._require_repeatable(problem, repeated)
                why = problem
                if self._is_stale(problem):
                    self._start_over()
            else:
                self._returns = 0
                return replies
            self.setbacks.retries += 1
        raise self._gave_up(why) from why

    def _require_repeatable(
        self, problem: Lost | Refused, repeated: Sequence[Status] = _REPEATED
    ) -> None:
        if isinstance(problem, Refused) and problem.status not in repeated:
            raise problem

    def _is_stale(self, problem: Lost | Refused) -> bool:
        return isinstance(problem, Refused) and problem.status == Status.STALE

    def _gave_up(self, why: Exception | None) -> DeviceError:
        return DeviceError(
            f"{self._line.name}: gave up on a run after {ATTEMPTS} attempts: "
            f"{str(why).rstrip('.')}. "
            "Check the cable and the speed, then reset the board."
        )

    def _start_over(self) -> None:
        """Behind STALE: say HELLO, again or for the first time."""
        self.setbacks.restarts += self._hello is not None
        try:
            self._greet_again()
        except Gone as gone:
            self._come_back(gone)

    def _greet_again(self) -> None:
        """HELLO to a firmware that has started again: it must be the one that it was."""
        before = self._hello
        after = self.hello()
        if before is not None and _identity(before) != _identity(after):
            raise DeviceError(
                f"{self._line.name}: another firmware answers than before: board "
                f"{after.board_id}, model {after.model_name} ({after.model_sha256[:16]}), run "
                f"{after.run_id}; before it was {before.board_id}, {before.model_name} "
                f"({before.model_sha256[:16]}), run {before.run_id}. Connect the board that the "
                "run began with and repeat."
            )

    def _come_back(self, gone: Gone) -> None:
        """Open the line again, if that can be done; raises `gone` when it helps no more."""
        while True:
            self._returns += 1
            if self._reconnect is None or self._returns > RETURNS:
                raise gone
            log.warning("%s; looking for it again", gone)
            self._transport.close()
            self.setbacks.reconnects += 1
            try:
                self._transport = self._reconnect()
                self._line.attach(self._transport)
                self._greet_again()
            except Gone as again:
                gone = again
            else:
                return

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


def _identity(hello: Hello) -> tuple[str, ...]:
    """What must not change while a run goes on."""
    return (
        hello.board_id,
        hello.model_sha256,
        hello.run_id,
        hello.kernels,
        hello.framework,
        hello.engine,
    )
