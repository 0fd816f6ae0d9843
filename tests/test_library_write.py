"""Where a library is written: what is the user's stays, and what a killed process left goes."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from host_tools.errors import UsageError
from host_tools.library import write as module
from host_tools.library.make import RECORD, Library, make_library
from host_tools.library.write import SCRATCH, write_library, zipped
from tests.test_certificate import make_build
from tests.test_library import LABELS

CHANGES = {
    "changed": lambda folder: (folder / "examples/pc/main.c").write_text("mine"),
    "added": lambda folder: (folder / "src/mine.c").write_text("int mine;"),
    "in a folder of its own": lambda folder: (
        (folder / "notes").mkdir(),
        (folder / "notes/a.txt").write_text("a"),
    ),
    "a link": lambda folder: (folder / "mine").symlink_to("/etc"),
    "a pipe": lambda folder: os.mkfifo(folder / "mine"),
}
WRITER = """
import sys
from pathlib import Path
from host_tools.library.make import Library
from host_tools.library.write import write_library
import json
files = json.loads(Path(sys.argv[1]).read_text())
library = Library(name="tp_m", values={}, files=files)
print("begun", flush=True)
while True:
    write_library(library, Path(sys.argv[2]))
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    return make_library(make_build(tmp_path_factory.mktemp("m"), "raw", len(LABELS), LABELS))


def of_model(library: Library, **said: str) -> Library:
    """The library with another record of its model."""
    record = json.dumps(json.loads(library.files[RECORD]) | said)
    return replace(library, files={**library.files, RECORD: record})


def is_whole(library: Library, parent: Path) -> bool:
    """Whether the folder and the .zip are the library, and nothing else lies there."""
    folder = parent / library.name
    found = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    return (
        {place: path.read_text("utf-8") for place, path in found.items()} == library.files
        and (parent / f"{library.name}.zip").read_bytes() == zipped(library)
        and len(list(parent.iterdir())) == 2
    )


@pytest.mark.parametrize("change", CHANGES)
def test_changes_of_the_user_stay(library: Library, tmp_path: Path, change: str) -> None:
    folder, archive = write_library(library, tmp_path)
    CHANGES[change](folder)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UsageError, match=r"has files that .* would be lost: \S+; move it away"):
        write_library(library, tmp_path)
    assert sorted(tmp_path.rglob("*")) == before and archive.read_bytes() == zipped(library)


def test_many_changes_are_counted(library: Library, tmp_path: Path) -> None:
    folder, _ = write_library(library, tmp_path)
    for number in range(9):
        (folder / f"{number}\x1b[2J.txt").write_text("")
    with pytest.raises(UsageError) as caught:
        write_library(library, tmp_path)
    assert "and 6 others; move" in str(caught.value) and "\x1b" not in str(caught.value)


def test_an_older_one_and_one_without_some_files_are_replaced(
    library: Library, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    older = of_model(library, model_sha256="ab" * 32)
    folder, _ = write_library(older, tmp_path)
    (folder / "LICENSE").unlink()
    write_library(library, tmp_path)
    assert is_whole(library, tmp_path) and "replaces the library of the model" in caplog.text
    caplog.clear()
    write_library(library, tmp_path)
    assert is_whole(library, tmp_path) and not caplog.text


def test_another_model_of_the_same_name_stays(library: Library, tmp_path: Path) -> None:
    other = of_model(library, model="M")
    write_library(other, tmp_path)
    with pytest.raises(UsageError, match="the library of another model, 'M'"):
        write_library(library, tmp_path)
    assert is_whole(other, tmp_path)


@pytest.mark.parametrize("record", ["[]", "{", "{}", '{"model": 1}', "[" * 99999, "\xff"])
def test_a_damaged_record_is_none(library: Library, tmp_path: Path, record: str) -> None:
    folder, _ = write_library(library, tmp_path)
    (folder / RECORD).write_text(record, "latin-1")
    with pytest.raises(UsageError, match="is no library with a"):
        write_library(library, tmp_path)
    assert (folder / "README.md").is_file()


def test_what_stands_in_the_place_of_the_archive_stays(library: Library, tmp_path: Path) -> None:
    archive = tmp_path / "tp_m.zip"
    archive.write_text("photographs")
    with pytest.raises(UsageError, match=r"tp_m\.zip: stands where the library's \.zip goes"):
        write_library(library, tmp_path)
    assert archive.read_text() == "photographs" and list(tmp_path.iterdir()) == [archive]
    archive.unlink()
    archive.mkdir()
    with pytest.raises(UsageError, match="move it away"):
        write_library(library, tmp_path)


def test_no_library_goes_into_a_library(library: Library, tmp_path: Path) -> None:
    folder, _ = write_library(library, tmp_path)
    (tmp_path / "link").symlink_to(folder / "src")
    for place in (folder, folder / "src" / "more", tmp_path / "link" / "more"):
        with pytest.raises(UsageError, match="lies in the library"):
            write_library(library, place)
    (tmp_path / "link").unlink()
    assert is_whole(library, tmp_path)


def test_a_full_disk_leaves_what_was_there(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_library(library, tmp_path)
    writes = iter(range(20))

    def full(path: Path, data: bytes) -> None:
        if next(writes) == 15:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    monkeypatch.setattr(module, "write_bytes", full)
    with pytest.raises(OSError, match="No space left") as caught:
        write_library(of_model(library, model_sha256="ab" * 32), tmp_path)
    assert caught.value.filename == str(tmp_path)  # not the hidden folder in it
    assert is_whole(library, tmp_path)


@pytest.mark.slow
def test_killed_at_any_moment_and_two_at_once(library: Library, tmp_path: Path) -> None:
    """Processes that write without end are killed; then one call makes all whole."""
    files, place = tmp_path / "files.json", tmp_path / "place"
    files.write_text(json.dumps(library.files))
    command = [sys.executable, "-c", WRITER, str(files), str(place)]
    rounds = 8
    for delay in range(rounds):
        pair = [
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            for _ in range(2)
        ]
        for process in pair:
            assert process.stdout is not None and process.stdout.readline() == b"begun\n"
        time.sleep(0.013 * delay)
        for process in pair:
            process.send_signal(signal.SIGKILL)
            _, said = process.communicate(timeout=60)
            assert (process.returncode, said) == (-signal.SIGKILL, b"")
    write_library(library, place)
    assert is_whole(library, place)


def test_a_leftover_that_is_a_link_is_not_followed(library: Library, tmp_path: Path) -> None:
    kept, place = tmp_path / "kept", tmp_path / "place"
    kept.mkdir()
    place.mkdir()
    (kept / "thesis.txt").write_text("years of work")
    (place / f"{SCRATCH}x").symlink_to(kept)
    write_library(library, place)
    assert (kept / "thesis.txt").read_text() == "years of work"
