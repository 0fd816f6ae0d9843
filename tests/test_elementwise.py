"""Every input value of the tables, every pair of values, and floats at the borders of rounding."""

from __future__ import annotations

import numpy as np
import pytest

from quantize.errors import UnsupportedOperator
from quantize.reference import Reference, compile_graph
from quantize.tflite.reader import parse_model
from quantize.tflm import TfliteMicro
from tests.factory import ModelBuilder
from tests.factory_elementwise import GENERATORS, UNARY, near, quant

ROWS = 30
VALUES = np.arange(-128, 128).astype(np.int8)


def _equal(model: bytes, inputs: list[np.ndarray]) -> None:
    got = Reference(parse_model(model)).run(inputs)[0]
    assert np.array_equal(got, TfliteMicro(model).run(inputs)[0])


@pytest.mark.parametrize("name", UNARY)
def test_every_value(name: str) -> None:
    for row in range(ROWS):
        model = GENERATORS[name](np.random.default_rng(1000 + row))
        shape = parse_model(model).tensors[0].shape
        size = int(np.prod(shape))
        for start in range(0, 256, size):
            _equal(model, [np.resize(np.roll(VALUES, -start), shape)])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("ADD", "AddOptions"),
        ("SUB", "SubOptions"),
        ("MUL", "MulOptions"),
        ("SQUARED_DIFFERENCE", ""),
    ],
)
def test_every_pair(name: str, options: str) -> None:
    for row in range(ROWS // 5):
        rng = np.random.default_rng(row)
        b, a_quant = ModelBuilder(), quant(rng)
        x = b.tensor([256, 1], **a_quant)
        y = b.tensor([1, 256], **near(rng, a_quant["scale"][0]))
        z = b.tensor([256, 256], **near(rng, a_quant["scale"][0]))
        b.operator(name, [x, y], [z], options, 2)
        _equal(b.pack([x, y], [z]), [VALUES.reshape(256, 1), VALUES.reshape(1, 256)])


def test_floats_at_the_borders() -> None:
    rng = np.random.default_rng(0)
    for scale in (2.0**-7, 0.1, 1 / 3, 1e-9, *np.exp(rng.uniform(-20, 5, 10))):
        middle = ((np.arange(-300, 300) + 0.5) * np.float32(scale)).astype(np.float32)
        below = np.nextafter(middle, np.float32(-np.inf))
        above = np.nextafter(middle, np.float32(np.inf))
        zeros = np.float32([0.0, -0.0, 1e-45, -1e-45])
        flat = np.concatenate([below, middle, above, zeros])
        b = ModelBuilder()
        x = b.tensor([flat.size], dtype="float32")
        y = b.tensor([flat.size], scale=[scale], zero_point=[int(rng.integers(-128, 128))])
        b.operator("QUANTIZE", [x], [y], "QuantizeOptions", 1)
        _equal(b.pack([x], [y]), [flat])


def division(divisors: np.ndarray | None, *, zero_point: int = 0, factor: float = 200.0) -> bytes:
    """Every int8 by every divisor; `factor` rescales the quotients of stored numbers."""
    b, count = ModelBuilder(), 1 if divisors is None else len(divisors)
    x = b.tensor([256, 1], scale=[0.05], zero_point=[3])
    y = b.tensor([1, count], scale=[0.05], zero_point=[zero_point], data=divisors)
    z = b.tensor([256, count], scale=[1 / factor], zero_point=[-7])
    b.operator("DIV", [x, y], [z], "DivOptions", 2)
    return b.pack([x] if divisors is not None else [x, y], [z])


@pytest.mark.parametrize(("zero_point", "factor"), [(0, 128.0), (-128, 300.0), (127, 1e6)])
def test_every_division(zero_point: int, factor: float) -> None:
    divisors = np.delete(VALUES, zero_point + 128)
    _equal(division(divisors, zero_point=zero_point, factor=factor), [VALUES.reshape(256, 1)])


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (division(VALUES), "computed at run time, or 0; TFLite Micro's .* undefined"),
        (division(None), "computed at run time, or 0; TFLite Micro's .* undefined"),
        (division(VALUES[200:], factor=20.0), "divisors go to 127 steps, its factor is 2..5"),
        (division(VALUES[200:], factor=1e9), "its factor is 2..30; .* undefined"),
    ],
)
def test_a_division_that_tflite_micro_leaves_open_is_refused(model: bytes, words: str) -> None:
    with pytest.raises(UnsupportedOperator, match=words):
        compile_graph(parse_model(model))
