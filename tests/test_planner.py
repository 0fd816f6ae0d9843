"""Arena plans: nothing that lives at the same time overlaps, and the size is near the bound."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantize.golden import make_golden, random_inputs
from quantize.lowering import LoweredStep, lower
from quantize.lowering.base import ALIGNMENT
from quantize.manifest import compile_model
from quantize.planner import ArenaPlan, plan_arena
from quantize.reference import Step, compile_graph
from quantize.tflite.graph import Graph
from quantize.tflite.reader import parse_model
from tests.chains import chain
from tests.factory import ModelBuilder
from tests.generators import GENERATORS
from tests.host_c import HostModel


def _random_chain(seed: int, length: int) -> Graph:
    """ADDs and RESHAPEs over one element count, each reading any two earlier tensors."""
    rng = np.random.default_rng(seed)
    b = ModelBuilder()
    sizes = [int(v) for v in rng.integers(1, 200, length + 2)]
    tensors = [b.tensor([sizes[0]], scale=[0.1], zero_point=[0])]
    for i in range(length):
        a, c = (int(v) for v in rng.integers(0, len(tensors), 2))
        size = max(b.tensors[a].shape[0], b.tensors[c].shape[0])
        if 1 not in (b.tensors[a].shape[0], b.tensors[c].shape[0]):
            c = a
            size = b.tensors[a].shape[0]
        tensors.append(b.tensor([size], scale=[0.1 + i], zero_point=[0]))
        if rng.random() < 0.3:
            b.operator("RESHAPE", [a], [tensors[-1]])
            b.tensors[-1].shape = b.tensors[a].shape
            b.tensors[-1].quantization = b.tensors[a].quantization
        else:
            b.operator("ADD", [a, c], [tensors[-1]], "AddOptions", 2)
    return parse_model(b.pack([tensors[0]], [tensors[-1]]))


def _check(graph: Graph, plan: ArenaPlan, steps: Sequence[LoweredStep] = ()) -> None:
    ahead = {s.step.op.index: s.ahead_bytes or 0 for s in steps}
    for i, a in enumerate(plan.allocations):
        assert a.offset % ALIGNMENT == 0
        assert a.offset + a.bytes <= plan.bytes
        for b in plan.allocations[i + 1 :]:
            together = a.first_step <= b.last_step and b.first_step <= a.last_step
            apart = a.offset + a.bytes <= b.offset or b.offset + b.bytes <= a.offset
            taken_over = [
                0 < ahead.get(out.first_step, 0) <= read.offset - out.offset
                for read, out in ((a, b), (b, a))
                if read.last_step == out.first_step
            ]
            assert apart or any(taken_over) or not together
    for index in (*graph.inputs, *graph.outputs):
        assert plan.offset(index) >= 0


@settings(max_examples=150)
@given(st.integers(0, 10**6), st.integers(1, 12))
def test_live_tensors_never_overlap(seed: int, length: int) -> None:
    graph = _random_chain(seed, length)
    plan = plan_arena(graph, lower(graph, compile_graph(graph)))
    _check(graph, plan)
    assert plan.bytes >= plan.lower_bound


def test_chains_reach_the_lower_bound() -> None:
    for name in ("CONV_2D", "RESHAPE", "ADD", "SOFTMAX"):
        graph = parse_model(GENERATORS[name](np.random.default_rng(1)))
        plan = plan_arena(graph, lower(graph, compile_graph(graph)))
        assert plan.bytes == plan.lower_bound


def test_element_wise_operators_work_in_place(tmp_path: Path) -> None:
    """A chain of them needs one buffer, and still gives TFLite Micro's bytes."""
    b = ModelBuilder()
    q = {"scale": [0.05], "zero_point": [3]}
    shape = [1, 6, 5, 8]
    x = b.tensor(shape, **q)
    chain = [x]
    for name in ("ABS", "TANH", "RELU"):
        y = b.tensor(shape, **({"scale": [1 / 128], "zero_point": [0]} if name == "TANH" else q))
        b.operator(name, [chain[-1]], [y])
        chain.append(y)
    total = b.tensor(shape, scale=[0.1], zero_point=[0])
    b.operator("ADD", [chain[-1], chain[-1]], [total], "AddOptions", 2)
    model = b.pack([x], [total])
    graph = parse_model(model)
    plan = plan_arena(graph, lower(graph, compile_graph(graph)))
    assert plan.bytes == plan.lower_bound == 240
    golden = make_golden(model, random_inputs(graph, 6, 1))
    host = HostModel(tmp_path, compile_model(model, golden, tmp_path, name="chain", settings={}))
    for case in range(len(golden)):
        assert np.array_equal(host.run(golden.case_inputs(case))[0], golden.case_outputs(case)[0])


def test_an_input_that_is_read_later_is_not_overwritten() -> None:
    b = ModelBuilder()
    q = {"scale": [0.05], "zero_point": [3]}
    x, y, z = (b.tensor([1, 64], **q) for _ in range(3))
    b.operator("ABS", [x], [y])
    b.operator("ADD", [x, y], [z], "AddOptions", 2)
    graph = parse_model(b.pack([x], [z]))
    plan = plan_arena(graph, lower(graph, compile_graph(graph)))
    assert plan.offset(x) != plan.offset(y)
    assert plan.bytes == 128


def _greedy(graph: Graph, steps: Sequence[Step]) -> int:
    """First fit by size, of tensors that share nothing."""
    last = {i: op.index for op in graph.operators for i in op.inputs}
    last |= dict.fromkeys(graph.outputs, len(steps))
    buffers = [(graph.tensors[i].bytes, 0, last.get(i, 0)) for i in graph.inputs]
    for step in steps:
        for o in step.op.outputs:
            index = step.op.index
            buffers.append((graph.tensors[o].bytes, index, last.get(o, index)))
    placed: list[tuple[int, int, int, int]] = []
    for size, first, end in sorted(buffers, key=lambda b: -b[0]):
        size, offset = -(-size // ALIGNMENT) * ALIGNMENT, 0
        for start, stop, since, until in sorted(placed):
            if first <= until and since <= end:
                if offset + size <= start:
                    break
                offset = max(offset, stop)
        placed.append((offset, offset + size, first, end))
    return max(stop for _, stop, _, _ in placed)


@settings(max_examples=150)
@given(st.integers(0, 10**6), st.integers(1, 30))
def test_sharing_and_searching_never_cost_bytes(seed: int, length: int) -> None:
    graph = _random_chain(seed, length)
    steps = compile_graph(graph)
    lowered = lower(graph, steps)
    plan = plan_arena(graph, lowered)
    _check(graph, plan)
    assert plan.lower_bound <= plan.bytes <= _greedy(graph, steps)
    assert plan_arena(graph, lowered) == plan


@pytest.mark.parametrize("count", [16, 100, 1000])
def test_what_an_output_leaves_of_its_input_is_free(count: int, tmp_path: Path) -> None:
    """QUANTIZE from float in place: a quarter is kept, and the rest is used again."""
    b = ModelBuilder()
    q: dict[str, Any] = {"scale": [0.05], "zero_point": [3]}
    shape = [1, count]
    x = b.tensor(shape, dtype="float32")
    y, u, v, z = (b.tensor(shape, **q) for _ in range(4))
    b.operator("QUANTIZE", [x], [y])
    b.operator("ABS", [y], [u])
    b.operator("ABS", [u], [v])
    b.operator("ADD", [y, v], [z], "AddOptions", 2)
    model = b.pack([x], [z])
    graph = parse_model(model)
    plan = plan_arena(graph, lower(graph, compile_graph(graph)))
    _check(graph, plan)
    assert plan.bytes == plan.lower_bound == -(-4 * count // ALIGNMENT) * ALIGNMENT
    assert plan.offset(x) == plan.offset(y) != plan.offset(u)
    golden = make_golden(model, random_inputs(graph, 4, 1))
    host = HostModel(tmp_path, compile_model(model, golden, tmp_path, name="m", settings={}))
    for case in range(len(golden)):
        assert np.array_equal(host.run(golden.case_inputs(case))[0], golden.case_outputs(case)[0])


def test_a_model_of_500_operators_is_planned_at_once() -> None:
    graph = _random_chain(1, 500)
    lowered = lower(graph, compile_graph(graph))
    start = time.process_time()
    plan_arena(graph, lowered)
    assert time.process_time() - start < 3  # 0.3 s where nothing else runs


@pytest.mark.parametrize("kernels", ["armv7em", "xtensa"])
def test_networks_are_planned_without_overlaps(kernels: str) -> None:
    ahead = 0
    for seed in range(20):
        graph = parse_model(chain(seed, 0.0, layers=12))
        lowered = lower(graph, compile_graph(graph), kernels)
        plan = plan_arena(graph, lowered)
        _check(graph, plan, lowered)
        assert plan.lower_bound <= plan.bytes
        ahead += any(s.ahead_bytes for s in lowered)
    assert ahead > 1
