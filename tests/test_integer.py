"""Numbers without a scale: edges that random inputs do not reach."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quantize.errors import UnsupportedOperator
from quantize.golden import make_golden
from quantize.manifest import compile_model
from quantize.ops.base import Array
from quantize.reference import Reference, compile_graph
from quantize.tflite.reader import parse_model
from tests.factory import ModelBuilder
from tests.host_c import HostModel

NAN, INFINITE = float("nan"), float("inf")
REALS = np.array(
    [0, 0.5, -0.5, 1.9, -1.9, 127.6, 128, -128.7, -129, 300.7, 4e4, -4e4, 1e9, 2147483520, 2.0**31,
     -(2.0**31), -3e9, 1e20, -1e20, INFINITE, -INFINITE, NAN, 1e-40, -0.0] * 3, np.float32
)  # fmt: skip
INTEGERS = np.array([0, 1, -1, 2**31 - 1, -(2**31), 2**16, -(2**16), 46341] * 8, np.int32)


def one(
    name: str, before: Sequence[str], after: str, count: int, options: str = "", **values: Any
) -> bytes:
    """An operator on vectors."""
    b = ModelBuilder()
    scaled = {"scale": [0.1], "zero_point": [0]}
    inputs = [b.tensor([count], dtype=t) for t in before]
    y = b.tensor([count], dtype=after, **(scaled if after in ("int8", "int16") else {}))
    b.operator(name, inputs, [y], options, **values)
    return b.pack(inputs, [y])


def equal(model: bytes, inputs: Sequence[Array], folder: Path) -> None:
    """Reference, C and TFLite Micro answer the same."""
    golden = make_golden(model, [v[None] for v in inputs])
    expected = golden.outputs[0][0]
    assert np.array_equal(Reference(parse_model(model)).run(list(inputs))[0], expected)
    host = HostModel(folder, compile_model(model, golden, folder, name="one", settings={}))
    assert np.array_equal(host.run(list(inputs))[0], expected)


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32"])
def test_casts_of_what_the_type_does_not_hold(dtype: str, tmp_path: Path) -> None:
    """C leaves it open, so what we give is told here: the nearest integer, and 0 of a NaN."""
    model = one("CAST", ["float32"], dtype, len(REALS), "CastOptions")
    equal(model, [REALS], tmp_path)
    limits = np.iinfo(dtype)
    nearest = [0 if np.isnan(x) else int(min(max(float(x), limits.min), limits.max)) for x in REALS]
    assert Reference(parse_model(model)).run([REALS])[0].tolist() == nearest


@pytest.mark.parametrize("name", ["EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL",
                                  "NOT_EQUAL"])  # fmt: skip
def test_comparisons_with_what_is_no_number(name: str, tmp_path: Path) -> None:
    model = one(name, ["float32", "float32"], "bool", len(REALS))
    equal(model, [REALS, np.roll(REALS, 5)], tmp_path)


@pytest.mark.parametrize("name", ["ADD", "MUL", "SUB", "SQUARED_DIFFERENCE"])
def test_integers_wrap(name: str, tmp_path: Path) -> None:
    options = "" if name == "SQUARED_DIFFERENCE" else f"{name.capitalize()}Options"
    model = one(name, ["int32", "int32"], "int32", len(INTEGERS), options)
    for shift in range(8):
        equal(model, [INTEGERS, np.roll(INTEGERS, shift)], tmp_path)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (one("ADD", ["int32"] * 2, "int32", 2, "AddOptions", fusedActivationFunction=1),
         "TFLite Micro ignores it"),
        (one("ADD", ["int64"] * 2, "int64", 2, "AddOptions"), "input 0 is int64"),
        (one("DIV", ["int32"] * 2, "int32", 2, "DivOptions"), "divisor is computed at run time"),
        (one("CAST", ["int32"], "int64", 2, "CastOptions"), "int32 to int64"),
        (one("GREATER", ["int16"] * 2, "bool", 2), "input 0 is int16.*factors that it has not set"),
        (one("LESS", ["int16"] * 2, "bool", 2), "input 0 is int16; TFLite Micro compares float32"),
        (one("BROADCAST_ARGS", ["int32"] * 2, "int32", 2), "not supported: shapes of constants"),
        (one("SELECT_V2", ["bool", "int32", "int32"], "int32", 2), "input 1 is int32"),
    ],
)  # fmt: skip
def test_what_tflite_micro_has_not_is_refused(model: bytes, words: str) -> None:
    with pytest.raises(UnsupportedOperator, match=words):
        compile_graph(parse_model(model))
