"""The errors of model, each with the exit code it ends a command with."""

from __future__ import annotations


class ModelSideError(Exception):
    """A check failed."""

    exit_code = 1


class ConfigError(ModelSideError):
    """A recipe or an argument is wrong; says what, where, expected, got and what to do."""

    exit_code = 2


class DataError(ModelSideError):
    """The dataset is missing, is another one, or fails a check."""
