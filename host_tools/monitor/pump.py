"""A transport of ours as PlatformIO's serial monitor has it: behind a pseudo terminal.

So what opens and what ends the line is told in our words, with our exit codes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import threading
import time
import tty
from dataclasses import replace
from pathlib import Path

from host_tools.errors import DeviceError
from host_tools.link.target import open_port
from host_tools.link.transport import Transport
from host_tools.monitor.session import (
    monitor_command,
    monitor_environment,
    settings_of,
    units_at,
)
from host_tools.monitor.view import Settings

POLL_S = 0.02  # between what the board says and what is typed
END_S = 3.0  # for PlatformIO to show what was said at the end
CHUNK = 4096


def monitor_network(port: str, baud: int, *, build: Path, log: Path | None) -> int:
    """Be the serial monitor of a pyserial URL; Ctrl+C ends it. Returns PlatformIO's exit code.

    Raises as settings_of, and DeviceError when nothing answers there or the line ends.
    """
    settings = settings_of(build, log, units_at(port))
    with contextlib.closing(open_port(port, None)) as transport:
        print(f"--- {port}", flush=True)
        return through_terminal(transport, baud, settings)


def through_terminal(transport: Transport, baud: int, settings: Settings) -> int:
    """Be the serial monitor of what has been opened; returns PlatformIO's exit code.

    Raises DeviceError when the line ends, behind what was said before.
    """
    with contextlib.ExitStack() as stack:
        master, slave = pty.openpty()
        stack.callback(os.close, master)
        stack.callback(os.close, slave)
        tty.setraw(slave)  # before anything is written to it: a terminal would send it back
        before = termios.tcgetattr(sys.stdin)
        stack.callback(termios.tcsetattr, sys.stdin, termios.TCSAFLUSH, before)
        opened, ready = os.pipe()
        stack.callback(os.close, opened)
        pump = stack.enter_context(_Pump(transport, master, opened))
        try:
            process = subprocess.Popen(
                [*monitor_command(os.ttyname(slave), baud), "--no-reconnect"],
                env=monitor_environment(replace(settings, ready=ready)),
                pass_fds=[ready],
            )
        finally:
            os.close(ready)
        stack.enter_context(process)
        stack.callback(process.kill)
        while process.poll() is None and pump.failed is None:
            time.sleep(POLL_S)
        if pump.failed is None:
            return process.returncode
        _await_shown(slave)
        process.terminate()
        process.wait()
    raise pump.failed


class _Pump:
    """Carries bytes between a transport and the master of a pseudo terminal, both ways.

    It begins when `opened` has an end: what is there before PlatformIO has opened its port is lost.
    """

    def __init__(self, transport: Transport, master: int, opened: int) -> None:
        self._opened = opened
        self.failed: DeviceError | None = None
        self._transport = transport
        self._master = master
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> _Pump:
        os.set_blocking(self._master, False)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not (self._stop.is_set() or select.select([self._opened], [], [], POLL_S)[0]):
                continue
            while not self._stop.is_set():
                self._show(self._transport.read(POLL_S))
                self._take()
        except DeviceError as error:
            self.failed = error

    def _take(self) -> None:
        """Hand on what has been typed."""
        if select.select([self._master], [], [], 0)[0]:
            self._transport.write(os.read(self._master, CHUNK))

    def _show(self, data: bytes) -> None:
        """Hand on what the board says, as fast as it is shown."""
        while data and not self._stop.is_set():
            if select.select([], [self._master], [], POLL_S)[1]:
                data = data[os.write(self._master, data) :]
            self._take()


def _await_shown(slave: int) -> None:
    """Wait until PlatformIO has read what waits for it, and has had a moment to show it."""
    deadline = time.monotonic() + END_S
    while time.monotonic() < deadline:
        waiting = fcntl.ioctl(slave, termios.FIONREAD, bytes(4))
        if struct.unpack("i", waiting)[0] == 0:
            break
        time.sleep(POLL_S)
    time.sleep(10 * POLL_S)
