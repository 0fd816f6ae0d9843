"""A double of the Nano 33 BLE's boot loader behind a pseudo terminal.

It does what the real one does by the disassembly of its ELF file: it erases whole, aligned pages
only and does not look whether flash has taken a byte, ignores what it does not know, keeps an
unfinished command, and sends a NUL and a stray byte behind V and I.
"""

from __future__ import annotations

import binascii
import os
import pty
import re
import select
import threading
import tty
from pathlib import Path
from types import TracebackType

PAGE, BUFFER, ROOM = 4096, 8192, 0xF0000


class BootLoader:
    """`flash` is the application's part; faults are set before or while it runs."""

    def __init__(self, port: Path, *, chip: str = "nRF52840-QIAA", version: str | None = None):
        self.flash = bytearray(b"\xff" * ROOM)
        self.chip, self.commands, self.resets = chip, list[bytes](), 0
        self.version = version or "Arduino Bootloader (SAM-BA extended) 2.0 [Arduino:IKXYZ]"
        self.stuck: dict[int, int] = {}  # offset -> how often its page is not written
        self.silent_after = -1  # commands
        self._buffer, self._from, self._text = bytearray(BUFFER), 0, bytearray(BUFFER)
        self._master, slave = pty.openpty()
        tty.setraw(self._master)
        tty.setraw(slave)
        self._slave, self.port = slave, port
        port.symlink_to(os.ttyname(slave))
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def __enter__(self) -> BootLoader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join()
        os.close(self._master)
        os.close(self._slave)
        self.port.unlink(missing_ok=True)

    def _serve(self) -> None:
        pending, wanted, to = b"", 0, 0
        while not self._done.is_set():
            if not select.select([self._master], [], [], 0.02)[0]:
                continue
            pending += os.read(self._master, 65536)
            while pending:
                if wanted:
                    taken, pending = pending[:wanted], pending[wanted:]
                    self._buffer[to : to + len(taken)] = taken
                    to, wanted = to + len(taken), wanted - len(taken)
                    continue
                if b"#" not in pending:
                    break
                command, pending = pending.split(b"#", 1)
                self.commands.append(command)
                if 0 <= self.silent_after < len(self.commands):
                    continue
                if command[:1] == b"S":
                    to, wanted = self._numbers(command)
                else:
                    self._answer(command)

    def _numbers(self, command: bytes) -> tuple[int, int]:
        """As strtoul reads them, from the second and the eleventh byte of the buffer on, where a
        longer command of earlier may have left something."""
        self._text[: len(command) + 1] = command + b"\0"
        first, second = (re.match(rb"[0-9A-Fa-f]*", self._text[i:]) for i in (1, 10))
        assert first and second
        return int(first[0] or b"0", 16), int(second[0] or b"0", 16)

    def _answer(self, command: bytes) -> None:
        kind = command[:1]
        if kind == b"N":
            self._send(b"\n\r")
        elif kind in b"VI" and kind:
            text = self.version if kind == b"V" else self.chip
            self._send(text.encode() + b"\n\r\0Y")
        elif kind == b"X":
            self._send(b"X\n\r")
        elif kind == b"K":
            self.resets += 1
        elif kind == b"Y":
            self._write(*self._numbers(command))
            self._send(b"Y\n\r")
        elif kind == b"Z":
            first, length = self._numbers(command)
            crc = binascii.crc_hqx(bytes(self.flash[first : first + length]), 0)
            self._send(b"Z%08X#\n\r" % crc)

    def _write(self, to: int, length: int) -> None:
        if not length:
            self._from = to
            return
        if self.stuck.get(to, 0) > 0:
            self.stuck[to] -= 1
            return
        if to % PAGE == 0 and length % PAGE == 0:
            self.flash[to : to + length] = b"\xff" * length
        data = self._buffer[self._from : self._from + length]
        for i, byte in enumerate(data):
            self.flash[to + i] &= byte  # flash has no other way from 0 to 1 than an erasure

    def _send(self, data: bytes) -> None:
        os.write(self._master, data)
