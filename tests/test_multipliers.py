"""The last bit of a requantisation factor: float32 or double products of scales tell apart here.

Random models hardly ever notice, so sums are placed where the two round to different outputs.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from quantize.golden import make_golden
from quantize.reference import Reference
from quantize.tflite.reader import parse_model
from tests.factory import ModelBuilder

ROWS = 8
COUNT = 500  # outputs of a row
DEPTH = 200


def _scales(rng: np.random.Generator, count: int) -> list[float]:
    return [float(np.float32(s)) for s in rng.uniform(0.001, 0.2, count)]


def _near_halves(rng: np.random.Generator, factor: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Sums that `factor` takes next to k + 1/2, for k of 100 to 239."""
    exact = (rng.integers(100, 240, COUNT) + 0.5) / np.asarray(factor)
    return np.round(exact).astype(np.int64) + rng.integers(-1, 2, COUNT)


def _biased(name: str, per_channel: bool) -> Callable[[np.random.Generator], bytes]:
    """Weights of 0 and an input at its zero point: the bias is the sum."""

    def build(rng: np.random.Generator) -> bytes:
        b, source = ModelBuilder(), _scales(rng, 1)[0]
        scales = _scales(rng, COUNT if per_channel else 1)
        out = float(np.float32(source * max(scales) * 2**17))
        data = _near_halves(rng, np.array(scales) * source / out).astype(np.int32)
        bias_scale = [float(np.float32(source) * np.float32(s)) for s in scales]
        bias = b.tensor([COUNT], dtype="int32", scale=bias_scale, data=data)
        flat = name == "FULLY_CONNECTED"
        shape = [COUNT, 1] if flat else [1, 1, 1, COUNT] if "DEPTH" in name else [COUNT, 1, 1, 1]
        axis = 3 if "DEPTH" in name else 0
        weights = b.tensor(shape, scale=scales, axis=axis, data=np.zeros(shape, np.int8))
        x = b.tensor([1, 1] if flat else [1] * 4, scale=[source], zero_point=[0])
        end = [1, COUNT] if flat else [1, 1, 1, COUNT]
        y = b.tensor(end, scale=[out], zero_point=[-128])
        if flat:
            b.operator(name, [x, weights, bias], [y], "FullyConnectedOptions", 4)
        elif name == "TRANSPOSE_CONV":
            size = b.tensor([4], dtype="int32", data=np.array(end, np.int32))
            b.operator(name, [size, weights, x, bias], [y], "TransposeConvOptions", 3,
                       strideH=1, strideW=1)  # fmt: skip
        elif name == "CONV_2D":
            b.operator(name, [x, weights, bias], [y], "Conv2DOptions", 3, strideH=1, strideW=1)
        else:
            b.operator(name, [x, weights, bias], [y], "DepthwiseConv2DOptions", 3, strideH=1,
                       strideW=1, depthMultiplier=COUNT)  # fmt: skip
        return b.pack([x], [y])

    return build


def _product(rng: np.random.Generator) -> bytes:
    """A BATCH_MATMUL whose one row is 255 everywhere but 1 in front: digits in base 255."""
    a, c = _scales(rng, 2)
    out = float(np.float32(a * c * 255 * 255 * DEPTH / 245 * rng.uniform(1.0, 1.5)))
    rest, last = np.divmod(_near_halves(rng, a * c / out), 255)
    digits = np.zeros((DEPTH, COUNT), np.int64)
    digits[0] = last
    for row in digits[1:]:
        row[:] = np.minimum(rest, 255)
        rest = rest - row
    b = ModelBuilder()
    x = b.tensor([1, DEPTH], scale=[a], zero_point=[-128])
    data = (digits - 128).astype(np.int8)
    m = b.tensor([DEPTH, COUNT], scale=[c], zero_point=[-128], data=data)
    y = b.tensor([1, COUNT], scale=[out], zero_point=[-128])
    b.operator("BATCH_MATMUL", [x, m], [y], "BatchMatMulOptions", 2)
    return b.pack([x], [y])


def _lstm(rng: np.random.Generator) -> bytes:
    """Weights of 0: the cell gate's bias decides alone, and a step of Q3.12 is one of the output.

    Near 0, tanh is the identity; the other gates are open.
    """
    b, (source, scale) = ModelBuilder(), _scales(rng, 2)
    quant = {"scale": [2.0**-12], "zero_point": [-128]}
    scale *= 2.0**-20
    x = b.tensor([1, 1, 1], scale=[source], zero_point=[0])
    fresh = b.tensor([COUNT, 1], scale=[scale], data=np.zeros((COUNT, 1), np.int8))
    past = b.tensor([COUNT, COUNT], scale=[0.1], data=np.zeros((COUNT, COUNT), np.int8))
    biases = [np.full(COUNT, 2**30), _near_halves(rng, source * scale * 2**12)]
    open_gate, cell = (
        b.tensor([COUNT], dtype="int32", scale=[source * scale], data=v.astype(np.int32))
        for v in biases
    )
    hidden = b.tensor([1, COUNT], **quant)
    state = b.tensor([1, COUNT], dtype="int16", scale=[2.0**-15])
    b.tensors[hidden].isVariable = b.tensors[state].isVariable = True
    y = b.tensor([1, 1, COUNT], **quant)
    gates = [*[fresh] * 4, *[past] * 4, -1, -1, -1, open_gate, open_gate, cell, open_gate]
    operands = [x, *gates, -1, -1, hidden, state, -1, -1, -1, -1]
    name, options = "UNIDIRECTIONAL_SEQUENCE_LSTM", "UnidirectionalSequenceLSTMOptions"
    b.operator(name, operands, [y], options, fusedActivationFunction=4)
    return b.pack([x], [y])


def _input(model: bytes) -> npt.NDArray[np.int8]:
    graph = parse_model(model)
    tensor = graph.tensors[graph.inputs[0]]
    if graph.operators[0].name != "BATCH_MATMUL":
        return np.zeros((1, *tensor.shape), np.int8)
    values = np.full((1, *tensor.shape), 127, np.int8)
    values[0, 0, 0] = -127
    return values


MODELS: dict[str, Callable[[np.random.Generator], bytes]] = {
    "BATCH_MATMUL": _product,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _lstm,
} | {
    f"{name}{' per channel' if per_channel else ''}": _biased(name, per_channel)
    for name in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
    for per_channel in (False, True)
}


@pytest.mark.parametrize("name", sorted(MODELS))
def test_factors_are_tflite_micros_to_the_last_bit(name: str) -> None:
    for row in range(ROWS):
        model = MODELS[name](np.random.default_rng(row))
        golden = make_golden(model, [_input(model)])
        got = Reference(parse_model(model)).run(golden.case_inputs(0))[0]
        wrong = int((got != golden.case_outputs(0)[0]).sum())
        assert wrong == 0, f"{name} row {row}: {wrong} of {COUNT} outputs differ"
