"""A bounds-checked view of FlatBuffers tables: every offset is verified before it is followed.

Layout: https://flatbuffers.dev/internals (tables, vtables, vectors, strings, little endian).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

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


@dataclass(frozen=True, slots=True)
class Table:
    """One table at byte `position` of `data`; `path` names it in errors."""

    data: bytes
    position: int
    path: str

    def _read(self, kind: str, offset: int) -> int | float | bool:
        layout = _SCALARS[kind]
        if offset < 0 or offset + layout.size > len(self.data):
            raise ModelError(
                f"{self.path}: {kind} at byte {offset} lies outside the file of {len(self.data)} "
                "bytes; the file is truncated or damaged, export or download it again"
            )
        value: int | float | bool = layout.unpack_from(self.data, offset)[0]
        return value

    def _field(self, slot: int) -> int:
        """Absolute offset of field `slot`, or 0 when the table does not hold it."""
        vtable = self.position - int(self._read("i32", self.position))
        size = int(self._read("u16", vtable))
        entry = 4 + 2 * slot
        if entry + 2 > size:
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
        return Table(self.data, self._follow(offset), f"{self.path}.{name}")

    def _vector(self, slot: int, name: str, item_bytes: int, limit: int) -> tuple[int, int]:
        """(offset of the first item, number of items) of a vector that lies inside the file."""
        offset = self._field(slot)
        if not offset:
            return 0, 0
        start = self._follow(offset)
        count = int(self._read("u32", start))
        if count > limit:
            raise ModelError(f"{self.path}.{name}: {count} entries; at most {limit} are accepted")
        if start + 4 + count * item_bytes > len(self.data):
            raise ModelError(
                f"{self.path}.{name}: {count} entries from byte {start} end outside the file of "
                f"{len(self.data)} bytes; the file is truncated or damaged"
            )
        return start + 4, count

    def tables(self, slot: int, name: str, limit: int) -> list[Table]:
        """A vector of tables."""
        start, count = self._vector(slot, name, 4, limit)
        return [
            Table(self.data, self._follow(start + 4 * i), f"{self.path}.{name}[{i}]")
            for i in range(count)
        ]

    def array(self, slot: int, kind: str, name: str, limit: int) -> npt.NDArray[np.generic]:
        """A vector of scalars as a read-only array; empty when absent."""
        dtype = np.dtype(_DTYPES[kind]).newbyteorder("<")
        start, count = self._vector(slot, name, dtype.itemsize, limit)
        return np.frombuffer(self.data, dtype, count, start) if count else np.empty(0, dtype)

    def string(self, slot: int, name: str, limit: int = 4096) -> str:
        """A string; bytes that are not UTF-8 are replaced."""
        start, count = self._vector(slot, name, 1, limit)
        return self.data[start : start + count].decode("utf-8", "replace")


def root_table(data: bytes, identifier: bytes, path: str) -> Table:
    """The root of a file with the given four-byte identifier.

    Raises ModelError when the file is too short or is something else.
    """
    if len(data) < 8 or data[4:8] != identifier:
        raise ModelError(
            f"{path}: not a .tflite file: expected the identifier {identifier.decode()} at byte 4, "
            f"got {data[4:8]!r}; pass the file that TFLiteConverter wrote"
        )
    return Table(data, struct.unpack_from("<I", data)[0], path)
