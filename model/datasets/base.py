"""What every source gives: labelled recordings."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from model.errors import ConfigError, DataError

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One uninterrupted recording of one group (subject)."""

    values: npt.NDArray[np.float32]  # [samples, channels]
    label: int
    group: int
    name: str = ""  # of its file, with the line where a file has several
    times_s: npt.NDArray[np.float64] | None = None  # [samples], where the source has time stamps


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """All recordings of a source."""

    recordings: tuple[Recording, ...]
    labels: tuple[str, ...]
    channels: tuple[str, ...]
    sample_rate_hz: float
    sha256: str
    group_names: tuple[str, ...] = ()  # of group i; empty where groups are numbers only
    units: tuple[str, ...] = ()  # of the channels; empty where the source does not know them
    # 'val' and 'test' -> groups that list files name
    listed: Mapping[str, frozenset[int]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()  # what was done to the samples, for reports

    def group_title(self, group: int) -> int | str:
        """A group as recipes and reports call it."""
        return self.group_names[group] if self.group_names else group


def deviation(parts: Sequence[npt.NDArray[np.floating]]) -> npt.NDArray[np.float64]:
    """The standard deviation of each channel over all of `parts` [samples, channels], in turn."""
    count = sum(map(len, parts))
    mean = np.sum([part.sum(axis=0, dtype=np.float64) for part in parts], axis=0) / count
    squares = [((part - mean) ** 2).sum(axis=0) for part in parts]
    return np.asarray(np.sqrt(np.sum(squares, axis=0) / count))


def installed_bytes(path: Path) -> tuple[bytes, str]:
    """(content, SHA-256) of a data file of a package; DataError when it is missing."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path}: the dataset cannot be read: {error.strerror}; run `make setup` to install it"
        ) from error
    return data, hashlib.sha256(data).hexdigest()


def table_of(table: T | None, name: str) -> T:
    """The source's own table of the recipe; ConfigError when it is missing."""
    if table is None:
        raise ConfigError(f"dataset: missing table [dataset.{name}] of the source {name!r}")
    return table
