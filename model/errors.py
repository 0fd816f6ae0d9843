"""The errors of model, and the one that those of all packages are kinds of.

Each has the exit code that it ends a command with (model.command).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class TinyproofError(Exception):
    """A check failed."""

    exit_code = 1


class ModelSideError(TinyproofError):
    """A check of data, of a recipe or of a training failed."""


class ConfigError(ModelSideError):
    """A recipe or an argument is wrong; says what, where, expected, got and what to do."""

    exit_code = 2


class DataError(ModelSideError):
    """The dataset is missing, is another one, or fails a check."""


class JobError(ModelSideError):
    """Work in another process or on another machine has failed."""


class ClusterError(ModelSideError):
    """A cluster cannot be used; says what is missing or different and where."""

    exit_code = 2


def first_line(error: BaseException) -> str:
    """The kind of an exception of other software, and the first line of what it says."""
    text = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {text[:300].rstrip('.')}"


@contextmanager
def told_as(what: str, then: str, kind: type[TinyproofError]) -> Iterator[None]:
    """Turn whatever other software raises into one of ours: what failed, why, what to do."""
    try:
        yield
    except TinyproofError:
        raise
    except Exception as error:
        raise kind(f"{what}: {first_line(error)}; {then}") from error
