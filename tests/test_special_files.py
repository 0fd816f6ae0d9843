"""Pipes and devices where files are expected: refused before they are opened, so nothing waits."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from host_tools.cli import main
from host_tools.stages import digests
from model.files import write_arrays, write_bytes
from model.recipe_file import recipe_names
from tests.sources import csv_text

RECIPE = """[dataset]
val_list = "val.txt"
test_list = "test.txt"
[dataset.csv_folder]
folder = "raw"
pattern = '(?P<label>[a-z]+)_(?P<group>[a-z]+)\\.csv'
"""


class Waits(Exception):
    """What is tested is still reading."""


@pytest.fixture(autouse=True)
def at_once() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise Waits

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "raw").mkdir()
    for who in ("ann", "bob", "cleo", "dan"):
        for start, label in enumerate(("rest", "wave")):
            text = csv_text(60, 100 * start + ord(who[0]))
            (tmp_path / f"raw/{label}_{who}.csv").write_text(text)
    (tmp_path / "val.txt").write_text("rest_ann.csv\nwave_ann.csv\n")
    (tmp_path / "test.txt").write_text("rest_bob.csv\nwave_bob.csv\n")
    (tmp_path / "mine.toml").write_text(RECIPE)
    return tmp_path


def test_only_regular_files_have_a_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "zero").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_bytes(b"12")
    for name in ("zero", "pipe", "."):
        assert digests.digest(tmp_path / name) == digests.MISSING
        assert digests.Digests(tmp_path / "kept").of(tmp_path / name) == digests.MISSING
    assert digests.digest(tmp_path / "file") != digests.MISSING
    monkeypatch.setattr(digests, "MAX_BYTES", 1)
    assert digests.digest(tmp_path / "file") == digests.MISSING


def test_a_list_that_is_a_device_is_told(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["check"])
    assert (project / "mine.lock").is_file()
    (project / "val.txt").unlink()
    (project / "val.txt").symlink_to("/dev/zero")
    assert main(["check"]) == 1
    said = capsys.readouterr().err
    assert "val.txt: expected a list of recordings, one a line, got none: a pipe or a de" in said


@pytest.mark.parametrize("kind", ["pipe", "device", "link"])
def test_nothing_is_written_in_the_place_of_a_pipe_or_a_device(kind: str, tmp_path: Path) -> None:
    """By root a file would take the place of /dev/null."""
    place, array = tmp_path / "place.npz", np.zeros(1)
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "link":
        place.symlink_to("/dev/null")
    else:
        try:
            os.mknod(place, stat.S_IFCHR | 0o666, os.makedev(1, 3))
        except OSError:
            pytest.skip("this user makes no devices")
    before = place.lstat()
    for write in (lambda: write_bytes(place, b"x"), lambda: write_arrays(place, {"x": array})):
        with pytest.raises(OSError, match="a pipe or a device, expected a file") as error:
            write()
        assert error.value.filename == str(place)
    assert (place.lstat().st_ino, place.lstat().st_mode) == (before.st_ino, before.st_mode)
    assert list(tmp_path.iterdir()) == [place]


def test_pipes_beside_a_recipe_are_passed_by(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(project / "zz.toml")
    (project / "zero.toml").symlink_to("/dev/zero")
    assert recipe_names(project) == ["mine"]
    assert main(["check", "zz.toml"]) == 2
    assert "zz.toml: cannot be read: a pipe or a device, expected a file" in capsys.readouterr().err
    os.mkfifo(project / "mine.lock")
    assert main(["check"]) == 2
    said = capsys.readouterr().err
    assert "mine.lock: " in said
    assert "a pipe or a device, expected a file" in said
