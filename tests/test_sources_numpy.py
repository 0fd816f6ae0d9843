"""NumPy: what is good is read exactly, what is wrong is named with its place."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.datasets import load_dataset
from model.errors import DataError
from model.recipe import DatasetConfig, NumpyFileConfig
from tests.sources import source_config


def _arrays() -> dict[str, Any]:
    return {
        "samples": np.arange(48, dtype=np.float32).reshape(4, 6, 2),
        "labels": np.array([0, 1, 0, 1]),
        "groups": np.array([5, 5, 9, 9]),
    }


def _npz_config(path: Path) -> DatasetConfig:
    return source_config(
        "numpy_file",
        NumpyFileConfig(file=str(path)),
        labels=("idle", "wave"),
        channels=("ax", "ay"),
        sample_rate_hz=50.0,
    )


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_is_read(save: Callable[..., None], tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    save(path, **{**_arrays(), "samples": np.asfortranarray(_arrays()["samples"])})
    dataset = load_dataset(_npz_config(path))
    assert [(r.label, r.group) for r in dataset.recordings] == [(0, 5), (1, 5), (0, 9), (1, 9)]
    assert np.array_equal(dataset.recordings[2].values, _arrays()["samples"][2])
    assert dataset.group_title(9) == 9


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"samples": np.zeros((4, 6))}, r"samples: expected the shape \[.*got \[4, 6\]"),
        ({"samples": np.zeros((4, 6, 3))}, r"one channel for each of .*got \[4, 6, 3\]"),
        ({"samples": np.full((4, 6, 2), np.nan)}, r"samples\[0, 0, 0\]: expected a finite number"),
        ({"samples": np.array([None] * 4)}, "samples: expected numbers, got the type object"),
        ({"samples": np.array(["a"] * 4)}, "samples: expected numbers, got the type <U1"),
        ({"labels": np.array([0, 1, 0])}, r"labels: expected 4 integers.*got the shape \[3\]"),
        ({"labels": np.zeros(4)}, r"labels: expected 4 integers.*of float64"),
        ({"labels": np.array([0, 1, 2, 1])}, "labels: expected 0 to 1, .*got 2"),
        ({"labels": np.array([0, 1, -1, 1])}, "labels: expected 0 to 1, .*got -1"),
        ({"labels": np.array([0, 0, 0, 0])}, "class 'wave' has no recordings"),
        (
            {"groups": None},
            r"no array 'groups', but labels.npy, samples.npy; expected samples, labels, groups",
        ),
    ],
)
def test_bad_npz_says_what_and_where(changes: dict[str, Any], words: str, tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    arrays = {k: v for k, v in {**_arrays(), **changes}.items() if v is not None}
    np.savez(path, **arrays)
    with pytest.raises(DataError, match=words):
        load_dataset(_npz_config(path))


def test_an_npz_that_lies_about_sizes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    np.savez(path, **_arrays())
    good = path.read_bytes()
    for shape in (b"(4, 6, 3)", b"(4,-6, 2)"):
        with zipfile.ZipFile(path) as archive:
            members = {n: archive.read(n) for n in archive.namelist()}
        members["samples.npy"] = members["samples.npy"].replace(b"(4, 6, 2)", shape)
        with zipfile.ZipFile(tmp_path / "lies.npz", "w") as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        with pytest.raises(DataError, match=r"samples: shape .* does not fit .* bytes; damaged"):
            load_dataset(_npz_config(tmp_path / "lies.npz"))
    path.write_bytes(good[: len(good) // 2])
    with pytest.raises(DataError, match=r"not a whole \.npz file"):
        load_dataset(_npz_config(path))
