"""What an LSTM is refused for, and the ends of its numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.files import write_bytes
from quantize.errors import ModelError
from quantize.golden import make_golden, random_inputs, save_golden
from quantize.lowering import lower
from quantize.manifest import compile_model
from quantize.ops.base import CCall
from quantize.ops.lstm import TABLE
from quantize.reference import Reference, compile_graph
from quantize.tflite.reader import parse_model
from tests import steps as command
from tests.factory_state import lstm
from tests.host_c import HostModel
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


CASES = 8
PACKED = "nn_lstm_packed_s8"


def call(model: bytes) -> CCall:
    """What computes the LSTM of a model on a Cortex-M4."""
    graph = parse_model(model)
    return lower(graph, compile_graph(graph), "armv7em")[0].calls[0]


def kernel(model: bytes) -> str:
    """Its name."""
    return call(model).function


def step_of(model: bytes) -> str:
    """What computes a step of it."""
    return call(model).params["step"]


ENDS = [
    *(_option("cellClip", value) for value in (1e-30, 1.0, float("inf"))),
    *(_quant(CELL, "scale", [2.0**power]) for power in (-14, 1, 2)),
]


@pytest.mark.parametrize(
    "model", [*(lstm(np.random.default_rng(seed)) for seed in range(12)), *ENDS]
)
def test_packed_gates_are_equal_to_tflite_micro(model: bytes, tmp_path: Path) -> None:
    golden = make_golden(model, random_inputs(parse_model(model), CASES, 1))
    manifest = compile_model(model, golden, tmp_path, name="m", settings={}, kernels="armv7em")
    host = HostModel(tmp_path, manifest)
    for case in range(CASES):
        if not golden.before(case):
            host.reset()
        got = host.run(golden.case_inputs(case))[0]
        np.testing.assert_array_equal(got, golden.case_outputs(case)[0])


def test_most_lstms_are_packed() -> None:
    models = [lstm(np.random.default_rng(seed)) for seed in range(40)]
    assert sum(kernel(model) == PACKED for model in models) > 30


def test_the_table_is_odd() -> None:
    assert TABLE[0] == 1 << 15


@pytest.mark.parametrize(
    ("model", "packed"),
    [
        (MODEL, True),
        (_quant(CELL, "scale", [2.0**-14]), True),
        (_quant(CELL, "scale", [2.0**-15]), False),  # what is added may leave 16 bits
        (_quant(CELL, "scale", [2.0**2]), True),
        (_quant(FRESH, "scale", [2.0]), False),  # a sum times 2**8 and more
    ],
)
def test_what_is_not_proven_is_left_to_the_reference(model: bytes, packed: bool) -> None:
    assert (kernel(model) == PACKED) is packed


def _small_weights(_: object, __: object, tensors: list[Any]) -> None:
    for position in range(FRESH, PEEPHOLE):
        tensors[position].quantization.scale = np.array([2.0**-9], np.float32)


RIGHT = changed(_small_weights)  # all gates are rescaled to the right
LEFT = _quant(FRESH, "scale", [0.5])


def test_gates_that_are_rescaled_to_the_right_cost_less() -> None:
    assert step_of(RIGHT) == "nn_lstm_units_s8"
    assert step_of(LEFT) == "nn_lstm_units_any_s8"


@pytest.mark.parametrize("model", [RIGHT, LEFT])
def test_assembly_equals_tflite_micro(
    model: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "BUILD", tmp_path)
    golden, out_dir = (
        make_golden(model, random_inputs(parse_model(model), CASES, 1)),
        tmp_path / "m",
    )
    write_bytes(out_dir / "model.tflite", model)
    save_golden(out_dir / "golden.npz", golden)
    gen = out_dir / "gen" / "armv7em"
    compile_model(model, golden, gen, name="m", settings={}, kernels="armv7em")
    assert command.main(["build", "m", "qemu_m4"]) == 0
    assert command.main(["parity", "m", "qemu_m4"]) == 0
    report = json.loads((out_dir / "qemu_m4" / "parity.json").read_text())
    assert report["equal"] == report["cases"] == CASES
