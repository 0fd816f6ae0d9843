"""A folder of CSV files (UTF-8, commas, one header line): a time column and channel columns.

A file is one recording; with a label column, each run of rows with the same label is one. The
numbers of a regression are columns of their own, or parts of the file's name.
"""

from __future__ import annotations

import codecs
import csv
import io
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model.datasets.base import Dataset, table_of
from model.datasets.folder import (
    Labelled,
    SourceFile,
    build_dataset,
    close_rate,
    compile_pattern,
    fits_float32,
    list_files,
    match_name,
    read_folder,
    resolve,
    samples,
    target_number,
)
from model.datasets.truth import CLASSES, Truth
from model.errors import ConfigError, DataError
from model.recipe import CsvFolderConfig, DatasetConfig

RATE_TOLERANCE = 0.02  # of a recording's mean rate
MAX_STEP = 1.5  # periods between two rows; more means that rows are missing
_MARKS = {
    codecs.BOM_UTF8: "UTF-8 with a byte order mark (BOM)",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}

SUFFIXES = (".csv",)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    line: int
    time_s: float
    label: str
    values: list[float]
    targets: list[float]  # of a regression


def data_files(config: DatasetConfig) -> list[Path]:
    """The files that `load` reads."""
    table = table_of(config.csv_folder, "csv_folder")
    return list_files(resolve(table.folder, "dataset.csv_folder.folder"), SUFFIXES)


def load(config: DatasetConfig, truth: Truth = CLASSES) -> Dataset:
    """All CSV files below [dataset.csv_folder].folder.

    Raises DataError with file and line for another encoding or separator, a missing column, a cell
    that is not a number, rows of another length, time that goes back, gaps and another rate.
    """
    table = table_of(config.csv_folder, "csv_folder")
    needed = ("group",) if table.label_column or truth.targets else ("label", "group")
    pattern = compile_pattern(table.pattern, needed, "dataset.csv_folder.pattern")
    if truth.targets and table.label_column:
        raise ConfigError(
            "dataset.csv_folder.label_column: expected '' for the task 'regression', got "
            f"{table.label_column!r}; its numbers are the columns regression.targets"
        )
    if table.label_column and "label" in pattern.groupindex:
        raise ConfigError(
            "dataset.csv_folder: the label is in pattern and in label_column; remove "
            "(?P<label>...) or set label_column = ''"
        )
    folder = resolve(table.folder, "dataset.csv_folder.folder")
    found: list[Labelled] = []
    for file in read_folder(folder, SUFFIXES, config.sha256):
        parts = match_name(pattern, file.name)
        rows = list(_rows(file, table, parts, truth))
        if not rows:
            raise DataError(
                f"{file.name}, line 2: expected rows under the header, got none; remove it or "
                "record it again"
            )
        found.extend(_recordings(file.name, rows, table, parts["group"]))
    rate = table.sample_rate_hz
    return build_dataset(found, table.labels, table.channels, rate, config.sha256, truth=truth)


def _text(file: SourceFile) -> str:
    for mark, encoding in _MARKS.items():
        if file.data.startswith(mark):
            raise DataError(
                f"{file.name}, line 1: expected plain UTF-8, got {encoding}; save it as UTF-8 "
                "without a byte order mark"
            )
    try:
        return file.data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = file.data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{file.name}, line {line}: expected UTF-8, got the byte 0x{file.data[error.start]:02x}"
            "; save it as UTF-8"
        ) from error


def _columns(
    name: str, header: list[str], table: CsvFolderConfig, targets: Sequence[str]
) -> dict[str, int]:
    """Name -> index of every column that the recipe asks for."""
    if len(header) == 1 and (";" in header[0] or "\t" in header[0]):
        other = "semicolons" if ";" in header[0] else "tabs"
        raise DataError(
            f"{name}, line 1: expected columns separated by commas, got {other}; export it with "
            "commas, and with points in the numbers"
        )
    needed = [table.time_column, *table.channels, *targets]
    needed += [table.label_column] if table.label_column else []
    for column in needed:
        if header.count(column) != 1:
            raise DataError(
                f"{name}, line 1: expected one column {column!r}, got {header.count(column)} among "
                f"{header[:50]}; correct the header or the names in the recipe"
            )
    return {column: header.index(column) for column in needed}


def _rows(
    file: SourceFile, table: CsvFolderConfig, parts: Mapping[str, str], truth: Truth
) -> Iterator[_Row]:
    reader = csv.reader(io.StringIO(_text(file), newline=""), strict=True)
    try:
        header = [cell.strip() for cell in next(reader, [])]
        of_rows = [target for target in truth.targets if target not in parts]
        columns = _columns(file.name, header, table, of_rows)
        for cells in reader:
            if not cells:
                continue  # an empty line
            where = f"{file.name}, line {reader.line_num}"
            if len(cells) != len(header):
                raise DataError(
                    f"{where}: expected {len(header)} cells as in the header, got {len(cells)}; "
                    "the file may be truncated, or has commas inside numbers"
                )
            yield _Row(
                line=reader.line_num,
                time_s=table.time_unit_s
                * _number(cells[columns[table.time_column]], where, table.time_column),
                label=cells[columns[table.label_column]].strip()
                if table.label_column
                else parts.get("label", ""),
                targets=[
                    target_number(parts[t] if t in parts else cells[columns[t]], where, t)
                    for t in truth.targets
                ],
                values=[_number(cells[columns[c]], where, c) for c in table.channels],
            )
    except csv.Error as error:
        raise DataError(
            f"{file.name}, line {reader.line_num}: expected CSV, got {error}; export the file again"
        ) from error


def _number(text: str, where: str, column: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if "_" in text or not fits_float32(value):
        raise DataError(
            f"{where}, column {column}: expected a number, got {text[:40]!r}; correct the cell or "
            "remove the row's recording"
        )
    return value


def _recordings(
    name: str, rows: list[_Row], table: CsvFolderConfig, group: str
) -> Iterator[Labelled]:
    """One recording a run of rows with the same label."""
    first = 0
    for end in range(1, len(rows) + 1):
        if end < len(rows) and rows[end].label == rows[first].label:
            continue
        part = rows[first:end]
        _check_time(name, part, table)
        yield Labelled(
            values=samples([row.values for row in part], len(table.channels)),
            label=part[0].label,
            group=group,
            where=f"{name}, line {part[0].line}",
            times_s=np.array([row.time_s for row in part]),
            targets=samples([row.targets for row in part], len(part[0].targets))
            if part[0].targets
            else None,
        )
        first = end


def _check_time(name: str, rows: list[_Row], table: CsvFolderConfig) -> None:
    """Time grows, without gaps, at the recipe's rate."""
    where, limit_s = f"{name}, line", MAX_STEP / table.sample_rate_hz
    steps = [after.time_s - before.time_s for before, after in itertools.pairwise(rows)]
    if not steps:
        return
    for row, step in zip(rows[1:], steps, strict=True):
        if step <= 0:
            raise DataError(
                f"{where} {row.line}, column {table.time_column}: expected a time after "
                f"{row.time_s - step:g} s, got {row.time_s:g} s; sort the rows or split the file"
            )
    late = next((i for i, step in enumerate(steps) if step > limit_s), None)
    if late is not None and sorted(steps)[len(steps) // 2] <= limit_s:
        raise DataError(
            f"{where} {rows[late + 1].line}, column {table.time_column}: expected a row every "
            f"{1 / table.sample_rate_hz:g} s, got {steps[late]:g} s after the one before; samples "
            "are missing, so split the file there"
        )
    rate = len(steps) / sum(steps)
    if late is not None or not close_rate(rate, table.sample_rate_hz, RATE_TOLERANCE):
        raise DataError(
            f"{where} {rows[0].line} to {rows[-1].line}, column {table.time_column}: expected "
            f"{table.sample_rate_hz:g} Hz, got {rate:.4g} Hz; correct time_unit_s or "
            "sample_rate_hz in the recipe, or resample the file"
        )
