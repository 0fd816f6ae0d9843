"""Random models of convolutions in groups of channels, of SOFTMAX to int16 and LOG_SOFTMAX."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.factory import INT8, ModelBuilder, Types, _activation, _bias, _geometry, _quant, _weights

Generator = Callable[[np.random.Generator], bytes]


def grouped_conv_2d(rng: np.random.Generator, types: Types = INT8) -> bytes:
    """A random CONV_2D of 2 to 4 groups, each of 1 to 8 inputs and 1 to 5 outputs."""
    b, g = ModelBuilder(), _geometry(rng)
    groups = int(rng.integers(2, 5))
    inputs, outputs = int(rng.choice([1, 2, 3, 4, 5, 8])), groups * int(rng.integers(1, 6))
    q = _quant(rng, dtype=types.activations)
    x = b.tensor([1, g["h"], g["w"], groups * inputs], **q)
    w, scales = _weights(
        rng, b, [outputs, g["kh"], g["kw"], inputs], 0, rng.random() < 0.7, types.weights
    )
    bias = _bias(rng, b, outputs, q["scale"][0], scales, types)
    y = b.tensor([1, g["oh"], g["ow"], outputs], **_quant(rng, dtype=types.activations))
    b.operator("CONV_2D", [x, w, bias], [y], "Conv2DOptions", 6, **g["options"], **g["dilation"],
               fusedActivationFunction=_activation(rng))  # fmt: skip
    return b.pack([x], [y])


def softmax_to_int16(rng: np.random.Generator) -> bytes:
    """A random SOFTMAX whose output is int16; half of the scales are 1/65535, as converted."""
    b = ModelBuilder()
    shape = [int(v) for v in rng.integers(1, [4, 40])]
    x = b.tensor(shape, **_quant(rng, 1e-3, 1.0))
    scale = 1 / 65536 if rng.random() < 0.5 else 1 / 65535
    y = b.tensor(shape, dtype="int16", scale=[scale], zero_point=[-32768])
    b.operator("SOFTMAX", [x], [y], "SoftmaxOptions", 3, beta=float(rng.choice([1.0, 0.5, 2.0])))
    return b.pack([x], [y])


def log_softmax(rng: np.random.Generator) -> bytes:
    """A random LOG_SOFTMAX."""
    b = ModelBuilder()
    shape = [int(v) for v in rng.integers(1, [4, 60])]
    x = b.tensor(shape, **_quant(rng, 1e-3, 1.0))
    y = b.tensor(shape, scale=[1 / 16], zero_point=[127])
    b.operator("LOG_SOFTMAX", [x], [y], version=2)
    return b.pack([x], [y])


GENERATORS: dict[str, Generator] = {
    "CONV_2D__GROUPED": grouped_conv_2d,
    "CONV_2D__GROUPED_INT16": lambda rng: grouped_conv_2d(
        rng, Types(activations="int16", bias=("int64", "int32"))
    ),
    "LOG_SOFTMAX": log_softmax,
    "SOFTMAX__TO_INT16": softmax_to_int16,
}
