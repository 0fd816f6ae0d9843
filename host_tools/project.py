"""A project: a folder with recipes and data. Results go to its build/, experiments to its store."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from host_tools.errors import UsageError
from host_tools.stages.engine import digest
from host_tools.stages.graph import Source, model_name
from host_tools.stages.lock import locked
from model.errors import ConfigError
from model.files import read_bounded, write_bytes, write_json
from model.paths import CHECKOUT, ROOT
from model.recipe import RECIPES, find_recipe, load_recipe, recipe_names
from quantize.errors import ModelError
from quantize.tflite.reader import read_model

BUILD = Path("build")  # from the project's folder, in which every command runs
DEMO = "motion"  # the example that a checkout runs without a recipe of its own
IMPORTED = "import.json"  # how a model made elsewhere was taken over
NUMBERS = ("cases", "constants_bytes", "ram_bytes")  # of import.json
KEYS = (*NUMBERS, "inputs", "float_model", "file")
MODEL = "model.tflite"
FLOAT_SUFFIXES = (".tflite", ".keras", ".h5")  # of a float original
HASH_DIGITS = 8  # of a model's SHA-256 in its folder's name
MAX_FILE_BYTES = 64 << 20  # of a model and of its inputs
DEFAULT_CASES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """What is said of a model made elsewhere; None: as it was imported before."""

    cases: int | None = None
    inputs: Path | None = None
    float_model: Path | None = None
    constants_bytes: int | None = None
    ram_bytes: int | None = None
    dry: bool = False  # only to print what would run: nothing is written


def project_of(folder: Path | None, source: str | None) -> Path:
    """The project's folder: the one named, that of a recipe given by its path, or this one."""
    if folder is not None:
        if not folder.is_dir():
            raise UsageError(f"--project {folder}: no such folder; `tinyproof new` makes one")
        return folder.absolute()
    if source and source.endswith(".toml"):
        path = Path(source).absolute()
        if path.is_file() and path.parent != RECIPES:
            return path.parent
    return Path.cwd()


def require_checkout(what: str) -> None:
    """UsageError where `what` would write into an installed tinyproof."""
    if not CHECKOUT:
        raise UsageError(f"{what}: only in a checkout of tinyproof, whose documents it writes")


def open_source(text: str | None, model: Path | None, options: Import) -> Source:
    """The recipe or model that is meant, in the current project.

    `text` is a recipe's name, the path of a .toml or of a model, or the name of an imported model;
    `model` is a model's path or an imported model's name. Without both, the project's only recipe
    or imported model is meant. Raises UsageError, ConfigError or ModelError with what there is.
    """
    if model is not None:
        found = None if model.is_file() else _imported(model.name)
        return _reopen(found, options) if found else import_model(model, options)
    text = text or _only_source()
    if not text.endswith(".toml"):
        if Path(text).is_absolute():
            return import_model(Path(text), options)
        if not _is_recipe_name(text) and (found := _imported(text)):
            return _reopen(found, options)
    recipe = load_recipe(text)
    if options.inputs or options.float_model:
        raise UsageError(
            f"{text}: a recipe has inputs and a float model of its own; leave them out"
        )
    return Source(
        folder=BUILD / "recipes" / recipe.name,
        name=recipe.name,
        recipe=recipe,
        constants_bytes=options.constants_bytes,
        ram_bytes=options.ram_bytes,
    )


def _is_recipe_name(text: str) -> bool:
    try:
        find_recipe(text)
    except ConfigError:
        return False
    return True


def _only_source() -> str:
    recipes, models = recipe_names(Path()), sorted(p.name for p in _model_folders())
    if len(recipes) == 1:
        return recipes[0]
    if not recipes and len(models) == 1:
        return models[0]
    if not recipes and Path.cwd() == ROOT and CHECKOUT:
        return DEMO
    there = [*recipes, *models]
    raise UsageError(
        "which recipe or model? "
        + (
            f"Give one of: {', '.join(there)}"
            if there
            else "This folder has none: `tinyproof new NAME` makes a project, "
            "`tinyproof import FILE.tflite` takes a model"
        )
    )


def _model_folders() -> list[Path]:
    return [path.parent for path in (BUILD / "models").glob(f"*/{IMPORTED}")]


def _imported(text: str) -> Path | None:
    """The folder of an imported model: its whole name, or without the hash where it is the one."""
    short = {p: p.name[: -HASH_DIGITS - 1] for p in _model_folders()}
    found = [p for p in short if text in (p.name, short[p])]
    if len(found) > 1:
        names = ", ".join(sorted(p.name for p in found))
        raise UsageError(f"{text}: {len(found)} models of that name: {names}; give one of these")
    return found[0] if found else None


def import_model(
    path: Path, options: Import, *, anew: bool = False, below: Path = BUILD / "models"
) -> Source:
    """Copy a model made elsewhere into <below>/<name>-<hash8>, with what belongs to it.

    `anew` forgets how it was imported before. Raises ModelError for a file that cannot be read, is
    too large or is no float model.
    """
    model = _read(path)
    read_model(path)  # refuse what is none before anything is written
    digits = hashlib.sha256(model).hexdigest()[:HASH_DIGITS]
    folder = below / f"{model_name(path)}-{digits}"
    name = os.fsencode(path.name).decode("utf-8", "replace")
    before = {} if anew else _import_record(folder)
    if options.dry:
        return _source(folder, _record(before, options, name), options)
    with locked(folder):
        _keep(folder / MODEL, model)
        return _take_over(folder, options, before, name)


def _reopen(folder: Path, options: Import) -> Source:
    """A model that was imported before, with what is said of it now."""
    if digest(folder / MODEL)[:HASH_DIGITS] != folder.name[-HASH_DIGITS:]:
        raise UsageError(
            f"{folder / MODEL}: not the model that was imported (its SHA-256 does not begin with "
            f"{folder.name[-HASH_DIGITS:]}); delete {folder} and import the model again"
        )
    before = _import_record(folder)
    if options.dry:
        return _source(folder, _record(before, options, None), options)
    with locked(folder):
        return _take_over(folder, options, before, None)


def _take_over(
    folder: Path, options: Import, before: dict[str, Any], file_name: str | None
) -> Source:
    """Copy what belongs to the model in `folder`, and write how it is run from now on."""
    record = _record(before, options, file_name)
    for key, path in (("inputs", options.inputs), ("float_model", options.float_model)):
        if path is not None:
            _keep(folder / str(record[key]), _read(path))
    if record != _import_record(folder):
        write_json(folder / IMPORTED, record)
    return _source(folder, record, options)


def _record(before: dict[str, Any], options: Import, file_name: str | None) -> dict[str, Any]:
    """What import.json shall hold: as is said now, else as it was, else by default.

    Inputs and float models that are said count for later too; numbers only at the first import.
    """
    defaults = {"cases": DEFAULT_CASES, "inputs": None, "float_model": None}
    record = {**defaults, "constants_bytes": None, "ram_bytes": None, **before}
    if file_name is not None:
        record["file"] = file_name
    if not before:
        record |= _said(options)
    for key, path, suffixes in (
        ("inputs", options.inputs, (".npz",)),
        ("float_model", options.float_model, FLOAT_SUFFIXES),
    ):
        if path is not None:
            if path.suffix.lower() not in suffixes:
                raise ModelError(f"{path}: expected a file *{' or *'.join(suffixes)}")
            record[key] = f"{key}{path.suffix.lower()}"
    return record


def _said(options: Import) -> dict[str, int]:
    said = {key: getattr(options, key) for key in NUMBERS}
    return {key: value for key, value in said.items() if value is not None}


def _source(folder: Path, record: dict[str, Any], options: Import) -> Source:
    return Source(
        folder=folder,
        name=folder.name,
        recipe=None,
        inputs=record["inputs"],
        float_model=record["float_model"],
        **{key: record[key] for key in NUMBERS} | _said(options),
    )


def _import_record(folder: Path) -> dict[str, Any]:
    """import.json; empty when there is none or it is damaged, and then all is as by default."""
    try:
        content = json.loads((folder / IMPORTED).read_text("utf-8"))
        kept = {key: {"ram_bytes": None, **content}[key] for key in KEYS}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}
    names = {
        "inputs": ("inputs.npz",),
        "float_model": tuple(f"float_model{s}" for s in FLOAT_SUFFIXES),
    }
    budgets = [kept[key] for key in NUMBERS if key != "cases"]
    numbers = type(kept["cases"]) is int and all(type(b) in (int, type(None)) for b in budgets)
    whole = numbers and all(kept[key] is None or kept[key] in known for key, known in names.items())
    return kept if whole else {}


def _keep(path: Path, data: bytes) -> None:
    """Write a copy unless it is there already."""
    if not path.is_file() or path.read_bytes() != data:
        write_bytes(path, data)


def _read(path: Path) -> bytes:
    try:
        data = read_bounded(path, MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}; give the path of an existing file") from error
    if len(data) > MAX_FILE_BYTES:
        raise ModelError(f"{path}: expected at most {MAX_FILE_BYTES:,} bytes, got more")
    return data
