"""Text tables as people export them: encoding, separator, decimal comma, blank lines, times."""

from __future__ import annotations

import codecs
import csv
import datetime
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from model.datasets.folder import SourceFile, fits_float32
from model.errors import DataError

SEPARATORS = ("\t", ";", ",")  # the first that there is: a comma may stand inside numbers
TIME_UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
ISO = "iso8601"
# names of columns that hold times, in lower case and without their unit
TIME_NAMES = {"time", "timestamp", "timestamps", "t", "date", "datetime", "seconds", "millis",
              "micros", "elapsed", "s", "ms", "us", "ns"}  # fmt: skip
LABEL_NAMES = {"label", "labels", "class", "activity", "gesture", "target"}
_NAMED_UNIT = {"seconds": "s", "millis": "ms", "micros": "us", **{u: u for u in TIME_UNITS}}
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """The cells of one row."""

    number: int  # in the file, from 1
    part: int  # a blank line or a repeated header begins another
    cells: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TextTable:
    """The head of a file; its rows come one by one."""

    name: str
    separator: str
    header: tuple[str, ...]  # 'column 1' and so on where the file has none
    has_header: bool
    text: str

    def lines(self) -> Iterator[Line]:
        """All rows; DataError with the line for one of another length, and for what is no CSV."""
        reader = csv.reader(
            io.StringIO(self.text, newline=""), delimiter=self.separator, strict=True
        )
        part, seen, last = 0, False, 0
        try:
            for cells in reader:
                stripped = [cell.strip() for cell in cells]
                if not any(stripped) or (self.has_header and tuple(stripped) == self.header):
                    part += seen
                    seen = False
                elif len(cells) != len(self.header):
                    raise DataError(
                        f"{self.name}, line {reader.line_num}: expected {len(self.header)} cells "
                        f"as in the first line, got {len(cells)}; the file may be truncated, or "
                        "has its separator inside numbers"
                    )
                else:
                    seen = True
                    yield Line(number=reader.line_num, part=part, cells=stripped)
                last = reader.line_num
        except csv.Error as error:
            raise DataError(
                f"{self.name}, line {last + 1}: expected CSV, got {error}; export the file again"
            ) from error

    def number(self, text: str, line: int, column: str) -> float:
        """A cell as a number; a comma is its decimal point where it does not separate cells."""
        where = f"{self.name}, line {line}, column {column}"
        value = parse_number(text, self.separator)
        if value is None or not fits_float32(value):
            raise DataError(
                f"{where}: expected a number, got {text[:40]!r}; correct the cell or remove the "
                "row's recording"
            )
        return value


def parse_number(text: str, separator: str) -> float | None:
    """The number that a cell holds; None for anything else."""
    plain = text.replace(",", ".") if separator != "," else text
    try:
        return None if "_" in text else float(plain)
    except ValueError:
        return None


def parse_time(text: str, unit: str, separator: str) -> float | None:
    """Seconds of a time stamp; None when it is none of the unit.

    ISO 8601 without a zone counts as UTC. Fractions are kept to a microsecond.
    """
    if unit != ISO:
        value = parse_number(text, separator)
        return None if value is None else value * TIME_UNITS[unit]
    try:
        moment = datetime.datetime.fromisoformat(_to_microseconds(text))
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.timezone.utc)
    return moment.timestamp()


def _to_microseconds(text: str) -> str:
    """With Z and fractions as Python 3.10 reads them."""
    text = text.strip().replace("Z", "+00:00").replace("z", "+00:00")
    return re.sub(r"[.,](\d+)", lambda m: "." + m[1][:6].ljust(6, "0"), text, count=1)


def open_table(file: SourceFile) -> TextTable:
    """Encoding, separator and header of a file; DataError when there is no text in it."""
    text = _text(file)
    first = next((line for line in text.splitlines() if line.strip()), "")
    if not first:
        raise DataError(
            f"{file.name}, line 1: expected a header or numbers, got an empty file; "
            "remove it or record it again"
        )
    unquoted = re.sub('"[^"]*"', "", first)
    separator = next((s for s in SEPARATORS if s in unquoted), ",")
    try:
        cells = [c.strip() for c in next(csv.reader([first], delimiter=separator, strict=True))]
    except csv.Error as error:
        raise DataError(
            f"{file.name}, line 1: expected CSV, got {error}; export it again"
        ) from error
    has_header = any(parse_number(cell, separator) is None for cell in cells)
    names = cells if has_header else [f"column {i}" for i in range(1, len(cells) + 1)]
    return TextTable(
        name=file.name,
        separator=separator,
        header=tuple(names),
        has_header=has_header,
        text=text,
    )


def _text(file: SourceFile) -> str:
    encoding = next((e for mark, e in _MARKS if file.data.startswith(mark)), "utf-8")
    try:
        return file.data.decode(encoding)
    except UnicodeDecodeError as error:
        line = file.data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{file.name}, line {line}: expected UTF-8 (or UTF-16 with its mark), got the byte "
            f"0x{file.data[error.start]:02x}; save it as UTF-8"
        ) from error


def guess_columns(table: TextTable, rows: Sequence[Line]) -> tuple[str, str]:
    """(name of the time column, name of the label column) of a table; '' for none."""
    time = label = ""
    for i, name in enumerate(table.header):
        cells = [row.cells[i] for row in rows]
        numbers = [parse_number(cell, table.separator) for cell in cells]
        if (
            not time
            and base_name(name) in TIME_NAMES
            and (None not in numbers or all(parse_time(c, ISO, table.separator) for c in cells))
        ):
            time = name
        elif not label and base_name(name) in LABEL_NAMES and None in numbers:
            label = name
    return time, label


def base_name(column: str) -> str:
    """'Time (ms)' -> 'time', 't_ms' -> 't'."""
    name = re.sub(r"[\[(].*?[\])]", "", column.lower()).strip(" _-.")
    stem, _, unit = name.rpartition("_")
    return stem if stem and unit in _NAMED_UNIT else name


def guess_time_unit(column: str, steps: Sequence[float], sample_rate_hz: float) -> str:
    """The unit in which `steps` between rows (as the numbers stand) make the most sense.

    The column's name decides; then the recipe's rate; else the largest unit that gives at least
    1 Hz.
    """
    words = re.findall(r"[a-z]+", column.lower())
    named = [_NAMED_UNIT[w] for w in words if w in _NAMED_UNIT]
    middle = sorted(steps)[len(steps) // 2] if steps else 0.0
    if named or middle <= 0:
        return named[-1] if named else "s"
    rates = {unit: 1 / (middle * scale) for unit, scale in TIME_UNITS.items()}
    if sample_rate_hz:
        return min(rates, key=lambda u: abs(rates[u] - sample_rate_hz))
    return next((unit for unit, rate in rates.items() if rate >= 1), "s")
