"""What a folder of data looks like: its source, and what the parts of its file names are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from model.datasets import csv_folder, edge_impulse, wav_folder
from model.datasets.folder import compile_pattern
from model.datasets.paths import list_files
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
_DATE = re.compile(
    r"((19|20)\d\d(?P<by>[-_./]?)(0[1-9]|1[0-2])(?P=by)(0[1-9]|[12]\d|3[01])"
    r"|(19|20)\d\d-(0[1-9]|1[0-2])|\d\d(?P<and>[-_.])\d\d(?P=and)(19|20)\d\d)"
    r"(T\d\d[-:._]?\d\d([-:._]?\d\d)?Z?)?(?![^/._\- ])"
)
_WORD = r"[^/._\- ]+"
_PIECE = re.compile(rf"(?<![^/._\- ]){_DATE.pattern}|{_WORD}")
_NUMBER = re.compile(r"\d+|[0-9a-fA-F]{6,}")
_FIELD = re.compile(r"\{(label|group|)\}")
MAX_CLASSES = 200
ALIKE = 0.05  # lengths of files that differ by no larger share are alike
NOISE = "_background_noise_"  # a folder of WAV files, in Speech Commands; others are classes
LIST_NAMES = {  # of Speech Commands and others that are built as it is
    "val": ("validation_list.txt", "val_list.txt"),
    "test": ("testing_list.txt", "test_list.txt"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """What a folder has besides recordings of its classes."""

    noise: str  # the name of its folder; '': there is none
    lists: dict[str, str]  # 'val' and 'test' -> the name of a list file; empty: there are none


def find_extras(folder: Path, source: str, names: Sequence[str]) -> Extras:
    """Background noise, and list files of what is held out, of a data set with these files."""
    noisy = source == "wav_folder" and any(name.startswith(f"{NOISE}/") for name in names)
    lists = {
        split: name
        for split, known in LIST_NAMES.items()
        for name in known
        if (folder / name).is_file()
    }
    return Extras(
        noise=NOISE if noisy else "", lists=lists if len(lists) == len(LIST_NAMES) else {}
    )


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
    names: str  # what --names needs for the same
    sure: bool  # no other part could be the label


def find_source(folder: Path) -> tuple[str, list[str]]:
    """(source, names of its files): of the kinds of files that we read the most frequent one.

    Raises ConfigError for a folder that has none.
    """
    if folder.is_file() and folder.suffix.lower() == ".npz":
        return "numpy_file", [folder.name]
    if not folder.is_dir():
        raise ConfigError(f"--from {folder}: expected a folder or an .npz file; no such one")
    known = {suffix: source for source, suffixes in SOURCES.items() for suffix in suffixes}
    paths = list_files(folder, tuple(known))
    if not paths:
        ends = Counter(path.suffix.lower() for path in list_files(folder)).most_common(5)
        raise ConfigError(
            f"--from {folder}: expected files *{', *'.join(known)} or an .npz file, got "
            f"{dict(ends) or 'none'}; see model/datasets/README.md"
        )
    sources = [known[path.suffix.lower()] for path in paths]
    source = Counter(sources).most_common(1)[0][0]
    chosen = [p for p, of in zip(paths, sources, strict=True) if of == source]
    return source, [path.relative_to(folder).as_posix() for path in chosen]


def from_template(template: str) -> str:
    """'{label}/{group}_{}.wav' as a regular expression; {} is what does not matter.

    What has a part (?P<label>...) or (?P<group>...) is one already. Raises ConfigError.
    """
    if "(?P<" in template:
        return compile_pattern(template, (), "--names").pattern
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

    The first part with a few words is the label, the next one the group; dates are groups, and
    folders called train, test and so on are neither. Names of different build are told apart by
    their folder only.
    """
    pieces = [[m[0] for m in _PIECE.finditer(str(Path(name).with_suffix("")))] for name in names]
    shapes = {(len(p), _between(n)) for n, p in zip(names, pieces, strict=True)}
    if len(shapes) > 1:
        return _by_folder(names, labels_inside=labels_inside)
    columns = [[p[i] for p in pieces] for i in range(len(pieces[0]))]
    few = [i for i, column in enumerate(columns) if _categorical(column, len(names))]
    dates = [i for i in few if all(map(_DATE.fullmatch, columns[i]))]
    groups = [i for i in few if all(map(GROUP_NAME.fullmatch, columns[i]))] + dates
    words = [i for i in few if i not in groups]
    if labels_inside:
        return _built(names, columns, None, next(iter(groups or words), None), sure=True)
    if not words:
        raise _no_label(names)
    label = words[0]
    others = [i for i in words if i != label]
    takes = [i for i in others if all(v.isdigit() for v in columns[i])]
    ids = [i for i, column in enumerate(columns) if i != label and _identifier(column)]
    group = next(iter([*groups, *(i for i in others if i not in takes), *ids, *takes]), None)
    plain = [i for i in words if not all(map(_NUMBER.fullmatch, columns[i]))]
    return _built(names, columns, label, group, sure=(plain or words) == [label])


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
    names: Sequence[str],
    columns: Sequence[Sequence[str]],
    label: int | None,
    group: int | None,
    *,
    sure: bool,
) -> Names:
    """What fits names that are all built as the first one."""
    pattern, template, at = "", "", 0
    for i, column in enumerate(columns):
        start = names[0].index(column[0], at)
        between, at = names[0][at:start], start + len(column[0])
        key = {label: "label", group: "group"}.get(i, "")
        inner = ".+?" if any(map(_DATE.fullmatch, column)) else _WORD
        pattern += re.escape(between) + (f"(?P<{key}>{inner})" if key else inner)
        template += f"{between}{{{key}}}"
    pattern += r"\.\w+"
    ends = {Path(name).suffix for name in names}
    template += ends.pop() if len(ends) == 1 else ".{}"
    same = all(_parts(pattern, name) == _parts(from_template(template), name) for name in names)
    return Names(pattern=pattern, names=template if same else pattern, sure=sure)


def _parts(pattern: str, name: str) -> dict[str, str] | None:
    match = re.fullmatch(pattern, name)
    return match.groupdict() if match else None


def _by_folder(names: Sequence[str], *, labels_inside: bool) -> Names:
    """Names of several builds: the folder, or what they begin with, is the label."""
    if labels_inside:
        return Names(pattern=".+", names="{}", sure=True)
    depths = {name.count("/") for name in names}
    tops = [name.split("/")[0] for name in names]
    grouped = depths == {1} and all(_DATE.fullmatch(t) or GROUP_NAME.fullmatch(t) for t in tops)
    heads = [m[2] for n in names if (m := re.match(r"(.*/)?([^\W\d_]+)", n))]
    words = len(heads) == len(names) and 2 <= len(set(heads)) <= max(2, len(names) // 2)
    if depths == {1} and not grouped and not {t.lower() for t in tops} <= SPLIT_NAMES:
        mixed = words and len(set(zip(tops, heads, strict=True))) > len(set(heads))
        return Names(pattern=r"(?P<label>[^/]+)/[^/]+", names="{label}/{}", sure=not mixed)
    if words:
        place = "(?P<group>[^/]+)/" if grouped else "(?:.*/)?"
        pattern = rf"{place}(?P<label>[^\W\d_]+)[^/]*"
        return Names(pattern=pattern, names=pattern, sure=False)
    if len(names) <= MAX_CLASSES and depths == {0}:
        return Names(pattern=r"(?P<label>[^/]+)\.\w+", names="{label}.{}", sure=False)
    raise _no_label(names)


def _no_label(names: Sequence[str]) -> ConfigError:
    return ConfigError(
        f"the names do not tell the labels: {', '.join(names[:3])}, ...; say which part it is: "
        "--names '{label}/{group}_{}.wav', where {} is any text; or give the files a column `label`"
    )
