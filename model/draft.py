"""A recipe on its way: what it says, and what its data say where a rule asks."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from model.datasets import csv_folder, load_dataset, without
from model.datasets.base import Dataset
from model.datasets.lists import split_groups
from model.datasets.paths import resolve
from model.datasets.truth import CLASSES, Truth
from model.errors import ConfigError
from model.recipe import DatasetConfig
from model.recipe_rules import separator_problems, target_problems
from model.toml_reader import construct, table_type

AUDIO = "wav_folder"
MAX_RECORDINGS = 400  # that offsets and scales are measured on


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
        """Put a value in, with the tables on the way to it.

        Raises ConfigError where a value stands on the way, or a table in its place.
        """
        *tables, key = path.split(".")
        inner = self.tables
        for table in tables:
            inner = inner.setdefault(table, {})
            if not isinstance(inner, dict):
                raise ConfigError(f"{path!r}: {table!r} is a value, expected a table")
        if isinstance(inner.get(key), dict) and inner[key] and not isinstance(value, dict):
            raise ConfigError(f"{path!r}: is a table with keys, expected a value of its own")
        inner[key] = value

    @functools.cached_property
    def source(self) -> Dataset:
        """All recordings of the source, also those of classes that the recipe leaves out."""
        config = dataclasses.replace(self.dataset_config(), leave_out=())
        return load_dataset(config, self.truth)

    @functools.cached_property
    def dataset(self) -> Dataset:
        """The recordings; what the recipe does not say of them is as the source has it."""
        left_out = self.get("dataset.leave_out")
        if not left_out or self.truth.kind != CLASSES.kind:
            return self.source
        return without(self.source, left_out)

    @property
    def truth(self) -> Truth:
        """What the task learns; ConfigError for targets or a separator that cannot be."""
        if self.get("task") == "regression":
            of_window = self.get("regression.of_window", "mean")
            targets = self["regression.targets"]
            _refuse_first(target_problems(targets))
            return Truth(targets=targets, of_window=of_window)
        if self.get("task") == "multilabel":
            separator = self.get("multilabel.separator", "+")
            _refuse_first(separator_problems(separator))
            return Truth(separator=separator)
        return CLASSES

    @functools.cached_property
    def csv_columns(self) -> csv_folder.Columns:
        """What the first CSV file has."""
        folder = resolve(self["dataset.csv_folder.folder"], "dataset.csv_folder.folder")
        return csv_folder.survey(
            folder, self.get("dataset.sample_rate_hz", 0.0), self.truth.targets
        )

    def dataset_config(self) -> DatasetConfig:
        """[dataset] so far: '', 0 and () for what is not known."""
        known = dict(self.tables["dataset"])
        empty: dict[str, Any] = {"sha256": "", "sample_rate_hz": 0.0, "channels": (), "units": ()}
        empty["labels"] = ()
        known.pop("sha256", None)  # of the data as they were; whoever compares says so
        tables = {
            f.name: _dataclass(f.name, known[f.name])
            for f in fields(DatasetConfig)
            if f.name != "merge" and isinstance(known.get(f.name), dict)
        }
        return DatasetConfig(**{**empty, **known, **tables})

    def samples(self) -> Iterator[npt.NDArray[np.float32]]:
        """[samples, channels] of training's recordings, of MAX_RECORDINGS at even distances."""
        train = split_groups(self.dataset, self.dataset_config())["train"]
        chosen = [r for r in self.dataset.recordings if r.group in train]
        some = min(len(chosen), MAX_RECORDINGS)
        for i in np.linspace(0, len(chosen) - 1, some).astype(int):
            yield chosen[i].values

    @functools.cached_property
    def limits(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """(lowest, highest) value of each channel in all recordings."""
        ends = [(r.values.min(axis=0), r.values.max(axis=0)) for r in self.dataset.recordings]
        finite = [end for end in ends if np.isfinite(end).all()]
        if not finite:
            raise ConfigError("dataset: no recording is without values that are not finite")
        low, high = np.array(finite, np.float64).transpose(1, 0, 2)
        return low.min(axis=0), high.max(axis=0)

    @property
    def shortest(self) -> int:
        """Samples of the shortest recording."""
        return min(len(r.values) for r in self.dataset.recordings)


def _refuse_first(problems: Iterator[str]) -> None:
    for problem in problems:
        raise ConfigError(problem)


def _dataclass(name: str, values: dict[str, Any]) -> Any:
    problems: list[str] = []
    made = construct(table_type(DatasetConfig, name), values, problems, f"dataset.{name}.")
    if problems:
        raise ConfigError(problems[0])
    return made
