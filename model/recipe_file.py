"""Recipes as files: a strict .toml, and the lock file beside it with what its data gave.

<name>.lock holds the SHA-256 of the data as they were at the first check, and the values of the
keys that the recipe leaves out and the data decide (model/complete.py). Later the data are compared
with it; `tinyproof check --accept` writes it anew. A recipe with dataset.sha256, as records of
experiments have it, needs no lock file.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model.complete import RULES, complete
from model.datasets.paths import composed
from model.draft import Draft
from model.errors import ConfigError, ModelSideError
from model.features.design import recipe_front_end
from model.files import write_text
from model.network_config import refuse_old
from model.recipe import Recipe
from model.recipe_rules import NAME, problems
from model.toml_reader import MAX_BYTES, accept, build, closest, construct, read_toml, refuse
from model.toml_writer import to_toml

RECIPES = Path(__file__).parent / "recipes"
MOVED = {
    **{f"checks.{k}": f"dataset.{k}" for k in ("sample_rate_hz", "channels", "units")},
    **{
        f"dataset.{table}.{k}": f"dataset.{k}"
        for table in ("csv_folder", "wav_folder", "edge_impulse", "numpy_file", "aeon_series")
        for k in ("sample_rate_hz", "channels", "units", "labels")
    },
}


DATASET = re.compile(rb"^\s*\[dataset\b", re.MULTILINE)


def recipe_names(folder: Path = RECIPES) -> list[str]:
    """The recipes of a folder, or those that come with the project: files with a [dataset]."""
    return sorted(path.stem for path in folder.glob("*.toml") if _is_recipe(path))


def _is_recipe(path: Path) -> bool:
    try:
        return "dataset" in read_toml(path)
    except FileNotFoundError:
        return False
    except ConfigError:  # with a slip that is told when it is opened
        readable = path.is_file() and path.stat().st_size <= MAX_BYTES
        return readable and DATASET.search(path.read_bytes()) is not None


def find_recipe(name: str) -> Path:
    """The file of the recipe `name`: a path that ends in .toml, the project's own, an example.

    The project is the current folder. Raises ConfigError with the closest name.
    """
    places = [Path(name)] if name.endswith(".toml") else [Path(f"{name}.toml"), *_example(name)]
    for path in places:
        if path.exists():
            return path
    known = sorted({*recipe_names(Path()), *recipe_names()})
    raise ConfigError(
        f"recipe {name!r}: no such recipe{closest(name, known)}; the recipes are: "
        f"{', '.join(known)}; or give the path of a .toml file"
    )


def _example(name: str) -> list[Path]:
    return [RECIPES / f"{name}.toml"] if NAME.fullmatch(name) else []


def normalise(tables: dict[str, Any]) -> None:
    """Labels that are a table become classes and `merge`; names are composed characters."""
    dataset = tables.get("dataset")
    if not isinstance(dataset, dict):
        return
    if isinstance(merge := dataset.get("labels"), dict) and "merge" not in dataset:
        dataset["merge"] = merge
        named = [v for v in merge.values() if isinstance(v, str) and v]
        if merge.get("*") == "*":
            del dataset["labels"]  # the data have them
        else:
            dataset["labels"] = list(dict.fromkeys(named))
    for key in ("labels", "val_groups", "test_groups"):
        if isinstance(values := dataset.get(key), list):
            dataset[key] = [composed(v) if isinstance(v, str) else v for v in values]


def load_recipe(name: str, *, accept_data: bool = False, write_lock: bool = True) -> Recipe:
    """The recipe `name`, as find_recipe finds its file, with every key.

    What it leaves out comes from the lock file or, at the first time and with `accept_data`, from
    the data. Raises ConfigError with all problems of a recipe: unknown and missing keys, values of
    the wrong type or out of their bounds, and values that do not fit together; DataError for data
    that cannot be read where they are needed.
    """
    path = find_recipe(name)
    found: list[str] = []
    tables = {"name": path.stem, **read_toml(path)}
    _refuse_moved(tables, found)
    refuse_old(tables.get("network"), found)
    normalise(tables)
    given = _given_digest(tables)
    draft = Draft(accept(Recipe, tables, found))
    pinned = draft.get("dataset.sha256")
    lock = {} if accept_data or pinned else _read_lock(path)
    kept = lock["data"] if lock and lock["given"] == given else {}
    data = complete(draft, kept, found, allow_data=not found)
    if data is None:
        refuse(path.name, found)
    if not pinned:
        draft.set("dataset.sha256", lock.get("sha256") or ("" if found else draft.dataset.sha256))
    recipe = _checked(draft, found)
    refuse(path.name, found)
    assert recipe is not None
    new = {"sha256": recipe.dataset.sha256, "given": given, "data": data}
    if write_lock and not pinned and new != lock:
        _write_lock(path, new)
    return recipe


def _checked(draft: Draft, found: list[str]) -> Recipe | None:
    """The recipe of a draft; what is wrong with it goes to `found`."""
    recipe = construct(Recipe, draft.tables, found)
    if recipe is None:
        return None
    before = len(found)
    found += problems(recipe)
    if len(found) == before:
        try:
            recipe_front_end(recipe)
        except ConfigError as error:
            found.append(str(error))
    return recipe


def recipe_of(settings: Mapping[str, Any], where: str) -> Recipe:
    """The recipe whose as_dict() is in a record; ConfigError, naming `where`, for anything else."""
    given, found = _given(settings), list[str]()
    refuse_old(given.get("network"), found)
    refuse(where, found)
    recipe = build(Recipe, given, where)
    refuse(where, list(problems(recipe)))
    return recipe


def _given(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Without the tables and keys that a recipe leaves out."""
    given = {key: value for key, value in settings.items() if value is not None}
    return {k: _given(v) if isinstance(v, Mapping) else v for k, v in given.items()}


def _refuse_moved(tables: dict[str, Any], found: list[str]) -> None:
    """Take out keys that have another place now, and say which."""
    for old, new in MOVED.items():
        *places, key = old.split(".")
        table: Any = tables
        for place in places:
            table = table.get(place) if isinstance(table, dict) else None
        if isinstance(table, dict) and key in table:
            del table[key]
            found.append(f"{old}: is {new} now, for all sources; move it there")


def record_data(path: Path, sha256: str) -> None:
    """Write the lock file of a recipe that states all keys which the data decide."""
    tables = {"name": path.stem, **read_toml(path)}
    normalise(tables)
    _write_lock(path, {"sha256": sha256, "given": _given_digest(tables), "data": {}})


def _given_digest(tables: Mapping[str, Any]) -> str:
    """Of the keys that the values from the data depend on."""
    own = [key for key in ("regression", "multilabel") if key in tables]
    keys = ("dataset", "checks", "features", "task", *own)
    text = json.dumps([tables.get(key) for key in keys], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def lock_path(recipe: Path) -> Path:
    """The lock file of a recipe's file."""
    return recipe.with_suffix(".lock")


def _read_lock(recipe: Path) -> dict[str, Any]:
    """The lock file's content; empty when there is none. ConfigError when it is something else."""
    path = lock_path(recipe)
    try:
        content = read_toml(path)
    except FileNotFoundError:
        return {}
    except ConfigError as error:
        raise _no_lock(path, error) from error
    data, found = content.get("data"), list[str]()
    if not isinstance(data, dict):
        data, found = {}, ["data: expected a table"]
    found += [f"{k}: expected text" for k in ("sha256", "given") if type(content.get(k)) is not str]
    found += [f"data: unexpected key {k!r}" for k in data if k not in RULES or not RULES[k].data]
    draft = Draft({} if found else accept(Recipe, _nested(data), found))
    if found:
        raise _no_lock(path, found[0])
    return {**content, "data": {key: draft.get(key) for key in data}}


def _no_lock(path: Path, why: object) -> ConfigError:
    return ConfigError(
        f"{path}: not a lock file as tinyproof writes it; remove it, or `tinyproof check --accept` "
        f"to record the data as they are ({why})"
    )


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    draft = Draft({})
    for key, value in flat.items():
        draft.set(key, value)
    return draft.tables


def _write_lock(recipe: Path, content: Mapping[str, Any]) -> None:
    path = lock_path(recipe)
    head = (
        "# Written by tinyproof: the data as they were at the first check. Keep it beside the "
        "recipe.\n# After a change of the data: tinyproof check --accept\n\n"
    )
    try:
        write_text(path, head + to_toml(content))
    except OSError as error:
        raise ModelSideError(
            f"{path}: cannot be written: {error.strerror}; the folder of a recipe has to be "
            "writable at its first check"
        ) from error
