"""A project: a folder with recipes and data. Results go to its build/, experiments to its store."""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from host_tools.errors import UsageError
from host_tools.stages.digests import digest
from host_tools.stages.graph import IMPORTED, Source, model_name
from host_tools.stages.lock import locked
from host_tools.trust import require_trust
from host_tools.wording import as_typed
from model.errors import ConfigError
from model.files import write_bytes
from model.paths import CHECKOUT, ROOT
from model.recipe_file import RECIPES, find_recipe, load_recipe, recipe_names
from model.text import printable
from quantize.advice import is_float
from quantize.errors import ModelError
from quantize.golden import load_inputs
from quantize.tflite import c_array
from quantize.tflite.files import how_to_quantise, model_bytes
from quantize.tflite.reader import parse_model, read_file

BUILD = Path("build")  # from the project's folder, in which every command runs
DEMO = "motion"  # the example that a checkout runs without a recipe of its own
NUMBERS = ("cases", "constants_bytes", "ram_bytes")  # of import.json
KEYS = (*NUMBERS, "inputs", "float_model", "file")
MODEL = "model.tflite"
# Beside a model that tinyproof quantise has made: of what, and at what cost.
QUANTISED = "quantise.json"
LISTED = 10  # models of one name in a message
FLOAT_SUFFIXES = (".tflite", ".keras", ".h5", ".hdf5")  # of a float original
HASH_DIGITS = 8  # of a model's SHA-256 in its folder's name
Hold = Callable[[AbstractContextManager[None]], object]  # keeps a lock for the rest of a command
DEFAULT_CASES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """What is said of a model made elsewhere; None: as it was imported before."""

    cases: int | None = None
    inputs: Path | None = None
    float_model: Path | None = None
    constants_bytes: int | None = None
    array: str | None = None  # of C source: the name of the array that is the model
    ram_bytes: int | None = None
    accept: bool = False  # of a recipe: record its data as they are now
    dry: bool = False  # only to print what would run: nothing is written


def project_of(folder: Path | None, source: str | None) -> Path:
    """The project's folder: the one named, that of a recipe given by its path, or this one."""
    if folder is not None:
        if not folder.is_dir():
            raise UsageError(f"--project {folder}: no such folder; `make new` makes one")
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


def open_source(
    text: str | None, model: Path | None, options: Import, hold: Hold | None = None
) -> Source:
    """The recipe or model that is meant, in the current project.

    `text` is a recipe's name, the path of a .toml or of a model, or the name of an imported model;
    `model` is a model's path or an imported model's name. Without both, the project's only recipe
    or imported model is meant. `hold` takes the lock of a model's folder, which is else let go.
    Raises UsageError, ConfigError or ModelError with what there is.
    """
    if model is not None:
        found = _kept(model)
        return _reopen(found, options, hold) if found else import_model(model, options, hold=hold)
    text = text or _only_source()
    if not text.endswith(".toml"):
        if (path := Path(text)).is_absolute():
            found = _kept(path) if path.is_dir() else None
            return (
                _reopen(found, options, hold) if found else import_model(path, options, hold=hold)
            )
        if not is_recipe_name(text):
            if found := _imported(text):
                return _reopen(found, options, hold)
            raise _unknown(text)
    recipe = load_recipe(text, accept_data=options.accept, write_lock=not options.dry)
    if not options.dry:
        require_trust(recipe.network)
    if options.inputs or options.float_model or options.array:
        raise UsageError(
            f"{text}: a recipe has inputs and a float model of its own, and is no C source; leave "
            "INPUTS=, FLOAT= and ARRAY= out"
        )
    return Source(
        folder=BUILD / "recipes" / recipe.name,
        name=recipe.name,
        recipe=recipe,
        constants_bytes=options.constants_bytes,
        ram_bytes=options.ram_bytes,
    )


def is_recipe_name(text: str) -> bool:
    """Whether a recipe of this folder, or one of ours, has this name."""
    try:
        find_recipe(text)
    except ConfigError:
        return False
    return True


def _unknown(text: str) -> UsageError:
    """The error for a name that is neither a recipe's nor a model's."""
    models = sorted(p.name for p in _model_folders())
    recipes = sorted({*recipe_names(Path()), *recipe_names()})
    close = difflib.get_close_matches(text, [*recipes, *models], 1, 0.5)
    said = f" (did you mean {close[0]!r}?)" if close else ""
    if Path(text).is_file():
        said = ": it is a file; a model's ends in .tflite, a recipe's in .toml"
    elif Path(text).is_dir():
        said = f": it is a folder; --project {text} works in it"
    return UsageError(
        f"{text!r}: no such recipe or model{said}; recipes: {', '.join(recipes)}; imported models: "
        f"{', '.join(models) or 'none'}"
    )


def _only_source() -> str:
    recipes, models = recipe_names(Path()), sorted(p.name for p in _model_folders())
    if len(recipes) == 1:
        return recipes[0]
    if not recipes and Path.cwd() == ROOT and CHECKOUT:
        return DEMO
    if not recipes and len(models) == 1:
        return models[0]
    there = [*recipes, *models]
    raise UsageError(
        "which recipe or model? "
        + (
            f"Give one of: {', '.join(there)}"
            if there
            else "This folder has none: `make new NAME=<name>` makes a project, "
            "`make import MODEL=<file.tflite>` takes a model"
        )
    )


def _model_folders() -> list[Path]:
    return [path.parent for path in (BUILD / "models").glob(f"*/{IMPORTED}")]


def _imported(text: str) -> Path | None:
    """The folder of an imported model: its whole name, or without the hash where it is the one."""
    short = {p: p.name[: -HASH_DIGITS - 1] for p in _model_folders()}
    found = [p for p in short if text in (p.name, short[p])]
    if len(found) > 1:
        raise _several(text, found)
    return found[0] if found else None


def _several(text: str, found: Sequence[Path]) -> UsageError:
    """The error for a short name of several models: the newest first, and how to name it."""
    times = {folder: _made(folder) for folder in found}
    newest = sorted(found, key=lambda folder: (-times[folder], folder.name))
    listed = [
        f"  {folder.name}, {datetime.fromtimestamp(times[folder]):%Y-%m-%d %H:%M:%S}, "
        f"{_origin(folder)}"
        for folder in newest[:LISTED]
    ]
    more = [f"  and {len(found) - LISTED} older ones"] if len(found) > LISTED else []
    context = click.get_current_context(silent=True)
    command = context.info_name if context is not None else "parity"
    first = "\n".join([f"{text!r}: {len(found)} models have that name, the newest first:", *listed])
    return UsageError(
        "\n".join([first, *more, f"for the newest: make {command} MODEL={newest[0].name}"])
    )


def _made(folder: Path) -> float:
    """When a model was made or imported."""
    files = [p for p in (folder / IMPORTED, folder / QUANTISED) if p.is_file()]
    return max((p.stat().st_mtime for p in files), default=0.0)


def _origin(folder: Path) -> str:
    """Which file a model was made of, and with which inputs, as far as that is kept."""
    try:
        made = json.loads((folder / QUANTISED).read_text("utf-8"))
        told = f"made of {made['network']} with {made['inputs']['from']}"
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        try:
            told = f"imported from {_import_record(folder).get('file')}"
        except UsageError:
            told = "imported, its import.json is damaged"
    return printable(told)


def _kept(path: Path) -> Path | None:
    """The folder of the imported model that a path means which is no file; None without one.

    A folder is the float network of a SavedModel at most, from which the kept one was made.
    """
    if path.is_file() or (found := _imported(path.name)) is None:
        return None
    if path.is_dir():
        print(
            as_typed(
                f"{printable(path.name)}: the imported model {found.name}, not the folder of that "
                "name, which is no int8 model (make quantise takes a SavedModel)"
            ),
            file=sys.stderr,
        )
    return found


def model_file(path: Path) -> Path:
    """`path`, or the file of the imported model of that name."""
    found = _kept(path)
    return found / MODEL if found else path


def import_model(
    path: Path,
    options: Import,
    *,
    anew: bool = False,
    below: Path = BUILD / "models",
    hold: Hold | None = None,
) -> Source:
    """Copy a model made elsewhere into <below>/<name>-<hash8>, with what belongs to it.

    `anew` forgets how it was imported before. Raises ModelError for a file that cannot be read, is
    too large or is no float model.
    """
    model = model_bytes(path, options.array)
    if is_float(parse_model(model, str(path))):  # refuse what is none before anything is written
        raise ModelError(
            f"{path}: its activations are float, expected an int8 model; {how_to_quantise(path)} "
            "makes one of a float network"
        )
    digits = hashlib.sha256(model).hexdigest()[:HASH_DIGITS]
    folder = below / f"{model_name(path)}-{digits}"
    name = os.fsencode(path.name).decode("utf-8", "replace")
    if options.dry:
        before = {} if anew else _import_record(folder)
        return _source(folder, _record(before, options, name, anew=anew), options)
    with ExitStack() as own:
        (hold or own.enter_context)(locked(folder))
        _keep(folder / MODEL, model)
        return _take_over(folder, options, name, anew=anew)


def _reopen(folder: Path, options: Import, hold: Hold | None) -> Source:
    """A model that was imported before, with what is said of it now."""
    if digest(folder / MODEL)[:HASH_DIGITS] != folder.name[-HASH_DIGITS:]:
        raise UsageError(
            f"{folder / MODEL}: not the model that was imported (its SHA-256 does not begin with "
            f"{folder.name[-HASH_DIGITS:]}); delete {folder} and import the model again"
        )
    if options.array:
        raise UsageError(f"--array {options.array} (ARRAY=): {folder.name} is imported already")
    if options.dry:
        return _source(folder, _record(_import_record(folder), options, None), options)
    with ExitStack() as own:
        (hold or own.enter_context)(locked(folder))
        return _take_over(folder, options, None)


def _take_over(
    folder: Path, options: Import, file_name: str | None, *, anew: bool = False
) -> Source:
    """Copy what belongs to the model in `folder`.

    How it is run from now on is written when it has run so: what is refused is not remembered.
    """
    before = {} if anew else _import_record(folder)
    record = _record(before, options, file_name, anew=anew)
    for key, path in (("inputs", options.inputs), ("float_model", options.float_model)):
        if path is not None:
            _keep(folder / str(record[key]), _companion(path))
        elif record[key] and not (folder / str(record[key])).is_file():
            raise UsageError(
                f"{folder / str(record[key])}: missing; the model was imported with it: give "
                f"{'FLOAT' if key == 'float_model' else 'INPUTS'}= again, or import it anew without"
            )
    return replace(_source(folder, record, options), pending=record if record != before else None)


def _record(
    before: dict[str, Any], options: Import, file_name: str | None, *, anew: bool = False
) -> dict[str, Any]:
    """What import.json shall hold: as is said now, else as it was, else by default.

    Inputs and float models that are said count for later too; numbers only when importing.
    """
    defaults = {"cases": DEFAULT_CASES, "inputs": None, "float_model": None}
    record = {**defaults, "constants_bytes": None, "ram_bytes": None, **before}
    if file_name is not None:
        record["file"] = file_name
    if anew:
        record |= _said(options)
    for key, path, suffixes in (
        ("inputs", options.inputs, (".npz",)),
        ("float_model", options.float_model, FLOAT_SUFFIXES),
    ):
        if path is not None:
            suffix = ".tflite" if _in_c(path) else path.suffix.lower()
            if suffix not in suffixes:
                raise ModelError(f"{path}: expected a file *{' or *'.join(suffixes)}")
            digits = hashlib.sha256(_companion(path)).hexdigest()[:HASH_DIGITS]
            record[key] = f"{key}-{digits}{suffix}"
    return record


def _companion(path: Path) -> bytes:
    """What is kept of inputs or of a float model."""
    if path.suffix.lower() == ".npz":
        load_inputs(path)  # what is wrong with it is told of the user's file, not of our copy
    return model_bytes(path) if _in_c(path) or path.suffix.lower() == ".tflite" else read_file(path)


def _in_c(path: Path) -> bool:
    return path.suffix.lower() in c_array.SUFFIXES


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
    """import.json; empty when there is none. UsageError when it is damaged: what the model was
    imported with is not known then, and must not be left out in silence."""
    path = folder / IMPORTED
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text("utf-8"))
        kept = {key: {"ram_bytes": None, **content}[key] for key in KEYS}  # it came later
        budgets = [kept[key] for key in NUMBERS if key != "cases" and kept[key] is not None]
        whole = all(type(n) is int and n > 0 for n in [kept["cases"], *budgets])
        for key, suffixes in (("inputs", (".npz",)), ("float_model", FLOAT_SUFFIXES)):
            name = kept[key]
            pattern = rf"{key}-[0-9a-f]{{{HASH_DIGITS}}}({'|'.join(map(re.escape, suffixes))})"
            whole = whole and (name is None or re.fullmatch(pattern, name) is not None)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        whole = False
    if not whole:
        raise UsageError(
            f"{path}: not as tinyproof wrote it; how the model was imported is not known: import "
            f"it again (make import MODEL={folder / MODEL}, with INPUTS= and FLOAT= if it had any)"
        )
    return kept


def _keep(path: Path, data: bytes) -> None:
    """Write a copy unless it is there already."""
    if not path.is_file() or path.read_bytes() != data:
        write_bytes(path, data)
