"""Make a project folder with a recipe that runs at once."""

from __future__ import annotations

import copy
import dataclasses
import math
import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from host_tools.errors import UsageError
from model.complete import complete
from model.datasets import csv_folder, wav_folder
from model.datasets.folder import IrregularError, SourceFile, read_file
from model.draft import Draft
from model.errors import ConfigError
from model.files import write_text
from model.guess import (
    find_extras,
    find_source,
    from_template,
    guess_names,
    usual_length,
    with_noise,
)
from model.recipe import Recipe
from model.recipe_file import RECIPES, load_recipe, lock_path, record_data
from model.recipe_rules import NAME
from model.recipe_text import recipe_text
from model.toml_reader import accept, refuse, table_type

PATHS = {"folder", "file", "val_list", "test_list", "background"}  # keys
RESAMPLE_PERIODS = 10  # the longest gap that a new recipe fills
PEOPLE, LABELS, TAKES = ("ann", "bob", "cleo", "dan", "eve"), ("circle", "rest", "wave"), 2
RATE_HZ, SECONDS = 50, 12
OWN_DATA = (
    "Your own data: replace the files in `data/` (a CSV a recording, named "
    "`label.person.number.csv`),\n"
    "correct labels, groups and channels in the recipe, then `tinyproof check --accept`."
)
FROM_DATA = "The data stay where they are. After a change of them: `tinyproof check --accept`."
EXAMPLE_DATA = (
    "The data come with tinyproof or from the place that the recipe names; `data/` is for your own."
)
MADE_UP = (
    "# Gestures from an accelerometer. The recordings in data/ are made up, so that all runs at "
    "once;\n# put yours in their place.\n"
)
SHOWN = 4  # channels of a message
FAR = 4  # folders up; what is farther away gets an absolute path
_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates" / "new"),
    keep_trailing_newline=True,
    undefined=jinja2.StrictUndefined,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is said of data that a recipe is to be made for."""

    names: str | None = None  # template of the file names
    sample_rate_hz: float | None = None
    channels: tuple[str, ...] = ()
    units: tuple[str, ...] = ()


Ask = Callable[[str, str], str]  # (question, answer by default) -> answer


def make_project(
    folder: Path,
    *,
    example: str | None = None,
    data: Path | None = None,
    look: Look | None = None,
    ask: Ask | None = None,
) -> Path:
    """The folder with everything in it, or nothing; returns it.

    `ask` is asked what the data do not tell; without it that is an error. Raises UsageError for a
    name that no recipe can have and for a folder that has files, ConfigError and DataError for
    data that no recipe can be made for.
    """
    if ".." in folder.parts:
        folder = folder.resolve()  # no folder is made that it only passes through
    name = folder.name
    if not NAME.fullmatch(name):
        raise UsageError(
            f"new {name!r}: expected up to 64 letters, digits, '_', '.' and '-', because the "
            "recipe and its results get this name"
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder}: exists already; give the name of a new folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=folder.parent) as place:
        made = Path(place) / name
        made.mkdir()
        recipe = made / f"{name}.toml"
        if example is not None:
            (made / "data").mkdir()
            write_text(recipe, (RECIPES / f"{example}.toml").read_text("utf-8"))
            if (lock := lock_path(RECIPES / f"{example}.toml")).exists():
                write_text(lock_path(recipe), lock.read_text("utf-8"))
            said = EXAMPLE_DATA
        elif data is not None:
            _write_recipe(recipe, data, _from(data, folder), look or Look(), ask)
            said = FROM_DATA
        else:
            (made / "data").mkdir()
            _write_recordings(made / "data")
            gestures = Look(names="{label}.{group}.{}.csv", units=("g", "g", "g"))
            _write_recipe(recipe, made / "data", "data", gestures, None, MADE_UP)
            said = OWN_DATA
        write_text(made / "README.md", _render("README.md", name=name, data=said))
        write_text(made / ".gitignore", "build/\n.experiments/\n")
        if folder.exists():
            folder.rmdir()
        shutil.move(made, folder)
    return folder


def _from(data: Path, project: Path) -> str:
    """The data's path as a recipe in `project` names it."""
    relative = Path(os.path.relpath(data.resolve(), project.resolve()))
    return (data.resolve() if relative.parts[:FAR] == ("..",) * FAR else relative).as_posix()


def _write_recipe(
    recipe: Path, data: Path, folder: str, look: Look, ask: Ask | None, head: str = ""
) -> None:
    """A recipe for `data`, which it calls `folder`, and its lock file."""
    source, names = find_source(data)
    table: dict[str, Any] = {"file" if source == "numpy_file" else "folder": str(data)}
    notes: dict[str, str] = {}
    dataset: dict[str, Any] = {source: table}
    tables: dict[str, Any] = {"name": recipe.stem, "dataset": dataset}
    if source != "numpy_file":
        extras = find_extras(data, source, names)
        own = [
            n for n in names if n.split("/")[0] != extras.noise and n not in extras.lists.values()
        ]
        table["pattern"] = _pattern(data, source, own, look, ask)
        notes[f"dataset.{source}.pattern"] = _explained(table["pattern"], own)
        if source == "wav_folder" and (name := usual_length(data, own)):
            content, _ = read_file(data / name)
            clip, rate = wav_folder.decode(SourceFile(name=name, data=content))
            table["clip_seconds"] = float(f"{len(clip) / rate:.3g}")
            notes["dataset.wav_folder.clip_seconds"] = "as most are; the shorter ones get silence"
        for split, name in extras.lists.items():
            dataset[f"{split}_list"] = f"{data}/{name}"
        if extras.noise:
            _mix_in(tables, source, f"{data}/{extras.noise}", own, notes)
    if look.channels:
        dataset["channels"] = look.channels
    if look.units:
        dataset["units"] = look.units
    if look.sample_rate_hz:
        dataset["sample_rate_hz"] = look.sample_rate_hz
    elif _needs_rate(source, data):
        if ask is None:
            raise UsageError(f"{data}: the files have no times; say their rate: --rate 50 (in Hz)")
        dataset["sample_rate_hz"] = _rate(ask("Samples a second (Hz)?", ""))
    draft, found = _completed(tables, notes)
    _rename(draft.tables, str(data), folder)
    values = {k: v for k, v in draft.tables.items() if k != "name"}
    values["dataset"] = {k: v for k, v in values["dataset"].items() if v != ()}
    write_text(recipe, head + recipe_text(_ordered(values), notes))
    try:
        record_data(recipe, found)
        load_recipe(str(recipe), write_lock=False)
    except ConfigError as error:
        raise ConfigError(f"{error}\n{_reasons(draft)}") from error


def _reasons(draft: Draft) -> str:
    """What in the data the values of a recipe follow from."""
    told = []
    for i, channel in enumerate(draft["dataset.channels"][:SHOWN]):
        peaks = [(float(np.abs(r.values[:, i]).max()), r.name) for r in draft.dataset.recordings]
        peak, name = max((p for p in peaks if not math.isnan(p[0])), default=(math.nan, ""))
        told.append(f"channel {channel!r} goes to {peak:.4g} ({name})")
    return (
        f"no recipe is made: that follows from {draft['dataset.sample_rate_hz']:g} samples a "
        f"second, and {'; '.join(told)}; scale or correct the data"
    )


def _mix_in(
    tables: dict[str, Any], source: str, folder: str, names: list[str], notes: dict[str, str]
) -> None:
    """Background noise is no class, but is heard behind the others."""
    dataset, noise = tables["dataset"], Path(folder).name
    table = dataset[source]
    found = [re.fullmatch(table["pattern"], name) for name in names]
    labels = sorted({match["label"] for match in found if match})
    table["pattern"] = with_noise(table["pattern"], noise)
    dataset["merge"] = {**{label: label for label in labels}, noise: ""}
    notes |= {f"dataset.merge.{label}": "a class" for label in labels}
    notes[f"dataset.merge.{noise}"] = "no class: left out here, and mixed in by [augment]"
    tables["augment"] = {"background": folder, "background_snr_db": (5.0, 25.0)}


def _rename(tables: dict[str, Any], data: str, folder: str) -> None:
    """Paths in `data` as the recipe in its project has them."""
    for key, value in tables.items():
        if isinstance(value, dict):
            _rename(value, data, folder)
        elif isinstance(value, str) and key in PATHS and (f"{value}/").startswith(f"{data}/"):
            tables[key] = folder + value[len(data) :]


def _completed(tables: dict[str, Any], notes: dict[str, str]) -> tuple[Draft, str]:
    """(a draft with all keys, SHA-256 of its data); with [dataset.resample] where they need it."""
    problems: list[str] = []
    values = accept(Recipe, copy.deepcopy(_lists(tables)), problems)
    refuse("new", problems)
    draft = Draft(values)
    try:
        complete(draft, {}, problems, allow_data=True)
    except IrregularError as error:
        if "resample" in tables["dataset"]:
            raise
        rate = tables["dataset"].get("sample_rate_hz") or draft.get("dataset.sample_rate_hz") or 0.0
        gap_s = float(f"{RESAMPLE_PERIODS / rate:.3g}") if rate else 0.5
        tables["dataset"]["resample"] = {"method": "linear", "max_gap_s": gap_s}
        reason = str(error).splitlines()[:2][-1].strip().split("; ")[0]
        notes["dataset.resample.max_gap_s"] = f"needed: {reason}"
        return _completed(tables, notes)
    refuse("new", problems)
    return draft, draft.dataset.sha256


def _lists(tables: Mapping[str, Any]) -> dict[str, Any]:
    """Tuples as the lists that TOML has."""
    return {
        k: _lists(v) if isinstance(v, Mapping) else list(v) if isinstance(v, tuple) else v
        for k, v in tables.items()
    }


def _ordered(values: Mapping[str, Any], kind: type = Recipe) -> dict[str, Any]:
    """In the order of the reference."""
    names = [f.name for f in dataclasses.fields(kind) if f.name in values]
    return {
        name: _ordered(values[name], table_type(kind, name))
        if isinstance(values[name], Mapping) and name != "merge"
        else values[name]
        for name in names
    }


def _pattern(data: Path, source: str, names: list[str], look: Look, ask: Ask | None) -> str:
    if look.names:
        return from_template(look.names)
    inside = False
    if source == "csv_folder":
        inside = bool(csv_folder.survey(data, look.sample_rate_hz or 0.0).label)
    guess = guess_names(names, labels_inside=inside)
    if guess.sure:
        return guess.pattern
    explained = _explained(guess.pattern, names)
    if ask is None:
        raise UsageError(
            f"{data}: the names do not tell for sure which part is the label; a guess is "
            f"{explained}; where that is right, add --names {shlex.quote(guess.names)}, else say "
            "it as in --names '{group}/{label}_{}.wav' ({} is any text)"
        )
    print(explained)
    template = ask(
        "Is that right? Enter, or the names as in '{group}/{label}_{}.wav' ({} is any text)", ""
    )
    return from_template(template) if template else guess.pattern


def _explained(pattern: str, names: list[str]) -> str:
    """What the pattern makes of a name."""
    match = re.fullmatch(pattern, names[0])
    if match is None:
        raise UsageError(
            f"--names: {names[0]!r} does not fit; the names are {', '.join(names[:5])}, ..."
        )
    parts = ", ".join(f"{k} {v!r}" for k, v in match.groupdict().items())
    group = "" if "group" in match.groupdict() else "; each recording is a group of its own"
    return "".join(c if c.isprintable() else "?" for c in f"{names[0]}: {parts or 'any'}{group}")


def _needs_rate(source: str, data: Path) -> bool:
    if source == "csv_folder":
        return not csv_folder.survey(data, 0.0).time
    return source == "numpy_file"


def _rate(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise UsageError(f"expected a number of samples a second, got {text!r}") from error


def _render(template: str, **values: str) -> str:
    return _TEMPLATES.get_template(f"{template}.jinja").render(**values)


def _write_recordings(folder: Path) -> None:
    """Made-up takes of every label and person, the same every time."""
    rng = np.random.default_rng(1)
    for person in PEOPLE:
        tempo, size = rng.uniform(0.9, 1.1), rng.uniform(0.8, 1.2)
        for label in LABELS:
            for take in range(1, TAKES + 1):
                rows = _samples(label, tempo, size, rng)
                text = "ms,ax,ay,az\n" + "".join(
                    f"{i * 1000 // RATE_HZ},{x:.4f},{y:.4f},{z:.4f}\n"
                    for i, (x, y, z) in enumerate(rows)
                )
                write_text(folder / f"{label}.{person}.{take}.csv", text)


def _samples(
    label: str, tempo: float, size: float, rng: np.random.Generator
) -> list[tuple[float, float, float]]:
    """Acceleration in g: a circle at 1 Hz, a wave at 2.5 Hz, or rest, with noise."""
    found = []
    phase = rng.uniform(0, 2 * math.pi)
    for i in range(RATE_HZ * SECONDS):
        turn = 2 * math.pi * tempo * i / RATE_HZ + phase
        x, y = {
            "circle": (math.cos(turn), math.sin(turn)),
            "wave": (1.2 * math.sin(2.5 * turn), 0.1 * math.sin(2.5 * turn)),
            "rest": (0.0, 0.0),
        }[label]
        noise = rng.normal(0, 0.03, 3)
        found.append((size * x + noise[0], size * y + noise[1], 1 + noise[2]))
    return found
