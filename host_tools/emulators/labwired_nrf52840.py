"""labwired's nRF52840: the Nano 33 BLE's own image and registers, at some 10^6 instructions a
second. Its cycle counter counts one an instruction."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from host_tools.boards.board import BOARDS_DIR
from host_tools.emulators.process import (
    ARM,
    firmware_path,
    missing_module,
    module_version,
    start_on_pipes,
)
from host_tools.link.transport import Transport

WORKER = Path(__file__).with_name("labwired_worker.py")
SYSTEM = BOARDS_DIR / "labwired" / "nano33_system.yaml"


class LabwiredNrf52840:
    """Counts retired instructions; the link is the simulated UART."""

    name = "labwired_nrf52840"
    unit = "instructions"
    case_limit: int | None = 12  # a tenth of a second each
    lacks: ClassVar[Mapping[str, str]] = {
        "tflm": "its Cortex-M4 faults on floating-point instructions, which TFLite Micro has"
    }

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
            firmware_path(self.name, elf, ARM),
            "--system",
            str(SYSTEM),
        ]
        return start_on_pipes(self.name, self.missing(), command)
