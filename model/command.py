"""How a command ends, and what its arguments may be: the same for all packages of tinyproof."""

from __future__ import annotations

import errno
import io
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from model.errors import TinyproofError
from model.paths import SCRATCH
from model.text import printable

INTERRUPTED = 130


class _Patient(io.FileIO):
    """Standard output that goes on when its reader has gone (`make report | head`)."""

    def write(self, data: bytes) -> int:  # type: ignore[override]
        try:
            return super().write(data) or 0
        except BrokenPipeError:
            return len(data)


def run_and_exit_code(command: Callable[[], int], phrased: Callable[[str], str] = str) -> int:
    """Run a command; returns its exit code. An error is one message on standard error, `phrased`.

    Exit codes: the command's own, the error's, 2 for a file that cannot be read or written,
    130 when interrupted. A closed standard output changes none of them.
    """
    out = sys.stdout
    if out is sys.__stdout__ and isinstance(out, io.TextIOWrapper):  # not closed, not a test's
        sys.stdout = io.TextIOWrapper(
            io.BufferedWriter(_Patient(out.fileno(), "w", closefd=False)),
            encoding=out.encoding,
            errors="replace",
            line_buffering=out.line_buffering or out.write_through,
        )
    try:
        return command()
    except TinyproofError as error:
        told, code = str(error), error.exit_code
    except OSError as error:
        told, code = _of_the_disk(error), 2
    except KeyboardInterrupt:
        told, code = "interrupted; what was finished before is kept", INTERRUPTED
    told = printable(phrased(told), keep="\n\t")
    print(f"error: {told}" if code != INTERRUPTED else told, file=sys.stderr)
    return code


def _of_the_disk(error: OSError) -> str:
    """Which file or folder, what is wrong with it, and what to do next."""
    if error.filename is None:
        return f"{error}; check the folders, their permissions and their space"
    path = Path(os.fsdecode(error.filename))
    if isinstance(error, FileNotFoundError):
        return f"{path}: no such file; run the step that writes it (`make` lists them)"
    if isinstance(error, FileExistsError | NotADirectoryError):
        return f"{path}: expected a folder there; delete what is in its place"
    ours = Path(tempfile.gettempdir()) / SCRATCH
    temporary = str(path).startswith(str(ours))
    elsewhere = (
        "name another folder for temporary files with TMPDIR=<folder> in the environment"
        if temporary
        else "copy what you work on to another folder and work there (PROJECT=<folder>)"
    )
    kept = "nothing is half written, what was finished before is kept"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        what = "no space left" if error.errno == errno.ENOSPC else "your quota is used up"
        told = f"cannot be written, {what} on its disk; free some, or {elsewhere}, and run again"
    elif error.errno == errno.EROFS:
        told = f"cannot be written, its file system is read-only; make it writable, or {elsewhere}"
    elif isinstance(error, PermissionError):
        return (
            f"{path}: permission denied; change its owner or permissions (ls -ld shows them), or "
            f"{elsewhere}"
        )
    else:
        return f"{path}: {error.strerror}; check the folder, its permissions and its space"
    return f"{path}: {told}; {kept}"
