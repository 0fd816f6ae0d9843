"""Front ends: from recordings to network inputs, by the C of firmware/features."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.cluster import open_jobs
from model.datasets.base import Dataset, Recording
from model.errors import ConfigError
from model.features.design import FrontEnd
from model.features.library import Extractor
from model.jobs import Here, Jobs
from model.recipe import DatasetConfig

MAX_STREAM_INPUTS = 20
BLOCK = 1 << 20  # samples times channels of one job


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Labelled windows of one split, in the order of the recordings."""

    features: npt.NDArray[np.int16]  # [windows, rows, columns]
    feature_scale: float
    y: npt.NDArray[np.int64]  # [windows]
    group: npt.NDArray[np.int64]  # [windows]

    @property
    def x(self) -> npt.NDArray[np.float32]:
        """[windows, rows, columns], what the network is trained on."""
        return self.features.astype(np.float32) * np.float32(self.feature_scale)

    def first(self, count: int) -> Windows:
        """The first `count` windows."""
        return dataclasses.replace(
            self, features=self.features[:count], y=self.y[:count], group=self.group[:count]
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


def make_windows(
    dataset: Dataset, extractor: Extractor, groups: set[int], jobs: Jobs | None = None
) -> Windows:
    """Network inputs of every recording of some groups, `hop` samples apart.

    `jobs` extracts blocks of recordings, in this process by default; a few are sent at a time.
    """
    front_end, jobs = extractor.front_end, jobs or Here()
    recordings = [r for r in dataset.recordings if r.group in groups]
    parts = [np.zeros((0, front_end.rows, front_end.columns), np.int16)]
    work = ({"samples": block} for block in _blocks(recordings, front_end))
    shared = jobs.share(front_end=front_end)
    here = {"extractor": extractor}
    for found in jobs.map("model.features:extract", work, shared, here):
        parts += found
    counts = np.array([len(part) for part in parts[1:]], np.int64)
    return Windows(
        features=np.concatenate(parts),
        feature_scale=front_end.feature_scale,
        y=np.repeat(np.array([r.label for r in recordings], np.int64), counts),
        group=np.repeat(np.array([r.group for r in recordings], np.int64), counts),
    )


def _blocks(
    recordings: Iterable[Recording], front_end: FrontEnd
) -> Iterator[list[npt.NDArray[np.int16]]]:
    """What a sensor would have given for each recording, about BLOCK values together."""
    block: list[npt.NDArray[np.int16]] = []
    for recording in recordings:
        block.append(front_end.to_lsb(recording.values))
        if sum(samples.size for samples in block) >= BLOCK:
            yield block
            block = []
    if block:
        yield block


def extract(
    front_end: FrontEnd,
    samples: list[npt.NDArray[np.int16]],
    extractor: Extractor | None = None,
) -> list[npt.NDArray[np.int16]]:
    """The inputs [windows, rows, columns] of each recording [samples, channels]."""
    extractor = extractor or Extractor(front_end)
    found = []
    for recording in samples:
        extractor.reset()
        found.append(extractor.push(recording))
    return found


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
    """Windows of the training, validation and test groups; on the cluster, where there is one."""
    groups = split_groups(dataset, split)
    with open_jobs() as jobs:
        return Splits(
            **{n: make_windows(dataset, extractor, side, jobs) for n, side in groups.items()}
        )
