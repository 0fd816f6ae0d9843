"""What sources of files share: bounded reading, labels and groups from names, clear errors."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from model.datasets.base import Dataset, Recording, constant_targets
from model.datasets.lists import list_paths, listed_groups, lists_digest, read_lists
from model.datasets.paths import composed, list_files
from model.datasets.truth import CLASSES, Truth
from model.errors import ConfigError, DataError
from model.files import read_bounded
from model.progress import item_progress
from model.recipe import DatasetConfig
from model.scratch import Scratch
from model.text import printable

MAX_FILES = 250_000
MAX_FILE_BYTES = 64 << 20
MAX_TOTAL_BYTES = 16 << 30  # read one file at a time
MAX_NPZ_BYTES = 512 << 20
MAX_PROBLEMS = 10  # files with a problem that one run names
T = TypeVar("T", bound=np.generic)
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """One file of a folder, read whole."""

    name: str  # path in the folder, with /
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """An uninterrupted recording whose label (or labels) and group still are words."""

    values: npt.NDArray[np.float32]  # [samples, channels]
    label: str  # '' where targets are what is learned
    group: str
    file: str  # its path in the folder
    where: str = ""  # in the file, for messages
    times_s: npt.NDArray[np.float64] | None = None  # [samples]
    targets: npt.NDArray[np.float32] | None = None  # [samples, targets] of a regression


def _read(path: Path, limit: int) -> bytes:
    """The content of one file of at most `limit` bytes; DataError otherwise."""
    try:
        data = read_bounded(path, limit + 1)
    except OSError as error:
        raise DataError(
            f"{path}: the file cannot be read: {error.strerror}; make it readable, or correct the "
            "path in the recipe"
        ) from error
    if len(data) > limit:
        raise DataError(f"{path}: expected at most {limit:,} bytes, got more; split the file")
    return data


def read_file(path: Path) -> tuple[bytes, str]:
    """(content, SHA-256) of a source that is one file."""
    data = _read(path, MAX_NPZ_BYTES)
    return data, hashlib.sha256(data).hexdigest()


class Folder:
    """The files below a folder whose names end in one of `suffixes`, by name, one at a time.

    Raises DataError for none, too many or too large files, and for two of the same content.
    """

    def __init__(
        self, path: Path, suffixes: tuple[str, ...], config: DatasetConfig | None = None
    ) -> None:
        if not path.is_dir():
            raise DataError(f"{path}: no such folder; put the data there or correct the recipe")
        lists = {p.resolve() for p in list_paths(config).values()} if config else set()
        self.path = path
        self._paths = [
            p for p in list_files(path, suffixes) if not lists or p.resolve() not in lists
        ]
        self._scratch = Scratch()
        if not 1 <= len(self._paths) <= MAX_FILES:
            raise DataError(
                f"{path}: expected 1 to {MAX_FILES:,} files *{' or *'.join(suffixes)}, got "
                f"{len(self._paths):,}; correct the folder in the recipe"
            )
        self._whole = hashlib.sha256()

    def __len__(self) -> int:
        return len(self._paths)

    def typical(self) -> SourceFile:
        """The first file of the most frequent suffix: a folder may have lists besides data."""
        suffix = Counter(p.suffix.lower() for p in self._paths).most_common(1)[0][0]
        path = next(p for p in self._paths if p.suffix.lower() == suffix)
        return SourceFile(name=self._name(path), data=_read(path, MAX_FILE_BYTES))

    def _name(self, path: Path) -> str:
        return path.relative_to(self.path).as_posix()

    def keep(self, values: npt.NDArray[T]) -> npt.NDArray[T]:
        """The same values, outside of memory."""
        return self._scratch.keep(values)

    @property
    def sha256(self) -> str:
        """Over names and contents of all files that have been read."""
        return self._whole.hexdigest()

    def __iter__(self) -> Iterator[SourceFile]:
        seen, twice, total = dict[bytes, str](), list[str](), 0
        for path in item_progress(self._paths, "reading files"):
            name, data = self._name(path), _read(path, MAX_FILE_BYTES)
            total += len(data)
            if total > MAX_TOTAL_BYTES:
                raise DataError(
                    f"{self.path}: expected at most {MAX_TOTAL_BYTES:,} bytes in all, got more at "
                    f"{name}; use fewer files"
                )
            digest = hashlib.sha256(data).digest()
            if digest in seen:
                twice.append(f"{name} and {seen[digest]}")
                continue
            seen[digest] = name
            self._whole.update(digest + os.fsencode(name) + b"\n")
            yield SourceFile(name=name, data=data)
        if twice:
            more = len(twice) - MAX_PROBLEMS
            told = ", ".join(twice[:MAX_PROBLEMS]) + (
                f", and {more} more pairs" if more > 0 else ""
            )
            raise DataError(
                f"{self.path}: {told} have the same content; a recording may occur once, so remove "
                "one of each pair"
            )


class IrregularError(DataError):
    """Another rate, jitter or gaps: [dataset.resample] would read the files."""


class Problems:
    """What is wrong with the files of a folder: a line a file, all at once."""

    def __init__(self) -> None:
        self._found: list[str] = []
        self._kind: type[DataError] = IrregularError

    @contextlib.contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Keep the DataError of one file and go on with the next; stop when there are too many."""
        try:
            yield
        except DataError as error:
            self._found.append(str(error))
            if not isinstance(error, IrregularError):
                self._kind = DataError
            if len(self._found) >= MAX_PROBLEMS:
                self.refuse()

    def refuse(self) -> None:
        """DataError with all of them, unless there are none."""
        if len(self._found) == 1:
            raise self._kind(self._found[0])
        if self._found:
            more = " (and perhaps more)" if len(self._found) >= MAX_PROBLEMS else ""
            head = f"{len(self._found)} files are not as expected{more}:"
            raise self._kind("\n  ".join([head, *self._found]))


def compile_pattern(text: str, needed: Sequence[str], where: str) -> re.Pattern[str]:
    """A recipe's pattern of paths, which must name the groups `needed` and no other."""
    try:
        pattern = re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise ConfigError(
            f"{where} = {text[:80]!r}: not a regular expression: {error}; correct it"
        ) from error
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


def named_parts(truth: Truth) -> tuple[str, ...]:
    """The parts of a name that tell what is true of a recording."""
    return truth.targets or ("label",)


def named_targets(
    parts: Mapping[str, str], truth: Truth, samples: int, where: str
) -> npt.NDArray[np.float32] | None:
    """[samples, targets] of a regression by the numbers in a file's name; else None.

    Raises DataError for a part that is no number.
    """
    if not truth.targets:
        return None
    return constant_targets([target_number(parts[t], where, t) for t in truth.targets], samples)


def target_number(text: str, where: str, name: str) -> float:
    """A target that a name tells; DataError for what is not a finite number."""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if "_" in text or not fits_float32(value):
        raise no_target(text, where, name)
    return value


def no_target(text: str, where: str, name: str) -> DataError:
    """What is said of a target that is no number."""
    return DataError(
        f"{where}, target {name}: expected a number, got {text[:40]!r}; correct it, or remove "
        "what has no measured value"
    )


def samples(rows: Sequence[Sequence[float]], channels: int) -> npt.NDArray[np.float32]:
    """[samples, channels] of rows that are known to be finite and of equal length."""
    return np.asarray(rows, np.float32).reshape(len(rows), channels)


def fits_float32(value: float) -> bool:
    """Whether a number is finite and stays so as float32."""
    return -_LARGEST <= value <= _LARGEST


def close_rate(got_hz: float, expected_hz: float, tolerance: float) -> bool:
    """Whether a rate is the expected one but for a share `tolerance`."""
    return abs(got_hz - expected_hz) <= tolerance * expected_hz


def _classes(found: Sequence[Labelled], config: DatasetConfig) -> list[Labelled]:
    """The recordings with the classes that the recipe makes of the files' labels."""
    normal = [
        dataclasses.replace(item, label=composed(item.label), group=composed(item.group))
        for item in found
    ]
    if config.merge is None:
        return normal
    merge = {composed(label): name for label, name in config.merge.items()}
    other = merge.get("*")
    have = {item.label for item in normal}
    if unused := sorted(set(merge) - have - {"*"}):
        raise DataError(
            f"dataset.labels: {unused[0]!r} is the label of no recording; the files have "
            f"{sorted(have)[:50]}; correct the recipe"
        )
    if other is None and (left := sorted(have - set(merge))):
        raise DataError(
            f"dataset.labels: the label {left[0]!r} of the files has no class; add it, or "
            '"*" = "other" for all that are not named, "*" = "*" to keep each of them, or "*" = "" '
            "to leave them out"
        )
    kept = {label: label for label in have} if other == "*" else {}
    named = [
        dataclasses.replace(item, label={**kept, **merge}.get(item.label, other or ""))
        for item in normal
    ]
    return [item for item in named if item.label]


def require_rate(config: DatasetConfig, why: str) -> None:
    """ConfigError for a recipe without a rate whose files do not tell it."""
    if not config.sample_rate_hz:
        raise ConfigError(f"missing key 'dataset.sample_rate_hz': {why}; write it into the recipe")


def _words(item: Labelled, truth: Truth) -> list[str]:
    """The one label of a recording, or its labels; none of a regression's."""
    if truth.targets:
        return []
    if not truth.separator:
        return [item.label]
    return [word.strip() for word in item.label.split(truth.separator)] if item.label else []


def _check_words(found: Sequence[Labelled], labels: tuple[str, ...], truth: Truth) -> None:
    """DataError for a label or a group that no recipe can name, for a label that it does not, and
    for one without recordings.
    """
    several = f", each once, joined by {truth.separator!r}" if truth.separator else ""
    for item in found:
        place = f"{item.file}{item.where}"
        if not item.label.isprintable():
            raise DataError(
                f"{place}: expected a label of printable letters, got {item.label!r}; correct the "
                "file"
            )
        if not item.group or not item.group.isprintable():
            raise DataError(
                f"{place}: group {item.group!r}, expected a name of printable letters; a split "
                "needs to know whose recording it is, so name it"
            )
        words = _words(item, truth)
        if any(word not in labels or words.count(word) > 1 for word in words):
            raise DataError(
                f"{place}: label {item.label!r}, expected one of {list(labels)}{several}; correct "
                "the file or add the label to the recipe"
            )
    have = {word for item in found for word in _words(item, truth)}
    if not truth.targets and (empty := [label for label in labels if label not in have]):
        raise DataError(
            f"class {empty[0]!r} has no recordings, expected at least one of each of "
            f"{list(labels)}; add recordings or remove the label from the recipe"
        )


def _targets(
    item: Labelled, labels: tuple[str, ...], truth: Truth
) -> npt.NDArray[np.float32] | None:
    """[samples, targets] of what is no class."""
    if not truth.separator:
        return item.targets
    words = _words(item, truth)
    return constant_targets([float(label in words) for label in labels], len(item.values))


def build_dataset(
    found: Sequence[Labelled],
    config: DatasetConfig,
    sha256: str,
    *,
    channels: tuple[str, ...] = (),
    units: tuple[str, ...] = (),
    sample_rate_hz: float = 0.0,
    notes: tuple[str, ...] = (),
    truth: Truth = CLASSES,
) -> Dataset:
    """Numbers for labels (the recipe's order, or sorted) and groups (sorted by name).

    `channels`, `units` and `sample_rate_hz` are the files' own, where the recipe does not say them.
    With a separator a recording may have several labels, or none; of a regression they are targets.

    Raises DataError for a label that is not the recipe's, for a label without recordings, and for
    a group that cannot be written into a recipe.
    """
    lists = read_lists(config, {composed(item.file) for item in found})
    found = _classes(found, config)
    known = sorted({word for item in found for word in _words(item, truth)})
    labels = truth.targets or config.labels or tuple(known)
    width = found[0].values.shape[1] if found else 0
    channels = config.channels or channels or tuple(f"channel {i}" for i in range(width))
    if found and width != len(channels):
        raise DataError(
            f"{found[0].file}: {width} channels, expected {len(channels)}, one for each of "
            f"{list(channels)}; correct dataset.channels in the recipe"
        )
    _check_words(found, labels, truth)
    groups = sorted({item.group for item in found})
    number = {group: i for i, group in enumerate(groups)}
    listed = listed_groups(
        lists, [(composed(item.file), number[item.group]) for item in found], groups
    )
    return Dataset(
        recordings=tuple(
            Recording(
                values=item.values,
                label=labels.index(item.label) if truth.kind == "classification" else 0,
                group=number[item.group],
                name=printable(f"{item.file}{item.where}"),
                times_s=item.times_s,
                targets=_targets(item, labels, truth),
            )
            for item in found
        ),
        labels=labels,
        channels=channels,
        sample_rate_hz=config.sample_rate_hz or sample_rate_hz,
        sha256=lists_digest(sha256, lists),
        group_names=tuple(groups),
        listed=listed,
        units=config.units or units,
        notes=notes,
    )
