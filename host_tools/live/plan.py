"""What a session needs to know, read before it starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from host_tools.link.device import Device
from host_tools.link.protocol import Sensor
from host_tools.link.transport import Transport
from host_tools.live.reading import Reader
from host_tools.live.sources import Take
from host_tools.live.state import Int16
from quantize.drift import Profile


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipRequest:
    """A labelled clip that the user asks for."""

    label: str
    who: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """The samples [n, channels] of a clip, without a gap."""

    request: ClipRequest
    sensor: Sensor
    samples: Int16
    from_sensor: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One board, its firmware and its model.

    `open` starts the emulator or opens the port, `check` raises DeviceError for other firmware,
    `save` writes a clip and returns what to tell, `refuse` raises UsageError for a clip that could
    not be saved.
    """

    title: str  # of the model
    board: str
    target: str
    emulated: bool
    unit: str
    clock_hz: int  # of the board at a port; 0: an emulator's
    start_s: float  # until the firmware answers
    images: tuple[Path, ...]
    open: Callable[[], Transport]
    check: Callable[[Device], None]
    reader: Callable[[], Reader]
    hop: int
    takes: tuple[Take, ...]  # those of the held-out groups first
    held_out: int  # how many these are
    replay: Sensor | None
    no_takes: str  # why there are none
    labels: tuple[str, ...]  # to choose from for a clip
    where: str  # clips of a sensor go, in words
    refuse: Callable[[ClipRequest], None]
    save: Callable[[Recorded], str]
    again: str = "make live"  # the command that starts such a session
    experiment: str = ""
    flash_bytes: int | None = None
    ram_bytes: int | None = None
    profile: Profile | None = None
