"""A labelled clip of the signal as it comes in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from host_tools.link.protocol import Sensor
from host_tools.live.plan import ClipRequest, Recorded
from host_tools.live.state import Clip, Int16
from model.errors import TinyproofError

MAX_SECONDS = 600.0


class ClipRecorder:
    """Collects the samples of one clip at a time and has it saved; `clip` says how far it is."""

    def __init__(self, save: Callable[[Recorded], str]) -> None:
        self._save = save
        self._request: ClipRequest | None = None
        self._parts: list[Int16] = []
        self.clip = Clip()

    def begin(self, request: ClipRequest, sensor: Sensor) -> None:
        """From the next sample on."""
        wanted = max(1, round(request.seconds * sensor.rate_millihertz / 1000))
        self._request, self._parts = request, []
        self.clip = Clip(label=request.label, wanted=wanted, running=True, text="recording")

    def add(self, samples: Int16, sensor: Sensor, from_sensor: bool) -> None:
        """Samples [n, channels] that follow those before; saves when there are enough."""
        if self._request is None:
            return
        self._parts.append(samples)
        have = self.clip.have + len(samples)
        self.clip = replace(self.clip, have=min(have, self.clip.wanted))
        if have < self.clip.wanted:
            return
        whole = np.concatenate(self._parts)[: self.clip.wanted]
        recorded = Recorded(
            request=self._request, sensor=sensor, samples=whole, from_sensor=from_sensor
        )
        try:
            self._end(self._save(recorded), failed=False)
        except (TinyproofError, OSError) as error:
            self._end(f"nothing was written: {error}", failed=True)

    def fail(self, why: str) -> None:
        """Nothing is saved."""
        if self._request is not None:
            self._end(why, failed=True)

    def _end(self, text: str, *, failed: bool) -> None:
        self._request, self._parts = None, []
        self.clip = replace(self.clip, running=False, failed=failed, text=text)
