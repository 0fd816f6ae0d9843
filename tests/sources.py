"""What the tests of all data sources share."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

from model.recipe import CsvFolderConfig, DatasetConfig
from model.recipe_file import _write_lock


def source_config(source: str, table: Any, **changes: Any) -> DatasetConfig:
    """[dataset] with the table of one source; what `changes` leaves out comes from the data."""
    values: dict[str, Any] = {
        "sha256": "",
        "sample_rate_hz": 0.0,
        "channels": (),
        "units": (),
        "labels": (),
        "val_groups": ("ann",),
        "test_groups": ("bob",),
        source: table,
    }
    return DatasetConfig(source=source, **{**values, **changes})


def assert_complete(message: str) -> None:
    """The message says what was expected, what was found and what to do."""
    assert re.search(r"expected .+ got .+[;,] [a-z]+.+", message), message


HEADER = "t_ms,ax,ay"


def csv_text(rows: int = 5, start: float = 0.0, header: str = HEADER) -> str:
    return header + "\n" + "".join(f"{20 * i},{start + i / 4},{-i}\n" for i in range(rows))


def csv_config(path: Path, **changes: Any) -> DatasetConfig:
    """A folder of CSV files; `changes` are of [dataset] or of [dataset.csv_folder]."""
    table = CsvFolderConfig(
        folder=str(path),
        pattern=r"(?P<label>[a-z]+)_(?P<group>[a-z]+)\.csv",
        label_column="",
        time_column="t_ms",
        time_unit="ms",
    )
    common = {"labels": ("wave", "rest"), "channels": ("ay", "ax"), "sample_rate_hz": 50.0}
    own = {f.name for f in dataclasses.fields(table)}
    inside = {k: v for k, v in changes.items() if k in own}
    common |= {k: v for k, v in changes.items() if k not in own}
    return source_config("csv_folder", dataclasses.replace(table, **inside), **common)


def write_csv(path: Path) -> None:
    (path / "rest_ann.csv").write_text(csv_text())
    (path / "wave_bob.csv").write_text(csv_text(start=9))


def write_lock(recipe: Path) -> None:
    """A lock file for a recipe that has all keys that its data decide."""
    _write_lock(recipe, {"sha256": "0" * 64, "given": "", "data": {}})
