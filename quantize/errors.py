"""The errors of quantize, each with the exit code it ends a command with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

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


def first_line(error: BaseException) -> str:
    """The kind of an exception of other software, and the first line of what it says."""
    text = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {text[:300].rstrip('.')}"


@contextmanager
def told_as(what: str, then: str) -> Iterator[None]:
    """Turn whatever other software raises into a ModelError: what failed, why, what to do."""
    try:
        yield
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(f"{what}: {first_line(error)}; {then}") from error
