"""Frozen dataclasses from tables of TOML: every key must fit and every number be in its bounds."""

from __future__ import annotations

import dataclasses
import difflib
import sys
import types
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from model.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MAX_BYTES = 1 << 20  # of a file
MAX_ITEMS = 1000  # of a list
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
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ConfigError(f"{path}: expected at most {MAX_BYTES} bytes of TOML, got more")
        return tomllib.loads(data.decode("utf-8"))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}; check the path") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: not TOML: {error}; correct it there") from error


def build(kind: type[T], values: dict[str, Any], where: str, prefix: str = "") -> T:
    """An instance of the dataclass `kind` from a table; `where` and `prefix` name it in errors.

    Raises ConfigError for an unknown key, a missing key, and a value of the wrong type or out of
    its bounds.
    """
    hints = typing.get_type_hints(kind, include_extras=True)
    place = f"{where}: {prefix}".rstrip(".: ")
    for key in values:
        if key not in hints:
            raise ConfigError(
                f"{place}: unknown key {key!r}{closest(key, list(hints))}; "
                f"known keys: {', '.join(hints)}"
            )
    for field in dataclasses.fields(typing.cast(Any, kind)):
        if field.name not in values and field.default is dataclasses.MISSING:
            raise ConfigError(f"{place}: missing key {field.name!r}")
    return kind(**{k: _convert(hints[k], v, where, prefix + k) for k, v in values.items()})


def _convert(hint: Any, value: Any, where: str, key: str, bounds: Bounds = REAL) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return _convert(arguments[0], value, where, key, arguments[1])
    if origin in (types.UnionType, typing.Union):
        choices = [choice for choice in arguments if choice is not types.NoneType]
        fitting = [choice for choice in choices if type(value) is choice] or choices
        if len(fitting) > 1:
            raise _expected(" or ".join(c.__name__ for c in choices), value, where, key)
        return _convert(fitting[0], value, where, key)
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise _expected("a table", value, where, key)
        return build(typing.cast(type, hint), value, where, f"{key}.")
    if origin is tuple:
        if not isinstance(value, list) or len(value) > MAX_ITEMS:
            raise _expected(f"a list of at most {MAX_ITEMS}", value, where, key)
        return tuple(_convert(arguments[0], v, where, f"{key}[{i}]") for i, v in enumerate(value))
    if type(value) is not hint and not (hint is float and type(value) is int):
        raise _expected(hint.__name__, value, where, key)
    if hint is str and not value.isprintable():
        raise _expected("printable text", value, where, key)
    if hint in (int, float) and not bounds.least <= value <= bounds.most:
        raise _expected(str(bounds), value, where, key)
    return hint(value)


def _expected(what: str, value: object, where: str, key: str) -> ConfigError:
    try:
        got = repr(value)
    except ValueError:  # Python writes no integers of thousands of digits
        got = "a huge number"
    return ConfigError(f"{where}: {key}: expected {what}, got {got[:80]}")


def closest(word: str, known: list[str]) -> str:
    """' (did you mean ...?)' with the most similar of `known`, or nothing."""
    match = difflib.get_close_matches(word, known, 1)
    return f" (did you mean {match[0]!r}?)" if match else ""
