"""Where jobs run: here, or on a Dask cluster. The only module that knows Dask.

A worker that dies takes nothing with it: its jobs are run again by others, and what jobs share is
kept by the scheduler. A worker with other code, packages or processor is refused.
"""

from __future__ import annotations

import collections
import contextlib
import hashlib
import importlib
import itertools
import logging
import os
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from model.errors import ClusterError, JobError
from model.jobs import (
    NOTHING,
    SCHEDULER,
    Here,
    Jobs,
    Process,
    Shared,
    Values,
    different,
    installation,
    pack,
)

CONNECT_S = 20.0
POLL_S = 5.0  # how often a wait for a result looks whether there are workers
ALONE_S = 120.0  # so long a cluster may be without workers
MAX_SHARED = 1 << 30  # bytes: the scheduler keeps them in memory
AHEAD = 2  # jobs in work or sent, for each thread of a worker
_idle: list[Process] = []  # of a worker: processes between two jobs
_lock = threading.Lock()


class Cluster:
    """Runs jobs on the workers of a scheduler; see model.jobs.Jobs."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._distributed = _distributed()
        self._kept: dict[str, Any] = {}
        self._numbers = itertools.count()
        self._alone_since: float | None = None
        if address.split("://")[0] not in ("tcp", "tls") or "://" not in address:
            raise ClusterError(
                f"SCHEDULER={address}: expected tcp://host:port or tls://host:port of a Dask "
                "scheduler, as `dask scheduler` prints it"
            )
        for name in ("distributed", "distributed.client"):
            logging.getLogger(name).setLevel(logging.CRITICAL)  # lost workers are told by us
        try:
            self._client = self._distributed.Client(
                address, timeout=CONNECT_S, set_as_default=False, name="tinyproof"
            )
        except (OSError, ValueError, TypeError, RuntimeError) as error:
            raise ClusterError(
                f"SCHEDULER={address}: no Dask scheduler answers there ({type(error).__name__}: "
                f"{str(error).splitlines()[0] if str(error) else 'no answer'}); start one with "
                "`dask scheduler`, and `dask worker` with its address on every machine"
            ) from error
        try:
            self._check_workers()
        except BaseException:
            self._client.close()
            raise

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        self._kept.clear()
        self._client.close()

    @property
    def workers(self) -> int:
        """Threads of all workers that there are now; at least 1."""
        return max(sum(self._threads().values()), 1)

    def _threads(self) -> dict[str, int]:
        return dict(self._client.nthreads())

    def _check_workers(self) -> None:
        """ClusterError without workers, and for a place that is not as this installation."""
        try:  # which unpickles what it hands on
            theirs = self._client.run_on_scheduler(installation)
        except (ImportError, AttributeError, RuntimeError) as error:
            raise _without_tinyproof(f"scheduler {self._address}", error) from error
        require_same(installation(), theirs, f"scheduler {self._address}")
        until = time.monotonic() + CONNECT_S
        while not self._threads():
            if time.monotonic() > until:
                raise ClusterError(
                    f"SCHEDULER={self._address}: it has no workers (waited {CONNECT_S:.0f} s); "
                    f"start `dask worker {self._address}` on every machine, in the environment of "
                    "its tinyproof"
                )
            time.sleep(0.2)
        found = self._client.run(installation, on_error="return")
        for worker, theirs in sorted(found.items()):
            if isinstance(theirs, OSError):  # it went away between two lines of ours
                continue
            if isinstance(theirs, BaseException):
                raise _without_tinyproof(f"worker {worker}", theirs)
            require_same(installation(), theirs, f"worker {worker}")

    def share(self, **values: Any) -> Shared:
        """As Jobs.share; ClusterError for more than a scheduler should keep."""
        shared = pack(values)
        if len(shared.blob) > MAX_SHARED:
            raise ClusterError(
                f"{len(shared.blob):,} bytes of data would be sent to the cluster, expected at "
                f"most {MAX_SHARED:,}; run it here, without SCHEDULER"
            )
        return shared

    def call(self, entry: str, arguments: Values, shared: Shared | None = None) -> Any:
        """As Jobs.call."""
        return self._result(self._submit(entry, arguments, shared), entry)

    def map(
        self,
        entry: str,
        jobs: Iterable[Values],
        shared: Shared | None = None,
        here: Values | None = None,
    ) -> Iterator[Any]:
        """As Jobs.map."""
        waiting: collections.deque[Any] = collections.deque()
        for arguments in jobs:
            waiting.append(self._submit(entry, arguments, shared))
            if len(waiting) >= AHEAD * self.workers:
                yield self._result(waiting.popleft(), entry)
        while waiting:
            yield self._result(waiting.popleft(), entry)

    def _submit(self, entry: str, arguments: Values, shared: Shared | None) -> Any:
        shared = shared or NOTHING
        if shared.digest not in self._kept:
            # a task, not scattered data: the scheduler can have it done again, which needs no
            # worker that has survived
            self._kept[shared.digest] = self._client.submit(
                keep, shared.blob, shared.digest, key=f"tinyproof-data-{shared.digest or 'none'}"
            )
        return self._client.submit(
            work,
            entry,
            dict(arguments),
            self._kept[shared.digest],
            shared.digest,
            installation(),
            key=f"{entry}-{self._client.id}-{next(self._numbers)}",
            pure=False,
        )

    def _result(self, future: Any, entry: str) -> Any:
        while True:
            try:
                return future.result(timeout=POLL_S)
            except self._distributed.KilledWorker as error:
                raise JobError(
                    f"{entry}: every worker that ran it died ({error}); too little memory?"
                ) from error
            except self._distributed.client.FutureCancelledError as error:
                raise ClusterError(
                    f"SCHEDULER={self._address}: the connection is lost; run the command again "
                    "when the scheduler is back"
                ) from error
            except self._distributed.TimeoutError:
                if future.done() and future.status == "error":
                    raise
                self._require_workers()

    def _require_workers(self) -> None:
        """ClusterError after ALONE_S without any worker."""
        there = self._client.status == "running" and bool(self._threads())
        now = time.monotonic()
        self._alone_since = None if there else self._alone_since or now
        if self._alone_since is not None and now - self._alone_since > ALONE_S:
            raise ClusterError(
                f"SCHEDULER={self._address}: no worker for {ALONE_S:.0f} s; start "
                f"`dask worker {self._address}`, and run the command again"
            )


@contextlib.contextmanager
def open_jobs(*, own_process: bool = False, log: Path | None = None) -> Iterator[Jobs]:
    """The cluster that SCHEDULER names; without one this process, or one of its own."""
    if address := os.environ.get(SCHEDULER):
        with Cluster(address) as cluster:
            yield cluster
    elif own_process:
        process = Process(log)
        try:
            yield process
        finally:
            process.close()
    else:
        yield Here()


def _without_tinyproof(where: str, error: BaseException) -> ClusterError:
    return ClusterError(
        f"{where}: has no tinyproof of this version ({error}); install the same one there, and "
        "start it with that environment's `dask`"
    )


def require_same(ours: dict[str, str], theirs: dict[str, str], where: str) -> None:
    """ClusterError for a place whose results could have other bytes."""
    if told := different(ours, theirs):
        raise ClusterError(
            f"{where}: another installation than the one that sends the work ({told}); "
            "install the same tinyproof and packages there, and start it again"
        )


def keep(blob: bytes, digest: str) -> bytes:
    """On a worker: what jobs share, as it was sent."""
    if digest and hashlib.sha256(blob).hexdigest() != digest:
        raise ClusterError(f"shared data: expected SHA-256 {digest}, got others; run it again")
    return blob


def work(
    entry: str, arguments: dict[str, Any], blob: bytes, digest: str, expected: dict[str, str]
) -> Any:
    """On a worker: one job, in a process of its own that later jobs use as well."""
    where = _distributed().get_worker().address
    require_same(expected, installation(), f"worker {where}")
    with _borrowed() as process:
        return process.call(entry, arguments, Shared(blob, digest))


@contextlib.contextmanager
def _borrowed() -> Iterator[Process]:
    with _lock:
        process = _idle.pop() if _idle else Process()
    try:
        yield process
    finally:
        with _lock:
            _idle.append(process)


def _distributed() -> Any:
    """The package; by its name, so that no result depends on whether it is installed."""
    try:
        return importlib.import_module("distributed")
    except ImportError as error:
        raise ClusterError(
            f"SCHEDULER: needs Dask, which is not installed ({error}): "
            "pip install 'tinyproof[cluster]'"
        ) from error
