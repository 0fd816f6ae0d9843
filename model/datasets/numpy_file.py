"""One .npz file with the arrays samples, labels and groups; no pickles.

samples [recordings, samples, channels], numbers; labels [recordings], integers that count the
recipe's labels from 0; groups [recordings], integers.
"""

from __future__ import annotations

import io
import math
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model.datasets.base import Dataset, Recording, table_of
from model.datasets.folder import MAX_TOTAL_BYTES, read_file, resolve
from model.errors import DataError
from model.recipe import DatasetConfig, NumpyFileConfig

_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    ValueError,
)
MEMBERS = ("samples", "labels", "groups")
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_READ_HEADER = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def load(config: DatasetConfig) -> Dataset:
    """All recordings of [dataset.numpy_file].file.

    Raises DataError for a damaged file, a missing array, objects instead of numbers, shapes that
    do not belong together, and a class that is unknown or empty.
    """
    table = table_of(config.numpy_file, "numpy_file")
    path = resolve(table.file, "dataset.numpy_file.file")
    arrays = _read(path, read_file(path, config.sha256))
    _check(path, arrays, table)
    return Dataset(
        recordings=tuple(
            Recording(values=values, label=int(label), group=int(group))
            for values, label, group in zip(
                arrays["samples"].astype(np.float32),
                arrays["labels"],
                arrays["groups"],
                strict=True,
            )
        ),
        labels=table.labels,
        channels=table.channels,
        sample_rate_hz=table.sample_rate_hz,
        sha256=config.sha256,
    )


def _read(path: Path, data: bytes) -> dict[str, npt.NDArray[Any]]:
    """The three arrays; sizes are compared with the headers before memory is spent."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
            if any(e.compress_type not in _METHODS for e in archive.infolist()):
                raise ValueError("compressed by another method than np.savez_compressed's")
            if missing := [name for name in MEMBERS if f"{name}.npy" not in sizes]:
                raise DataError(
                    f"{path}: no array {missing[0]!r}, expected {', '.join(MEMBERS)}, got "
                    f"{sorted(sizes)[:20]}; write it with np.savez(path, samples=..., labels=..., "
                    "groups=...)"
                )
            total = sum(sizes[f"{name}.npy"] for name in MEMBERS)
            if total > MAX_TOTAL_BYTES:
                raise DataError(
                    f"{path}: expected at most {MAX_TOTAL_BYTES:,} bytes of arrays, got {total:,}; "
                    "use fewer recordings or float32"
                )
            return {n: _array(f"{path}: {n}", archive.read(f"{n}.npy")) for n in MEMBERS}
    except _DAMAGED as error:
        raise DataError(f"{path}: not a whole .npz file: {error}; write it again") from error


def _array(where: str, data: bytes) -> npt.NDArray[Any]:
    """The numbers of a .npy file's bytes, which must be exactly as long as its header says."""
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        if version not in _READ_HEADER:
            raise ValueError(f"format version {version}, expected (1, 0) or (2, 0)")
        shape, fortran, dtype = _READ_HEADER[version](stream)
    except (ValueError, TypeError, SyntaxError, EOFError, RecursionError, MemoryError) as error:
        raise DataError(f"{where}: not a .npy array: {error}; write it again") from error
    if dtype.kind not in "iuf":
        raise DataError(
            f"{where}: expected numbers, got the type {dtype}; objects are pickles and are "
            "refused, so convert it with astype(np.float32) or astype(np.int64)"
        )
    rest = len(data) - stream.tell()
    if any(n < 0 for n in shape) or math.prod(shape) * dtype.itemsize != rest:
        raise DataError(
            f"{where}: shape {shape} of {dtype} needs {math.prod(shape) * dtype.itemsize:,} bytes, "
            f"got {rest:,}; the file is damaged, write it again"
        )
    flat = np.frombuffer(data, dtype, offset=stream.tell())
    return flat.reshape(shape, order="F" if fortran else "C")


def _check(path: Path, arrays: dict[str, npt.NDArray[Any]], table: NumpyFileConfig) -> None:
    shape = arrays["samples"].shape
    if len(shape) != 3 or 0 in shape or shape[2] != len(table.channels):
        raise DataError(
            f"{path}: samples: expected the shape [recordings, samples, {len(table.channels)}], "
            f"one channel for each of {list(table.channels)}, got {list(shape)}; reshape it "
            "or correct channels in the recipe"
        )
    finite = np.abs(arrays["samples"]) <= np.finfo(np.float32).max
    if not finite.all():
        place = np.argwhere(~finite)[0].tolist()
        raise DataError(
            f"{path}: samples{place}: expected a finite number, got "
            f"{arrays['samples'][tuple(place)]}; repair or remove recording {place[0]}"
        )
    for name in ("labels", "groups"):
        array = arrays[name]
        if array.dtype.kind not in "iu" or array.shape != shape[:1]:
            raise DataError(
                f"{path}: {name}: expected {shape[0]} integers, one a recording, got the shape "
                f"{list(array.shape)} of {array.dtype}; write it with astype(np.int64)"
            )
    counts = {int(v): int(n) for v, n in zip(*np.unique_counts(arrays["labels"]), strict=True)}
    if wrong := [value for value in counts if not 0 <= value < len(table.labels)]:
        raise DataError(
            f"{path}: labels: expected 0 to {len(table.labels) - 1}, one for each of "
            f"{list(table.labels)}, got {wrong[0]}; correct the array or labels in the recipe"
        )
    if empty := [label for i, label in enumerate(table.labels) if i not in counts]:
        raise DataError(
            f"{path}: class {empty[0]!r} has no recordings, expected at least one of each of "
            f"{list(table.labels)}; add recordings or remove the label from the recipe"
        )
