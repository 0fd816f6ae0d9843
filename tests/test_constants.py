"""Operators of constants are evaluated when a file is read: as TensorFlow does, bounded, told."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import numpy.typing as npt
import pytest
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

from quantize.errors import ModelError, UnsupportedOperator
from quantize.golden import make_golden, random_inputs
from quantize.manifest import compile_model
from quantize.reference import Reference, integer_bits
from quantize.tflite import constants
from quantize.tflite.evaluators import EVALUATORS
from quantize.tflite.reader import parse_model
from quantize.tflm import TfliteMicro
from tests.constant_cases import CASES, I32, A, Case, F, Q, same, whole
from tests.factory import ModelBuilder
from tests.factory_shapes import computed, constant, flattened, vector
from tests.factory_state import Streaming

RUN = """
import sys, numpy as np, tensorflow as tf
from pathlib import Path
for path in sorted(Path(sys.argv[1]).glob("*.tflite")):
    made = tf.lite.Interpreter(
        model_path=str(path),
        experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    made.allocate_tensors(); made.invoke()
    np.save(path.with_suffix(".npy"), made.get_tensor(int(path.stem.split("-")[1])))
"""


def test_the_values_are_those_of_tensorflow_lite(tmp_path: Path) -> None:
    for number, case in enumerate(CASES):
        model, output = whole(case)
        (tmp_path / f"{number:02}-{output}.tflite").write_bytes(model)
    subprocess.run(
        [sys.executable, "-c", RUN, str(tmp_path)], check=True, timeout=180, capture_output=True,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": "-1"},
    )  # fmt: skip
    for number, case in enumerate(CASES):
        model, output = whole(case)
        graph = parse_model(model)
        assert [op.name for op in graph.operators] == ["RESHAPE"] and graph.folded == 1, case[0]
        got, expected = graph.tensors[output].data, np.load(tmp_path / f"{number:02}-{output}.npy")
        assert got is not None and got.dtype == expected.dtype and got.shape == expected.shape, case
        same_bits = np.array_equal(integer_bits(got), integer_bits(expected))
        assert same_bits, f"{case[0]}: {got} instead of {expected}"


EDGES = np.array([0.0, -0.0, 1e-45, -1.5, 2.0, -4.0, 3e38, -3e38, np.inf, -np.inf, np.nan],
                 np.float32)  # fmt: skip
PAIRS = [np.repeat(EDGES, len(EDGES)), np.tile(EDGES, len(EDGES))]
DEFINED = [side[~(np.isnan(PAIRS[0]) & np.isnan(PAIRS[1]))] for side in PAIRS]  # which of two NaNs
DIVIDED = [side[DEFINED[1] != 0] for side in DEFINED]
BESIDE = np.array([[1e8, 1, -1e8, 0.25, -0.0], [3, np.nan, 5, np.inf, 7]], np.float32)
REAL_CASES = [
    *(same(n, *DEFINED, options=f"{n.title()}Options") for n in ("ADD", "SUB", "MUL", "DIV")),
    *(same(n, *DEFINED) for n in ("MAXIMUM", "MINIMUM")),
    *(same(n, EDGES) for n in ("ABS", "NEG", "CEIL", "FLOOR")),
    *(same(n, *DIVIDED) for n in ("FLOOR_DIV", "FLOOR_MOD")),
    *(same(n, *PAIRS, dtype="bool") for n in
      ("EQUAL", "NOT_EQUAL", "LESS", "LESS_EQUAL", "GREATER", "GREATER_EQUAL")),
    *((n, [BESIDE, np.array([1], I32)], [2], "float32", "ReducerOptions", {"keepDims": False})
      for n in ("SUM", "REDUCE_MAX")),
    ("ADD", DEFINED, [len(DEFINED[0])], "float32", "AddOptions", {"fusedActivationFunction": 3}),
]  # fmt: skip


@pytest.mark.parametrize("case", REAL_CASES, ids=lambda case: str(case[0]))
def test_the_floats_are_those_of_tflite_micro(case: Case) -> None:
    """Largest numbers, infinities, NaN and zeros of either sign, bit by bit."""
    model, output = whole(case)
    graph = parse_model(model)
    assert graph.folded == 1
    micro = TfliteMicro(model, preserve_tensors=True)
    micro.run([np.zeros((1, 4), np.int8)])
    got, expected = np.asarray(graph.tensors[output].data), micro.tensor(output)
    assert micro.told == "" and got.dtype == expected.dtype
    assert integer_bits(got).tolist() == integer_bits(expected).tolist()


def test_every_evaluator_has_a_case() -> None:
    assert {*EVALUATORS, *constants.SHAPES} == {case[0] for case in CASES}


def test_what_tflite_micro_lacks_is_taken_from_the_file_before_it_runs() -> None:
    """REDUCE_PROD and TILE are not in TFLite Micro; what is left of the model is."""
    b = ModelBuilder()
    x, y = b.tensor([1, 2, 3], **Q), b.tensor([1, 6], **Q)
    shape, rest, product, wanted = (computed(b, s) for s in ([3], [2], [], [2]))
    b.operator("SHAPE", [x], [shape], "ShapeOptions", outType=2)
    bounds = [vector(b, 1), vector(b, 3), vector(b, 1)]
    b.operator("STRIDED_SLICE", [shape, *bounds], [rest], "StridedSliceOptions")
    b.operator("REDUCE_PROD", [rest, vector(b, 0)], [product], "ReducerOptions", keepDims=False)
    one = b.tensor([], dtype="int32", data=np.array(1, I32))
    b.operator("PACK", [one, product], [wanted], "PackOptions", valuesCount=2, axis=0)
    b.operator("RESHAPE", [x, wanted], [y], "ReshapeOptions")
    model = b.pack([x], [y])
    assert TfliteMicro(model).told == "4 operators of constants evaluated"
    golden = make_golden(model, random_inputs(parse_model(model), 5, 1))
    reference = Reference(parse_model(model))
    for case in range(5):
        assert np.array_equal(
            reference.run(golden.case_inputs(case))[0], golden.case_outputs(case)[0]
        )


def _frame(step: int) -> bytes:
    """The second of four frames, as TimeDistributed takes them, every `step`th row of it."""
    b = ModelBuilder()
    x, y = b.tensor([4, 1, 6, 5, 2], **Q), b.tensor([1, 6 // step, 5, 2], **Q)
    bounds = [vector(b, *v) for v in ([1, 0, 0, 0, 0], [2, 0, 0, 0, 0], [1, 1, step, 1, 1])]
    b.operator("STRIDED_SLICE", [x, *bounds], [y], "StridedSliceOptions", 4, beginMask=30,
               endMask=30, shrinkAxisMask=1)  # fmt: skip
    return b.pack([x], [y])


def test_a_strided_slice_of_five_dimensions_is_a_slice_to_tflite_micro() -> None:
    model = _frame(1)
    micro = TfliteMicro(model)
    assert micro.told == "STRIDED_SLICE of five dimensions as SLICE"
    values = np.arange(240, dtype=np.uint8).view(np.int8).reshape(4, 1, 6, 5, 2)
    assert np.array_equal(micro.run([values])[0], values[1])
    assert np.array_equal(Reference(parse_model(model)).run([values])[0], values[1])


def _running_total() -> bytes:
    """A variable of float32 that begins with 5 and takes a frame's sum in each run, with CALL_ONCE;
    the frame is cut in five dimensions."""
    main = ModelBuilder()
    s = Streaming(main=main, start=main.beside())
    one: dict[str, Any] = {"dtype": "float32"}
    x = main.tensor([2, 1, 1, 1, 2], **one)
    part, y = (main.tensor([1, 1, 1, 2], **one) for _ in range(2))
    total = s.variable(np.full((1, 1, 1, 2), 5, np.float32), **one)
    bounds = [vector(main, *v) for v in ([1, 0, 0, 0, 0], [2, 0, 0, 0, 0], [1, 1, 1, 1, 1])]
    main.operator("STRIDED_SLICE", [x, *bounds], [part], "StridedSliceOptions", 4, beginMask=30,
                  endMask=30, shrinkAxisMask=1)  # fmt: skip
    main.operator("ADD", [s.read(total, [1, 1, 1, 2], **one), part], [y], "AddOptions")
    s.assign(total, y)
    return s.pack([x], [y])


@pytest.mark.parametrize("absent", [False, True])
def test_a_model_that_is_written_anew_keeps_its_state(absent: bool) -> None:
    """Operators without outputs are not operators of constants; converters leave the list out."""
    model = _running_total()
    if absent:
        model = _without_empty_outputs(model)
    micro, reference = TfliteMicro(model), Reference(parse_model(model))
    values = np.ones((2, 1, 1, 1, 2), np.float32)
    micro.reset(), reference.reset()
    for total in (6, 7, 8):
        assert micro.run([values])[0].reshape(-1).tolist() == [total, total]
        assert reference.run([values])[0].reshape(-1).tolist() == [total, total]
    assert micro.told == "STRIDED_SLICE of five dimensions as SLICE"


def _without_empty_outputs(model: bytes) -> bytes:
    file = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model, 0))
    for op in (op for graph in file.subgraphs for op in graph.operators):
        op.outputs = op.outputs if op.outputs is not None and len(op.outputs) else None
    builder = flatbuffers.Builder(4096)
    builder.Finish(file.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def test_nothing_is_written_anew_where_tflite_micro_takes_the_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object) -> bytes:
        raise ModelError("written anew")

    monkeypatch.setattr("quantize.tflm.rewritten", refuse)
    assert TfliteMicro(flattened(np.random.default_rng(3))).told == ""


def test_a_stride_along_one_of_five_dimensions_is_refused() -> None:
    with pytest.raises(UnsupportedOperator, match="5 dimensions, strides are .* at most 4 then"):
        Reference(parse_model(_frame(2)))


def test_tflite_micro_runs_the_file_itself_where_it_can() -> None:
    assert TfliteMicro(flattened(np.random.default_rng(3))).told == ""


@pytest.mark.parametrize(
    ("name", "inputs", "shape", "dtype", "told"),
    [
        ("FILL", [np.array([9, 9], I32), np.array(1, I32)], [2, 2], "int32", r"fills \[9, 9\]"),
        ("TILE", [A, np.array([10**6, 1], I32)], [2, 3], "int32", "the file says"),
        ("BROADCAST_TO", [A, np.array([10**6, 2, 3], I32)], [2, 3], "int32", "the file says"),
        ("RANGE", [np.array(v, I32) for v in (0, 2**31 - 1, 1)], [3], "int32", "2147483647 values"),
        ("DIV", [A, A * 0], [2, 3], "int32", "division by zero"),
        ("GATHER", [A, np.array([-1], I32)], [2, 1], "int32", "the file says"),
        ("ADD", [A, F], [2, 3], "int32", "damaged or hand-made"),
        ("REDUCE_PROD", [A, np.array([5], I32)], [2], "int32", "axis 5 of 2 dimensions"),
        ("CAST", [np.array([1e30], np.float32)], [1], "int32", "a value outside"),
        ("RANGE", [np.array(v, np.float32) for v in (0, 2, 1)], [2], "float32", "by 1.0, expected"),
    ],
)
def test_what_does_not_fit_is_refused(
    name: str, inputs: list[npt.NDArray[Any]], shape: list[int], dtype: str, told: str
) -> None:
    with pytest.raises(ModelError, match=told) as refused:
        parse_model(whole((name, inputs, shape, dtype, "", {}))[0])
    of_shapes = "the file says" in told or "values" in told or "fills" in told
    assert (constants.FREE in str(refused.value)) == of_shapes


def test_the_work_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "MAX_WORK", 20)
    with pytest.raises(ModelError, match="over 20 elements are computed from constants"):
        parse_model(
            whole(CASES[0])[0] if len(A) > 4 else whole(same("ADD", F.repeat(4), F.repeat(4)))[0]
        )


def test_products_count_as_work() -> None:
    """Few elements, many products: they are refused before they are computed."""
    b = ModelBuilder()
    x, y = b.tensor([1, 4], **Q), b.tensor([4], **Q)
    ones = np.ones((512, 512), np.int8)
    left, right = (b.tensor([512, 512], data=ones, **Q) for _ in range(2))
    made = b.tensor([512, 512], **Q)
    b.operator("BATCH_MATMUL", [left, right], [made], "BatchMatMulOptions")
    b.operator("RESHAPE", [x, vector(b, 4)], [y], "ReshapeOptions")
    with pytest.raises(ModelError, match="0 BATCH_MATMUL: over 4194304 elements .* or products"):
        parse_model(b.pack([x], [y]))


def test_an_output_of_constants_is_told() -> None:
    b = ModelBuilder()
    x, y = b.tensor([1, 4], **Q), b.tensor([4], **Q)
    z = computed(b, [2])
    b.operator("RESHAPE", [x, vector(b, 4)], [y], "ReshapeOptions")
    b.operator("ADD", [vector(b, 1, 2), vector(b, 3, 4)], [z], "AddOptions")
    with pytest.raises(UnsupportedOperator, match="the same for every input"):
        parse_model(b.pack([x], [y, z]))


def test_quantised_constants_are_computed_by_the_reference() -> None:
    """A constant that goes through QUANTIZE before it is added."""
    b = ModelBuilder()
    x, y = b.tensor([1, 4], **Q), b.tensor([1, 4], **Q)
    table = constant(b, np.array([[0.5, -1.0, 0.25, 100.0]], np.float32))
    codes = b.tensor([1, 4], **Q)
    b.operator("QUANTIZE", [table], [codes], "QuantizeOptions")
    b.operator("ADD", [x, codes], [y], "AddOptions", 2)
    model = b.pack([x], [y])
    graph = parse_model(model)
    assert np.asarray(graph.tensors[codes].data).tolist() == [[5, -10, 3, 127]]
    values = np.array([[1, 2, 3, 4]], np.int8)
    assert np.array_equal(Reference(graph).run([values])[0], TfliteMicro(model).run([values])[0])


def test_shapes_that_the_converter_did_not_know_are_computed(tmp_path: Path) -> None:
    """A RESHAPE to computed dimensions, and what follows it, have 1 in the file: Dense on 3-D."""
    b = ModelBuilder()
    x = b.tensor([1, 5, 4], **Q)
    rows, middle, out = (b.tensor(s, **Q) for s in ([1, 1], [1, 3], [1, 1, 3]))
    shape, part, wanted = (computed(b, s) for s in ([3], [2], [3]))
    weights = b.tensor([3, 4], scale=[0.01], data=np.arange(12, dtype=np.int8).reshape(3, 4))
    b.operator("SHAPE", [x], [shape], "ShapeOptions", outType=2)
    b.operator("RESHAPE", [x, vector(b, -1, 4)], [rows], "ReshapeOptions")
    b.operator("FULLY_CONNECTED", [rows, weights, -1], [middle], "FullyConnectedOptions", 4)
    bounds = [vector(b, 0), vector(b, 2), vector(b, 1)]
    b.operator("STRIDED_SLICE", [shape, *bounds], [part], "StridedSliceOptions")
    b.operator("CONCATENATION", [part, vector(b, 3)], [wanted], "ConcatenationOptions", axis=0)
    b.operator("RESHAPE", [middle, wanted], [out], "ReshapeOptions")
    for index in (rows, middle, out):
        b.tensors[index].shapeSignature = np.full(len(b.tensors[index].shape), -1, np.int32)
    model = b.pack([x], [out])
    graph = parse_model(model)
    assert [graph.tensors[i].shape for i in (rows, middle, out)] == [(5, 4), (5, 3), (1, 5, 3)]
    assert TfliteMicro(model).told == "3 operators of constants evaluated, shapes computed"
    golden = make_golden(model, random_inputs(graph, 4, 1))
    manifest = compile_model(model, golden, tmp_path, name="dense", settings={})
    assert "which refuses the file as it is" in str(manifest["reference"])
