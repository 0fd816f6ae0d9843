"""Front ends: from recordings to network inputs, by the C of firmware/features."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from model.cluster import open_jobs
from model.datasets.base import Dataset, Recording, window_targets
from model.datasets.lists import split_groups
from model.features.design import FrontEnd
from model.features.library import Extractor
from model.jobs import Here, Jobs
from model.progress import item_progress
from model.recipe import DatasetConfig
from model.scratch import Scratch

MAX_STREAM_INPUTS = 20
BLOCK = 1 << 20  # samples times channels of one job


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
        return self.part(0, count)

    def part(self, begin: int, end: int) -> Windows:
        """The windows from `begin` up to before `end`."""
        return self.chosen(slice(begin, end))

    def chosen(self, keep: slice | npt.NDArray[Any]) -> Windows:
        """Those of a slice, of numbers, or where `keep` [windows] is true."""
        return dataclasses.replace(
            self,
            features=self.features[keep],
            y=self.y[keep],
            group=self.group[keep],
            targets=None if self.targets is None else self.targets[keep],
        )

    def spread(self, count: int) -> Windows:
        """At most `count` windows, at even distances through all."""
        if len(self.y) <= count:
            return self
        return self.chosen(np.linspace(0, len(self.y) - 1, count).astype(np.int64))


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
    chosen = [recording for recording in dataset.recordings if recording.group in groups]
    counts = window_counts(dataset, front_end, groups)
    shape = (sum(counts), front_end.rows, front_end.columns)
    features = Scratch().zeros(shape, np.int16)
    work = ({"samples": block} for block in _blocks(item_progress(chosen, "windows"), front_end))
    shared, at = jobs.share(front_end=front_end), 0
    for found in jobs.map("model.features:extract", work, shared, {"extractor": extractor}):
        for made in found:
            features[at : at + len(made)] = made
            at += len(made)
    assert at == len(features)
    return Windows(
        features=features,
        feature_scale=front_end.feature_scale,
        y=np.repeat(np.array([r.label for r in chosen], np.int64), counts),
        group=np.repeat(np.array([r.group for r in chosen], np.int64), counts),
        targets=_targets(chosen, front_end, dataset.of_window),
    )


def _targets(
    recordings: Sequence[Recording], front_end: FrontEnd, of_window: str
) -> npt.NDArray[np.float32] | None:
    """[windows, targets] of some recordings; None where a class is the truth."""
    found = [
        window_targets(r.targets, front_end.window, front_end.hop, of_window)
        for r in recordings
        if r.targets is not None
    ]
    return np.concatenate(found) if found else None


def window_counts(dataset: Dataset, front_end: FrontEnd, groups: set[int]) -> list[int]:
    """How many windows make_windows makes of each recording of some groups."""
    return [_count(len(r.values), front_end) for r in dataset.recordings if r.group in groups]


def _count(samples: int, front_end: FrontEnd) -> int:
    """Windows of a recording."""
    return max(0, (samples - front_end.window) // front_end.hop + 1)


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
    chosen = [r for r in dataset.recordings if r.group in groups and len(r.values) >= fe.window]
    count = sum(_count(len(r.values), fe) for r in chosen)
    samples = Scratch().zeros((count, fe.window, fe.channels), np.int16)
    at = 0
    for recording in chosen:
        values = fe.to_lsb(recording.values)
        for start in range(0, len(values) - fe.window + 1, fe.hop):
            samples[at] = values[start : start + fe.window]
            at += 1
    longest = fe.window + (MAX_STREAM_INPUTS - 1) * fe.hop
    none = np.zeros((0, fe.channels), np.int16)
    return {
        "samples": samples,
        "stream": fe.to_lsb(chosen[0].values[:longest]) if chosen else none,
    }


def split_windows(dataset: Dataset, split: DatasetConfig, extractor: Extractor) -> Splits:
    """Windows of the training, validation and test groups; on the cluster, where there is one."""
    groups = split_groups(dataset, split)
    with open_jobs() as jobs:
        return Splits(
            **{n: make_windows(dataset, extractor, side, jobs) for n, side in groups.items()}
        )
