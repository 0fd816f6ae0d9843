"""Handwritten digits, 8x8 pixels from 0 to 16: the 1797 images that come with scikit-learn.

They are the test part of the UCI repository's "Optical Recognition of Handwritten Digits"
(Alpaydin and Kaynak 1998). An image is one recording: its rows are the samples, its columns the
channels. The file does not say who wrote which digit, so there are no groups of writers. Groups
0 to 9 are random parts with a fixed seed; a writer may be in training and in test.
"""

from __future__ import annotations

import gzip
import importlib.util
import io
import zlib
from pathlib import Path

import numpy as np

from model.datasets.base import Dataset, Recording, installed_bytes
from model.errors import DataError
from model.recipe import DatasetConfig

SIDE = 8
GROUPS = 10
SPLIT_SEED = 20
ROWS_A_SECOND = 1.0  # rows have no time; one a second


def data_path() -> Path:
    """Where the installed package keeps the file."""
    spec = importlib.util.find_spec("sklearn")
    if spec is None or spec.origin is None:
        raise DataError("the package scikit-learn is not installed; run `make setup`")
    return Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz"


def data_files(config: DatasetConfig) -> list[Path]:
    """The file that `load` reads."""
    return [data_path()]


def load(config: DatasetConfig) -> Dataset:
    """All images."""
    path = data_path()
    data, sha256 = installed_bytes(path)
    try:
        table = np.loadtxt(io.BytesIO(gzip.decompress(data)), np.float32, delimiter=",", ndmin=2)
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise DataError(f"{path}: the dataset is damaged: {error}; run `make setup`") from error
    if table.shape[1] != SIDE * SIDE + 1:
        raise DataError(
            f"{path}: expected {SIDE * SIDE} pixels and a label a line, got {table.shape[1]} "
            "columns; run `make setup`"
        )
    part = np.random.RandomState(SPLIT_SEED).permutation(len(table)) % GROUPS
    return Dataset(
        recordings=tuple(
            Recording(values=row[:-1].reshape(SIDE, SIDE), label=int(row[-1]), group=int(group))
            for row, group in zip(table, part, strict=True)
        ),
        labels=tuple("0123456789"),
        channels=tuple(f"column {i}" for i in range(SIDE)),
        sample_rate_hz=ROWS_A_SECOND,
        units=("level of 16",) * SIDE,
        sha256=sha256,
    )
