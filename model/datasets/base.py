"""What every source gives: labelled recordings."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
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
    of_window: str = "mean"  # of targets that vary in a window; or 'last'

    def group_title(self, group: int) -> int | str:
        """A group as recipes and reports call it."""
        return self.group_names[group] if self.group_names else group


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


def verified_bytes(path: Path, sha256: str) -> bytes:
    """The content of a data file; DataError when it is missing or is not the expected one."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path}: the dataset cannot be read: {error.strerror}; run `make setup` to install it"
        ) from error
    digest = hashlib.sha256(data).hexdigest()
    if digest != sha256:
        raise DataError(
            f"{path}: another file than the recipe's: expected SHA-256 {sha256}, got {digest}; "
            "reinstall it with `make setup`, or put the new hash into the recipe if you mean it"
        )
    return data


def table_of(table: T | None, name: str) -> T:
    """The source's own table of the recipe; ConfigError when it is missing."""
    if table is None:
        raise ConfigError(f"dataset: missing table [dataset.{name}] of the source {name!r}")
    return table
