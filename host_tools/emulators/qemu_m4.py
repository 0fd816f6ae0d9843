"""QEMU's mps2-an386: a Cortex-M4F at about 10^9 instructions a second."""

from __future__ import annotations

from pathlib import Path

from host_tools.emulators.process import ARM, firmware_path, missing_program, start_on_fifos
from host_tools.transport import Transport

PROGRAM = "qemu-system-arm"
# -icount shift=7: one instruction takes 128 ns of the timers' time, the same in every run.
OPTIONS = (
    "-M mps2-an386 -display none -monitor none -serial none -icount shift=7 "
    "-semihosting-config enable=on,target=native -kernel"
)


class QemuM4:
    """Counts retired instructions; the link runs over semihosting and named pipes."""

    name = "qemu_m4"
    unit = "instructions"
    case_limit: int | None = None

    def missing(self) -> str | None:
        """Return None, or what to install."""
        return missing_program(PROGRAM, "qemu-system-arm")

    def start(self, elf: Path) -> Transport:
        """Start `elf`; close() ends the emulator."""
        command = [PROGRAM, *OPTIONS.split(), firmware_path(self.name, elf, ARM)]
        return start_on_fifos(self.name, self.missing(), command)
