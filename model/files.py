"""Files that appear whole or not at all, and are read within bounds."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

MAX_NETWORK_BYTES = 256 << 20  # of a trained network's file, before quantisation
BLOCK_BYTES = 1 << 20  # read(n) reserves n bytes, however short the file is


def file_size(path: Path) -> int:
    """Bytes of a file; OSError for another kind: a pipe may never end, nor be read twice."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        kind = "a folder" if stat.S_ISDIR(found.st_mode) else "a pipe or a device"
        raise OSError(errno.EINVAL, f"{kind}, expected a file", str(path))
    return found.st_size


def read_bounded(path: Path, limit: int) -> bytes:
    """At most the first `limit` bytes of a file; memory is taken for what there is.

    OSError as file_size.
    """
    file_size(path)
    blocks, rest = [], limit
    with path.open("rb") as stream:
        while rest and (block := stream.read(min(rest, BLOCK_BYTES))):
            blocks.append(block)
            rest -= len(block)
    return b"".join(blocks)


def require_file(path: Path) -> None:
    """OSError where a pipe or a device is in the place of a file that is to be written.

    The file would replace it: by root /dev/null too, for all programs.
    """
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        mode = path.stat().st_mode
        link = path.is_symlink() and os.path.realpath(path.parent) == "/dev"  # /dev/stdout
        if link or not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise OSError(errno.EINVAL, "a pipe or a device, expected a file", str(path))


def write_bytes(path: Path, data: bytes) -> None:
    """Write under a temporary name beside `path`, then rename; OSError also as require_file."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with _named(path):
        require_file(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(data)
            temporary.replace(path)
        finally:
            _discard(temporary)


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """An error of the disk says of which file: write() itself does not, open() of ours."""
    try:
        yield
    except (FileExistsError, NotADirectoryError):  # of its folder
        raise
    except OSError as error:
        error.filename = str(path)
        raise


def _discard(temporary: Path) -> None:
    """What could not be made cannot always be looked for either; the first error is the one."""
    with contextlib.suppress(OSError):
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """As write_bytes, in UTF-8."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: object) -> None:
    """Sorted keys, two spaces, a newline at the end."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, allow_nan=False) + "\n")


def write_arrays(path: Path, arrays: Mapping[str, npt.NDArray[np.generic]]) -> None:
    """Arrays as .npz; OSError also as require_file."""
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp.npz")
    with _named(path):
        require_file(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            np.savez_compressed(temporary, **dict(arrays))  # type: ignore[arg-type]
            temporary.replace(path)
        finally:
            _discard(temporary)
