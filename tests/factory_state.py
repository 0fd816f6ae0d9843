"""Random models that keep state: LSTM."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.factory import ModelBuilder, _quant


def _scale(low: float, high: float, rng: np.random.Generator) -> float:
    return float(np.float32(np.exp(rng.uniform(np.log(low), np.log(high)))))


def _state(b: ModelBuilder, shape: list[int], **values: Any) -> int:
    index = b.tensor(shape, **values)
    b.tensors[index].isVariable = True
    return index


def _matrices(
    rng: np.random.Generator, b: ModelBuilder, shape: list[int], spread: float
) -> list[int]:
    """Weights of four gates whose sums spread over about `spread` in real numbers."""
    found = []
    for _ in range(4):
        scale = spread / 73 / np.sqrt(shape[1]) * rng.uniform(0.3, 3)
        data = rng.integers(-127, 128, shape).astype(np.int8)
        found.append(b.tensor(shape, scale=[float(np.float32(scale))], data=data))
    return found


def lstm(rng: np.random.Generator) -> bytes:
    """A random LSTM whose gates are neither dead nor saturated."""
    b = ModelBuilder()
    batches, steps, depth, units = (int(v) for v in rng.integers(1, [4, 8, 14, 14]))
    time_major = bool(rng.integers(2))
    lead = [steps, batches] if time_major else [batches, steps]
    source = _quant(rng, 5e-3, 0.1)
    power = int(rng.integers(-15, -8)) if rng.random() < 0.8 else int(rng.integers(-20, 3))
    hidden = {"scale": [_scale(5e-4, 1e-2, rng)], "zero_point": [int(rng.integers(-100, 101))]}
    x = b.tensor([*lead, depth], **source)
    fresh = _matrices(rng, b, [units, depth], 2 / (73 * source["scale"][0]))
    past = _matrices(rng, b, [units, units], 2 / (73 * hidden["scale"][0]))
    biases = []
    for w in fresh:
        scale = float(np.float32(b.tensors[w].quantization.scale[0] * source["scale"][0]))
        data = np.round(rng.normal(0, 1, units) / scale).astype(np.int32)
        biases.append(b.tensor([units], dtype="int32", scale=[scale], data=data))
    states = [
        _state(b, [batches, units], **hidden),
        _state(b, [batches, units], dtype="int16", scale=[2.0**power]),
    ]
    y = b.tensor([*lead, units], **hidden)
    operands = [x, *fresh, *past, -1, -1, -1, *biases, -1, -1, *states, -1, -1, -1, -1]
    b.operator(
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        operands,
        [y],
        "UnidirectionalSequenceLSTMOptions",
        fusedActivationFunction=4,
        cellClip=float(rng.choice([0.0, 10.0, 1.0, 0.3, 1e-6])),
        timeMajor=time_major,
    )
    unused = [b.tensor([0], dtype="float32") for _ in range(4)]  # as the converter writes them
    b.operators[-1].intermediates = np.array([*unused, b.tensor([0], **hidden)], np.int32)
    return b.pack([x], [y])


GENERATORS: dict[str, Callable[[np.random.Generator], bytes]] = {
    "UNIDIRECTIONAL_SEQUENCE_LSTM": lstm,
}
