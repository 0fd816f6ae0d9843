"""One .npz file with the arrays samples, labels and groups; no pickles.

samples [recordings, samples, channels], numbers; labels [recordings], integers that count the
recipe's labels from 0; groups [recordings], integers. For the task 'multilabel' labels are
[recordings, labels], 1 for each that holds and 0 for others; for 'regression' there are targets
[recordings, targets] or [recordings, samples, targets] in their place.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model.datasets.base import Dataset, Recording, constant_targets, table_of
from model.datasets.folder import MAX_NPZ_BYTES, read_file, require_rate
from model.datasets.paths import resolve
from model.datasets.truth import CLASSES, Truth
from model.errors import DataError
from model.npz import parse_arrays
from model.recipe import DatasetConfig

MAX_LABELS = 1000
Arrays = dict[str, npt.NDArray[Any]]


def data_files(config: DatasetConfig) -> list[Path]:
    """The file that `load` reads."""
    table = table_of(config.numpy_file, "numpy_file")
    return [resolve(table.file, "dataset.numpy_file.file")]


def load(config: DatasetConfig, truth: Truth = CLASSES) -> Dataset:
    """All recordings of [dataset.numpy_file].file.

    Raises DataError for a damaged file, a missing array, objects instead of numbers, shapes that
    do not belong together, and a class that is unknown or empty.
    """
    table = table_of(config.numpy_file, "numpy_file")
    path = resolve(table.file, "dataset.numpy_file.file")
    data, sha256 = read_file(path)
    told = "targets" if truth.targets else "labels"
    members = ("samples", told, "groups")
    try:
        arrays = parse_arrays(data, members, limit=MAX_NPZ_BYTES)
    except ValueError as error:
        raise DataError(
            f"{path}: {error}; expected {', '.join(members)}: write it with np.savez(path, "
            f"samples=..., {told}=..., groups=...)"
        ) from error
    require_rate(config, f"{path} has no times")
    shape = arrays["samples"].shape
    channels = config.channels or tuple(f"channel {i}" for i in range((*shape, 0, 0, 0)[2]))
    labels = truth.targets or config.labels or _numbered(arrays["labels"])
    _check_samples(path, arrays, channels)
    _check_integers(path, "groups", arrays["groups"], len(arrays["samples"]))
    {
        "classification": _check_classes,
        "multilabel": _check_labels,
        "regression": _check_targets,
    }[truth.kind](path, arrays, labels)
    classes = truth.kind == "classification"
    return Dataset(
        recordings=tuple(
            Recording(
                values=values,
                label=int(known) if classes else 0,
                group=int(group),
                targets=None if classes else _of_samples(known, len(values)),
            )
            for values, known, group in zip(
                arrays["samples"].astype(np.float32),
                arrays[told],
                arrays["groups"],
                strict=True,
            )
        ),
        labels=labels,
        channels=channels,
        sample_rate_hz=config.sample_rate_hz,
        sha256=sha256,
    )


def _numbered(labels: npt.NDArray[Any]) -> tuple[str, ...]:
    """Numbers as names, of a recipe that names no labels."""
    if labels.ndim == 2:
        return tuple(str(i) for i in range(labels.shape[1]))
    whole = labels.dtype.kind in "iu"
    known = [int(v) for v in labels.ravel() if 0 <= v < MAX_LABELS] if whole else []
    return tuple(str(i) for i in range(max(known, default=0) + 1))


def _of_samples(known: npt.NDArray[Any], samples: int) -> npt.NDArray[np.float32]:
    """[samples, targets] of one recording."""
    return (
        known.astype(np.float32) if known.ndim == 2 else constant_targets(known.tolist(), samples)
    )


def _check_samples(path: Path, arrays: Arrays, channels: tuple[str, ...]) -> None:
    shape = arrays["samples"].shape
    if len(shape) != 3 or 0 in shape or shape[2] != len(channels):
        raise DataError(
            f"{path}: samples: expected the shape [recordings, samples, {len(channels)}], "
            f"one channel for each of {list(channels)}, got {list(shape)}; reshape it "
            "or correct channels in the recipe"
        )
    finite = np.abs(arrays["samples"]) <= np.finfo(np.float32).max
    if not finite.all():
        place = np.argwhere(~finite)[0].tolist()
        raise DataError(
            f"{path}: samples{place}: expected a finite number, got "
            f"{arrays['samples'][tuple(place)]}; repair or remove recording {place[0]}"
        )


def _check_integers(path: Path, name: str, array: npt.NDArray[Any], recordings: int) -> None:
    if array.dtype.kind not in "iu" or array.shape != (recordings,):
        raise DataError(
            f"{path}: {name}: expected {recordings} integers, one a recording, got the shape "
            f"{list(array.shape)} of {array.dtype}; write it with astype(np.int64)"
        )


def _check_classes(path: Path, arrays: Arrays, labels: tuple[str, ...]) -> None:
    _check_integers(path, "labels", arrays["labels"], len(arrays["samples"]))
    counts = {int(v): int(n) for v, n in zip(*np.unique_counts(arrays["labels"]), strict=True)}
    if wrong := [value for value in counts if not 0 <= value < len(labels)]:
        raise DataError(
            f"{path}: labels: expected 0 to {len(labels) - 1}, one for each of "
            f"{list(labels)}, got {wrong[0]}; correct the array or labels in the recipe"
        )
    if empty := [label for i, label in enumerate(labels) if i not in counts]:
        raise DataError(
            f"{path}: class {empty[0]!r} has no recordings, expected at least one of each of "
            f"{list(labels)}; add recordings or remove the label from the recipe"
        )


def _check_labels(path: Path, arrays: Arrays, labels: tuple[str, ...]) -> None:
    """0 or 1 of each label in each recording, and every label holds somewhere."""
    told, shape = arrays["labels"], [len(arrays["samples"]), len(labels)]
    if list(told.shape) != shape or told.dtype.kind not in "biu" or not np.isin(told, (0, 1)).all():
        raise DataError(
            f"{path}: labels: expected integers 0 or 1 of the shape {shape}, one a recording and "
            f"label of {list(labels)}, got the shape {list(told.shape)} of {told.dtype}; write 1 "
            "where a label holds, with astype(np.int64)"
        )
    if empty := [label for i, label in enumerate(labels) if not told[:, i].any()]:
        raise DataError(
            f"{path}: label {empty[0]!r} holds in no recording, expected at least one of each of "
            f"{list(labels)}; add recordings or remove the label from the recipe"
        )


def _check_targets(path: Path, arrays: Arrays, targets: tuple[str, ...]) -> None:
    """A finite number of each target in each recording, or in each of its samples."""
    told, shape = arrays["targets"], arrays["samples"].shape
    wanted = ((shape[0], len(targets)), (*shape[:2], len(targets)))
    if told.shape not in wanted or told.dtype.kind not in "fiu":
        raise DataError(
            f"{path}: targets: expected numbers of the shape {list(wanted[0])} or "
            f"{list(wanted[1])}, one for each of {list(targets)}, got the shape "
            f"{list(told.shape)} of {told.dtype}; reshape it or correct regression.targets"
        )
    finite = np.abs(told) <= np.finfo(np.float32).max
    if not finite.all():
        place = np.argwhere(~finite)[0].tolist()
        raise DataError(
            f"{path}: targets{place}: expected a finite number, got {told[tuple(place)]}; correct "
            f"it or remove recording {place[0]}, which has no measured value"
        )
