"""A program at a pseudo terminal: what a person at one types and sees."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

DEADLINE_S = 60.0  # a loaded machine starts PlatformIO in ten seconds


class Terminal:
    """Runs `command` with a terminal of `size` (rows, columns) as its input, output and errors."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str] | None = None,
        size: tuple[int, int] = (50, 160),
    ) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
        self.process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            start_new_session=True,
        )
        os.close(slave)
        self.seen = ""  # all of it

    def type(self, text: str) -> None:
        """Press these keys."""
        os.write(self._master, text.encode())

    def read_until(self, text: str) -> str:
        """What is shown from here on up to `text`; fails when that does not come."""
        start, deadline = len(self.seen), time.monotonic() + DEADLINE_S
        while text not in self.seen[start:]:
            left = max(0.0, deadline - time.monotonic())
            assert self._read(left), f"{text!r} did not come: {self.seen[start:]!r}"
        return self.seen[start:]

    def end(self) -> int:
        """Wait for the program's end; its exit code."""
        deadline = time.monotonic() + DEADLINE_S
        while self._read(max(0.0, deadline - time.monotonic())):
            pass
        return self.process.wait(max(1.0, deadline - time.monotonic()))

    def _read(self, timeout_s: float) -> bool:
        if not select.select([self._master], [], [], timeout_s)[0]:
            return False
        try:
            data = os.read(self._master, 65536)
        except OSError:  # nobody has the other end
            return False
        self.seen += data.decode("utf-8", "replace").replace("\r\n", "\n")
        return bool(data)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        finally:
            self.process.kill()
            os.close(self._master)
