"""Resource variables become variable tensors: first values, memory, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quantize.errors import ModelError, UnsupportedOperator
from quantize.golden import make_golden, random_inputs
from quantize.manifest import compile_model
from quantize.ops import OPS, reshape
from quantize.ops.copy import MAY_BE_SAME
from quantize.reference import Reference, compile_graph
from quantize.tflite.reader import parse_model
from quantize.tflite.variables import FOLDED
from quantize.tflm import TfliteMicro
from tests.factory import ModelBuilder
from tests.factory_state import Streaming
from tests.generators import GENERATORS
from tests.host_c import HostModel
from tests.hostile import pack, unpack

Q: dict[str, Any] = {"scale": [0.1], "zero_point": [5]}
SHAPE = [1, 4]
FIRST = np.array([[1, -2, 3, -4]], np.int8)
Change = Callable[[Streaming], None]


def started() -> Streaming:
    """A model whose variables may have first values."""
    main = ModelBuilder()
    return Streaming(main=main, start=main.beside())


def counter(*, first: np.ndarray[Any, Any] | None = FIRST, **quant: Any) -> bytes:
    """A sum over all runs."""
    s = started() if first is not None else Streaming()
    x = s.main.tensor(SHAPE, **Q)
    handle = s.variable(first, **(Q | quant))
    y = s.main.tensor(SHAPE, **Q)
    s.main.operator("ADD", [s.read(handle, SHAPE, **Q), x], [y], "AddOptions", 2)
    s.assign(handle, y)
    return s.pack([x], [y])


def test_a_reset_gives_what_call_once_assigns(tmp_path: Path) -> None:
    """TFLite Micro's own reset would leave the zero point, which no model starts with."""
    model = counter()
    graph = parse_model(model)
    (inputs,) = random_inputs(graph, 5, 1)
    golden = make_golden(model, [inputs])
    host = HostModel(tmp_path, compile_model(model, golden, tmp_path, name="s", settings={}))
    micro, reference = TfliteMicro(model), Reference(graph)
    zero = np.full((1, 4), 5, np.int8)
    for who in (micro, reference, host):
        for _ in range(2):
            who.reset()
            np.testing.assert_array_equal(who.run([zero])[0], FIRST)
            assert who.run([zero + np.int8(1)])[0].tolist() == [[2, -1, 4, -3]]


def test_a_variable_without_a_first_value_begins_at_its_zero_point() -> None:
    model = counter(first=None)
    zero = np.full((1, 4), 5, np.int8)
    for who in (TfliteMicro(model), Reference(parse_model(model))):
        who.reset()
        assert who.run([zero])[0].tolist() == [[5] * 4]


def test_first_values_that_are_all_the_same_take_no_flash(tmp_path: Path) -> None:
    for value, count in ((FIRST, 1), (FIRST * 0 + 7, 0)):
        model = counter(first=value)
        golden = make_golden(model, random_inputs(parse_model(model), 1, 0))
        folder = tmp_path / str(count)
        manifest = compile_model(model, golden, folder, name="s", settings={})
        constants = manifest["constants"]
        assert isinstance(constants, list)
        assert sum(c["name"].endswith("_initial") for c in constants) == count


def test_reading_costs_nothing_where_nothing_is_assigned_meanwhile() -> None:
    def steps(late: bool) -> list[bool]:
        s = started()
        x = s.main.tensor(SHAPE, **Q)
        handle = s.variable(FIRST, **Q)
        value, y = s.read(handle, SHAPE, **Q), s.main.tensor(SHAPE, **Q)
        flat = s.main.tensor([4], **Q)
        target = s.main.tensor([1], dtype="int32", data=np.array([4], np.int32))
        s.main.operator("RESHAPE", [value, target], [flat], "ReshapeOptions")
        if late:
            s.assign(handle, x)
        s.main.operator("ADD", [flat, flat], [s.main.tensor([4], **Q)], "AddOptions", 2)
        s.main.operator("ADD", [x, x], [y], "AddOptions", 2)
        if not late:
            s.assign(handle, x)
        graph = parse_model(s.pack([x], [y]))
        compiled = compile_graph(graph)
        return [step.alias for step in compiled if step.op.name == "READ_VARIABLE"]

    assert steps(late=False) == [True]
    assert steps(late=True) == [False]


@pytest.mark.parametrize("name", sorted(GENERATORS))
def test_what_shares_its_input_s_memory_is_known_to_reading(name: str) -> None:
    for row in range(3):
        for step in compile_graph(parse_model(GENERATORS[name](np.random.default_rng(row)))):
            known = {*reshape.NAMES, *MAY_BE_SAME, "READ_VARIABLE"}
            assert not step.alias or step.op.name in known


@pytest.mark.parametrize("late", [False, True])
def test_a_move_of_nothing_is_known_to_reading(late: bool) -> None:
    """TRANSPOSE of a line lies in the variable's memory, so that is copied where it is assigned
    before the last use."""
    s = started()
    x = s.main.tensor(SHAPE, **Q)
    handle = s.variable(FIRST, **Q)
    value, y = s.read(handle, SHAPE, **Q), s.main.tensor(SHAPE, **Q)
    axes = s.main.tensor([2], dtype="int32", data=np.array([1, 0], np.int32))
    line = s.main.tensor(SHAPE[::-1], **Q)
    s.main.operator("TRANSPOSE", [value, axes], [line], "TransposeOptions")
    if late:
        s.assign(handle, x)
    s.main.operator("ADD", [line, line], [s.main.tensor(SHAPE[::-1], **Q)], "AddOptions", 2)
    s.main.operator("ADD", [x, x], [y], "AddOptions", 2)
    if not late:
        s.assign(handle, x)
    compiled = compile_graph(parse_model(s.pack([x], [y])))
    assert [step.alias for step in compiled if step.op.name == "TRANSPOSE"] == [True]
    assert [step.alias for step in compiled if step.op.name == "READ_VARIABLE"] == [not late]


def test_folded_operators_are_gone() -> None:
    graph = parse_model(counter())
    assert [op.name for op in graph.operators] == ["READ_VARIABLE", "ADD", "ASSIGN_VARIABLE"]
    assert [op.index for op in graph.operators] == [0, 1, 2]
    assert not set(FOLDED) & set(OPS)


def changed(change: Callable[[Any, Any], None]) -> bytes:
    """The counter after `change(main subgraph, start subgraph)`."""
    model = unpack(counter())
    change(*model.subgraphs)
    return pack(model)


def _late_call(main: Any, _: Any) -> None:
    main.operators.append(main.operators.pop(0))


def _no_constant(_: Any, start: Any) -> None:
    for tensor in start.tensors:
        tensor.buffer = 0


def _start_ends(_: Any, start: Any) -> None:
    start.outputs = np.array([0], np.int32)


def _calls_itself(main: Any, start: Any) -> None:
    start.operators.append(main.operators[0])


def _not_a_handle(main: Any, _: Any) -> None:
    main.operators[2].inputs = np.array([0], np.int32)


def _handle_added(main: Any, _: Any) -> None:
    main.operators[3].inputs = np.array([1, 1], np.int32)


def _handle_out(main: Any, _: Any) -> None:
    main.outputs = np.array([1], np.int32)


def _handle_type(main: Any, _: Any) -> None:
    main.tensors[1].type = 2


def _other_type(_: Any, start: Any) -> None:
    start.tensors[0].type = 3


def _other_scale(_: Any, start: Any) -> None:
    start.tensors[0].quantization.scale = np.array([0.2], np.float32)


def _other_read(main: Any, _: Any) -> None:
    main.tensors[int(main.operators[2].outputs[0])].shape = np.array([4, 1], np.int32)


def _no_name(main: Any, _: Any) -> None:
    main.operators[1].builtinOptions.sharedName = None


def _no_container(main: Any, _: Any) -> None:
    main.operators[1].builtinOptions.container = None


def _never_assigned(main: Any, _: Any) -> None:
    main.operators[1].builtinOptions.sharedName = b"unknown"
    main.operators.pop()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_late_call, "CALL_ONCE follows a use of variables"),
        (_no_constant, "a handle of VAR_HANDLE and a constant"),
        (_start_ends, "has no inputs and outputs"),
        (_calls_itself, "CALL_ONCE: a subgraph of CALL_ONCE may only assign"),
        (_not_a_handle, "has handles of variables as inputs"),
        (_handle_added, "has handles of variables as inputs"),
        (_handle_out, "a handle and an end of the model"),
        (_handle_type, "expected version 1 and one resource"),
        (_other_type, "is assigned uint8"),
        (_other_scale, "equally quantised"),
        (_other_read, "output is \\[4, 1\\], the variable \\[1, 4\\]"),
        (_no_name, "VAR_HANDLE without a name"),
        (_no_container, "a container beside one without"),
        (_never_assigned, "reads a variable that nothing assigns"),
    ],
)
def test_a_model_is_refused(change: Callable[[Any, Any], None], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        compile_graph(parse_model(changed(change)))


@pytest.mark.parametrize(("number", "words"), [(0, "0"), (2, "2"), (-1, "-1")])
def test_call_once_runs_another_subgraph_that_exists(number: int, words: str) -> None:
    def change(main: Any, _: Any) -> None:
        main.operators[0].builtinOptions.initSubgraphIndex = number

    with pytest.raises(ModelError, match=f"CALL_ONCE: subgraph {words}; the file has 2"):
        parse_model(changed(change))


def test_a_subgraph_that_nothing_runs_is_refused() -> None:
    with pytest.raises(UnsupportedOperator, match="no CALL_ONCE runs subgraph 1"):
        parse_model(changed(lambda main, _: main.operators.pop(0)))


def test_a_file_of_nothing_but_handles_is_refused() -> None:
    b = ModelBuilder()
    x, handle = b.tensor(SHAPE, **Q), b.tensor([], dtype="resource")
    options = {"container": b"", "sharedName": b"v"}
    b.operator("VAR_HANDLE", [], [handle], "VarHandleOptions", **options)
    with pytest.raises(ModelError, match="at least one operator that computes"):
        parse_model(b.pack([x], [x]))
