"""What sources of files share: bounded reading, labels and groups from names, clear errors."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from model.datasets.base import Dataset, Recording
from model.errors import ConfigError, DataError
from model.files import read_bounded
from model.text import printable

MAX_FILES = 20_000
MAX_FILE_BYTES = 64 << 20
MAX_TOTAL_BYTES = 512 << 20
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """One file of a folder, read whole."""

    name: str  # path in the folder, with /
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """An uninterrupted recording whose label and group still are words."""

    values: npt.NDArray[np.float32]  # [samples, channels]
    label: str
    group: str
    where: str  # for messages
    times_s: npt.NDArray[np.float64] | None = None  # [samples]


def resolve(text: str, where: str) -> Path:
    """The path of a recipe's setting: from the project's folder, or from $VARIABLE in its front."""
    match = re.fullmatch(r"\$(\w+)(/.*)?", text)
    if match is None:
        return Path(text)
    folder = os.environ.get(match[1], "")
    if not folder:
        raise ConfigError(
            f"{where} = {text!r}: the environment variable {match[1]} is not set; set it to the "
            f"folder with the data: export {match[1]}=path/to/folder"
        )
    return Path(folder + (match[2] or ""))


def _read(path: Path, limit: int) -> bytes:
    """The content of one file of at most `limit` bytes; DataError otherwise."""
    try:
        data = read_bounded(path, limit + 1)
    except OSError as error:
        raise DataError(
            f"{path}: the file cannot be read: {error.strerror}; check the recipe's path"
        ) from error
    if len(data) > limit:
        raise DataError(f"{path}: expected at most {limit:,} bytes, got more; split the file")
    return data


def read_file(path: Path, sha256: str) -> bytes:
    """The content of a source that is one file; DataError for another file than the recipe's."""
    data = _read(path, MAX_TOTAL_BYTES)
    _check_hash(path, sha256, hashlib.sha256(data).hexdigest())
    return data


def _check_hash(path: Path, expected: str, got: str) -> None:
    if got != expected:
        raise DataError(
            f"{path}: other data than the recipe's: expected SHA-256 {expected}, got {got}; put "
            "the new hash into the recipe if you mean these"
        )


def list_files(folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """All files below a folder whose names end in one of `suffixes`, sorted by name."""
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in suffixes and p.is_file())


def folder_digest(folder: Path, suffixes: tuple[str, ...]) -> str:
    """SHA-256 over names and contents of a folder's files, as a recipe states it."""
    whole = hashlib.sha256()
    for path in list_files(folder, suffixes):
        digest = hashlib.sha256(path.read_bytes()).digest()
        whole.update(digest + os.fsencode(path.relative_to(folder).as_posix()) + b"\n")
    return whole.hexdigest()


def read_folder(folder: Path, suffixes: tuple[str, ...], sha256: str) -> list[SourceFile]:
    """All files below a folder whose names end in one of `suffixes`, sorted by name.

    Raises DataError for none, too many or too large ones, for two files of the same content, and
    when the SHA-256 over all names and contents is not `sha256`.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; put the data there or correct the recipe")
    paths = list_files(folder, suffixes)
    if not 1 <= len(paths) <= MAX_FILES:
        raise DataError(
            f"{folder}: expected 1 to {MAX_FILES:,} files *{' or *'.join(suffixes)}, got "
            f"{len(paths):,}; correct the folder in the recipe"
        )
    files, seen, total = [], dict[bytes, str](), 0
    whole = hashlib.sha256()
    for path in paths:
        name, data = path.relative_to(folder).as_posix(), _read(path, MAX_FILE_BYTES)
        total += len(data)
        if total > MAX_TOTAL_BYTES:
            raise DataError(
                f"{folder}: expected at most {MAX_TOTAL_BYTES:,} bytes in all, got more at {name}; "
                "use fewer files"
            )
        digest = hashlib.sha256(data).digest()
        if digest in seen:
            raise DataError(
                f"{folder}: {name} and {seen[digest]} have the same content; a recording may "
                "occur once, so remove one"
            )
        seen[digest] = name
        whole.update(digest + os.fsencode(name) + b"\n")
        files.append(SourceFile(name=name, data=data))
    _check_hash(folder, sha256, whole.hexdigest())
    return files


def compile_pattern(text: str, needed: Sequence[str], where: str) -> re.Pattern[str]:
    """A recipe's pattern of paths, which must name the groups `needed` and no other."""
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise ConfigError(f"{where} = {text!r}: not a regular expression: {error}") from error
    if missing := [name for name in needed if name not in pattern.groupindex]:
        raise ConfigError(
            f"{where} = {text!r}: expected a part (?P<{missing[0]}>...), got "
            f"{sorted(pattern.groupindex) or 'none'}; name the part of the path that is the "
            f"{missing[0]}"
        )
    return pattern


def match_name(pattern: re.Pattern[str], name: str) -> dict[str, str]:
    """The named parts of a file's path; DataError when it does not fit the whole pattern."""
    match = pattern.fullmatch(name)
    if match is None:
        raise DataError(
            f"{name}: the name does not fit the recipe's pattern {pattern.pattern!r}; rename or "
            "remove the file, or change the pattern"
        )
    return {key: value or "" for key, value in match.groupdict().items()}


def samples(rows: Sequence[Sequence[float]], channels: int) -> npt.NDArray[np.float32]:
    """[samples, channels] of rows that are known to be finite and of equal length."""
    return np.asarray(rows, np.float32).reshape(len(rows), channels)


def fits_float32(value: float) -> bool:
    """Whether a number is finite and stays so as float32."""
    return -_LARGEST <= value <= _LARGEST


def close_rate(got_hz: float, expected_hz: float, tolerance: float) -> bool:
    """Whether a rate is the expected one but for a share `tolerance`."""
    return abs(got_hz - expected_hz) <= tolerance * expected_hz


def build_dataset(
    found: Sequence[Labelled],
    labels: tuple[str, ...],
    channels: tuple[str, ...],
    sample_rate_hz: float,
    sha256: str,
    units: tuple[str, ...] = (),
) -> Dataset:
    """Numbers for labels (the recipe's order) and groups (sorted by name).

    Raises DataError for a label that is not the recipe's, for a label without recordings, and for
    a group that cannot be written into a recipe.
    """
    for item in found:
        if not item.group or not item.group.isprintable():
            raise DataError(
                f"{item.where}: group {item.group!r}, expected a name of printable letters; a "
                "split needs to know whose recording it is, so name it"
            )
        if item.label not in labels:
            raise DataError(
                f"{item.where}: label {item.label!r}, expected one of {list(labels)}; correct the "
                "file or add the label to the recipe"
            )
    have = {item.label for item in found}
    if empty := [label for label in labels if label not in have]:
        raise DataError(
            f"class {empty[0]!r} has no recordings, expected at least one of each of "
            f"{list(labels)}; add recordings or remove the label from the recipe"
        )
    groups = sorted({item.group for item in found})
    return Dataset(
        recordings=tuple(
            Recording(
                values=item.values,
                label=labels.index(item.label),
                group=groups.index(item.group),
                name=printable(item.where),
                times_s=item.times_s,
            )
            for item in found
        ),
        labels=labels,
        channels=channels,
        sample_rate_hz=sample_rate_hz,
        sha256=sha256,
        group_names=tuple(groups),
        units=units,
    )
