"""Steps of model.c: by themselves, or calls of a kernel together, whichever is shorter."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from quantize.emit_steps import Argument, Statement, step_table
from quantize.golden import make_golden, random_inputs
from quantize.lowering import lower
from quantize.manifest import compile_model
from quantize.reference import compile_graph
from quantize.tflite.reader import parse_model
from tests.host_c import HostModel
from tests.packed_rows import INT16_ROWS, ROWS, rows_model

CASES = re.compile(r"^    case (\d+):$", re.MULTILINE)


def call(function: str, *places: int | None, text: str = "{}") -> Statement:
    """A call with the parameters of its kernel at places in the arena; None: a constant."""
    return Statement(
        function=function,
        params_type=f"{function}_t",
        params="model_p",
        arguments=tuple(Argument(text=text, place=place) for place in places),
    )


def test_few_steps_are_statements_of_their_own() -> None:
    assert step_table([], "armv7em") is None
    assert step_table([call("nn_a", 0, 16)] * 6, "armv7em") is None
    assert step_table([call("nn_a", 0, 16)] * 7, "armv7em") is not None
    assert step_table([call(f"nn_{k}", 0, 16) for k in range(8)], "armv7em") is None


def test_a_statement_of_its_own_is_longer_on_other_cores() -> None:
    assert step_table([call("nn_a", 0, 16)] * 5, "xtensa") is not None


def test_what_does_not_fit_stays_by_itself() -> None:
    own = [None, call("nn_a", 0, None), call("nn_a", 0, 16, 32, 48)]
    table = step_table([*[call("nn_a", 0, 16)] * 12, *own, call("nn_b", 5, 6, 7)], "armv7em")
    assert table is not None
    assert table.alone == [12, 13, 14]
    assert table.kinds == {"nn_a(p.a, a, b);": [*range(12)], "nn_b(p.b, a, b, c);": [15]}
    assert table.places == [*["0, 16, 0"] * 12, *["0, 0, 0"] * 3, "5, 6, 7"]
    assert table.types == {"nn_a_t": "a", "nn_b_t": "b"}


def test_arguments_of_other_types_are_other_calls() -> None:
    wide = call("nn_a", 0, 16, text="(int16_t *)(void *)({})")
    table = step_table([call("nn_a", 0, 16), wide] * 8, "armv7em")
    assert table is not None
    first, second = "(int16_t *)(void *)(a)", "(int16_t *)(void *)(b)"
    assert list(table.kinds) == ["nn_a(p.a, a, b);", f"nn_a(p.a, {first}, {second});"]


@pytest.mark.parametrize(("last", "ctype"), [(65535, "uint16_t"), (65536, "uint32_t")])
def test_places_have_room(last: int, ctype: str) -> None:
    table = step_table([*[call("nn_a", 0, 16)] * 9, call("nn_a", 0, last)], "armv7em")
    assert table is not None
    assert table.place_type == ctype


@pytest.mark.parametrize("kernels", ["ref", "armv7em", "xtensa"])
def test_every_step_runs_once(kernels: str, tmp_path: Path) -> None:
    """Of many operators with one, two and constant inputs, some of which read int16."""
    rows = [*ROWS.values(), *INT16_ROWS.values()] * 3
    model = rows_model(rows, 3)
    graph = parse_model(model)
    golden = make_golden(model, random_inputs(graph, 2, 1))
    manifest = compile_model(model, golden, tmp_path, name="m", settings={}, kernels=kernels)
    text = (tmp_path / "model.c").read_text()
    steps = [s for s in lower(graph, compile_graph(graph), kernels) if not s.step.alias]
    assert "model_places" in text
    assert sorted(map(int, CASES.findall(text))) == [*range(len(steps))]
    host = HostModel(tmp_path, manifest)
    for case in range(2):
        got = host.run(golden.case_inputs(case))
        for value, wanted in zip(got, golden.case_outputs(case), strict=True):
            np.testing.assert_array_equal(value, wanted)
