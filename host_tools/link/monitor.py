"""Show what a board says, in PlatformIO's serial monitor, without the link's binary frames."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from host_tools.errors import UsageError
from host_tools.link.transport import require_port
from model.paths import ROOT


def monitor_command(port: str, baud: int) -> list[str]:
    """Return the command line of the monitor: our filter, the board's speed, typed text visible."""
    options = ["--port", port, "--baud", str(baud), "--filter", "tinyproof", "--echo"]
    project = ["--project-dir", str(ROOT)]
    return [sys.executable, "-m", "platformio", "device", "monitor", *options, *project]


def monitor(port: str | None, baud: int) -> NoReturn:
    """Become the serial monitor of `port`; Ctrl+C ends it.

    Raises UsageError when `port` is missing or there is no terminal, DeviceError when the port does
    not exist.
    """
    require_port(port or "", "make monitor PORT={port}")
    assert port is not None
    if not sys.stdin.isatty():
        raise UsageError("the monitor needs a terminal to type in; run it in one, without a pipe")
    command = monitor_command(port, baud)
    os.execv(command[0], command)
