"""Requests that stand or fall together: what has been answered, and what has to be sent again."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from host_tools.errors import DeviceError
from host_tools.link.frames import Frame, Status
from host_tools.link.protocol import MessageType

MOST_AGAIN = 20  # times, and one for each request, that a batch goes back before it is lost

_PREPARES = frozenset({MessageType.RESET, MessageType.WRITE_INPUT})
_RUNS = frozenset(
    {MessageType.INVOKE, MessageType.PROFILE, MessageType.RUN_TO, MessageType.SAMPLES}
)
LONG = _RUNS | {MessageType.SELFTEST}  # may take long
_ADVICE: dict[int, str] = {
    Status.BAD_STATE: "Inputs are incomplete or used up, or no output yet: write and invoke.",
    Status.BAD_ARGUMENT: "There is no such tensor or step, or the range lies outside of it.",
    Status.BAD_TYPE: (
        "The firmware is older than these tools, or was built without this part (--without): "
        "build and flash it again."
    ),
    Status.NO_ENGINE: "The engine did not set the model up; the firmware's `info` says why.",
    Status.ARENA_OVERRUN: "The model wrote past its arena: trust no result of this firmware.",
    Status.STALE: "The board has started again, or what arrived was older than what came before.",
}


class Lost(Exception):
    """A request or its reply did not arrive whole; the text says how."""


class Refused(DeviceError):
    """The firmware understood a request and did not carry it out; `status` says why."""

    def __init__(self, name: str, type_: MessageType, status: int) -> None:
        known = status in Status.__members__.values()
        why = Status(status).name if known else f"unknown status {status}"
        super().__init__(
            f"{name}: {type_.name} was refused: {why}. "
            + _ADVICE.get(status, "Flash the firmware that belongs to these tools.")
        )
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A message to the firmware, before it has a number."""

    type: MessageType
    payload: bytes = b""


class Batch:
    """Requests in order, and the replies to them.

    `inputs_crc` is what the last run among them must have run on. With it, replies to what only
    prepares that run need not arrive. `problem` says why the whole has to be sent again, or was
    refused. `number` is the caller's.
    """

    def __init__(
        self, requests: Sequence[Request], *, inputs_crc: int | None = None, number: int = 0
    ) -> None:
        self.requests = tuple(requests)
        self.number = number
        self.problem: Lost | Refused | None = None
        self.round = 0  # replies to what was sent in an earlier one mean nothing
        self._inputs_crc = inputs_crc
        self._replies: list[Frame | None] = [None] * len(self.requests)
        self._to_send = deque(range(len(self.requests)))
        self._sent = 0  # requests that have been sent at least once, from the first on
        self._latest = -1  # the last request that was carried out
        runs = [at for at, request in enumerate(self.requests) if request.type in _RUNS]
        self._last_run = runs[-1] if runs else -1

    @property
    def replies(self) -> list[Frame]:
        """Those that have come; of a batch without a problem all but those that need not."""
        return [reply for reply in self._replies if reply is not None]

    @property
    def done(self) -> bool:
        """Nothing more is to be sent or waited for."""
        if self.problem is not None:
            return True
        missing = (at for at, reply in enumerate(self._replies) if reply is None)
        return not self._to_send and all(map(self._dispensable, missing))

    @property
    def sends(self) -> bool:
        """Something is to be sent."""
        return self.problem is None and bool(self._to_send)

    def next(self) -> int:
        """The index of the request that is to be sent."""
        at = self._to_send.popleft()
        self._sent = max(self._sent, at + 1)
        return at

    def take(self, name: str, at: int, reply: Frame, *, newest: bool) -> None:
        """A reply to request `at`; `newest`: nothing of another batch was sent behind this one."""
        type_ = self.requests[at].type
        if reply.status == Status.OK:
            self._replies[at] = reply
            self._latest = max(self._latest, at)
            self._check_inputs(at, reply)
        elif reply.status == Status.BAD_STATE and (type_ in _PREPARES or type_ in _RUNS):
            first = next((i for i in range(at + 1) if self._unconfirmed(i)), None)
            if first is None or type_ == MessageType.SAMPLES or not self._go_back(first, newest):
                self.problem = Refused(name, type_, reply.status)
        else:
            self.problem = Refused(name, type_, reply.status)

    def miss(self, at: int, *, newest: bool) -> None:
        """Request `at` or its reply got lost: a later one was answered."""
        if self._replies[at] is not None or at in self._to_send or self._dispensable(at):
            return
        type_ = self.requests[at].type
        behind = self.requests[at + 1 : self._sent]
        if type_ in _PREPARES or type_ in _RUNS:
            again = self._go_back(at, newest)
        else:
            again = newest and not any(r.type in _PREPARES or r.type in _RUNS for r in behind)
            if again:
                self._to_send.append(at)
        if not again and self.problem is None:
            self.problem = Lost(f"the reply to {type_.name} is missing")

    def _check_inputs(self, at: int, reply: Frame) -> None:
        if at != self._last_run or self._inputs_crc is None:
            return
        if int.from_bytes(reply.payload[:4], "little") != self._inputs_crc:
            self.problem = Lost(f"{self.requests[at].type.name} ran on other inputs than were sent")

    def _dispensable(self, at: int) -> bool:
        """A reply that is not needed: a later one says as much."""
        type_ = self.requests[at].type
        checked = type_ in _RUNS and at < self._last_run and self._inputs_crc is not None
        return at < self._latest and (type_ in _PREPARES or checked)

    def _unconfirmed(self, at: int) -> bool:
        missing = self._replies[at] is None and self.requests[at].type in _PREPARES
        return missing and not self._dispensable(at)

    def _go_back(self, at: int, newest: bool) -> bool:
        """Send from `at` on again, where that is right: no run behind it has been carried out."""
        ran = any(
            request.type in _RUNS and reply is not None
            for request, reply in zip(self.requests[at:], self._replies[at:], strict=True)
        )
        if not newest or ran or self.round == MOST_AGAIN + len(self.requests):
            return False
        self.round += 1
        self._latest = min(self._latest, at - 1)
        self._replies[at:] = [None] * (len(self.requests) - at)
        self._to_send = deque(range(at, len(self.requests)))
        return True
