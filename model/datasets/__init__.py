"""Where recordings come from: one module a source."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from model.datasets import (
    aeon_series,
    csv_folder,
    edge_impulse,
    numpy_file,
    seglearn_watch,
    sklearn_digits,
    vibration,
    wav_folder,
)
from model.datasets.base import Dataset
from model.errors import ConfigError
from model.recipe import DatasetConfig

SOURCES: dict[str, Callable[[DatasetConfig], Dataset]] = {
    "aeon_series": aeon_series.load,
    "csv_folder": csv_folder.load,
    "edge_impulse": edge_impulse.load,
    "numpy_file": numpy_file.load,
    "seglearn_watch": seglearn_watch.load,
    "sklearn_digits": sklearn_digits.load,
    "vibration": vibration.load,
    "wav_folder": wav_folder.load,
}

FILES: dict[str, Callable[[DatasetConfig], list[Path]]] = {
    "aeon_series": aeon_series.data_files,
    "csv_folder": csv_folder.data_files,
    "edge_impulse": edge_impulse.data_files,
    "numpy_file": numpy_file.data_files,
    "seglearn_watch": seglearn_watch.data_files,
    "sklearn_digits": sklearn_digits.data_files,
    "wav_folder": wav_folder.data_files,
}


def data_files(config: DatasetConfig) -> list[Path]:
    """The files that a source reads; none of one that generates its data or is not known."""
    source = FILES.get(config.source)
    return source(config) if source else []


def load_dataset(config: DatasetConfig) -> Dataset:
    """All recordings of a source, whose files must have the recipe's SHA-256."""
    if config.source not in SOURCES:
        raise ConfigError(
            f"dataset.source: unknown source {config.source!r}; known: {', '.join(SOURCES)}"
        )
    return _without(SOURCES[config.source](config), config.leave_out)


def dataset_labels(config: DatasetConfig) -> tuple[str, ...]:
    """The classes; without reading the data where the recipe's table says them."""
    labels = stated_labels(config)
    return load_dataset(config).labels if labels is None else labels


def stated_labels(config: DatasetConfig) -> tuple[str, ...] | None:
    """The classes that the recipe's table says; None where it has none."""
    labels = getattr(getattr(config, config.source, None), "labels", None)
    return labels and tuple(label for label in labels if label not in config.leave_out)


def _without(dataset: Dataset, left_out: tuple[str, ...]) -> Dataset:
    labels = [label for label in dataset.labels if label not in left_out]
    if len(labels) != len(dataset.labels) - len(left_out) or len(labels) < 2:
        raise ConfigError(
            f"dataset.leave_out: expected different classes that leave two of "
            f"{list(dataset.labels)}, got {list(left_out)}"
        )
    recordings = tuple(
        dataclasses.replace(recording, label=labels.index(dataset.labels[recording.label]))
        for recording in dataset.recordings
        if dataset.labels[recording.label] in labels
    )
    return dataclasses.replace(dataset, recordings=recordings, labels=tuple(labels))
