"""Arrays in a file that has no name, instead of in memory: data of any size, in bounded memory.

The file lies in TMPDIR, without it in /var/tmp: /tmp is memory on many systems. The system keeps
as much of it in memory as there is room for, and nothing of it outlives the process.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from model.errors import ModelSideError

SEGMENT_BYTES = 256 << 20  # that are mapped at once; each takes a file descriptor
ALIGNED = 64
T = TypeVar("T", bound=np.generic)


class Scratch:
    """Read-only copies of arrays, one behind the other in one file."""

    def __init__(self) -> None:
        self._folder = _folder()
        try:
            self._file = tempfile.TemporaryFile(dir=self._folder, buffering=0)  # noqa: SIM115
        except OSError as error:
            raise _refused(self._folder, error) from error
        self._map: mmap.mmap | None = None
        self._start = self._end = self._used = 0  # bytes: of the segment, and in the file

    def keep(self, values: npt.NDArray[T]) -> npt.NDArray[T]:
        """The same values, in the file.

        Raises ModelSideError when there is no room for them.
        """
        data = np.ascontiguousarray(values)
        if not data.nbytes:
            return values
        if self._map is None or self._used + data.nbytes > self._end:
            self._begin(data.nbytes)
        at = self._used
        try:
            self._write(data.reshape(-1).view(np.uint8).data, at)
        except OSError as error:
            raise _refused(self._folder, error) from error
        self._used = -(-(at + data.nbytes) // ALIGNED) * ALIGNED
        return np.ndarray(data.shape, data.dtype, self._map, at - self._start)

    def zeros(self, shape: Sequence[int], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
        """An array of zeros that can be written to."""
        size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        if not size:
            return np.zeros(shape, dtype)
        self._begin(size)
        start, self._used = self._start, self._end
        try:
            if hasattr(os, "posix_fallocate"):  # else a full disk is a SIGBUS; macOS has none
                os.posix_fallocate(self._file.fileno(), start, size)
        except OSError as error:
            raise _refused(self._folder, error) from error
        mapped = mmap.mmap(self._file.fileno(), size, offset=start)
        return np.ndarray(tuple(shape), dtype, mapped)

    def _begin(self, size: int) -> None:
        """Another segment, with room for `size` bytes."""
        grain = mmap.ALLOCATIONGRANULARITY
        self._start = -(-self._end // grain) * grain
        length = -(-max(size, SEGMENT_BYTES) // grain) * grain
        self._used, self._end = self._start, self._start + length
        try:
            self._file.truncate(self._end)  # takes no room yet
            self._map = mmap.mmap(
                self._file.fileno(), length, offset=self._start, access=mmap.ACCESS_READ
            )
        except OSError as error:
            raise _refused(self._folder, error) from error

    def _write(self, data: memoryview, at: int) -> None:
        while data:
            written = os.pwrite(self._file.fileno(), data, at)
            data, at = data[written:], at + written


def _folder() -> str:
    """Where the file lies."""
    if not os.environ.get("TMPDIR") and os.access("/var/tmp", os.W_OK | os.X_OK):
        return "/var/tmp"
    return tempfile.gettempdir()


def _refused(folder: str, error: OSError) -> ModelSideError:
    return ModelSideError(
        f"{Path(folder)}: no room for the samples of the data set: {error.strerror}; expected a "
        "disk with about the size of the data free; set TMPDIR to a folder on one"
    )
