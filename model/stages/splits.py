"""The windows that the data check wrote."""

from __future__ import annotations

from pathlib import Path

from model.errors import DataError
from model.features import Splits, Windows
from model.npz import read_arrays

FIELDS = ("features", "feature_scale", "y", "group")  # of a split in features.npz


def load_splits(out_dir: Path) -> Splits:
    """The windows that `check` wrote; DataError when they are missing or something else."""
    path = out_dir / "features.npz"
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
