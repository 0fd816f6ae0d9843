"""SHA-256 of files, remembered for those that nothing can have changed since.

A file's digest is kept with its size, inode, and times of modification and change of its entry;
any other of these has it read again. A file that was changed less than SETTLED_S before it was
read is not kept: its next change could leave all of them as they are, for clocks of file systems
go in steps. What a stage reads it reads itself and compares with the recipe's lock file, so that a
digest here only decides whether it runs.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

from model.files import file_size, write_text
from model.progress import item_progress

MISSING = "missing"
MAX_BYTES = 64 << 30  # of a file; a larger one, made of holes, would be read for hours
SETTLED_S = 3.0  # FAT counts in 2 s
Entry = tuple[int, int, int, int, str]  # size, inode, modified and changed in ns, digest


def digest(path: Path) -> str:
    """SHA-256 of a file; MISSING when it cannot be read, is too large or no regular file."""
    whole = hashlib.sha256()
    try:
        if file_size(path) > MAX_BYTES:
            return MISSING
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                whole.update(block)
    except OSError:
        return MISSING
    return whole.hexdigest()


class Digests:
    """The digests of one folder of results, in a file."""

    def __init__(self, path: Path) -> None:
        self._path, self._changed = path, False
        self._known: dict[str, Entry] = _load(path)

    def of(self, path: Path) -> str:
        """As `digest`, without reading a file that is known."""
        path = path.absolute()
        name, before = os.fspath(path), _look(path)
        if before is None:
            return digest(path)
        known = self._known.get(name)
        if known is not None and known[:4] == before:
            return known[4]
        begun = time.time()
        found = digest(path)
        settled = max(before[2:]) < (begun - SETTLED_S) * 1e9
        if settled and _look(path) == before and found != MISSING:
            self._known[name] = (*before, found)
            self._changed = True
        elif self._known.pop(name, None) is not None:
            self._changed = True
        return found

    def of_all(self, paths: Sequence[Path]) -> str:
        """One digest of the names and contents of some files."""
        whole = hashlib.sha256()
        for path in item_progress(paths, "looking for changes in files"):
            whole.update(os.fsencode(path) + b"\0" + self.of(path).encode() + b"\n")
        return whole.hexdigest()

    def save(self) -> None:
        """Keep what is new, where the folder is there; what cannot be written costs time only."""
        if not self._changed or not self._path.parent.is_dir():
            return
        try:
            write_text(self._path, json.dumps(self._known, ensure_ascii=True))
        except OSError:
            return
        self._changed = False


@functools.lru_cache(8)
def digests_of(path: Path) -> Digests:
    """The digests that `path` keeps, read once a process."""
    return Digests(path)


def _look(path: Path) -> tuple[int, int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_size, found.st_ino, found.st_mtime_ns, found.st_ctime_ns


def _load(path: Path) -> dict[str, Entry]:
    """Empty when there is none, or another than `save` writes."""
    try:
        content = json.loads(path.read_text("utf-8"))
        whole = isinstance(content, dict) and all(
            isinstance(v, list) and [type(x) for x in v] == [int, int, int, int, str]
            for v in content.values()
        )
    except (OSError, ValueError, RecursionError):
        return {}
    return {name: tuple(v) for name, v in content.items()} if whole else {}
