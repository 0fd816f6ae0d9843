"""A folder of CSV files: channel columns, with or without a column of times and one of labels.

Read are commas, semicolons and tabs, decimal commas (unless commas separate), UTF-8 with and
without a byte order mark, UTF-16 with one, and files without a header. A file is one recording; a
blank line, a repeated header and, with a label column, another label begin another. The numbers of
a regression are columns of their own, or parts of the file's name.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model.datasets.base import Dataset, table_of
from model.datasets.folder import (
    Folder,
    IrregularError,
    Labelled,
    Problems,
    build_dataset,
    close_rate,
    compile_pattern,
    fits_float32,
    match_name,
    no_target,
    require_rate,
    samples,
    target_number,
)
from model.datasets.paths import list_files, resolve
from model.datasets.resample import Resampled, regular
from model.datasets.tables import (
    ISO,
    TIME_UNITS,
    Line,
    TextTable,
    guess_columns,
    guess_time_unit,
    open_table,
    parse_number,
    parse_time,
)
from model.datasets.truth import CLASSES, Truth
from model.errors import ConfigError, DataError
from model.recipe import CsvFolderConfig, DatasetConfig

RATE_TOLERANCE = 0.02  # of a recording's mean rate
MAX_STEP = 1.5  # periods between two rows; more means that rows are missing
SPLITS = 3  # training, validation, test: each needs a group
MIN_RATE_HZ, MAX_RATE_HZ = 1e-9, 1e9  # that times can mean
SURVEYED = 1000  # rows of the first file that a guess looks at

SUFFIXES = (".csv", ".tsv", ".txt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """What the columns of a folder's files are, as its first file shows."""

    time: str
    label: str
    time_unit: str
    channels: tuple[str, ...]
    units: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    line: int
    part: int
    time_s: float
    label: str
    values: list[float]
    targets: list[float]  # of a regression


def data_files(config: DatasetConfig) -> list[Path]:
    """The files that `load` reads."""
    table = table_of(config.csv_folder, "csv_folder")
    return list_files(resolve(table.folder, "dataset.csv_folder.folder"), SUFFIXES)


def survey(
    folder: Path, sample_rate_hz: float, targets: tuple[str, ...] = (), *, numbers: bool = False
) -> Columns:
    """What the first file has; `sample_rate_hz`, when it is known, helps to tell units of time.

    Columns of `targets` are no channels, and a regression has no column of labels.

    Raises DataError for a folder without files, for a file that is no table and, where `numbers`
    are wanted, for one without columns of them.
    """
    table = open_table(Folder(folder, SUFFIXES).typical())
    rows = list(itertools.islice(table.lines(), SURVEYED))
    time, label = guess_columns(table, rows)
    label = "" if targets else label
    channels = [
        name
        for i, name in enumerate(table.header)
        if name not in (time, label, *targets)
        and rows
        and all(parse_number(row.cells[i], table.separator) is not None for row in rows)
    ]
    if numbers and rows and not channels:
        others = ", ".join(name for name in (time, label, *targets) if name)
        raise DataError(
            f"{table.name}, line {rows[0].number}: expected a column of numbers among "
            f"{list(table.header[:50])}{f' besides {others}' if others else ''}, got "
            f"{[cell[:20] for cell in rows[0].cells[:50]]}; export the samples again"
        )
    unit = _time_unit(table, rows, time, sample_rate_hz) if time else "s"
    return Columns(
        time=time,
        label=label,
        time_unit=unit,
        channels=tuple(channels),
        units=tuple(_unit(name) for name in channels),
    )


def _unit(column: str) -> str:
    """'ax (g)' and 'ax [m/s2]' have a unit; '?' where there is none."""
    for left, right in ("()", "[]"):
        inside = column.partition(left)[2].partition(right)[0].strip()
        if inside:
            return inside
    return "?"


def _time_unit(table: TextTable, rows: list[Line], column: str, sample_rate_hz: float) -> str:
    cells = [row.cells[table.header.index(column)] for row in rows]
    numbers = [parse_number(cell, table.separator) for cell in cells]
    if None in numbers:
        return ISO
    known = [n for n in numbers if n is not None]
    steps = [b - a for a, b in itertools.pairwise(known) if b > a]
    return guess_time_unit(column, steps, sample_rate_hz)


def _pattern(table: CsvFolderConfig, truth: Truth) -> re.Pattern[str]:
    """Of the files' names; ConfigError where both or none of name and column have the label."""
    pattern = compile_pattern(
        table.pattern,
        () if table.label_column or truth.targets else ("label",),
        "dataset.csv_folder.pattern",
    )
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
    return pattern


def load(config: DatasetConfig, truth: Truth = CLASSES) -> Dataset:
    """All files below [dataset.csv_folder].folder.

    Raises DataError with file and line, a line a file, for another encoding, a missing column, a
    cell that is not a number, rows of another length, time that goes back, gaps and another rate.
    """
    table = table_of(config.csv_folder, "csv_folder")
    pattern = _pattern(table, truth)
    if not table.time_column:
        require_rate(config, "the files have no column of times")
    folder = resolve(table.folder, "dataset.csv_folder.folder")
    channels, units = config.channels, tuple[str, ...]()
    if not channels:
        found_columns = survey(folder, config.sample_rate_hz, truth.targets, numbers=True)
        channels, units = found_columns.channels, found_columns.units
    found: list[Labelled] = []
    rates: list[float] = []
    files, done, problems = Folder(folder, SUFFIXES, config), Resampled(), Problems()
    of_file = bool(table.label_column) and len(files) >= SPLITS  # whoever wrote a file is a group
    for file in files:
        with problems.of(file.name):
            parts = match_name(pattern, file.name)
            rows = list(_rows(open_table(file), config, channels, parts, truth))
            if not rows:
                raise DataError(
                    f"{file.name}, line 2: expected rows under the header, got none; remove it or "
                    "record it again"
                )
            for number, part in enumerate(_parts(rows)):
                stem = Path(file.name).stem
                group = parts.get("group") or (stem if of_file else f"{stem} {number + 1}")
                found += _recordings(files, file.name, part, config, group, done, rates)
    problems.refuse()
    if not found or not (config.sample_rate_hz or rates):
        raise _no_rate(found[0].file if found else str(folder))
    rate = config.sample_rate_hz or _nice(float(np.median(rates)))
    notes = done.notes(config.resample, rate) if config.resample else ()
    return build_dataset(
        found,
        config,
        files.sha256,
        channels=channels,
        units=units,
        sample_rate_hz=rate,
        notes=notes,
        truth=truth,
    )


def _no_rate(name: str) -> DataError:
    return DataError(
        f"{name}: expected recordings of at least two rows, from whose times the rate follows, "
        "got one in each; export more rows of a recording into a file"
    )


def _nice(rate_hz: float) -> float:
    """A measured rate as it was meant: to three digits."""
    return float(f"{rate_hz:.3g}")


def _columns(table: TextTable, wanted: tuple[str, ...]) -> dict[str, int]:
    """Name -> index of every column that the recipe asks for."""
    if not table.has_header and len(wanted) == len(table.header):
        return {column: i for i, column in enumerate(wanted)}
    for column in wanted:
        if table.header.count(column) != 1:
            raise DataError(
                f"{table.name}, line 1: expected one column {column!r}, got "
                f"{table.header.count(column)} among {list(table.header[:50])}; correct the header "
                "or the names in the recipe"
            )
    return {column: table.header.index(column) for column in wanted}


def _rows(
    table: TextTable,
    config: DatasetConfig,
    channels: tuple[str, ...],
    parts: Mapping[str, str],
    truth: Truth,
) -> Iterator[_Row]:
    own = table_of(config.csv_folder, "csv_folder")
    special = tuple(c for c in (own.time_column, own.label_column) if c)
    named = {t: target_number(parts[t], table.name, t) for t in truth.targets if t in parts}
    columns = _columns(table, (*special, *channels, *(t for t in truth.targets if t not in named)))
    where = [columns[c] for c in channels]
    time = columns.get(own.time_column) if own.time_column else None
    labels = columns.get(own.label_column) if own.label_column else None
    for line in table.lines():
        yield _Row(
            line=line.number,
            part=line.part,
            time_s=0.0
            if time is None
            else _time(table, line, line.cells[time], own.time_column, own.time_unit),
            label=parts.get("label", "") if labels is None else line.cells[labels],
            values=[
                table.number(line.cells[i], line.number, c)
                for c, i in zip(channels, where, strict=True)
            ],
            targets=[
                named[t] if t in named else _target(table, line, line.cells[columns[t]], t)
                for t in truth.targets
            ],
        )


def _target(table: TextTable, line: Line, cell: str, name: str) -> float:
    value = parse_number(cell, table.separator)
    if value is None or not fits_float32(value):
        raise no_target(cell, f"{table.name}, line {line.number}", name)
    return value


def _time(table: TextTable, line: Line, text: str, column: str, unit: str) -> float:
    seconds = parse_time(text, unit, table.separator)
    if seconds is None or not -1e12 < seconds < 1e12:
        expected = "a time as 2024-05-01T12:30:00.25" if unit == ISO else f"a number of {unit}"
        raise DataError(
            f"{table.name}, line {line.number}, column {column}: expected {expected}, got "
            f"{text[:40]!r}; correct the cell, or dataset.csv_folder.time_unit in the recipe "
            f"({', '.join(TIME_UNITS)} or {ISO})"
        )
    return seconds


def _parts(rows: list[_Row]) -> Iterator[list[_Row]]:
    """Rows between two borders: blank lines, repeated headers, changes of the label."""
    for _, part in itertools.groupby(rows, key=lambda row: (row.part, row.label)):
        yield list(part)


def _recordings(
    files: Folder,
    name: str,
    rows: list[_Row],
    config: DatasetConfig,
    group: str,
    done: Resampled,
    rates: list[float],
) -> Iterator[Labelled]:
    """The recording of some rows; several when resampling cuts it at its gaps."""
    table = table_of(config.csv_folder, "csv_folder")
    values = samples([row.values for row in rows], len(rows[0].values))
    targets = samples([row.targets for row in rows], len(rows[0].targets))
    where = f", line {rows[0].line}"
    common: dict[str, Any] = {"label": rows[0].label, "group": group, "file": name}
    if not table.time_column:
        yield Labelled(
            values=files.keep(values), where=where, targets=_kept(files, targets), **common
        )
        return
    times = np.array([row.time_s for row in rows])
    times -= times[0]
    rate = _median_rate(times)
    if not MIN_RATE_HZ <= rate <= MAX_RATE_HZ:
        raise DataError(
            f"{name}{where}, column {table.time_column}: expected times of {MIN_RATE_HZ:g} to "
            f"{MAX_RATE_HZ:g} rows a second, got {rate:.4g}; correct the times, or "
            "dataset.csv_folder.time_unit in the recipe"
        )
    if config.resample is None:
        rate = _check_time(name, rows, config)
        if rate:
            rates.append(rate)
        yield Labelled(
            values=files.keep(values),
            times_s=files.keep(times),
            where=where,
            targets=_kept(files, targets),
            **common,
        )
        return
    _check_order(name, rows, table.time_column, strict=False)
    target = config.sample_rate_hz or _nice(_median_rate(times))
    rates.append(target)
    both = np.concatenate([values, targets], axis=1)  # numbers to learn go with their samples
    for grid, part in regular(times, both, target, config.resample, done, f"{name}{where}"):
        yield Labelled(
            values=files.keep(np.ascontiguousarray(part[:, : values.shape[1]])),
            targets=_kept(files, part[:, values.shape[1] :]),
            times_s=files.keep(grid),
            where=where if grid[0] == 0 else f"{where} + {grid[0]:.3f} s",
            **common,
        )


def _kept(files: Folder, targets: npt.NDArray[np.float32]) -> npt.NDArray[np.float32] | None:
    """[samples, targets] outside of memory; None of no targets."""
    return files.keep(np.ascontiguousarray(targets)) if targets.shape[1] else None


def _median_rate(times: np.typing.NDArray[np.float64]) -> float:
    steps = np.diff(times)
    steps = steps[steps > 0]
    return 1 / float(np.median(steps)) if len(steps) else 1.0


def _check_order(name: str, rows: list[_Row], column: str, *, strict: bool) -> None:
    for before, row in itertools.pairwise(rows):
        step = row.time_s - before.time_s
        if step < 0:
            raise DataError(
                f"{name}, line {row.line}, column {column}: expected a time after that of the row "
                f"before, got one {-step:.4g} s earlier; sort the rows, put a blank line between "
                "two recordings, or split the file"
            )
        if strict and step == 0:
            raise IrregularError(
                f"{name}, line {row.line}, column {column}: expected a time after that of the row "
                "before, got the same; remove one of the two, or put a table [dataset.resample] "
                "with max_gap_s into the recipe, which keeps the first"
            )


def _check_time(name: str, rows: list[_Row], config: DatasetConfig) -> float:
    """Time grows, without gaps, at the recipe's rate; the mean rate of the rows, 0 of one row."""
    table = table_of(config.csv_folder, "csv_folder")
    _check_order(name, rows, table.time_column, strict=True)
    steps = [after.time_s - before.time_s for before, after in itertools.pairwise(rows)]
    if not steps:
        return 0.0
    middle = sorted(steps)[len(steps) // 2]
    expected = config.sample_rate_hz or 1 / middle
    limit_s = MAX_STEP / expected
    late = next((i for i, step in enumerate(steps) if step > limit_s), None)
    if late is not None and middle <= limit_s:
        raise IrregularError(
            f"{name}, line {rows[late + 1].line}, column {table.time_column}: expected a row every "
            f"{1 / expected:.4g} s, got {steps[late]:.4g} s after the one before; samples are "
            "missing: put a blank line there, or a table [dataset.resample] with max_gap_s = "
            f"{_nice(1.5 * max(steps)):g} into the recipe, which fills gaps"
        )
    rate = len(steps) / sum(steps)
    if late is not None or not close_rate(rate, expected, RATE_TOLERANCE):
        raise IrregularError(
            f"{name}, line {rows[0].line} to {rows[-1].line}, column {table.time_column}: expected "
            f"{expected:g} Hz, got {rate:.4g} Hz; correct sample_rate_hz or "
            "dataset.csv_folder.time_unit in the recipe, or put a table [dataset.resample] with "
            "max_gap_s into it"
        )
    return rate
