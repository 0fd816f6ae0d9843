"""The errors of quantize, each with the exit code it ends a command with."""

from __future__ import annotations

from model.errors import TinyproofError


class QuantizeError(TinyproofError):
    """A check on the quantised model failed."""


class ModelError(QuantizeError):
    """The .tflite file is damaged, hostile or not what we compile; says where and what to do."""

    exit_code = 2


class Malformed(ModelError):
    """Parts of an operator do not fit together, which no converter writes of fixed shapes.

    Where an output's shape is not what the operator computes, `shape` is that, `tensor` the output.
    """

    tensor: int = -1
    shape: tuple[int, ...] | None = None


class UnsupportedOperator(ModelError):
    """An operator, version or attribute that we do not compile; names it, and says what to do."""
