"""Experiments: what is recorded, what is found again, and that no store's trouble costs a run."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tools import cli as command
from host_tools.boards.board import load_board
from host_tools.errors import HostToolsError, UsageError
from host_tools.experiments import listing as experiments
from host_tools.experiments import reproduce
from host_tools.link.target import choose_target, open_device
from host_tools.stages.engine import Stage
from model import store, tracking
from model.files import write_bytes, write_json
from model.recipe import load_recipe, recipe_names
from model.store import Experiment, StoreError
from model.toml_writer import to_toml
from tests.firmware_builds import built

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SETTINGS = {"title": "t", "train": {"seed": 1, "rates": [1, 2]}, "features": {"kind": "raw"}}
MODEL = b"a model"
SHA = hashlib.sha256(MODEL).hexdigest()
RUN = "0123456789ab"


def train(out_dir: Path, settings: dict[str, Any] = SETTINGS, score: float = 0.9) -> None:
    """What `make check train` leaves."""
    write_json(out_dir / "dataset.json", {"sha256": "d" * 64, "splits": {"test": {"windows": 7}}})
    write_bytes(out_dir / "features.npz", b"features")
    begun = tracking.begin(out_dir.name, settings)
    history = {"step": [10, 20], "loss": [0.5, 0.25]}
    metrics = {"test": {"balanced_accuracy": score, "recall": [1.0, 0.8]}}
    write_json(out_dir / "train.json", {"metrics": metrics, "history": history, "seconds": 9.5})
    tracking.start(out_dir, begun)


def quantise(out_dir: Path, model: bytes = MODEL) -> None:
    """What `make quantise emit` leaves."""
    sha = hashlib.sha256(model).hexdigest()
    write_bytes(out_dir / "model.tflite", model)
    scores = {"test": {"balanced_accuracy": 0.88}}
    write_json(out_dir / "quantize.json", {"chosen": "ptq", "candidates": {"ptq": scores}})
    manifest = {"model_sha256": sha, "run_id": RUN, "macs": 5, "model_bytes": len(model)}
    write_json(out_dir / "gen/ref/manifest.json", manifest | {"settings": SETTINGS})
    write_bytes(out_dir / "gen/ref/model.c", b"int model;")


def compare(out_dir: Path, board: str, equal: int = 4, sha: str = SHA) -> None:
    """What `make parity` leaves."""
    content = {"cases": 4, "equal": equal, "model_sha256": sha, "port": None}
    write_json(out_dir / board / "parity.json", content)


@pytest.fixture
def out_dir(tmp_path: Path) -> Path:
    """build/motion."""
    return tmp_path / "build" / "motion"


def test_stages_add_to_one_experiment(local_store: Path, out_dir: Path) -> None:
    train(out_dir)
    first = store.record(out_dir)
    (trained,) = store.experiments()
    assert trained.settings == {
        "title": "t",
        "train.seed": "1",
        "train.rates": "[1, 2]",
        "features.kind": "raw",
    }
    assert trained.metrics["train/metrics/test/balanced_accuracy"] == 0.9
    assert trained.metrics["train/loss"] == 0.25
    assert trained.tags["data_sha256"] == "d" * 64
    assert "model_sha256" not in trained.tags
    quantise(out_dir)
    compare(out_dir, "native")
    assert store.record(out_dir) == first
    (whole,) = store.experiments()
    assert whole.id == first
    assert (whole.tags["model_sha256"], whole.tags["firmware_run_id"]) == (SHA, RUN)
    assert whole.metrics["native/parity/equal"] == 4
    assert store.artifact(first, "model.tflite") == MODEL
    assert tomllib.loads(store.artifact(first, store.RECIPE).decode()) == SETTINGS
    prints = json.loads(store.artifact(first, store.FINGERPRINTS))
    assert prints["model.tflite"] == SHA
    assert set(prints) == {"features.npz", "model.tflite", "gen/ref/model.c"}


def test_the_history_is_kept_step_by_step(local_store: Path, out_dir: Path) -> None:
    train(out_dir)
    run = store.record(out_dir)
    with store._store() as client:
        points = client.get_metric_history(run, "train/loss")
    assert [(p.step, p.value) for p in points] == [(10, 0.5), (20, 0.25)]


def test_training_again_starts_an_experiment_without_the_old_results(
    local_store: Path, out_dir: Path
) -> None:
    train(out_dir)
    quantise(out_dir)
    compare(out_dir, "native")
    first = store.record(out_dir)
    tracking_file = json.loads((out_dir / tracking.FILE).read_text())
    for name in ("quantize.json", "model.tflite", "gen/ref/manifest.json", "native/parity.json"):
        assert name in tracking_file["logged"]
        age(out_dir / name)
    age(out_dir / "gen/ref/model.c")
    train(out_dir, score=0.7)
    second = store.record(out_dir)
    newest, oldest = store.experiments()
    assert (newest.id, oldest.id) == (second, first)
    assert not any(k.startswith(("quantize", "native", "gen")) for k in newest.metrics)
    assert set(json.loads(store.artifact(second, store.FINGERPRINTS))) == {"features.npz"}


def age(path: Path) -> None:
    """Make a file a minute old."""
    import os

    old = path.stat().st_mtime - 60
    os.utime(path, (old, old))


def test_results_of_another_model_or_other_settings_are_left_out(
    local_store: Path, out_dir: Path
) -> None:
    train(out_dir)
    quantise(out_dir)
    compare(out_dir, "native", sha="e" * 64)
    write_json(out_dir / "cross_validation.json", {"settings": {"title": "x"}, "std": 0.5})
    store.record(out_dir)
    (found,) = store.experiments()
    assert not any(k.startswith(("native", "cross_validation")) for k in found.metrics)


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
    monkeypatch.setenv(tracking.SWITCH, "off")
    tracking.record(out_dir)
    assert store.experiments() == []


def damage(file: Path) -> None:
    file.write_bytes(b"no database at all" * 300)


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.mark.parametrize("break_store", [damage, truncate])
def test_a_damaged_store_costs_no_training(
    break_store: Any, local_store: Path, out_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(out_dir)
    break_store(local_store)
    tracking.record(out_dir)
    told = capsys.readouterr()
    assert "warning" in told.err and "damaged" in told.err and "move it away" in told.err
    assert "Traceback" not in told.err
    assert json.loads((out_dir / "train.json").read_text())["seconds"] == 9.5
    assert command.main(["runs"]) == 2
    assert str(local_store) in capsys.readouterr().err
    local_store.unlink()
    tracking.record(out_dir)
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


def test_a_store_that_never_answers_is_left(
    local_store: Path,
    out_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    train(out_dir)
    monkeypatch.setattr(tracking, "LIMIT_S", 0.05)
    tracking.record(out_dir)
    assert "did not answer" in capsys.readouterr().err


def an_experiment(id: str, run: str = "", name: str = "motion", **metrics: float) -> Experiment:
    tags = {"firmware_run_id": run} if run else {}
    return Experiment(
        id=id, name=name, started_ms=0, settings={"seed": "1"}, tags=tags, metrics=metrics
    )


MANY = [an_experiment("aa1", "77"), an_experiment("aa2", "77"), an_experiment("bc3", "88")]


@pytest.mark.parametrize(
    ("wanted", "id"), [("last", "aa1"), ("aa2", "aa2"), ("b", "bc3"), ("77", "aa1"), ("8", "bc3")]
)
def test_an_experiment_is_found(wanted: str, id: str) -> None:
    assert experiments.find(wanted, MANY).id == id


@pytest.mark.parametrize(
    ("wanted", "words"),
    [("aa", "2 begin so: aa1, aa2"), ("bc4", "closest of 3 is bc3"), ("", "closest of 3")],
)
def test_an_unknown_experiment_is_refused(wanted: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        experiments.find(wanted, MANY)


def test_only_what_differs_is_listed() -> None:
    first = an_experiment("a", run="77", loss=0.5, **{"train/seconds": 1.0})
    second = an_experiment("b", run="88", loss=0.25, **{"train/seconds": 2.0})
    assert experiments.differences(first, second) == [
        ("firmware_run_id", "77", "88"),
        ("loss", "0.5", "0.25"),
    ]
    assert experiments.differences(first, first) == []


def test_the_commands(local_store: Path, out_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["runs"]) == 0
    assert "no experiments" in capsys.readouterr().out
    assert command.main(["runs", "--show", "last"]) == 2
    capsys.readouterr()
    train(out_dir.with_name("[red]"), settings=SETTINGS | {"title": "[bold]"})
    store.record(out_dir.with_name("[red]"))
    train(out_dir)
    quantise(out_dir)
    compare(out_dir, "native")
    compare(out_dir, "esp32", equal=3)
    store.record(out_dir)
    assert command.main(["runs"]) == 0
    told = capsys.readouterr().out
    for text in ("[red]", "motion", RUN, "90.0%", "88.0%", "1 of 2"):
        assert text in told
    assert command.main(["runs", "--show", "last"]) == 0
    shown = capsys.readouterr().out
    assert "train.rates" in shown and "[1, 2]" in shown and SHA in shown
    newest, oldest = store.experiments()
    assert command.main(["runs", "--diff", f"last,{oldest.id}"]) == 0
    told = capsys.readouterr().out
    assert "[bold]" in told and "train.seed" not in told
    assert command.main(["runs", "--diff", newest.id]) == 2
    assert "expected two experiments" in capsys.readouterr().err


def test_whois_names_the_experiment_behind_a_firmware(
    local_store: Path,
    out_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    board = load_board("native")
    shutil.copytree(built("native")[0], out_dir / "native")
    with pytest.raises(HostToolsError, match="from no experiment in sqlite"):
        experiments.whois_firmware(out_dir / "native", board, None)
    capsys.readouterr()
    with open_device(choose_target(board, None, None), board, out_dir / "native") as device:
        info = device.info
    train(out_dir)
    write_json(out_dir / "gen/ref/manifest.json", {"run_id": info.run_id, "settings": SETTINGS})
    run = store.record(out_dir)
    assert experiments.whois_firmware(out_dir / "native", board, None) == 0
    told = capsys.readouterr().out
    for text in (info.run_id, info.model_sha256, run, "train.rates"):
        assert text in told


def test_a_reproduction_names_the_first_stage_that_differs(
    local_store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recipe = load_recipe("digits")
    out_dir = tmp_path / "build" / recipe.name
    train(out_dir, settings=recipe.as_dict())
    quantise(out_dir)
    run = store.record(out_dir)
    models = [MODEL, b"another"]

    def repeat(stage: Stage) -> None:
        assert (stage.folder.parent / store.RECIPE).exists()
        if stage.name == "check":
            train(stage.folder)
        if stage.name == "quantise":
            quantise(stage.folder, models[0])

    monkeypatch.setattr(reproduce, "run", repeat)
    assert reproduce.reproduce("last", tmp_path) == 0
    assert "all 4 files equal" in capsys.readouterr().out
    models.pop(0)
    assert reproduce.reproduce(run[:8], tmp_path) == 1
    assert "1 of 4 files differ, first in the stage 'quantise'" in capsys.readouterr().err
    for damaged in (b"{", b"[]", b"\xff"):
        monkeypatch.setattr(reproduce, "artifact", lambda *_, damaged=damaged: damaged)
        with pytest.raises(UsageError, match="its fingerprints.json is damaged"):
            reproduce.reproduce("last", tmp_path)


@pytest.mark.slow
def test_the_digits_are_reproduced(local_store: Path, tmp_path: Path) -> None:
    assert command.main(["emit", "digits", "--project", str(tmp_path)]) == 0
    assert reproduce.reproduce("last", tmp_path) == 0


def test_a_model_made_elsewhere_cannot_be_reproduced(local_store: Path, out_dir: Path) -> None:
    tracking.start(out_dir, tracking.begin("motion", {}))
    write_bytes(out_dir / "model.tflite", MODEL)
    store.record(out_dir)
    with pytest.raises(UsageError, match="nothing to repeat"):
        reproduce.reproduce("last", out_dir.parent)


@pytest.mark.parametrize("name", recipe_names())
def test_a_recorded_recipe_is_the_recipe(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name)
    path = tmp_path / store.RECIPE
    path.write_text(to_toml(recipe.as_dict()), encoding="utf-8")
    assert load_recipe(str(path)) == recipe


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
PLAIN = st.one_of(TEXT, st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False))
LISTS = st.lists(PLAIN, max_size=3)
TABLES = st.recursive(
    st.dictionaries(TEXT, st.one_of(PLAIN, LISTS), max_size=3),
    lambda inner: st.dictionaries(
        TEXT, st.one_of(PLAIN, inner, st.lists(inner, max_size=2)), max_size=3
    ),
    max_leaves=8,
)


@given(TABLES)
def test_what_is_written_as_toml_is_read_back(values: dict[str, object]) -> None:
    assert tomllib.loads(to_toml(values)) == values
