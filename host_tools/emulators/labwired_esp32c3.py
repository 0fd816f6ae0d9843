"""labwired's ESP32-C3: the board's own image and registers, at some 10^6 instructions a second.
Its cycle counter counts one an instruction."""

from __future__ import annotations

import sys
from pathlib import Path

from host_tools.boards.board import BOARDS_DIR
from host_tools.emulators.process import (
    RISCV,
    firmware_path,
    missing_module,
    module_version,
    start_on_pipes,
)
from host_tools.link.transport import Transport

WORKER = Path(__file__).with_name("labwired_worker.py")
SYSTEM = BOARDS_DIR / "labwired" / "esp32c3_system.yaml"


class LabwiredEsp32C3:
    """Counts retired instructions; the link is the simulated UART."""

    name = "labwired_esp32c3"
    unit = "instructions"
    case_limit: int | None = 5  # a second each

    def missing(self) -> str | None:
        """Return None, or what to install."""
        return missing_module("labwired")

    def version(self) -> str:
        """The Python package's."""
        return module_version("labwired")

    def start(self, elf: Path) -> Transport:
        """Start `elf`; close() ends the emulator."""
        command = [
            sys.executable,
            str(WORKER),
            firmware_path(self.name, elf, RISCV),
            "--system",
            str(SYSTEM),
            "--fast-uart",
        ]
        return start_on_pipes(self.name, self.missing(), command)
