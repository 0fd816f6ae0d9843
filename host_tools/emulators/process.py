"""An emulator as a child process, its link on pipes or on two named pipes."""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from host_tools.errors import DeviceError, ToolMissing
from host_tools.link.transport import PipeTransport
from model.processes import end_with_parent, scratch_folder

SENSOR_FILE = "sensor"  # as in firmware/board/replay/replay.h
START_S = 10.0  # until the firmware has opened its named pipes
END_S = 2.0  # how long a process may take to end after its input has closed
POLL_S = 0.005
LAST_WORDS = 2000  # characters of its last output to quote
OUTPUT = "output.txt"
HEADER_BYTES = 20  # of an ELF file, up to its machine number
ARM = 40  # machine numbers of ELF files
XTENSA = 94
RISCV = 243


def missing_program(program: str, package: str) -> str | None:
    """Return None when `program` is on PATH, else what to type to get it."""
    if shutil.which(program) is not None:
        return None
    return f"{program} is not installed; type: sudo apt-get install {package}"


def missing_module(name: str) -> str | None:
    """Return None when the Python package `name` is installed, else what to type to get it."""
    if importlib.util.find_spec(name) is not None:
        return None
    return f"the Python package {name} is not installed; type: pip install {name}"


def module_version(name: str) -> str:
    """The version of the Python package `name`."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def firmware_path(name: str, elf: Path, machine: int) -> str:
    """Return the absolute path of `elf`; DeviceError when it is no firmware for `machine`."""
    found = elf_machine(name, elf)
    if found != machine:
        raise DeviceError(
            f"{name}: {elf} is not a program for this emulator (no ELF file of machine {machine}). "
            "Was it built for this board?"
        )
    return str(elf.absolute())


def elf_machine(name: str, elf: Path) -> int | None:
    """The machine's number of an ELF file; None for another file, DeviceError without one."""
    try:
        with elf.open("rb") as file:
            header = file.read(HEADER_BYTES)
    except OSError as error:
        raise DeviceError(f"{name}: {elf}: {error.strerror}. Build it first.") from error
    return int.from_bytes(header[18:20], "little") if header[:4] == b"\x7fELF" else None


def start_on_pipes(
    name: str, missing: str | None, command: Sequence[str], sensor: bytes | None = None
) -> PipeTransport:
    """Start `command` with its link on standard input and output; close() ends it.

    `sensor` is what the firmware finds in its working folder as a recording to replay.
    """
    child = _Child.start(name, missing, command, sensor, piped=True)
    assert child.process.stdin is not None
    assert child.process.stdout is not None
    transport = child.transport(
        os.dup(child.process.stdout.fileno()), os.dup(child.process.stdin.fileno())
    )
    child.process.stdin.close()
    child.process.stdout.close()
    return transport


def start_on_fifos(
    name: str, missing: str | None, command: Sequence[str], sensor: bytes | None = None
) -> PipeTransport:
    """As start_on_pipes, with the link on named pipes `in` and `out` in the working folder."""
    child = _Child.start(name, missing, command, sensor, piped=False)
    read_fd = os.open(child.folder / "out", os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_fd = child.open_input()
    except BaseException:  # an interrupt too
        os.close(read_fd)
        child.end()
        raise
    return child.transport(read_fd, write_fd)


@dataclass(frozen=True, slots=True)
class _Child:
    name: str
    process: subprocess.Popen[bytes]
    folder: Path
    scratch: contextlib.ExitStack  # removes the folder

    @classmethod
    def start(
        cls,
        name: str,
        missing: str | None,
        command: Sequence[str],
        sensor: bytes | None,
        *,
        piped: bool,
    ) -> _Child:
        if missing is not None:
            raise ToolMissing(missing)
        link = subprocess.PIPE if piped else subprocess.DEVNULL
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(scratch_folder("emulator"))
            if not piped:
                os.mkfifo(folder / "in")
                os.mkfifo(folder / "out")
            if sensor is not None:
                (folder / SENSOR_FILE).write_bytes(sensor)
            try:
                with (folder / OUTPUT).open("wb") as output:
                    process = subprocess.Popen(
                        command,
                        bufsize=0,
                        cwd=folder,
                        stdin=link,
                        stdout=link if piped else output,
                        stderr=output,
                        start_new_session=True,  # an interrupt is for the host; it closes the link
                        preexec_fn=end_with_parent(),
                    )
            except OSError as error:
                raise DeviceError(
                    f"{name}: cannot start {command[0]}: {error.strerror}. Was it built for this "
                    "board?"
                ) from error
            return cls(name, process, folder, stack.pop_all())

    def transport(self, read_fd: int, write_fd: int) -> PipeTransport:
        return PipeTransport(
            self.name, read_fd, write_fd, why_gone=self.last_words, on_close=self.end
        )

    def open_input(self) -> int:
        """Open the pipe that the firmware reads; it cannot be opened before the firmware did."""
        deadline = time.monotonic() + START_S
        while True:
            try:
                return os.open(self.folder / "in", os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                if error.errno != errno.ENXIO:  # ENXIO: nobody reads yet
                    raise
            if self.process.poll() is not None:
                raise DeviceError(f"{self.name}: the firmware did not start: {self.last_words()}")
            if time.monotonic() > deadline:
                raise DeviceError(
                    f"{self.name}: the firmware did not open its link in {START_S:.0f} s. "
                    "Was it built for this board?"
                )
            time.sleep(POLL_S)

    def last_words(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(END_S)
        said = (self.folder / OUTPUT).read_text(encoding="utf-8", errors="replace")
        code = self.process.poll()
        ended = "closed its link" if code is None else f"ended with status {code}"
        return f"the emulator {ended}; its last output: {said.strip()[-LAST_WORDS:] or '(none)'}"

    def end(self) -> None:
        try:
            self.process.wait(END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        finally:
            self.scratch.close()
