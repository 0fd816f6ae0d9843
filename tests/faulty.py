"""A line that loses, changes, doubles and delays bytes."""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from host_tools.link.transport import Transport


class FaultKind(enum.Enum):
    """What happens to a stretch of bytes on the way."""

    DROP = "drop"
    FLIP = "flip"  # every byte is XORed with `mask`
    DUPLICATE = "duplicate"
    DELAY = "delay"  # this and everything behind it is held back for `reads` empty reads


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One scheduled fault: bytes [at, at + count) of one direction's whole stream."""

    kind: FaultKind
    at: int
    count: int = 1
    mask: int = 0x01
    reads: int = 1


class FaultyTransport:
    """A transport that damages chosen bytes of the stream, however it is cut into calls."""

    def __init__(
        self, inner: Transport, *, on_write: Sequence[Fault] = (), on_read: Sequence[Fault] = ()
    ) -> None:
        if any(fault.kind is FaultKind.DELAY for fault in on_write):
            raise ValueError(
                "DELAY works on reads only: a delayed write looks the same to the host"
            )
        self.name = f"faulty {inner.name}"
        self._inner = inner
        self._writes = _FaultLine(on_write)
        self._reads = _FaultLine(on_read)
        self._late: deque[bytes] = deque()

    def write(self, data: bytes) -> None:
        """Send `data` with the scheduled faults."""
        damaged = b"".join(self._writes.pass_through(data))
        if damaged:
            self._inner.write(damaged)

    def read(self, timeout_s: float) -> bytes:
        """Receive with the scheduled faults; a delay shows as reads that return b"" early."""
        if not self._late:
            data = self._inner.read(timeout_s)
            self._late.extend(self._reads.pass_through(data))
        return self._late.popleft() if self._late else b""

    def close(self) -> None:
        """Close the inner transport."""
        self._inner.close()


class _FaultLine:
    """One direction: knows how many bytes have passed and which faults lie ahead."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self._faults = tuple(faults)
        self._position = 0

    def pass_through(self, data: bytes) -> list[bytes]:
        """Return what comes out for `data`, with an empty piece for each read a delay costs."""
        pieces = [bytearray()]
        for byte in data:
            out = bytes([byte])
            for fault in self._faults:
                if fault.at <= self._position < fault.at + fault.count:
                    if fault.kind is FaultKind.DROP:
                        out = b""
                    elif fault.kind is FaultKind.FLIP:
                        out = bytes(value ^ fault.mask for value in out)
                    elif fault.kind is FaultKind.DUPLICATE:
                        out += out
                    elif self._position == fault.at:
                        pieces += [bytearray() for _ in range(fault.reads)] + [bytearray()]
            pieces[-1] += out
            self._position += 1
        return [bytes(piece) for piece in pieces]
