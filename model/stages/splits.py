"""The windows that the data check wrote."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from model.errors import DataError
from model.features import Splits, Windows
from model.files import write_arrays
from model.npz import read_arrays

FEATURES = "features.npz"
FIELDS = ("features", "feature_scale", "y", "group")  # of a split in features.npz


def save_splits(out_dir: Path, splits: Splits) -> None:
    """Write what load_splits reads."""
    arrays = {
        f"{name}_{field}": np.asarray(getattr(windows, field))
        for name, windows in splits.items()
        for field in FIELDS
    }
    arrays |= {
        f"{name}_targets": windows.targets
        for name, windows in splits.items()
        if windows.targets is not None
    }
    write_arrays(out_dir / FEATURES, arrays)


def load_splits(out_dir: Path) -> Splits:
    """The windows that `check` wrote; DataError when they are missing or something else."""
    path = out_dir / FEATURES
    try:
        stored = read_arrays(path)
        parts = {
            name: Windows(
                features=stored[f"{name}_features"],
                feature_scale=float(stored[f"{name}_feature_scale"]),
                y=stored[f"{name}_y"],
                group=stored[f"{name}_group"],
                targets=stored.get(f"{name}_targets"),
            )
            for name in ("train", "val", "test")
        }
    except (OSError, KeyError, ValueError) as error:
        raise DataError(f"{path}: not the features file: {error}; run `make check`") from error
    return Splits(**parts)
