"""One board of a farm: what is to be done with it, and what has become of it."""

from __future__ import annotations

import enum
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from host_tools.errors import DeviceError, HostToolsError, UsageError
from model.command import INTERRUPTED


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a process of host_tools.farm.worker does: one of host_tools.farm.tasks, by JSON."""

    command: str
    folder: Path  # of results; its lock is held by the process that starts this one
    says: str  # what names the folder's recipe or model on make's command line
    board: str | None  # None: whatever board the port has
    emulator: str | None
    port: str | None
    beside: str  # behind the names of a port's results, since another port may have such a board
    options: Mapping[str, Any]
    parent: int = field(default_factory=os.getpid)

    def to_json(self) -> str:
        """For from_json, in another process."""
        return json.dumps(asdict(self) | {"folder": os.fspath(self.folder)})

    @staticmethod
    def from_json(text: str) -> Job:
        """What to_json has written."""
        content = json.loads(text)
        return Job(**content | {"folder": Path(content["folder"])})


class State(enum.Enum):
    """How far a board is, in the words of the table."""

    WAITING = "waiting"
    BUILDING = "building"
    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed"  # a check
    ERROR = "error"  # there is no verdict
    TIMED_OUT = "timed out"
    SKIPPED = "skipped"
    INTERRUPTED = "interrupted"

    @property
    def ended(self) -> bool:
        """Whether nothing more comes."""
        return self not in (State.WAITING, State.BUILDING, State.RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table."""

    board: str  # '?' until the firmware at a port has said it
    where: str  # an emulator or a port
    state: State = State.WAITING
    code: int = 0  # of exit; that of SKIPPED is 0
    message: str = ""  # why there is no success, in words
    started: float | None = None  # its process, by time.monotonic()
    seconds: float | None = None  # from then to its end
    result: Mapping[str, Any] | None = None  # what its JSON file holds
    file: Path | None = None  # that one
    cost: Mapping[str, Any] | None = None  # bench.json of the same firmware at the same place
    log: Path | None = None  # what its process has said

    @property
    def name(self) -> str:
        """For messages."""
        return self.where if self.board == "?" else f"{self.board} on {self.where}"


def state_of(code: int) -> State:
    """The state of a process that ended by itself with an exit code."""
    known = {0: State.PASSED, HostToolsError.exit_code: State.FAILED}
    return known.get(code, State.INTERRUPTED if code == INTERRUPTED else State.ERROR)


def error_of(code: int, message: str) -> HostToolsError:
    """The error that ends a command with `code`."""
    kinds = {kind.exit_code: kind for kind in (HostToolsError, UsageError, DeviceError)}
    return kinds.get(code, DeviceError)(message)  # of a process that somebody has ended
