"""Parameters of a test of which `make test` runs a few, and `make test-all` all."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import pytest


def sweep(values: Iterable[Any], quick: Collection[Any]) -> list[Any]:
    """`values` as parameters; those that are not in `quick` are slow.

    Raises ValueError for one of `quick` that is no value.
    """
    found = list(values)
    if unknown := [value for value in quick if value not in found]:
        raise ValueError(f"{unknown}: expected some of {found}")
    return [
        value if value in quick else _slow(value if isinstance(value, tuple) else (value,))
        for value in found
    ]


def _slow(values: tuple[Any, ...]) -> Any:
    return pytest.param(*values, marks=pytest.mark.slow)
