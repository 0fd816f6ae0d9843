"""Which recordings are held out: named groups, list files, or a share of the groups.

A list file has the path of a recording on each line, from the data's folder on, as
validation_list.txt and testing_list.txt of Speech Commands. A share takes the groups whose names'
hashes lie in it, so that a new recording moves no other one to another split.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from model.datasets.base import Dataset
from model.datasets.paths import composed, resolve
from model.errors import ConfigError, DataError
from model.files import read_bounded
from model.recipe import DatasetConfig

SPLITS = ("val", "test")
MAX_LIST_BYTES = 64 << 20
HELD_OUT = 0.2  # share of the groups that each split gets where nothing is said
SHOWN = 20  # groups that a message names
Lists = Mapping[str, frozenset[str]]  # split -> paths of its recordings


def list_paths(config: DatasetConfig) -> dict[str, Path]:
    """Split -> its list file, of those that the recipe has."""
    return {
        split: resolve(text, f"dataset.{split}_list")
        for split in SPLITS
        if (text := getattr(config, f"{split}_list"))
    }


def read_lists(config: DatasetConfig, files: set[str]) -> Lists:
    """The paths in the list files; `files` are those that the data have.

    Raises DataError for a list that cannot be read, has a path outside of the folder or of no
    file, and for a path that both have.
    """
    lists = {split: _read(path, files) for split, path in list_paths(config).items()}
    if both := lists.get("val", frozenset()) & lists.get("test", frozenset()):
        raise DataError(
            f"dataset: expected each recording in one list, got {min(both)!r} in val_list and in "
            "test_list; remove it from one"
        )
    return lists


def _read(path: Path, files: set[str]) -> frozenset[str]:
    try:
        data = read_bounded(path, MAX_LIST_BYTES + 1)
        text = data.decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise DataError(
            f"{path}: expected a list of recordings, one a line, got none: {why}; correct val_list "
            "or test_list in the recipe"
        ) from error
    if len(data) > MAX_LIST_BYTES:
        raise DataError(f"{path}: expected at most {MAX_LIST_BYTES:,} bytes, got more; split it")
    found = set()
    for number, line in enumerate(text.splitlines(), 1):
        name = composed(line.strip())
        if not name:
            continue
        parts = PurePosixPath(name)
        if parts.is_absolute() or ".." in parts.parts:
            raise DataError(
                f"{path}, line {number}: expected a path from the data's folder on, got "
                f"{name[:80]!r}, which leads outside; correct the line"
            )
        if str(parts) not in files:
            raise DataError(
                f"{path}, line {number}: expected the path of a recording, got {name[:80]!r}, "
                "which the data do not have; correct the line, or put the recording there"
            )
        found.add(str(parts))
    return frozenset(found)


def lists_digest(sha256: str, lists: Lists) -> str:
    """The SHA-256 of data and lists; that of the data where there are no lists."""
    if not lists:
        return sha256
    whole = hashlib.sha256(sha256.encode())
    for split, names in sorted(lists.items()):
        whole.update("\n".join([split, *sorted(names), ""]).encode())
    return whole.hexdigest()


def listed_groups(
    lists: Lists, recordings: Sequence[tuple[str, int]], titles: Sequence[str]
) -> dict[str, frozenset[int]]:
    """Split -> its groups, of (path, group) of each recording.

    Raises DataError for a group that is in two splits.
    """
    if not lists:
        return {}
    first: dict[int, tuple[str, str]] = {}
    for name, group in recordings:
        split = next((s for s, names in lists.items() if name in names), "train")
        other, where = first.setdefault(group, (split, name))
        if other != split:
            raise DataError(
                f"dataset: expected all recordings of a group in one split, got those of "
                f"{titles[group]!r} in {other} ({where}) and in {split} ({name}); correct val_list "
                "and test_list, or name in the pattern another group"
            )
    return {
        split: frozenset(group for group, (own, _) in first.items() if own == split)
        for split in SPLITS
    }


def split_groups(dataset: Dataset, config: DatasetConfig) -> dict[str, set[int]]:
    """The numbers of the training, validation and test groups."""
    numbers = {dataset.group_title(group): group for group in {r.group for r in dataset.recordings}}
    everyone = set(numbers.values())
    if unknown := {*config.val_groups, *config.test_groups} - set(numbers):
        have = [dataset.group_title(group) for group in sorted(everyone)[:SHOWN]]
        more = f" and {len(everyone) - SHOWN} more" if len(everyone) > SHOWN else ""
        raise ConfigError(
            f"dataset: groups {sorted(unknown, key=str)} are not in the data; it has {have}{more}"
        )
    held = {split: {numbers[g] for g in getattr(config, f"{split}_groups")} for split in SPLITS}
    for split in SPLITS:
        held[split] |= dataset.listed.get(split, frozenset()) & everyone
    for title, group in numbers.items() if config.val_share or config.test_share else ():
        if (at := position(title)) < config.test_share:
            held["test"].add(group)
        elif at < config.test_share + config.val_share:
            held["val"].add(group)
    for split in SPLITS:
        for way in ("list", "share"):
            if getattr(config, f"{split}_{way}") and not held[split]:
                raise ConfigError(
                    f"dataset.{split}_{way}: expected it to give groups, got none of "
                    f"{len(everyone)}; name them in {split}_groups instead"
                )
    return {"train": everyone - held["val"] - held["test"], **held}


def position(title: int | str) -> float:
    """Where in 0 to 1 a group's name puts it, the same for ever."""
    return int.from_bytes(hashlib.sha256(str(title).encode()).digest()[:8], "big") / 2.0**64


def choose_groups(dataset: Dataset, taken: set[int | str], key: str) -> tuple[int | str, ...]:
    """The last fifth of the groups by name that leaves every class to train on and has each."""
    have: dict[int | str, set[int]] = {}
    for recording in dataset.recordings:
        have.setdefault(dataset.group_title(recording.group), set()).add(recording.label)
    free = sorted((g for g in have if g not in taken), key=str)
    count = max(1, round(HELD_OUT * len(have)))
    if len(free) <= count or len(have) < 3:
        raise ConfigError(
            f"{key}: expected it in the recipe, or at least three groups (persons, devices, days) "
            f"to choose from; the data have {sorted(have, key=str)[:20]}; name groups in pattern"
        )
    everything = set(range(len(dataset.labels)))
    best: tuple[int, tuple[int | str, ...]] = (-1, ())
    for end in range(len(free), count - 1, -1):
        held, rest = free[end - count : end], free[: end - count] + free[end:]
        covered = set().union(*(have[g] for g in held))
        left = set().union(*(have[g] for g in rest))
        best = max(best, (len(covered) + 1000 * (left == everything), tuple(held)), key=_first)
    return best[1]


def _first(pair: tuple[int, object]) -> int:
    return pair[0]
