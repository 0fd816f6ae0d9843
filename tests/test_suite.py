"""The benchmark of many models, its history, and what happens without the counting plugin."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from host_tools.bench import counting, history
from host_tools.bench.benchmark import run_benchmark
from host_tools.bench.history import (
    HISTORY,
    Entry,
    Record,
    growths,
    last_entry,
    load_history,
    record,
)
from host_tools.bench.suite import entries, find_models, run_suite, write_suite
from host_tools.boards.board import load_board
from host_tools.commands.bench_all import OTHERS
from host_tools.errors import UsageError
from host_tools.link.target import choose_target
from host_tools.stages.graph import Source
from model.recipe_file import load_recipe
from tests.bench_models import MODELS, write_models

ROOT = HISTORY.parent.parent
COUNTED = ("qemu_m4", "qemu_xtensa")
ENTRY = Entry(
    model="small",
    board="qemu_m4",
    model_sha256="0" * 64,
    compiler="gcc 12",
    instructions=1000,
    code_bytes=500,
    weight_bytes=100,
    arena_bytes=64,
)


def recorded(*entries: Entry, commit: str = "aaaaaaaaaa", reason: str | None = None) -> Record:
    return Record(commit=commit, reason=reason, entries=entries)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """build/<model>-<hash8> of the smallest model on one board."""
    root = tmp_path_factory.mktemp("suite")
    model = root / "models" / "bench_autoencoder.tflite"
    model.parent.mkdir()
    model.write_bytes(MODELS[model.stem]())
    rows = run_suite([], [model], root / "build", ["qemu_m4"])
    assert rows[0].problem is None
    write_suite(root / "build", rows, [])
    return root


def test_the_models_are_always_the_same(tmp_path: Path) -> None:
    first, second = write_models(tmp_path / "a"), write_models(tmp_path / "b")
    for name in MODELS:
        file = f"{name}.tflite"
        assert (first / file).read_bytes() == (second / file).read_bytes()


def test_a_row_is_written_as_text_and_json(built: Path) -> None:
    text = (built / "build" / "bench.txt").read_text()
    (row,) = json.loads((built / "build" / "bench.json").read_text())
    result = row["result"]
    assert f"{result['instructions']:,}" in text
    assert f"{result['mix']['loads']:,}" in text
    assert "estimate, not a measurement: nRF52840" in text
    assert text.count("FULLY_CONNECTED") == 4
    assert row["change"] is None
    assert row["entry"]["cycles"] == result["estimates"][0]["cycles"][1]
    assert row["entry"]["instructions"] == result["instructions"] == result["counts"]


def test_the_change_since_the_last_record_is_told(built: Path) -> None:
    rows = run_suite([], [built / "models" / "bench_autoencoder.tflite"], built / "build", COUNTED)
    entry = entries(rows)[0]
    before = replace(entry, instructions=2 * entry.instructions)
    assert "-50.0%" in write_suite(built / "again", rows, [recorded(before)])


@pytest.mark.parametrize("how", ["no compiler", "does not compile", "refused by QEMU"])
def test_without_the_plugin_the_rest_is_still_measured(
    how: str, built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for file in counting.SOURCE.parent.glob("*.[ch]"):
        shutil.copy(file, tmp_path)
    source = tmp_path / counting.SOURCE.name
    monkeypatch.setattr(counting, "SOURCE", source)
    if how == "no compiler":
        monkeypatch.setattr(counting, "COMPILE", ("no-such-compiler",))
    elif how == "does not compile":
        source.write_text("#error not today\n")
    else:
        text = source.read_text()
        assert "= QEMU_PLUGIN_VERSION;" in text
        source.write_text(text.replace("= QEMU_PLUGIN_VERSION;", "= 99;"))
    out_dir, board = next((built / "build").glob("bench_autoencoder-*")), load_board("qemu_m4")
    result = run_benchmark(out_dir, board, choose_target(board, None, None))
    assert result.instructions
    assert result.mix is None
    assert result.mix_missing
    assert result.estimates == []
    assert all(layer["mix"] is None for layer in result.per_layer)


def test_a_model_that_is_refused_is_a_row(tmp_path: Path) -> None:
    (tmp_path / "broken.tflite").write_bytes(b"not a model")
    (row,) = run_suite([], find_models([tmp_path]), tmp_path / "build", ["qemu_m4"])
    assert row.result is None
    assert row.problem
    assert "broken on qemu_m4: not measured" in write_suite(tmp_path / "out", [row], [])


def test_folders_of_models_are_checked(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no \.tflite files there"):
        find_models([tmp_path])
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.tflite").write_bytes(b"")
    with pytest.raises(UsageError, match="two models of one name"):
        find_models([tmp_path / "a", tmp_path / "b"])


def test_growth_is_measured_against_the_newest_record_of_the_same_kind() -> None:
    old, new = replace(ENTRY, instructions=900), ENTRY
    past = [recorded(old), recorded(new, commit="bbbbbbbbbb")]
    assert list(growths(past, (replace(ENTRY, instructions=1020),))) == []
    (growth,) = growths(past, (replace(ENTRY, instructions=1021),))
    assert str(growth) == (
        "small on qemu_m4: instructions 1,021, recorded at bbbbbbbbbb 1,000 (+2.1%)"
    )
    for other in ({"compiler": "gcc 13"}, {"board": "nano33"}, {"model_sha256": "1" * 64}):
        changed = replace(ENTRY, instructions=5000, **other)  # type: ignore[arg-type]
        assert list(growths(past, (changed,))) == []


def test_cycles_of_the_chip_are_compared_where_they_were_recorded() -> None:
    now = replace(ENTRY, cycles=1030)
    assert list(growths([recorded(ENTRY)], (now,))) == []
    (growth,) = growths([recorded(replace(ENTRY, cycles=1000))], (now,))
    assert "cycles 1,030, recorded at aaaaaaaaaa 1,000 (+3.0%)" in str(growth)


def test_recording_wants_a_reason_for_growth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits = iter(["aaaaaaaaaa", "bbbbbbbbbb", "cccccccccc", "cccccccccc"])
    monkeypatch.setattr(history, "checked_out_commit", lambda path: next(commits))
    path = tmp_path / "history.json"
    record((ENTRY,), None, path)
    with pytest.raises(UsageError, match=r"(?s)small on qemu_m4: code_bytes 600.*REASON="):
        record((replace(ENTRY, code_bytes=600),), None, path)
    record((replace(ENTRY, code_bytes=600),), "a new operator", path)
    with pytest.raises(UsageError, match="recorded already"):
        record((ENTRY,), None, path)
    stored = load_history(path)
    assert [r.commit for r in stored] == ["aaaaaaaaaa", "cccccccccc"]
    assert stored[1].reason == "a new operator"


def test_a_record_belongs_to_a_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"status": " M docs/bench_history.json\n", "rev-parse": "0123456789\n"}
    monkeypatch.setattr(history, "_git", lambda word, *rest: answers[word])
    assert history.checked_out_commit() == "0123456789"
    answers["status"] += " M README.md\n"
    with pytest.raises(UsageError, match=r"changes .README.md.*commit them first"):
        history.checked_out_commit()


@pytest.mark.parametrize("text", ["{", '[{"commit": "a"}]', "[1]"])
def test_a_damaged_history_is_explained(tmp_path: Path, text: str) -> None:
    path = tmp_path / "history.json"
    path.write_text(text)
    with pytest.raises(UsageError, match="not a list of benchmark records"):
        load_history(path)


def test_the_history_gives_a_reason_for_every_growth() -> None:
    past: list[Record] = []
    for stored in load_history():
        grown = [str(growth) for growth in growths(past, stored.entries)]
        assert stored.reason or not grown, grown
        past.append(stored)


@pytest.mark.slow
def test_nothing_has_grown_since_the_last_record(tmp_path: Path) -> None:
    """Models of the tests, of MODELS_DIR or the folder beside the project, and motion if built."""
    folders = [write_models(tmp_path / "models")]
    others = Path(os.environ.get("MODELS_DIR") or ROOT / OTHERS)
    if others.is_dir():
        folders.append(others)
    motion = ROOT / "build" / "recipes" / "motion"
    built = []
    if all(load_board(b).gen_dir(motion).is_dir() for b in COUNTED):
        copy = shutil.copytree(motion, tmp_path / "motion")
        built.append(Source(folder=copy, name="motion", recipe=load_recipe("motion")))
    rows = run_suite(built, find_models(folders), tmp_path / "build", COUNTED)
    measured, past = entries(rows), load_history()
    if not any(last_entry(past, entry) for entry in measured):
        pytest.skip("nothing is recorded for this compiler: make bench-record")
    grown = [str(growth) for growth in growths(past, measured)]
    assert not grown, "\n".join([*grown, 'if it must be so: make bench-record REASON="why"'])
