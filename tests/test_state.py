"""A model with state: a sequence goes on from run to run, and a reset begins it again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from quantize.errors import ModelError, UnsupportedOperator
from quantize.golden import make_golden, random_inputs
from quantize.lowering import lower
from quantize.manifest import compile_model
from quantize.planner import plan_arena
from quantize.reference import Reference, compile_graph
from quantize.tflite.reader import parse_model
from quantize.tflm import TfliteMicro
from tests.factory import ModelBuilder
from tests.factory_matrix import svdf
from tests.factory_state import lstm, streaming_ring, streaming_sum
from tests.host_c import HostModel
from tests.native_app import compile_app, start_device
from tests.sweeps import sweep

RUNS = 20  # longer than any generated model remembers


def _chain(rng: np.random.Generator) -> bytes:
    """Two SVDF after each other, so that state and ordinary tensors share one arena."""
    b = ModelBuilder()
    x = b.tensor([1, 8], scale=[0.05], zero_point=[3])
    sizes, end = [(8, 6), (6, 4)], x
    for depth, units in sizes:
        weights = rng.integers(-127, 128, (units, depth)).astype(np.int8)
        features = b.tensor([units, depth], scale=[0.01], data=weights)
        values = rng.integers(-30000, 30000, (units, 5)).astype(np.int16)
        time = b.tensor([units, 5], dtype="int16", scale=[1e-4], data=values)
        data = rng.integers(-9000, 9000, units).astype(np.int32)
        bias = b.tensor([units], dtype="int32", scale=[1e-8], data=data)
        state = b.tensor([1, units * 5], dtype="int16", scale=[1e-4], zero_point=[0])
        b.tensors[state].isVariable = True
        out = b.tensor([1, units], scale=[0.05], zero_point=[-4])
        operands = [end, features, time, bias, state]
        b.operator("SVDF", operands, [out], "SVDFOptions", 3, rank=1)
        end = out
    return b.pack([x], [end])


MODELS = {"chain": _chain(np.random.default_rng(5))} | {
    f"{make.__name__} {row}": make(np.random.default_rng(row))
    for make in (svdf, lstm, streaming_ring, streaming_sum)
    for row in range(6)
}


@pytest.mark.parametrize("name", sorted(MODELS))
def test_sequences_are_equal_and_a_reset_begins_again(name: str, tmp_path: Path) -> None:
    model = MODELS[name]
    graph = parse_model(model)
    (inputs,) = random_inputs(graph, RUNS, 1)
    golden = make_golden(model, [inputs])
    host = HostModel(tmp_path, compile_model(model, golden, tmp_path, name="s", settings={}))
    micro, reference = TfliteMicro(model), Reference(graph)
    first: list[bytes] = []
    for turn in range(2):
        micro.reset()
        reference.reset()
        host.reset()
        outputs = []
        for run in range(RUNS):
            expected = micro.run([inputs[run]])
            for who in (reference, host):
                for got, value in zip(who.run([inputs[run]]), expected, strict=True):
                    np.testing.assert_array_equal(got, value, f"run {run}")
            outputs.append(expected[0].tobytes())
        assert turn == 0 or outputs == first
        first = outputs
    alone = [row.tobytes() for row in golden.outputs[0]]  # each from a reset
    assert name != "chain" or first[1:] != alone[1:], "the state has no effect"


def test_variable_tensors_share_their_memory_with_nothing() -> None:
    graph = parse_model(MODELS["chain"])
    plan = plan_arena(graph, lower(graph, compile_graph(graph)))
    states = {t.index for t in graph.variables}
    assert len(states) == 2
    for allocation in plan.allocations:
        if states & set(allocation.tensors):
            assert len(allocation.tensors) == 1
            assert (allocation.first_step, allocation.last_step) == (0, 2)
            for other in plan.allocations:
                apart = (
                    other.offset + other.bytes <= allocation.offset
                    or allocation.offset + allocation.bytes <= other.offset
                )
                assert other is allocation or apart


@pytest.mark.parametrize("name", sweep(["chain", "streaming_ring 1"], ["chain"]))
@pytest.mark.slow
def test_every_case_on_a_device_begins_from_a_reset(name: str, tmp_path: Path) -> None:
    model = MODELS[name]
    golden = make_golden(model, random_inputs(parse_model(model), 6, 2))
    gen = tmp_path / "gen"
    compile_model(model, golden, gen, name="state", settings={})
    with start_device(compile_app(tmp_path, gen, kernels="ref")) as device:
        assert device.selftest().failures == 0
        for case in (5, 0, 5, 3, 4, 4):
            expected = [value.tobytes() for value in golden.case_outputs(case)]
            assert device.run(golden.case_inputs(case)) == expected
            device.command("bench 3")
            device.write_inputs(golden.case_inputs(case))
            device.invoke()
            assert device.read_outputs() == expected
        assert device.selftest().failures == 0


def _with(change: str) -> bytes:
    b = ModelBuilder()
    x, y, v = (b.tensor([1, 4], scale=[0.1], zero_point=[0]) for _ in range(3))
    b.tensors[v].isVariable = True
    if change == "first value":
        data = np.zeros((1, 4), np.int8)
        b.tensors[b.tensor([1, 4], scale=[0.1], zero_point=[0], data=data)].isVariable = True
    b.operator("ADD", [x, v], [v if change == "written" else y], "AddOptions", 2)
    ends = [v] if change == "an end" else [y]
    return b.pack([x], [x] if change == "written" else ends)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("first value", "a variable tensor with a first value"),
        ("written", "which already has a value"),
        ("an end", "is a variable and an end of the model"),
    ],
)
def test_a_variable_where_none_belongs_is_refused(change: str, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        parse_model(_with(change))


def test_a_variable_that_its_operator_does_not_know_is_refused() -> None:
    with pytest.raises(UnsupportedOperator, match="input 1 is a variable"):
        compile_graph(parse_model(_with("")))


def _one_svdf(variable: bool, uses: int) -> bytes:
    b = ModelBuilder()
    x = b.tensor([1, 2], scale=[0.1], zero_point=[0])
    features = b.tensor([2, 2], scale=[0.1], data=np.ones((2, 2), np.int8))
    time = b.tensor([2, 3], dtype="int16", scale=[0.1], data=np.ones((2, 3), np.int16))
    bias = b.tensor([2], dtype="int32", scale=[0.01], data=np.zeros(2, np.int32))
    state = b.tensor([1, 6], dtype="int16", scale=[0.1], zero_point=[0])
    b.tensors[state].isVariable = variable
    end = x
    for _ in range(uses):
        out = b.tensor([1, 2], scale=[0.1], zero_point=[0])
        b.operator("SVDF", [end, features, time, bias, state], [out], "SVDFOptions", 3, rank=1)
        end = out
    return b.pack([x] if variable else [x, state], [end])


def test_a_state_is_a_variable_of_one_operator() -> None:
    with pytest.raises(ModelError, match="input 4 is not a variable tensor"):
        compile_graph(parse_model(_one_svdf(False, 1)))
    with pytest.raises(UnsupportedOperator, match="is used twice"):
        compile_graph(parse_model(_one_svdf(True, 2)))
