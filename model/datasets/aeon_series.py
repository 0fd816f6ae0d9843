"""Series of the .ts files that the PyPI package aeon brings: BasicMotions, GunPoint and others.

The files are found without importing aeon, whose import needs a compiler that the lock leaves out.
A file is a header of lines "@key values", then "@data" and one line a series: its channels with ':'
in between, each a list of numbers with ',' in between, and the class behind the last ':'. Read are
series of one length without time stamps and gaps.

The two files of a problem, TRAIN and TEST, name no persons or machines. Each is dealt to as many
groups as the recipe has `parts`, series by series: "train 0", "train 1", ..., "test 0", ...; one
person may be in several of them.
"""

from __future__ import annotations

import hashlib
import importlib.util
import math
import platform
import re
from collections.abc import Iterator
from pathlib import Path

from model.datasets.base import Dataset, table_of
from model.datasets.folder import Labelled, build_dataset, fits_float32, require_rate, samples
from model.errors import ConfigError, DataError
from model.recipe import DatasetConfig

MAX_BYTES = 16 << 20  # of a file
MAX_SERIES = 20_000
MAX_VALUES = 100_000  # of a channel
_MUST = {"timestamps": "false", "missing": "false", "equallength": "true", "classlabel": "true"}
_KNOWN = {*_MUST, "problemname", "univariate", "dimensions", "serieslength", "targetlabel"}


def data_folder() -> Path:
    """Where the installed package keeps its files; DataError when it is not installed."""
    spec = importlib.util.find_spec("aeon")
    if spec is None or spec.origin is None:
        raise DataError(
            "the package aeon is not installed; it needs Python 3.11 or newer, this is "
            f"{platform.python_version()}; run `make setup PYTHON=python3.11`, or choose another "
            "recipe"
        )
    return Path(spec.origin).parent / "datasets" / "data"


def data_files(config: DatasetConfig) -> list[Path]:
    """The two files that `load` reads; ConfigError for a name that is no problem's."""
    table = table_of(config.aeon_series, "aeon_series")
    if not re.fullmatch(r"\w{1,64}", table.problem, re.ASCII):
        raise ConfigError(
            "dataset.aeon_series.problem: expected a name of letters and digits, got "
            f"{table.problem!r}"
        )
    folder = data_folder() / table.problem
    return [folder / f"{table.problem}_{name}.ts" for name in ("TRAIN", "TEST")]


def load(config: DatasetConfig) -> Dataset:
    """All series of [dataset.aeon_series].problem.

    Raises ConfigError for a name that is no problem's, and DataError for files that are missing,
    too large or damaged. The data's SHA-256 is over TRAIN, then TEST.
    """
    table = table_of(config.aeon_series, "aeon_series")
    files = data_files(config)
    content = {n: _read(path) for n, path in zip(("train", "test"), files, strict=True)}
    digest = hashlib.sha256(content["train"] + content["test"]).hexdigest()
    found = [
        Labelled(
            values=item.values,
            label=item.label,
            group=f"{name} {number % table.parts}",
            file=item.file,
        )
        for name, data in content.items()
        for number, item in enumerate(parse_series(data, f"{table.problem} {name}"))
    ]
    require_rate(config, f"{table.problem}: a .ts file has no times")
    return build_dataset(found, config, digest)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        known = sorted(p.parent.name for p in path.parents[1].glob("*/*_TRAIN.ts"))
        raise DataError(
            f"{path}: the series cannot be read: {error.strerror}; problems there: "
            f"{', '.join(known) or 'none'}"
        ) from error
    if len(data) > MAX_BYTES:
        raise DataError(f"{path}: expected at most {MAX_BYTES:,} bytes, got more")
    return data


def parse_series(data: bytes, where: str) -> list[Labelled]:
    """The series of a .ts file's bytes, their groups empty.

    Raises DataError, with the line, for everything that is not as the header says.
    """
    try:
        lines = iter(list(enumerate(data.decode("utf-8").splitlines(), 1)))
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: not a .ts file: {error}; run `make setup`") from error
    header = _header(lines, where)
    for key, expected in _MUST.items():
        got = header.get(key, ["nothing"])[0].lower()
        if got != expected:
            raise DataError(
                f"{where}: @{key} is {got!r}, expected {expected!r}; choose another problem"
            )
    length = _number(header, "serieslength", where)
    width = _number(header, "dimensions", where) if "dimensions" in header else 1
    found: list[Labelled] = []
    for number, line in lines:
        if not line.strip():
            continue
        if len(found) == MAX_SERIES:
            raise DataError(f"{where}, line {number}: expected at most {MAX_SERIES:,} series")
        *parts, label = line.split(":")
        place = f"{where}, line {number}"
        if len(parts) != width:
            raise DataError(f"{place}: {len(parts)} channels, expected {width}")
        columns = [_values(part, length, place) for part in parts]
        rows = list(zip(*columns, strict=True))
        found.append(
            Labelled(values=samples(rows, len(columns)), label=label.strip(), group="", file=place)
        )
    if not found:
        raise DataError(f"{where}: no series behind @data; the file is cut off: run `make setup`")
    return found


def _header(lines: Iterator[tuple[int, str]], where: str) -> dict[str, list[str]]:
    """Keys in lower case, and the words behind them; ends behind @data."""
    header: dict[str, list[str]] = {}
    for number, line in lines:
        text = line.strip().lstrip("\ufeff")
        if not text or text[0] in "#%":
            continue
        key, *words = text[1:].split()[:1000] or [""]
        key = key.lower()
        if text[0] == "@" and key == "data" and not words:
            return header
        if text[0] != "@" or key not in _KNOWN or key in header or not words:
            raise DataError(
                f"{where}, line {number}: expected @data or a line '@key value', each key once, "
                f"got {text[:40]!r}; the keys are {', '.join(sorted(_KNOWN))}"
            )
        header[key] = words
    raise DataError(f"{where}: no line @data; the file is cut off: run `make setup`")


def _number(header: dict[str, list[str]], key: str, where: str) -> int:
    text = header.get(key, ["nothing"])[0]
    if not re.fullmatch(r"[0-9]{1,6}", text) or not 1 <= int(text) <= MAX_VALUES:
        raise DataError(f"{where}: @{key} is {text[:40]!r}, expected 1 to {MAX_VALUES:,}")
    return int(text)


def _values(text: str, length: int, place: str) -> list[float]:
    words = text.split(",", length)
    if len(words) != length:
        raise DataError(
            f"{place}: a channel of {len(words)} values, expected @seriesLength {length}"
        )
    try:
        values = [float(word) for word in words]
    except ValueError:
        values = [math.nan]
    if not all(map(fits_float32, values)):
        raise DataError(f"{place}: not {length} finite numbers: {text[:40]!r}...")
    return values
