"""Random models of operators on numbers without a scale: int32, int64, bool."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.factory import ModelBuilder, _activation
from tests.factory_elementwise import _shape, _sides
from tests.factory_moves import _kind

Generator = Callable[[np.random.Generator], bytes]
# operator -> its types, table of options, whether a fused activation is followed
BINARY = {
    "ADD": (("int32",), "AddOptions", False),
    "LOGICAL_AND": (("bool",), "", False),
    "LOGICAL_OR": (("bool",), "", False),
    "MAXIMUM": (("int32", "int64"), "MaximumMinimumOptions", False),
    "MINIMUM": (("int32", "int64"), "MaximumMinimumOptions", False),
    "MUL": (("int32",), "MulOptions", True),
    "SUB": (("int32",), "SubOptions", True),
}


def _constant(rng: np.random.Generator, shape: list[int], dtype: str) -> Any:
    """Small values, with a large one here and there."""
    values = rng.integers(-9, 10, shape)
    if dtype in ("int32", "int64"):
        large = rng.integers(-(2**31), 2**31, shape)
        values = np.where(rng.random(shape) < 0.2, large, values)
    return np.asarray(values > 0 if dtype == "bool" else values).astype(dtype)


def _binary(name: str) -> Generator:
    types, options, fused = BINARY[name]

    def build(rng: np.random.Generator) -> bytes:
        b, dtype = ModelBuilder(), str(rng.choice(types))
        shape, sides = _sides(rng, 4)
        data = _constant(rng, sides[1], dtype) if rng.random() < 0.4 else None
        x, y = b.tensor(sides[0], dtype=dtype), b.tensor(sides[1], dtype=dtype, data=data)
        z = b.tensor(shape, dtype=dtype)
        values = {"fusedActivationFunction": _activation(rng)} if fused else {}
        b.operator(name, [x, y], [z], options, **values)
        return b.pack([x] if data is not None else [x, y], [z])

    return build


def cast(rng: np.random.Generator) -> bytes:
    """A random CAST."""
    b, shape = ModelBuilder(), _shape(rng)
    before = _kind(rng, ("int8", "int16", "int32", "float32", "bool"))
    after = _kind(rng, ("int8", "int16", "int32", "float32"))
    x, y = b.tensor(shape, **before), b.tensor(shape, **after)
    b.operator("CAST", [x], [y], "CastOptions")
    return b.pack([x], [y])


def logical_not(rng: np.random.Generator) -> bytes:
    """A random LOGICAL_NOT."""
    b, shape = ModelBuilder(), _shape(rng)
    x, y = b.tensor(shape, dtype="bool"), b.tensor(shape, dtype="bool")
    b.operator("LOGICAL_NOT", [x], [y])
    return b.pack([x], [y])


def _compare(name: str) -> Generator:
    def build(rng: np.random.Generator) -> bytes:
        b, types = ModelBuilder(), ["int8", "int8", "int32", "int64", "float32"]
        dtype = str(rng.choice([*types, "bool"] if "EQUAL" in (name, name[4:]) else types))
        shape, sides = _sides(rng, 4)
        kinds = [_kind(rng, (dtype,)) for _ in sides]
        data = _constant(rng, sides[1], dtype) if rng.random() < 0.4 else None
        x, y = b.tensor(sides[0], **kinds[0]), b.tensor(sides[1], data=data, **kinds[1])
        z = b.tensor(shape, dtype="bool")
        b.operator(name, [x, y], [z])
        return b.pack([x] if data is not None else [x, y], [z])

    return build


def select(rng: np.random.Generator) -> bytes:
    """A random SELECT_V2, some values constant."""
    b, kind, shape = ModelBuilder(), _kind(rng, ("int8", "int16", "float32")), _shape(rng, 5)
    if rng.random() < 0.4:
        shapes = [shape] * 3
    else:
        shapes = [[1 if rng.random() < 0.4 else d for d in shape] for _ in range(3)]
        shapes[int(rng.integers(3))] = shape
        cut = int(rng.integers(3))
        if shapes[cut] != shape or rng.random() < 0.2:
            shapes[cut] = [1]
        shapes = shapes if shape in shapes else [shape] * 3
    data = _constant(rng, shapes[2], kind["dtype"]) if rng.random() < 0.4 else None
    c, x = b.tensor(shapes[0], dtype="bool"), b.tensor(shapes[1], **kind)
    y, z = b.tensor(shapes[2], data=data, **kind), b.tensor(shape, **kind)
    b.operator("SELECT_V2", [c, x, y], [z], "SelectV2Options")
    return b.pack([c, x] if data is not None else [c, x, y], [z])


COMPARED = ("EQUAL", "GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL", "NOT_EQUAL")
GENERATORS: dict[str, Generator] = {
    **{f"{name}__INTEGER": _binary(name) for name in BINARY},
    "CAST": cast,
    **{name: _compare(name) for name in COMPARED},
    "SELECT_V2": select,
    "LOGICAL_NOT": logical_not,
}
