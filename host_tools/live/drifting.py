"""The drift of what the board has counted, judged beside the session: it takes seconds."""

from __future__ import annotations

import queue
import threading
from dataclasses import replace

from host_tools.drift.compare import counts_of
from host_tools.drift.statistics import MAX_WINDOWS, MIN_WINDOWS, judge, learn_usual
from host_tools.link.batch import Refused
from host_tools.link.device import Device
from host_tools.link.frames import Status
from host_tools.link.protocol import DriftCounts
from host_tools.live.state import Drift
from model.errors import TinyproofError
from quantize.drift import Profile

END_S = 10.0  # of a judgement at the end
WAITING = f"judged from {MIN_WINDOWS} windows on"


class DriftWatch:
    """Judges at 16, 32, ... windows, then after each MAX_WINDOWS more."""

    def __init__(self, profile: Profile | None) -> None:
        self._profile = profile
        self._next = MIN_WINDOWS
        self._asked: queue.Queue[DriftCounts | None] = queue.Queue(maxsize=1)
        self._lock = threading.Lock()
        self._drift = Drift(text=WAITING if profile else "no profile: not judged")
        self._thread = threading.Thread(target=self._run, name="drift", daemon=True)
        if profile is not None:
            self._thread.start()

    @property
    def drift(self) -> Drift:
        """The last verdict, with the windows counted since."""
        with self._lock:
            return self._drift

    def read(self, device: Device) -> None:
        """Read the board's counts and have them judged when it is time."""
        if self._profile is None:
            return
        try:
            counts = device.drift()
        except Refused as refusal:
            if refusal.status != Status.BAD_TYPE:
                raise
            self._tell(Drift(text="this firmware counts no drift"))
            return
        with self._lock:
            if counts.windows < self._drift.windows:  # the board has started again
                self._next = MIN_WINDOWS
                self._drift = Drift(text=WAITING)
            self._drift = replace(self._drift, windows=counts.windows)
        if counts.windows >= self._next:
            self._next = counts.windows + min(counts.windows, MAX_WINDOWS)
            if self._asked.empty():
                self._asked.put_nowait(counts)

    def stop(self) -> None:
        """End the thread."""
        if self._profile is not None and self._thread.is_alive():
            if self._asked.empty():
                self._asked.put_nowait(None)
            self._thread.join(END_S)

    def _tell(self, drift: Drift) -> None:
        with self._lock:
            self._drift = drift

    def _run(self) -> None:
        assert self._profile is not None
        while (read := self._asked.get()) is not None:
            try:
                counts = counts_of(read, self._profile)
                usual = learn_usual(self._profile, int(counts.classes.sum()))
                verdict = judge(self._profile, counts, usual)
            except (TinyproofError, ValueError) as error:
                self._tell(Drift(text=f"cannot be judged: {error}", windows=read.windows))
                continue
            alarms = tuple(row.test for row in verdict.rows if row.alarm)
            tests = len(verdict.rows)
            text = f"drift in {len(alarms)} of {tests} tests" if alarms else "no drift"
            self._tell(Drift(text=text, windows=read.windows, alarms=alarms, judged=True))
