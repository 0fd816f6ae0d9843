"""The last samples of a signal, in a bounded ring."""

from __future__ import annotations

from collections import deque

import numpy as np

from host_tools.link.protocol import Sensor
from host_tools.live.state import Int16, Signal

MAX_VALUES = 1 << 20  # int16: 2 MiB, 58 minutes of six channels at 50 Hz
MAX_GAPS = 1000


class SignalHistory:
    """Samples [n, channels] of one sensor, the oldest forgotten first."""

    def __init__(self, sensor: Sensor, first: int = 0, max_values: int = MAX_VALUES) -> None:
        self.sensor = sensor
        self._room = max(1, max_values // len(sensor.channels))
        self._ring = np.zeros((0, len(sensor.channels)), np.int16)  # grows up to the room
        self._first = first  # of the session, of the first sample ever added here
        self._count = 0  # ever added
        self._gaps: deque[int] = deque(maxlen=MAX_GAPS)

    @property
    def end(self) -> int:
        """The session's number of the next sample."""
        return self._first + self._count

    def gap(self) -> None:
        """Something is missing before the next sample."""
        if self._count and (not self._gaps or self._gaps[-1] != self.end):
            self._gaps.append(self.end)

    def add(self, samples: Int16) -> None:
        """Append samples [n, channels]."""
        for start in range(0, len(samples), self._room):
            part = samples[start : start + self._room]
            self._grow(min(self._room, self._count + len(part)))
            places = (self._count + np.arange(len(part))) % len(self._ring)
            self._ring[places] = part
            self._count += len(part)

    def last(self, count: int) -> Signal:
        """A copy of the last `count` samples, or of as many as are kept."""
        count = min(count, self._count, len(self._ring))
        start = self._count - count
        places = (start + np.arange(count)) % max(1, len(self._ring))
        samples = self._ring[places]
        samples.setflags(write=False)
        first = self._first + start
        gaps = tuple(gap for gap in self._gaps if gap > first)
        return Signal(sensor=self.sensor, first=first, samples=samples, gaps=gaps)

    def _grow(self, wanted: int) -> None:
        # Only before the first sample is overwritten, so places stay as they are.
        if wanted > len(self._ring):
            larger = min(self._room, max(wanted, 2 * len(self._ring), 1024))
            grown = np.zeros((larger, self._ring.shape[1]), np.int16)
            grown[: len(self._ring)] = self._ring
            self._ring = grown
