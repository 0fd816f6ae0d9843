"""Recipes that leave nearly everything out, and their lock files."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from host_tools.cli import main
from model.complete import RULES
from model.errors import ModelSideError
from model.recipe_file import load_recipe
from model.toml_reader import tomllib
from model.toml_writer import to_toml
from tests.gestures import gestures_csv


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "off")
    return tmp_path


SHORT = """[dataset.csv_folder]
folder = "raw"
pattern = '(?P<label>[a-z]+)\\.(?P<group>[a-z]+)\\.\\d\\.csv'
"""


def test_a_recipe_of_three_lines(project: Path) -> None:
    gestures_csv(project / "raw")
    (project / "short.toml").write_text(SHORT)
    assert main(["check", "--dry-run"]) == 0
    assert not (project / "short.lock").exists()
    assert main(["check"]) == 0
    lock = (project / "short.lock").read_text()
    recipe = load_recipe("short")
    assert (recipe.title, recipe.dataset.source) == ("short", "csv_folder")
    assert main(["check"]) == 0
    assert (project / "short.lock").read_text() == lock


def test_a_new_recording_is_accepted_by_one_command(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gestures_csv(project / "raw")
    (project / "short.toml").write_text(SHORT)
    assert main(["check"]) == 0
    before = load_recipe("short")
    lines = (project / "raw/wave.ann.0.csv").read_text().splitlines()
    (project / "raw/wave.ann.3.csv").write_text("\n".join(lines[:1] + lines[60:]))
    assert main(["check"]) == 1
    assert "tinyproof check --accept" in capsys.readouterr().err
    assert main(["check", "--accept"]) == 0
    after = load_recipe("short")
    assert after.dataset.sha256 != before.dataset.sha256
    (project / "short.toml").write_text(SHORT + "[features]\nwindow = 64\n")
    assert load_recipe("short").features.window == 64
    assert load_recipe("short").features.hop == 32
    assert load_recipe("short").dataset.sha256 == after.dataset.sha256


def test_a_damaged_lock_is_told(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gestures_csv(project / "raw")
    (project / "short.toml").write_text(SHORT)
    head = 'sha256 = ""\ngiven = ""\n'
    for text, words in (
        ("x = 1\n", "data: expected a table"),
        ("[", "not TOML"),
        ('sha256 = 3\ngiven = ""\n[data]\n', "sha256: expected text"),
        (head + "data = []\n", "data: expected a table"),
        (head + '[data]\n"dataset" = "x"\n', "data: unexpected key 'dataset'"),
        (head + '[data]\n"dataset" = "x"\n"dataset.labels" = []\n', "unexpected key 'dataset'"),
        (head + '[data]\n"dataset.labels.x" = 1\n', "unexpected key 'dataset.labels.x'"),
        (head + "[data.dataset]\nlabels = []\n", "unexpected key 'dataset'"),
        (head + '[data]\n"" = 1\n', "unexpected key ''"),
        (head + '[data]\n"features.window" = 0\n', "features.window: expected 1 to"),
        (head + '[data]\n"dataset.labels" = {a = "b"}\n', "dataset.labels: expected a list"),
    ):
        (project / "short.lock").write_text(text)
        assert main(["check"]) == 2
        said = capsys.readouterr().err
        assert "short.lock: not a lock file as tinyproof writes it; remove it, or" in said
        assert "--accept" in said and words in said
    assert main(["check", "--accept"]) == 0


_VALUES = st.recursive(
    st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
_LIKELY = (
    st.lists(st.sampled_from(["ax", "circle", "ann", "", "m/s2", "time"]), max_size=4)
    | st.lists(st.floats(-10, 10) | st.integers(-10, 10), max_size=4)
    | st.sampled_from(["", "s", "time", "iso8601", 0, 1, 200, 10**6, 1e-9, 100.0])
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
@given(
    data=st.dictionaries(
        st.sampled_from([key for key, rule in RULES.items() if rule.data])
        | st.sampled_from([*RULES, "dataset", "dataset.labels.x", ""]),
        _LIKELY | _VALUES,
        max_size=3,
    ),
    top=st.dictionaries(st.sampled_from(["sha256", "given", "data", "x"]), _VALUES, max_size=1),
)
def test_any_lock_gives_a_recipe_or_an_error_of_ours(
    data: dict[str, Any], top: dict[str, Any], project: Path
) -> None:
    if not (project / "raw").exists():
        gestures_csv(project / "raw")
        (project / "short.toml").write_text(SHORT)
        load_recipe("short")
        (project / "good.lock").write_text((project / "short.lock").read_text())
    lock = tomllib.loads((project / "good.lock").read_text())
    lock["data"] |= data
    (project / "short.lock").write_text(to_toml(lock | top), "utf-8")
    with contextlib.suppress(ModelSideError):
        load_recipe("short", write_lock=False)


def test_all_problems_are_named_in_one_run(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "short.toml").write_text(
        SHORT + "tme_unit = 's'\n[features]\nwindow = -3\n[train]\nsteps = 'x'\n[chekcs]\n"
    )
    assert main(["check"]) == 2
    said = capsys.readouterr().err
    for words in (
        "4 problems", "unknown key 'tme_unit' (did you mean 'time_unit'?)",
        "features.window: expected 1 to", "train.steps: expected int", "did you mean 'checks'?",
    ):  # fmt: skip
        assert words in said
