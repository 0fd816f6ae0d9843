"""Random models of float32 operators, and of float chains between DEQUANTIZE and QUANTIZE."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tests.factory import ModelBuilder, _activation
from tests.factory_elementwise import _alpha, _shape, _sides
from tests.factory_elementwise import _any_quant as quant_of_type

Generator = Callable[[np.random.Generator], bytes]
F32: dict[str, Any] = {"dtype": "float32"}
# operator, table of options, whether it has a fused activation
BINARY = {
    "ADD": ("AddOptions", True),
    "DIV": ("DivOptions", True),
    "MAXIMUM": ("MaximumMinimumOptions", False),
    "MINIMUM": ("MaximumMinimumOptions", False),
    "MUL": ("MulOptions", True),
    "SQUARED_DIFFERENCE": ("", False),
    "SUB": ("SubOptions", True),
}
UNARY = ("ABS", "NEG", "RELU", "RELU6", "RSQRT", "SQRT", "SQUARE")
LIBRARY = ("COS", "ELU", "EXP", "HARD_SWISH", "LOGISTIC", "LOG", "SIN", "TANH")
REDUCTIONS = ("MEAN", "REDUCE_MAX", "SUM")


def binary(
    name: str, sides: Sequence[Sequence[int]], shape: Sequence[int], activation: int = 0,
    data: Any = None,
) -> bytes:  # fmt: skip
    """An operator of two floats; `data` is the second one's values where it is a constant."""
    b = ModelBuilder()
    x, y = b.tensor(sides[0], **F32), b.tensor(sides[1], data=data, **F32)
    z = b.tensor(shape, **F32)
    options, fused = BINARY.get(name, ("", False))
    values = {"fusedActivationFunction": activation} if fused else {}
    b.operator(name, [x, y], [z], options, **values)
    return b.pack([x] if data is not None else [x, y], [z])


def _binary(name: str) -> Generator:
    def generate(rng: np.random.Generator) -> bytes:
        shape, sides = _sides(rng, 4)
        data = rng.normal(0, 2, sides[1]).astype(np.float32) if rng.random() < 0.4 else None
        return binary(name, sides, shape, _activation(rng), data)

    return generate


def _prelu(rng: np.random.Generator) -> bytes:
    shape = _shape(rng, 5)
    alpha = [1 if rng.random() < 0.4 else d for d in shape]
    return binary("PRELU", [shape, alpha], shape, data=rng.normal(0, 1, alpha).astype(np.float32))


def unary(name: str, shape: Sequence[int], **values: float) -> bytes:
    """An operator of one float."""
    b = ModelBuilder()
    x, y = b.tensor(shape, **F32), b.tensor(shape, **F32)
    b.operator(name, [x], [y], "LeakyReluOptions" if values else "", **values)
    return b.pack([x], [y])


def _unary(name: str) -> Generator:
    return lambda rng: unary(name, _shape(rng))


def reduction(name: str, shape: Sequence[int], axes: Sequence[int], keep: bool) -> bytes:
    """A reduction of floats."""
    b, kept = ModelBuilder(), [1 if i in axes else d for i, d in enumerate(shape)]
    x = b.tensor(shape, **F32)
    a = b.tensor([len(axes)], dtype="int32", data=np.array(axes, np.int32))
    y = b.tensor(kept if keep else [d for i, d in enumerate(shape) if i not in axes], **F32)
    b.operator(name, [x, a], [y], "ReducerOptions", keepDims=keep)
    return b.pack([x], [y])


def _reduction(name: str) -> Generator:
    def generate(rng: np.random.Generator) -> bytes:
        shape = _shape(rng, 7)
        axes = rng.choice(len(shape), int(rng.integers(1, len(shape) + 1)), replace=False)
        if len(shape) == 4 and rng.random() < 0.5:
            axes = np.array([2, 1])
        return reduction(name, shape, [int(a) for a in axes], bool(rng.integers(2)))

    return generate


def _rsqrt_int8(rng: np.random.Generator) -> bytes:
    b, shape = ModelBuilder(), _shape(rng)
    scales = np.exp(rng.uniform(np.log(1e-4), np.log(2.0), 2))
    x = b.tensor(shape, scale=[scales[0]], zero_point=[-128])
    y = b.tensor(shape, scale=[scales[1]], zero_point=[int(rng.integers(-128, 128))])
    b.operator("RSQRT", [x], [y], "", 2)
    return b.pack([x], [y])


def island(rng: np.random.Generator, names: Sequence[str], *, ends_in_float: bool) -> bytes:
    """DEQUANTIZE, functions of one tensor, a sum of two of them, and a QUANTIZE or a MEAN."""
    b, shape = ModelBuilder(), _shape(rng, 6)
    source, target = quant_of_type(rng, "int8"), quant_of_type(rng, "int8")
    x, first = b.tensor(shape, **source), b.tensor(shape, **F32)
    b.operator("DEQUANTIZE", [x], [first], "DequantizeOptions", 2)
    last = first
    for name in names:
        after = b.tensor(shape, **F32)
        b.operator(name, [last], [after])
        last = after
    half = b.tensor([], data=np.float32(0.5), **F32)
    scaled, total = b.tensor(shape, **F32), b.tensor(shape, **F32)
    b.operator("MUL", [half, first], [scaled], "MulOptions")
    b.operator("ADD", [last, scaled], [total], "AddOptions", fusedActivationFunction=3)
    if ends_in_float:
        axis = b.tensor([1], dtype="int32", data=np.array([0], np.int32))
        y = b.tensor([1, *shape[1:]], **F32)
        b.operator("MEAN", [total, axis], [y], "ReducerOptions", keepDims=True)
    else:
        y = b.tensor(shape, **target)
        b.operator("QUANTIZE", [total], [y], "QuantizeOptions", 1)
    return b.pack([x], [y])


def _island(rng: np.random.Generator) -> bytes:
    names = [str(n) for n in rng.choice([*UNARY, *LIBRARY], int(rng.integers(1, 4)))]
    return island(rng, names, ends_in_float=bool(rng.integers(2)))


def layer_norm() -> bytes:
    """What is no function of one int8: (x - mean) / sqrt(variance + 0.001), then a product."""
    b, shape = ModelBuilder(), [1, 6, 8]
    axis = b.tensor([1], dtype="int32", data=np.array([-1], np.int32))
    epsilon = b.tensor([], data=np.float32(1e-3), **F32)
    gamma = b.tensor([8], data=np.linspace(-1, 2, 8, dtype=np.float32), **F32)
    x = b.tensor(shape, scale=[0.05], zero_point=[3])
    real, centred, ratio, scaled, turned = (b.tensor(shape, **F32) for _ in range(5))
    mean, variance, shifted, root = (b.tensor([1, 6, 1], **F32) for _ in range(4))
    squares = b.tensor(shape, **F32)
    flat, y = b.tensor([6, 8], **F32), b.tensor([6, 8], scale=[0.03], zero_point=[-5])
    order = b.tensor([2], dtype="int32", data=np.array([6, 8], np.int32))
    b.operator("DEQUANTIZE", [x], [real], "DequantizeOptions", 2)
    b.operator("MEAN", [real, axis], [mean], "ReducerOptions", keepDims=True)
    b.operator("SUB", [real, mean], [centred], "SubOptions")
    b.operator("SQUARE", [centred], [squares])
    b.operator("MEAN", [squares, axis], [variance], "ReducerOptions", keepDims=True)
    b.operator("ADD", [variance, epsilon], [shifted], "AddOptions")
    b.operator("SQRT", [shifted], [root])
    b.operator("DIV", [centred, root], [ratio], "DivOptions")
    b.operator("MUL", [ratio, gamma], [scaled], "MulOptions")
    b.operator("NEG", [scaled], [turned])
    b.operator("RESHAPE", [turned, order], [flat], "ReshapeOptions")
    b.operator("QUANTIZE", [flat], [y], "QuantizeOptions", 1)
    return b.pack([x], [y])


def every_operator() -> bytes:
    """All float operators side by side on two int8 inputs; outputs are floats."""
    b, shape, outputs = ModelBuilder(), [4, 32], list[int]()
    ends = [b.tensor(shape, scale=[s], zero_point=[z]) for s, z in ((0.4, -7), (1e-3, 90))]
    reals = [b.tensor(shape, **F32) for _ in ends]
    for x, real in zip(ends, reals, strict=True):
        b.operator("DEQUANTIZE", [x], [real], "DequantizeOptions", 2)
    mixed = b.tensor(shape, **F32)
    b.operator("SUB", reals, [mixed], "SubOptions")
    tiny = b.tensor([], data=np.float32(1e-41), **F32)
    small = b.tensor(shape, **F32)
    b.operator("MUL", [mixed, tiny], [small], "MulOptions")
    for name, (options, _) in BINARY.items():
        for pair in ((mixed, reals[1]), (small, mixed)):
            outputs.append(b.tensor(shape, **F32))
            b.operator(name, pair, [outputs[-1]], options)
    for name in UNARY:
        for source in (mixed, small):
            outputs.append(b.tensor(shape, **F32))
            b.operator(name, [source], [outputs[-1]])
    axis = b.tensor([1], dtype="int32", data=np.array([1], np.int32))
    for name in REDUCTIONS:
        outputs.append(b.tensor([4, 1], **F32))
        b.operator(name, [mixed, axis], [outputs[-1]], "ReducerOptions", keepDims=True)
    return b.pack(ends, outputs)


def _leaky_relu(rng: np.random.Generator) -> bytes:
    return unary("LEAKY_RELU", _shape(rng), alpha=_alpha(rng))


GENERATORS: dict[str, Generator] = {
    **{f"{name}_FLOAT": _binary(name) for name in BINARY},
    **{f"{name}_FLOAT": _unary(name) for name in UNARY},
    **{f"{name}_FLOAT": _reduction(name) for name in REDUCTIONS},
    "LEAKY_RELU_FLOAT": _leaky_relu,
    "PRELU_FLOAT": _prelu,
    "RSQRT": _rsqrt_int8,
    "TABLE": _island,
}
