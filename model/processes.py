"""Nothing stays of a process that is killed: neither its children nor its temporary folders."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from model.paths import SCRATCH

PR_SET_PDEATHSIG = 1  # linux/prctl.h
LOCK = "in-use"  # of a temporary folder
NEW, NEW_S = ".new-", 60.0  # before the name of one that is not locked yet, and for how long


def end_with_parent() -> Callable[[], None] | None:
    """For a child process of Linux: end when the one that started it is killed; else None.

    The kernel tells of the end of the thread that started it, so that one has to wait for it.
    """
    if sys.platform != "linux":
        return None
    libc, parent = ctypes.CDLL(None), os.getpid()  # loaded before the fork
    return lambda: _tie(libc, parent)


def begin_child(parent: int) -> None:
    """The same from within, of who started it: the initializer of a pool's processes."""
    if sys.platform == "linux":
        _tie(ctypes.CDLL(None), parent)


def _tie(libc: ctypes.CDLL, parent: int) -> None:
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it was killed before, so nobody is told
        os._exit(1)


@contextmanager
def scratch_folder(kind: str) -> Iterator[Path]:
    """<temporary folder>/tinyproof-<kind>-..., gone afterwards, with those of killed processes."""
    _sweep(Path(tempfile.gettempdir()))
    made = Path(tempfile.mkdtemp(prefix=f"{NEW}{SCRATCH}{kind}-"))
    with FileLock(made / LOCK, thread_local=False):  # another thread may be the last to use it
        folder = made.rename(made.with_name(made.name.removeprefix(NEW)))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _sweep(parent: Path) -> None:
    """Remove our folders whose lock is free: their processes were killed.

    A new folder is locked before it gets its name; one that never got it is removed later.
    """
    for folder in (*parent.glob(f"{SCRATCH}*"), *parent.glob(f"{NEW}{SCRATCH}*")):
        lock = FileLock(folder / LOCK)
        try:
            found = folder.lstat()  # a link may lead anywhere
            if folder.name.startswith(NEW) and time.time() - found.st_mtime < NEW_S:
                continue
            ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
            if not ours or not (folder / LOCK).is_file():
                continue
            with lock.acquire(timeout=0):
                shutil.rmtree(folder, ignore_errors=True)
        except (OSError, Timeout):
            continue  # in use, or another process sweeps it
