"""Read .npz files that may be anything: numbers only, no pickles, sizes before memory."""

from __future__ import annotations

import io
import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model.files import read_bounded
from model.text import brief, printable

HEADER_BYTES = 1 << 16  # of an array, with its first values
MAX_BYTES = 2 << 30  # of a file, and of all its arrays
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
OTHER = "convert it with astype(np.float32) or astype(np.int64)"
NOT_NUMBERS = {  # by the kind of a dtype
    "O": f"objects are pickles and are refused, so {OTHER}",
    "U": "give each text a number, from 0",
    "S": "give each text a number, from 0",
    "c": "give real and imaginary parts as numbers of their own",
    "V": "give each field as an array of its own",
}
_READ_HEADER = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read_arrays(
    path: Path, names: Sequence[str] | None = None, *, kinds: str = "iuf", limit: int = MAX_BYTES
) -> dict[str, npt.NDArray[Any]]:
    """parse_arrays of a file; OSError when it cannot be read."""
    return parse_arrays(read_bounded(path, limit + 1), names, kinds=kinds, limit=limit)


def parse_array(data: bytes, name: str = "array", *, kinds: str = "iuf") -> npt.NDArray[Any]:
    """The array of a .npy file's bytes; ValueError as parse_arrays."""
    try:
        return _array(name, data, kinds)
    except (
        *(struct.error, tokenize.TokenError, EOFError, MemoryError, OverflowError),
        *(SyntaxError, TypeError),
    ) as error:
        raise ValueError(f"not a whole .npy file: {brief(error)}") from error


def parse_arrays(
    data: bytes, names: Sequence[str] | None = None, *, kinds: str = "iuf", limit: int = MAX_BYTES
) -> dict[str, npt.NDArray[Any]]:
    """The arrays `names` of a .npz file's bytes, or all; read-only, their dtypes of some `kinds`.

    Control characters of names are escaped (model.text).

    Raises ValueError, which says what and in which array, for a damaged file, a missing array,
    another kind (objects are pickles) and more than `limit` bytes.
    """
    try:
        if len(data) > limit:
            raise ValueError(f"expected at most {limit:,} bytes, got more")
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
            if any(e.compress_type not in _METHODS for e in archive.infolist()):
                raise ValueError("compressed by another method than np.savez_compressed's")
            chosen = [n.removesuffix(".npy") for n in sizes] if names is None else names
            if missing := [name for name in chosen if f"{name}.npy" not in sizes]:
                there = ", ".join(map(printable, sorted(sizes)[:20]))
                raise ValueError(f"no array {missing[0]!r}, but {there}")
            if (total := sum(sizes[f"{name}.npy"] for name in chosen)) > limit:
                raise ValueError(f"expected at most {limit:,} bytes of arrays, got {total:,}")
            for name in chosen:
                with archive.open(f"{name}.npy") as stream:
                    head = io.BytesIO(stream.read(HEADER_BYTES))
                    _check(printable(name), head, sizes[f"{name}.npy"], kinds)
            shown = {name: printable(name) for name in chosen}
            if len(set(shown.values())) < len(shown):
                raise ValueError("two arrays whose names differ in control characters only")
            return {s: _array(s, archive.read(f"{name}.npy"), kinds) for name, s in shown.items()}
    except (
        *(zipfile.BadZipFile, zlib.error, struct.error, tokenize.TokenError, NotImplementedError),
        *(EOFError, MemoryError, OSError, OverflowError, RuntimeError, SyntaxError, TypeError),
    ) as error:
        raise ValueError(f"not a whole .npz file: {brief(error)}") from error


def _check(
    name: str, stream: io.BytesIO, size: int, kinds: str
) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, order and type by the header of a .npy file of `size` bytes, which it must fit."""
    version = np.lib.format.read_magic(stream)
    if version not in _READ_HEADER:
        raise ValueError(f"{name}: .npy of version {version}, expected (1, 0) or (2, 0)")
    shape, fortran, dtype = _READ_HEADER[version](stream)
    if dtype.kind not in kinds:
        raise ValueError(
            f"{name}: expected numbers, got the type {dtype}; {NOT_NUMBERS.get(dtype.kind, OTHER)}"
        )
    rest = size - stream.tell()
    if any(type(n) is not int or n < 0 for n in shape) or math.prod(shape) * dtype.itemsize != rest:
        raise ValueError(f"{name}: shape {shape} of {dtype} does not fit {rest:,} bytes; damaged")
    return shape, fortran, dtype


def _array(name: str, data: bytes, kinds: str) -> npt.NDArray[Any]:
    """The values of a .npy file's bytes, which must be exactly as long as its header says."""
    stream = io.BytesIO(data)
    shape, fortran, dtype = _check(name, stream, len(data), kinds)
    flat = np.frombuffer(data, dtype, offset=stream.tell())
    return flat.reshape(shape, order="F" if fortran else "C")
