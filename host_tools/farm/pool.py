"""Run jobs beside each other, each in a process that has a time limit and ends with this one."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from host_tools.errors import DeviceError, UsageError
from host_tools.farm.job import Job, Row, State, state_of
from host_tools.processes import end_tree
from host_tools.report.results import JsonObject, read_result
from model.command import INTERRUPTED
from model.errors import TinyproofError
from model.paths import our_process
from model.processes import scratch_folder

GRACE_S = 5.0  # after an interrupt, for partial results and to end the emulator
POLL_S = 0.1
LOG_BYTES = 1 << 16  # of a log that are read, from its end


class Pool:
    """The rows of a farm, and the processes that fill them in.

    A thread waits for each process: Linux ends a process with the thread that started it.
    """

    def __init__(self, rows: Sequence[Row], limit_s: float, scratch: Path) -> None:
        self._rows = list(rows)
        self._limit_s = limit_s
        self._scratch = scratch
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._slots = threading.Semaphore(cpus())
        self.on_end: Callable[[Row], None] = lambda row: None

    @property
    def rows(self) -> list[Row]:
        """As they are now."""
        return list(self._rows)

    def change(self, index: int, **what: Any) -> None:
        """Replace fields of a row."""
        self._rows[index] = row = replace(self._rows[index], **what)
        if row.state.ended:
            self.on_end(row)

    def start(self, index: int, job: Job, log: Path) -> None:
        """Begin with a job when there is room for it; a board at a port needs none."""
        self.change(index, state=State.WAITING)
        arguments = (index, job, log)
        self._threads.append(threading.Thread(target=self._thread, args=arguments))
        self._threads[-1].start()

    def wait(self) -> None:
        """Until all have ended."""
        for thread in self._threads:
            while thread.is_alive():
                thread.join(POLL_S)  # a join without a limit cannot be interrupted

    def stop(self) -> None:
        """End what runs, and begin nothing; returns when all has ended."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        for index, row in enumerate(self._rows):
            if not row.state.ended:
                self.change(index, state=State.INTERRUPTED, code=INTERRUPTED, message="not run")

    def _thread(self, index: int, job: Job, log: Path) -> None:
        with self._room(job):
            if self._stop.is_set():
                return
            try:
                self._run(index, job, log)
            except Exception as error:  # a row without an end would be taken for an interrupt
                told = f"{type(error).__name__}: {error}"
                code = (
                    error.exit_code if isinstance(error, TinyproofError) else UsageError.exit_code
                )
                self.change(index, state=State.ERROR, code=code, message=told)

    @contextmanager
    def _room(self, job: Job) -> Iterator[None]:
        if job.port is not None:
            yield
            return
        while not self._slots.acquire(timeout=POLL_S):
            if self._stop.is_set():
                yield
                return
        try:
            yield
        finally:
            self._slots.release()

    def _run(self, index: int, job: Job, log: Path) -> None:
        told_file = self._scratch / f"{index}.json"
        started = time.monotonic()
        self.change(index, state=State.RUNNING, log=log, started=started)
        state, code = self._process(job, log, told_file, started + self._limit_s)
        told = read_result(told_file) if told_file.exists() else {}
        file = Path(told["result"]) if "result" in told else None
        result = read_result(file) if file else None
        message = ""
        if state is State.TIMED_OUT:
            message = f"did not end in {self._limit_s:g} s and was stopped (TIME_LIMIT=)"
        elif state is not State.PASSED:
            message = told.get("error") or _last_line(log)
        self.change(
            index,
            board=told.get("board", self._rows[index].board),
            state=state,
            code=code,
            message=message,
            seconds=time.monotonic() - started,
            result=result,
            file=file,
            cost=_cost(file, result, job.command),
        )

    def _process(self, job: Job, log: Path, told: Path, end: float) -> tuple[State, int]:
        """Run the job; returns how it ended, and the exit code that counts for it."""
        log.parent.mkdir(parents=True, exist_ok=True)
        log.unlink(missing_ok=True)  # it may be a link
        with (
            log.open("wb") as said,
            subprocess.Popen(
                our_process("host_tools.farm.worker", str(told)),
                stdin=subprocess.PIPE,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl+C reaches it through us, once
            ) as process,
        ):
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError), process.stdin as stdin:
                stdin.write(job.to_json().encode())
            while True:
                try:
                    code = process.wait(POLL_S)
                except subprocess.TimeoutExpired:
                    if not self._stop.is_set() and time.monotonic() < end:
                        continue
                    _end(process)
                    if self._stop.is_set():
                        return State.INTERRUPTED, INTERRUPTED
                    return State.TIMED_OUT, DeviceError.exit_code
                if code < 0:  # by a signal: there is no verdict
                    return State.ERROR, DeviceError.exit_code
                return state_of(code), code


def cpus() -> int:
    """How many emulators run at once."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


@contextmanager
def pool(rows: Sequence[Row], limit_s: float) -> Iterator[Pool]:
    """A pool of which nothing goes on after the block."""
    with scratch_folder("farm") as scratch:
        made = Pool(rows, limit_s, scratch)
        try:
            yield made
            made.wait()
        finally:
            made.stop()


def label(text: str) -> str:
    """A board's or a port's name as a part of a file's name."""
    return re.sub(r"[^A-Za-z0-9.]+", "_", text)[:80].strip("._") or "port"


def read_log(row: Row) -> str:
    """The end of what a board's process has said."""
    if row.log is None or not row.log.is_file():
        return ""
    with row.log.open("rb") as file:
        file.seek(max(0, row.log.stat().st_size - LOG_BYTES))
        return file.read().decode("utf-8", "replace")


def _cost(file: Path | None, result: JsonObject | None, command: str) -> JsonObject | None:
    """The bench.json beside a result, of the same run."""
    if file is None or result is None or "run_id" not in result:
        return None
    beside = file.with_name(f"bench{file.name.removeprefix(command)}")
    try:
        found = read_result(beside, "run_id", "counts", "unit")
    except (FileNotFoundError, UsageError):
        return None
    return found if found["run_id"] == result["run_id"] else None


def _end(process: subprocess.Popen[bytes]) -> None:
    """Interrupt a process, so that it can keep what it has; kill what is left of it."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        end_tree(process.pid)


def _last_line(log: Path) -> str:
    row = Row(board="", where="", log=log)
    lines = read_log(row).strip().splitlines() or ["its process has ended and said nothing"]
    return lines[-1].removeprefix("error: ")
