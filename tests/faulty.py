"""A line that loses, changes, doubles and delays bytes."""

from __future__ import annotations

import enum
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from host_tools.link.transport import Gone, Transport


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


class NoisyTransport:
    """Loses whole frames and flips single bits at random, and resets `inner` now and then.

    `lost` and `flipped` are shares of what stands between two delimiters, each way; `resets` are
    positions in the written stream at which the other side is gone.
    """

    def __init__(
        self,
        inner: Transport,
        seed: int,
        *,
        lost: float,
        flipped: float,
        resets: list[int] | None = None,
    ) -> None:
        self.name = inner.name
        self._inner = inner
        self._resets = [] if resets is None else resets  # shared by those who follow
        self._written = 0
        self._lines = [_NoisyLine(random.Random(seed + i), lost, flipped) for i in range(2)]

    def write(self, data: bytes) -> None:
        """Send what is left of `data`; Gone at a reset."""
        begun, self._written = self._written, self._written + len(data)
        if self._resets and self._written >= self._resets[0]:
            part = data[: self._resets.pop(0) - begun]
            self._inner.write(self._lines[0].pass_through(part))
            raise Gone(f"{self.name}: the connection ended: reset")
        if damaged := self._lines[0].pass_through(data):
            self._inner.write(damaged)

    def read(self, timeout_s: float) -> bytes:
        """Receive what is left; b"" may come early."""
        return self._lines[1].pass_through(self._inner.read(timeout_s))

    def close(self) -> None:
        """Close the inner transport."""
        self._inner.close()


class _NoisyLine:
    """One direction; a frame's fate is decided at its first byte."""

    def __init__(self, chance: random.Random, lost: float, flipped: float) -> None:
        self._random, self._lost, self._flipped = chance, lost, flipped
        self._fate = "begin"
        self._spoilt = 0  # the byte of the frame that changes

    def pass_through(self, data: bytes) -> bytes:
        out = bytearray()
        for byte in data:
            if byte == 0:
                self._fate = "begin"
                out.append(0)
                continue
            if self._fate == "begin":
                drawn = self._random.random()
                self._fate = "lost" if drawn < self._lost else "kept"
                if self._lost <= drawn < self._lost + self._flipped:
                    self._fate, self._spoilt = "flipped", self._random.randrange(16)
            if self._fate == "flipped" and self._spoilt == 0:
                byte ^= 1 << self._random.randrange(8)
                self._fate = "kept"
            self._spoilt -= 1
            if self._fate != "lost":
                out.append(byte)
        return bytes(out)
