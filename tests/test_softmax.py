"""SOFTMAX of more values than TFLite Micro can sum when they are equal: it aborts, we say so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from quantize.errors import UnsupportedOperator
from quantize.golden import Aborted, make_golden
from quantize.lowering import lower
from quantize.manifest import compile_model
from quantize.reference import Reference, compile_graph
from quantize.stages.golden import golden
from quantize.tflite.reader import parse_model
from tests.factory import ModelBuilder
from tests.host_c import HostModel


def softmax(depth: int, scale: float = 0.1, output: str = "int8", rows: int = 1) -> bytes:
    """Rows of that many values."""
    b = ModelBuilder()
    x = b.tensor([rows, depth], scale=[scale], zero_point=[0])
    limits = np.iinfo(output)
    y_scale = [2.0**-limits.bits]
    y = b.tensor([rows, depth], dtype=output, scale=y_scale, zero_point=[limits.min])
    b.operator("SOFTMAX", [x], [y], "SoftmaxOptions", 2, beta=1.0)
    return b.pack([x], [y])


@pytest.mark.parametrize("depth", [512, 1000, 4095])
def test_rows_that_are_not_about_equal(depth: int, tmp_path: Path) -> None:
    model, rng = softmax(depth), np.random.default_rng(depth)
    values = rng.integers(-128, 128, (4, 1, depth)).astype(np.int8)
    cases = make_golden(model, [values])
    manifest = compile_model(model, cases, tmp_path, name="softmax", settings={})
    reference, host = Reference(parse_model(model)), HostModel(tmp_path, manifest)
    for case in range(4):
        for who in (reference, host):
            assert np.array_equal(who.run([values[case]])[0], cases.case_outputs(case)[0])


@pytest.mark.parametrize("scale", [1e-6, 0.02, 0.5, 3.0, 1e4])
@pytest.mark.parametrize(("rows", "depth"), [(512, 1), (171, 3), (40, 17), (4, 128)])
def test_many_values_have_a_table(rows: int, depth: int, scale: float, tmp_path: Path) -> None:
    model, rng = softmax(depth, scale, rows=rows), np.random.default_rng(depth)
    graph = parse_model(model)
    (step,) = lower(graph, compile_graph(graph), "armv7em")
    assert step.calls[0].function == "nn_softmax_table_s8"
    values = rng.integers(-128, 128, (4, rows, depth)).astype(np.int8)
    values[1] //= 16
    cases = make_golden(model, [values])
    manifest = compile_model(model, cases, tmp_path, name="s", settings={}, kernels="armv7em")
    host = HostModel(tmp_path, manifest)
    for case in range(4):
        assert np.array_equal(host.run([values[case]])[0], cases.case_outputs(case)[0])


def test_few_values_have_none() -> None:
    graph = parse_model(softmax(511))
    (step,) = lower(graph, compile_graph(graph), "armv7em")
    assert step.calls[0].function == "nn_softmax_s8"


def test_rows_on_which_it_aborts_are_named() -> None:
    model = softmax(600)
    values = np.random.default_rng(0).integers(-128, 128, (3, 1, 600)).astype(np.int8)
    values[1] = 7
    with pytest.raises(Aborted, match="aborts on 1 of the cases, first on case 1") as raised:
        make_golden(model, [values])
    assert raised.value.cases == (1,)


@pytest.mark.parametrize("depth", [511, 2047, 2048, 4095])
def test_equal_values_to_int16(depth: int, tmp_path: Path) -> None:
    """Sums up to the largest that a word holds."""
    model = softmax(depth, output="int16")
    cases = make_golden(model, [np.full((1, 1, depth), 7, np.int8)])
    manifest = compile_model(model, cases, tmp_path, name="softmax", settings={})
    for who in (Reference(parse_model(model)), HostModel(tmp_path, manifest)):
        assert np.array_equal(who.run(cases.case_inputs(0))[0], cases.case_outputs(0)[0])


@pytest.mark.parametrize("depth", [512, 600, 1024, 2048, 4095])
def test_what_no_answer_is_known_to_is_the_same_in_c(depth: int, tmp_path: Path) -> None:
    model = softmax(depth)
    values = np.random.default_rng(0).integers(-128, 128, (1, 1, depth)).astype(np.int8)
    manifest = compile_model(model, make_golden(model, [values]), tmp_path, name="s", settings={})
    equal = np.full((1, depth), 7, np.int8)
    host = HostModel(tmp_path, manifest)
    assert np.array_equal(host.run([equal])[0], Reference(parse_model(model)).run([equal])[0])


def test_random_cases_leave_them_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TINYPROOF_TRACKING", "off")
    (tmp_path / "model.tflite").write_bytes(softmax(600))
    golden(tmp_path, "softmax", 9, None, None)
    assert "left out" in capsys.readouterr().out
    assert (tmp_path / "golden.npz").is_file()


def test_more_than_the_sum_holds_are_refused() -> None:
    with pytest.raises(UnsupportedOperator, match="4096 values in a row; use at most 4095"):
        compile_graph(parse_model(softmax(4096)))
