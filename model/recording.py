"""Have an experiment recorded by a process of its own that no build waits for (model.store)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from model import store
from model.errors import ModelSideError
from model.paths import our_process

SWITCH = "TINYPROOF_TRACKING"  # environment variable; a word of NO: nothing is recorded
NO = {"off", "0", "no", "false"}
LOG = "tracking.log"  # what the recordings of a folder have said
WAIT_S = 5.0  # for a recording; then it goes on without us


def is_off() -> bool:
    """Whether nothing is to be recorded."""
    return os.environ.get(SWITCH, "").strip().lower() in NO


def record(out_dir: Path) -> None:
    """Have what is new in `out_dir` recorded; on failure say what to do, and return.

    Waits WAIT_S at most. A recording that takes longer goes on in the background.
    """
    if is_off() or _nothing_new(out_dir):
        return
    log = out_dir / LOG
    try:
        with log.open("ab") as file:
            said_before = file.tell()
            process = _start_store(out_dir, file.fileno())
        failed = process.wait(WAIT_S) != 0
    except subprocess.TimeoutExpired:
        print(f"still being recorded in the background, see {log}", file=sys.stderr)
        return
    except OSError as error:
        failed, said = True, str(error)
    else:
        said = log.read_bytes()[said_before:].decode("utf-8", "replace")
    if not failed:
        print(said.strip())
        return
    print(
        f"warning: {out_dir}: the experiment is not recorded: {_last_line(said)}\n"
        f"All files are in {out_dir}; the next command there records them when the store works "
        f"again. {SWITCH}=off in the environment records nothing.",
        file=sys.stderr,
    )


def _nothing_new(out_dir: Path) -> bool:
    try:
        return not store.pending(out_dir)
    except (OSError, ModelSideError):
        return False  # the recording says what is wrong


def _start_store(out_dir: Path, output: int) -> subprocess.Popen[bytes]:
    """The process that records, which neither Ctrl+C nor the end of this one ends."""
    return subprocess.Popen(
        our_process("model.store", str(out_dir)),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
    )


def _last_line(text: str) -> str:
    lines = text.strip().splitlines() or ["no reason given"]
    return lines[-1].removeprefix("error: ")


if __name__ == "__main__":
    record(Path(sys.argv[1]))
