"""Random models of element-wise operators, reductions and changes of type."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from quantize.ops.quantize import PAIRS
from tests.factory import ModelBuilder, _activation
from tests.factory import _quant as quant

Generator = Callable[[np.random.Generator], bytes]
STEPS = {"int16": 1 << 7, "int32": 1 << 23}  # of a type to one of int8


def _shape(rng: np.random.Generator, top: int = 9, rank: int = 5) -> list[int]:
    return [int(v) for v in rng.integers(1, top, int(rng.integers(1, rank)))]


def near(rng: np.random.Generator, scale: float) -> dict[str, Any]:
    """Another quantisation whose scale is within a factor of 8; half of them by a ratio of small
    numbers, which gives ties when rescaling."""
    if rng.random() < 0.5:
        return quant(rng, scale / 8, scale * 8)
    ratio = np.float32(rng.integers(1, 9)) / np.float32(rng.integers(1, 9))
    return quant(rng) | {"scale": [float(np.float32(scale) * ratio)]}


def _unary(
    name: str,
    build: Callable[[np.random.Generator], tuple[Any, Any]],
    options: str = "",
    version: int = 1,
    **values: Callable[[np.random.Generator], float],
) -> Generator:
    def generate(rng: np.random.Generator) -> bytes:
        b, shape = ModelBuilder(), _shape(rng)
        source, target = build(rng)
        x, y = b.tensor(shape, **source), b.tensor(shape, **target)
        drawn = {key: draw(rng) for key, draw in values.items()}
        b.operator(name, [x], [y], options, version, **drawn)
        return b.pack([x], [y])

    return generate


def _rescaled(rng: np.random.Generator) -> tuple[Any, Any]:
    q = quant(rng)
    return q, q if rng.random() < 0.2 else near(rng, q["scale"][0])


def _same(rng: np.random.Generator) -> tuple[Any, Any]:
    q = quant(rng)
    return q, q


def _fixed(scale: float, zero_point: int) -> Callable[[np.random.Generator], tuple[Any, Any]]:
    def build(rng: np.random.Generator) -> tuple[Any, Any]:
        return quant(rng, 1e-5, 20.0), {"scale": [scale], "zero_point": [zero_point]}

    return build


def _hard_swish(rng: np.random.Generator) -> tuple[Any, Any]:
    q = quant(rng, 1e-3, 2.0)
    return q, near(rng, q["scale"][0])


def _sides(rng: np.random.Generator, rank: int = 6) -> tuple[list[int], list[list[int]]]:
    """An output shape, and two operand shapes of which each may repeat along some axes."""
    shape = _shape(rng, 6 if rank < 6 else 4, rank + 1)
    sides = [list(shape), list(shape)]
    if rng.random() < 0.7:
        for axis in range(len(shape)):
            if rng.random() < 0.4:
                sides[int(rng.integers(2))][axis] = 1
        short = int(rng.integers(2))
        while len(sides[short]) > 1 and sides[short][0] == 1 and rng.random() < 0.5:
            sides[short] = sides[short][1:]
    return shape, sides


def _operands(
    rng: np.random.Generator,
    b: ModelBuilder,
    sides: Sequence[Sequence[int]],
    quants: Sequence[Any],
    constant: Sequence[int],
) -> list[int]:
    """Two operands; one of the positions in `constant` may be a constant."""
    fixed = int(rng.choice(list(constant))) if rng.random() < 0.4 else -1
    return [
        b.tensor(s, **q, data=rng.integers(-128, 128, s).astype(np.int8) if k == fixed else None)
        for k, (s, q) in enumerate(zip(sides, quants, strict=True))
    ]


def _binary(name: str, options: str = "", version: int = 1, *, same: bool = False,
            activation: bool = False) -> Generator:  # fmt: skip
    def generate(rng: np.random.Generator) -> bytes:
        b = ModelBuilder()
        shape, sides = _sides(rng)
        quants = [quant(rng)]
        quants += [near(rng, quants[0]["scale"][0]) for _ in range(2)]
        if same:
            quants = [quants[0]] * 3
        elif name in ("MUL", "SQUARED_DIFFERENCE"):
            quants[2]["scale"][0] *= quants[1]["scale"][0] * float(rng.choice([1.0, 30.0, 200.0]))
        operands = _operands(rng, b, sides, quants[:2], (0, 1))
        z = b.tensor(shape, **quants[2])
        values = {"fusedActivationFunction": _activation(rng)} if activation else {}
        b.operator(name, operands, [z], options, version, **values)
        return b.pack([i for i in operands if not b.tensors[i].buffer], [z])

    return generate


def _prelu(rng: np.random.Generator) -> bytes:
    b, shape = ModelBuilder(), _shape(rng, 6)
    alpha_shape = [1 if rng.random() < 0.4 else d for d in shape]
    while len(alpha_shape) > 1 and alpha_shape[0] == 1 and rng.random() < 0.5:
        alpha_shape = alpha_shape[1:]
    quants = [quant(rng), quant(rng)]
    x, alpha = _operands(rng, b, [shape, alpha_shape], quants, (1,))
    y = b.tensor(shape, **near(rng, quants[0]["scale"][0]))
    b.operator("PRELU", [x, alpha], [y])
    return b.pack([i for i in (x, alpha) if not b.tensors[i].buffer], [y])


def _reduce(name: str, *, same: bool) -> Generator:
    def generate(rng: np.random.Generator) -> bytes:
        b, shape = ModelBuilder(), _shape(rng, 5, 7)
        rank = len(shape)
        axes = rng.choice(rank, int(rng.integers(1, rank + 1)), replace=False)
        keep = bool(rng.integers(2))
        signed = [int(a) - rank if rng.random() < 0.3 else int(a) for a in axes]
        q = quant(rng)
        kept = [1 if i in axes else d for i, d in enumerate(shape)]
        x = b.tensor(shape, **q)
        a = b.tensor([len(signed)], dtype="int32", data=np.array(signed, np.int32))
        y = b.tensor(kept if keep else [d for i, d in enumerate(shape) if i not in axes],
                     **(q if same else near(rng, 4 * q["scale"][0])))  # fmt: skip
        b.operator(name, [x, a], [y], "ReducerOptions", 2, keepDims=keep)
        return b.pack([x], [y])

    return generate


def _arg(name: str, options: str) -> Generator:
    def generate(rng: np.random.Generator) -> bytes:
        b, shape = ModelBuilder(), _shape(rng)
        axis = int(rng.integers(-len(shape), len(shape)))
        scalar: list[int] = [] if rng.random() < 0.5 else [1]
        x = b.tensor(shape, **quant(rng))
        a = b.tensor(scalar, dtype="int32", data=np.array([axis], np.int32))
        y = b.tensor([d for i, d in enumerate(shape) if i != axis % len(shape)], dtype="int32")
        b.operator(name, [x, a], [y], options, 2, outputType=2)
        return b.pack([x], [y])

    return generate


def _any_quant(rng: np.random.Generator, dtype: str) -> dict[str, Any]:
    """A quantisation of `dtype`; some of int16 have a zero point, as the ends of a graph may."""
    if dtype == "float32":
        return {}
    q = quant(rng)
    if dtype in STEPS:
        zero_point = int(rng.integers(-999, 999)) if dtype == "int16" and rng.random() < 0.2 else 0
        return {"scale": [q["scale"][0] / STEPS[dtype]], "zero_point": [zero_point]}
    return q if dtype == "int8" else q | {"zero_point": [q["zero_point"][0] + 128]}


def convert(name: str, options: str, pairs: Sequence[tuple[str, str]]) -> Generator:
    """A QUANTIZE or DEQUANTIZE between the types of one of `pairs`, made smaller and larger."""

    def generate(rng: np.random.Generator) -> bytes:
        source, target = pairs[int(rng.integers(len(pairs)))]
        b, shape = ModelBuilder(), _shape(rng)
        x = b.tensor(shape, dtype=source, **_any_quant(rng, source))
        y = b.tensor(shape, dtype=target, **_any_quant(rng, target))
        b.operator(name, [x], [y], options, 3)
        return b.pack([x], [y])

    return generate


def _div(rng: np.random.Generator) -> bytes:
    """A random DIV by constants, none of them 0."""
    b = ModelBuilder()
    shape, sides = _sides(rng)
    source, divisor = quant(rng), quant(rng)
    zero = divisor["zero_point"][0]
    data = rng.integers(-128, 128, sides[1])
    data = np.where(data == zero, zero - 1 if zero > -128 else zero + 1, data)
    factor = np.abs(data - zero).max() * rng.uniform(1, 16)
    scale = float(np.float32(source["scale"][0] / divisor["scale"][0] / factor))
    x, y = b.tensor(sides[0], **source), b.tensor(sides[1], data=data.astype(np.int8), **divisor)
    z = b.tensor(shape, scale=[scale], zero_point=[int(rng.integers(-128, 128))])
    b.operator("DIV", [x, y], [z], "DivOptions", 2, fusedActivationFunction=_activation(rng))
    return b.pack([x], [z])


def _alpha(rng: np.random.Generator) -> float:
    return float(np.float32(rng.choice([0.0, 0.01, 0.1, 0.3, 1.5])))


UNARY = ("ABS", "ELU", "HARD_SWISH", "LEAKY_RELU", "LOGISTIC", "RELU", "RELU6", "TANH")
GENERATORS: dict[str, Generator] = {
    "ABS": _unary("ABS", _rescaled, version=2),
    "ARG_MAX": _arg("ARG_MAX", "ArgMaxOptions"),
    "ARG_MIN": _arg("ARG_MIN", "ArgMinOptions"),
    "DIV": _div,
    "DEQUANTIZE": convert(
        "DEQUANTIZE", "DequantizeOptions", [("int8", "float32"), ("uint8", "float32")]
    ),
    "ELU": _unary("ELU", _rescaled),
    "HARD_SWISH": _unary("HARD_SWISH", _hard_swish, "HardSwishOptions"),
    "LEAKY_RELU": _unary("LEAKY_RELU", _rescaled, "LeakyReluOptions", 2, alpha=_alpha),
    "LOGISTIC": _unary("LOGISTIC", _fixed(1 / 256, -128), version=2),
    "MAXIMUM": _binary("MAXIMUM", "MaximumMinimumOptions", 2, same=True),
    "MINIMUM": _binary("MINIMUM", "MaximumMinimumOptions", 2, same=True),
    "MUL": _binary("MUL", "MulOptions", 2, activation=True),
    "PRELU": _prelu,
    "QUANTIZE": convert(
        "QUANTIZE",
        "QuantizeOptions",
        [("float32", "int8"), *(p for p in sorted(PAIRS) if "int16" not in p)],
    ),
    "REDUCE_MAX": _reduce("REDUCE_MAX", same=True),
    "RELU": _unary("RELU", _rescaled, version=2),
    "RELU6": _unary("RELU6", _same, version=2),
    "SQUARED_DIFFERENCE": _binary("SQUARED_DIFFERENCE", version=2),
    "SUB": _binary("SUB", "SubOptions", 2, activation=True),
    "SUM": _reduce("SUM", same=False),
    "TANH": _unary("TANH", _fixed(1 / 128, 0), version=2),
}
