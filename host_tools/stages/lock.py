"""One user of a folder at a time."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

LOCK, HOLDER = ".lock", ".lock.holder"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of `folder`; when another process has it, say who, and wait for its end."""
    folder.mkdir(parents=True, exist_ok=True)
    lock, holder = FileLock(folder / LOCK), folder / HOLDER
    try:
        lock.acquire(timeout=0)
    except Timeout:
        who = holder.read_text("utf-8", "replace") if holder.exists() else "another process"
        print(f"{folder} is in use by {who}; waiting for it (Ctrl+C gives up)", file=sys.stderr)
        lock.acquire()
    try:
        command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])
        printable = "".join(c if c.isprintable() else "?" for c in command)
        holder.write_text(f"process {os.getpid()}, `{printable[:200]}`", "utf-8", "replace")
        yield
    finally:
        lock.release()
