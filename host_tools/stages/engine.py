"""Do a stage again when the content of something it has read differs, whatever its date.

A stage is a function that reads and writes files of one folder. After it has run, its stamp
<folder>/.stages/<name>.json holds the SHA-256 of every file it read and wrote, and the value of
every other fact (a recipe's field, a version) that it used. A stage is up to date when all of that
is as in the stamp. The stamp is written last, so what was interrupted is done again.
"""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from host_tools.errors import HostToolsError
from host_tools.stages.code import code_files, versions
from host_tools.stages.digests import MISSING, digest, digests_of
from model.files import write_json
from model.jobs import run as run_job
from model.processes import begin_child

STAMPS = ".stages"
DIGESTS = "digests.cache"  # beside the stamps
NEVER_RUN = "it has not run yet"
SHOWN = 12  # digits of a digest that a message shows


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One step; `reads` and `writes` are patterns below `folder`, `outside` is read as well."""

    name: str
    folder: Path
    entry: str  # 'package.module:function', called with `arguments`
    arguments: Mapping[str, Any]
    reads: tuple[str, ...] = ()
    # a name for messages -> the file, or many that have one digest
    outside: Mapping[str, Path | tuple[Path, ...]] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    writes: tuple[str, ...]
    isolated: bool = False  # in a process of its own: TensorFlow keeps state between trainings

    @property
    def module(self) -> str:
        """The module of its function."""
        return self.entry.split(":")[0]

    @property
    def stamp(self) -> Path:
        """Where the record of its last run lies."""
        return self.folder / STAMPS / f"{self.name}.json"


def matching(folder: Path, patterns: Iterable[str]) -> list[str]:
    """The files below `folder` that the patterns name, sorted."""
    found = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
    return sorted(path.relative_to(folder).as_posix() for path in found)


def facts_of(stage: Stage) -> dict[str, str]:
    """Everything a stage depends on, by a name for messages: values, and digests of files."""
    facts = {**stage.facts, **versions(stage.module)}
    facts |= {f"code {name}": digest(path) for name, path in code_files(stage.module).items()}
    known = digests_of(stage.folder / STAMPS / DIGESTS)
    for name, files in stage.outside.items():
        facts[name] = known.of(files) if isinstance(files, Path) else known.of_all(files)
    known.save()
    return facts | {name: digest(stage.folder / name) for name in _read_files(stage)}


def _read_files(stage: Stage) -> list[str]:
    fixed = {name for name in stage.reads if "*" not in name}
    return sorted(fixed | set(matching(stage.folder, set(stage.reads) - fixed)))


def differences(stage: Stage, facts: Mapping[str, str] | None = None) -> list[str]:
    """What is not as it was when the stage last ran, in words; empty when it is up to date."""
    stamp = _load(stage.stamp)
    if stamp is None:
        return [NEVER_RUN]
    now, told = facts_of(stage) if facts is None else facts, []
    for name in sorted({*now, *stamp["facts"]}):
        was, is_ = stamp["facts"].get(name), now.get(name)
        if was != is_:
            told.append(f"{name}: was {_short(was)}, is {_short(is_)}")
    for name, was in sorted(stamp["files"].items()):
        is_ = digest(stage.folder / name)
        if was != is_:
            changed = "is missing" if is_ == MISSING else "is not as the stage wrote it"
            told.append(f"{name}: {changed}")
    return told


def _short(value: str | None) -> str:
    if value is None:
        return "nothing"
    is_digest = len(value) == 64 and all(c in "0123456789abcdef" for c in value)
    return value[:SHOWN] if is_digest else value[:80]


def _load(path: Path) -> dict[str, dict[str, str]] | None:
    """A stamp; None when there is none or it is damaged, so that the stage is done again."""
    try:
        content = json.loads(path.read_text("utf-8"))
        tables = [content["facts"], content["files"]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    whole = all(isinstance(t, dict) and all(isinstance(v, str) for v in t.values()) for t in tables)
    return content if whole else None


def run(stage: Stage) -> None:
    """Run a stage and write its stamp; raises what the stage raises, and then writes none."""
    with stamped(stage):
        (run_isolated if stage.isolated else run_job)(stage.entry, stage.arguments)


@contextmanager
def stamped(stage: Stage) -> Iterator[None]:
    """What a stage does is done within; its stamp is written behind it, unless that fails."""
    stage.stamp.parent.mkdir(parents=True, exist_ok=True)
    facts = facts_of(stage)
    stage.stamp.unlink(missing_ok=True)
    yield
    files = {name: digest(stage.folder / name) for name in matching(stage.folder, stage.writes)}
    if not files:
        raise HostToolsError(
            f"{stage.folder}: the stage {stage.name!r} has ended and left no {stage.writes[0]}"
        )
    write_json(stage.stamp, {"facts": facts, "files": files})


def run_isolated(entry: str, arguments: Mapping[str, Any]) -> None:
    """The same in a new process, whose exception is raised here."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        1, mp_context=context, initializer=begin_child, initargs=(os.getpid(),)
    ) as pool:
        try:
            pool.submit(run_job, entry, arguments).result()
        except BrokenProcessPool as error:
            raise HostToolsError(
                f"{entry}: its process was ended from outside (too little memory?); run it again"
            ) from error


def update(
    stages: Sequence[Stage], announce: Callable[[Stage, list[str]], None], force: str = ""
) -> bool:
    """Run those of `stages`, in their order, that are not up to date; whether any ran.

    `announce` is told the stage and the reasons before it runs. The stage named `force` runs in
    any case.
    """
    ran = False
    for stage in stages:
        reasons = differences(stage)
        if reasons or stage.name == force:
            announce(stage, reasons or ["you asked for it"])
            run(stage)
            ran = True
    return ran


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What `update` would do with one stage."""

    stage: Stage
    reasons: tuple[str, ...]  # empty: nothing of its own; then it runs only if an earlier one does
    after: tuple[str, ...]  # earlier stages that would run, whose files it reads


def plan(stages: Sequence[Stage]) -> list[Plan]:
    """The stages that would run, or may: what those before them write can come out the same."""
    found: list[Plan] = []
    for stage in stages:
        after = tuple(p.stage.name for p in found if _feeds(p.stage, stage))
        if (reasons := differences(stage)) or after:
            found.append(Plan(stage=stage, reasons=tuple(reasons), after=after))
    return found


def _feeds(earlier: Stage, later: Stage) -> bool:
    """Whether a file that `earlier` writes is one that `later` reads."""
    written = [(earlier.folder / pattern).as_posix() for pattern in earlier.writes]
    read = [later.folder / pattern for pattern in later.reads]
    read += [path for path in later.outside.values() if isinstance(path, Path)]
    return any(_overlap(a, b.as_posix()) for a in written for b in read)


def _overlap(first: str, second: str) -> bool:
    """Whether one of two patterns can name what the other names, part by part."""
    a, b = first.split("/"), second.split("/")
    return len(a) == len(b) and all(
        fnmatchcase(x, y) or fnmatchcase(y, x) for x, y in zip(a, b, strict=True)
    )
