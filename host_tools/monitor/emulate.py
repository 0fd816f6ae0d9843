"""A firmware in its emulator, with this terminal as its serial monitor."""

from __future__ import annotations

import contextlib
import os
import select
import sys
from pathlib import Path

from host_tools.boards.board import Board
from host_tools.emulators import Emulator, Replaying
from host_tools.errors import DeviceError, UsageError
from host_tools.link.backtrace import describe
from host_tools.link.fault import find_faults
from host_tools.link.target import Target
from host_tools.monitor.pump import through_terminal
from host_tools.monitor.screen import Screen
from host_tools.monitor.session import settings_of
from host_tools.monitor.view import Settings
from host_tools.monitor.words import Unit
from host_tools.wording import as_typed

QUIET_S = 2.0  # after the end of input: how long the firmware may be silent before we end


def run(board: Board, target: Target, board_dir: Path, build: Path) -> int:
    """Show what the firmware says and send what is typed; Ctrl+D or Ctrl+C ends it.

    Raises UsageError when there is no firmware, DeviceError when the emulator ends by itself.
    """
    elf = board_dir / "firmware.elf"
    if target.emulator is None or not elf.exists():
        raise UsageError(f"{elf}: nothing to emulate; run `make build BOARD={board.folder}` first")
    transport = target.emulator.start(elf)
    settings = Settings(
        build=str(build.absolute()),
        elf=str(elf),
        units={board.id: Unit(name=target.emulator.unit)},
        hint=replay_hint(board, target.emulator),
    )
    screen, stdin, typed = Screen(settings.words()), sys.stdin.fileno(), True
    try:
        while True:
            data = transport.read(0.05 if typed else QUIET_S)
            print(screen.feed(data), end="", flush=True)
            if typed and select.select([stdin], [], [], 0)[0]:
                line = os.read(stdin, 4096)
                typed = bool(line)
                transport.write(line)
            elif not typed and not data:
                return 0
    except DeviceError as error:
        raise _ended(board, elf, error) from error
    finally:
        transport.close()


def monitor_emulator(
    board: Board, emulator: Emulator, elf: Path, *, build: Path, log: Path | None
) -> int:
    """Run `elf` and be its serial monitor, over a pseudo terminal that stands for its port.

    Returns PlatformIO's exit code. Raises as monitor_port, and DeviceError when the emulator ends.
    """
    units = {board.id: Unit(name=emulator.unit)}
    settings = settings_of(build, log, units, elf, replay_hint(board, emulator))
    with contextlib.closing(emulator.start(elf)) as transport:
        try:
            return through_terminal(transport, board.baud, settings)
        except DeviceError as error:
            raise _ended(board, elf, error) from error


def replay_hint(board: Board, emulator: Emulator) -> str:
    """What gives the board a sensor, where the emulator can stand in for one."""
    if not isinstance(emulator, Replaying):
        return ""
    return as_typed(
        "recordings can be in the sensor's place, as the arrays of an .npz: "
        f"make monitor BOARD={board.id} REPLAY=own.npz"
    )


def _ended(board: Board, elf: Path, error: DeviceError) -> DeviceError:
    """Why an emulator has ended; a fault that its last words tell of is decoded."""
    faults = find_faults(str(error).encode("ascii", "replace"))
    told = [describe(fault, [elf])[0] for fault in faults]
    words = "\n".join(["by a fault", *told]) if told else str(error)
    return DeviceError(f"{board.id}: the emulator ended: {words}")
