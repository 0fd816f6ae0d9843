"""The requantisation whose constant jumps with the sum's sign: what is proven is equal."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantize.lowering import lower
from quantize.lowering.jumps import LEVEL, JumpRequant, prove_jump
from quantize.proofs import Form
from quantize.reference import compile_graph
from quantize.scheme import INT32_MAX, INT32_MIN, IntArray, Requant, quantize_multiplier
from quantize.tflite.reader import parse_model
from tests.packed_rows import ROWS, rows_model
from tests.test_proofs import prove_one, reference, telling

SIGNED = (-128, 127)
WITHOUT_SIGN: tuple[Form, ...] = ("fixed", "fixed_8", "floor")


def _output(r: JumpRequant, acc: IntArray) -> IntArray:
    """The jump form, with a check that nothing leaves 32 bits."""
    v = (acc << 8) + r.offset
    masked = r.constant & ~((v & 0xFFFFFFFF) >> 24)
    summed = masked + (v * r.multiplier >> 32)
    for step in (v, summed, np.array([r.multiplier, r.constant, r.offset])):
        assert step.min() >= INT32_MIN and step.max() <= INT32_MAX, r
    result: IntArray = np.clip(summed >> 14, -128, 127)
    return result


def _prove(r: Requant, zero: int, act: tuple[int, int], low: int, high: int) -> JumpRequant | None:
    proven = prove_jump(
        [r],
        output_offset=zero,
        act_min=act[0],
        act_max=act[1],
        low=np.array([low], np.int64),
        high=np.array([high], np.int64),
    )
    return proven[0] if proven else None


def _wrong(r: JumpRequant, requant: Requant, acc: IntArray, zero: int, act: tuple[int, int]) -> int:
    return int(np.count_nonzero(_output(r, acc) != reference(requant, acc, zero, act)))


@settings(max_examples=300)
@given(
    st.floats(-15, -5),
    st.integers(-128, 127),
    st.sampled_from([SIGNED, SIGNED, (-128, 100), (-100, 127), (5, 5)]),
    st.integers(-(2**22), 2**22),
    st.integers(0, 50_000),
    st.integers(0, 7),
)
def test_what_is_proven_is_equal(
    log: float, zero: int, act: tuple[int, int], low: int, width: int, spread: int
) -> None:
    """Every accumulator of a small interval; the telling ones of a large one."""
    requant = quantize_multiplier(2.0**log)
    near = low >> spread
    for start, end in ((near, near + width), (-width << spread, width << spread)):
        jump = _prove(requant, zero, act, start, end)
        if jump is not None:
            acc = np.arange(start, min(end, start + 60_000) + 1)
            acc = np.concatenate([acc, telling(requant, zero, start, end)])
            assert _wrong(jump, requant, acc, zero, act) == 0, jump


@pytest.mark.parametrize("row", range(4))
def test_typical_channels_are_proven(row: int) -> None:
    """Sums of both signs, for which no form without a sign does; one in some hundred has none."""
    rng = np.random.default_rng(row)
    zero = int(rng.integers(-40, 40))
    missing = 0
    began = time.process_time()
    for _ in range(128):
        requant = quantize_multiplier(2.0 ** rng.uniform(-10, -7))
        high = int(rng.integers(1 << 18, 1 << 22))
        jump = _prove(requant, zero, SIGNED, -high, high)
        missing += jump is None
        if jump is not None:
            acc = telling(requant, zero, -high, high)
            assert _wrong(jump, requant, acc, zero, SIGNED) == 0
    assert time.process_time() - began < 1
    assert missing <= 1


def test_each_accumulator_of_a_channel_that_no_form_without_a_sign_fits() -> None:
    requant, high = quantize_multiplier(2.0**-8.3), 1 << 20
    acc = np.arange(-high, high + 1)
    for zero in (-30, 0, 4):
        jump = _prove(requant, zero, SIGNED, -high, high)
        assert jump is not None
        assert _wrong(jump, requant, acc, zero, SIGNED) == 0
        for form in WITHOUT_SIGN:
            assert prove_one(requant, zero, SIGNED, -high, high, form) is None


def test_another_multiplier_or_constant_may_be_the_exact_one() -> None:
    """A layer has one form, so one channel in ten without it would cost all of them."""
    rng = np.random.default_rng(0)
    beside = moved = 0
    for _ in range(300):
        requant = quantize_multiplier(2.0 ** rng.uniform(-10, -9))
        jump = _prove(requant, 3, SIGNED, -600_000, 600_000)
        assert jump is not None
        more = -requant.shift - 7
        nearest = (requant.multiplier + (1 << more >> 1)) >> more
        assert abs(jump.multiplier - nearest) < 200
        beside += jump.multiplier != nearest
        moved += jump.constant & -LEVEL != 7 << 13
        acc = np.concatenate([telling(requant, 3, -600_000, 600_000), [-600_000, 600_000]])
        assert _wrong(jump, requant, acc, 3, SIGNED) == 0
    assert beside > 2 and moved > 20


def test_a_planted_wrong_number_differs() -> None:
    """The comparison sees an offset that is off by one accumulator, another J, one bit of M."""
    requant = quantize_multiplier(2.0**-9 * 1.3)
    jump = _prove(requant, 4, SIGNED, -400_000, 400_000)
    assert jump is not None
    acc = np.arange(-400_000, 400_001)
    for planted in (
        dataclasses.replace(jump, offset=jump.offset + 256),
        dataclasses.replace(jump, offset=jump.offset - 256),
        dataclasses.replace(jump, constant=jump.constant & -LEVEL),
        dataclasses.replace(jump, multiplier=jump.multiplier ^ (1 << 18)),
    ):
        assert _wrong(planted, requant, acc, 4, SIGNED) > 0, planted


def test_factors_beyond_the_masked_bits_have_none() -> None:
    for right in range(20):
        requant = Requant(multiplier=1518500250, shift=-right)
        limit = 200 << right
        assert (_prove(requant, 0, SIGNED, -limit, limit) is not None) == (7 <= right <= 11)


def test_a_jump_that_comes_and_goes_must_be_out_of_reach() -> None:
    """From J * 2**24 on the masked bit is the sum's, not its sign's."""
    requant = quantize_multiplier(2.0**-11.5)
    limit = 1 << (24 + 14 - 11 - 8)
    assert _prove(requant, 0, SIGNED, -limit, limit - 1) is not None
    assert _prove(requant, 0, SIGNED, -8 * limit, 8 * limit) is not None  # saturated there
    assert _prove(requant, -128, SIGNED, -limit, 2 * limit) is None
    assert _prove(requant, 127, SIGNED, -2 * limit, limit) is None


def test_a_clamp_that_saturation_does_not_do_must_be_out_of_reach() -> None:
    requant = quantize_multiplier(2.0**-9)
    assert _prove(requant, 0, (-128, 60), -90_000, 90_000) is None
    assert _prove(requant, 0, (-128, 60), -90_000, 30_000) is not None
    assert _prove(requant, 0, (-60, 127), -90_000, 90_000) is None
    assert _prove(requant, 0, (-60, 127), -30_000, 90_000) is not None


def test_dead_channels_and_factors_of_zero_are_proven() -> None:
    for requant in (Requant(multiplier=0, shift=0), Requant(multiplier=1518500250, shift=-31)):
        jump = _prove(requant, 7, SIGNED, -(1 << 22), 1 << 22)
        assert jump is not None
        assert set(_output(jump, np.array([-(1 << 22), -1, 0, 1 << 22])).tolist()) == {7}


def test_32_bits_are_enough_or_nothing_is_proven() -> None:
    requant, limit = quantize_multiplier(2.0**-9), INT32_MAX >> 8
    assert _prove(requant, 0, SIGNED, -limit, limit) is not None
    assert _prove(requant, 0, SIGNED, -(limit + 2), limit) is None
    assert _prove(requant, 0, SIGNED, -limit, limit + 2) is None


def test_only_groups_of_four_pixels_take_it() -> None:
    graph = parse_model(rows_model([ROWS["CONV_2D"], ROWS["CONV_2D_PAIRS"]] * 12, 1))
    steps = lower(graph, compile_graph(graph), "armv7em")
    jumps = [s for s in steps if s.requantisation == "jump"]
    assert len(jumps) >= 4
    left: set[str] = set()
    for step in jumps:
        assert step.calls[0].params["quad.form"] == "NN_JUMP"
        if step.step.params.output_shape[1] * step.step.params.output_shape[2] % 4:
            left.add(step.calls[0].function)
    assert left == {"nn_conv_2d_fours_s8"}  # which has no others
