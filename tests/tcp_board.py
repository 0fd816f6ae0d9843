"""Boards behind TCP addresses of this computer: firmware, or something that is none."""

from __future__ import annotations

import socket
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType


class TcpBoard:
    """Each connection gets the native firmware `elf`, started anew; None: accepts, and is silent.

    `harm` is XORed into every 500th byte that the firmware says: the line is a bad one.
    """

    def __init__(self, elf: Path | None, host: str = "127.0.0.1", harm: int = 0) -> None:
        self._elf = elf
        self._harm = harm
        self._server = socket.create_server((host, 0))
        self._programs: list[subprocess.Popen[bytes]] = []
        self.lines: list[socket.socket] = []
        number = self._server.getsockname()[1]
        self.address = f"{host}:{number}"
        self.url = f"socket://{self.address}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                line = self._server.accept()[0]
                self.lines.append(line)
                if self._elf is None:
                    continue
                out = subprocess.PIPE if self._harm else line
                program = subprocess.Popen([self._elf], stdin=line, stdout=out, close_fds=True)
                self._programs.append(program)
                if self._harm:
                    args = (program, line)
                    threading.Thread(target=self._spoil, args=args, daemon=True).start()
                else:
                    line.close()

    def _spoil(self, program: subprocess.Popen[bytes], line: socket.socket) -> None:
        assert program.stdout is not None
        passed = 0
        with suppress(OSError), program.stdout as said:
            while data := said.read1(4096):  # type: ignore[attr-defined]
                changed = bytearray(data)
                for at in range(-passed % 500, len(data), 500):
                    changed[at] ^= self._harm
                passed += len(data)
                line.sendall(changed)

    def __enter__(self) -> TcpBoard:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(5)
        for program in self._programs:
            program.kill()
            program.wait()
        for line in self.lines:
            line.close()
