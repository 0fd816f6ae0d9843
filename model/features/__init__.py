"""Front ends: from recordings to network inputs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.datasets.base import Dataset
from model.errors import ConfigError
from model.recipe import DatasetConfig, FeatureConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Labelled windows of one split."""

    x: npt.NDArray[np.float32]  # [windows, samples, channels], scaled
    y: npt.NDArray[np.int64]  # [windows]
    group: npt.NDArray[np.int64]  # [windows]


@dataclass(frozen=True, slots=True, kw_only=True)
class Splits:
    """No group is in two of them."""

    train: Windows
    val: Windows
    test: Windows

    def items(self) -> list[tuple[str, Windows]]:
        """(name, windows) of each split."""
        return [("train", self.train), ("val", self.val), ("test", self.test)]


def make_windows(dataset: Dataset, config: FeatureConfig, groups: set[int]) -> Windows:
    """Windows of every recording of some groups, `hop` samples apart, scaled channel by channel."""
    if config.kind != "raw":
        raise ConfigError(f"features.kind: unknown front end {config.kind!r}; known: raw")
    x, y, group = [], [], []
    offset, scale = np.array(config.offset, np.float32), np.array(config.scale, np.float32)
    for recording in dataset.recordings:
        if recording.group not in groups:
            continue
        last = len(recording.values) - config.window
        for start in range(0, last + 1, config.hop):
            x.append((recording.values[start : start + config.window] - offset) / scale)
            y.append(recording.label)
            group.append(recording.group)
    shape = (len(x), config.window, len(dataset.channels))
    return Windows(
        x=np.asarray(x, np.float32).reshape(shape),
        y=np.asarray(y, np.int64),
        group=np.asarray(group, np.int64),
    )


def split_windows(dataset: Dataset, split: DatasetConfig, config: FeatureConfig) -> Splits:
    """Windows of the training, validation and test groups."""
    numbers = {dataset.group_title(group): group for group in {r.group for r in dataset.recordings}}
    everyone = set(numbers.values())
    if unknown := {*split.val_groups, *split.test_groups} - set(numbers):
        raise ConfigError(
            f"dataset: groups {sorted(unknown, key=str)} are not in the data; it has "
            f"{[dataset.group_title(group) for group in sorted(everyone)]}"
        )
    val = {numbers[group] for group in split.val_groups}
    test = {numbers[group] for group in split.test_groups}
    return Splits(
        train=make_windows(dataset, config, everyone - val - test),
        val=make_windows(dataset, config, val),
        test=make_windows(dataset, config, test),
    )
