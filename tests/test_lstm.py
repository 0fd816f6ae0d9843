"""What an LSTM is refused for, and the ends of its numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from quantize.errors import ModelError
from quantize.golden import make_golden
from quantize.reference import Reference, compile_graph
from quantize.tflite.reader import parse_model
from tests.factory_state import lstm
from tests.hostile import pack, unpack

MODEL = lstm(np.random.default_rng(3))
INPUT, FRESH, PEEPHOLE, BIAS, PROJECTION, HIDDEN, CELL, NORM = 0, 1, 9, 12, 16, 18, 19, 20


def changed(change: Callable[[Any, Any, list[Any]], None]) -> bytes:
    """The model after `change(operator, options, tensors of its inputs)`."""
    model = unpack(MODEL)
    graph = model.subgraphs[0]
    op = graph.operators[0]
    op.inputs = op.inputs.copy()
    change(op, op.builtinOptions, [graph.tensors[i] for i in op.inputs])
    return pack(model)


def _input(position: int, value: int) -> bytes:
    return changed(lambda op, _, __: op.inputs.__setitem__(position, value))


def _option(field: str, value: object) -> bytes:
    return changed(lambda _, options, __: setattr(options, field, value))


def _quant(position: int, field: str, value: list[float]) -> bytes:
    data = np.array(value, np.float32 if field == "scale" else np.int64)
    return changed(lambda _, __, t: setattr(t[position].quantization, field, data))


def _fewer(op: Any, _: object, __: object) -> None:
    op.inputs = op.inputs[:20]


def _two_scales(op: Any, _: object, tensors: list[Any]) -> None:
    quant = tensors[FRESH].quantization
    count = tensors[FRESH].shape[0]
    quant.scale, quant.zeroPoint = np.full(count, 0.1, np.float32), np.zeros(count, np.int64)


def _flat_cell(op: Any, _: object, tensors: list[Any]) -> None:
    tensors[CELL].shape = np.array([np.prod(tensors[CELL].shape)], np.int32)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (_input(PEEPHOLE, FRESH), "it has peephole weights"),
        (_input(PROJECTION, FRESH), "it has a projection"),
        (_input(NORM, FRESH), "it has layer normalisation"),
        (_input(FRESH, -1), "input 1 is missing"),
        (_input(BIAS, -1), "input 12 is missing"),
        (changed(_fewer), "20 inputs"),
        (changed(_two_scales), "several scales"),
        (changed(_flat_cell), "cell state is int16"),
        (_option("fusedActivationFunction", 1), "fused activation 1"),
        (_option("cellClip", -1.0), "cell_clip is -1"),
        (_option("cellClip", float("nan")), "cell_clip is nan"),
        (_option("diagonalRecurrentTensors", True), "diagonal"),
        (_quant(CELL, "scale", [3e-4]), "expected 2\\*\\*-30 to 2\\*\\*2"),
        (_quant(CELL, "scale", [8.0]), "expected 2\\*\\*-30 to 2\\*\\*2"),
        (_quant(HIDDEN, "scale", [0.5]), "hidden state and output differs"),
        (_quant(HIDDEN, "zeroPoint", [-128]), "hidden state and output differs"),
    ],
)
def test_a_variant_is_refused(model: bytes, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        compile_graph(parse_model(model))


@pytest.mark.parametrize(
    "model",
    [
        *(_option("cellClip", value) for value in (1e-30, 1.0, 1e30, float("inf"))),
        *(_quant(CELL, "scale", [2.0**power]) for power in (-30, -13, -12, -11, 2)),
    ],
)
def test_the_ends_of_clip_and_scale_are_equal_to_tflite_micro(model: bytes) -> None:
    graph = parse_model(model)
    (index,) = graph.inputs
    rng = np.random.default_rng(1)
    inputs = rng.integers(-128, 128, (6, *graph.tensors[index].shape)).astype(np.int8)
    golden = make_golden(model, [inputs])
    reference = Reference(graph)
    for case in range(6):
        reference.reset()
        got = reference.run(golden.case_inputs(case))[0]
        np.testing.assert_array_equal(got, golden.case_outputs(case)[0])


def test_a_tensor_without_elements_is_refused_where_an_operator_reads_it() -> None:
    def empty(_: object, __: object, tensors: list[Any]) -> None:
        tensors[INPUT].shape = np.array([0], np.int32)

    with pytest.raises(ModelError, match="every dimension must be at least 1"):
        parse_model(changed(empty))
