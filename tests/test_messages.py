"""What is said of a model that does not compile: operator, place, why, what people do, once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quantize.errors import UnsupportedOperator
from quantize.inspect import inspect_model
from quantize.ops.unsupported import ADVICE, MICRO
from quantize.reference import compile_graph
from quantize.tflite.reader import parse_model
from quantize.tflite.schema import OPERATOR_NAMES
from tests.factory import ModelBuilder
from tests.factory_shapes import vector

Q: dict[str, Any] = {"scale": [0.1], "zero_point": [0]}


def one(name: str, count: int = 1, custom: str = "", **values: Any) -> bytes:
    """`count` operators of that name, one behind the other."""
    b = ModelBuilder()
    first = x = b.tensor([1, 4], **(values or Q))
    for _ in range(count):
        y = b.tensor([1, 4], **(values or Q))
        b.operator(name, [x] * (2 if name in ("TILE", "REDUCE_PROD") else 1), [y])
        if custom:
            b.codes[-1].customCode = custom.encode()
        x = y
    return b.pack([first], [x])


@pytest.mark.parametrize(
    ("model", "told"),
    [
        (one("TILE"), "TFLite Micro has no TILE; UpSampling2D with interpolation='nearest'"),
        (one("WHILE"), "a recurrent layer became a loop: build it with unroll=True"),
        (one("GELU"), "x * sigmoid(1.702 * x)"),
        (one("CUSTOM", custom="FlexErf"), "a select op"),
        (one("CUSTOM", custom="Mine"), "a custom operator has no definition"),
        (one("CONV_3D"), "use Conv2D"),
        (one("REDUCE_PROD"), "TFLite Micro has no REDUCE_PROD; replace it"),
        (one("EXP"), "compiles as a table only"),
    ],
)
def test_an_operator_is_one_line_with_what_to_do(model: bytes, told: str, tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(model)
    (problem,) = inspect_model(path).problems
    assert problem.startswith("operator 0 ") and told in problem, problem
    assert len(problem.splitlines()) == 1 and "damaged" not in problem


def test_each_reason_is_told_once(tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(one("TILE", 9))
    (problem,) = inspect_model(path).problems
    assert problem.startswith("9 operators (0, 1, 2, 3, 4, 5, ...); the first, TILE"), problem


def test_free_dimensions_are_named() -> None:
    """A dilated convolution with a free batch, of which TFLite Micro computes something else."""
    b = ModelBuilder()
    x, y = b.tensor([1, 8, 3], **Q), b.tensor([1, 4, 3], **Q)
    b.tensors[y].shapeSignature = np.array([-1, 4, 3], np.int32)
    pads = b.tensor([1, 2], dtype="int32", data=np.zeros((1, 2), np.int32))
    b.operator("SPACE_TO_BATCH_ND", [x, vector(b, 2), pads], [y], "SpaceToBatchNDOptions", 3)
    with pytest.raises(UnsupportedOperator, match=r"left free when converting.*batch_size=1"):
        compile_graph(parse_model(b.pack([x], [y])))


def test_a_constant_output_is_told() -> None:
    b = ModelBuilder()
    x, y = b.tensor([1, 4], **Q), b.tensor([4], **Q)
    fixed = b.tensor([2], **Q, data=np.zeros(2, np.int8))
    b.operator("RESHAPE", [x, vector(b, 4)], [y], "ReshapeOptions")
    with pytest.raises(UnsupportedOperator, match="is a constant, the same for every input"):
        parse_model(b.pack([x], [y, fixed]))


def test_advice_names_operators_that_exist() -> None:
    assert set(ADVICE) | MICRO <= set(OPERATOR_NAMES)
