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
from host_tools.stages.engine import Stage
from model.recipe_file import load_recipe
from tests.studies import drift_classes
from tests.studies.drift_classes import firmware_without
from tests.studies.drift_study import run_study

# --- a class that the network does not know ---------------------------------------------------


def test_a_network_without_a_class_is_another_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Stage] = []
    monkeypatch.setattr(drift_classes, "update", lambda stages, _: made.extend(stages))
    recipe = load_recipe("motion")
    firmware_without(recipe, "PEN", tmp_path / "new", load_board("native"))
    names = ["network", "check", "train", "quantise", "profile", "rule", "emit", "build-native"]
    assert [(s.name, s.folder) for s in made] == [(name, tmp_path / "new") for name in names]
    without = made[0].arguments["recipe"]
    assert without.dataset.leave_out == ("PEN",)
    assert dataclasses.replace(without.dataset, leave_out=()) == recipe.dataset


@pytest.mark.parametrize("name", ["anomaly", "anomaly_motions"])
def test_a_recipe_without_classes_to_leave_out_is_refused(name: str, tmp_path: Path) -> None:
    board = load_board("native")
    target = Target(emulator=None, port="none")
    with pytest.raises(UsageError, match=r"--new-classes: expected a classification of at least"):
        run_study(load_recipe(name), tmp_path / name, board, target, new_classes=True)


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
