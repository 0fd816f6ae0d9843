"""Recorded benchmarks, one record a commit, and what has changed since.

docs/bench_history.json is a list, newest last. Counts of an emulator are exact, so a record
compares with a later run of the same model and the same compiler to the instruction.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from host_tools.errors import UsageError
from model.files import write_json
from model.paths import ROOT

HISTORY = ROOT / "docs" / "bench_history.json"
LIMIT = 0.02  # a value may grow by so much without a reason
VALUES = ("instructions", "cycles", "code_bytes", "weight_bytes", "arena_bytes")
GIT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What is kept of one model on one board."""

    model: str
    board: str
    model_sha256: str
    compiler: str  # first line of its --version
    instructions: int
    code_bytes: int
    weight_bytes: int
    arena_bytes: int
    footprint: dict[str, int] | None = None  # what the constants are for; None in older records
    cycles: int | None = None  # of the chip, the estimate's middle; None in older records


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One commit's entries; `reason` says why something grew, None when nothing did."""

    commit: str
    reason: str | None
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """A value that is larger than recorded, by more than LIMIT."""

    entry: Entry
    value: str
    before: int
    commit: str

    def __str__(self) -> str:
        now = getattr(self.entry, self.value)
        return (
            f"{self.entry.model} on {self.entry.board}: {self.value} {now:,}, recorded at "
            f"{self.commit} {self.before:,} ({now / self.before - 1:+.1%})"
        )


def load_history(path: Path = HISTORY) -> list[Record]:
    """All records, newest last; none when the file does not exist. UsageError when damaged."""
    if not path.exists():
        return []
    try:
        return [
            Record(
                commit=record["commit"],
                reason=record["reason"],
                entries=tuple(Entry(**entry) for entry in record["entries"]),
            )
            for record in json.loads(path.read_text("utf-8"))
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path}: not a list of benchmark records: {error!r}; restore it from the repository"
        ) from error


def last_entry(history: Sequence[Record], entry: Entry) -> tuple[str, Entry] | None:
    """The newest recorded entry that `entry` compares with, and its commit.

    The same model, board and compiler: other compilers give other counts.
    """
    for record in reversed(history):
        for found in record.entries:
            if _key(found) == _key(entry):
                return record.commit, found
    return None


def growths(history: Sequence[Record], entries: tuple[Entry, ...]) -> Iterator[Growth]:
    """Every value of `entries` that has grown by more than LIMIT since it was last recorded."""
    for entry in entries:
        if (last := last_entry(history, entry)) is None:
            continue
        for value in VALUES:
            before, now = getattr(last[1], value), getattr(entry, value)
            if before is not None and now is not None and now > before * (1 + LIMIT):
                yield Growth(entry=entry, value=value, before=before, commit=last[0])


def record(entries: tuple[Entry, ...], reason: str | None, path: Path = HISTORY) -> Record:
    """Append a record of the commit that is checked out.

    Raises UsageError when the working tree has changes, when the commit is recorded already, and
    when something has grown and no reason is given.
    """
    history = load_history(path)
    commit = checked_out_commit(path)
    if any(known.commit == commit for known in history):
        raise UsageError(f"{path.name}: commit {commit} is recorded already")
    grown = [str(growth) for growth in growths(history, entries)]
    if grown and not reason:
        raise UsageError(
            "\n".join(["these have grown by more than 2 %, and no reason is given:", *grown])
            + '\nMake them smaller, or record them with REASON="why"'
        )
    new = Record(commit=commit, reason=reason or None, entries=entries)
    write_json(path, [asdict(known) for known in [*history, new]])
    return new


def checked_out_commit(path: Path = HISTORY) -> str:
    """The short hash of HEAD. UsageError when tracked files other than `path` differ from it."""
    lines = _git("status", "--porcelain", "--untracked-files=no").splitlines()
    changed = [line[3:] for line in lines if (ROOT / line[3:]) != path]
    if changed:
        raise UsageError(
            f"the working tree has changes ({', '.join(changed[:3])}): commit them first, so that "
            "the record belongs to a commit"
        )
    return _git("rev-parse", "--short=10", "HEAD").strip()


def _key(entry: Entry) -> tuple[str, str, str, str]:
    return entry.model, entry.board, entry.model_sha256, entry.compiler


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=GIT_S, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise UsageError(f"{' '.join(command)}: {error}") from error
