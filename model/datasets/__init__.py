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
    oscillator,
    seglearn_watch,
    sklearn_digits,
    tones,
    vibration,
    wav_folder,
)
from model.datasets.base import Dataset
from model.datasets.lists import list_paths
from model.datasets.truth import CLASSES, Truth
from model.errors import ConfigError, DataError
from model.recipe import DatasetConfig

Loader = Callable[[DatasetConfig, Truth], Dataset]


def _only(kind: str, load: Callable[[DatasetConfig], Dataset]) -> Loader:
    """A source whose recordings have one kind of truth."""

    def checked(config: DatasetConfig, truth: Truth) -> Dataset:
        if truth.kind != kind:
            raise ConfigError(
                f"dataset.source {config.source!r}: it is for the task {kind!r}, the recipe's is "
                f"{truth.kind!r}; set task = {kind!r} or take another source"
            )
        return load(config)

    return checked


SOURCES: dict[str, Loader] = {
    "aeon_series": _only("classification", aeon_series.load),
    "csv_folder": csv_folder.load,
    "edge_impulse": edge_impulse.load,
    "numpy_file": numpy_file.load,
    "oscillator": _only("regression", oscillator.load),
    "seglearn_watch": _only("classification", seglearn_watch.load),
    "sklearn_digits": _only("classification", sklearn_digits.load),
    "tones": _only("multilabel", tones.load),
    "vibration": _only("classification", vibration.load),
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
    return [*(source(config) if source else []), *list_paths(config).values()]


def load_dataset(config: DatasetConfig, truth: Truth = CLASSES) -> Dataset:
    """All recordings of a source; they must have the recipe's SHA-256, unless it has none.

    The hash is compared last, so that what is wrong with new files is said before. Raises
    ConfigError for an unknown source, and for one that does not know such a truth.
    """
    if config.source not in SOURCES:
        raise ConfigError(
            f"dataset.source: unknown source {config.source!r}; known: {', '.join(SOURCES)}"
        )
    dataset = SOURCES[config.source](config, truth)
    if truth.targets and dataset.labels != truth.targets:
        raise ConfigError(
            f"regression.targets: the source {config.source!r} has {list(dataset.labels)}, got "
            f"{list(truth.targets)}; name them so"
        )
    if config.sha256 not in ("", dataset.sha256):
        raise DataError(
            f"dataset: other data than those of the first check: their SHA-256 was "
            f"{config.sha256}, is {dataset.sha256}; `tinyproof check --accept` records them as "
            "they are now (in a recipe with dataset.sha256, remove that key)"
        )
    for key in ("labels", "channels", "units", "sample_rate_hz"):
        said, has = getattr(config, key), getattr(dataset, key)
        if said and has and said != has:
            raise ConfigError(
                f"dataset.{key}: the source {config.source!r} has {_shown(has)}, got "
                f"{_shown(said)}; remove the key"
            )
    units = config.units or dataset.units or ("?",) * len(dataset.channels)
    if len(units) != len(dataset.channels):
        raise ConfigError(
            f"dataset.units: expected {len(dataset.channels)} values, one for each of "
            f"dataset.channels; got {len(units)}"
        )
    dataset = dataclasses.replace(dataset, units=units, of_window=truth.of_window)
    if truth.kind != "classification":
        return dataset
    return without(dataset, config.leave_out)


def _shown(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def dataset_labels(config: DatasetConfig) -> tuple[str, ...]:
    """The classes of a recipe's data, without reading them."""
    return tuple(label for label in config.labels if label not in config.leave_out)


def without(dataset: Dataset, left_out: tuple[str, ...]) -> Dataset:
    """The data without these classes; ConfigError for others, and when less than two remain."""
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
