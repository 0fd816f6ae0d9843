"""Damaged files of results: every command says which file, what is wrong, and what to do."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from host_tools.bench.benchmark import run_benchmark
from host_tools.boards.board import load_board
from host_tools.errors import UsageError
from host_tools.link.target import choose_target
from host_tools.parity.certificate import run_features
from host_tools.parity.outputs import run_parity
from host_tools.parity.selftest import compare_kernels
from host_tools.report import readme
from host_tools.report.classical import compare
from host_tools.report.results import read_result
from tests.result_files import write_run

DAMAGES = [
    ("", "not a readable JSON file"),
    ("{", "not a readable JSON file"),
    ("[" * 100_000, "not a readable JSON file"),
    ('{"macs": NaN}', "NaN"),
    ("[1]", "expected a JSON object, got a list"),
    ("{}", "has no model_sha256"),
]


@pytest.mark.parametrize(("text", "told"), DAMAGES)
def test_a_damaged_file_is_named(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=f"a.json.*{told}.*delete it and run the step"):
        read_result(path, "model_sha256")
    path.unlink()
    with pytest.raises(FileNotFoundError):
        read_result(path)
    path.mkdir()
    with pytest.raises(UsageError, match="Is a directory"):
        read_result(path)


@pytest.mark.parametrize("text", ["", "[1]", "{}"])
def test_a_damaged_manifest_stops_every_step_that_runs_firmware(tmp_path: Path, text: str) -> None:
    out_dir, board = write_run(tmp_path / "motion"), load_board("native")
    target = choose_target(board, None, None)
    (out_dir / "gen/ref").mkdir(parents=True, exist_ok=True)
    (out_dir / "gen/ref/manifest.json").write_text(text)
    for step in (
        lambda: run_parity(out_dir, board, target, 1),
        lambda: run_benchmark(out_dir, board, target),
        lambda: run_features(out_dir, board, target, 1),
        lambda: compare_kernels(out_dir, load_board("native-selftest"), target),
    ):
        with pytest.raises(UsageError, match="manifest.json"):
            step()


@pytest.mark.parametrize("text", ["", "[1]", "{}"])
def test_a_damaged_choice_stops_the_comparison(tmp_path: Path, text: str) -> None:
    out_dir = write_run(tmp_path / "motion")
    if not (out_dir / "gen/ref").exists():
        shutil.copytree(out_dir / "gen/armv7em", out_dir / "gen/ref")
    (out_dir / "quantize.json").write_text(text)
    with pytest.raises(UsageError, match="quantize.json"):
        compare(out_dir)


def test_the_readme_is_untouched_by_a_damaged_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out_dir = write_run(tmp_path / "motion")
    for name in ("RECIPES", "RESULTS", "PICTURE", "README"):
        monkeypatch.setattr(readme, name, tmp_path / name)
    (out_dir / "qemu_m4/size.json").write_text("{}")
    with pytest.raises(UsageError, match="another shape"):
        readme.update_readme(out_dir)
    assert [path.name for path in tmp_path.iterdir()] == ["motion"]
