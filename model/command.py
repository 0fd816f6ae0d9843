"""How a command ends, and what its arguments may be: the same for all packages of tinyproof."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable

from model.errors import TinyproofError

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
    except FileNotFoundError as error:
        told = f"{error.filename}: no such file; run the step that writes it (`make` lists them)"
        code = 2
    except (FileExistsError, NotADirectoryError) as error:
        told, code = f"{error.filename}: expected a folder there; delete what is in its place", 2
    except OSError as error:
        told, code = f"{error}; check the folder, its permissions and its space", 2
    except KeyboardInterrupt:
        told, code = "interrupted; what was finished before is kept", INTERRUPTED
    told = "".join(c if c.isprintable() or c in "\n\t" else "?" for c in phrased(told))
    print(f"error: {told}" if code != INTERRUPTED else told, file=sys.stderr)
    return code
