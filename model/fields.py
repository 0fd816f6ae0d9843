"""Which fields of a recipe a stage uses: their values for its stamp, and nothing but them to it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

from model.errors import ConfigError
from model.recipe import Recipe


class Undeclared:
    """Stands where a stage has not declared a field; any use is an error that names it.

    So a stage cannot come to depend on a field without being done again when it changes.
    """

    __slots__ = ("_path",)

    def __init__(self, path: str) -> None:
        self._path = path

    def __reduce__(self) -> tuple[type[Undeclared], tuple[str]]:
        return Undeclared, (self._path,)

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):  # what copying and pickling ask for
            raise AttributeError(name)
        self._refuse()

    def _refuse(self, *_: object) -> NoReturn:
        raise ConfigError(
            f"recipe.{self._path}: the stage uses it and has not declared it; please report this, "
            "and add it to the stage's fields in host_tools/stages/graph.py"
        )

    __bool__ = __int__ = __float__ = __index__ = __iter__ = __len__ = _refuse
    __add__ = __radd__ = __mul__ = __rmul__ = __sub__ = __rsub__ = __lt__ = __gt__ = _refuse
    __eq__ = __ne__ = _refuse
    __hash__ = None  # type: ignore[assignment]
    __truediv__ = __rtruediv__ = __le__ = __ge__ = __getitem__ = __call__ = __str__ = _refuse


def restrict(recipe: Recipe, fields: Sequence[str]) -> Recipe:
    """The recipe with `fields` ('train', 'anomaly.normal') and its name; others refuse any use."""
    restricted: Recipe = _restrict(recipe, "", {"name", *fields})
    return restricted


def _restrict(value: Any, prefix: str, fields: set[str]) -> Any:
    changes = {}
    for field in dataclasses.fields(value):
        path, inner = prefix + field.name, getattr(value, field.name)
        if path in fields:
            continue
        if any(name.startswith(f"{path}.") for name in fields):
            if inner is not None:
                changes[field.name] = _restrict(inner, f"{path}.", fields)
        else:
            changes[field.name] = Undeclared(path)
    return dataclasses.replace(value, **changes)


def field_values(recipe: Recipe, fields: Sequence[str]) -> dict[str, str]:
    """'recipe.train.steps' -> '2000' and so on, of `fields` and what is below them."""
    chosen = {"name", *fields}
    return {
        f"recipe.{path}": json.dumps(value, ensure_ascii=False)
        for path, value in _flat(recipe.as_dict(), "")
        if any(path == name or path.startswith(f"{name}.") for name in chosen)
    }


def _flat(values: dict[str, Any], prefix: str) -> Iterator[tuple[str, object]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
