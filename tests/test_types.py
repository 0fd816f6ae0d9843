"""int16 activations and int4 weights: where sums end, what is refused, and how int4 is stored."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantize.errors import ModelError
from quantize.golden import make_golden, random_inputs
from quantize.lowering import KERNEL_SETS, lower
from quantize.manifest import compile_model
from quantize.ops.base import MAX_BIAS
from quantize.reference import Reference, compile_graph
from quantize.scheme import QuantParams, Requant, activation_range, multiply_wide, narrow_multiplier
from quantize.tflite.reader import parse_model
from tests.factory import ModelBuilder, packed_int4
from tests.factory_types import GENERATORS
from tests.generators import GENERATORS as ALL
from tests.host_c import HostModel

Q16: dict[str, Any] = {"dtype": "int16", "scale": [0.01], "zero_point": [0]}
Q8: dict[str, Any] = {"dtype": "int8", "scale": [0.1], "zero_point": [0]}
DEPTH = 1000


def dense(
    bias: Sequence[int], *, kind: str = "int64", out_scale: float = 1.0, in_scale: float = 1.0
) -> bytes:
    """An int16 FULLY_CONNECTED of DEPTH inputs with weights of 127 and -127."""
    b = ModelBuilder()
    x = b.tensor([1, DEPTH], **Q16 | {"scale": [in_scale]})
    weights = np.array([[127], [-127]], np.int8).repeat(DEPTH, axis=1)
    w = b.tensor([2, DEPTH], scale=[1.0], data=weights)
    c = b.tensor([2], dtype=kind, scale=[1.0], data=np.array(bias, kind))
    y = b.tensor([1, 2], **Q16 | {"scale": [out_scale]})
    b.operator("FULLY_CONNECTED", [x, w, c], [y], "FullyConnectedOptions", 4)
    return b.pack([x], [y])


ENDS = {
    "a sum of 32 bits wraps": dense([5, -5], kind="int32", out_scale=2.0**17),
    "a sum of 64 bits does not": dense([5, -5], out_scale=2.0**17),
    "a rescaled sum of 64 bits wraps at 32": dense([0, 0]),
    "the largest bias": dense([MAX_BIAS, -MAX_BIAS], out_scale=2.0**31),
    "the largest factor": dense([3, -200], out_scale=1 / 127.9),
}


@pytest.mark.parametrize("name", sorted(ENDS))
def test_the_ends_of_sums_are_tflite_micros(name: str, tmp_path: Path) -> None:
    values = np.array([32767, -32768, 0], np.int16)[:, None, None].repeat(DEPTH, axis=2)
    golden = make_golden(ENDS[name], [values])
    manifest = compile_model(ENDS[name], golden, tmp_path, name="ends", settings={})
    host, reference = HostModel(tmp_path, manifest), Reference(parse_model(ENDS[name]))
    for case in range(len(golden)):
        expected = golden.case_outputs(case)[0].tolist()
        assert reference.run(golden.case_inputs(case))[0].tolist() == expected
        assert host.run(golden.case_inputs(case))[0].tolist() == expected


@pytest.mark.parametrize(
    ("name", "dtype", "rounding"),
    [
        ("ADD__INTEGER", "int32", "none"),
        ("SUB__INTEGER", "int32", "none"),
        ("DIV__INTEGER", "int32", "none"),
        ("EQUAL", "int32", "none"),
        ("EQUAL", "int8", "double"),
        ("QUANTIZE", "float32", "float"),
        ("ADD_FLOAT", "float32", "float"),
        ("MAXIMUM_FLOAT", "float32", "none"),
    ],
)
def test_the_manifest_names_the_rounding_of_each_kind_of_numbers(
    name: str, dtype: str, rounding: str, tmp_path: Path
) -> None:
    for seed in range(99):
        model = ALL[name](np.random.default_rng(seed))
        graph = parse_model(model)
        if graph.tensors[graph.operators[0].inputs[0]].dtype == dtype:
            break
    golden = make_golden(model, random_inputs(graph, 1, 0))
    manifest: Any = compile_model(model, golden, tmp_path, name="m", settings={})
    assert [op["rounding"] for op in manifest["operators"]] == [rounding]


def test_the_manifest_names_the_rounding(tmp_path: Path) -> None:
    for kind, rounding in (("int64", "wide"), ("int32", "double")):
        model = dense([1, 2], kind=kind, out_scale=4e4)
        golden = make_golden(model, [np.ones((1, 1, DEPTH), np.int16)])
        manifest: Any = compile_model(model, golden, tmp_path / kind, name="m", settings={})
        assert [op["rounding"] for op in manifest["operators"]] == [rounding]


@pytest.mark.parametrize("kernels", sorted(KERNEL_SETS))
@pytest.mark.parametrize("name", [key for key in GENERATORS if key.endswith("_INT16")])
def test_no_kernel_set_takes_an_int8_kernel_for_int16(name: str, kernels: str) -> None:
    graph = parse_model(GENERATORS[name](np.random.default_rng(2)))
    (step,) = lower(graph, compile_graph(graph), kernels)
    assert not any(call.function.endswith("_s8") for call in step.calls)


@given(st.integers(-(2**47) + 1, 2**47 - 1), st.integers(2**14, 2**15 - 1), st.integers(-31, 7))
def test_wide_factors_round_halves_up(x: int, multiplier: int, shift: int) -> None:
    exact = Fraction(x * multiplier) * Fraction(2) ** (shift - 15)
    expected = math.floor(exact + Fraction(1, 2))
    got = int(multiply_wide(np.array([x], np.int64), multiplier, shift)[0])
    assert got == (expected + 2**31) % 2**32 - 2**31


@given(st.integers(2**30, 2**31 - 1))
def test_narrow_multipliers_are_the_nearest_of_15_bits(multiplier: int) -> None:
    narrow = narrow_multiplier(Requant(multiplier=multiplier, shift=0)).multiplier
    assert 2**14 <= narrow < 2**15
    assert abs(narrow * 2**16 - multiplier) <= (2**15 if narrow < 2**15 - 1 else 2**16)


def test_fused_activations_of_int16() -> None:
    params = QuantParams(scale=(0.001,), zero_point=(0,))
    ranges = [activation_range(kind, params, "int16") for kind in range(4)]
    assert ranges == [(-32768, 32767), (0, 32767), (-1000, 1000), (0, 6000)]


# --- refusals -----------------------------------------------------------------------------------


def conv(
    name: str = "CONV_2D",
    *,
    ends: tuple[dict[str, Any], dict[str, Any]] = (Q16, Q16),
    weights: str = "int8",
    bias: str = "int64",
) -> bytes:
    """A 2x2 convolution of [1, 4, 4, 2]."""
    b = ModelBuilder()
    x, y = b.tensor([1, 4, 4, 2], **ends[0]), b.tensor([1, 4, 4, 2], **ends[1])
    shape = [1, 2, 2, 2] if name == "DEPTHWISE_CONV_2D" else [2, 2, 2, 2]
    ones = np.ones(shape, np.int8)
    data = packed_int4(ones) if weights == "int4" else ones.astype(weights)
    w = b.tensor(shape, dtype=weights, scale=[0.01], data=data)
    c = b.tensor([2], dtype=bias, scale=[0.001], data=np.zeros(2, bias))
    options: dict[str, Any] = {"strideH": 1, "strideW": 1}
    if name == "TRANSPOSE_CONV":
        size = b.tensor([4], dtype="int32", data=np.array([1, 4, 4, 2], np.int32))
        b.operator(name, [size, w, x, c], [y], "TransposeConvOptions", 3, **options)
    elif name == "CONV_2D":
        b.operator(name, [x, w, c], [y], "Conv2DOptions", 3, **options)
    else:
        b.operator(name, [x, w, c], [y], "DepthwiseConv2DOptions", 3, **options, depthMultiplier=1)
    return b.pack([x], [y])


def dense_int4(channels: int, data: Sequence[int], scales: int = 1) -> bytes:
    """An int8 FULLY_CONNECTED of 3 inputs with int4 weights from the given bytes."""
    b = ModelBuilder()
    x, y = b.tensor([1, 3], **Q8), b.tensor([1, channels], **Q8 | {"scale": [0.01]})
    stored = np.array(data, np.uint8)
    w = b.tensor([channels, 3], dtype="int4", scale=[0.1] * scales, data=stored)
    b.operator("FULLY_CONNECTED", [x, w, -1], [y], "FullyConnectedOptions", 4)
    return b.pack([x], [y])


def matmul(kinds: tuple[str, str], depth: int = 2) -> bytes:
    """[1, depth] times [depth, 1]."""
    b = ModelBuilder()
    quants = {"int8": Q8, "int16": Q16}
    x = b.tensor([1, depth], **quants[kinds[0]])
    m = b.tensor([depth, 1], **quants[kinds[1]])
    y = b.tensor([1, 1], **quants[kinds[0]])
    b.operator("BATCH_MATMUL", [x, m], [y], "BatchMatMulOptions", 2)
    return b.pack([x, m], [y])


def pool(name: str) -> bytes:
    """The window is the whole input of 256 x 257."""
    b = ModelBuilder()
    x, y = b.tensor([1, 256, 257, 1], **Q16), b.tensor([1, 1, 1, 1], **Q16)
    b.operator(name, [x], [y], "Pool2DOptions", 2, padding=1, strideH=1, strideW=1,
               filterHeight=256, filterWidth=257)  # fmt: skip
    return b.pack([x], [y])


def reduce_max() -> bytes:
    """Over the second axis of [2, 3]."""
    b = ModelBuilder()
    x, y = b.tensor([2, 3], **Q16), b.tensor([2], **Q16)
    a = b.tensor([1], dtype="int32", data=np.array([1], np.int32))
    b.operator("REDUCE_MAX", [x, a], [y], "ReducerOptions", 2, keepDims=False)
    return b.pack([x], [y])


REFUSED = {
    "int16 in, int8 out": (conv(ends=(Q16, Q8)), "output is int8, expected int16"),
    "zero point": (conv(ends=(Q16 | {"zero_point": [1]}, Q16)), "zero point is 0"),
    "int4 with int16": (conv(weights="int4"), "weights are int4; export constant int8"),
    "int16 weights": (conv(weights="int16"), "weights are int16; export constant int8"),
    "int4 of a transposed convolution": (
        conv("TRANSPOSE_CONV", ends=(Q8, Q8), weights="int4", bias="int32"), "weights are int4"),
    "short bias, depthwise": (conv("DEPTHWISE_CONV_2D", bias="int32"), "bias is int32; .* int64"),
    "short bias, transposed": (conv("TRANSPOSE_CONV", bias="int32"), "bias is int32; .* int64"),
    "long bias of int8": (conv(ends=(Q8, Q8)), "bias is int64; export a constant int32"),
    "too large a bias": (dense([MAX_BIAS + 1, 0]), "its bias reaches from 0 to"),
    "too small a bias": (dense([0, -MAX_BIAS - 1]), "its bias reaches from -"),
    "least of int64": (dense([0, -(2**63)]), "its bias reaches from -9223372036854775808"),
    "too large a factor": (dense([0, 0], out_scale=1 / 128), "expected below 128"),
    "int4 with several scales": (dense_int4(2, [0] * 3, scales=2), "int4 weights with 2 scales"),
    "too few bytes of int4": (dense_int4(3, [0] * 4), "4 bytes; .* of int4 needs 5"),
    "too many bytes of int4": (dense_int4(3, [0] * 6), "6 bytes; .* of int4 needs 5"),
    "a mixed product": (matmul(("int16", "int8")), "inputs are int16 and int8"),
    "a deep product": (matmul(("int16", "int16"), 1 << 17), "sums of 131072 products"),
    "a mean of many": (pool("AVERAGE_POOL_2D"), "the mean of 65792 int16 values"),
    "a maximum": (reduce_max(), "input 0 is int16, expected int8"),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_refused(name: str) -> None:
    model, words = REFUSED[name]
    with pytest.raises(ModelError, match=words):
        compile_graph(parse_model(model))


def test_a_maximum_of_many_is_fine() -> None:
    compile_graph(parse_model(pool("MAX_POOL_2D")))


def test_many_int4_values_are_refused_before_they_are_unpacked() -> None:
    b = ModelBuilder()
    x, y = b.tensor([1, 1024], **Q8), b.tensor([1, 4096], **Q8)
    data = np.zeros(1 << 21, np.uint8)
    w = [b.tensor([4096, 1024], dtype="int4", scale=[0.1], data=data) for _ in range(3)]
    b.operator("FULLY_CONNECTED", [x, w[0], -1], [y], "FullyConnectedOptions", 4)
    with pytest.raises(ModelError, match="more than 8388608 int4 values"):
        parse_model(b.pack([x], [y]))


# --- int4 ---------------------------------------------------------------------------------------


def test_int4_comes_two_to_a_byte_the_first_in_the_low_half() -> None:
    graph = parse_model(dense_int4(3, [0x10, 0x32, 0xF7, 0x98, 0x0A]))
    weights = graph.input(graph.operators[0], 1)
    assert weights.dtype == "int4"
    assert weights.data is not None
    assert weights.data.tolist() == [[0, 1, 2], [3, 7, -1], [-8, -7, -6]]


@given(st.lists(st.integers(-8, 7), min_size=3, max_size=60).filter(lambda v: len(v) % 3 == 0))
def test_int4_survives_packing(values: list[int]) -> None:
    model = dense_int4(len(values) // 3, packed_int4(np.array(values, np.int8)).tolist())
    graph = parse_model(model)
    data = graph.input(graph.operators[0], 1).data
    assert data is not None
    assert data.reshape(-1).tolist() == values
