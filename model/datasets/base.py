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
    label: int  # 0 where `targets` are what is learned
    group: int
    name: str = ""  # of its file, with the line where a file has several
    times_s: npt.NDArray[np.float64] | None = None  # [samples], where the source has time stamps
    # [samples, targets]: numbers of a regression, or 1 for each label that holds and 0 for others
    targets: npt.NDArray[np.float32] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """All recordings of a source."""

    recordings: tuple[Recording, ...]
    labels: tuple[str, ...]  # the network's outputs: classes, or names of the targets
    channels: tuple[str, ...]
    sample_rate_hz: float
    sha256: str
    group_names: tuple[str, ...] = ()  # of group i; empty where groups are numbers only
    units: tuple[str, ...] = ()  # of the channels; empty where the source does not know them
    # 'val' and 'test' -> groups that list files name
    listed: Mapping[str, frozenset[int]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()  # what was done to the samples, for reports
    of_window: str = "mean"  # of targets that vary in a window; or 'last'

    def group_title(self, group: int) -> int | str:
        """A group as recipes and reports call it."""
        return self.group_names[group] if self.group_names else group


def deviation(parts: Sequence[npt.NDArray[np.floating]]) -> npt.NDArray[np.float64]:
    """The standard deviation of each channel over all of `parts` [samples, channels], in turn."""
    count = sum(map(len, parts))
    mean = np.sum([part.sum(axis=0, dtype=np.float64) for part in parts], axis=0) / count
    squares = [((part - mean) ** 2).sum(axis=0) for part in parts]
    return np.asarray(np.sqrt(np.sum(squares, axis=0) / count))


def constant_targets(values: Sequence[float], samples: int) -> npt.NDArray[np.float32]:
    """[samples, targets] of a recording in which nothing changes; takes no memory a sample."""
    return np.broadcast_to(np.asarray(values, np.float32), (samples, len(values)))


def window_targets(
    targets: npt.NDArray[np.float32], window: int, hop: int, of_window: str
) -> npt.NDArray[np.float32]:
    """[samples, targets] -> [windows, targets], of windows `hop` samples apart."""
    starts = np.arange(0, len(targets) - window + 1, hop)
    if of_window == "last":
        return np.asarray(targets[starts + window - 1])
    sums = np.concatenate([np.zeros((1, targets.shape[1])), np.cumsum(targets, 0, np.float64)])
    return np.asarray((sums[starts + window] - sums[starts]) / window, np.float32)


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
