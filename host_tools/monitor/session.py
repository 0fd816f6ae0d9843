"""PlatformIO's serial monitor with our filter."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

from host_tools.boards.board import BOARDS, load_board
from host_tools.errors import UsageError
from host_tools.link.target import board_unit, open_port
from host_tools.link.transport import require_port
from host_tools.monitor.view import Log, Settings
from host_tools.monitor.words import Unit
from host_tools.wording import as_typed
from model.paths import ROOT, core_dir, our_process

FILTERS = ROOT / "monitor"


def monitor_command(port: str, baud: int) -> list[str]:
    """Return the command line of the monitor: our filter, the board's speed, typed text visible."""
    options = ["--port", port, "--baud", str(baud), "--filter", "tinyproof", "--echo"]
    # No project of PlatformIO's is there, so it need not have installed a platform for one.
    project = ["--project-dir", str(FILTERS)]
    return our_process("platformio", "device", "monitor", *options, *project)


def monitor_environment(settings: Settings) -> dict[str, str]:
    """PlatformIO's environment: our packages, and what the filter is to know."""
    users = {k: v for k, v in os.environ.items() if not k.startswith("PLATFORMIO_")}
    own = {
        "PLATFORMIO_CORE_DIR": str(core_dir()),
        "PLATFORMIO_MONITOR_DIR": str(FILTERS),
        "PLATFORMIO_SETTING_ENABLE_TELEMETRY": "no",
    }
    return users | own | settings.environment()


def units_at(port: str) -> dict[str, Unit]:
    """What each board counts at a port: cycles of a chip; over the network nobody knows."""
    boards = [load_board(name) for name in BOARDS]
    chip = "counts" if "://" in port else "cycles"
    return {
        board.id: Unit(name=chip, hertz=0 if "://" in port else board.clock_hz)
        if board.upload
        else Unit(name=board_unit(board))
        for board in boards
    }


def monitor_port(port: str, baud: int, *, build: Path, log: Path | None) -> NoReturn:
    """Become the serial monitor of the serial port `port`; Ctrl+C ends it.

    Raises UsageError when `port` is missing, there is no terminal or the log cannot be written,
    DeviceError when the port does not exist or cannot be opened.
    """
    require_port(port, "make monitor PORT={port}")
    hint = as_typed(f"the live page has recordings for it: make live BOARD=<id> PORT={port}")
    settings = settings_of(build, log, units_at(port), hint=hint)
    open_port(port, None).close()  # complains in our words
    command = monitor_command(port, baud)
    os.execve(command[0], command, monitor_environment(settings))


def settings_of(
    build: Path,
    log: Path | None,
    units: dict[str, Unit],
    elf: Path | None = None,
    hint: str = "",
) -> Settings:
    """What the filter is to know; UsageError without a terminal or a log that can be written."""
    if not sys.stdin.isatty():
        raise UsageError("the monitor needs a terminal to type in; run it in one, without a pipe")
    if log is not None:
        Log(log).close()  # complains here, before a board is opened
    return Settings(
        build=str(build.absolute()),
        elf=str(elf or ""),
        log=str(log or ""),
        hint=hint,
        units=units,
    )
