"""What a check gives, and how recordings are cut into windows for checking."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.datasets.base import Dataset, Recording

ERROR, WARNING = "error", "warning"  # severities, and the states of checks that found something
PASSED = "passed"
MAX_PROBLEMS = 20  # of one check
MAX_VALUES = 1 << 24  # in the windows of one check: bounds its memory
BLOCK_VALUES = 1 << 22  # of recordings that are looked at together


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a check found; empty `problems` means passed. The table is for the page."""

    summary: str
    problems: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """A finding with the check's name and severity, and the state that follows from them."""

    name: str
    severity: str  # ERROR: stops the run; WARNING: is shown
    state: str  # PASSED or the severity
    summary: str
    problems: tuple[str, ...]  # the first MAX_PROBLEMS
    more: int  # how many there are besides
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """Windows of unscaled samples and where they were cut."""

    x: npt.NDArray[np.float32]  # [windows, samples, channels]
    recording: npt.NDArray[np.int64]  # [windows]
    start: npt.NDArray[np.int64]  # [windows], samples


def cut_windows(dataset: Dataset, chosen: Sequence[int], window: int, hop: int, limit: int) -> Cut:
    """Windows `hop` samples apart of the recordings `chosen`; evenly spread ones beyond a limit.

    The limit is `limit` windows, and fewer where they would have more than MAX_VALUES values.
    """
    counts = np.array(
        [max(0, (len(dataset.recordings[i].values) - window) // hop + 1) for i in chosen], np.int64
    )
    ends = np.cumsum(counts)
    total = int(counts.sum())
    limit = max(1, min(limit, MAX_VALUES // (window * len(dataset.channels))))
    places = np.arange(total)
    if total > limit:
        places = np.linspace(0, total - 1, limit).astype(np.int64)
    which = np.searchsorted(ends, places, "right")
    start = (places - (ends - counts)[which]) * hop
    recording = np.asarray(chosen, np.int64)[which]
    x = np.empty((len(places), window, len(dataset.channels)), np.float32)
    for row, (i, at) in enumerate(zip(recording.tolist(), start.tolist(), strict=True)):
        x[row] = dataset.recordings[i].values[at : at + window]
    return Cut(x=x, recording=recording, start=start)


def blocks(recordings: Sequence[Recording]) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
    """(first row, samples) of all recordings behind each other, BLOCK_VALUES or so at a time.

    The blocks end with recordings.
    """
    first, held, size = 0, list[npt.NDArray[np.float32]](), 0
    for recording in recordings:
        held.append(recording.values)
        size += recording.values.size
        if size >= BLOCK_VALUES:
            yield first, np.concatenate(held)
            first, held, size = first + sum(map(len, held)), [], 0
    if held:
        yield first, np.concatenate(held)


def recording_title(dataset: Dataset, index: int) -> str:
    """'recording 3 (bob/wave_1.csv)'; without the file where the source has none."""
    name = dataset.recordings[index].name
    return f"recording {index} ({name})" if name else f"recording {index}"


def longest_run(flags: npt.NDArray[np.bool_]) -> tuple[int, int]:
    """(length, first index) of the longest run of True."""
    starts, lengths = _runs(flags)
    if not len(starts):
        return 0, 0
    best = int(lengths.argmax())
    return int(lengths[best]), int(starts[best])


def in_long_runs(flags: npt.NDArray[np.bool_], shortest: int) -> int:
    """How many True lie in runs of at least `shortest`."""
    _, lengths = _runs(flags)
    return int(lengths[lengths >= shortest].sum())


def _runs(flags: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return edges[::2], edges[1::2] - edges[::2]
