"""Front ends: from recordings to network inputs, by the C of firmware/features."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from model.datasets.base import Dataset, window_targets
from model.errors import ConfigError
from model.features.library import Extractor
from model.recipe import DatasetConfig

MAX_STREAM_INPUTS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Labelled windows of one split, in the order of the recordings."""

    features: npt.NDArray[np.int16]  # [windows, rows, columns]
    feature_scale: float
    y: npt.NDArray[np.int64]  # [windows]
    group: npt.NDArray[np.int64]  # [windows]
    targets: npt.NDArray[np.float32] | None = None  # [windows, targets]; None: y is the truth

    @property
    def truth(self) -> npt.NDArray[Any]:
        """What a judge compares with: y [windows], or the targets."""
        return self.y if self.targets is None else self.targets

    @property
    def x(self) -> npt.NDArray[np.float32]:
        """[windows, rows, columns], what the network is trained on."""
        return self.features.astype(np.float32) * np.float32(self.feature_scale)

    def first(self, count: int) -> Windows:
        """The first `count` windows."""
        return self.chosen(np.arange(len(self.y)) < count)

    def chosen(self, keep: npt.NDArray[np.bool_]) -> Windows:
        """Those where `keep` [windows] is true."""
        return dataclasses.replace(
            self,
            features=self.features[keep],
            y=self.y[keep],
            group=self.group[keep],
            targets=None if self.targets is None else self.targets[keep],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Splits:
    """No group is in two of them."""

    train: Windows
    val: Windows
    test: Windows

    def items(self) -> list[tuple[str, Windows]]:
        """(name, windows) of each split."""
        return [("train", self.train), ("val", self.val), ("test", self.test)]


def make_windows(dataset: Dataset, extractor: Extractor, groups: set[int]) -> Windows:
    """Network inputs of every recording of some groups, `hop` samples apart."""
    front_end = extractor.front_end
    parts = [np.zeros((0, front_end.rows, front_end.columns), np.int16)]
    y, group, targets = [], [], []
    for recording in dataset.recordings:
        if recording.group in groups:
            extractor.reset()
            parts.append(extractor.push(front_end.to_lsb(recording.values)))
            y += [recording.label] * len(parts[-1])
            group += [recording.group] * len(parts[-1])
            if recording.targets is not None:
                window, hop = front_end.window, front_end.hop
                targets.append(window_targets(recording.targets, window, hop, dataset.of_window))
    return Windows(
        features=np.concatenate(parts),
        feature_scale=front_end.feature_scale,
        y=np.asarray(y, np.int64),
        group=np.asarray(group, np.int64),
        targets=np.concatenate(targets) if targets else None,
    )


def device_samples(
    dataset: Dataset, extractor: Extractor, groups: set[int]
) -> dict[str, npt.NDArray[np.int16]]:
    """What a sensor would have given for make_windows, as a device can be fed with it.

    samples [windows, window, channels] in the order of make_windows; stream [t, channels] of the
    first recording, at most 20 inputs of it: they are the first windows of `samples`.
    """
    fe = extractor.front_end
    recordings = [
        fe.to_lsb(r.values)
        for r in dataset.recordings
        if r.group in groups and len(r.values) >= fe.window
    ]
    samples = [
        values[start : start + fe.window]
        for values in recordings
        for start in range(0, len(values) - fe.window + 1, fe.hop)
    ]
    shape = (len(samples), fe.window, fe.channels)
    stream = recordings[0] if recordings else np.zeros((0, fe.channels), np.int16)
    return {
        "samples": np.asarray(samples, np.int16).reshape(shape),
        "stream": stream[: fe.window + (MAX_STREAM_INPUTS - 1) * fe.hop],
    }


def split_groups(dataset: Dataset, split: DatasetConfig) -> dict[str, set[int]]:
    """The numbers of the training, validation and test groups."""
    numbers = {dataset.group_title(group): group for group in {r.group for r in dataset.recordings}}
    everyone = set(numbers.values())
    if unknown := {*split.val_groups, *split.test_groups} - set(numbers):
        raise ConfigError(
            f"dataset: groups {sorted(unknown, key=str)} are not in the data; it has "
            f"{[dataset.group_title(group) for group in sorted(everyone)]}"
        )
    val = {numbers[group] for group in split.val_groups}
    test = {numbers[group] for group in split.test_groups}
    return {"train": everyone - val - test, "val": val, "test": test}


def split_windows(dataset: Dataset, split: DatasetConfig, extractor: Extractor) -> Splits:
    """Windows of the training, validation and test groups."""
    groups = split_groups(dataset, split)
    return Splits(**{name: make_windows(dataset, extractor, side) for name, side in groups.items()})
