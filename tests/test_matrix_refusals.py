"""What the matrix and state operators refuse: where TFLite Micro crashes, or answers wrongly."""

from __future__ import annotations

import numpy as np
import pytest

from quantize.errors import ModelError
from quantize.reference import compile_graph
from quantize.tflite.reader import parse_model
from tests.factory import ModelBuilder


def _resize(
    size: list[int], *, align: bool = False, half: bool = False, scale: float = 0.1
) -> bytes:
    b = ModelBuilder()
    x = b.tensor([1, 3, 3, 1], scale=[0.1], zero_point=[0])
    s = b.tensor([2], dtype="int32", data=np.array(size, np.int32))
    y = b.tensor([1, *size, 1], scale=[scale], zero_point=[0])
    b.operator("RESIZE_BILINEAR", [x, s], [y], "ResizeBilinearOptions", 3, alignCorners=align,
               halfPixelCenters=half)  # fmt: skip
    return b.pack([x], [y])


def _matmul(rank: int, scales: int) -> bytes:
    b = ModelBuilder()
    x = b.tensor([1] * (rank - 2) + [2, 3], scale=[0.1], zero_point=[0])
    data = np.ones((3, 4), np.int8)
    m = b.tensor([3, 4], scale=[0.1] * scales, zero_point=[0] * scales, axis=1, data=data)
    y = b.tensor([1] * (rank - 2) + [2, 4], scale=[0.1], zero_point=[0])
    b.operator("BATCH_MATMUL", [x, m], [y], "BatchMatMulOptions", 2)
    return b.pack([x], [y])


def _svdf(*, bias: float = 0.01, activation: int = 0, zero_point: int = 0) -> bytes:
    b = ModelBuilder()
    x = b.tensor([1, 2], scale=[0.1], zero_point=[0])
    features = b.tensor([2, 2], scale=[0.1], data=np.ones((2, 2), np.int8))
    time = b.tensor([2, 3], dtype="int16", scale=[0.1], data=np.ones((2, 3), np.int16))
    values = b.tensor([2], dtype="int32", scale=[bias or 1], data=np.zeros(2, np.int32))
    state = b.tensor([1, 6], dtype="int16", scale=[0.1], zero_point=[zero_point])
    b.tensors[state].isVariable = True
    y = b.tensor([1, 2], scale=[0.1], zero_point=[0])
    operands = [x, features, time, values if bias else -1, state]
    b.operator("SVDF", operands, [y], "SVDFOptions", 3, rank=1, fusedActivationFunction=activation)
    return b.pack([x], [y])


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (_resize([2000, 3]), "lie outside the input"),
        (_resize([6, 6], align=True, half=True), "both align_corners and half_pixel_centers"),
        (_resize([6, 6], scale=0.2), "the same scale"),
        (_matmul(3, 4), "input 1 has 4 scales"),
        (_matmul(6, 1), "6 dimensions"),
        (_svdf(bias=0), "it has no bias"),
        (_svdf(bias=0.02), "bias has scale"),
        (_svdf(activation=1), "fused activation clamps"),
        (_svdf(zero_point=1), "zero point 0"),
    ],
)
def test_a_model_is_refused(model: bytes, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        compile_graph(parse_model(model))


@pytest.mark.parametrize("model", [_resize([6, 5]), _matmul(5, 1), _svdf()])
def test_the_same_without_the_fault_is_taken(model: bytes) -> None:
    compile_graph(parse_model(model))
