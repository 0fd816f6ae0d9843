"""Buffers behind the FlatBuffer (Buffer.offset and size), as TFLite's schema has for large files.

litert-quantizer writes them from 256 KiB of weights on. TensorFlow Lite reads them; TFLite Micro
does not look at them and computes with weights that are not there, without a message. So a file
that has them is brought into the form without, for us, the interpreter and the board alike.
"""

from __future__ import annotations

import struct
from itertools import pairwise

from quantize.errors import ModelError
from quantize.tflite.flatbuffer import Table, root_table

BUFFERS = 4  # slots of Model and of Buffer
DATA, OFFSET, SIZE = 0, 1, 2
ALIGNMENT = 16  # of data, in TFLite's schema
MAX_BUFFERS = 8192
_VTABLE = struct.pack("<HHH", 6, 8, 4)  # of a Buffer with data and nothing else
_ENTRY = struct.Struct("<I")


def is_external(buffer: Table) -> bool:
    """Whether a Buffer's data lie behind the FlatBuffer; an offset of 1 stands for none."""
    return buffer.integer(OFFSET, "u64") > 1


def inlined(data: bytes, path: str = "model") -> bytes:
    """The same model with all data in the FlatBuffer; `data` itself where they are.

    Raises ModelError for data outside of the file, in one another or given twice.
    """
    model = root_table(data, b"TFL3", path)
    places = model.offsets(BUFFERS, "buffers", MAX_BUFFERS)
    buffers = model.tables(BUFFERS, "buffers", MAX_BUFFERS)
    found = [(p, b) for p, b in zip(places, buffers, strict=True) if is_external(b)]
    if not found:
        return data
    spans = [_span(buffer, len(data)) for _, buffer in found]
    for (_, end, one), (start, _, other) in pairwise(sorted(spans)):
        if start < end:
            raise ModelError(
                f"{other}: its data from byte {start} on are also those of {one}; expected each "
                "on its own; the file is damaged or hand-made"
            )
    out = bytearray(data[: min(start for start, _, _ in spans)])
    if max(places) + _ENTRY.size > len(out):
        raise ModelError(
            f"{path}: external data begin at byte {len(out)}, within the FlatBuffer; expected them "
            "behind it; the file is damaged or hand-made"
        )
    for (place, _), (start, end, _) in zip(found, spans, strict=True):
        _append(out, place, data[start:end])
    return bytes(out)


def _span(buffer: Table, length: int) -> tuple[int, int, str]:
    """(first byte, byte behind the last, name) of the data of an external buffer."""
    start, size = (buffer.integer(slot, "u64") for slot in (OFFSET, SIZE))
    if start + size > length or not size:
        raise ModelError(
            f"{buffer.path}: {size} bytes of data at byte {start}; expected 1 or more that lie in "
            f"the file of {length} bytes; it is truncated or damaged, export or download it again"
        )
    if buffer.array(DATA, "u8", "data", length).size:
        raise ModelError(
            f"{buffer.path}: data in the FlatBuffer and at byte {start}; expected one of them; the "
            "file is damaged or hand-made"
        )
    return start, start + size, buffer.path


def _append(out: bytearray, place: int, data: bytes) -> None:
    """Write a Buffer, and let the entry of the list at byte `place` lead to it."""
    out += bytes(-len(out) % 4)
    vtable = len(out)
    out += _VTABLE + bytes(2)
    table = len(out)
    start = table + 12 + -(table + 12) % ALIGNMENT  # of the data; their number lies before
    out += struct.pack("<iI", table - vtable, start - 4 - (table + 4))
    out += bytes(start - 4 - len(out)) + _ENTRY.pack(len(data)) + data
    _ENTRY.pack_into(out, place, table - place)
