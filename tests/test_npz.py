"""Files of arrays may be anything; what is not numbers as told is a ValueError, never another."""

from __future__ import annotations

import contextlib
import io
import os
import struct
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.errors import DataError
from model.files import read_bounded
from model.npz import parse_arrays, read_arrays
from model.stages.splits import load_splits
from quantize.errors import ModelError
from quantize.golden import load_golden, load_inputs


def _npz(content: bytes, method: int = zipfile.ZIP_STORED) -> bytes:
    """A .npz with one member, `a`."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        archive.writestr("a.npy", content)
    return stream.getvalue()


def _npy(header: str, data: bytes = bytes(8)) -> bytes:
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header.encode() + data


def _f4(shape: str, data: bytes = bytes(8)) -> bytes:
    return _npy(f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}\n", data)


def _encrypted() -> bytes:
    data = bytearray(_npz(_f4("(2,)")))
    data[6] |= 1
    data[data.find(b"PK\1\2") + 8] |= 1
    return bytes(data)


BAD = {
    "empty": b"",
    "not a zip": b"nonsense",
    "a .npy": _f4("(2,)"),
    "cut off": _npz(_f4("(2,)"))[:-30],
    "encrypted": _encrypted(),
    "bzip2": _npz(_f4("(2,)"), zipfile.ZIP_BZIP2),
    "objects": _npz(_npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}\n")),
    "texts": _npz(_npy("{'descr': '<U2', 'fortran_order': False, 'shape': (1,)}\n")),
    "open brackets": _npz(_npy("(" * 200 + "\n")),
    "code": _npz(_npy("__import__('os').abort()\n")),
    "other version": _npz(b"\x93NUMPY\3\0" + bytes(50)),
    "truth in the shape": _npz(_f4("(True, 2)")),
    "negative shape": _npz(_f4("(-1, -2)")),
    "too short": _npz(_f4("(3,)")),
    "huge": _npz(_f4("(9999999999999,)")),
    "huge and empty": _npz(_f4("(0, 99999999999999999999)", b"")),
    "too many axes": _npz(_f4(f"({'1,' * 70})", bytes(4))),
}


@pytest.mark.parametrize("content", BAD.values(), ids=BAD)
def test_a_bad_file_is_told_by_every_reader(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        parse_arrays(content)
    path = tmp_path / "features.npz"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="not an .npz of plain arrays"):
        load_inputs(path)
    with pytest.raises(ModelError, match="not a golden file"):
        load_golden(path)
    with pytest.raises(DataError, match="not the features file"):
        load_splits(tmp_path)


def test_sizes_are_compared_before_memory_is_spent(tmp_path: Path) -> None:
    path = tmp_path / "zeros.npz"
    np.savez_compressed(path, a=np.zeros(1 << 20, np.int8))
    assert path.stat().st_size < 1 << 12
    with pytest.raises(ValueError, match=r"at most 4,096 bytes of arrays, got 1,048,704"):
        read_arrays(path, limit=1 << 12)
    with pytest.raises(ValueError, match=r"at most 100 bytes, got more"):
        read_arrays(path, limit=100)


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_damage_raises_value_errors_only(data: st.DataObject) -> None:
    content = bytearray(_npz(_f4("(2,)"), zipfile.ZIP_DEFLATED))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ValueError):
        parse_arrays(bytes(content[: data.draw(st.integers(1, len(content)))]))


def test_memory_is_taken_for_what_there_is(tmp_path: Path) -> None:
    """read(n) of a file reserves n bytes: the limit of 2 GiB must not be that n."""
    np.savez(tmp_path / "a.npz", x=np.arange(3))
    tracemalloc.start()
    read_arrays(tmp_path / "a.npz")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 << 20
    with (tmp_path / "large").open("wb") as file:
        file.truncate(9_000_000)
    assert len(read_bounded(tmp_path / "large", 5_000_001)) == 5_000_001


@pytest.mark.parametrize("place", ["/dev/zero", "pipe", "."])
def test_what_is_no_file_is_refused(place: str, tmp_path: Path) -> None:
    """A pipe may never end, and what is read twice must be the same."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="expected a file"):
        read_bounded(tmp_path / place, 10)


def test_a_small_file_of_a_huge_array_takes_no_memory(tmp_path: Path) -> None:
    """A deflated array of zeros: its header is read before its values are."""
    path = tmp_path / "a.npz"
    header = io.BytesIO()
    shape = {"descr": "|i1", "fortran_order": False, "shape": (4_000_000_000,)}
    np.lib.format.write_array_header_1_0(header, shape)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", header.getvalue() + bytes(200_000_000))
    tracemalloc.start()
    with pytest.raises(ValueError, match="does not fit"):
        read_arrays(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 << 20


def test_a_message_does_not_hold_the_file() -> None:
    """The library's quotes all that stands where a name should."""
    stream = io.BytesIO()
    np.savez(stream, x=np.zeros(5000, np.uint8))
    data = bytearray(stream.getvalue())
    data[26:28] = (5000).to_bytes(2, "little")  # the length of the name in the local header
    with pytest.raises(ValueError, match="not a whole .npz file") as told:
        parse_arrays(bytes(data))
    assert len(str(told.value)) < 600
