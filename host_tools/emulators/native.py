"""The firmware as a process of this computer: real speed, nothing emulated."""

from __future__ import annotations

from pathlib import Path

from host_tools.emulators.process import start_on_pipes
from host_tools.errors import DeviceError
from host_tools.transport import Transport


class Native:
    """Counts nanoseconds; the link is the process's standard input and output."""

    name = "native"
    unit = "nanoseconds"
    case_limit: int | None = None

    def missing(self) -> str | None:
        """Nothing to install: whoever built the program can run it."""
        return None

    def start(self, elf: Path) -> Transport:
        """Start `elf`; close() ends it."""
        if not elf.is_file():
            raise DeviceError(f"{self.name}: there is no program {elf}; build it first.")
        return start_on_pipes(self.name, self.missing(), [str(elf.absolute())])
