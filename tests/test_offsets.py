"""The requantisation whose first value alone makes it exact: what is proven is equal."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantize.lowering import lower
from quantize.lowering.depthwise_cortex_m import GROUP_KERNELS, lower_depthwise
from quantize.lowering.offsets import FACTOR_LIMIT, SHIFT, OffsetRequant, prove_offset
from quantize.reference import compile_graph
from quantize.scheme import INT32_MAX, INT32_MIN, IntArray, Requant, quantize_multiplier
from quantize.tflite.reader import parse_model
from tests.packed_rows import ROWS, rows_model
from tests.test_proofs import prove_one, reference, telling

FULL = (-128, 127)


def _output(r: OffsetRequant, acc: IntArray, added: int) -> IntArray:
    """The form, with a check that nothing leaves 32 bits."""
    v = r.offset + (0 * acc if r.steady else acc << r.pre_shift)
    summed = (added << SHIFT) + (v * r.multiplier >> 32)
    assert 0 < r.multiplier < FACTOR_LIMIT and 9 <= r.pre_shift <= 12
    for step in (v, summed):
        assert step.min() >= INT32_MIN and step.max() <= INT32_MAX, r
    result: IntArray = np.clip(summed >> SHIFT, -128, 127)
    return result


def _prove(
    r: Requant, zero: int, act: tuple[int, int], low: int, high: int, added: int | None = None
) -> OffsetRequant | None:
    proven = prove_offset(
        [r],
        output_offset=zero,
        act_min=act[0],
        act_max=act[1],
        low=np.array([low], np.int64),
        high=np.array([high], np.int64),
        added=zero if added is None else added,
    )
    return proven[0] if proven else None


def _wrong(
    r: OffsetRequant,
    requant: Requant,
    acc: IntArray,
    zero: int,
    act: tuple[int, int],
    added: int | None = None,
) -> int:
    got = _output(r, acc, zero if added is None else added)
    return int(np.count_nonzero(got != reference(requant, acc, zero, act)))


@settings(max_examples=300)
@given(
    st.floats(-18, 1),
    st.integers(-128, 127),
    st.sampled_from([FULL, FULL, (-128, 100), (-100, 127), (5, 5)]),
    st.integers(-(2**21), 2**21),
    st.integers(0, 50_000),
    st.integers(0, 7),
    st.booleans(),
)
def test_what_is_proven_is_equal(  # test_typical_channels_are_proven says how many are
    log: float, zero: int, act: tuple[int, int], low: int, width: int, spread: int, own: bool
) -> None:
    """Every accumulator of a small interval; the telling ones of a large one."""
    requant = quantize_multiplier(2.0**log)
    near, added = low >> spread, zero if own else 0
    for start, end in ((near, near + width), (-width << spread, width << spread)):
        proven = _prove(requant, zero, act, start, end, added)
        if proven is not None:
            acc = np.arange(start, min(end, start + 60_000) + 1)
            acc = np.concatenate([acc, telling(requant, zero, start, end)])
            assert _wrong(proven, requant, acc, zero, act, added) == 0, proven


@pytest.mark.parametrize("row", range(4))
def test_typical_channels_are_proven(row: int) -> None:
    """Behind a ReLU; a layer has one form, so that each channel counts."""
    rng = np.random.default_rng(row)
    began = time.process_time()
    for _ in range(128):
        requant = quantize_multiplier(2.0 ** rng.uniform(-10, -2))
        high = int(rng.integers(1 << 16, 1 << 19))
        acc = telling(requant, -128, -high, high)
        for added in (-128, 0):
            proven = _prove(requant, -128, FULL, -high, high, added)
            assert proven is not None and not proven.steady
            assert _wrong(proven, requant, acc, -128, FULL, added) == 0
    assert time.process_time() - began < 1


@pytest.mark.parametrize(("log", "forms"), [(-3.5, ("fixed", "fixed_8")), (-14.2, ("fixed",))])
def test_factors_for_which_no_constant_beside_the_product_does(
    log: float, forms: tuple[str, ...]
) -> None:
    """A factor above 1/32 wants a larger p, one below 2**-13 less than a unit of the product."""
    requant, low, high = quantize_multiplier(2.0**log), -100_000, 400_000
    proven = _prove(requant, -128, FULL, low, high)
    assert proven is not None
    acc = np.arange(low, high + 1)
    assert _wrong(proven, requant, acc, -128, FULL) == 0
    assert prove_one(requant, -128, FULL, low, high, "fixed") is None
    assert "fixed_8" not in forms or prove_one(requant, -128, FULL, low, high, "fixed_8") is None


def test_halves_that_go_away_from_zero_on_both_sides_are_not_proven() -> None:
    requant = quantize_multiplier(2.0**-8)
    assert _prove(requant, 0, FULL, -30_000, 30_000) is None
    assert _prove(requant, 0, FULL, 0, 30_000) is not None


@pytest.mark.parametrize(("act", "low", "code"), [((7, 7), -9, 7), (FULL, 1 << 28, 127)])
def test_one_output_for_all_sums(act: tuple[int, int], low: int, code: int) -> None:
    """However large they are."""
    requant = quantize_multiplier(2.0**-9)
    proven = _prove(requant, 3, act, low, low + 100)
    assert proven is not None and proven.steady
    assert _output(proven, np.array([low, low + 100]), 3).tolist() == [code, code]


def test_each_form_has_its_kernel() -> None:
    """The ones that sums of both signs want, and those that they do not."""
    groups = set()
    for seed in range(3):
        graph = parse_model(rows_model([ROWS["DEPTHWISE_CONV_2D"]] * 60, seed))
        for step in lower(graph, compile_graph(graph), "armv7em"):
            if "group" in step.calls[0].params:
                stride = step.step.params.window.stride[0]
                group = step.calls[0].params["group"]
                assert group == GROUP_KERNELS[step.requantisation, stride]  # type: ignore[index]
                groups.add(group)
    assert groups == set(GROUP_KERNELS.values())


@pytest.mark.parametrize("bias", [1 << 20, -(1 << 20), 3, 1 << 26])
def test_a_channel_of_zeros_keeps_its_layer_in_the_form_with_a_sign(bias: int) -> None:
    """The proof takes a factor of 0 and a constant for its output, which the kernel does not have:
    a sum that gives that output stands for both."""
    graph = parse_model(rows_model([ROWS["DEPTHWISE_CONV_2D"]] * 60, 0))
    seen = 0
    for step in compile_graph(graph):
        lowered = lower_depthwise(graph, step, 1 << 20)
        if lowered is None or not lowered.calls[0].params.get("group", "").endswith("sign_s8"):
            continue
        p = step.params
        weights, biases = p.weights.copy(), p.bias.copy()
        weights[..., 0], biases[0] = 0, bias
        dead = replace(p, weights=weights, bias=biases)
        other = lower_depthwise(graph, replace(step, params=dead), 0)
        assert other is not None and other.calls[0].params["group"].endswith("sign_s8")
        words = np.array(other.calls[0].constants[0].values, np.int64)
        assert not words.astype("<i4")[8:].tobytes()[:9].strip(b"\0")  # its weights
        value, shift = int(words[0]) >> 10, int(words[0]) & 0xFF
        constant = ((2 * p.output_offset + 1) << shift) >> 1
        rounded = ((2 * value * int(words[1]) + (1 << 31)) >> 32) + (value >> 31)
        (wanted,) = reference(
            p.requants[0], np.array([bias]), p.output_offset, (p.act_min, p.act_max)
        ).tolist()
        assert min(max((rounded + constant) >> shift, -128), 127) == wanted
        seen += 1
    assert seen > 2
