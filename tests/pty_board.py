"""The native firmware behind a pseudo terminal: to the host it is a board on a serial port."""

from __future__ import annotations

import os
import pty
import subprocess
import termios
import tty
from pathlib import Path
from types import TracebackType


class PtyBoard:
    """`port` is a link, as udev makes them, so that it can vanish and come back renamed."""

    def __init__(self, elf: Path, port: Path) -> None:
        self._master, self._slave = pty.openpty()
        tty.setraw(self._master)
        tty.setraw(self._slave)
        self._process = subprocess.Popen([str(elf)], stdin=self._master, stdout=self._master)
        self.port = port
        self.appear(port)

    def appear(self, port: Path) -> None:
        """Make the board reachable as `port`."""
        port.symlink_to(os.ttyname(self._slave))
        self.port = port

    def vanish(self) -> None:
        """Take the port away, as unplugging does."""
        self.port.unlink()

    def speed(self) -> int:
        """The speed the port was last set to, as a termios constant."""
        return int(termios.tcgetattr(self._slave)[5])

    def __enter__(self) -> PtyBoard:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._master)
        os.close(self._slave)
