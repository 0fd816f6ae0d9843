"""What the lists of an operator in a file may look like, and where its options stand.

Source: schema.fbs of the TensorFlow Lite project (BuiltinOptions; slots count the fields of a table
from 0), and the operators' own checks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MANY = 1024
VECTOR = "vector"  # kind of an option that is a list of int32: checked, but not read
# field -> (slot in the table, kind, default); the kinds of flatbuffer.py, or VECTOR
Options = Mapping[str, tuple[int, str, float]]
NO_OPTIONS: Options = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """The counts of an operator's inputs and outputs, and its table of options."""

    inputs: tuple[int, int]  # minimum, maximum
    outputs: tuple[int, int]
    table: int  # number of its table of options; 0: it has none
    options: Options  # those that we read, and those that only TFLite Micro follows


def signature(*, inputs: int, table: int, options: Options) -> Signature:
    """Of an operator with that many inputs and one output."""
    return Signature(inputs=(inputs, inputs), outputs=(1, 1), table=table, options=options)
