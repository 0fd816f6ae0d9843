"""The data of a benchmark as the public runner reads them: y_labels.csv and the files it names.

A row is file, classes, class, bytes to send, stride, without a header. The last two are of anomaly
detection, where a file has windows of `bytes to send` bytes, each `stride` bytes behind the other.
"""

from __future__ import annotations

import csv
import functools
import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from host_tools.errors import UsageError
from host_tools.mlperf.benchmarks import Benchmark
from model.files import read_bounded

TRUTH = "y_labels.csv"
COLUMNS = ("file", "classes", "class", "bytes_to_send", "stride")
FLOAT_BYTES = 4
MAX_TRUTH_BYTES = 256 << 20
MAX_FILE_BYTES = 256 << 20
MAX_DIGITS = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A file with its class; `size` bytes at a time, `stride` bytes apart."""

    path: Path
    label: int
    size: int
    stride: int

    def inputs(self) -> Iterator[bytes]:
        """What is sent of it, one after the other; UsageError when it got too short meanwhile."""
        data = read_bounded(self.path, MAX_FILE_BYTES)
        if len(data) < self.size:
            raise UsageError(f"{self.path}: it has {len(data)} bytes now; expected {self.size}")
        for start in range(0, len(data) - self.size + 1, self.stride):
            yield data[start : start + self.size]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """All rows of a folder's y_labels.csv, and its SHA-256."""

    folder: Path
    sha256: str
    samples: tuple[Sample, ...]


def read_dataset(folder: Path, name: str, benchmark: Benchmark) -> Dataset:
    """The data in `folder`, or in its folder of the benchmark's name; every file is looked at.

    Raises UsageError that names the row when a file is missing or of another size, or a label is
    none of the benchmark.
    """
    folder = folder / name if (folder / name / TRUTH).is_file() else folder
    path = folder / TRUTH
    try:
        content = read_bounded(path, MAX_TRUTH_BYTES + 1)
        rows = list(csv.reader(content.decode("utf-8-sig").split("\n")))
    except OSError as error:
        raise UsageError(
            f"{path}: {error.strerror}; DATA is the folder with {TRUTH} and the .bin files of "
            f"{name}, or the one above that"
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path}: not a readable CSV file: {error}") from error
    if len(content) > MAX_TRUTH_BYTES:
        raise UsageError(f"{path}: more than {MAX_TRUTH_BYTES >> 20} MB; expected a list of files")
    root = os.path.realpath(folder)
    samples = [
        _sample(row, f"{path}:{number}", folder, root, benchmark)
        for number, row in enumerate(rows, 1)
        if row
    ]
    if not samples:
        raise UsageError(f"{path}: it has no rows; expected {','.join(COLUMNS)}")
    digest = hashlib.sha256(content).hexdigest()
    return Dataset(folder=folder, sha256=digest, samples=tuple(samples))


def _sample(row: list[str], where: str, folder: Path, root: str, benchmark: Benchmark) -> Sample:
    wanted = len(COLUMNS) if benchmark.windows else 3
    if len(row) < wanted:
        raise UsageError(f"{where}: expected {','.join(COLUMNS[:wanted])}, got {','.join(row)!r}")
    size, stride = benchmark.bytes, benchmark.bytes
    label = _number(row[2], where, "class")
    if label >= benchmark.classes:
        raise UsageError(
            f"{where}: class {label}: expected 0 to {benchmark.classes - 1} of {benchmark.title}"
        )
    if benchmark.windows:
        size, stride = (_number(row[i], where, COLUMNS[i]) for i in (3, 4))
        if size != benchmark.bytes or stride < FLOAT_BYTES or stride % FLOAT_BYTES:
            raise UsageError(
                f"{where}: {size} bytes to send, stride {stride}: expected {benchmark.bytes} and a "
                f"multiple of {FLOAT_BYTES}"
            )
    path = folder / row[0]
    found = _size(path, row[0], where, root)
    if found > MAX_FILE_BYTES:
        raise UsageError(f"{where}: {path} has {found} bytes; expected at most {MAX_FILE_BYTES}")
    if found < size or (found != size and not benchmark.windows):
        more = " or more" if benchmark.windows else ""
        raise UsageError(f"{where}: {path} has {found} bytes; expected {size}{more}")
    return Sample(path=path, label=label, size=size, stride=stride)


def _size(path: Path, name: str, where: str, root: str) -> int:
    """Bytes of a file that lies below the folder `root`, which has no links on its way."""
    if "\0" in name:
        raise UsageError(f"{where}: {name!r}: expected a file's name, got one with a zero byte")
    inside, real = f"{root.rstrip(os.sep)}{os.sep}", f"{_real(path.parent)}{os.sep}"
    try:
        if real.startswith(inside) and stat.S_ISLNK(path.lstat().st_mode):
            real = os.path.realpath(path)
        if not real.startswith(inside):
            raise UsageError(f"{where}: {name!r} lies outside of {root}")
        found = path.stat()
    except OSError as error:
        raise UsageError(f"{where}: {path}: {error.strerror}") from error
    if not stat.S_ISREG(found.st_mode):
        raise UsageError(f"{where}: {path}: expected a file")
    return found.st_size


@functools.lru_cache(maxsize=64)
def _real(folder: Path) -> str:
    """Without links; the rows of a list name few folders."""
    return os.path.realpath(folder)


def _number(text: str, where: str, what: str) -> int:
    if not text.strip().isdecimal() or len(text) > MAX_DIGITS:
        raise UsageError(f"{where}: {what}: expected a whole number from 0, got {text[:40]!r}")
    return int(text)
