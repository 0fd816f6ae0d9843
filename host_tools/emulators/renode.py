"""Renode: the image of the chip itself, fast kernels included, at some 10^7 instructions a second.

The platform, the sensor's model and the scripts lie in boards/renode. Renode is in no registry that
`make setup` uses: it runs when it is on PATH, or where TINYPROOF_RENODE or RENODE says.
"""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from host_tools.boards.board import BOARDS_DIR
from host_tools.build.elf import symbol_address
from host_tools.build.tools import program_version
from host_tools.emulators.process import ARM, XTENSA, elf_machine, start_on_pipes
from host_tools.errors import DeviceError, UsageError
from host_tools.link.protocol import Sensor, split_recording
from host_tools.link.transport import Transport

PROGRAM = "renode"
RENODE = "TINYPROOF_RENODE"  # of the environment: where the program is; RENODE says it too
RELEASE = (
    "https://github.com/renode/renode/releases/download/v1.16.1/"
    "renode-1.16.1.linux-portable-dotnet.tar.gz"
)
WORKER = Path(__file__).with_name("renode_worker.py")
FOLDER = BOARDS_DIR / "renode"
MACHINES = {ARM: "nano33", XTENSA: "esp32"}  # of an ELF file -> the files in FOLDER
COUNTER, SENSOR = "board_counter", "board_sensor_start"  # functions of the firmware
# What boards/renode/nano33.cs models: rate in mHz, steps in 10^-9 g and rad/s.
RATE, STEPS = 59500, (732000,) * 3 + (1221730,) * 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Renode:
    """Counts retired instructions; the link is the simulated UART, on a TCP port.

    The firmware's counter tells Renode's ExecutedInstructions, by a hook on its function, until the
    sensor is started: from then on it is the chip's own, which follows virtual time.
    """

    name: ClassVar[str] = PROGRAM
    unit: ClassVar[str] = "instructions"
    case_limit: ClassVar[int | None] = None
    chip_kernels: ClassVar[bool] = True
    replay: bytes | None = None

    def missing(self) -> str | None:
        """Return None, or how to get it."""
        program = _program()
        if _found() is not None:
            return None
        found = "is not on PATH" if program == PROGRAM else f"is not at {program}"
        return (
            f"Renode {found}. Download {RELEASE}, unpack it (tar -xzf) and put its folder on PATH, "
            "or name the program: RENODE=/path/to/renode. Without EMULATOR=renode a board runs in "
            "its first emulator: nano33 in labwired_nrf52840, with the portable kernels"
        )

    def version(self) -> str:
        """Renode's own."""
        return program_version(_program())

    def with_replay(self, recording: bytes) -> Renode:
        """The same with a recording in the sensor's place; UsageError for another sensor's."""
        sensor, _ = split_recording(recording)
        if _shape(sensor) != (RATE, STEPS):
            raise UsageError(
                "renode: the recording is not of the LSM9DS1 that boards/renode models: expected "
                f"{RATE / 1000:g} Hz and steps of {_steps(STEPS)}, got "
                f"{sensor.rate_millihertz / 1000:g} Hz and {_steps(_shape(sensor)[1])}; record it "
                "with the board, or use BOARD=qemu_m4"
            )
        return replace(self, replay=recording)

    def start(self, elf: Path) -> Transport:
        """Start `elf`; close() ends Renode."""
        machine = elf_machine(self.name, elf)
        board = MACHINES.get(machine or 0)
        if board is None:
            raise DeviceError(
                f"{self.name}: {elf} is no program for Arm or Xtensa. Was it built for this board?"
            )
        counter, sensor = (symbol_address(elf, name) for name in (COUNTER, SENSOR))
        if counter is None:
            raise DeviceError(f"{self.name}: {elf} has no function {COUNTER}; build it again")
        thumb = 1 if machine == ARM else 0  # the lowest bit of a function's address there
        command = [
            sys.executable,
            str(WORKER),
            "--renode",
            str(Path(_found() or PROGRAM).absolute()),
        ]
        command += ["--elf", str(elf.absolute())]
        command += ["--scripts", str(FOLDER), "--board", board, "--counter", str(counter & ~thumb)]
        command += ["--sensor", str(sensor & ~thumb)] if sensor is not None else []
        if self.replay is not None:
            if board != "nano33" or sensor is None:
                raise UsageError(f"{self.name}: the firmware of {board} has no sensor to replay to")
            command.append("--replay")
        samples = split_recording(self.replay)[1] if self.replay is not None else None
        return start_on_pipes(self.name, self.missing(), command, samples)


def _program() -> str:
    return os.environ.get(RENODE) or os.environ.get("RENODE") or PROGRAM


def _found() -> str | None:
    """Where the program is."""
    return shutil.which(_program())


def _shape(sensor: Sensor) -> tuple[int, tuple[int, ...]]:
    return sensor.rate_millihertz, tuple(channel.lsb_nano for channel in sensor.channels)


def _steps(steps: tuple[int, ...]) -> str:
    return ", ".join(f"{step / 1e9:g}" for step in steps)
