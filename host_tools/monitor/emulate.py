"""A firmware in its emulator, with this terminal as its serial monitor."""

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

from host_tools.boards.board import Board
from host_tools.emulators import Emulator
from host_tools.errors import DeviceError, UsageError
from host_tools.link.backtrace import describe
from host_tools.link.fault import find_faults
from host_tools.link.target import Target
from host_tools.link.transport import Transport
from host_tools.monitor.screen import Screen
from host_tools.monitor.session import monitor_command, monitor_environment, settings_of
from host_tools.monitor.view import Settings
from host_tools.monitor.words import Unit

QUIET_S = 2.0  # after the end of input: how long the firmware may be silent before we end
POLL_S = 0.02  # between what the board says and what is typed
END_S = 3.0  # for PlatformIO to show what an emulator has said at its end
CHUNK = 4096


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
    settings = settings_of(build, log, {board.id: Unit(name=emulator.unit)}, elf)
    with contextlib.ExitStack() as stack:
        transport = emulator.start(elf)
        stack.callback(transport.close)
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
                [*monitor_command(os.ttyname(slave), board.baud), "--no-reconnect"],
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
    raise _ended(board, elf, pump.failed) from pump.failed


def _ended(board: Board, elf: Path, error: DeviceError) -> DeviceError:
    """Why an emulator has ended; a fault that its last words tell of is decoded."""
    faults = find_faults(str(error).encode("ascii", "replace"))
    told = [describe(fault, [elf])[0] for fault in faults]
    words = "\n".join(["by a fault", *told]) if told else str(error)
    return DeviceError(f"{board.id}: the emulator ended: {words}")


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
