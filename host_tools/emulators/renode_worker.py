"""Run one firmware in Renode, its line on standard input and output.

A process of its own, so that Renode ends when the host does, however it ends: standard input closes
then. Everything that Renode is given lies in a folder whose name this process chooses, under names
of its own: no path and no name of the user's becomes part of a command of Renode's monitor.

A recording is the file `sensor` in the working folder: int16 samples of 6 channels.
Exit codes: 0 the host has closed standard input, 3 Renode did not start, has ended or refused a
command; why is told on standard error.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

START_S = 90.0  # until its port is open; it compiles boards/renode/*.cs before that
TRY_S = 1.0  # one attempt to connect
POLL_S = 0.05
LOOK_S = 0.5  # between two looks at what it said
SEND_S = 30.0  # the longest it may take no bytes
END_S = 1.0  # to end by itself when asked to
CHUNK_BYTES = 65536
LAST_WORDS = 1500  # characters of its last output to quote
KEPT_BYTES = 6000  # of its output
SENSOR_FILE = "sensor"  # as in process.py
SENSOR_MIPS = 8  # once the sensor runs, time must not be slower than the host's
SAMPLE = struct.Struct("<6h")
PR_SET_PDEATHSIG = 1
# In Renode's answer to a command that failed (its Monitor.cs and IncludeFileCommand.cs).
REFUSALS = (
    b"There was an error executing command",
    b"Could not tokenize here",
    b"Could not find file",
    b"Errors during compilation or loading",
    b"No such command or device",
    b"No such variable",
    b"Python runtime error",
)
# In the hooks `self` is the core. The function of the counter is answered in its place: the number
# of instructions so far, in the register of results (r0; a2, register 91 of Renode's Xtensa), then
# back to the caller (lr; a0, register 89).
ANSWERS = {
    "nano33": "self.SetRegisterUlong(0, {count}); self.PC = self.LR",
    "esp32": "self.SetRegisterUlong(91, {count}); self.PC = self.GetRegister(89)",
}
COUNT = "self.ExecutedInstructions & 0xFFFFFFFF"


class Failed(Exception):
    """Renode does not do what it was started for."""


def monitor_script(
    board: str, folder: Path, port: int, counter: int, sensor: int | None, *, replay: bool
) -> str:
    """What Renode's monitor runs; `counter` and `sensor` are addresses of functions.

    Starting the sensor waits by the counter, millions of times, and then lives by virtual time: the
    hook on the counter goes, and the core becomes as slow as real time allows.
    """
    answer = ANSWERS[board].format(count=COUNT)
    started = f"self.RemoveHooksAt({counter:#x}); self.PerformanceInMips = {SENSOR_MIPS}"
    lines = [
        f"$elf=@{folder}/firmware.elf",
        f"$port={port}",
        f"include @{folder}/{board}.resc",
        f'cpu AddHook {counter:#x} "{answer}"',
        f'cpu AddHook {sensor:#x} "{started}"' if sensor is not None else "",
        f"sysbus.twim0.imu FeedSteps @{folder}/samples.csv" if replay else "",
        "start",
    ]
    return "".join(line + "\n" for line in lines if line)


def steps_text(samples: bytes) -> str:
    """A line a sample, as the sensor's model reads them."""
    return "".join(",".join(map(str, row)) + "\n" for row in SAMPLE.iter_unpack(samples))


def prepare(options: argparse.Namespace, folder: Path, port: int) -> Path:
    """Put everything that Renode reads into `folder`; returns the script."""
    for file in sorted(options.scripts.glob(f"{options.board}.*")):
        shutil.copyfile(file, folder / file.name)
    shutil.copyfile(options.elf, folder / "firmware.elf")
    if options.replay:
        text = steps_text(Path(SENSOR_FILE).read_bytes())
        (folder / "samples.csv").write_text(text, encoding="ascii")
    script = folder / "run.resc"
    text = monitor_script(
        options.board, folder, port, options.counter, options.sensor, replay=options.replay
    )
    script.write_text(text, encoding="ascii")
    return script


def free_port() -> int:
    """A TCP port that nobody listens on; Renode opens it on all interfaces."""
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


class Session:
    """Renode as a process group of its own; of what it says, the end is kept."""

    def __init__(self, program: str, script: Path) -> None:
        self._end = b""  # of what it has said, or up to its refusal
        self._refused = False
        # --console: the monitor reads standard input, a pipe in which nothing ever comes; without
        # it Renode would open another port.
        command = [program, "--console", "--disable-gui", "--plain", str(script)]
        self._process = subprocess.Popen(
            command,
            bufsize=0,
            cwd=script.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_end_with_parent,
        )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        """Renode may say much, a line for each access to a register that it does not model."""
        assert self._process.stdout is not None
        while data := self._process.stdout.read(CHUNK_BYTES):
            if not self._refused:
                self._end = self._end[-KEPT_BYTES:] + data
                self._refused = any(refusal in self._end for refusal in REFUSALS)

    def connect(self, port: int, read_fd: int) -> tuple[socket.socket | None, bytes]:
        """The firmware's line, None when the host has gone; and what came from `read_fd` so far.

        Raises Failed.
        """
        deadline = time.monotonic() + START_S
        early = b""
        while True:
            self.check()
            with contextlib.suppress(OSError):
                line = socket.create_connection(("127.0.0.1", port), timeout=TRY_S)
                if line.getsockname() != line.getpeername():  # else it has met itself
                    line.settimeout(SEND_S)
                    return line, early
                line.close()
            if time.monotonic() > deadline:
                raise Failed(f"Renode did not open its port in {START_S:.0f} s{self._said()}")
            if select.select([read_fd], [], [], POLL_S)[0]:
                data = os.read(read_fd, CHUNK_BYTES)
                if not data:
                    return None, early
                early += data

    def check(self) -> None:
        """Raises Failed when Renode has ended or refused a command."""
        code = self._process.poll()
        if code is not None:
            self._listener.join(END_S)  # a child of it may live and have its output open
            raise Failed(f"Renode ended with status {code}{self._said()}")
        if self._refused:
            raise Failed(f"Renode refused a command{self._said()}")

    def closed(self) -> Failed:
        """Why the line has ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_S)
        try:
            self.check()
        except Failed as failure:
            return failure
        return Failed(f"Renode closed the firmware's line{self._said()}")

    def end(self) -> None:
        """End the group: it may be a script that has started Renode."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(END_S)
        assert self._process.stdin is not None
        self._process.stdin.close()

    def _said(self) -> str:
        text = self._end.decode(errors="replace").strip()
        return f"; it said: {text[-LAST_WORDS:] or '(nothing)'}"


def serve(session: Session, line: socket.socket, early: bytes, read_fd: int, write_fd: int) -> None:
    """Pass bytes both ways until `read_fd` ends. Raises Failed when Renode goes first."""
    send(session, line, early)
    while True:
        readable, _, _ = select.select([read_fd, line.fileno()], [], [], LOOK_S)
        session.check()
        if line.fileno() in readable:
            try:
                data = line.recv(CHUNK_BYTES)
            except OSError:
                data = b""
            if not data:
                raise session.closed()
            while data:
                data = data[os.write(write_fd, data) :]
        if read_fd in readable:
            data = os.read(read_fd, CHUNK_BYTES)
            if not data:
                return
            send(session, line, data)


def send(session: Session, line: socket.socket, data: bytes) -> None:
    """Hand `data` to Renode. Raises Failed when it takes nothing or has gone."""
    try:
        line.sendall(data)
    except TimeoutError as error:
        raise Failed(f"Renode took no bytes for {SEND_S:.0f} s") from error
    except OSError as error:
        raise session.closed() from error


def run(options: argparse.Namespace, folder: Path) -> None:
    """Start Renode, serve the host and end Renode, whatever happens. Raises Failed."""
    port = free_port()
    script = prepare(options, folder, port)
    try:
        session = Session(options.renode, script)
    except OSError as error:
        raise Failed(f"cannot start {options.renode}: {error.strerror}") from error
    try:
        line, early = session.connect(port, 0)
        if line is not None:
            with line:
                serve(session, line, early, 0, 1)
    finally:
        session.end()


def _end_with_parent() -> None:
    """For the case that this process is killed and cannot end Renode (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _interrupted(number: int, _: object) -> None:
    raise SystemExit(128 + number)


def main() -> int:
    """See the module's text."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--renode", required=True)
    parser.add_argument("--elf", required=True, type=Path)
    parser.add_argument("--scripts", required=True, type=Path)
    parser.add_argument("--board", required=True, choices=sorted(ANSWERS))
    parser.add_argument("--counter", required=True, type=int)
    parser.add_argument("--sensor", type=int)
    parser.add_argument("--replay", action="store_true")
    options = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupted)
    # A path without spaces or signs of the monitor, whatever TMPDIR is.
    folder = Path(tempfile.mkdtemp(prefix="tinyproof-renode-", dir="/tmp"))
    try:
        run(options, folder)
    except BrokenPipeError:
        return 0
    except Failed as failure:
        sys.stderr.write(f"\n{failure}\n")
        return 3
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
