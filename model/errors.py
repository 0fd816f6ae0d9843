"""The errors of model, and the one that those of all packages are kinds of.

Each has the exit code that it ends a command with (model.command).
"""

from __future__ import annotations


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
