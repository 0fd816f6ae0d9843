"""float32 between int8: NaN, infinities, subnormals, tables of chains, and what is refused."""

from __future__ import annotations

import ctypes
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quantize.errors import ModelError, UnsupportedOperator
from quantize.golden import load_golden, make_golden, own_inputs, random_inputs
from quantize.inspect import inspect_model
from quantize.manifest import compile_model
from quantize.ops import OPS
from quantize.ops.float32 import BINARY, UNARY
from quantize.reference import Reference, compile_graph, integer_bits
from quantize.stages.golden import golden as make_golden_file
from quantize.tflite.reader import parse_model
from quantize.tflm import TfliteMicro
from tests.factory import ModelBuilder
from tests.factory_float import (
    F32,
    LIBRARY,
    binary,
    every_operator,
    island,
    layer_norm,
    reduction,
    unary,
)
from tests.host_c import COMPILE, ROOT, HostModel

EDGES = np.array(
    [0.0, -0.0, 1e-45, -1e-45, 5.877e-39, -1.1754942e-38, 1.17549435e-38, 0.5, -0.5, 1.0, -1.0, 1.5,
     2.5, 3.0, 6.0, 6.0000005, 1 / 3, 2.0**-24, 2.0**24 + 2, 1e19, -1e19, 3.4e38, -3.4e38, np.inf,
     -np.inf, np.nan, 1e-23, -1e-23],
    np.float32,
)  # fmt: skip
PAIRS = [np.repeat(EDGES, len(EDGES)), np.tile(EDGES, len(EDGES))]


def _equal(model: bytes, inputs: Sequence[np.ndarray], folder: Path) -> None:
    """Reference and host C answer as TFLite Micro does, bit for bit."""
    golden = make_golden(model, [values[None] for values in inputs])
    manifest = compile_model(model, golden, folder, name="m", settings={})
    got = HostModel(folder, manifest).run(golden.case_inputs(0))
    for mine, expected in zip(got, golden.case_outputs(0), strict=True):
        assert integer_bits(mine).tolist() == integer_bits(expected).tolist()


@pytest.mark.parametrize("name", sorted(BINARY))
@pytest.mark.parametrize("activation", [0, 1, 3])
def test_two_floats_at_their_edges(name: str, activation: int, tmp_path: Path) -> None:
    count = [len(PAIRS[0])]
    nan = np.isnan(PAIRS[0]) & np.isnan(PAIRS[1])  # which of two NaNs is left open
    inputs = [np.where(nan, np.float32(1), side) for side in PAIRS]
    _equal(binary(name, [count, count], count, activation), inputs, tmp_path)


NANS = np.array([0x7FC00000, 0xFFC00000, 0x7FC01234, 0xFFFFFFFF], np.uint32).view(np.float32)


def test_a_table_of_floats_keeps_the_bits_of_its_nans(tmp_path: Path) -> None:
    """NEG and ABS of a NaN are another NaN, as LOG makes one of a negative number."""
    for name in ("NEG", "ABS"):
        model = island(np.random.default_rng(1), ["LOG", name], ends_in_float=True)
        _equal(model, [random_inputs(parse_model(model), 3, 0)[0][1]], tmp_path / name)


def test_constants_keep_the_bits_of_their_nans(tmp_path: Path) -> None:
    values = np.concatenate([NANS, np.array([np.inf, -np.inf, -0.0, 1e-45], np.float32)])
    model = binary("MAXIMUM", [[8], [8]], [8], data=values)
    _equal(model, [np.full(8, -np.inf, np.float32)], tmp_path)


@pytest.mark.parametrize("name", sorted(UNARY))
def test_one_float_at_its_edges(name: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, 1 << 32, 4000, np.uint64).astype(np.uint32).view(np.float32)
    values = np.concatenate([EDGES, drawn[~np.isnan(drawn)]])
    options = {"alpha": 0.3} if name == "LEAKY_RELU" else {}
    _equal(unary(name, [len(values)], **options), [values], tmp_path)


@pytest.mark.parametrize("name", ["MEAN", "SUM", "REDUCE_MAX"])
@pytest.mark.parametrize("axes", [[2, 1], [0, 3], [3], [0]])
@pytest.mark.parametrize("keep", [True, False])
def test_reductions_go_on_in_tflite_micros_order(
    name: str, axes: list[int], keep: bool, tmp_path: Path
) -> None:
    shape = [3, 5, 7, 6]
    rng = np.random.default_rng(1)
    values = (rng.normal(0, 1, shape) * 10.0 ** rng.integers(-9, 9, shape)).astype(np.float32)
    values[1, 0] = rng.choice(EDGES, (7, 6))
    _equal(reduction(name, shape, axes, keep), [values], tmp_path)


@pytest.mark.parametrize("model", [layer_norm, every_operator])
def test_islands_of_more_than_one_tensor(model: object, tmp_path: Path) -> None:
    data = model()  # type: ignore[operator]
    golden = make_golden(data, random_inputs(parse_model(data), 6, 0))
    manifest = compile_model(data, golden, tmp_path, name="m", settings={})
    host = HostModel(tmp_path, manifest)
    for case in range(len(golden)):
        got = host.run(golden.case_inputs(case))
        for mine, expected in zip(got, golden.case_outputs(case), strict=True):
            assert integer_bits(mine).tolist() == integer_bits(expected).tolist()


@pytest.mark.parametrize("name", sorted(LIBRARY))
@pytest.mark.parametrize("ends_in_float", [True, False])
def test_a_librarys_function_of_int8_is_a_table(name: str, ends_in_float: bool) -> None:
    for seed in range(4):
        model = island(np.random.default_rng(seed), [name], ends_in_float=ends_in_float)
        graph = parse_model(model)
        found = [op.name for op in graph.operators]
        assert found == (["TABLE", "MEAN"] if ends_in_float else ["TABLE"])
        reference, oracle = Reference(graph), TfliteMicro(model)
        for code in range(-128, 128):
            inputs = [np.full(graph.tensors[graph.inputs[0]].shape, code, np.int8)]
            got, expected = reference.run(inputs)[0], oracle.run(inputs)[0]
            assert integer_bits(got).tolist() == integer_bits(expected).tolist(), code


@pytest.mark.parametrize("name", sorted(LIBRARY))
def test_a_librarys_function_of_other_floats_is_refused(name: str) -> None:
    with pytest.raises(UnsupportedOperator, match=f"operator 0 {name} .*table.*no int8 kernel"):
        compile_graph(parse_model(unary(name, [3])))


def test_what_tflite_micro_lacks_says_what_to_write() -> None:
    b = ModelBuilder()
    x, y = (b.tensor([3], scale=[0.1], zero_point=[0]) for _ in range(2))
    b.operator("GELU", [x], [y], "GeluOptions", 2)
    with pytest.raises(UnsupportedOperator, match="operator 0 GELU .*sigmoid"):
        compile_graph(parse_model(b.pack([x], [y])))


def test_a_sum_of_two_int8_tensors_is_no_table() -> None:
    b = ModelBuilder()
    ends = [b.tensor([3], scale=[0.1], zero_point=[0]) for _ in range(2)]
    reals = [b.tensor([3], **F32) for _ in range(2)]
    for x, real in zip(ends, reals, strict=True):
        b.operator("DEQUANTIZE", [x], [real], "DequantizeOptions", 2)
    total, wave = b.tensor([3], **F32), b.tensor([3], **F32)
    b.operator("ADD", reals, [total], "AddOptions")
    b.operator("SIN", [total], [wave])
    model = b.pack(ends, [wave])
    graph = parse_model(model)
    assert [op.name for op in graph.operators] == ["DEQUANTIZE", "DEQUANTIZE", "ADD", "SIN"]
    with pytest.raises(UnsupportedOperator, match="operator 3 SIN"):
        compile_graph(graph)


def test_an_operator_of_a_file_is_never_a_table() -> None:
    from quantize.tflite.schema import OPERATOR_NAMES

    assert "TABLE" in OPS
    assert "TABLE" not in OPERATOR_NAMES


def test_soft_floats_are_this_computers(tmp_path: Path) -> None:
    """What the Xtensa port links in the place of an instruction."""
    names = ("add", "sub", "mul")
    source = ROOT / "firmware/board/xtensa/soft_float.c"
    renamed = [f"-D__{name}sf3=soft_{name}" for name in names] + ["-D__floatsisf=soft_of"]
    command = [*COMPILE, *renamed, "-shared", "-o", tmp_path / "soft.so", source]
    subprocess.run([str(c) for c in command], check=True, timeout=60)
    library = ctypes.CDLL(str(tmp_path / "soft.so"))
    rng = np.random.default_rng(2)
    bits = rng.integers(0, 1 << 32, (2, 20000), np.uint64).astype(np.uint32)
    near = (bits & 0x80FFFFFF) | (rng.integers(100, 140, bits.shape, np.uint32) << 23)
    few = bits & 0x81FFFFFF  # subnormal, or nearly
    sides = [np.concatenate([PAIRS[k], *(x[k].view(np.float32) for x in (bits, near, few))])
             for k in range(2)]  # fmt: skip
    for name, whole in zip(names, (np.add, np.subtract, np.multiply), strict=True):
        function = getattr(library, f"soft_{name}")
        function.restype, function.argtypes = ctypes.c_float, [ctypes.c_float] * 2
        with np.errstate(all="ignore"):
            expected = whole(*sides)
        got = np.array([function(float(a), float(b)) for a, b in zip(*sides, strict=True)],
                       np.float32)  # fmt: skip
        number = ~np.isnan(expected)
        assert np.isnan(got[~number]).all()
        assert np.array_equal(integer_bits(got[number]), integer_bits(expected[number])), name
    library.soft_of.restype, library.soft_of.argtypes = ctypes.c_float, [ctypes.c_int32]
    edges = [0, 1, -1, 2**24 + 1, 2**24 + 3, 2**25 - 1, 2**31 - 1, 2**31 - 65, -(2**31)]
    integers = np.concatenate([edges, bits[0].view(np.int32), bits[0].view(np.int32) >> 5])
    got = np.array([library.soft_of(int(v)) for v in integers], np.float32)
    assert np.array_equal(got, integers.astype(np.float32))


def test_the_warnings_say_what_computes_in_float_and_where(tmp_path: Path) -> None:
    model = tmp_path / "m.tflite"
    model.write_bytes(layer_norm())
    text = " ".join(inspect_model(model).warnings)
    assert "10 operators compute in float32, from operator 1 MEAN" in text
    software = "esp32, esp32c3, qemu_riscv32 and qemu_xtensa compute it in software"
    assert f"float unit on nano33 and qemu_m4; {software}" in text
    model.write_bytes(island(np.random.default_rng(0), ["ELU"], ends_in_float=False))
    assert "float" not in " ".join(inspect_model(model).warnings)


def _quotient(dtype: str) -> bytes:
    """The quotient of two int8 tensors in float32, whose divisor may be 0, as int8 or int16."""
    b = ModelBuilder()
    q: dict[str, Any] = {"scale": [0.05], "zero_point": [3]}
    sources = [b.tensor([1, 5], **q) for _ in range(2)]
    floats = [b.tensor([1, 5], **F32) for _ in range(3)]
    y = b.tensor([1, 5], dtype=dtype, scale=[0.01], zero_point=[-7 if dtype == "int8" else 0])
    for source, value in zip(sources, floats, strict=False):
        b.operator("DEQUANTIZE", [source], [value], "DequantizeOptions", 2)
    b.operator("DIV", floats[:2], [floats[2]], "DivOptions")
    b.operator("QUANTIZE", [floats[2]], [y], "QuantizeOptions")
    return b.pack(sources, [y])


@pytest.mark.parametrize("dtype", ["int8", "int16"])
def test_a_quotient_that_is_infinite_is_left_out_of_the_random_cases(
    dtype: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """QUANTIZE of it is undefined in TFLite Micro; the other cases are compared."""
    monkeypatch.setenv("TINYPROOF_TRACKING", "off")
    model = _quotient(dtype)
    (tmp_path / "model.tflite").write_bytes(model)
    make_golden_file(tmp_path, "quotient", 40, None, None)
    assert re.search(r"left out \d+ of 40 random cases: .* undefined", capsys.readouterr().out)
    golden = load_golden(tmp_path / "golden.npz")
    assert 20 < len(golden) < 40
    manifest = compile_model(model, golden, tmp_path / "gen", name="m", settings={})
    host = HostModel(tmp_path / "gen", manifest)
    for case in range(len(golden)):
        assert np.array_equal(host.run(golden.case_inputs(case))[0], golden.case_outputs(case)[0])


@pytest.mark.parametrize("dtype", ["int8", "int16"])
def test_own_inputs_that_tflite_micro_leaves_undefined_are_named(dtype: str) -> None:
    inputs = [np.full((4, 1, 5), 9, np.int8) for _ in range(2)]
    inputs[1][[1, 3], 0, 2] = 3
    with pytest.raises(ModelError, match=r"undefined in 2 of the cases \(1, 3\): a QUANTIZE"):
        make_golden(_quotient(dtype), inputs)


def test_own_inputs_of_another_shape_are_told_as_they_are() -> None:
    b = ModelBuilder()
    x, y = (b.tensor([5], scale=[0.01], zero_point=[0]) for _ in range(2))
    b.operator("RELU", [x], [y])
    model = b.pack([x], [y])
    given = own_inputs({"x": np.zeros((7, 4), np.float32)}, parse_model(model), "the file")
    with pytest.raises(ModelError, match=r"expected int8 \[cases, 5\].* got float32 \[7, 4\]"):
        make_golden(model, given)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("int8", [127, -128, 127, -128, -7]), ("int16", [32767, -32768] * 2 + [0])],
)
def test_a_quantise_saturates_where_tflite_micros_is_undefined(
    dtype: str, expected: list[int], tmp_path: Path
) -> None:
    b = ModelBuilder()
    x = b.tensor([5], **F32)
    y = b.tensor([5], dtype=dtype, scale=[0.01], zero_point=[-7 if dtype == "int8" else 0])
    b.operator("QUANTIZE", [x], [y], "QuantizeOptions")
    model = b.pack([x], [y])
    golden = make_golden(model, [np.ones((1, 5), np.float32)])
    manifest = compile_model(model, golden, tmp_path, name="m", settings={})
    values = np.array([np.inf, -np.inf, 3e38, -3e38, 0], np.float32)
    for who in (Reference(parse_model(model)), HostModel(tmp_path, manifest)):
        assert who.run([values])[0].tolist() == expected
    for value in (np.inf, np.nan, 2e9 * 0.01 * 1.1):
        with pytest.raises(ModelError, match="a QUANTIZE"):
            make_golden(model, [np.full((1, 5), value, np.float32)])


def test_prelu_of_five_dimensions_is_refused() -> None:
    shape = [1, 1, 2, 1, 2]
    model = binary("PRELU", [shape, shape], shape, data=np.ones(shape, np.float32))
    with pytest.raises(UnsupportedOperator, match="input has 5 dimensions; TFLite Micro aborts"):
        compile_graph(parse_model(model))
