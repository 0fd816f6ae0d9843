"""No trouble of the store of experiments costs a run, and no build waits for it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from host_tools import cli as command
from model import recording, store
from model.store import StoreError
from tests.stage_results import PATIENCE_S, quantise, train
from tests.sweeps import sweep


def test_a_deleted_experiment_is_recorded_anew(local_store: Path, out_dir: Path) -> None:
    train(out_dir)
    first = store.record(out_dir)
    with store._store() as client:
        client.delete_run(first)
    second = store.record(out_dir)
    assert second != first
    assert store.experiments()[0].metrics["train/seconds"] == 9.5


def test_nothing_is_recorded_when_it_is_off(
    local_store: Path, out_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(out_dir)
    for word in ("off", "0", "no", "False"):
        monkeypatch.setenv("TINYPROOF_TRACKING", word)
        recording.record(out_dir)
    assert not (out_dir / recording.LOG).exists()
    assert store.experiments() == []


def damage(file: Path) -> None:
    file.write_bytes(b"no database at all" * 300)


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.mark.parametrize("break_store", sweep([damage, truncate], [truncate]))
def test_a_damaged_store_costs_no_training(
    break_store: Any,
    local_store: Path,
    out_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(recording, "WAIT_S", PATIENCE_S)
    train(out_dir)
    break_store(local_store)
    recording.record(out_dir)
    told = capsys.readouterr()
    assert "warning" in told.err and "damaged" in told.err and "move it away" in told.err
    assert "Traceback" not in told.err
    assert json.loads((out_dir / "train.json").read_text())["seconds"] == 9.5
    assert command.main(["runs"]) == 2
    assert str(local_store) in capsys.readouterr().err
    local_store.unlink()
    recording.record(out_dir)
    assert "recorded" in capsys.readouterr().out
    assert len(store.experiments()) == 1


def test_a_store_may_be_named_from_the_current_folder(
    local_store: Path, out_dir: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    train(out_dir)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mine/runs.db")
    assert store.record(out_dir)
    assert (tmp_path / "mine" / "artifacts").is_dir()


def test_a_store_without_a_folder_is_told(
    local_store: Path, out_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(out_dir)
    file = out_dir / "train.json" / "runs.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{file}")
    with pytest.raises(StoreError, match="its folder cannot be made: .*; set MLFLOW_TRACKING_URI"):
        store.record(out_dir)


def test_a_locked_store_is_told_in_time(
    local_store: Path, out_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(out_dir)
    monkeypatch.setattr(store, "BUSY_S", 0.1)
    with contextlib.closing(sqlite3.connect(local_store)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match="locked; end the program that uses it"):
            store.record(out_dir)
    assert store.record(out_dir)


def test_a_server_that_is_not_there_is_told(
    local_store: Path, out_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(out_dir)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    with pytest.raises(StoreError, match="http://127.0.0.1:9.*start the server") as error:
        store.record(out_dir)
    assert "secret" not in str(error.value)


def test_no_build_waits_for_its_record(
    local_store: Path,
    out_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Two recordings of one folder are left to themselves, and make one experiment."""
    monkeypatch.setattr(recording, "WAIT_S", 0.05)
    train(out_dir)
    recording.record(out_dir)
    quantise(out_dir)
    recording.record(out_dir)
    assert capsys.readouterr().err.count("still being recorded in the background") == 2
    log, until = out_dir / recording.LOG, time.monotonic() + PATIENCE_S
    while log.read_text().count("recorded in experiment") < 2:
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.1)
    (found,) = store.experiments()
    assert found.metrics["gen/ref/manifest/macs"] == 5


def test_a_recording_survives_what_ends_the_build(local_store: Path, out_dir: Path) -> None:
    train(out_dir)
    command = [sys.executable, "-m", "model.recording", str(out_dir)]
    build = subprocess.Popen(command, start_new_session=True)
    log, until = out_dir / recording.LOG, time.monotonic() + PATIENCE_S
    while not (out_dir / store.LOCK).exists():
        assert time.monotonic() < until
        time.sleep(0.01)
    os.killpg(build.pid, signal.SIGINT)
    build.wait(PATIENCE_S)
    while "recorded in experiment" not in log.read_text():
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.1)
    assert len(store.experiments()) == 1


def test_no_process_starts_where_nothing_is_new(
    local_store: Path, out_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(out_dir)
    store.record(out_dir)
    for path in out_dir.iterdir():
        os.utime(path, (0, 0))
    started: list[Path] = []

    def start_store(folder: Path, _: int) -> subprocess.Popen[bytes]:
        started.append(folder)
        return subprocess.Popen(["true"])

    monkeypatch.setattr(recording, "_start_store", start_store)
    recording.record(out_dir)
    assert not started
    quantise(out_dir)
    recording.record(out_dir)
    assert started == [out_dir]
    store.record(out_dir)
    local_store.unlink()  # another store gets all of it
    recording.record(out_dir)
    assert started == [out_dir, out_dir]


def test_a_folder_that_is_being_recorded_is_told(
    local_store: Path, out_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(out_dir)
    monkeypatch.setattr(store, "LOCK_S", 0.1)
    with (
        FileLock(out_dir / store.LOCK),
        pytest.raises(StoreError, match="another recording of this folder has not ended"),
    ):
        store.record(out_dir)


def test_a_training_during_a_recording_is_another_experiment(
    local_store: Path, out_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a late recording writes down is not taken for the new training's."""
    train(out_dir)
    log = store._log

    def train_again(*arguments: Any) -> None:
        log(*arguments)
        patch.undo()
        train(out_dir, score=0.7)

    with monkeypatch.context() as patch:
        patch.setattr(store, "_log", train_again)
        first = store.record(out_dir)
    assert store.record(out_dir) != first
    assert store.experiments()[0].metrics["train/metrics/test/balanced_accuracy"] == 0.7
