"""Random models of operators on numbers without a scale: int32, int64, bool."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from tests.factory import ModelBuilder, _activation
from tests.factory_elementwise import _shape, _sides
from tests.factory_moves import EVERY, _ints, _kind, _signed, _sources

Generator = Callable[[np.random.Generator], bytes]
# operator -> its types, table of options, whether a fused activation is followed
BINARY = {
    "ADD": (("int32",), "AddOptions", False),
    "DIV": (("int32",), "DivOptions", True),
    "LOGICAL_AND": (("bool",), "", False),
    "LOGICAL_OR": (("bool",), "", False),
    "MAXIMUM": (("int32", "int64"), "MaximumMinimumOptions", False),
    "MINIMUM": (("int32", "int64"), "MaximumMinimumOptions", False),
    "MUL": (("int32",), "MulOptions", True),
    "SQUARED_DIFFERENCE": (("int32",), "", False),
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
        if name == "DIV":
            data = np.abs(_constant(rng, sides[1], dtype)) + np.int32(1)
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
    b, kind, shape = ModelBuilder(), _kind(rng, ("int8", "int16", "float32")), _shape(rng, 4, 7)
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


def fill(rng: np.random.Generator) -> bytes:
    """A random FILL of a scalar input."""
    b, kind, shape = ModelBuilder(), _kind(rng, ("int8", "int32", "float32")), _shape(rng)
    x, y = b.tensor([], **kind), b.tensor(shape, **kind)
    b.operator("FILL", [_ints(b, shape), x], [y], "FillOptions")
    return b.pack([x], [y])


def broadcast_to(rng: np.random.Generator) -> bytes:
    """A random BROADCAST_TO."""
    b, kind, shape = ModelBuilder(), _kind(rng, EVERY), _shape(rng, 5)
    small = [1 if rng.random() < 0.5 else d for d in shape][int(rng.integers(2)) :] or [1]
    x, y = b.tensor(small, **kind), b.tensor(shape, **kind)
    b.operator("BROADCAST_TO", [x, _ints(b, shape)], [y], "BroadcastToOptions")
    return b.pack([x], [y])


def zeros_like(rng: np.random.Generator) -> bytes:
    """A random ZEROS_LIKE."""
    b, kind, shape = ModelBuilder(), _kind(rng, ("int8", "int32", "int64", "float32")), _shape(rng)
    x, y = b.tensor(shape, **kind), b.tensor(shape, **kind)
    b.operator("ZEROS_LIKE", [x], [y], "ZerosLikeOptions")
    return b.pack([x], [y])


def reverse(rng: np.random.Generator) -> bytes:
    """A random REVERSE_V2 of neighbouring axes."""
    b, kind, shape = ModelBuilder(), _kind(rng, EVERY), _shape(rng)
    first = int(rng.integers(len(shape)))
    axes = list(range(first, int(rng.integers(first, len(shape))) + 1))
    x, y = b.tensor(shape, **kind), b.tensor(shape, **kind)
    signed = [_signed(rng, a, len(shape)) for a in axes]
    b.operator("REVERSE_V2", [x, _ints(b, signed)], [y], "ReverseV2Options")
    return b.pack([x], [y])


def update_slice(rng: np.random.Generator, *, computed: bool = False) -> bytes:
    """A random DYNAMIC_UPDATE_SLICE at a constant place or one of run time, also outside."""
    b, kind = ModelBuilder(), _kind(rng, ("int8", "int16", "int32", "float32"))
    shape = _shape(rng, 5, 7)
    part = [int(rng.integers(1, d + 1)) for d in shape]
    x, u, y = b.tensor(shape, **kind), b.tensor(part, **kind), b.tensor(shape, **kind)
    if computed:
        place = b.tensor([len(shape)], dtype=str(rng.choice(["int32", "int64"])))
    else:
        place = _ints(b, [int(rng.integers(-2, d + 2)) for d in shape])
    b.operator("DYNAMIC_UPDATE_SLICE", [x, u, place], [y], "DynamicUpdateSliceOptions")
    return b.pack([x, u, place] if computed else [x, u], [y])


def _reduce(name: str) -> Generator:
    def build(rng: np.random.Generator) -> bytes:
        b, shape, keep = ModelBuilder(), _shape(rng, 5), bool(rng.integers(2))
        kind = _kind(rng, ("bool" if name == "REDUCE_ALL" else "int8",))
        axes = rng.choice(len(shape), int(rng.integers(1, len(shape) + 1)), replace=False)
        kept = [1 if i in axes else d for i, d in enumerate(shape)]
        x = b.tensor(shape, **kind)
        y = b.tensor(kept if keep else [d for i, d in enumerate(shape) if i not in axes], **kind)
        signed = [_signed(rng, int(a), len(shape)) for a in axes]
        b.operator(name, [x, _ints(b, signed)], [y], "ReducerOptions", keepDims=keep)
        return b.pack([x], [y])

    return build


def gather_nd(rng: np.random.Generator) -> bytes:
    """A random GATHER_ND with constant indices."""
    b, kind, shape = ModelBuilder(), _kind(rng, ("int8", "float32")), _shape(rng)
    depth = int(rng.integers(1, len(shape) + 1))
    picked = [int(v) for v in rng.integers(1, 4, int(rng.integers(0, 3)))]
    indices = rng.integers(0, shape[:depth], [*picked, depth])
    x, i = b.tensor(shape, **kind), _ints(b, indices)
    y = b.tensor([*picked, *shape[depth:]], **kind)
    b.operator("GATHER_ND", [x, i], [y], "GatherNdOptions")
    return b.pack([x], [y])


def picks_nd(rng: np.random.Generator) -> bytes:
    """A random GATHER_ND with indices of run time."""
    b, kind, shape = ModelBuilder(), _kind(rng, ("int8", "float32")), _shape(rng, 6, 6)
    depth = int(rng.integers(1, len(shape) + 1))
    picked = [int(v) for v in rng.integers(1, 4, int(rng.integers(0, 3)))]
    x, i = b.tensor(shape, **kind), b.tensor([*picked, depth], dtype="int32")
    y = b.tensor([*picked, *shape[depth:]], **kind)
    b.operator("GATHER_ND", [x, i], [y], "GatherNdOptions")
    return b.pack([x, i], [y])


def cumsum(rng: np.random.Generator) -> bytes:
    """A random CUMSUM, some with sums that wrap."""
    b, shape = ModelBuilder(), _shape(rng)
    axis = int(rng.integers(len(shape)))
    if rng.random() < 0.3:
        shape = [*shape[:axis], 40, *shape[axis + 1 :]]
    x, y = b.tensor(shape, **_kind(rng, INT8)), b.tensor(shape, **_kind(rng, INT8))
    a = b.tensor([], dtype="int32", data=np.array(_signed(rng, axis, len(shape)), np.int32))
    b.operator("CUMSUM", [x, a], [y], "CumsumOptions", exclusive=bool(rng.integers(2)),
               reverse=bool(rng.integers(2)))  # fmt: skip
    return b.pack([x], [y])


def add_n(rng: np.random.Generator) -> bytes:
    """A random ADD_N of 2 to 20 tensors, some constant."""
    b, kind, shape = ModelBuilder(), _kind(rng, INT8), _shape(rng)
    every, run_time = _sources(rng, b, kind, [shape] * int(rng.choice([2, 3, 5, 20])))
    y = b.tensor(shape, **_kind(rng, INT8))
    b.operator("ADD_N", every, [y], "AddNOptions")
    return b.pack(run_time, [y])


def l2_normalization(rng: np.random.Generator) -> bytes:
    """A random L2_NORMALIZATION."""
    b, shape = ModelBuilder(), _shape(rng, 4)
    shape[-1] = int(rng.choice([1, 2, 16, 700])) if len(shape) == 1 else shape[-1]
    x = b.tensor(shape, **_kind(rng, INT8))
    y = b.tensor(shape, scale=[1 / 128], zero_point=[0])
    b.operator("L2_NORMALIZATION", [x], [y], "L2NormOptions", 2)
    return b.pack([x], [y])


INT8 = ("int8",)
GENERATORS: dict[str, Generator] = {
    **{f"{name}__INTEGER": _binary(name) for name in BINARY},
    "CAST": cast,
    **{name: _compare(name) for name in COMPARED},
    "SELECT_V2": select,
    "ADD_N": add_n,
    "BROADCAST_TO": broadcast_to,
    "CUMSUM": cumsum,
    "DYNAMIC_UPDATE_SLICE": update_slice,
    "DYNAMIC_UPDATE_SLICE__PLACED": partial(update_slice, computed=True),
    "FILL": fill,
    "GATHER_ND": gather_nd,
    "GATHER_ND__PICKS": picks_nd,
    "L2_NORMALIZATION": l2_normalization,
    "REDUCE_ALL": _reduce("REDUCE_ALL"),
    "REDUCE_MIN": _reduce("REDUCE_MIN"),
    "REVERSE_V2": reverse,
    "ZEROS_LIKE": zeros_like,
    "LOGICAL_NOT": logical_not,
}
