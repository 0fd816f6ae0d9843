"""Where a session's samples come from: the board's sensor, or recordings of the data set."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from host_tools.errors import DeviceError
from host_tools.link.device import Device
from host_tools.link.protocol import Channel, Sensor, TakeState
from host_tools.live.state import Int16
from model.datasets.base import Dataset
from model.features.design import FrontEnd

BEHIND_S = 1.0  # what a slow board may be behind; what is older is not caught up with
SHARE_S = 5.0  # over which the share of real time is measured
Clock = Callable[[], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """The next samples [n, channels], maybe none; `gap`: they do not follow those before."""

    samples: Int16
    gap: bool = False
    truth: str = ""


class Source(Protocol):
    """Gives samples as time goes by."""

    name: str
    from_sensor: bool
    sensor: Sensor

    @property
    def slow(self) -> float:
        """The share of real time that is kept up with, at most 1."""

    def read(self) -> Chunk:
        """What is due now; DeviceError when the sensor has failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Take:
    """A recording to replay, in LSB of the model's front end."""

    name: str
    truth: str
    samples: Int16


class Pace:
    """How many samples are due, at a rate, by the clock."""

    def __init__(self, rate_hz: float, clock: Clock = time.monotonic) -> None:
        self._rate_hz, self._clock = rate_hz, clock
        self._start = self._measured_from = clock()
        self._taken = self._measured = 0
        self.share = 1.0

    def due(self) -> int:
        """Samples that may be taken now."""
        now = self._clock()
        due = int((now - self._start) * self._rate_hz) - self._taken
        late_s = due / self._rate_hz - BEHIND_S
        if late_s > 0:
            self._start += late_s
            due = int((now - self._start) * self._rate_hz) - self._taken
        return max(0, due)

    def took(self, count: int) -> None:
        """So many were taken."""
        self._taken += count
        self._measured += count
        passed = self._clock() - self._measured_from
        if passed >= SHARE_S:
            self.share = min(1.0, self._measured / (passed * self._rate_hz))
            self._measured, self._measured_from = 0, self._clock()


class SensorSource:
    """The board's sensor; an emulator's, which gives all at once, in real time."""

    from_sensor = True

    def __init__(self, device: Device, *, paced: bool, clock: Clock = time.monotonic) -> None:
        """Begins a take. Raises Refused for a board without a sensor."""
        self._device = device
        self.sensor = device.record_start()
        self.name = "sensor"
        self._next = 0
        self._ended = False
        self._waiting = self._none()
        self._pace = Pace(self.sensor.rate_millihertz / 1000, clock) if paced else None

    @property
    def slow(self) -> float:
        """1 but of an emulator that is slow: a sensor does not wait, it says what was lost."""
        return self._pace.share if self._pace else 1.0

    def read(self) -> Chunk:
        """What has been measured since; from the start again where a replayed file has ended."""
        gap = False
        if not len(self._waiting):
            gap = self._refill()
        due = len(self._waiting) if self._pace is None else self._pace.due()
        samples, self._waiting = self._waiting[:due], self._waiting[due:]
        if self._pace:
            self._pace.took(len(samples))
        return Chunk(samples=samples, gap=gap)

    def _refill(self) -> bool:
        """Ask the board; True where samples are missing before those that came."""
        gap = self._ended
        if self._ended:
            self.sensor, self._next, self._ended = self._device.record_start(), 0, False
        width = len(self.sensor.channels)
        take = self._device.record_read(self._next, width)
        if take.state & TakeState.FAILED:
            raise DeviceError("the sensor does not answer; reset the board")
        samples = np.frombuffer(take.samples, "<i2").reshape(-1, width).astype(np.int16)
        self._ended = bool(take.state & TakeState.ENDED)
        if take.state & TakeState.OVERRUN or take.first != self._next:
            # OVERRUN stays set for the rest of a take: another one begins.
            self._ended, gap, samples = True, True, self._none()
        self._next += len(samples)
        self._waiting = samples
        return gap

    def _none(self) -> Int16:
        return np.zeros((0, len(self.sensor.channels)), np.int16)


class ReplaySource:
    """Recordings of the data set, one after another and from the first again, in real time."""

    from_sensor = False

    def __init__(
        self,
        takes: Sequence[Take],
        sensor: Sensor,
        name: str,
        clock: Clock = time.monotonic,
    ) -> None:
        if not any(len(take.samples) for take in takes):
            raise ValueError(f"{name}: no recording with samples")
        self.name, self.sensor = name, sensor
        self._takes = [take for take in takes if len(take.samples)]
        self._which, self._at = 0, 0
        self._pace = Pace(sensor.rate_millihertz / 1000, clock)

    @property
    def slow(self) -> float:
        """The share of real time."""
        return self._pace.share

    def read(self) -> Chunk:
        """What is due of one recording."""
        take = self._takes[self._which]
        start, due = self._at, self._pace.due()
        samples = take.samples[start : start + due]
        self._at += len(samples)
        self._pace.took(len(samples))
        if self._at == len(take.samples):
            self._which, self._at = (self._which + 1) % len(self._takes), 0
        return Chunk(samples=samples, gap=start == 0 and len(samples) > 0, truth=take.truth)


def replay_sensor(front_end: FrontEnd, dataset: Dataset) -> Sensor:
    """A sensor as the model expects it, with the names and units of the data set."""
    described = zip(dataset.channels, dataset.units, front_end.lsb, strict=True)
    return Sensor(
        rate_millihertz=round(dataset.sample_rate_hz * 1000),
        channels=tuple(Channel(name=n, unit=u, lsb_nano=round(s * 1e9)) for n, u, s in described),
    )
