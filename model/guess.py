"""What a folder of data looks like: its source, and what the parts of its file names are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from model.datasets import csv_folder, edge_impulse, wav_folder
from model.errors import ConfigError

SOURCES = {
    "wav_folder": wav_folder.SUFFIXES,
    "edge_impulse": edge_impulse.SUFFIXES,
    "csv_folder": csv_folder.SUFFIXES,
}
SPLIT_NAMES = {"train", "training", "test", "testing", "val", "valid", "validation", "data"}
GROUP_NAME = re.compile(
    r"(s|p|u|subj|subject|user|person|participant|speaker|id|dev|device|day|session|machine)\d*",
    re.IGNORECASE,
)
_PIECE = re.compile(r"[^/._\- ]+")
_FIELD = re.compile(r"\{(label|group|)\}")
MAX_CLASSES = 200
ALIKE = 0.05  # lengths of files that differ by no larger share are alike
NOISE_NAMES = {"background_noise", "background", "noise", "noises"}  # of folders, without _ around
LIST_NAMES = {  # of Speech Commands and others that are built as it is
    "val": ("validation_list.txt", "val_list.txt"),
    "test": ("testing_list.txt", "test_list.txt"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """What a folder has besides recordings of its classes."""

    noise: str  # the name of its folder; '': there is none
    lists: dict[str, str]  # 'val' and 'test' -> the name of a list file; empty: there are none


def find_extras(folder: Path, names: Sequence[str]) -> Extras:
    """Background noise, and list files of what is held out, of a data set with these files."""
    tops = sorted({name.split("/")[0] for name in names if "/" in name})
    noise = next((t for t in tops if t.strip("_ -").lower() in NOISE_NAMES), "")
    lists = {
        split: name
        for split, known in LIST_NAMES.items()
        for name in known
        if (folder / name).is_file()
    }
    return Extras(noise=noise, lists=lists if len(lists) == len(LIST_NAMES) else {})


def usual_length(folder: Path, names: Sequence[str]) -> str:
    """A file of the length that most have, where some are shorter; '' where it makes no odds."""
    sizes = sorted(((folder / name).stat().st_size, name) for name in names)
    (least, _), (middle, name) = sizes[0], sizes[len(sizes) // 2]
    alike = sum(abs(size - middle) <= ALIKE * middle for size, _ in sizes)
    return name if least < (1 - ALIKE) * middle and alike > len(sizes) / 2 else ""


def with_noise(pattern: str, noise: str) -> str:
    """A pattern of label/group... that the files in the folder of the noise fit too.

    Raises ConfigError for another pattern.
    """
    match = re.fullmatch(r"\(\?P<label>.*?\)/(?:\(\?P<group>.*?\))?(.*?)(\\\.\\w\+)?", pattern)
    if match is None:
        raise ConfigError(
            f"{noise}/: background noise beside data whose folders are no labels; move it out of "
            "the folder, and name its place in augment.background of the recipe"
        )
    tail, suffix = match[1], match[2] or ""
    if "(?P<group>" not in pattern:
        return rf"(?P<label>[^/]+)/[^/]+{suffix}"
    return rf"(?P<label>[^/]+)/(?P<group>[^/]+?){f'(?:{tail})?' if tail else ''}{suffix}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """Which parts of file names are what."""

    pattern: str  # regular expression with (?P<label>...) and (?P<group>...)
    sure: bool  # no other part could be the label


def find_source(folder: Path) -> tuple[str, list[str]]:
    """(source, names of its files): of the kinds of files that we read the most frequent one.

    Raises ConfigError for a folder that has none.
    """
    if folder.is_file() and folder.suffix.lower() == ".npz":
        return "numpy_file", [folder.name]
    if not folder.is_dir():
        raise ConfigError(f"--from {folder}: expected a folder or an .npz file; no such one")
    names = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    counts = Counter(
        source
        for name in names
        for source, suffixes in SOURCES.items()
        if name.lower().endswith(suffixes) and Path(name).name.lower() not in ("readme.txt",)
    )
    if not counts:
        ends = Counter(Path(name).suffix.lower() for name in names).most_common(5)
        raise ConfigError(
            f"--from {folder}: expected files *"
            + ", *".join(s for suffixes in SOURCES.values() for s in suffixes)
            + f" or an .npz file, got {dict(ends) or 'none'}; see model/datasets/README.md"
        )
    source = counts.most_common(1)[0][0]
    return source, [name for name in names if name.lower().endswith(SOURCES[source])]


def from_template(template: str) -> str:
    """'{label}/{group}_{}.wav' as a regular expression; {} is what does not matter."""
    found = [m[1] for m in _FIELD.finditer(template)]
    if found.count("label") > 1 or found.count("group") > 1:
        raise ConfigError(f"--names {template!r}: expected {{label}} and {{group}} at most once")
    parts, at = [], 0
    for match in _FIELD.finditer(template):
        parts.append(re.escape(template[at : match.start()]))
        parts.append(f"(?P<{match[1]}>[^/]+?)" if match[1] else "[^/]*?")
        at = match.end()
    return "".join([*parts, re.escape(template[at:])])


def guess_names(names: Sequence[str], *, labels_inside: bool) -> Names:
    """The pattern that fits all names; `labels_inside`: the files have a column of labels.

    The first part with a few words is the label, the next one the group; folders called train,
    test and so on are neither. Names of different build are told apart by their folder only.
    """
    pieces = [_PIECE.findall(str(Path(name).with_suffix(""))) for name in names]
    shapes = {(len(p), _between(n)) for n, p in zip(names, pieces, strict=True)}
    if len(shapes) > 1:
        return _by_folder(names, labels_inside=labels_inside)
    columns = [[p[i] for p in pieces] for i in range(len(pieces[0]))]
    few = [i for i, column in enumerate(columns) if _categorical(column, len(names))]
    groups = [i for i in few if all(GROUP_NAME.fullmatch(v) for v in columns[i])]
    words = [i for i in few if i not in groups]
    if labels_inside:
        return _built(names[0], pieces[0], None, next(iter(groups or words), None), sure=True)
    if not words:
        raise _no_label(names)
    label = words[0]
    others = [i for i in words if i != label]
    takes = [i for i in others if all(v.isdigit() for v in columns[i])]
    ids = [i for i, column in enumerate(columns) if i != label and _identifier(column)]
    group = next(iter([*groups, *(i for i in others if i not in takes), *ids, *takes]), None)
    return _built(names[0], pieces[0], label, group, sure=len(words) == 1 or bool(groups))


def _between(name: str) -> str:
    return _PIECE.sub("x", str(Path(name).with_suffix("")))


def _categorical(column: Sequence[str], files: int) -> bool:
    """A few values, each of several files, and not the names of splits."""
    different = set(column)
    return (
        2 <= len(different) <= min(MAX_CLASSES, max(2, files // 2))
        and not {v.lower() for v in different} <= SPLIT_NAMES
    )


def _identifier(column: Sequence[str]) -> bool:
    """Several files share a value, as they do with a speaker's number."""
    different = len(set(column))
    return 3 <= different < len(column) and all(len(v) >= 4 for v in column)


def _built(
    name: str, pieces: Sequence[str], label: int | None, group: int | None, *, sure: bool
) -> Names:
    """The pattern of names that are all built as `name`."""
    parts, at = [], 0
    for i, piece in enumerate(pieces):
        start = name.index(piece, at)
        parts.append(re.escape(name[at:start]))
        inner = r"[^/._\- ]+"
        parts.append(f"(?P<label>{inner})" if i == label else "")
        parts[-1] = parts[-1] or (f"(?P<group>{inner})" if i == group else inner)
        at = start + len(piece)
    suffix = r"\.\w+"
    return Names(pattern="".join(parts) + suffix, sure=sure)


def _by_folder(names: Sequence[str], *, labels_inside: bool) -> Names:
    """Names of several builds: the folder, or what they begin with, is the label."""
    if labels_inside:
        return Names(pattern=".+", sure=True)
    depths = {name.count("/") for name in names}
    if depths == {1}:
        return Names(pattern=r"(?P<label>[^/]+)/[^/]+", sure=True)
    heads = [re.match(r"(.*/)?([^\W\d_]+)", name) for name in names]
    if all(heads) and 2 <= len({h[2] for h in heads if h}) <= max(2, len(names) // 2):
        return Names(pattern=r"(?:.*/)?(?P<label>[^\W\d_]+)[^/]*", sure=False)
    if len(names) <= MAX_CLASSES and depths == {0}:
        return Names(pattern=r"(?P<label>[^/]+)\.\w+", sure=False)
    raise _no_label(names)


def _no_label(names: Sequence[str]) -> ConfigError:
    return ConfigError(
        f"the names do not tell the labels: {', '.join(names[:3])}, ...; say which part it is: "
        "--names '{label}/{group}_{}.wav', where {} is any text; or give the files a column `label`"
    )
