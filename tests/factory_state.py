"""Random models that keep state: LSTM, and streaming models with resource variables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

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


@dataclass(kw_only=True)
class Streaming:
    """A model with variables; `start` is the subgraph that CALL_ONCE runs, if any."""

    main: ModelBuilder = field(default_factory=ModelBuilder)
    start: ModelBuilder | None = None
    names: int = 0

    def __post_init__(self) -> None:
        if self.start is not None:
            self.main.operator("CALL_ONCE", [], [], "CallOnceOptions", initSubgraphIndex=1)

    def handle(self, b: ModelBuilder, name: str) -> int:
        """A VAR_HANDLE of the variable `name`."""
        handle = b.tensor([], dtype="resource")
        b.operator("VAR_HANDLE", [], [handle], "VarHandleOptions",
                   container=b"", sharedName=name.encode())  # fmt: skip
        return handle

    def variable(self, first: npt.NDArray[Any] | None, **quant: Any) -> int:
        """A new variable, with a first value unless None; returns its handle in main."""
        self.names += 1
        name = f"variable/{self.names}"
        if first is not None:
            assert self.start is not None
            value = self.start.tensor(first.shape, data=first, **quant)
            self.start.operator("ASSIGN_VARIABLE", [self.handle(self.start, name), value], [])
        return self.handle(self.main, name)

    def read(self, handle: int, shape: Sequence[int], **quant: Any) -> int:
        """READ_VARIABLE of a handle; returns the value."""
        value = self.main.tensor(shape, **quant)
        self.main.operator("READ_VARIABLE", [handle], [value], "ReadVariableOptions")
        return value

    def assign(self, handle: int, value: int) -> None:
        """ASSIGN_VARIABLE of a value to a handle."""
        self.main.operator("ASSIGN_VARIABLE", [handle, value], [], "AssignVariableOptions")

    def pack(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        """The bytes of the .tflite file."""
        return self.main.pack(inputs, outputs, [self.start] if self.start else [])


def _first(rng: np.random.Generator, shape: Sequence[int], dtype: str) -> npt.NDArray[Any]:
    """Random values, or the same everywhere."""
    if dtype == "float32":
        return rng.normal(0, 1, shape).astype(np.float32)
    limits = np.iinfo(dtype)
    if rng.random() < 0.3:
        return np.full(shape, rng.integers(limits.min, limits.max), dtype)
    return rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)


def _begin(rng: np.random.Generator) -> Streaming:
    """A model with or without first values."""
    if rng.random() < 0.3:
        return Streaming()
    main = ModelBuilder()
    return Streaming(main=main, start=main.beside())


def _ring(rng: np.random.Generator, s: Streaming, x: int, rows: int, **like: Any) -> int:
    """Append the row `x` to the last rows; returns them all.

    The converter keeps variables in float, also where everything else is int8.
    """
    b = s.main
    depth = int(b.tensors[x].shape[2])
    real = "dtype" not in like and rng.random() < 0.4
    held = {"dtype": "float32"} if real else like
    shape, dtype = [1, rows, depth], held.get("dtype", "int8")
    ring = s.variable(None if s.start is None else _first(rng, shape, dtype), **held)
    old = s.read(ring, shape, **held)
    bounds = [
        b.tensor([3], dtype="int32", data=np.array(v, np.int32))
        for v in ([0, 1, 0], [1, rows, depth], [1, 1, 1])
    ]
    kept = b.tensor([1, rows - 1, depth], **held)
    b.operator("STRIDED_SLICE", [old, *bounds], [kept], "StridedSliceOptions")
    if real:
        kept, exact = b.tensor([1, rows - 1, depth], **like), kept
        b.operator("QUANTIZE", [exact], [kept], "QuantizeOptions")
    every = stored = b.tensor(shape, **like)
    b.operator("CONCATENATION", [kept, x], [every], "ConcatenationOptions", axis=1)
    if real:
        stored = b.tensor(shape, **held)
        b.operator("DEQUANTIZE", [every], [stored], "DequantizeOptions", 2)
    s.assign(ring, stored)
    return every


def _sum(rng: np.random.Generator, s: Streaming, x: int, **like: Any) -> tuple[int, int]:
    """Add `x` to what it was in all runs before; returns (the sum before, the sum)."""
    b = s.main
    shape = [int(d) for d in b.tensors[x].shape]
    total = s.variable(None if s.start is None else _first(rng, shape, "int8"), **like)
    old = s.read(total, shape, **like)
    new = b.tensor(shape, **like)
    b.operator("ADD", [old, x], [new], "AddOptions", 2)
    s.assign(total, new)
    return old, new


def streaming_ring(rng: np.random.Generator) -> bytes:
    """The last rows of a stream and their maximum, of int8 or int16."""
    s, dtype = _begin(rng), str(rng.choice(["int8", "int16"]))
    like = _quant(rng) if dtype == "int8" else {"dtype": dtype, "scale": [0.01]}
    rows, depth = int(rng.integers(2, 7)), int(rng.integers(1, 9))
    x = s.main.tensor([1, 1, depth], **like)
    outputs = [_ring(rng, s, x, rows, **like)]
    if dtype == "int8" and rng.random() < 0.5:
        (end,) = outputs
        pooled = s.main.tensor([1, depth], **like)
        axis = s.main.tensor([1], dtype="int32", data=np.array([1], np.int32))
        s.main.operator("REDUCE_MAX", [end, axis], [pooled], "ReducerOptions", 2)
        outputs += _sum(rng, s, pooled, **_quant(rng))
    return s.pack([x], outputs)


def streaming_sum(rng: np.random.Generator) -> bytes:
    """Sums over all runs, read before and after their assignment and under another shape."""
    s, like = _begin(rng), _quant(rng)
    shape = [int(v) for v in rng.integers(1, 7, 2)]
    x = s.main.tensor(shape, **_quant(rng))
    old, new = _sum(rng, s, x, **like)
    outputs = [old, new, *(_sum(rng, s, new, **_quant(rng)) if rng.random() < 0.5 else ())]
    handle = s.main.operators[-1].inputs[0]
    quant = s.main.tensors[outputs[-1]].quantization
    again = {"scale": list(quant.scale), "zero_point": list(quant.zeroPoint)}
    last = s.read(int(handle), shape, **again)
    flat = s.main.tensor([shape[0] * shape[1]], **again)
    target = s.main.tensor([1], dtype="int32", data=np.array([-1], np.int32))
    s.main.operator("RESHAPE", [last, target], [flat], "ReshapeOptions")
    if rng.random() < 0.5:
        s.assign(int(handle), outputs[-1])
    chosen = rng.permutation([*outputs, flat])[: int(rng.integers(1, 4))]
    return s.pack([x], [int(i) for i in chosen])


GENERATORS: dict[str, Callable[[np.random.Generator], bytes]] = {
    "ASSIGN_VARIABLE": streaming_ring,
    "READ_VARIABLE": streaming_sum,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": lstm,
}
