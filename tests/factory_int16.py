"""Random models of element-wise operators with int16 activations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from quantize.ops.quantize import PAIRS
from tests.factory import ModelBuilder, _activation
from tests.factory_elementwise import _alpha, _shape, _sides, _unary, convert

Generator = Callable[[np.random.Generator], bytes]
Q15 = 1 / 32768


def quant(rng: np.random.Generator, low: float = 1e-6, high: float = 1e-3) -> dict[str, Any]:
    """A random int16 quantisation."""
    return _with(float(np.float32(np.exp(rng.uniform(np.log(low), np.log(high))))))


def _with(scale: float) -> dict[str, Any]:
    return {"dtype": "int16", "scale": [scale]}


def near(rng: np.random.Generator, scale: float) -> dict[str, Any]:
    """Another quantisation whose scale is within a factor of 8; half of them by a ratio of small
    numbers, which gives ties when rescaling."""
    if rng.random() < 0.5:
        return quant(rng, scale / 8, scale * 8)
    ratio = np.float32(rng.integers(1, 9)) / np.float32(rng.integers(1, 9))
    return _with(float(np.float32(scale) * ratio))


def _rescaled(rng: np.random.Generator) -> tuple[Any, Any]:
    q = quant(rng)
    return q, q if rng.random() < 0.2 else near(rng, q["scale"][0])


def _same(rng: np.random.Generator) -> tuple[Any, Any]:
    q = quant(rng)
    return q, q


def _sigmoid(rng: np.random.Generator) -> tuple[Any, Any]:
    """A third of the input scales are near powers of two, which have a way of their own."""
    if rng.random() < 0.33:
        power = 2.0 ** int(rng.integers(-14, -8))
        return _with(power * float(rng.uniform(0.999, 1.001))), _with(Q15)
    return quant(rng, 1e-7, 2.5), _with(Q15)


def _softmax(rng: np.random.Generator) -> tuple[Any, Any]:
    return quant(rng, 1e-6, 1e-2), _with(Q15)


def _operands(
    rng: np.random.Generator, b: ModelBuilder, sides: list[list[int]], quants: list[dict[str, Any]]
) -> list[int]:
    """Two operands; one of them may be a constant."""
    fixed = int(rng.integers(2)) if rng.random() < 0.4 else -1
    data = [rng.integers(-32768, 32768, side).astype(np.int16) for side in sides]
    return [
        b.tensor(side, **q, data=data[k] if k == fixed else None)
        for k, (side, q) in enumerate(zip(sides, quants, strict=True))
    ]


def _binary(name: str, options: str = "", version: int = 2, *, product: float = 0.0,
            same: bool = False, activation: bool = False) -> Generator:  # fmt: skip
    """`product` above 0: the output's scale is that of a product, times up to this."""

    def generate(rng: np.random.Generator) -> bytes:
        b = ModelBuilder()
        shape, sides = _sides(rng)
        quants = [quant(rng, 1e-4 if product else 1e-6)]
        quants += [near(rng, quants[0]["scale"][0]) for _ in range(2)]
        if same:
            quants = [quants[0]] * 3
        elif product:
            wider = float(rng.choice([100.0, 3000.0, product]))
            quants[2]["scale"] = [quants[2]["scale"][0] * quants[1]["scale"][0] * wider]
        operands = _operands(rng, b, sides, quants[:2])
        z = b.tensor(shape, **quants[2])
        values = {"fusedActivationFunction": _activation(rng)} if activation else {}
        b.operator(name, operands, [z], options, version, **values)
        return b.pack([i for i in operands if not b.tensors[i].buffer], [z])

    return generate


def _prelu(rng: np.random.Generator) -> bytes:
    """alpha is int8."""
    b, shape = ModelBuilder(), _shape(rng, 6)
    alpha_shape = [1 if rng.random() < 0.4 else d for d in shape]
    data = rng.integers(-128, 128, alpha_shape).astype(np.int8) if rng.random() < 0.6 else None
    source = quant(rng)
    x = b.tensor(shape, **source)
    zero_point = [int(rng.integers(-128, 128))]
    alpha = b.tensor(alpha_shape, scale=[rng.uniform(1e-3, 0.1)], zero_point=zero_point, data=data)
    y = b.tensor(shape, **near(rng, source["scale"][0]))
    b.operator("PRELU", [x, alpha], [y])
    return b.pack([x] if data is not None else [x, alpha], [y])


def rsqrt(rng: np.random.Generator) -> bytes:
    """A random RSQRT behind an operator that gives no negative number."""
    b, shape = ModelBuilder(), _shape(rng, 12)
    name = str(rng.choice(["ABS", "RELU", "MUL"]))
    source = quant(rng, 1e-6, 1e-1)
    middle = near(rng, source["scale"][0])
    if name == "MUL":
        middle = _with(float(np.float32(source["scale"][0] ** 2 * rng.choice([3e3, 3e4]))))
    x, m = b.tensor(shape, **source), b.tensor(shape, **middle)
    root = 1 / np.sqrt(rng.uniform(1, 3e4) * middle["scale"][0])
    y = b.tensor(shape, **_with(float(np.float32(root / rng.uniform(10, 3e4)))))
    b.operator(name, [x, x] if name == "MUL" else [x], [m], "MulOptions" if name == "MUL" else "")
    b.operator("RSQRT", [m], [y], "", 3)
    return b.pack([x], [y])


def _beta(rng: np.random.Generator) -> float:
    return float(rng.choice([1.0, 0.5, 2.0]))


UNARY = ("ABS", "LEAKY_RELU", "LOGISTIC", "RELU", "RELU6", "TANH")
GENERATORS: dict[str, Generator] = {
    "ABS_INT16": _unary("ABS", _rescaled, version=3),
    "ADD_INT16": _binary("ADD", "AddOptions", 3, activation=True),
    "DEQUANTIZE_INT16": convert("DEQUANTIZE", "DequantizeOptions", [("int16", "float32")]),
    "LEAKY_RELU_INT16": _unary("LEAKY_RELU", _rescaled, "LeakyReluOptions", 2, alpha=_alpha),
    "LOGISTIC_INT16": _unary("LOGISTIC", _sigmoid, version=3),
    "MAXIMUM_INT16": _binary("MAXIMUM", "MaximumMinimumOptions", 4, same=True),
    "MINIMUM_INT16": _binary("MINIMUM", "MaximumMinimumOptions", 4, same=True),
    "MUL_INT16": _binary("MUL", "MulOptions", 4, product=5e4, activation=True),
    "PRELU_INT16": _prelu,
    "QUANTIZE_INT16": convert(
        "QUANTIZE",
        "QuantizeOptions",
        [*[("float32", "int16")] * 3, *(p for p in sorted(PAIRS) if "int16" in p)],
    ),
    "RELU6_INT16": _unary("RELU6", _same, version=3),
    "RELU_INT16": _unary("RELU", _rescaled, version=3),
    "RSQRT_INT16": rsqrt,
    "SOFTMAX_INT16": _unary("SOFTMAX", _softmax, "SoftmaxOptions", 3, beta=_beta),
    "SQUARED_DIFFERENCE_INT16": _binary("SQUARED_DIFFERENCE", product=5e4),
    "SUB_INT16": _binary("SUB", "SubOptions", 5, activation=True),
    "TANH_INT16": _unary("TANH", _sigmoid, version=3),
}
