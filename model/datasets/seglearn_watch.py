"""Shoulder exercises recorded by a smartwatch: 10 subjects, 7 exercises, 140 recordings.

Accelerometer (g) and gyroscope (rad/s) at 50 Hz. Burns et al. 2018, arXiv 1802.01489; shipped in
the PyPI package seglearn under a BSD licence.
"""

from __future__ import annotations

import importlib.util
import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from model.datasets.base import Dataset, Recording, installed_bytes
from model.errors import DataError
from model.recipe import DatasetConfig

UNITS = ("g", "g", "g", "rad/s", "rad/s", "rad/s")
SAMPLE_RATE_HZ = 50.0  # stated by the authors; the file holds no time stamps
_ALLOWED = {
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("_codecs", "encode"),
}
_RENAMED = {"numpy.core.multiarray": "numpy._core.multiarray"}


class _ArrayUnpickler(pickle.Unpickler):
    """Builds arrays, numbers, strings, lists and dicts, and refuses everything else."""

    def find_class(self, module: str, name: str) -> Any:
        """The few constructors that an object array needs; DataError for any other."""
        if (module, name) not in _ALLOWED:
            raise DataError(f"the dataset asks for {module}.{name}, which is not data; refused")
        return super().find_class(_RENAMED.get(module, module), name)


def load_object_array(data: bytes) -> Any:
    """The one object in the .npy bytes `data`, without running anything that it brings along."""
    stream = io.BytesIO(data)
    try:
        version = np.lib.format.read_magic(stream)
        if version != (1, 0):
            raise DataError(f"the dataset's .npy format is {version}, expected (1, 0)")
        np.lib.format.read_array_header_1_0(stream)
        return _ArrayUnpickler(stream).load().item()
    except (ValueError, EOFError, pickle.UnpicklingError, AttributeError) as error:
        raise DataError(f"the dataset is damaged: {error}") from error


def data_path() -> Path:
    """Where the installed package keeps the file."""
    spec = importlib.util.find_spec("seglearn")
    if spec is None or spec.origin is None:
        raise DataError("the package seglearn is not installed; run `make setup`")
    return Path(spec.origin).parent / "data" / "watch_dataset.npy"


def data_files(config: DatasetConfig) -> list[Path]:
    """The file that `load` reads."""
    return [data_path()]


def load(config: DatasetConfig) -> Dataset:
    """All 140 recordings."""
    data, sha256 = installed_bytes(data_path())
    content = load_object_array(data)
    recordings = tuple(
        Recording(values=np.asarray(values, np.float32), label=int(label), group=int(subject))
        for values, label, subject in zip(
            content["X"], content["y"], content["subject"], strict=True
        )
    )
    return Dataset(
        recordings=recordings,
        labels=tuple(str(name) for name in content["y_labels"]),
        channels=tuple(str(name) for name in content["X_labels"]),
        sample_rate_hz=SAMPLE_RATE_HZ,
        units=UNITS,
        sha256=sha256,
    )
