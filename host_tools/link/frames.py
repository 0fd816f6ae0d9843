"""Frames and lines of text on one byte stream, as firmware/link/PROTOCOL.md describes them.

No input or output happens here: bytes in, values out.
"""

from __future__ import annotations

import enum
import re
import struct
import zlib
from dataclasses import dataclass

from cobs import cobs

PROTOCOL_VERSION = 3
MAX_PAYLOAD = 1024
HEADER = struct.Struct("<BBBBHH")  # version, reserved, type, status, sequence, length
CRC = struct.Struct("<I")
MAX_FRAME = HEADER.size + MAX_PAYLOAD + CRC.size
MAX_COBS = MAX_FRAME + (MAX_FRAME + 253) // 254
REPLY = 0x80
DELIMITER = b"\x00"
FRAME_START = b"\x02"  # a version before a zero: what COBS makes of a frame's first two bytes
_TEXT_END = re.compile(rb"[\x00\r\n]")
_PRINTABLE = re.compile(rb"[\x20-\x7e]*")


class Status(enum.IntEnum):
    """How a request ended; the same numbers as link_status_t."""

    OK = 0
    BAD_FRAME = 1
    BAD_CRC = 2
    BAD_VERSION = 3
    BAD_LENGTH = 4
    TOO_LONG = 5
    BAD_TYPE = 6
    BAD_ARGUMENT = 7
    BAD_STATE = 8
    ARENA_OVERRUN = 9
    NO_ENGINE = 10
    STALE = 11


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One decoded frame; `type` stays a number because a damaged peer may send any."""

    type: int
    sequence: int
    payload: bytes = b""
    status: int = Status.OK


@dataclass(frozen=True, slots=True, kw_only=True)
class TextLine:
    """A line of text between frames, without its end: printable ASCII."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """Bytes that are neither a good frame nor printable text.

    `version` is that of a whole frame that another version of the protocol made, else 0.
    """

    status: Status
    raw: bytes
    version: int = 0


Event = Frame | TextLine | Damage


def encode(frame: Frame) -> bytes:
    """Return the bytes on the wire, delimiters included; ValueError when a field does not fit."""
    if len(frame.payload) > MAX_PAYLOAD:
        raise ValueError(
            f"payload of {len(frame.payload)} bytes; a frame holds at most {MAX_PAYLOAD}"
        )
    try:
        header = HEADER.pack(
            PROTOCOL_VERSION, 0, frame.type, frame.status, frame.sequence, len(frame.payload)
        )
    except struct.error as error:
        raise ValueError(f"{frame}: {error}") from error
    body = header + frame.payload
    stuffed: bytes = cobs.encode(body + CRC.pack(zlib.crc32(body)))
    return DELIMITER + stuffed + DELIMITER


def decode(raw: bytes) -> Frame | Damage:
    """Decode what stood between two delimiters."""
    try:
        data = cobs.decode(raw)
    except cobs.DecodeError:
        return Damage(status=Status.BAD_FRAME, raw=raw)
    if not 0 <= len(data) - HEADER.size - CRC.size <= MAX_PAYLOAD:
        return Damage(status=Status.BAD_FRAME, raw=raw)
    body, crc = data[: -CRC.size], data[-CRC.size :]
    if CRC.unpack(crc)[0] != zlib.crc32(body):
        return Damage(status=Status.BAD_CRC, raw=raw)
    version, reserved, type_, status, sequence, length = HEADER.unpack_from(body)
    if version != PROTOCOL_VERSION or reserved != 0:
        return Damage(status=Status.BAD_VERSION, raw=raw, version=version)
    payload = body[HEADER.size :]
    if length != len(payload):
        return Damage(status=Status.BAD_LENGTH, raw=raw)
    return Frame(type=type_, status=status, sequence=sequence, payload=payload)


class FrameDecoder:
    """Splits a byte stream, however it is cut, into frames, lines of text and damage.

    The first byte behind a delimiter decides: FRAME_START begins a frame, which only 00 ends;
    anything else begins text, which 00, carriage return or line feed ends. Two ends in a row mean
    nothing.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Event]:
        """Take the next bytes and return what they completed, in order."""
        self._buffer += data
        events: list[Event] = []
        while (end := self._find_end()) >= 0:
            raw = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            if raw:
                events.append(_classify(raw))
        del self._buffer[MAX_COBS + 1 :]  # enough to know at its end that it was too long
        return events

    def _find_end(self) -> int:
        if self._buffer[:1] == FRAME_START:
            return self._buffer.find(DELIMITER)
        match = _TEXT_END.search(self._buffer)
        return match.start() if match else -1


def _classify(raw: bytes) -> Event:
    if len(raw) > MAX_COBS:
        return Damage(status=Status.TOO_LONG, raw=raw)
    if raw[:1] == FRAME_START:
        return decode(raw)
    if _PRINTABLE.fullmatch(raw):
        return TextLine(text=raw.decode("ascii"))
    return Damage(status=Status.BAD_FRAME, raw=raw)
