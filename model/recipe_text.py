"""The reference of all keys of a recipe, and recipes as text with a comment on each line."""

from __future__ import annotations

import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from model.complete import RULES
from model.recipe import Recipe
from model.toml_reader import Bounds
from model.toml_writer import toml_key, toml_value

ELSEWHERE = {"name": "that of the file", "dataset.sha256": "that of the lock file"}
_FIELD = re.compile(r"^    (\w+): ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One key, as its dataclass has it."""

    path: str  # 'features.window'
    kind: str  # 'integer', 'list of texts', ...
    bounds: str  # '1 to 1024', or ''
    default: str  # what it is when a recipe leaves it out; '' for a key that must be there
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table with its keys."""

    path: str  # '' for the top
    meaning: str
    optional: bool
    keys: tuple[Key, ...]


def tables(kind: type = Recipe, path: str = "", *, optional: bool = False) -> Iterator[Table]:
    """Every table of a recipe, the outer ones first."""
    hints = typing.get_type_hints(kind, include_extras=True)
    comments = field_comments(kind)
    keys, inner = [], []
    for field in dataclasses.fields(kind):
        place = f"{path}.{field.name}" if path else field.name
        table = _table(hints[field.name])
        if table is not None:
            inner.append((table, place, field.default is None))
            continue
        kind_name, bounds = _kind(hints[field.name])
        keys.append(
            Key(
                path=place,
                kind=kind_name,
                bounds=bounds,
                default=_default(field, place),
                meaning=comments[field.name],
            )
        )
    meaning = inspect.cleandoc(kind.__doc__ or "")
    yield Table(path=path, meaning=meaning, optional=optional, keys=tuple(keys))
    for table, place, may_miss in inner:
        yield from tables(table, place, optional=may_miss)


def field_comments(kind: type) -> dict[str, str]:
    """Field -> the comment on its line, or on the lines above it."""
    found: dict[str, str] = {}
    above: list[str] = []
    for line in inspect.getsource(kind).splitlines():
        if match := _FIELD.match(line):
            behind = line.partition("  # ")[2]
            found[match[1]] = " ".join([*above, behind]).strip()
            above = []
        elif line.startswith("    # "):
            above.append(line[6:])
        else:
            above = []
    return found


def _table(hint: Any) -> type | None:
    choices = typing.get_args(hint) if _is_union(hint) else (hint,)
    return next((typing.cast(type, c) for c in choices if dataclasses.is_dataclass(c)), None)


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (types.UnionType, typing.Union)


def _kind(hint: Any) -> tuple[str, str]:
    """(name of the type, bounds)."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        name, _ = _kind(arguments[0])
        return name, str(next(a for a in arguments if isinstance(a, Bounds)))
    if _is_union(hint):
        names = [_kind(a) for a in arguments if a is not types.NoneType]
        return " or ".join(n for n, _ in names), names[0][1]
    if origin is tuple:
        name, bounds = _kind(arguments[0])
        return f"list of {name}", bounds
    if origin is dict:
        return f"table of {_kind(arguments[1])[0]}", ""
    return {int: "integer", float: "number", str: "text", bool: "true or false"}[hint], ""


def _default(field: dataclasses.Field[Any], path: str) -> str:
    if path in ELSEWHERE:
        return ELSEWHERE[path]
    if path in RULES:
        return RULES[path].text
    if field.default is None:
        return "none"
    if field.default is not dataclasses.MISSING:
        return f"`{toml_value(field.default)}`"
    return ""


def recipe_text(values: Mapping[str, Any], notes: Mapping[str, str]) -> str:
    """A recipe with the meaning of each key behind it; `notes` say more of some paths."""
    meanings = {key.path: key.meaning for table in tables() for key in table.keys}
    lines: list[str] = []
    for path, table in _tables_of(values):
        lines += ["", f"[{path}]"] if path else []
        for key, value in table.items():
            place = f"{path}.{key}" if path else key
            said = notes.get(place) or meanings.get(place, "")
            line = f"{toml_key(key)} = {toml_value(value)}"
            lines.append(f"{line} # {said}" if said else line)
    return "\n".join(lines) + "\n"


def _tables_of(
    values: Mapping[str, Any], path: str = ""
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    inner = {k: v for k, v in values.items() if isinstance(v, Mapping)}
    plain = {k: v for k, v in values.items() if k not in inner and v is not None}
    if plain:
        yield path, plain
    for key, table in inner.items():
        yield from _tables_of(table, f"{path}.{key}" if path else key)
