"""Operators of constants, which are evaluated when a file is read: one model for each case."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tests.factory import ModelBuilder
from tests.factory_shapes import constant, vector

I32, I64 = np.int32, np.int64
A = np.array([[7, -7, 3], [-8, 2, 5]], I32)
B = np.array([[2, 2, -3], [3, -5, 5]], I32)
F = np.array([[1.5, -2.5, 0.1], [3.25, -0.0, 7.0]], np.float32)
YES = np.array([[True, False, True], [False, False, True]])
AXES = np.array([1], I32)
Q: dict[str, Any] = {"scale": [0.1], "zero_point": [0]}
# operator, inputs, shape and type of the output, options and their values
Case = tuple[str, list[npt.NDArray[Any]], list[int], str, str, dict[str, Any]]


def same(name: str, *inputs: npt.NDArray[Any], dtype: str = "", options: str = "") -> Case:
    """Element by element."""
    shape = list(np.broadcast_shapes(*(v.shape for v in inputs)))
    return name, list(inputs), shape, dtype or inputs[0].dtype.name, options, {}


CASES: list[Case] = [
    *(same(n, A, B, options=f"{n.title()}Options") for n in ("ADD", "SUB", "MUL", "DIV")),
    same("ADD", A.astype(I64), B.astype(I64), options="AddOptions"),
    same("ADD", A, B[:1], options="AddOptions"),
    same("ADD", np.array([2**31 - 1], I32), np.array([2], I32), options="AddOptions"),
    *(same(n, F, F + 1, options=f"{n.title()}Options") for n in ("ADD", "SUB", "MUL", "DIV")),
    same("FLOOR_DIV", A, B), same("FLOOR_MOD", A, B), same("ABS", F), same("NEG", F),
    same("CEIL", F), same("FLOOR", F),
    same("MAXIMUM", A, B), same("MINIMUM", A, B), same("ZEROS_LIKE", A),
    *(same(n, A, B, dtype="bool") for n in
      ("EQUAL", "NOT_EQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL")),
    same("LOGICAL_AND", YES, ~YES), same("LOGICAL_OR", YES, ~YES), same("LOGICAL_NOT", YES),
    ("SELECT_V2", [YES, A, B], [2, 3], "int32", "", {}),
    ("SELECT_V2", [YES[:1], A, B], [2, 3], "int32", "", {}),
    ("CAST", [F], [2, 3], "int32", "CastOptions", {"inDataType": 0, "outDataType": 2}),
    ("CAST", [A], [2, 3], "float32", "CastOptions", {"inDataType": 2, "outDataType": 0}),
    ("CAST", [A], [2, 3], "int64", "CastOptions", {"inDataType": 2, "outDataType": 4}),
    ("REDUCE_PROD", [A, AXES], [2], "int32", "ReducerOptions", {"keepDims": False}),
    ("REDUCE_PROD", [A, AXES], [2, 1], "int32", "ReducerOptions", {"keepDims": True}),
    ("REDUCE_MAX", [A, AXES], [2], "int32", "ReducerOptions", {"keepDims": False}),
    ("REDUCE_MIN", [A, AXES], [2], "int32", "ReducerOptions", {"keepDims": False}),
    ("SUM", [A, AXES], [2], "int32", "ReducerOptions", {"keepDims": False}),
    ("REDUCE_ANY", [YES, AXES], [2], "bool", "ReducerOptions", {"keepDims": False}),
    ("REDUCE_ALL", [YES, AXES], [2], "bool", "ReducerOptions", {"keepDims": False}),
    ("RANGE", [np.array(v, I32) for v in (2, 11, 3)], [3], "int32", "RangeOptions", {}),
    ("RANGE", [np.array(v, I32) for v in (5, -5, -4)], [3], "int32", "RangeOptions", {}),
    ("FILL", [np.array([2, 3], I32), np.array(4, I32)], [2, 3], "int32", "FillOptions", {}),
    ("BROADCAST_TO", [A[:1], np.array([4, 3], I32)], [4, 3], "int32", "", {}),
    ("BROADCAST_ARGS", [np.array([4, 1], I32), np.array([3], I32)], [2], "int32", "", {}),
    ("TILE", [A, np.array([2, 1], I32)], [4, 3], "int32", "TileOptions", {}),
    ("TRANSPOSE", [A, np.array([1, 0], I32)], [3, 2], "int32", "TransposeOptions", {}),
    ("GATHER", [A, np.array([2, 0], I32)], [2, 2], "int32", "GatherOptions", {"axis": 1}),
    ("SLICE", [A, np.array([0, 1], I32), np.array([2, -1], I32)], [2, 2], "int32", "", {}),
    ("CONCATENATION", [A, B], [4, 3], "int32", "ConcatenationOptions", {"axis": 0}),
    ("PACK", [A, B], [2, 2, 3], "int32", "PackOptions", {"valuesCount": 2, "axis": 1}),
    ("RESHAPE", [A, np.array([3, 2], I32)], [3, 2], "int32", "ReshapeOptions", {}),
    ("EXPAND_DIMS", [A, AXES], [2, 1, 3], "int32", "ExpandDimsOptions", {}),
    ("SQUEEZE", [A[:1, None]], [3], "int32", "SqueezeOptions", {"squeezeDims": [0, 1]}),
    ("STRIDED_SLICE", [A, *(np.array(v, I32) for v in ([0, 2], [2, 0], [1, -1]))], [2, 2],
     "int32", "StridedSliceOptions", {}),
    ("STRIDED_SLICE", [A, *(np.array(v, I32) for v in ([1, 0], [2, 0], [1, 1]))], [3], "int32",
     "StridedSliceOptions", {"shrinkAxisMask": 1, "endMask": 2}),
    ("SELECT", [YES, A, B], [2, 3], "int32", "SelectOptions", {}),
    ("SPLIT", [np.array(1, I32), A], [2, 3], "int32", "SplitOptions", {"numSplits": 1}),
    ("UNPACK", [A[:1]], [3], "int32", "UnpackOptions", {"num": 1, "axis": 0}),
    ("SHAPE", [A], [2], "int32", "ShapeOptions", {"outType": 2}),
    ("RANK", [A], [], "int32", "", {}),
]  # fmt: skip


def whole(case: Case) -> tuple[bytes, int]:
    """A model with the operator of constants beside one that computes; the former's output."""
    name, inputs, shape, dtype, options, values = case
    b = ModelBuilder()
    operands = [constant(b, data) for data in inputs]
    y = b.tensor(shape, dtype=dtype)
    b.operator(name, operands, [y], options, 2 if name == "BROADCAST_TO" else 1, **values)
    source, target = b.tensor([1, 4], **Q), b.tensor([4], **Q)
    b.operator("RESHAPE", [source, vector(b, 4)], [target], "ReshapeOptions")
    return b.pack([source], [target]), y
