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
    group = next(iter(groups + [i for i in words if i != label]), None)
    ids = [i for i, column in enumerate(columns) if i != label and _identifier(column)]
    chosen = group if group is not None else next(iter(ids), None)
    return _built(names[0], pieces[0], label, chosen, sure=len(words) == 1 or bool(groups))


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
