"""The process of one board of a farm: reads its job from standard input, tells what became of it.

What it says goes where its parent sends it. Its argument is the file for the parent: a JSON object
with `board` (once it is known), `result` (the file that the task wrote) and `error`.
"""

from __future__ import annotations

import dataclasses
import signal
import sys
from pathlib import Path

from host_tools.boards.board import Board, load_board
from host_tools.commands_shared import flashed_board
from host_tools.farm.job import Job
from host_tools.farm.tasks import TASKS
from host_tools.link.target import Target, choose_target
from host_tools.wording import as_typed
from model.command import run_and_exit_code
from model.errors import TinyproofError
from model.files import write_json
from model.processes import begin_child


def main(told_file: Path) -> int:
    """Do the job; returns an exit code as a command's."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    job = Job.from_json(sys.stdin.read())
    begin_child(job.parent)
    return run_and_exit_code(lambda: _work(job, told_file), as_typed)


def _work(job: Job, told_file: Path) -> int:
    told: dict[str, str] = {}
    try:
        board, target = _find(job)
        told["board"] = board.folder
        write_json(told_file, told)  # for one that never comes back
        file = job.folder / board.folder / target.file(job.command)
        before = _version(file)
        try:
            TASKS[job.command](job.folder, board, target, **job.options)
        finally:
            if _version(file) != before:
                told["result"] = str(file)
    except TinyproofError as error:
        told["error"] = str(error)
        raise
    finally:
        write_json(told_file, told)
    return 0


def _find(job: Job) -> tuple[Board, Target]:
    """The board and where it runs; asks the firmware at a port."""
    if job.port is None:
        assert job.board is not None
        board = load_board(job.board)
        return board, choose_target(board, job.emulator, None)
    board = flashed_board(job, job.board, job.port)
    return board, dataclasses.replace(choose_target(board, None, job.port), beside=job.beside)


def _version(file: Path) -> tuple[int, int] | None:
    """Differs after a file was written anew: by rename."""
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_mtime_ns


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
