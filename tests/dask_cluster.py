"""A Dask scheduler and workers of a test's own, as processes of this computer."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from distributed import Client

ROOT = Path(__file__).parents[1]
START_S = 60.0


@dataclass
class TestCluster:
    """A scheduler's address, and its workers by name."""

    __test__ = False
    address: str
    folder: Path
    workers: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def add(self, name: str, code: Path = ROOT) -> None:
        """Start a worker with one thread, whose tinyproof is that of the folder `code`."""
        command = [sys.executable, "-m", "distributed.cli.dask_worker", self.address, "--nthreads",
                   "1", "--no-nanny", "--no-dashboard", "--name", name, "--memory-limit", "0",
                   "--local-directory", str(self.folder / name)]  # fmt: skip
        with (self.folder / f"{name}.log").open("wb") as log:
            self.workers[name] = subprocess.Popen(command, cwd=code, stdout=log, stderr=log)

    def kill(self, name: str) -> None:
        """As a machine that loses its power."""
        self.workers[name].send_signal(signal.SIGKILL)
        self.workers[name].wait()

    @contextlib.contextmanager
    def killing(self, name: str, entry: str) -> Iterator[list[str]]:
        """Kill a worker as soon as it runs a job of `entry`; gives the keys of what it ran then."""
        found: list[str] = []
        over = threading.Event()

        def watch() -> None:
            with Client(self.address, set_as_default=False) as client:
                while not over.wait(0.05) and not found:
                    names = {
                        address: info["name"]
                        for address, info in client.scheduler_info(-1)["workers"].items()
                    }
                    for address, keys in client.processing().items():
                        if names.get(address) == name:
                            found.extend(k for k in map(str, keys) if k.startswith(entry))
                if found:
                    time.sleep(1.0)  # in the middle of it
                    self.kill(name)

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield found
        finally:
            over.set()
            thread.join()


@contextlib.contextmanager
def cluster(
    folder: Path, names: Sequence[str] = ("one", "two"), code: Path = ROOT
) -> Iterator[TestCluster]:
    """A scheduler with workers of these names; all of them end with the block."""
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / "scheduler.json"
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", "127.0.0.1",
               "--port", "0", "--no-dashboard", "--scheduler-file", str(place)]  # fmt: skip
    with (folder / "scheduler.log").open("wb") as log:
        scheduler = subprocess.Popen(command, cwd=code, stdout=log, stderr=log)
    made: TestCluster | None = None
    try:
        until = time.monotonic() + START_S
        while not place.exists():
            assert scheduler.poll() is None, (folder / "scheduler.log").read_text()
            assert time.monotonic() < until, (folder / "scheduler.log").read_text()
            time.sleep(0.05)
        with Client(scheduler_file=str(place), set_as_default=False) as client:
            made = TestCluster(address=str(client.scheduler.address), folder=folder)
            for name in names:
                made.add(name)
            if names:
                client.wait_for_workers(len(names), timeout=START_S)
        yield made
    finally:
        for process in [*(made.workers.values() if made else ()), scheduler]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGTERM)
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
