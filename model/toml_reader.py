"""Frozen dataclasses from tables of TOML: every key must fit and every number be in its bounds."""

from __future__ import annotations

import dataclasses
import difflib
import sys
import types
import typing
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from model.errors import ConfigError
from model.files import read_bounded

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MAX_BYTES = 1 << 20  # of a file
MAX_ITEMS = 1000  # of a list
MAX_DEPTH = 32  # of tables and lists inside of each other
MAX_INTEGER = 1 << 63  # TOML has 64 bits; Python reads more
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Bounds:
    """Both included; part of a field's type: Annotated[int, Bounds(1, 100)]."""

    least: float
    most: float

    def __str__(self) -> str:
        ends = (f"{v:g}" if isinstance(v, float) else str(v) for v in (self.least, self.most))
        return " to ".join(ends)


REAL = Bounds(-1e12, 1e12)  # of a number whose type has none; so none is infinite or no number


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a file.

    Raises FileNotFoundError, and ConfigError for a file that cannot be read or is not TOML.
    """
    try:
        data = read_bounded(path, MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ConfigError(f"{path}: expected at most {MAX_BYTES} bytes of TOML, got more")
        tables = tomllib.loads(data.decode("utf-8"))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}; check the path") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not TOML: {error}; correct it there") from error
    refuse(str(path), list(_beyond(tables)))
    return tables


def _beyond(tables: dict[str, Any]) -> Iterator[str]:
    """What is deeper or larger than any value of ours, and than Python can write again."""
    waiting: list[tuple[str, int, Any]] = [("", 0, tables)]
    while waiting:
        key, depth, value = waiting.pop()
        if depth > MAX_DEPTH:
            yield f"{key[:80]}: expected at most {MAX_DEPTH} tables and lists inside, got more"
        elif isinstance(value, dict):
            waiting += [(f"{key}.{k}" if key else k, depth + 1, v) for k, v in value.items()]
        elif isinstance(value, list):
            waiting += [(f"{key}[{i}]", depth + 1, v) for i, v in enumerate(value)]
        elif isinstance(value, int) and not -MAX_INTEGER <= value < MAX_INTEGER:
            yield str(_unfit("an integer of -2^63 to 2^63 - 1", value, key[:80]))


def build(kind: type[T], values: dict[str, Any], where: str, prefix: str = "") -> T:
    """An instance of the dataclass `kind` from a table; `where` and `prefix` name it in errors.

    Raises ConfigError with every unknown key, missing key, and value of the wrong type or out of
    its bounds.
    """
    problems: list[str] = []
    made = construct(kind, accept(kind, values, problems, prefix), problems, prefix)
    refuse(where, problems)
    return typing.cast(T, made)


def refuse(where: str, problems: Sequence[str]) -> None:
    """ConfigError with all problems of one file, unless there are none."""
    if len(problems) == 1:
        raise ConfigError(f"{where}: {problems[0]}")
    if problems:
        lines = [f"{where}: {len(problems)} problems:", *problems]
        raise ConfigError("\n  ".join(lines))


def accept(
    kind: type, values: dict[str, Any], problems: list[str], prefix: str = ""
) -> dict[str, Any]:
    """The keys of a table that the dataclass `kind` knows, with values of its types.

    Tables inside stay dicts. What is refused is left out, and goes to `problems` in words.
    """
    hints = typing.get_type_hints(kind, include_extras=True)
    found: dict[str, Any] = {}
    for key, value in values.items():
        if key not in hints:
            problems.append(
                f"{prefix.rstrip('.')}{': ' if prefix else ''}unknown key "
                f"{key!r}{closest(key, list(hints))}; known keys: {', '.join(hints)}"
            )
            continue
        try:
            found[key] = _convert(hints[key], value, prefix + key, problems)
        except _Unfit as error:
            problems.append(str(error))
    return found


def construct(
    kind: type[T], values: dict[str, Any], problems: list[str], prefix: str = ""
) -> T | None:
    """The dataclass of what `accept` has given; None, with `problems`, when a key is missing."""
    hints = typing.get_type_hints(kind, include_extras=True)
    place = f"{prefix.rstrip('.')}: " if prefix else ""
    missing = [
        f"{place}missing key {field.name!r}"
        for field in dataclasses.fields(typing.cast(Any, kind))
        if field.name not in values and not _has_default(field)
    ]
    problems += missing
    made: dict[str, Any] = {}
    whole = not missing
    for key, value in values.items():
        table = _table(hints[key])
        if table is not None and isinstance(value, dict):
            made[key] = construct(table, value, problems, f"{prefix}{key}.")
            whole = whole and made[key] is not None
        else:
            made[key] = value
    return kind(**made) if whole else None


def _has_default(field: dataclasses.Field[Any]) -> bool:
    none = dataclasses.MISSING
    return field.default is not none or field.default_factory is not none


def table_type(kind: type, field: str) -> type:
    """The dataclass that a field of the dataclass `kind` has as its table."""
    found = _table(typing.get_type_hints(kind)[field])
    assert found is not None, field
    return found


def _table(hint: Any) -> type | None:
    """The dataclass of a field whose type is one, or one or None."""
    choices = typing.get_args(hint) if _is_union(hint) else (hint,)
    return next((typing.cast(type, c) for c in choices if dataclasses.is_dataclass(c)), None)


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (types.UnionType, typing.Union)


class _Unfit(Exception):
    """A value that its field cannot have."""


def _convert(hint: Any, value: Any, key: str, problems: list[str], bounds: Bounds = REAL) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return _convert(arguments[0], value, key, problems, arguments[1])
    if _is_union(hint):
        choices = [choice for choice in arguments if choice is not types.NoneType]
        fitting = [c for c in choices if type(value) is (typing.get_origin(c) or c)] or choices
        if len(fitting) > 1:
            names = " or ".join(getattr(typing.get_origin(c) or c, "__name__", "") for c in choices)
            raise _unfit(names, value, key)
        return _convert(fitting[0], value, key, problems)
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise _unfit("a table", value, key)
        return accept(typing.cast(type, hint), value, problems, f"{key}.")
    if origin is tuple:
        if not isinstance(value, list) or len(value) > MAX_ITEMS:
            raise _unfit(f"a list of at most {MAX_ITEMS}", value, key)
        return tuple(
            _convert(arguments[0], v, f"{key}[{i}]", problems) for i, v in enumerate(value)
        )
    if origin is dict:
        if not isinstance(value, dict) or len(value) > MAX_ITEMS:
            raise _unfit(f"a table of at most {MAX_ITEMS}", value, key)
        return {k: _convert(arguments[1], v, f"{key}.{k}", problems) for k, v in value.items()}
    if type(value) is not hint and not (hint is float and type(value) is int):
        raise _unfit(hint.__name__, value, key)
    if hint is str and not value.isprintable():
        raise _unfit("printable text", value, key)
    if hint in (int, float) and not bounds.least <= value <= bounds.most:
        raise _unfit(str(bounds), value, key)
    return hint(value)


def _unfit(what: str, value: object, key: str) -> _Unfit:
    try:
        got = repr(value)
    except ValueError:  # Python writes no integers of thousands of digits
        got = "a huge number"
    return _Unfit(f"{key}: expected {what}, got {got[:80]}")


def closest(word: str, known: list[str]) -> str:
    """' (did you mean ...?)' with the most similar of `known`, or nothing."""
    match = difflib.get_close_matches(word, known, 1)
    return f" (did you mean {match[0]!r}?)" if match else ""
