"""Counts what happens on a link, from the bytes that pass: one place, whatever the layers above do.

Damage is a frame of the board whose CRC or stuffing is wrong; an ERROR reply is the board's word
for the same. What had to be sent again the device knows (`lost`).
"""

from __future__ import annotations

import threading
import time
from dataclasses import replace

from host_tools.link.frames import Damage, Event, Frame, FrameDecoder
from host_tools.link.protocol import MessageType
from host_tools.link.transport import Transport
from host_tools.live.state import LinkCounts


class LinkWatch:
    """The counts of a session, over all its connections."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts = LinkCounts()
        self.heard = time.monotonic()

    @property
    def counts(self) -> LinkCounts:
        """So far."""
        with self._lock:
            return self._counts

    def reconnected(self) -> None:
        """The board is back."""
        with self._lock:
            self._counts = replace(self._counts, reconnects=self._counts.reconnects + 1)

    def wrap(self, transport: Transport) -> Transport:
        """The same transport, counted."""
        self.heard = time.monotonic()
        return _Counted(transport, self)

    def count(self, **more: int) -> None:
        """Add to the counts of these names."""
        with self._lock:
            now = {name: getattr(self._counts, name) + value for name, value in more.items()}
            self._counts = replace(self._counts, **now)


class _Counted:
    def __init__(self, inner: Transport, watch: LinkWatch) -> None:
        self.name = inner.name
        self._inner, self._watch = inner, watch
        self._written, self._read = FrameDecoder(), FrameDecoder()
        self._begun = False  # before the first frame a boot banner or half a frame is no damage

    def write(self, data: bytes) -> None:
        """As the inner one."""
        events = self._written.feed(data)
        self._watch.count(sent=sum(isinstance(event, Frame) for event in events))
        self._inner.write(data)

    def read(self, timeout_s: float) -> bytes:
        """As the inner one."""
        data = self._inner.read(timeout_s)
        if data:
            self._watch.heard = time.monotonic()
            events = self._read.feed(data)
            damage = sum(isinstance(event, Damage) for event in events) if self._begun else 0
            self._begun = self._begun or any(isinstance(event, Frame) for event in events)
            self._watch.count(
                received_bytes=len(data),
                crc_errors=damage,
                refused=sum(map(_is_error, events)),
            )
        return data

    def close(self) -> None:
        """As the inner one."""
        self._inner.close()


def _is_error(event: Event) -> bool:
    return isinstance(event, Frame) and event.type == MessageType.ERROR
