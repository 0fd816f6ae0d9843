"""QEMU's riscv32 `virt` machine: an rv32 core at about 10^9 instructions a second."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from host_tools.build.tools import program_version
from host_tools.emulators.process import RISCV, firmware_path, missing_program, start_on_fifos
from host_tools.link.transport import Transport

PROGRAM = "qemu-system-riscv32"
# -icount shift=0: the cycle counter counts one an instruction, the same in every run.
OPTIONS = (
    "-M virt -bios none -display none -monitor none -serial none -icount shift=0 "
    "-semihosting-config enable=on,target=native -kernel"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class QemuRiscv32:
    """Counts retired instructions; the link runs over semihosting and named pipes. It takes no
    plugin, because nothing here reads RISC-V's disassembly (host_tools/bench/instructions.py).
    """

    name: ClassVar[str] = "qemu_riscv32"
    unit: ClassVar[str] = "instructions"
    case_limit: ClassVar[int | None] = None
    replay: bytes | None = None

    def missing(self) -> str | None:
        """Return None, or what to install."""
        return missing_program(PROGRAM, "qemu-system-misc")

    def version(self) -> str:
        """QEMU's own."""
        return program_version(PROGRAM)

    def with_replay(self, recording: bytes) -> QemuRiscv32:
        """The same with a recording in the sensor's place."""
        return replace(self, replay=recording)

    def start(self, elf: Path) -> Transport:
        """Start `elf`; close() ends the emulator."""
        command = [PROGRAM, *OPTIONS.split(), firmware_path(self.name, elf, RISCV)]
        return start_on_fifos(self.name, self.missing(), command, self.replay)
