"""int16 functions at every value, pairs, floats at the borders of rounding, and refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from quantize.errors import ModelError, UnsupportedOperator
from quantize.golden import make_golden, random_inputs
from quantize.manifest import compile_model
from quantize.reference import Reference, compile_graph
from quantize.tflite.reader import parse_model
from quantize.tflm import TfliteMicro
from tests.factory import ModelBuilder
from tests.factory_int16 import GENERATORS, Q15, UNARY, near, quant
from tests.generators import GENERATORS as ALL
from tests.host_c import HostModel
from tests.hostile import pack, unpack

ROWS = 12
VALUES = np.arange(-32768, 32768).astype(np.int16)
TENSOR = {"dtype": "int16", "scale": [0.001]}


def _equal(model: bytes, inputs: list[npt.NDArray[Any]]) -> None:
    got = Reference(parse_model(model)).run(inputs)[0]
    assert np.array_equal(got, TfliteMicro(model).run(inputs)[0])


def _equal_in_c(model: bytes, inputs: list[npt.NDArray[Any]], folder: Path) -> None:
    golden = make_golden(model, [v[None] for v in inputs])
    manifest = compile_model(model, golden, folder, name="row", settings={})
    got = HostModel(folder, manifest).run(inputs)[0]
    assert got.tobytes() == golden.case_outputs(0)[0].tobytes()


@pytest.mark.parametrize("name", UNARY)
def test_every_value(name: str) -> None:
    for row in range(ROWS):
        model = unpack(GENERATORS[f"{name}_INT16"](np.random.default_rng(1000 + row)))
        for tensor in model.subgraphs[0].tensors:
            tensor.shape = [VALUES.size]
        _equal(pack(model), [VALUES])


@pytest.mark.parametrize(
    ("name", "options", "scale"),
    [
        ("ADD", "AddOptions", 1.0),
        ("SUB", "SubOptions", 1.0),
        ("MUL", "MulOptions", 30.0),
        ("SQUARED_DIFFERENCE", "", 30.0),
    ],
)
def test_pairs(name: str, options: str, scale: float) -> None:
    values = VALUES[:: VALUES.size // 255].copy()
    values[-3:] = (-1, 1, 32767)
    for row in range(ROWS // 2):
        rng = np.random.default_rng(row)
        b, a_quant = ModelBuilder(), quant(rng, 1e-3, 1e-2)
        x = b.tensor([values.size, 1], **a_quant)
        y = b.tensor([1, values.size], **near(rng, a_quant["scale"][0]))
        z = b.tensor([values.size] * 2, **near(rng, a_quant["scale"][0] * scale))
        b.operator(name, [x, y], [z], options, 2)
        _equal(b.pack([x, y], [z]), [values.reshape(-1, 1), values.reshape(1, -1)])


def _softmax(rows: npt.NDArray[np.int16], scale: float) -> None:
    b = ModelBuilder()
    x = b.tensor(rows.shape, dtype="int16", scale=[scale])
    y = b.tensor(rows.shape, dtype="int16", scale=[Q15])
    b.operator("SOFTMAX", [x], [y], "SoftmaxOptions", 3, beta=1.0)
    _equal(b.pack([x], [y]), [rows])


def test_softmax_tables() -> None:
    """Every argument of exp, and sums over the whole table of reciprocals."""
    _softmax(np.stack([np.full(VALUES.size, 32767), VALUES], 1).astype(np.int16), 10 / 65535)
    rng = np.random.default_rng(0)
    _softmax(rng.integers(20000, 32768, (2000, 7)).astype(np.int16), 10 / 65535)
    for scale in (1e-9, 0.3, 5.0, 1e4):
        _softmax(rng.integers(-32768, 32768, (50, 11)).astype(np.int16), scale)
    _softmax(np.zeros((1, 1 << 16), np.int16), 0.1)


def test_floats_at_the_borders(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    steps = np.concatenate([np.arange(-300, 300), [-32770, -32769, -32768, 32766, 32767, 32768]])
    scales = (2.0**-15, 0.1, 1 / 3, 2.0**-100, *np.exp(rng.uniform(-20, 5, 10)))
    for row, scale in enumerate(scales):
        middle = ((steps + 0.5) * np.float32(scale)).astype(np.float32)
        below = np.nextafter(middle, np.float32(-np.inf))
        above = np.nextafter(middle, np.float32(np.inf))
        wide = (rng.normal(0, 10.0, 500) ** 5 * scale).astype(np.float32)
        zeros = np.float32([0.0, -0.0, 1e-45, -1e-45])
        flat = np.concatenate([below, middle, above, wide, zeros])
        b = ModelBuilder()
        x = b.tensor([flat.size], dtype="float32")
        zero_point = int(rng.choice([0, 1, -1, 32767]))
        y = b.tensor([flat.size], dtype="int16", scale=[scale], zero_point=[zero_point])
        b.operator("QUANTIZE", [x], [y], "QuantizeOptions", 2)
        _equal(b.pack([x], [y]), [flat])
        _equal_in_c(b.pack([x], [y]), [flat], tmp_path / str(row))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16"])
def test_dequantize_at_every_value(dtype: str, tmp_path: Path) -> None:
    limits, rng = np.iinfo(dtype), np.random.default_rng(0)
    values = np.arange(limits.min, limits.max + 1).astype(dtype)
    scales = (2.0**-100, 0.1, 1e15, 2.0**63, *np.exp(rng.uniform(-20, 5, 5)))
    for row, scale in enumerate(scales):
        b, zero_point = ModelBuilder(), int(rng.integers(limits.min, limits.max + 1))
        x = b.tensor([values.size], dtype=dtype, scale=[scale], zero_point=[zero_point])
        y = b.tensor([values.size], dtype="float32")
        b.operator("DEQUANTIZE", [x], [y], "DequantizeOptions", 3)
        _equal(b.pack([x], [y]), [values])
        if row < 3:
            _equal_in_c(b.pack([x], [y]), [values], tmp_path / str(row))


def _one(
    name: str, source: dict[str, Any], target: dict[str, Any], options: str = "", **values: float
) -> bytes:
    b = ModelBuilder()
    x, y = b.tensor([2, 3], **source), b.tensor([2, 3], **target)
    b.operator(name, [x], [y], options, 1, **values)
    return b.pack([x], [y])


def _two(name: str, a: dict[str, Any], c: dict[str, Any], options: str = "") -> bytes:
    b = ModelBuilder()
    x, y, z = b.tensor([2], **a), b.tensor([2], **c), b.tensor([2], **a)
    b.operator(name, [x, y], [z], options, 1)
    return b.pack([x, y], [z])


def _mirror_pad() -> bytes:
    b = ModelBuilder()
    x, y = b.tensor([2], **TENSOR), b.tensor([3], **TENSOR)
    p = b.tensor([1, 2], dtype="int32", data=np.array([[0, 1]], np.int32))
    b.operator("MIRROR_PAD", [x, p], [y], "MirrorPadOptions", 1)
    return b.pack([x], [y])


INT8 = {"scale": [0.1]}
PROBABILITY = {"dtype": "int16", "scale": [Q15]}
REFUSED = {
    "no int16 kernel": (_one("ELU", TENSOR, TENSOR), "put a QUANTIZE in between"),
    "no int16 mover": (_mirror_pad(), "between two QUANTIZE"),
    "a zero point": (_one("RELU", TENSOR | {"zero_point": [1]}, TENSOR), "symmetric"),
    "two types": (_two("ADD", TENSOR, INT8, "AddOptions"), "input 1 is int8, expected int16"),
    "int16 alpha": (_two("PRELU", TENSOR, TENSOR), "input 1 is int16, expected int8"),
    "scale of TANH": (_one("TANH", TENSOR, TENSOR), "scale 1/32768"),
    "large input of TANH": (_one("TANH", TENSOR | {"scale": [3.0]}, PROBABILITY), "2.67"),
    "small input of TANH": (_one("TANH", TENSOR | {"scale": [1e-20]}, PROBABILITY), "3.8e-14"),
    "scale of SOFTMAX": (
        _one("SOFTMAX", TENSOR, TENSOR, "SoftmaxOptions", beta=1.0),
        "scale 1/32768",
    ),
    "RELU6 that rescales": (_one("RELU6", TENSOR, TENSOR | {"scale": [1.0]}), "differ in scale"),
    "int16 to uint8": (_one("QUANTIZE", TENSOR, {"dtype": "uint8", **INT8}), "int16 to uint8"),
    "int32 to float32": (
        _one("DEQUANTIZE", {"dtype": "int32", **INT8}, {"dtype": "float32"}),
        "expected int8, uint8 or int16",
    ),
    "a tiny scale": (
        _one("QUANTIZE", {"dtype": "float32"}, {"dtype": "int16", "scale": [1e-35]}),
        "at least",
    ),
}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_refusals(name: str) -> None:
    model, reason = REFUSED[name]
    with pytest.raises(ModelError, match=reason):
        compile_graph(parse_model(model))


def test_floats_that_saturate(tmp_path: Path) -> None:
    model = _one("QUANTIZE", {"dtype": "float32"}, TENSOR)
    values = np.float32([[1e30, -1e30, np.inf], [-np.inf, np.nan, -np.nan]])
    golden = make_golden(model, [np.zeros((1, 2, 3), np.float32)])
    manifest = compile_model(model, golden, tmp_path, name="row", settings={})
    for run in (Reference(parse_model(model)).run, HostModel(tmp_path, manifest).run):
        assert run([values])[0].tolist() == [[32767, -32768, 32767], [-32768, -32768, -32768]]


def test_the_manifest_tells_how_int16_rounds(tmp_path: Path) -> None:
    for dtype, expected in (("int8", "fixed_point"), ("int16", "table")):
        name = "TANH" if dtype == "int8" else "TANH_INT16"
        model = ALL[name](np.random.default_rng(0))
        golden = make_golden(model, random_inputs(parse_model(model), 1, 0))
        manifest: Any = compile_model(model, golden, tmp_path / dtype, name="row", settings={})
        assert [op["rounding"] for op in manifest["operators"]] == [expected]


def _root(source: dict[str, Any], target: dict[str, Any]) -> bytes:
    """ABS and RSQRT of every int16."""
    b = ModelBuilder()
    x, m, y = (b.tensor([1 << 16], **q) for q in (source, source, target))
    b.operator("ABS", [x], [m], "", 3)
    b.operator("RSQRT", [m], [y], "", 3)
    return b.pack([x], [y])


@pytest.mark.parametrize("scales", [(2.2332305e-5, 1.5304122e-3), (3e-5, 2e-5), (0.05, 3e-4)])
def test_the_inverse_root_of_every_int16(scales: tuple[float, float], tmp_path: Path) -> None:
    source, target = ({"dtype": "int16", "scale": [s]} for s in scales)
    model, values = _root(source, target), np.arange(-(2**15), 2**15).astype(np.int16)
    golden = make_golden(model, [values[None]])
    manifest = compile_model(model, golden, tmp_path, name="m", settings={})
    assert [op["rounding"] for op in manifest["operators"]] == ["double", "fixed_point"]
    got = HostModel(tmp_path, manifest).run(golden.case_inputs(0))[0]
    assert np.array_equal(got, golden.case_outputs(0)[0])


def test_an_inverse_root_of_int8_made_int16_may_be_negative() -> None:
    b = ModelBuilder()
    q: dict[str, Any] = {"dtype": "int16", "scale": [0.01]}
    x, m, y = b.tensor([4], scale=[0.01]), b.tensor([4], **q), b.tensor([4], **q)
    b.operator("QUANTIZE", [x], [m], "QuantizeOptions")
    b.operator("RSQRT", [m], [y], "", 3)
    model = b.pack([x], [y])
    with pytest.raises(UnsupportedOperator, match="an input may be negative; TFLite Micro stops"):
        compile_graph(parse_model(model))
    with pytest.raises(ModelError, match=r"stops at case 0 \(.*\): give inputs"):  # of no indices
        make_golden(model, [np.full((1, 4), -5, np.int8)])


@pytest.mark.parametrize(
    ("name", "options", "copies"), [("ADD", "AddOptions", 2), ("RESHAPE", "", 1)]
)
def test_a_long_chain_before_an_inverse_root_is_followed_once(
    name: str, options: str, copies: int
) -> None:
    """Each ADD(x, x) asks twice about what is before it, and a call inside a call has its end."""
    b = ModelBuilder()
    q: dict[str, Any] = {"dtype": "int16", "scale": [0.01]}
    x, last = b.tensor([4], **q), b.tensor([4], **q)
    b.operator("ABS", [x], [last], "", 3)
    for _ in range(1000):
        after = b.tensor([4], **q)
        b.operator(name, [last] * copies, [after], options)
        last = after
    y = b.tensor([4], **q)
    b.operator("RSQRT", [last], [y], "", 3)
    assert len(compile_graph(parse_model(b.pack([x], [y])))) == 1002


def test_an_inverse_root_of_what_may_be_negative_is_refused() -> None:
    b = ModelBuilder()
    q = {"dtype": "int16", "scale": [0.01]}
    x, m, y = (b.tensor([4], **q) for _ in range(3))
    b.operator("LEAKY_RELU", [x], [m], "LeakyReluOptions", 2, alpha=0.1)
    b.operator("RSQRT", [m], [y], "", 3)
    with pytest.raises(UnsupportedOperator, match="an input may be negative; TFLite Micro stops"):
        compile_graph(parse_model(b.pack([x], [y])))
