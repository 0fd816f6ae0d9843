"""labwired's ESP32: the board's own image and registers, at some 10^6 instructions a second.
Its cycle counter counts one an instruction."""

from __future__ import annotations

import sys
from pathlib import Path

from host_tools.emulators.process import (
    XTENSA,
    firmware_path,
    missing_module,
    module_version,
    start_on_pipes,
)
from host_tools.link.transport import Transport

WORKER = Path(__file__).with_name("labwired_worker.py")


class LabwiredEsp32:
    """Counts retired instructions; the boot text comes from the simulated UART.

    labwired 0.25 cannot feed an ESP32's UART, so what the host sends, and the answers to it, go
    through the rings of firmware/board/esp32/rtt.h.
    """

    name = "labwired_esp32"
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
            firmware_path(self.name, elf, XTENSA),
            "--chip",
            "esp32",
        ]
        return start_on_pipes(self.name, self.missing(), command)
