"""Write a library to where the user wants it: nothing of theirs is lost, no half of it is left."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from host_tools.errors import UsageError
from host_tools.library.make import RECORD, Library
from model.files import read_bounded, write_bytes
from model.text import counted, printable

log = logging.getLogger(__name__)

ZIP_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that a .zip can say: the same bytes at any time
SCRATCH = ".tinyproof-library-"
MAX_RECORD_BYTES = 4 << 20
NAMED = 3  # changed files that are named


def write_library(library: Library, parent: Path) -> tuple[Path, Path]:
    """Write <parent>/<name>/ and <parent>/<name>.zip; either is replaced as a whole.

    Raises UsageError where what stands in their place is no library of ours, is that of another
    model, or has changes of the user's own, and where `parent` lies in a library.
    """
    folder, archive = parent / library.name, parent / f"{library.name}.zip"
    for above in (parent.resolve(), *parent.resolve().parents):
        if (above / RECORD).is_file():
            raise UsageError(f"{parent}: lies in the library {above}; name another place")
    parent.mkdir(parents=True, exist_ok=True)
    with _alone(parent), _told_of(parent):
        _require_ours(library, folder)
        _require_archive(library, archive)
        with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=parent) as scratch:
            fresh, packed, old = (Path(scratch) / name for name in ("new", "zip", "old"))
            for place, text in library.files.items():
                write_bytes(fresh / place, text.encode("utf-8"))
            write_bytes(packed, zipped(library))
            if folder.exists():
                folder.rename(old)
            fresh.rename(folder)
            packed.rename(archive)
    return folder, archive


def zipped(library: Library) -> bytes:
    """The .zip: one folder of the library's name, the same bytes for the same files."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for place, text in sorted(library.files.items()):
            entry = zipfile.ZipInfo(f"{library.name}/{place}", ZIP_DATE)
            entry.external_attr = 0o644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, text.encode("utf-8"))
    return stream.getvalue()


@contextmanager
def _alone(parent: Path) -> Iterator[None]:
    """One process at a time in the folder, and without what killed ones have left there."""
    import fcntl  # POSIX only

    here = os.open(parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):  # some network file systems lock no folder
            fcntl.flock(here, fcntl.LOCK_EX)
            for left in parent.glob(f"{SCRATCH}*"):
                if not left.is_symlink():
                    shutil.rmtree(left, ignore_errors=True)
        yield
    finally:
        os.close(here)


@contextmanager
def _told_of(parent: Path) -> Iterator[None]:
    """An error of the disk names the user's folder, not the hidden one in it."""
    try:
        yield
    except OSError as error:
        if error.filename is None or SCRATCH in os.fspath(error.filename):
            error.filename, error.filename2 = os.fspath(parent), None
        raise


def _require_ours(library: Library, folder: Path) -> None:
    """UsageError unless the folder is free, or a library that can be written again."""
    if not os.path.lexists(folder):
        return
    elsewhere = "move it away, or name another place: OUT_DIR=<folder>"
    record = None if folder.is_symlink() else _record(folder)
    if record is None:
        raise UsageError(
            f"{folder}: stands where the library goes and is no library with a {RECORD}; "
            + elsewhere
        )
    own = json.loads(library.files[RECORD])
    if record["model"] != own["model"]:
        raise UsageError(
            f"{folder}: the library of another model, {printable(record['model'])[:80]!r}, whose "
            f"library has the same name; {elsewhere}, and rename one model where a program has both"
        )
    if changes := _changes(folder, record["files"]):
        more = f" and {counted(len(changes) - NAMED, 'other')}" if len(changes) > NAMED else ""
        raise UsageError(
            f"{folder}: has files that tinyproof did not write so, which would be lost: "
            f"{', '.join(changes[:NAMED])}{more}; {elsewhere}"
        )
    if record["model_sha256"] != own["model_sha256"]:
        log.warning(
            "%s: replaces the library of the model with SHA-256 %s",
            printable(str(folder)),
            printable(record["model_sha256"])[:16],
        )


def _record(folder: Path) -> dict[str, Any] | None:
    """What a library says of itself; None for what is none."""
    try:
        found = json.loads(read_bounded(folder / RECORD, MAX_RECORD_BYTES))
        texts = (found["model"], found["model_sha256"], *found["files"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return found if all(isinstance(text, str) for text in texts) else None


def _changes(folder: Path, written: dict[str, str]) -> list[str]:
    """Files that are not as they were written; one that is missing is no loss."""
    found = []
    for here, folders, files in os.walk(folder):
        links = [name for name in folders if Path(here, name).is_symlink()]
        for path in (Path(here, name) for name in (*files, *links)):
            place = path.relative_to(folder).as_posix()
            if place != RECORD and _digest(path) != written.get(place):
                found.append(printable(place))
    return sorted(found)


def _digest(path: Path) -> str:
    """The SHA-256 of a file's content; "" for what is no file or cannot be read."""
    try:
        regular = stat.S_ISREG(path.lstat().st_mode)
        return hashlib.sha256(path.read_bytes()).hexdigest() if regular else ""
    except OSError:
        return ""


def _require_archive(library: Library, archive: Path) -> None:
    """UsageError where a file that is no library's .zip would be overwritten."""
    if not os.path.lexists(archive):
        return
    try:
        with zipfile.ZipFile(archive) as found:
            ours = f"{library.name}/library.properties" in found.namelist()
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        ours = False
    if not ours or archive.is_symlink():
        raise UsageError(
            f"{archive}: stands where the library's .zip goes and is none; move it away, or name "
            "another place: OUT_DIR=<folder>"
        )
