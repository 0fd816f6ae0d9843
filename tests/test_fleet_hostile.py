"""Readings from who knows where: what cannot be read is named, and the rest is summed up."""

from __future__ import annotations

import json
import os
import sqlite3
import types
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest

from host_tools.cli import main
from host_tools.fleet.mqtt import _cut
from host_tools.fleet.reading import MAX_READING_BYTES, parse_reading
from host_tools.fleet.sources import readings_of
from host_tools.fleet.store import Store
from tests.test_fleet import reading

NOW = datetime(2026, 12, 1, tzinfo=timezone.utc)


def test_a_file_that_goes_meanwhile_is_named_and_the_rest_is_read(project: Path) -> None:
    for name in "abc":
        (project / f"{name}.json").write_text(json.dumps(reading(name)))
    found = readings_of(str(project))
    first = next(found)
    (project / "b.json").unlink()  # as a gateway that tidies up
    rest = list(found)
    assert [Path(raw.file).name for raw in (first, *rest)] == ["a.json", "b.json", "c.json"]
    assert rest[0].why == "cannot be read: No such file or directory"
    with Store() as store:
        store.take([first, *rest], NOW)
        assert (store.totals.readings, store.totals.bad) == (2, 1)


def test_a_folder_that_nobody_may_read_is_named(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "closed").mkdir()
    (project / "one.json").write_text(json.dumps(reading("a")))
    scandir = os.scandir

    def refuse(place: str) -> Iterator[os.DirEntry[str]]:
        if str(place).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(place))
        return scandir(place)

    monkeypatch.setattr(os, "scandir", refuse)
    assert main(["fleet", "--readings", str(project)]) == 1
    assert f"{project / 'closed'}:0: cannot be read: Permission denied" in capsys.readouterr().out


def test_what_is_no_file_in_a_folder_holds_nobody(project: Path) -> None:
    os.mkfifo(project / "pipe.jsonl")
    (project / "zero.json").symlink_to("/dev/zero")
    (project / "loop.json").symlink_to("loop.json")
    (project / "up").symlink_to(project)
    (project / "folder.json").mkdir()
    (project / "one.json").write_text(json.dumps(reading("a")))
    assert [Path(raw.file).name for raw in readings_of(str(project))] == ["one.json"]


def test_spaces_around_a_name_make_no_other_board() -> None:
    names = {
        parse_reading(json.dumps(reading(name)).encode(), NOW).device
        for name in ("press-7", " press-7", "press-7\n", "press-7\t ")
    }
    assert names == {"press-7"}


def test_a_message_is_cut_as_it_comes_and_any_topic_is_one() -> None:
    class Message:
        payload = bytes(10 * MAX_READING_BYTES)

        @property
        def topic(self) -> str:
            return b"\xff".decode()

    topic, payload = _cut(Message())
    assert "no UTF-8" in topic and len(payload) == MAX_READING_BYTES + 1
    message = types.SimpleNamespace(topic="fleet/7", payload=b"one")
    assert _cut(message) == ("fleet/7", b"one")


@pytest.mark.parametrize("seconds", ["nan", "inf", "-inf", "-1", "0", "1e300"])
def test_a_time_that_never_ends_or_begins_is_refused(
    seconds: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["fleet", "--readings", "mqtt://127.0.0.1/x", "--seconds", seconds]
    assert main(given) == 2
    assert "--seconds" in capsys.readouterr().err


def test_a_disk_that_is_full_from_the_start_is_told(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    connect = sqlite3.connect

    def full(place: Path) -> sqlite3.Connection:
        base = connect(place)
        base.execute("PRAGMA max_page_count = 1")
        return base

    monkeypatch.setattr(sqlite3, "connect", full)
    (project / "one.json").write_text(json.dumps(reading("a")))
    assert main(["fleet", "--readings", str(project)]) == 2
    assert "no space left on its disk" in capsys.readouterr().err
