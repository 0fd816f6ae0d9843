"""The study of drift: what is changed, and networks that do not know a class."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from host_tools.boards.board import load_board
from host_tools.drift.data import changes, held_out_inputs
from host_tools.errors import UsageError
from host_tools.link.target import Target
from model.recipe import load_recipe
from tests.studies import drift_classes
from tests.studies.drift_classes import firmware_without
from tests.studies.drift_study import run_study

# --- a class that the network does not know ---------------------------------------------------


def test_a_network_without_a_class_is_trained_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages: list[str] = []

    def run_stage(stage: str, command: tuple[str, str], folder: Path) -> None:
        stages.append(stage)
        if stage == "quantise":
            (folder / "motion").mkdir()
            (folder / "motion" / "golden.npz").touch()

    monkeypatch.setattr(drift_classes, "run_stage", run_stage)
    monkeypatch.setattr(drift_classes, "build_firmware", lambda *_: stages.append("build"))
    recipe, board = load_recipe("motion"), load_board("native")
    again = ["profile", "emit", "build"]
    everything = ["check", "train", "quantise", *again]
    for label, expected in (("PEN", everything), ("PEN", again), ("ROW", everything)):
        stages.clear()
        out_dir = firmware_without(recipe, label, tmp_path / "new", board)
        assert (out_dir, stages) == (tmp_path / "new" / "motion", expected)
        made = load_recipe(str(tmp_path / "new" / "recipe.toml"))
        assert made.dataset.leave_out == (label,)
        assert dataclasses.replace(made, dataset=recipe.dataset) == recipe


@pytest.mark.parametrize("name", ["anomaly", "anomaly_motions"])
def test_a_recipe_without_classes_to_leave_out_is_refused(name: str, tmp_path: Path) -> None:
    board = load_board("native")
    target = Target(emulator=None, port="none")
    with pytest.raises(UsageError, match=r"--new-classes: expected a classification of at least"):
        run_study(tmp_path / name, board, target, new_classes=True)


# --- changes ----------------------------------------------------------------------------------


def test_an_unknown_change_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"none, rotation 30 x.*random walk"):
        next(held_out_inputs(load_recipe("motion"), b"", "upside down"))
    assert not any("rotation" in name for name in changes(load_recipe("digits")))


def test_a_rotation_keeps_lengths_and_turns() -> None:
    turn = changes(load_recipe("motion"))["rotation 90 z"]
    assert turn is not None
    values = np.arange(12.0).reshape(2, 6)
    turned = turn(values, np.ones(6), np.random.default_rng(1))
    for part in (slice(0, 3), slice(3, 6)):
        before, after = values[:, part], turned[:, part]
        assert np.allclose(np.linalg.norm(before, axis=1), np.linalg.norm(after, axis=1))
        assert np.allclose(after[:, 2], before[:, 2])
        assert np.allclose(after[:, 0], -before[:, 1])
