"""Jobs of the tests, in a module that is loaded at once."""

from __future__ import annotations

import os

from model.errors import ConfigError


def add(a: int, b: int, c: int = 0) -> tuple[int, int]:
    """A job."""
    return a + b + c, os.getpid()


def die() -> None:
    """A job that takes its process with it."""
    os._exit(7)


def refuse(kind: str) -> None:
    """A job that fails."""
    raise ConfigError("refused") if kind == "ours" else ZeroDivisionError("nobody's")
