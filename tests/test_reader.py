"""A .tflite file is untrusted: damage ends in our error and nothing else."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pytest

from quantize.errors import ModelError, QuantizeError, UnsupportedOperator
from quantize.golden import make_golden, random_inputs
from quantize.manifest import compile_model
from quantize.reference import compile_graph
from quantize.tflite.reader import parse_model, read_model
from tests.factory import ModelBuilder
from tests.generators import GENERATORS

MODEL = GENERATORS["CONV_2D"](np.random.default_rng(3))


def _read(data: bytes) -> None:
    compile_graph(parse_model(data))


@pytest.mark.parametrize("length", range(0, len(MODEL), 7))
def test_truncation_at_every_place(length: int) -> None:
    with pytest.raises(ModelError):
        _read(MODEL[:length])


def test_flipped_bits_give_our_error_or_a_valid_model() -> None:
    rng = np.random.default_rng(11)
    refused = 0
    for _ in range(3000):
        data = bytearray(MODEL)
        for position in rng.integers(0, len(data), int(rng.integers(1, 4))):
            data[position] ^= 1 << int(rng.integers(8))
        try:
            _read(bytes(data))
        except QuantizeError:
            refused += 1
    assert refused > 100


def test_random_bytes_behind_the_identifier() -> None:
    rng = np.random.default_rng(5)
    for _ in range(300):
        data = rng.integers(0, 256, 400).astype(np.uint8).tobytes()
        with contextlib.suppress(QuantizeError):
            _read(data[:4] + b"TFL3" + data[8:])


def test_not_a_model(tmp_path: Path) -> None:
    path = tmp_path / "picture.tflite"
    path.write_bytes(b"\x89PNG" * 10)
    with pytest.raises(ModelError, match="not a .tflite file"):
        read_model(path)
    with pytest.raises(ModelError, match="cannot be read"):
        read_model(tmp_path / "absent.tflite")


def _builder_with(name: str, version: int) -> bytes:
    b = ModelBuilder()
    x = b.tensor([1, 4], scale=[0.1], zero_point=[0])
    y = b.tensor([1, 4], scale=[0.1], zero_point=[0])
    b.operator(name, [x], [y], version=version)
    return b.pack([x], [y])


def test_unsupported_operator_is_named_with_index_and_version() -> None:
    with pytest.raises(UnsupportedOperator, match="operator 0 MATRIX_DIAG version 5 is not"):
        _read(_builder_with("MATRIX_DIAG", 5))


def test_unsupported_version_is_refused() -> None:
    with pytest.raises(UnsupportedOperator, match="SOFTMAX version 99"):
        _read(_builder_with("SOFTMAX", 99))


def test_float_model_says_how_to_quantise() -> None:
    b = ModelBuilder()
    x, y = (b.tensor([1, 4], dtype="float32") for _ in range(2))
    b.operator("SOFTMAX", [x], [y], "SoftmaxOptions", beta=1.0)
    with pytest.raises(UnsupportedOperator, match="float32, expected int8.*post-training"):
        _read(b.pack([x], [y]))


def test_dynamic_shape_is_refused() -> None:
    b = ModelBuilder()
    x, y = (b.tensor([-1, 4], scale=[0.1], zero_point=[0]) for _ in range(2))
    b.operator("RESHAPE", [x], [y])
    with pytest.raises(ModelError, match="fixed batch size"):
        _read(b.pack([x], [y]))


@pytest.mark.parametrize(
    ("scale", "zero", "words"),
    [
        (0.0, 0, "above 0"),
        (-1.0, 0, "above 0"),
        (np.nan, 0, "finite"),
        (0.1, 300, "zero point 300"),
    ],
)
def test_impossible_quantisation_is_refused(scale: float, zero: int, words: str) -> None:
    b = ModelBuilder()
    x, y = (b.tensor([1, 4], scale=[scale], zero_point=[zero]) for _ in range(2))
    b.operator("RESHAPE", [x], [y])
    with pytest.raises(ModelError, match=words):
        _read(b.pack([x], [y]))


def test_a_graph_that_reads_before_it_writes_is_refused() -> None:
    b = ModelBuilder()
    x, y, z = (b.tensor([1, 4], scale=[0.1], zero_point=[0]) for _ in range(3))
    b.operator("RESHAPE", [z], [y])
    b.operator("RESHAPE", [y], [z])
    with pytest.raises(ModelError, match="before any operator has written it"):
        _read(b.pack([x], [z]))


def test_hostile_names_do_not_reach_the_c_text(tmp_path: Path) -> None:
    hostile = '*/ "int main(){" \n #error ??/ while'
    b = ModelBuilder()
    x = b.tensor([1, 4], scale=[0.1], zero_point=[0], name=hostile)
    y = b.tensor([1, 4], scale=[1 / 256], zero_point=[-128], name=hostile)
    b.operator("SOFTMAX", [x], [y], "SoftmaxOptions", 2, beta=1.0)
    model = b.pack([x], [y])
    golden = make_golden(model, random_inputs(parse_model(model), 4, 0))
    compile_model(model, golden, tmp_path, name=hostile, settings={"note": hostile})
    for file in tmp_path.iterdir():
        if file.suffix in {".c", ".h", ".cc"}:
            assert "int main(){" not in file.read_text(), file.name
            assert "#error" not in file.read_text(), file.name


@pytest.mark.parametrize("outputs", [1, 2])
def test_outputs_that_no_operator_makes_are_refused(outputs: int) -> None:
    """The only operator computes what no output needs."""
    b = ModelBuilder()
    x = b.tensor([1, 4], scale=[0.1], zero_point=[0])
    real = b.tensor([1, 4], dtype="float32")
    b.operator("DEQUANTIZE", [x], [real], "DequantizeOptions", 2)
    with pytest.raises(ModelError, match="no output needs an operator"):
        _read(b.pack([x], [x] * outputs))
