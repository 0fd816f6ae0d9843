"""What the tests of all data sources share."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from model.datasets import load_dataset
from model.datasets.base import Dataset
from model.datasets.truth import CLASSES, Truth
from model.errors import DataError
from model.recipe import CsvFolderConfig, DatasetConfig


def source_config(source: str, table: Any, sha256: str = "0" * 64) -> DatasetConfig:
    values: dict[str, Any] = {source: table}
    return DatasetConfig(
        source=source, sha256=sha256, val_groups=("ann",), test_groups=("bob",), **values
    )


def load(config: DatasetConfig, truth: Truth = CLASSES) -> Dataset:
    """Load with the hash that the first try's message states."""
    with pytest.raises(DataError) as error:
        load_dataset(config, truth)
    match = re.search(r"expected SHA-256 0{64}, got (\w{64})", str(error.value))
    if match is None:
        raise error.value
    return load_dataset(dataclasses.replace(config, sha256=match[1]), truth)


def assert_complete(message: str) -> None:
    """The message says what was expected, what was found and what to do."""
    assert re.search(r"expected .+ got .+[;,] [a-z]+.+", message), message


HEADER = "t_ms,ax,ay"


def csv_text(rows: int = 5, start: float = 0.0, header: str = HEADER) -> str:
    return header + "\n" + "".join(f"{20 * i},{start + i / 4},{-i}\n" for i in range(rows))


def csv_config(path: Path, **changes: Any) -> DatasetConfig:
    table = CsvFolderConfig(
        folder=str(path),
        pattern=r"(?P<label>[a-z]+)_(?P<group>[a-z]+)\.csv",
        label_column="",
        labels=("wave", "rest"),
        channels=("ay", "ax"),
        time_column="t_ms",
        time_unit_s=0.001,
        sample_rate_hz=50.0,
    )
    return source_config("csv_folder", dataclasses.replace(table, **changes))


def write_csv(path: Path) -> None:
    (path / "rest_ann.csv").write_text(csv_text())
    (path / "wave_bob.csv").write_text(csv_text(start=9))
