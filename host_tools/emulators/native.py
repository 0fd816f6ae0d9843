"""The firmware as a process of this computer: real speed, nothing emulated."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from host_tools.emulators.process import start_on_pipes
from host_tools.errors import DeviceError
from host_tools.link.transport import Transport


@dataclass(frozen=True, slots=True, kw_only=True)
class Native:
    """Counts nanoseconds; the link is the process's standard input and output."""

    name: ClassVar[str] = "native"
    unit: ClassVar[str] = "nanoseconds"
    case_limit: ClassVar[int | None] = None
    replay: bytes | None = None

    def missing(self) -> str | None:
        """Nothing to install: whoever built the program can run it."""
        return None

    def version(self) -> str:
        """The computer it is."""
        return f"{platform.machine()} {platform.system()}"

    def with_replay(self, recording: bytes) -> Native:
        """The same with a recording in the sensor's place."""
        return Native(replay=recording)

    def start(self, elf: Path) -> Transport:
        """Start `elf`; close() ends it."""
        if not elf.is_file():
            raise DeviceError(f"{self.name}: there is no program {elf}; build it first.")
        command = [str(elf.absolute())]
        return start_on_pipes(self.name, self.missing(), command, self.replay)
