"""Programs that run for a while: nothing of them goes on when their time is over."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from model.processes import end_with_parent


def run_whole(
    command: Sequence[str], limit_s: float, **options: Any
) -> subprocess.CompletedProcess[bytes]:
    """As subprocess.run; but at its limit, or when interrupted, children of the process end too.

    A program such as PlatformIO does its work in children, which would go on and hold what they
    have open. Raises subprocess.TimeoutExpired.
    """
    with subprocess.Popen(command, preexec_fn=end_with_parent(), **options) as process:
        try:
            out, err = process.communicate(timeout=limit_s)
        except BaseException:
            if process.poll() is None:
                end_tree(process.pid)
            raise
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def end_tree(pid: int) -> None:
    """Kill a process and all that it has started; without /proc, itself only."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)  # so that it starts no more
        for stat_file in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                _, parent, *_ = stat_file.read_bytes().rpartition(b")")[2].split()
                if int(parent) == pid:
                    end_tree(int(stat_file.parent.name))
        os.kill(pid, signal.SIGKILL)
