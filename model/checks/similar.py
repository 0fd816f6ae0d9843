"""Checks between recordings and splits: duplicates, near-duplicates, leaks, classes."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from model.checks.base import Cut, Finding, cut_windows, recording_title
from model.datasets.base import Dataset, deviation
from model.features import Splits
from model.recipe import CheckConfig, Recipe
from model.tasks import Task

MAX_INDEX, MAX_QUERIES = 20_000, 5_000  # windows that are compared
SHOWN = 20  # groups of a split
LISTED = 50  # pairs of recordings
NEIGHBOURS = 5  # candidates of a window
DIMENSIONS = 32  # of the embedding
FITTED = 2_000  # windows that the embedding is fitted to
STEPS_A_HOP = 4  # the searched windows start that much closer
_PAIRS = 1 << 22  # values that are correlated at once


def duplicates(dataset: Dataset, splits: Splits) -> Finding:
    """Recordings, and windows of one split, that are there twice."""

    pairs, seen = [], dict[bytes, int]()
    for i, digest in enumerate(_hashes(recording.values for recording in dataset.recordings)):
        if (first := seen.setdefault(digest, i)) != i:
            pairs.append((recording_title(dataset, first), recording_title(dataset, i)))

    def problems() -> Iterator[str]:
        if pairs:
            more = f", and {len(pairs) - 1} more pairs" if len(pairs) > 1 else ""
            yield f"{pairs[0][0]} and {pairs[0][1]} are the same{more}; remove one of each pair"
        for name, windows in splits.items():
            count = len(windows.y) - len(set(_hashes(windows.features)))
            if count:
                yield f"{count} windows of the {name} split occur twice; remove their recordings"

    return Finding(
        summary="no recording or window twice",
        problems=tuple(problems()),
        columns=("recording", "the same as"),
        rows=tuple((second, first) for first, second in pairs[:LISTED]),
    )


def leaks(dataset: Dataset, splits: Splits) -> Finding:
    """Groups and equal windows in two splits."""

    def titles(groups: set[int]) -> str:
        shown = [dataset.group_title(group) for group in sorted(groups)[:SHOWN]]
        more = f" and {len(groups) - SHOWN} more" if len(groups) > SHOWN else ""
        return f"{shown}{more}"

    hashes = {name: set(_hashes(windows.features)) for name, windows in splits.items()}

    def problems() -> Iterator[str]:
        items = splits.items()
        for i, (name, windows) in enumerate(items):
            for other_name, other in items[i + 1 :]:
                groups = set(windows.group.tolist()) & set(other.group.tolist())
                if groups:
                    yield f"groups {titles(groups)} are in {name} and in {other_name}"
                if shared := hashes[name] & hashes[other_name]:
                    yield f"{len(shared)} windows are in {name} and in {other_name}"

    groups = (f"{name} {titles(set(w.group.tolist()))}" for name, w in splits.items())
    return Finding(summary="groups " + ", ".join(groups), problems=tuple(problems()))


def classes(dataset: Dataset, splits: Splits, task: Task, window: int) -> Finding:
    """Every class has windows in every split; in training, every class that the task trains on."""
    if short := too_short(dataset, window):
        return Finding(summary="", problems=(short,))
    problems = tuple(
        f"class {title} has no {name} windows; change the groups of the split"
        for name, windows in splits.items()
        for label, title in enumerate(dataset.labels)
        if (name != "train" or task.trains_on(label)) and not (windows.y == label).any()
    )
    return Finding(summary=f"{len(dataset.labels)} classes in every split", problems=problems)


def too_short(dataset: Dataset, window: int) -> str | None:
    """Why there can be no window at all, if so."""
    longest = max(len(recording.values) for recording in dataset.recordings)
    if longest >= window:
        return None
    return (
        f"the longest recording has {longest} samples, features.window {window}; take a shorter "
        "window or record longer"
    )


def balance(splits: Splits, config: CheckConfig) -> Finding:
    """Windows of the largest class over those of the smallest one that is there."""
    counts = {name: Counter(w.y.tolist()) for name, w in splits.items()}
    problems = tuple(
        f"{name}: the largest class has {max(count.values())} windows, the smallest "
        f"{min(count.values())}; expected a ratio of at most {config.max_class_ratio:g}, so "
        "record more of the small one"
        for name, count in counts.items()
        if count and max(count.values()) > config.max_class_ratio * min(count.values())
    )
    rows = (
        f"{name} {sum(count.values())} windows, {min(count.values(), default=0)} to "
        f"{max(count.values(), default=0)} a class"
        for name, count in counts.items()
    )
    return Finding(summary="; ".join(rows), problems=problems)


def _hashes(rows: Iterable[npt.NDArray[np.generic]]) -> list[bytes]:
    return [hashlib.sha256(row.tobytes()).digest() for row in rows]


def near_duplicates(dataset: Dataset, splits: Splits, recipe: Recipe) -> Finding:
    """Windows of two splits that are equal but for noise, gain, offset and a shift in time.

    Candidates are the nearest neighbours of an embedding: the principal components of the
    magnitudes of each channel's spectrum, which hardly change with a shift. They are confirmed by
    the largest normalised correlation over small shifts.
    """
    window, hop = recipe.features.window, recipe.features.hop
    parts = {}
    for name, windows in splits.items():
        groups = set(windows.group.tolist())
        parts[name] = [i for i, r in enumerate(dataset.recordings) if r.group in groups]
    spread = deviation([r.values for r in dataset.recordings]).astype(np.float32)
    best: dict[tuple[int, int], tuple[float, int, int, str, str]] = {}  # of two recordings
    names = list(parts)
    highest = 0.0
    for k, name in enumerate(names[:-1]):
        fine = max(1, hop // STEPS_A_HOP)
        index = _normalised(cut_windows(dataset, parts[name], window, fine, MAX_INDEX), spread)
        for other in names[k + 1 :]:
            asked = _normalised(
                cut_windows(dataset, parts[other], window, hop, MAX_QUERIES), spread
            )
            for score, a, b in _closest(asked, index, fine):
                highest = max(highest, score)
                pair = (int(index.recording[b]), int(asked.recording[a]))
                if score >= recipe.checks.near_duplicate and (
                    pair not in best or score > best[pair][0]
                ):
                    best[pair] = (score, int(index.start[b]), int(asked.start[a]), name, other)
    ranked = sorted(best.items(), key=lambda item: -item[1][0])
    rate = dataset.sample_rate_hz
    rows = tuple(
        (
            *(recording_title(dataset, i), name, f"{a / rate:g} s"),
            *(recording_title(dataset, j), other, f"{b / rate:g} s", f"{score:.4f}"),
        )
        for (i, j), (score, a, b, name, other) in ranked[:LISTED]
    )
    return Finding(
        summary=f"the most alike of two splits have a correlation of {highest:.3f}",
        problems=_too_alike(rows, len(ranked), recipe.checks.near_duplicate),
        columns=("recording", "split", "at", "recording", "split", "at", "correlation"),
        rows=rows,
    )


def _too_alike(rows: Sequence[tuple[str, ...]], pairs: int, limit: float) -> tuple[str, ...]:
    """One line for all pairs; `rows` has the most alike ones, the first above all."""
    if not rows:
        return ()
    first, split, at, second, other, then, score = rows[0]
    listed = f"the {len(rows)} most alike are" if len(rows) < pairs else "all are"
    told = f"; {listed} listed in data.html" if pairs > 1 else ""
    return (
        f"{pairs} pair{'s' if pairs > 1 else ''} of recordings in two splits with a correlation "
        f"of at least {limit:g}, the highest {score} of {first} ({split}) at {at} and "
        f"{second} ({other}) at {then}{told}; listen to or plot both of a pair, and remove one if "
        "it is a copy",
    )


def _normalised(cut: Cut, spread: npt.NDArray[np.float32]) -> Cut:
    """Each channel without its mean and by its spread, each window of length 1; resting ones go."""
    x = (cut.x - cut.x.mean(axis=1, keepdims=True)) / np.maximum(spread, 1e-12)
    norm = np.sqrt((x**2).sum(axis=(1, 2)))
    moves = norm > 0.01 * np.sqrt(x[0].size if len(x) else 1)
    return Cut(
        x=(x[moves] / norm[moves, None, None]).astype(np.float32),
        recording=cut.recording[moves],
        start=cut.start[moves],
    )


def _closest(asked: Cut, index: Cut, max_lag: int) -> Iterator[tuple[float, int, int]]:
    """(correlation, row of `asked`, row of `index`) of each asked window's nearest neighbours."""
    from sklearn.decomposition import PCA
    from sklearn.neighbors import NearestNeighbors

    if not len(asked.x) or len(index.x) < 2:
        return
    spectra = [np.abs(np.fft.rfft(c.x, axis=1)).reshape(len(c.x), -1) for c in (index, asked)]
    size = min(DIMENSIONS, *spectra[0].shape)
    some = spectra[0][:: 1 + len(spectra[0]) // FITTED]
    embedding = PCA(min(size, len(some)), svd_solver="randomized", random_state=0).fit(some)
    search = NearestNeighbors(n_neighbors=min(NEIGHBOURS, len(index.x)))
    search.fit(embedding.transform(spectra[0]))
    near = search.kneighbors(embedding.transform(spectra[1]), return_distance=False)
    rows = np.repeat(np.arange(len(asked.x)), near.shape[1])
    columns = near.ravel()
    step = max(1, _PAIRS // asked.x[0].size)
    for first in range(0, len(rows), step):
        a, b = rows[first : first + step], columns[first : first + step]
        scores = correlation(asked.x[a], index.x[b], max_lag)
        yield from zip(scores.tolist(), a.tolist(), b.tolist(), strict=True)


def correlation(
    a: npt.NDArray[np.float32], b: npt.NDArray[np.float32], max_lag: int
) -> npt.NDArray[np.float64]:
    """[n]: the largest normalised correlation of a[i] and b[i] over shifts of up to `max_lag`.

    a, b: [n, samples, channels], each window of length 1. Only the samples that overlap count; a
    shift that leaves less than half of the energy does not.
    """
    samples = a.shape[1]
    max_lag = min(max_lag, samples // 4)
    spectrum = np.fft.rfft(a, 2 * samples, axis=1) * np.conj(np.fft.rfft(b, 2 * samples, axis=1))
    cross = np.fft.irfft(spectrum.sum(axis=2), 2 * samples, axis=1)
    energy = [
        np.pad(np.cumsum((v.astype(np.float64) ** 2).sum(axis=2), axis=1), ((0, 0), (1, 0)))
        for v in (a, b)
    ]
    lag = np.arange(-max_lag, max_lag + 1)
    ahead, behind = np.maximum(lag, 0), np.maximum(-lag, 0)
    of_a = energy[0][:, samples - behind] - energy[0][:, ahead]
    of_b = energy[1][:, samples - ahead] - energy[1][:, behind]
    enough = (of_a > 0.5) & (of_b > 0.5)
    scores = cross[:, lag] / np.sqrt(np.where(enough, of_a * of_b, 1.0))
    return np.asarray(np.where(enough, scores, 0.0).max(axis=1))
