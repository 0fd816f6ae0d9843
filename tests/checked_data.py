"""Recordings that pass every data check, to plant defects in."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from model.checks import CheckResult, check_recordings, check_schema, usable
from model.checks.base import PASSED
from model.datasets.base import Dataset, Recording
from model.features import split_windows
from model.features.design import recipe_front_end
from model.features.library import Extractor
from model.recipe import DatasetConfig, Recipe
from model.recipe_file import load_recipe
from model.tasks import task_of

MOTION = load_recipe("motion")
SPLIT = dataclasses.replace(MOTION.dataset, val_groups=(0, 1), test_groups=(2, 3))
RECIPE = dataclasses.replace(MOTION, dataset=SPLIT)


def good_dataset() -> Dataset:
    """Nine subjects, three classes that differ in their speed: passes every check."""
    rng = np.random.default_rng(0)
    recordings = []
    for subject in range(9):
        for label in range(3):
            walk = np.cumsum(rng.normal(0, 0.02 * 2**label, (700, 6)), axis=0)
            recordings.append(Recording(values=walk.astype(np.float32), label=label, group=subject))
    return Dataset(
        recordings=tuple(recordings),
        labels=("a", "b", "c"),
        channels=RECIPE.dataset.channels,
        units=RECIPE.dataset.units,
        sample_rate_hz=50.0,
        sha256="",
    )


def with_recording(index: int, **changes: Any) -> Dataset:
    """The good data with other fields of one recording."""
    base = good_dataset()
    recordings = list(base.recordings)
    recordings[index] = dataclasses.replace(recordings[index], **changes)
    return dataclasses.replace(base, recordings=tuple(recordings))


def values_of(index: int) -> npt.NDArray[np.float32]:
    """A copy of one good recording's samples, to spoil."""
    return good_dataset().recordings[index].values.copy()


def run_checks(
    dataset: Dataset, split: DatasetConfig = SPLIT, recipe: Recipe = RECIPE
) -> list[CheckResult]:
    """All checks that can run."""
    results = check_schema(dataset, recipe.checks)
    if usable(results):
        splits = split_windows(dataset, split, Extractor(recipe_front_end(recipe)))
        results += check_recordings(dataset, splits, recipe, task_of(recipe, dataset.labels))
    return results


def problems(dataset: Dataset, **checks: Any) -> dict[str, tuple[str, ...]]:
    """Name -> problems of each check that found some, with other settings in [checks]."""
    recipe = dataclasses.replace(RECIPE, checks=dataclasses.replace(RECIPE.checks, **checks))
    results = run_checks(dataset, recipe=recipe)
    assert all(r.state == (r.severity if r.problems else PASSED) for r in results)
    return {r.name: r.problems for r in results if r.problems}
