"""A recipe on its way: what it says, and what its data say where a rule asks."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from model.datasets import csv_folder, load_dataset
from model.datasets.base import Dataset
from model.datasets.folder import resolve
from model.errors import ConfigError
from model.recipe import DatasetConfig
from model.toml_reader import construct, table_type

AUDIO = "wav_folder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How one key gets its value when a recipe does not have it."""

    text: str  # for the reference of keys
    value: Callable[[Draft], Any]
    data: bool = False  # it looks at the recordings
    when: Callable[[Draft], bool] = lambda draft: True


class Draft:
    """A recipe on its way: tables as `accept` gives them."""

    def __init__(self, tables: dict[str, Any]) -> None:
        self.tables = tables
        self.tables.setdefault("dataset", {})

    def get(self, path: str, default: Any = None) -> Any:
        """The value of 'features.window', or `default`."""
        table: Any = self.tables
        for key in path.split("."):
            if not isinstance(table, dict) or key not in table:
                return default
            table = table[key]
        return table

    def __getitem__(self, path: str) -> Any:
        """The value; ConfigError when there is none."""
        value = self.get(path)
        if value is None:
            raise ConfigError(f"missing key {path!r}")
        return value

    def set(self, path: str, value: Any) -> None:
        """Put a value in, with the tables on the way to it."""
        *tables, key = path.split(".")
        inner = functools.reduce(lambda t, k: t.setdefault(k, {}), tables, self.tables)
        inner[key] = value

    @functools.cached_property
    def dataset(self) -> Dataset:
        """All recordings; what the recipe does not say of them is as the source has it."""
        return load_dataset(self.dataset_config())

    @functools.cached_property
    def csv_columns(self) -> csv_folder.Columns:
        """What the first CSV file has."""
        folder = resolve(self["dataset.csv_folder.folder"], "dataset.csv_folder.folder")
        return csv_folder.survey(folder, self.get("dataset.sample_rate_hz", 0.0))

    def dataset_config(self) -> DatasetConfig:
        """[dataset] so far: '', 0 and () for what is not known."""
        known = dict(self.tables["dataset"])
        empty: dict[str, Any] = {"sha256": "", "sample_rate_hz": 0.0, "channels": (), "units": ()}
        empty |= {"labels": (), "val_groups": (), "test_groups": ()}
        known.pop("sha256", None)  # of the data as they were; whoever compares says so
        tables = {
            f.name: _dataclass(f.name, known[f.name])
            for f in fields(DatasetConfig)
            if isinstance(known.get(f.name), dict)
        }
        return DatasetConfig(**{**empty, **known, **tables})

    def samples(self) -> Iterator[npt.NDArray[np.float32]]:
        """[samples, channels] of each recording that no choice may look away from: training's."""
        held = {*self["dataset.val_groups"], *self["dataset.test_groups"]}
        for recording in self.dataset.recordings:
            if self.dataset.group_title(recording.group) not in held:
                yield recording.values

    @functools.cached_property
    def limits(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """(lowest, highest) value of each channel in all recordings."""
        finite = [r.values for r in self.dataset.recordings if np.isfinite(r.values).all()]
        if not finite:
            raise ConfigError("dataset: no recording is without values that are not finite")
        low = np.min([v.min(axis=0) for v in finite], axis=0)
        high = np.max([v.max(axis=0) for v in finite], axis=0)
        return low.astype(np.float64), high.astype(np.float64)

    @property
    def shortest(self) -> int:
        """Samples of the shortest recording."""
        return min(len(r.values) for r in self.dataset.recordings)


def _dataclass(name: str, values: dict[str, Any]) -> Any:
    problems: list[str] = []
    made = construct(table_type(DatasetConfig, name), values, problems, f"dataset.{name}.")
    if problems:
        raise ConfigError(problems[0])
    return made
