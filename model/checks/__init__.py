"""Checks of a dataset before anything is trained on it."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model.datasets.base import Dataset
from model.features import Splits
from model.recipe import CheckConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """One check: what was found; empty `problems` means passed."""

    name: str
    summary: str
    problems: tuple[str, ...]


def run_checks(
    dataset: Dataset, splits: Splits, config: CheckConfig, lsb: Sequence[float]
) -> list[CheckResult]:
    """All checks, in the order in which their failures are most useful to read.

    `lsb` is features.lsb, a step of the sensor for each channel.
    """
    checks: list[tuple[str, Callable[[], tuple[str, Iterator[str]]]]] = [
        ("rate and channels", lambda: _rate(dataset, config)),
        ("non-finite values", lambda: _non_finite(dataset)),
        ("ranges", lambda: _ranges(dataset, config)),
        ("sensor range", lambda: _sensor_range(dataset, lsb)),
        ("gaps", lambda: _gaps(dataset, config)),
        ("duplicates", lambda: _duplicates(dataset, splits)),
        ("leaks between splits", lambda: _leaks(dataset, splits)),
        ("class balance", lambda: _balance(dataset, splits, config)),
    ]
    results = []
    for name, check in checks:
        summary, problems = check()
        results.append(CheckResult(name=name, summary=summary, problems=tuple(problems)[:20]))
    return results


def _rate(dataset: Dataset, config: CheckConfig) -> tuple[str, Iterator[str]]:
    def problems() -> Iterator[str]:
        if dataset.sample_rate_hz != config.sample_rate_hz:
            yield f"expected {config.sample_rate_hz:g} Hz, got {dataset.sample_rate_hz:g}"
        if dataset.channels != config.channels:
            yield f"expected channels {config.channels}, the source has {dataset.channels}"
        for i, recording in enumerate(dataset.recordings):
            seconds = len(recording.values) / dataset.sample_rate_hz
            if seconds < config.min_seconds:
                yield f"recording {i}: {seconds:.1f} s, expected at least {config.min_seconds:g} s"

    total = sum(len(r.values) for r in dataset.recordings) / dataset.sample_rate_hz / 60
    return f"{len(dataset.recordings)} recordings, {total:.0f} min", problems()


def _non_finite(dataset: Dataset) -> tuple[str, Iterator[str]]:
    def problems() -> Iterator[str]:
        for i, recording in enumerate(dataset.recordings):
            bad = np.argwhere(~np.isfinite(recording.values))
            if len(bad):
                row, column = bad[0]
                yield (
                    f"recording {i}: {len(bad)} values are not finite, the first at sample {row}, "
                    f"channel {dataset.channels[column]}; remove or repair the recording"
                )

    return "none", problems()


def _ranges(dataset: Dataset, config: CheckConfig) -> tuple[str, Iterator[str]]:
    everything = np.concatenate([r.values for r in dataset.recordings])
    low, high = everything.min(axis=0), everything.max(axis=0)

    def problems() -> Iterator[str]:
        for c, name in enumerate(dataset.channels):
            if low[c] < config.minimum[c] or high[c] > config.maximum[c]:
                yield (
                    f"channel {name}: {low[c]:.3g} to {high[c]:.3g} {config.units[c]}, expected "
                    f"{config.minimum[c]:g} to {config.maximum[c]:g}; check the units"
                )

    spans = (
        f"{n} {a:.3g}..{b:.3g} {u}"
        for n, a, b, u in zip(dataset.channels, low, high, config.units, strict=True)
    )
    return ", ".join(spans), problems()


def _sensor_range(dataset: Dataset, lsb: Sequence[float]) -> tuple[str, Iterator[str]]:
    """Whether int16 holds every sample; rounding is half a step, so is the tolerance."""
    high = np.asarray(lsb) * 32767.5
    outside = [np.abs(r.values) >= high for r in dataset.recordings]
    counts = np.array([o.sum(axis=0) for o in outside]).sum(axis=0)

    def problems() -> Iterator[str]:
        for c, name in enumerate(dataset.channels):
            if counts[c]:
                yield (
                    f"channel {name}: {counts[c]} samples are beyond {high[c]:.3g}, where a sensor "
                    f"with steps of {lsb[c]:g} saturates; set a larger features.lsb"
                )

    samples = sum(len(r.values) for r in dataset.recordings)
    return f"{counts.sum()} of {samples * len(lsb)} values saturate", problems()


def _gaps(dataset: Dataset, config: CheckConfig) -> tuple[str, Iterator[str]]:
    limits = np.asarray(config.max_step)

    def problems() -> Iterator[str]:
        for i, recording in enumerate(dataset.recordings):
            steps = np.abs(np.diff(recording.values, axis=0))
            jumps = np.argwhere(steps > limits)
            if len(jumps):
                row, column = jumps[0]
                yield (
                    f"recording {i}: channel {dataset.channels[column]} jumps by "
                    f"{steps[row, column]:.3g} after sample {row}, expected at most "
                    f"{limits[column]:g}; samples are missing there"
                )
            frozen = _longest_run((steps == 0).all(axis=1))
            if frozen > config.max_frozen_samples:
                yield f"recording {i}: {frozen} identical samples in a row; the sensor was stuck"

    return f"no step over {list(config.max_step)}", problems()


def _longest_run(flags: npt.NDArray[np.bool_]) -> int:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def _hashes(rows: Iterable[npt.NDArray[np.float32]]) -> list[bytes]:
    return [hashlib.sha256(row.tobytes()).digest() for row in rows]


def _duplicates(dataset: Dataset, splits: Splits) -> tuple[str, Iterator[str]]:
    def problems() -> Iterator[str]:
        seen: dict[bytes, int] = {}
        for i, recording in enumerate(dataset.recordings):
            digest = _hashes([recording.values])[0]
            if digest in seen:
                yield f"recordings {seen[digest]} and {i} are the same"
            seen.setdefault(digest, i)
        for name, windows in splits.items():
            count = len(windows.x) - len(set(_hashes(windows.x)))
            if count:
                yield f"{count} windows of the {name} split occur twice"

    return "no recording or window twice", problems()


def _leaks(dataset: Dataset, splits: Splits) -> tuple[str, Iterator[str]]:
    def titles(groups: set[int]) -> list[int | str]:
        return [dataset.group_title(group) for group in sorted(groups)]

    def problems() -> Iterator[str]:
        items = splits.items()
        for i, (name, windows) in enumerate(items):
            for other_name, other in items[i + 1 :]:
                groups = set(windows.group.tolist()) & set(other.group.tolist())
                if groups:
                    yield f"groups {titles(groups)} are in {name} and in {other_name}"
                shared = set(_hashes(windows.x)) & set(_hashes(other.x))
                if shared:
                    yield f"{len(shared)} windows are in {name} and in {other_name}"

    groups = (f"{name} {titles(set(w.group.tolist()))}" for name, w in splits.items())
    return "groups " + ", ".join(groups), problems()


def _balance(dataset: Dataset, splits: Splits, config: CheckConfig) -> tuple[str, Iterator[str]]:
    counts = {name: Counter(w.y.tolist()) for name, w in splits.items()}

    def problems() -> Iterator[str]:
        for name, count in counts.items():
            for label, title in enumerate(dataset.labels):
                if not count[label]:
                    yield f"class {title} has no {name} windows; change the groups of the split"
            smallest = min((count[i] for i in range(len(dataset.labels))), default=0)
            if smallest and max(count.values()) / smallest > config.max_class_ratio:
                yield (
                    f"{name}: the largest class has {max(count.values())} windows, the smallest "
                    f"{smallest}; expected a ratio of at most {config.max_class_ratio:g}"
                )

    rows = (
        f"{name} {sum(count.values())} windows, {min(count.values(), default=0)} to "
        f"{max(count.values(), default=0)} a class"
        for name, count in counts.items()
    )
    return "; ".join(rows), problems()
