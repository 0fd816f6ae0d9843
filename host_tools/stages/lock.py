"""One user of a folder at a time."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from model.addresses import without_password
from model.files import write_bytes
from model.text import printable

LOCK, HOLDER = ".lock", ".lock.holder"
_HELD: set[Path] = set()  # by this process


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of `folder`; when another process has it, say who, and wait for its end.

    What this process holds already it keeps until the outermost block ends.
    """
    key = folder.absolute()
    if key in _HELD:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    lock, holder = FileLock(folder / LOCK), folder / HOLDER
    try:
        lock.acquire(timeout=0)
    except Timeout:
        who = holder.read_text("utf-8", "replace") if holder.is_file() else "another process"
        print(f"{folder} is in use by {who}; waiting for it (Ctrl+C gives up)", file=sys.stderr)
        lock.acquire()
    _HELD.add(key)
    try:
        command = without_password(" ".join([Path(sys.argv[0]).name, *sys.argv[1:]]))
        told = f"process {os.getpid()}, `{printable(command)[:200]}`"
        write_bytes(holder, told.encode("utf-8", "replace"))  # by rename: it may be a link
        yield
    finally:
        _HELD.discard(key)
        lock.release()
