"""One .npz file with the arrays samples, labels and groups; no pickles.

samples [recordings, samples, channels], numbers; labels [recordings], integers that count the
recipe's labels from 0; groups [recordings], integers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model.datasets.base import Dataset, Recording, table_of
from model.datasets.folder import MAX_NPZ_BYTES, read_file, require_rate
from model.datasets.paths import resolve
from model.errors import DataError
from model.npz import parse_arrays
from model.recipe import DatasetConfig

MAX_LABELS = 1000
MEMBERS = ("samples", "labels", "groups")


def data_files(config: DatasetConfig) -> list[Path]:
    """The file that `load` reads."""
    table = table_of(config.numpy_file, "numpy_file")
    return [resolve(table.file, "dataset.numpy_file.file")]


def load(config: DatasetConfig) -> Dataset:
    """All recordings of [dataset.numpy_file].file.

    Raises DataError for a damaged file, a missing array, objects instead of numbers, shapes that
    do not belong together, and a class that is unknown or empty.
    """
    table = table_of(config.numpy_file, "numpy_file")
    path = resolve(table.file, "dataset.numpy_file.file")
    data, sha256 = read_file(path)
    try:
        arrays = parse_arrays(data, MEMBERS, limit=MAX_NPZ_BYTES)
    except ValueError as error:
        raise DataError(
            f"{path}: {error}; expected {', '.join(MEMBERS)}: write it with np.savez(path, "
            "samples=..., labels=..., groups=...)"
        ) from error
    require_rate(config, f"{path} has no times")
    shape = arrays["samples"].shape
    channels = config.channels or tuple(f"channel {i}" for i in range((*shape, 0, 0, 0)[2]))
    known = (
        [int(v) for v in arrays["labels"].ravel()[:MAX_NPZ_BYTES] if 0 <= v < MAX_LABELS]
        if (arrays["labels"].dtype.kind in "iu")
        else []
    )
    labels = config.labels or tuple(str(i) for i in range(max(known, default=0) + 1))
    _check(path, arrays, channels, labels)
    return Dataset(
        recordings=tuple(
            Recording(values=values, label=int(label), group=int(group))
            for values, label, group in zip(
                arrays["samples"].astype(np.float32),
                arrays["labels"],
                arrays["groups"],
                strict=True,
            )
        ),
        labels=labels,
        channels=channels,
        sample_rate_hz=config.sample_rate_hz,
        sha256=sha256,
    )


def _check(
    path: Path,
    arrays: dict[str, npt.NDArray[Any]],
    channels: tuple[str, ...],
    labels: tuple[str, ...],
) -> None:
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
    for name in ("labels", "groups"):
        array = arrays[name]
        if array.dtype.kind not in "iu" or array.shape != shape[:1]:
            raise DataError(
                f"{path}: {name}: expected {shape[0]} integers, one a recording, got the shape "
                f"{list(array.shape)} of {array.dtype}; write it with astype(np.int64)"
            )
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
