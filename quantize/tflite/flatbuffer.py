"""A bounds-checked view of FlatBuffers tables: every offset is verified before it is followed.

Layout: https://flatbuffers.dev/internals (tables, vtables, vectors, strings, little endian).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from model.text import printable
from quantize.errors import ModelError

_SCALARS = {
    "bool": struct.Struct("<?"),
    "i8": struct.Struct("<b"),
    "u8": struct.Struct("<B"),
    "u16": struct.Struct("<H"),
    "i32": struct.Struct("<i"),
    "u32": struct.Struct("<I"),
    "u64": struct.Struct("<Q"),
    "f32": struct.Struct("<f"),
}
_DTYPES = {"u8": np.uint8, "i32": np.int32, "f32": np.float32, "i64": np.int64}
_SHARING = 8  # how often the bytes of a file may be read on average; honest files share little


@dataclass(slots=True)
class _File:
    """The bytes, and how many of them may still be read as vectors that may overlap."""

    data: bytes
    budget: int = field(init=False)

    def __post_init__(self) -> None:
        self.budget = _SHARING * len(self.data) + (1 << 16)


@dataclass(frozen=True, slots=True)
class Table:
    """One table at byte `position` of a file; `path` names it in errors."""

    file: _File
    position: int
    path: str

    def __post_init__(self) -> None:
        """Verify the vtable: later readers of the same file may follow it without checks."""
        self._spend(16, "its tables")
        vtable = self._vtable()
        size, inline = (int(self._read("u16", vtable + at)) for at in (0, 2))
        entries = [int(self._read("u16", vtable + at)) for at in range(4, size - 1, 2)]
        length = len(self.file.data)
        whole = vtable + size <= length and self.position + inline <= length
        if size < 4 or size % 2 or not whole or any(0 < e < 4 or e >= inline for e in entries if e):
            raise ModelError(
                f"{self.path}: its table at byte {self.position} is damaged; the file is "
                "truncated or damaged, export or download it again"
            )

    def _vtable(self) -> int:
        return self.position - int(self._read("i32", self.position))

    def _spend(self, count: int, what: str) -> None:
        self.file.budget -= count
        if self.file.budget < 0:
            raise ModelError(
                f"{self.path}: {what} overlap others so often that reading them would not end "
                "soon; the file is damaged or hand-made"
            )

    def _read(self, kind: str, offset: int) -> int | float | bool:
        layout = _SCALARS[kind]
        data = self.file.data
        if offset < 0 or offset + layout.size > len(data):
            raise ModelError(
                f"{self.path}: {kind} at byte {offset} lies outside the file of {len(data)} "
                "bytes; the file is truncated or damaged, export or download it again"
            )
        value: int | float | bool = layout.unpack_from(data, offset)[0]
        return value

    def _field(self, slot: int) -> int:
        """Absolute offset of field `slot`, or 0 when the table does not hold it."""
        vtable = self._vtable()
        entry = 4 + 2 * slot
        if entry + 2 > int(self._read("u16", vtable)):
            return 0
        relative = int(self._read("u16", vtable + entry))
        return self.position + relative if relative else 0

    def scalar(self, slot: int, kind: str, default: int | float | bool = 0) -> int | float | bool:
        """A scalar field, or its default."""
        offset = self._field(slot)
        return self._read(kind, offset) if offset else default

    def integer(self, slot: int, kind: str = "i32", default: int = 0) -> int:
        """An integer or bool field as int, or its default."""
        return int(self.scalar(slot, kind, default))

    def _follow(self, offset: int) -> int:
        return offset + int(self._read("u32", offset))

    def table(self, slot: int, name: str) -> Table | None:
        """A sub-table, or None when absent."""
        offset = self._field(slot)
        if not offset:
            return None
        return Table(self.file, self._follow(offset), f"{self.path}.{name}")

    def _vector(self, slot: int, name: str, item_bytes: int, limit: int) -> tuple[int, int]:
        """(offset of the first item, number of items) of a vector that lies inside the file."""
        offset = self._field(slot)
        if not offset:
            return 0, 0
        start = self._follow(offset)
        count = int(self._read("u32", start))
        if count > limit:
            raise ModelError(f"{self.path}.{name}: {count} entries; at most {limit} are accepted")
        if start + 4 + count * item_bytes > len(self.file.data):
            raise ModelError(
                f"{self.path}.{name}: {count} entries from byte {start} end outside the file of "
                f"{len(self.file.data)} bytes; the file is truncated or damaged"
            )
        self._spend(count * item_bytes, f"the {count} entries of {name}")
        return start + 4, count

    def tables(self, slot: int, name: str, limit: int) -> list[Table]:
        """A vector of tables."""
        return [
            Table(self.file, self._follow(place), f"{self.path}.{name}[{i}]")
            for i, place in enumerate(self.offsets(slot, name, limit))
        ]

    def offsets(self, slot: int, name: str, limit: int) -> range:
        """Where the entries of a vector of tables lie."""
        start, count = self._vector(slot, name, 4, limit)
        return range(start, start + 4 * count, 4)

    def array(self, slot: int, kind: str, name: str, limit: int) -> npt.NDArray[np.generic]:
        """A vector of scalars as a read-only array; empty when absent."""
        dtype = np.dtype(_DTYPES[kind]).newbyteorder("<")
        start, count = self._vector(slot, name, dtype.itemsize, limit)
        return np.frombuffer(self.file.data, dtype, count, start) if count else np.empty(0, dtype)

    def string(self, slot: int, name: str, limit: int = 4096) -> str:
        """A string, as it is shown; bytes that are not UTF-8 are replaced."""
        start, count = self._vector(slot, name, 1, limit)
        return printable(self.file.data[start : start + count].decode("utf-8", "replace"))

    def c_string(self, slot: int, name: str, limit: int = 4096) -> bytes | None:
        """A string as C compares it: its bytes up to the first 0; None when absent."""
        if not self._field(slot):
            return None
        start, count = self._vector(slot, name, 1, limit)
        if self.file.data[start + count : start + count + 1] != b"\0":
            raise ModelError(f"{self.path}.{name}: no 0 behind the string; the file is damaged")
        return self.file.data[start : start + count].split(b"\0")[0]


def root_table(data: bytes, identifier: bytes, path: str) -> Table:
    """The root of a file with the given four-byte identifier.

    Raises ModelError when the file is too short or is something else.
    """
    if len(data) < 8 or data[4:8] != identifier:
        raise ModelError(
            f"{path}: not a .tflite file: expected the identifier {identifier.decode()} at byte 4, "
            f"got {data[4:8]!r}; pass the file that TFLiteConverter wrote"
        )
    return Table(_File(data), struct.unpack_from("<I", data)[0], path)
