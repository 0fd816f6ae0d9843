"""Where readings come from: files of a folder, or lines of a stream; each with its place."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from host_tools.errors import UsageError
from host_tools.fleet.reading import MAX_READING_BYTES

STREAM = "-"  # standard input
LINES = (".jsonl", ".ndjson")
WHOLE = ".json"


@dataclass(frozen=True, slots=True)
class Raw:
    """What may be a reading, and where it stands."""

    file: str
    line: int
    text: bytes  # more than MAX_READING_BYTES of a longer one are cut off


def readings_of(place: str) -> Iterator[Raw]:
    """What stands in a folder (.json: one reading, .jsonl and .ndjson: one a line), a file or,
    for '-', on standard input. Raises UsageError where there is nothing to read."""
    if place == STREAM:
        yield from _lines("standard input", sys.stdin.buffer)
        return
    path = Path(place)
    if path.is_dir():
        files = sorted(p for p in path.rglob("*") if p.suffix in (*LINES, WHOLE) and p.is_file())
        if not files:
            raise UsageError(f"{path}: no file ends in .json, .jsonl or .ndjson")
    elif path.is_file():
        files = [path]
    else:
        raise UsageError(f"{path}: no such file or folder; '-' is standard input")
    for file in files:
        try:
            with file.open("rb") as content:
                if file.suffix == WHOLE:
                    yield Raw(str(file), 1, content.read(MAX_READING_BYTES + 1))
                else:
                    yield from _lines(str(file), content)
        except OSError as error:
            raise UsageError(f"{file}: {error.strerror}") from error


def _lines(name: str, stream: BinaryIO | io.BufferedReader) -> Iterator[Raw]:
    """The lines that are not empty; of one that is too long the rest is skipped."""
    number = 0
    while line := stream.readline(MAX_READING_BYTES + 1):
        number += 1
        rest = line
        while len(line) > MAX_READING_BYTES and not rest.endswith(b"\n"):
            if not (rest := stream.readline(MAX_READING_BYTES)):
                break
        if line.strip():
            yield Raw(name, number, line)
