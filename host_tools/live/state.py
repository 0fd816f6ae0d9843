"""What the page is told: values that never change once they are made."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from host_tools.link.protocol import Hello, Sensor

NO_SOURCE = "no signal"  # of Snapshot.source
Int16 = npt.NDArray[np.int16]


class State(enum.Enum):
    """What the session does."""

    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    AWAY = "board away"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a model's outputs say, in words.

    `text` is the class, the labels or the numbers; `confidence` is a share from 0 to 1, None where
    the task has none; `scores` are (name, share or number) of every output that has a name.
    """

    text: str
    confidence: float | None
    scores: tuple[tuple[str, float], ...]
    decided: str = ""  # by the model's rule; of a detector the alarm


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """One inference of the board."""

    index: int  # of this session, from 0
    at_s: float  # since the session's start
    time: float  # seconds since 1970
    sample: int  # of the session's signal: one behind the window's last
    reading: Reading
    counts: int  # that the model took, in the session's unit
    feature_counts: int  # that the front end took for the samples since the prediction before
    answer_ms: float  # from sending the last samples to the answer, the link included
    truth: str = ""  # what a replayed recording is labelled


@dataclass(frozen=True, slots=True, kw_only=True)
class Firmware:
    """What runs on the board; sizes in bytes, None where no build says them."""

    hello: Hello
    experiment: str
    flash_bytes: int | None
    ram_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkCounts:
    """The link since the session's start."""

    sent: int = 0  # requests, with those that were sent again
    retries: int = 0  # requests whose replies did not come
    crc_errors: int = 0  # frames of the board that arrived damaged
    refused: int = 0  # frames that the board said had arrived damaged
    received_bytes: int = 0
    reconnects: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """What the board has counted of its inputs; `alarms` are the tests that alarm."""

    text: str
    windows: int = 0
    alarms: tuple[str, ...] = ()
    judged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """A labelled clip that is being recorded, or how the last one ended."""

    label: str = ""
    have: int = 0  # samples
    wanted: int = 0
    running: bool = False
    failed: bool = False
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something that happened."""

    time: float  # seconds since 1970
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """Samples [n, channels] in LSB; the first is sample `first` of the session."""

    sensor: Sensor
    first: int
    samples: Int16
    gaps: tuple[int, ...] = ()  # samples before which some are missing

    @property
    def rate_hz(self) -> float:
        """Samples a second."""
        return self.sensor.rate_millihertz / 1000

    def values(self) -> npt.NDArray[np.float64]:
        """[n, channels] in the channels' units."""
        lsb = np.array([channel.lsb_nano * 1e-9 for channel in self.sensor.channels])
        return np.asarray(self.samples * lsb)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """All of a session at one moment, but its signal."""

    state: State
    message: str
    board: str
    target: str
    unit: str  # of counts: 'instructions', 'cycles' or 'nanoseconds'
    emulated: bool
    clock_hz: int  # of the board at a port; 0: an emulator's time says nothing
    firmware: Firmware | None
    link: LinkCounts
    source: str
    chosen: str  # as Session.choose has it
    from_sensor: bool
    slow: float  # share of real time that is kept up with, at most 1
    predictions: tuple[Prediction, ...]  # the last ones
    total: int  # of predictions
    decision: Prediction | None  # the last one that decided something
    drift: Drift
    clip: Clip
    notes: tuple[Note, ...]
    quiet_s: float  # since the board was last heard
    arena_used: int = 0
    stack_used: int = 0
