"""Settings as TOML, for records: what a reader of TOML makes of it is what was written."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping


def to_toml(values: Mapping[str, object]) -> str:
    """Tables of tables, lists and plain values as text; what is None is left out.

    Raises TypeError for anything else.
    """
    return "\n".join(_lines((), values)) + "\n"


def _lines(path: tuple[str, ...], values: Mapping[str, object]) -> list[str]:
    tables = {key: value for key, value in values.items() if isinstance(value, Mapping)}
    plain = {key: value for key, value in values.items() if key not in tables}
    lines = [f"{toml_key(key)} = {toml_value(v)}" for key, v in plain.items() if v is not None]
    for key, table in tables.items():
        inside = (*path, key)
        lines += ["", f"[{'.'.join(map(toml_key, inside))}]", *_lines(inside, table)]
    return lines


def toml_key(text: str) -> str:
    """A key, in quotes where it needs them."""
    return text if re.fullmatch(r"[A-Za-z0-9_-]+", text) else _string(text)


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def toml_value(value: object) -> str:
    """A value on one line; TypeError for what TOML does not have."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, Mapping):
        inside = (f"{toml_key(k)} = {toml_value(v)}" for k, v in value.items() if v is not None)
        return f"{{{', '.join(inside)}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml_value, value))}]"
    raise TypeError(f"{value!r} is no value of TOML")
