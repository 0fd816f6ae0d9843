"""Work that may run elsewhere: in this process, in one of its own, or on a Dask cluster.

A job is a function by its name, 'package.module:function', and its arguments. What many jobs read
is shared: it is sent once. All places run the same function on the same values, so the results
have the same bytes. A cluster's workers run jobs in processes like the local one, which have the
environment that model.threads fixes, whatever the worker was started with.

Dask sends pickles: whoever reaches a scheduler can run code on its workers and on this computer.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import os
import pickle
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from model.errors import JobError, TinyproofError
from model.paths import our_process

SCHEDULER = "TINYPROOF_SCHEDULER"  # an address, tcp://host:8786; empty or not set: no cluster
PARENT_S = 1.0  # how often a process looks whether the one that started it is still there
Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Shared:
    """Arguments that many jobs have in common, as they are sent, and their SHA-256."""

    blob: bytes
    digest: str


NOTHING = Shared(b"", "")


def pack(values: Values) -> Shared:
    """Values as they are sent."""
    blob = pickle.dumps(dict(values), protocol=pickle.HIGHEST_PROTOCOL)
    return Shared(blob, hashlib.sha256(blob).hexdigest())


class Jobs(Protocol):
    """A place that runs jobs."""

    @property
    def workers(self) -> int:
        """How many jobs can run at the same time."""

    def share(self, **values: Any) -> Any:
        """Arguments for many jobs, to be given to `call` and `map`."""

    def call(self, entry: str, arguments: Values, shared: Any = None) -> Any:
        """What the function returns; raises what it raises."""

    def map(
        self, entry: str, jobs: Iterable[Values], shared: Any = None, here: Values | None = None
    ) -> Iterator[Any]:
        """The results of many jobs in their order, a few of them in work at a time.

        `here` has arguments that make sense in this process alone, such as a progress bar.
        """


def run(entry: str, arguments: Values) -> Any:
    """Call 'package.module:function'."""
    module, function = entry.split(":")
    return getattr(importlib.import_module(module), function)(**arguments)


class Here:
    """Runs jobs in this process, one after another."""

    workers = 1

    def share(self, **values: Any) -> Values:
        """As they are."""
        return values

    def call(self, entry: str, arguments: Values, shared: Any = None) -> Any:
        """As Jobs.call."""
        return run(entry, {**(shared or {}), **arguments})

    def map(
        self, entry: str, jobs: Iterable[Values], shared: Any = None, here: Values | None = None
    ) -> Iterator[Any]:
        """As Jobs.map."""
        for arguments in jobs:
            yield self.call(entry, {**arguments, **(here or {})}, shared)


class Process:
    """Runs jobs in one process of its own, which is replaced when it dies."""

    workers = 1

    def __init__(self, log: Path | None = None) -> None:
        self._log = log.open("ab") if log else None
        self._name = f"; see {log}" if log else ""
        self._process: subprocess.Popen[bytes] | None = None
        self._has = ""  # the digest of what it was sent last

    def share(self, **values: Any) -> Shared:
        """As Jobs.share."""
        return pack(values)

    def call(self, entry: str, arguments: Values, shared: Shared | None = None) -> Any:
        """As Jobs.call; JobError when the process dies, or for an error that is none of ours."""
        if self._process is None or self._process.poll() is not None:
            self._start()
        process, shared = self._process, shared or NOTHING
        assert process is not None and process.stdin and process.stdout
        blob = None if shared.digest == self._has else shared.blob
        with contextlib.suppress(BrokenPipeError):  # then there is no answer either
            _send(process.stdin, (entry, dict(arguments), blob))
        self._has = shared.digest
        answer = _receive(process.stdout)
        if answer is None:
            raise JobError(
                f"{entry}: its process ended with {process.wait()} (too little memory?){self._name}"
            )
        result, error = answer
        if isinstance(error, TinyproofError):
            raise error
        if error is not None:
            raise JobError(f"{entry}: {error}{self._name}")
        return result

    def map(
        self, entry: str, jobs: Iterable[Values], shared: Any = None, here: Values | None = None
    ) -> Iterator[Any]:
        """As Jobs.map."""
        for arguments in jobs:
            yield self.call(entry, arguments, shared)

    def close(self) -> None:
        """End the process."""
        self.end()
        if self._log:
            self._log.close()

    def end(self) -> None:
        """Let the process end; the next job starts another."""
        if self._process is None:
            return
        process, self._process = self._process, None
        assert process.stdin and process.stdout
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        process.wait()
        process.stdout.close()

    def _start(self) -> None:
        if self._process is not None:
            self.end()
        self._has = ""
        self._process = subprocess.Popen(
            our_process("model.jobs", str(os.getpid())),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )


def _send(stream: IO[bytes], value: object) -> None:
    data = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    stream.write(len(data).to_bytes(8, "little"))
    stream.write(data)
    stream.flush()


def _receive(stream: IO[bytes]) -> Any:
    """The next value; None at the end of the stream."""
    header = stream.read(8)
    length = int.from_bytes(header, "little")
    data = stream.read(length) if len(header) == 8 else b""
    return pickle.loads(data) if data and len(data) == length else None


def _end_without(parent: int) -> None:
    """A killed parent leaves no process behind that trains on for nobody.

    Not model.processes.end_with_parent: the thread that began this process may end before it.
    """
    while os.getppid() == parent:
        time.sleep(PARENT_S)
    os._exit(1)


def _serve(parent: int) -> None:
    """Answer requests (entry, arguments, new shared values or None) by (result, error)."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what jobs print is no answer
    os.environ.pop(SCHEDULER, None)  # a job sends no jobs
    threading.Thread(target=_end_without, args=(parent,), daemon=True).start()
    shared: dict[str, Any] = {}
    while (request := _receive(sys.stdin.buffer)) is not None:
        entry, arguments, blob = request
        answer: tuple[Any, Any]
        try:
            if blob is not None:
                shared = pickle.loads(blob) if blob else {}
            answer = run(entry, {**shared, **arguments}), None
        except TinyproofError as error:
            answer = None, error
        except Exception as error:
            traceback.print_exc()
            answer = None, f"{type(error).__name__}: {error}"
        _send(answers, answer)


@functools.cache
def installation() -> dict[str, str]:
    """What has to be the same wherever jobs of one run are done."""
    from importlib.metadata import PackageNotFoundError, version
    from platform import machine, python_version

    from model import __version__
    from model.paths import PACKAGES, ROOT

    code = hashlib.sha256()
    places = [PACKAGES / name for name in ("model", "quantize", "host_tools")]
    for place in (*places, ROOT / "firmware" / "features"):
        for path in sorted(p for p in place.rglob("*") if p.is_file() and p.suffix != ".pyc"):
            code.update(path.relative_to(place).as_posix().encode() + b"\0" + path.read_bytes())
    found = {"tinyproof": __version__, "code": code.hexdigest()[:12]}
    found |= {"Python": python_version(), "machine": machine()}
    for package in ("numpy", "scipy", "scikit-learn", "tensorflow", "tf_keras", "tflite-micro",
                    "tensorflow-model-optimization"):  # fmt: skip
        with contextlib.suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def different(ours: Mapping[str, str], theirs: Mapping[str, str]) -> str:
    """What two installations differ in, in words; empty when they are the same."""
    return "; ".join(
        f"{name}: {theirs.get(name, 'none')} there, {ours.get(name, 'none')} here"
        for name in sorted({*ours, *theirs})
        if ours.get(name) != theirs.get(name)
    )


if __name__ == "__main__":
    _serve(int(sys.argv[1]))
