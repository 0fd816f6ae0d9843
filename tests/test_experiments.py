"""Experiments: what is recorded of a build, and what is found and done again of it."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
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
from model import results, store, tracking
from model.files import write_bytes, write_json
from model.recipe_file import load_recipe, recipe_names
from model.store import Experiment
from model.toml_writer import to_toml
from tests.firmware_builds import built
from tests.stage_results import MODEL, RUNS, SETTINGS, SHA, compare, quantise, train

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


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
    assert whole.tags["model_sha256"] == SHA
    assert whole.tags["firmware_run_id"] == "0123456789ab,ba9876543210"
    assert whole.metrics["native/parity/equal"] == 4
    assert store.artifact(first, "model.tflite") == MODEL
    assert tomllib.loads(store.artifact(first, store.RECIPE).decode()) == SETTINGS
    prints = json.loads(store.artifact(first, store.FINGERPRINTS))
    assert prints["model.tflite"] == SHA
    code = {f"gen/{kernels}/model.c" for kernels in RUNS}
    assert set(prints) == {"features.npz", results.WEIGHTS, "model.tflite", *code}


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
    train(out_dir, score=0.7)
    second = store.record(out_dir)
    newest, oldest = store.experiments()
    assert (newest.id, oldest.id) == (second, first)
    assert not any(k.startswith(("quantize", "native", "gen")) for k in newest.metrics)
    trained = {"features.npz", results.WEIGHTS}
    assert set(json.loads(store.artifact(second, store.FINGERPRINTS))) == trained
    quantise(out_dir, b"another model")  # whose generated C happens to be the same
    assert store.record(out_dir) == second
    newest = store.experiments()[0]
    assert newest.metrics["gen/ref/manifest/macs"] == 5
    assert "native/parity/cases" not in newest.metrics
    assert "gen/ref/model.c" in json.loads(store.artifact(second, store.FINGERPRINTS))


def test_the_same_training_again_keeps_its_results(local_store: Path, out_dir: Path) -> None:
    for _ in range(2):
        train(out_dir)
        if not (out_dir / "quantize.json").exists():
            quantise(out_dir)
        store.record(out_dir)
    first, second = store.experiments()
    assert first.id != second.id
    assert first.metrics == second.metrics
    assert first.metrics["gen/ref/manifest/macs"] == 5


# File -> what it says, and whether it belongs to an experiment of SETTINGS with MODEL.
SAYING: dict[str, tuple[dict[str, Any], bool]] = {
    "native/bench.json": ({"model_sha256": SHA}, True),
    "native/size.json": ({"model_sha256": "e" * 64}, False),
    "esp32/bench.json": ({"model_sha256": SHA, "settings": {"title": "x"}}, False),
    "cross_validation.json": ({"settings": SETTINGS}, True),
    "classical.json": ({"network_sha256": SHA}, True),
    "import.json": ({"cases": 3}, False),
}


def test_a_result_belongs_to_what_it_says(out_dir: Path) -> None:
    train(out_dir)
    quantise(out_dir)
    for name, (content, _) in SAYING.items():
        write_json(out_dir / name, content)
    write_bytes(out_dir / "list.json", b"[]")
    files, contents = results.own_files(out_dir, SETTINGS)
    assert {name: name in files for name in SAYING} == {k: own for k, (_, own) in SAYING.items()}
    assert "list.json" not in files and contents.keys() <= files.keys()


def test_a_check_of_other_data_belongs_to_the_next_training(out_dir: Path) -> None:
    train(out_dir)
    for name in ("dataset.json", "features.npz"):
        write_bytes(out_dir / name, b'{"sha256": "new"}')
    for sha256, own in (("new", True), ("old", False), ("", True)):
        files, _ = results.own_files(out_dir, {**SETTINGS, "dataset": {"sha256": sha256}})
        assert {"dataset.json" in files, "features.npz" in files} == {own}
        assert results.TRAINED in files


@pytest.mark.parametrize(
    ("report", "own"),
    [
        ({"train": "own", "manifest": {"model_sha256": SHA}}, True),
        ({"train": "own", "manifest": None}, True),
        ({"train": "own", "manifest": {"model_sha256": "e" * 64}}, False),
        ({"train": {"seconds": 1.0}, "manifest": {"model_sha256": SHA}}, False),
    ],
)
def test_a_report_belongs_to_what_it_reports(
    report: dict[str, Any], own: bool, out_dir: Path
) -> None:
    train(out_dir)
    quantise(out_dir)
    if report["train"] == "own":
        report = report | {"train": json.loads((out_dir / "train.json").read_text())}
    write_json(out_dir / "report.json", report)
    for name in ("report.html", "plots/roc.svg"):
        write_bytes(out_dir / name, b"")
    files, _ = results.own_files(out_dir, SETTINGS)
    assert [name in files for name in ("report.html", "plots/roc.svg")] == [own, own]


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


def an_experiment(id: str, run: str = "", name: str = "motion", **metrics: float) -> Experiment:
    tags = {"firmware_run_id": run} if run else {}
    return Experiment(
        id=id, name=name, started_ms=0, settings={"seed": "1"}, tags=tags, metrics=metrics
    )


MANY = [an_experiment("aa1", "76,77"), an_experiment("aa2", "77"), an_experiment("bc3", "88")]


@pytest.mark.parametrize(
    ("wanted", "id"),
    [("last", "aa1"), ("aa2", "aa2"), ("b", "bc3"), ("77", "aa1"), ("76", "aa1"), ("7", "aa1"),
     ("8", "bc3")],
)  # fmt: skip
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


def test_what_other_programs_have_stored_is_shown_and_harmless(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    evil = "\x1b[2J\x1b]0;x\x07[red]\u202e"
    names = ("train/metrics/test/balanced_accuracy", "gen/ref/manifest/model_bytes")
    found = [
        replace(
            an_experiment(f"{number}" * 32, name=evil, **dict.fromkeys(names, value)),
            tags={"code": evil, "firmware_run_id": evil, f"tool.{evil}": evil},
            settings={evil: f"{evil}{number}"},
            started_ms=started,
        )
        for number, (value, started) in enumerate([(float("nan"), 0), (float("inf"), 10**18)])
    ]
    monkeypatch.setattr(experiments, "experiments", lambda: found)
    experiments.print_runs()
    experiments.show("0" * 8)
    experiments.print_differences("00,11")
    said = capsys.readouterr().out
    assert "\x1b" not in said and "\x07" not in said and "\u202e" not in said
    assert "\\x1b[2J" in said and "nan" in said and "inf" in said


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
    for text in ("[red]", "motion", *RUNS.values(), "90.0%", "88.0%", "1 of 2"):
        assert text in told
    assert command.main(["runs", "--show", "last"]) == 0
    shown = capsys.readouterr().out
    assert "train.rates" in shown and "[1, 2]" in shown and SHA in shown
    newest, oldest = store.experiments()
    assert command.main(["runs", "--diff", f"last,{oldest.id}"]) == 0
    told = capsys.readouterr().out
    assert "[bold]" in told and "train.seed" not in told
    assert "B against A" in told and f"A: {newest.id[:8]}" in told and f"B: {oldest.id[:8]}" in told
    assert command.main(["runs", "--diff", newest.id]) == 2
    assert "expected two experiments" in capsys.readouterr().err


def test_whois_at_a_port_takes_no_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["whois", "motion", "--port", "/dev/ttyNONE"]) == 2
    told = capsys.readouterr().err
    assert "says itself what it runs" in told and "parity" in told


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
    quantise(out_dir)
    own = {"run_id": info.run_id, "model_sha256": SHA, "settings": SETTINGS}
    write_json(out_dir / "gen/xtensa/manifest.json", own)
    run = store.record(out_dir)
    assert experiments.whois_firmware(out_dir / "native", board, None) == 0
    told = capsys.readouterr().out
    for text in (info.run_id, info.model_sha256, run, "train.rates"):
        assert text in told


@pytest.mark.parametrize("checked", ["the same data", "other data"])
def test_a_reproduction_names_the_first_stage_that_differs(
    checked: str,
    local_store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    recipe = load_recipe("digits")
    out_dir = tmp_path / "build" / recipe.name
    settings = recipe.as_dict()
    train(out_dir, settings)
    quantise(out_dir, settings=settings)
    if checked == "other data":  # which is not recorded, but has to be checked again all the same
        write_json(out_dir / "dataset.json", {"sha256": "e" * 64})
    run = store.record(out_dir)
    models = [MODEL, b"another"]
    count = 6 if checked == "the same data" else 4

    def repeat(stage: Stage) -> None:
        assert (stage.folder.parent / store.RECIPE).exists()
        if stage.name == "check":
            train(stage.folder, settings)
        if stage.name == "quantise":
            quantise(stage.folder, models[0], settings)

    monkeypatch.setattr(reproduce, "run", repeat)
    assert reproduce.reproduce("last", tmp_path) == 0
    assert f"all {count} files equal" in capsys.readouterr().out
    models.pop(0)
    assert reproduce.reproduce(run[:8], tmp_path) == 1
    assert f"1 of {count} files differ, first in the stage 'quantise'" in capsys.readouterr().err
    for damaged in (b"{", b"[]", b"\xff"):
        monkeypatch.setattr(reproduce, "artifact", lambda *_, damaged=damaged: damaged)
        with pytest.raises(UsageError, match="its fingerprints.json is damaged"):
            reproduce.reproduce("last", tmp_path)


@pytest.mark.slow
def test_the_digits_are_reproduced(local_store: Path, tmp_path: Path) -> None:
    assert command.main(["emit", "digits", "--project", str(tmp_path)]) == 0
    store.record(tmp_path / "build" / "recipes" / "digits")  # when one in the background has ended
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
