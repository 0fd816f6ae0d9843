"""Background noise that is mixed into training windows: recordings of a folder of their own."""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model.datasets import SOURCES, data_files
from model.datasets.base import Dataset
from model.datasets.lists import split_groups
from model.datasets.truth import CLASSES
from model.errors import DataError
from model.recipe import DatasetConfig, Recipe

KEY = "augment.background"
_given: contextvars.ContextVar[Dataset | None] = contextvars.ContextVar("_given", default=None)


def background_files(recipe: Recipe) -> list[Path]:
    """The files of the recipe's background; none of a recipe without one."""
    return data_files(_config(recipe)) if recipe.augment.background else []


def load_background(recipe: Recipe, dataset: Dataset) -> Dataset | None:
    """The background, read as the recipe's source reads its files; None for none.

    Raises DataError for a recording that is shorter than a window, and for one that a held-out
    group has too, for then the network would have heard what it is tested on.
    """
    if not recipe.augment.background:
        return None
    if (sent := _given.get()) is not None:
        return sent
    found = SOURCES[recipe.dataset.source](_config(recipe), CLASSES)
    for recording in found.recordings:
        if len(recording.values) < recipe.features.window:
            raise DataError(
                f"{KEY}: {recording.name}: expected at least a window, {recipe.features.window} "
                f"samples, got {len(recording.values)}; record longer, or remove it"
            )
    _refuse_held_out(dataset, found, recipe.dataset)
    return found


@contextlib.contextmanager
def given_background(background: Dataset) -> Iterator[None]:
    """Within, the background that was sent with a job (model.attachments) stands for the files."""
    before = _given.set(background)
    try:
        yield
    finally:
        _given.reset(before)


def _config(recipe: Recipe) -> DatasetConfig:
    """Of a data set that is the background alone."""
    config = recipe.dataset
    own = getattr(config, config.source)
    changes: dict[str, Any] = {"folder": recipe.augment.background, "pattern": "(?P<label>).*"}
    neutral = {"clip_seconds": 0.0, "label_column": ""}
    changes |= {key: value for key, value in neutral.items() if hasattr(own, key)}
    none = {"sha256": "", "labels": (), "merge": None, "val_list": "", "test_list": ""}
    return dataclasses.replace(
        config, **{config.source: dataclasses.replace(own, **changes), **none}
    )


def _refuse_held_out(dataset: Dataset, background: Dataset, config: DatasetConfig) -> None:
    groups = split_groups(dataset, config)
    noise = {_digest(r.values): r.name for r in background.recordings}
    lengths = {len(r.values) for r in background.recordings}
    for recording in dataset.recordings:
        if recording.group in groups["train"] or len(recording.values) not in lengths:
            continue
        if name := noise.get(_digest(recording.values)):
            raise DataError(
                f"{KEY}: expected recordings that no held-out group has, got {name}, which is "
                f"{recording.name} of the group {dataset.group_title(recording.group)!r}; move it "
                "out of one of the folders"
            )


def _digest(values: npt.NDArray[np.float32]) -> bytes:
    return hashlib.sha256(values.tobytes()).digest()


def describe(recipe: Recipe, background: Dataset | None) -> dict[str, Any]:
    """What was mixed in, for records and reports; empty for nothing."""
    if background is None:
        return {}
    samples = sum(len(r.values) for r in background.recordings)
    return {
        "recordings": len(background.recordings),
        "seconds": round(samples / background.sample_rate_hz, 3),
        "sha256": background.sha256,
        "share": recipe.augment.background_share,
        "snr_db": list(recipe.augment.background_snr_db),
        "preparation": list(background.notes),
    }
