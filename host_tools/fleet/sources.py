"""Where readings come from: files of a folder, or lines of a stream; each with its place."""

from __future__ import annotations

import io
import os
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
    why: str = ""  # it could not be read


def readings_of(place: str) -> Iterator[Raw]:
    """What stands in a folder (.json: one reading, .jsonl and .ndjson: one a line), a file or,
    for '-', on standard input. Raises UsageError where there is nothing to read; of a folder what
    cannot be read, or has gone meanwhile, is told as a line."""
    if place == STREAM:
        yield from _lines("standard input", sys.stdin.buffer)
        return
    path = Path(place)
    if path.is_dir():
        files, closed = _files(path)
        if not files and not closed:
            raise UsageError(f"{path}: no file ends in .json, .jsonl or .ndjson")
        yield from closed
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
            if file == path:
                raise UsageError(f"{file}: {error.strerror}") from error
            yield _closed(error, str(file))


def _files(path: Path) -> tuple[list[Path], list[Raw]]:
    """The files of readings below a folder, and the folders that cannot be read."""
    closed: list[OSError] = []
    found = [
        Path(folder, name)
        for folder, _, names in os.walk(path, onerror=closed.append)
        for name in names
        if Path(name).suffix in (*LINES, WHOLE)
    ]
    files = sorted(file for file in found if file.is_file())
    return files, [_closed(error, str(error.filename or path)) for error in closed]


def _closed(error: OSError, place: str) -> Raw:
    return Raw(place, 0, b"", why=f"cannot be read: {error.strerror}")


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
