"""A board on a line of 115200 baud: a pseudo terminal of 11,520 bytes a second each way."""

from __future__ import annotations

import os
import pty
import subprocess
import threading
import time
import tty
from pathlib import Path
from types import TracebackType

BYTES_PER_S = 11520.0  # 115200 baud: ten bits a byte
BURST_S = 0.01  # of bytes at once, when the computer has slept
PAUSE_S = 0.001


class PacedBoard:
    """The native firmware behind such a line; `port` is where the host opens it."""

    def __init__(self, elf: Path) -> None:
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        self._process = subprocess.Popen(
            [str(elf)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self.port = os.ttyname(self._slave)
        os.set_blocking(self._master, False)
        os.set_blocking(self._process.stdout.fileno(), False)
        self._ended = False
        ways = (
            (self._master, self._process.stdin.fileno()),
            (self._process.stdout.fileno(), self._master),
        )
        self._threads = [threading.Thread(target=self._carry, args=way) for way in ways]
        for thread in self._threads:
            thread.start()

    def _carry(self, source: int, sink: int) -> None:
        room, last = 0.0, time.monotonic()
        while not self._ended:
            time.sleep(PAUSE_S)
            now = time.monotonic()
            room = min(room + (now - last) * BYTES_PER_S, BURST_S * BYTES_PER_S)
            last = now
            try:
                data = os.read(source, int(room)) if room >= 1 else b""
            except BlockingIOError:
                continue
            except OSError:
                return
            room -= len(data)
            while data and not self._ended:
                try:
                    data = data[os.write(sink, data) :]
                except BlockingIOError:
                    time.sleep(PAUSE_S)
                except OSError:
                    return

    def __enter__(self) -> PacedBoard:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended = True
        self._process.kill()
        self._process.wait()
        for thread in self._threads:
            thread.join()
        os.close(self._master)
        os.close(self._slave)
