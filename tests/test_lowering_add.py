"""The armv7em kernels of element-wise operators equal TFLite Micro; their forms are proven."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.files import write_bytes
from quantize.golden import Golden, make_golden, random_inputs, save_golden
from quantize.linear import FRACTION, SHIFT, LinearForm, prove_linear
from quantize.lowering import LoweredStep, lower
from quantize.manifest import compile_model
from quantize.ops.add import ADD, AddParams
from quantize.reference import compile_graph
from quantize.scheme import INT32_MAX, INT32_MIN, IntArray, quantize_multiplier
from quantize.tflite.reader import parse_model
from tests import steps as command
from tests.factory import ModelBuilder
from tests.host_c import HostModel
from tests.sweeps import sweep

CODES = np.arange(-128, 128, dtype=np.int64)
CASES = 6
# operands that the fast kernel walks: whole tensors, and rows of which an operand has one
WALKED = (
    *(([n], [n]) for n in (1, 2, 3, 4, 5, 8, 15, 17, 256)),
    ([2, 3, 4, 5], [2, 3, 4, 5]),
    ([3, 5], [5]),
    ([1, 7], [4, 7]),
    ([2, 2, 3, 8], [1, 1, 3, 8]),
)
# rows with one element for each, or one for all
SCALARS = (
    ([3, 5], [3, 1]),
    ([7, 1], [7, 16]),
    ([2, 3, 4], [2, 1, 1]),
    ([4, 1], [13]),
    ([1], [2, 9]),
    ([1, 1, 2], [1, 4, 1]),
)
# and what is left to the reference kernel
OTHERS = (([4, 1, 6], [1, 3, 6]), ([2, 1, 4, 1], [2, 3, 1, 5]))


def _params(
    scales: Sequence[float], zeros: Sequence[int], act: tuple[int, int] = (-128, 127)
) -> AddParams:
    """Of an ADD with these scales and zero points of a, b and the output."""
    twice = 2.0 * max(scales[:2])
    return AddParams(
        dtype="int8",
        shapes=((256, 1), (1, 256)),
        output_shape=(256, 256),
        offsets=(-zeros[0], -zeros[1]),
        output_offset=zeros[2],
        act_min=act[0],
        act_max=act[1],
        left_shift=20,
        requants=(quantize_multiplier(scales[0] / twice), quantize_multiplier(scales[1] / twice)),
        output_requant=quantize_multiplier(twice / (scales[2] * (1 << 20))),
    )


def _outputs(p: AddParams) -> npt.NDArray[np.int8]:
    pairs = [np.repeat(CODES, 256).astype(np.int8), np.tile(CODES, 256).astype(np.int8)]
    result: npt.NDArray[np.int8] = np.asarray(ADD.reference(p, pairs)).reshape(256, 256)
    return result


def _form(form: LinearForm) -> IntArray:
    """What the kernel computes, with a check that nothing leaves 32 bits."""
    a, b = ((CODES * factor) >> FRACTION for factor in (form.a_factor, form.b_factor))
    sums: IntArray = a[:, None] + b[None, :] + form.constant
    for numbers in (sums, np.array(dataclasses.astuple(form))):
        assert numbers.min() >= INT32_MIN and numbers.max() <= INT32_MAX, form
    return np.clip(sums >> SHIFT, -128, 127)


def _prove(p: AddParams, scales: Sequence[float]) -> LinearForm | None:
    return prove_linear(_outputs(p), scales[0] / scales[2], scales[1] / scales[2])


@pytest.mark.parametrize("seed", sweep(range(3), [0]))
def test_typical_parameters_are_proven(seed: int) -> None:
    """Scales of both inputs within a factor of 8 of the output's."""
    rng = np.random.default_rng(seed)
    proven = 0
    for _ in range(200):
        output = float(np.exp(rng.uniform(-6, 0)))
        scales = [output * 2.0 ** rng.uniform(-3, 3), output * 2.0 ** rng.uniform(-3, 3), output]
        zeros = [int(z) for z in rng.integers(-128, 128, 3)]
        p = _params(scales, [*zeros[:2], -128 if rng.random() < 0.5 else zeros[2]])
        form = _prove(p, scales)
        if form is not None:
            assert np.array_equal(_form(form), _outputs(p)), (scales, zeros)
            proven += 1
    assert proven >= 190


@settings(max_examples=60)
@given(
    st.lists(st.floats(-6, 6), min_size=2, max_size=2),
    st.lists(st.integers(-128, 127), min_size=3, max_size=3),
    st.sampled_from([(-128, 127), (-128, 100), (-100, 127), (5, 5), (127, 127), (20, -20)]),
)
def test_what_is_proven_is_equal(logs: list[float], zeros: list[int], act: tuple[int, int]) -> None:
    scales = [2.0 ** logs[0], 2.0 ** logs[1], 1.0]
    p = _params(scales, zeros, act)
    form = _prove(p, scales)
    if form is not None:
        assert np.array_equal(_form(form), _outputs(p)), form


@pytest.mark.parametrize("field", ["a_factor", "b_factor", "constant"])
def test_a_planted_wrong_number_differs(field: str) -> None:
    """The comparison above sees a factor that is off by 2**-12 of an output code."""
    scales = (0.0517, 0.04313, 0.07159)
    p = _params(scales, (3, -20, 11))
    form = _prove(p, scales)
    assert form is not None
    shift = SHIFT + (0 if field == "constant" else FRACTION) - 12
    wrong = dataclasses.replace(form, **{field: getattr(form, field) + (1 << shift)})
    assert not np.array_equal(_form(wrong), _outputs(p))


def test_factors_move_where_the_ratios_alone_fail() -> None:
    scales = (0.2974172532558441, 0.04488546401262283, 0.0449049174785614)
    p = _params(scales, (-116, -20, 114))
    form = _prove(p, scales)
    assert form is not None and form.b_factor != round(scales[1] / scales[2] * 2**28)
    assert np.array_equal(_form(form), _outputs(p))


def test_ties_of_negative_sums_are_not_linear() -> None:
    """Halves go away from zero, so two thresholds around zero lie closer than all others."""
    scales = (0.5, 0.5, 1.0)
    assert _prove(_params(scales, (0, 0, 0)), scales) is None
    assert _prove(_params(scales, (0, 0, -128)), scales) is not None


def test_a_clamp_that_saturation_does_not_do_must_be_out_of_reach() -> None:
    scales = (0.05, 0.043, 0.071)
    assert _prove(_params(scales, (3, -20, 11), (-128, 100)), scales) is None
    assert _prove(_params(scales, (-128, -128, -128), (-120, 127)), scales) is None
    assert _prove(_params(scales, (0, 0, 100), (-68, 127)), scales) is not None
    assert _prove(_params(scales, (0, 0, 100), (-67, 127)), scales) is None


def test_sums_beyond_32_bits_are_not_proven() -> None:
    scales = (7.3137, 7.1731, 1.0)
    assert _prove(_params(scales, (0, 0, -128)), scales) is not None
    assert _prove(_params(scales, (100, 100, -128)), scales) is None
    scales = (8.1, 0.1, 1.0)
    assert _prove(_params(scales, (0, 0, 0)), scales) is None


def _quant(rng: np.random.Generator, scale: float, dtype: str = "int8") -> dict[str, Any]:
    zero = -128 if rng.random() < 0.3 else int(rng.integers(-128, 128))
    factor = scale * 2.0 ** rng.uniform(-1.5, 1.5)
    return {"dtype": dtype, "scale": [factor], "zero_point": [zero if dtype == "int8" else 0]}


def _options(name: str) -> str:
    return f"{name.capitalize()}Options" if name in ("ADD", "SUB", "MUL") else ""


def binary(
    name: str,
    rng: np.random.Generator,
    sides: Sequence[tuple[list[int], list[int]]],
    *,
    constant: int | None = None,
    dtype: str = "int8",
) -> bytes:
    """A model with an operator for each pair of shapes; operand `constant` is one."""
    b, inputs, outputs = ModelBuilder(), [], []
    target = {"MUL": 1.0, "SQUARED_DIFFERENCE": 0.3}.get(name, 0.2)
    for shapes in sides:
        quants = [_quant(rng, scale, dtype) for scale in (0.1, 0.1, target)]
        if name in ("MAXIMUM", "MINIMUM"):
            quants = quants[:1] * 3
        elif name == "MUL" and rng.random() < 0.5:  # products that are halves of an output code
            quants = [q | {"scale": [s]} for q, s in zip(quants, (1 / 8, 1 / 16, 1), strict=True)]
        operands = []
        for side, shape in enumerate(shapes):
            data = rng.integers(-128, 128, shape).astype(dtype) if side == constant else None
            operands.append(b.tensor(shape, **quants[side], data=data))
        z = b.tensor(np.broadcast_shapes(*shapes), **quants[2])
        b.operator(name, operands, [z], _options(name), 1 if dtype == "int8" else 2)
        inputs += [i for i in operands if not b.tensors[i].buffer]
        outputs.append(z)
    return b.pack(inputs, outputs)


def rescales(rng: np.random.Generator, counts: Sequence[int]) -> bytes:
    """A model with a QUANTIZE from int8 to int8 of each length."""
    b = ModelBuilder()
    inputs = [b.tensor([n], **_quant(rng, 0.1)) for n in counts]
    outputs = [b.tensor([n], **_quant(rng, 0.1)) for n in counts]
    for x, y in zip(inputs, outputs, strict=True):
        b.operator("QUANTIZE", [x], [y], "QuantizeOptions", 2)
    return b.pack(inputs, outputs)


SQUARE = "nn_squared_difference_s8"


def _golden(model: bytes, seed: int) -> Golden:
    return make_golden(model, random_inputs(parse_model(model), CASES, seed))


def _lowered(model: bytes) -> list[LoweredStep]:
    graph = parse_model(model)
    return list(lower(graph, compile_graph(graph), "armv7em"))


def _kernels(model: bytes) -> list[str]:
    return [call.function for step in _lowered(model) for call in step.calls]


def _compare_host_c(model: bytes, folder: Path) -> None:
    golden = _golden(model, 0)
    host = HostModel(
        folder, compile_model(model, golden, folder, name="m", settings={}, kernels="armv7em")
    )
    for case in range(CASES):
        got = host.run(golden.case_inputs(case))
        for k, (a, b) in enumerate(zip(got, golden.case_outputs(case), strict=True)):
            assert np.array_equal(a, b), (case, k)


KERNELS = {
    "ADD": ("nn_linear_s8", "nn_linear_scalar_s8", "nn_add_s8"),
    "SUB": ("nn_linear_s8", "nn_linear_scalar_s8", "nn_add_s8"),
    "MUL": ("nn_product_s8", "nn_product_scalar_s8", "nn_mul_s8"),
    "SQUARED_DIFFERENCE": (SQUARE, "nn_squares_scalar_s8", SQUARE),
}


@pytest.mark.parametrize("constant", [None, 0, 1])
@pytest.mark.parametrize("name", KERNELS)
def test_host_c_equals_tflite_micro(name: str, constant: int | None, tmp_path: Path) -> None:
    sides = WALKED + SCALARS + OTHERS
    model = binary(name, np.random.default_rng(1), sides, constant=constant)
    fast, scalar, slow = KERNELS[name]
    expected = [fast] * len(WALKED) + [scalar] * len(SCALARS) + [slow] * len(OTHERS)
    for kernel, wanted, shapes in zip(_kernels(model), expected, sides, strict=True):
        single = wanted in (scalar, SQUARE) and constant is not None and shapes[constant] == [1]
        assert kernel == ("nn_lut_s8" if single else wanted)
    _compare_host_c(model, tmp_path)


@pytest.mark.parametrize(
    ("name", "constant"),
    [
        *((name, side) for name in KERNELS for side in (0, 1)),
        *(("MAXIMUM", 0), ("MINIMUM", 1), ("PRELU", 1), ("SQUARED_DIFFERENCE", 0)),
    ],
)
def test_a_constant_of_one_value_makes_a_table(name: str, constant: int, tmp_path: Path) -> None:
    full, one = [2, 3, 4], [1, 1]
    sides = [(one, full) if constant == 0 else (full, one)] * 3
    model = binary(name, np.random.default_rng(3), sides, constant=constant)
    assert _kernels(model) == ["nn_lut_s8"] * 3
    assert [step.in_place for step in _lowered(model)] == [(1 - constant,)] * 3
    _compare_host_c(model, tmp_path)


def test_rescaling_is_a_weighted_sum(tmp_path: Path) -> None:
    model = rescales(np.random.default_rng(5), [1, 6, 7, 20])
    assert _kernels(model) == ["nn_linear_s8"] * 4
    assert [step.in_place for step in _lowered(model)] == [(0,)] * 4
    _compare_host_c(model, tmp_path)


@pytest.mark.parametrize("name", KERNELS)
def test_int16_that_repeats_is_left_to_the_reference_kernels(name: str) -> None:
    """Operands of one shape are not; tests/test_lowering_int16.py compares these."""
    sides = [shapes for shapes in (*WALKED, *OTHERS) if shapes[0] != shapes[1]]
    model = binary(name, np.random.default_rng(6), sides, dtype="int16")
    assert set(_kernels(model)) == {KERNELS[name][-1].replace("s8", "s16")}


@pytest.mark.parametrize("name", KERNELS)
def test_the_output_lies_on_an_operand(name: str) -> None:
    model = binary(name, np.random.default_rng(1), [([64], [64]), ([3, 5], [5])])
    assert [step.in_place for step in _lowered(model)] == [(0, 1), (0,)]


@pytest.mark.parametrize("name", ["ADD", "MUL", "SQUARED_DIFFERENCE"])
def test_assembly_equals_tflite_micro(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same on the emulated Cortex-M4, where the kernels are machine code."""
    monkeypatch.setattr(command, "BUILD", tmp_path)
    model = binary(name, np.random.default_rng(1), WALKED + SCALARS)
    assert set(_kernels(model)) == {*KERNELS[name][:2]}
    golden, out_dir = _golden(model, 1), tmp_path / "pairs"
    write_bytes(out_dir / "model.tflite", model)
    save_golden(out_dir / "golden.npz", golden)
    gen = out_dir / "gen" / "armv7em"
    compile_model(model, golden, gen, name="pairs", settings={}, kernels="armv7em")
    assert command.main(["build", "pairs", "qemu_m4"]) == 0
    assert command.main(["parity", "pairs", "qemu_m4"]) == 0
    report = json.loads((out_dir / "qemu_m4" / "parity.json").read_text())
    assert report["equal"] == report["cases"] == CASES
