"""Short requantisations that are proven equal the reference; what is not equal is not proven."""

from __future__ import annotations

import dataclasses
import time
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantize.proofs import (
    FIXED_SHIFT,
    MAX_SHIFT,
    PRE_SHIFTS,
    Form,
    ShortRequant,
    acc_bounds,
    prove_long,
    prove_short,
    prove_wide,
)
from quantize.scheme import (
    INT32_MAX,
    INT32_MIN,
    IntArray,
    Requant,
    multiply_by_quantized_multiplier,
    multiply_wide,
    narrow_multiplier,
    quantize_multiplier,
)

FORMS = get_args(Form)
RANDOM = 2_000_000  # accumulators of a typical channel


def _short(r: ShortRequant, acc: IntArray) -> IntArray:
    """The short form, with a check that nothing leaves 32 bits."""
    value = acc << r.pre_shift
    product = value * r.multiplier + (1 << 31 if r.form == "sign" else 0)
    summed = r.constant + (product >> 32)
    signed = summed + (acc >> 31 if r.form == "sign" else 0)
    for step in (value, summed, signed, np.array([r.multiplier, r.constant])):
        assert step.min() >= INT32_MIN and step.max() <= INT32_MAX, r
    result: IntArray = np.clip(signed >> r.shift, -128, 127)
    return result


def reference(r: Requant, acc: IntArray, zero: int, act: tuple[int, int]) -> IntArray:
    return np.clip(multiply_by_quantized_multiplier(acc, r.multiplier, r.shift) + zero, *act)


def prove_one(
    r: Requant, zero: int, act: tuple[int, int], low: int, high: int, form: Form
) -> ShortRequant | None:
    proven = prove_short(
        [r],
        output_offset=zero,
        act_min=act[0],
        act_max=act[1],
        low=np.array([low], np.int64),
        high=np.array([high], np.int64),
        form=form,
    )
    for short in proven or ():
        assert PRE_SHIFTS[form][0] <= short.pre_shift <= PRE_SHIFTS[form][1]
        assert (
            short.shift == FIXED_SHIFT
            if form.startswith("fixed")
            else 0 <= short.shift <= MAX_SHIFT
        )
    return proven[0] if proven else None


def _wrong(short: ShortRequant, r: Requant, acc: IntArray, zero: int, act: tuple[int, int]) -> int:
    return int((_short(short, acc) != reference(r, acc, zero, act)).sum())


def telling(r: Requant, zero: int, low: int, high: int, some: int = 1000) -> IntArray:
    """Accumulators around every step of the reference, around 0, and at both ends."""
    steps = (np.arange(-128, 128) - zero + 0.5) * 2.0**31 / max(r.multiplier, 1)
    near = np.round(steps * 2.0**-r.shift)[:, None] + np.arange(-4, 5)
    run = np.arange(some)
    acc = np.concatenate([near.reshape(-1), run - some // 2, low + run, high - run])
    result: IntArray = np.clip(acc, low, high).astype(np.int64)
    return result


@settings(max_examples=300)
@given(
    st.sampled_from(FORMS),
    st.floats(-34, 3),
    st.integers(-128, 127),
    st.sampled_from([(-128, 127), (-128, 100), (-100, 127), (5, 5), (20, -20)]),
    st.integers(-(2**24), 2**24),
    st.integers(0, 50_000),
    st.integers(0, 20),
)
def test_what_is_proven_is_equal(
    form: Form, log: float, zero: int, act: tuple[int, int], low: int, width: int, spread: int
) -> None:
    """Every accumulator of a small interval; the telling ones of a large one."""
    requant = quantize_multiplier(2.0**log)
    near = low >> spread
    for start, end in ((near, near + width), (-width << spread, width << spread)):
        short = prove_one(requant, zero, act, start, end, form)
        if short is not None:
            acc = np.arange(start, min(end, start + 60_000) + 1)
            acc = np.concatenate([acc, telling(requant, zero, start, end)])
            assert _wrong(short, requant, acc, zero, act) == 0, short


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("row", range(6))
def test_typical_layers_are_proven(form: Form, row: int) -> None:
    rng = np.random.default_rng(row)
    zero = int(rng.integers(-128, 128)) if form == "sign" else -128
    least = -8 if form == "fixed_8" else -12  # its shorter M may miss codes of large accumulators
    requants = [quantize_multiplier(2.0 ** rng.uniform(least, -6)) for _ in range(640)]
    high = rng.integers(1 << 10, 1 << (28 if form == "sign" else 22), 640)
    began = time.process_time()
    proven = prove_short(
        requants,
        output_offset=zero,
        act_min=-128,
        act_max=127,
        low=-high,
        high=high,
        form=form,
    )
    assert time.process_time() - began < 0.2
    assert proven is not None
    acc = rng.integers(-high[0], high[0] + 1, RANDOM)
    assert _wrong(proven[0], requants[0], acc, zero, (-128, 127)) == 0
    for requant, short, maximum in zip(requants[:40], proven[:40], high[:40], strict=True):
        acc = telling(requant, zero, -int(maximum), int(maximum))
        assert _wrong(short, requant, acc, zero, (-128, 127)) == 0


def test_a_neighbour_of_the_rounded_multiplier_may_be_the_exact_one() -> None:
    """A layer has one form, so one channel in a hundred without it would cost all of them."""
    rng = np.random.default_rng(0)
    beside = 0
    for _ in range(400):
        requant = quantize_multiplier(2.0 ** rng.uniform(-10, -8))
        short = prove_one(requant, -128, (-128, 127), -600_000, 600_000, "fixed_8")
        if short is not None and short.multiplier != _rounded(requant):
            beside += 1
            acc = np.concatenate([telling(requant, -128, -600_000, 600_000), [-600_000, 600_000]])
            assert _wrong(short, requant, acc, -128, (-128, 127)) == 0
    assert beside > 2


def _rounded(requant: Requant) -> int:
    """M of fixed_8 to the nearest."""
    bits = -requant.shift + 8 - 1 - FIXED_SHIFT
    return (requant.multiplier + (1 << bits >> 1)) >> bits


@pytest.mark.parametrize("form", FORMS)
def test_a_planted_wrong_number_differs(form: Form) -> None:
    """The comparison above sees a constant that is off by one accumulator, or one bit of M."""
    requant = quantize_multiplier(2.0**-9 * 1.3)
    short = prove_one(requant, -128, (-128, 127), -400_000, 400_000, form)
    assert short is not None
    acc = np.arange(-400_000, 400_001)
    step = 1 << (short.pre_shift - 1)
    wrong = [
        dataclasses.replace(short, constant=short.constant + step),
        dataclasses.replace(short, constant=short.constant - step),
        dataclasses.replace(short, multiplier=short.multiplier ^ (1 << 22)),
        dataclasses.replace(short, shift=short.shift + 1),
    ]
    for planted in wrong:
        assert _wrong(planted, requant, acc, -128, (-128, 127)) > 0, planted


def test_sign_needs_a_second_rounding() -> None:
    """Without a right shift the reference rounds once, and halves go up."""
    requant = quantize_multiplier(0.7)
    assert prove_one(requant, 0, (-128, 127), -100, 100, "sign") is None
    assert prove_one(requant, 0, (-128, 127), 0, 100, "sign") is not None
    assert prove_one(requant, 0, (-128, 127), -100, 100, "floor") is not None


@pytest.mark.parametrize("form", ["floor", "fixed", "fixed_8"])
def test_floor_needs_negative_results_out_of_reach(form: Form) -> None:
    requant = quantize_multiplier(2.0**-9)
    assert prove_one(requant, 0, (-128, 127), -20_000, 20_000, form) is None
    assert prove_one(requant, 0, (-128, 127), 0, 20_000, form) is not None
    assert prove_one(requant, 0, (0, 127), -20_000, 20_000, form) is None  # clamped at zero
    assert prove_one(requant, -128, (-128, 127), -20_000, 20_000, form) is not None


def test_fixed_shifts_before_as_much_as_its_shift_behind_lacks() -> None:
    for right in range(3, 12):
        requant = Requant(multiplier=1518500250, shift=-right)
        short = prove_one(requant, -128, (-128, 127), -20_000, 200_000, "fixed")
        maximum = PRE_SHIFTS["fixed"][1]
        wanted = FIXED_SHIFT + 1 - right
        assert short.pre_shift == wanted if short else wanted > maximum


@pytest.mark.parametrize("form", FORMS)
def test_a_clamp_that_saturation_does_not_do_must_be_out_of_reach(form: Form) -> None:
    requant = quantize_multiplier(2.0**-9)
    assert prove_one(requant, -128, (-128, 60), 0, 200_000, form) is None
    assert prove_one(requant, -128, (-128, 60), 0, 90_000, form) is not None
    assert prove_one(requant, -128, (-100, 127), 0, 90_000, form) is None
    assert prove_one(requant, -128, (-100, 127), 20_000, 90_000, form) is not None


@pytest.mark.parametrize("form", FORMS)
def test_32_bits_are_enough_or_nothing_is_proven(form: Form) -> None:
    requant = quantize_multiplier(2.0**-12)
    maximum = INT32_MAX >> PRE_SHIFTS[form][0]
    assert prove_one(requant, -128, (-128, 127), -maximum, maximum, form) is not None
    assert prove_one(requant, -128, (-128, 127), -maximum, maximum + 1, form) is None
    assert prove_one(requant, -128, (-128, 127), -maximum - 2, 0, form) is None
    assert prove_one(requant, -128, (-128, 127), -(2**40), 0, form) is None
    wide = Requant(multiplier=2**30, shift=20)  # the reference itself wraps
    assert prove_one(wide, 0, (-128, 127), -(2**12), 2**12, form) is None


@pytest.mark.parametrize("more", range(6))
def test_large_shifts_are_proven(more: int) -> None:
    """Beyond MAX_SHIFT a shorter multiplier still tells accumulators apart."""
    limit = INT32_MAX >> PRE_SHIFTS["floor"][0]
    shift = MAX_SHIFT + 1 - PRE_SHIFTS["floor"][0] + more
    requant = Requant(multiplier=1518500250, shift=-shift)
    short = prove_one(requant, -128, (-128, 127), -limit, limit, "floor")
    assert short is not None and short.shift == MAX_SHIFT
    acc = telling(requant, -128, -limit, limit)
    assert len(set(_short(short, acc).tolist())) > 1
    assert _wrong(short, requant, acc, -128, (-128, 127)) == 0


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shift", [-24, -31])
def test_dead_channels_are_proven(form: Form, shift: int) -> None:
    requant, limit = Requant(multiplier=1518500250, shift=shift), 1 << 22
    short = prove_one(requant, -128, (-128, 127), -limit, limit, form)
    assert short is not None
    acc = np.random.default_rng(0).integers(-limit, limit + 1, RANDOM)
    assert _wrong(short, requant, acc, -128, (-128, 127)) == 0


@pytest.mark.parametrize("form", FORMS)
def test_a_factor_of_zero_is_proven(form: Form) -> None:
    limit = INT32_MAX >> PRE_SHIFTS[form][1]
    short = prove_one(Requant(multiplier=0, shift=0), 7, (-128, 127), -limit, limit, form)
    assert short is not None
    assert set(_short(short, np.array([-limit, -1, 0, limit])).tolist()) == {7}


@pytest.mark.parametrize("padded", [False, True])
def test_accumulator_bounds_are_reached(padded: bool) -> None:
    rng = np.random.default_rng(1)
    for _ in range(50):
        weights = rng.integers(-128, 128, (3, 4)).astype(np.int8)
        bias = rng.integers(-(2**31), 2**31, 3).astype(np.int32)
        low = rng.integers(-128, 128, 4)
        high = np.minimum(low + rng.integers(0, 3, 4), 127)
        offset = int(rng.integers(-127, 129))
        inputs = np.stack(np.meshgrid(*(np.unique(p) for p in zip(low, high, strict=True))), -1)
        taps = inputs.reshape(-1, 4) + offset
        if padded:
            masks = np.stack(np.meshgrid(*[[0, 1]] * 4), -1).reshape(-1, 4)
            taps = (taps[:, None, :] * masks).reshape(-1, 4)
        sums = taps @ weights.astype(np.int64).T + bias
        found = acc_bounds(weights, bias, offset, low, high, padded=padded)
        assert np.array_equal(found, [sums.min(axis=0), sums.max(axis=0)])


@settings(max_examples=300)
@given(st.floats(-34, -2.01), st.integers(0, 2**32), st.sampled_from([0, 1, 15, 16, 20, 31]))
def test_the_wide_form_is_equal_for_every_sum_of_32_bits(
    log: float, seed: int, spread: int
) -> None:
    requant = narrow_multiplier(quantize_multiplier(2.0**log))
    ends = np.array([INT32_MIN]), np.array([INT32_MAX])
    proven = prove_wide([requant], *ends)
    assert proven is not None
    (wide,) = proven
    steps = (np.arange(-40000, 40000, 7) + 0.5) * 2.0 ** (15 - requant.shift)
    near = np.round(steps / max(requant.multiplier, 1))[:, None] + np.arange(-2, 3)
    drawn = np.random.default_rng(seed).integers(INT32_MIN, INT32_MAX + 1, 50_000) >> spread
    borders = [INT32_MIN, INT32_MIN + 1, -1, 0, 1, INT32_MAX - 1, INT32_MAX]
    acc = np.concatenate([np.clip(near, INT32_MIN, INT32_MAX).reshape(-1), drawn, borders])
    acc = acc.astype(np.int64)
    summed = (acc * wide.multiplier >> 16) + wide.constant
    assert summed.min() >= INT32_MIN and summed.max() <= INT32_MAX
    assert 0 <= wide.multiplier < 1 << 15 and 1 <= wide.shift <= 30
    assert np.array_equal(
        summed >> wide.shift, multiply_wide(acc, requant.multiplier, requant.shift)
    )


def test_the_wide_form_needs_sums_of_32_bits_and_small_factors() -> None:
    small, large = (narrow_multiplier(quantize_multiplier(f)) for f in (0.24, 0.26))
    zero = narrow_multiplier(quantize_multiplier(0.0))
    low, high = np.array([INT32_MIN, 0]), np.array([0, INT32_MAX])
    assert prove_wide([small, zero], low, high) is not None
    assert prove_wide([small, large], low, high) is None
    assert prove_wide([small, small], low - 1, high) is None
    assert prove_wide([small, small], low, high + 1) is None


@settings(max_examples=300)
@given(st.floats(-34, -1.01), st.integers(0, 2**32), st.integers(31, 46))
def test_the_long_form_is_equal_where_it_is_proven(log: float, seed: int, bits: int) -> None:
    requant = narrow_multiplier(quantize_multiplier(2.0**log))
    end = 1 << bits
    proven = prove_long([requant], np.array([-end]), np.array([end]))
    if proven is None:
        return
    (wide,) = proven
    steps = (np.arange(-40000, 40000, 99) + 0.5) * 2.0 ** (15 - requant.shift)
    near = np.round(steps / max(requant.multiplier, 1))[:, None] + np.arange(-2, 3)
    drawn = np.random.default_rng(seed).integers(-end, end + 1, 2000)
    acc = np.concatenate([np.clip(near, -end, end).reshape(-1), drawn, [-end, -1, 0, 1, end]])
    acc = acc.astype(np.int64)
    high = [(x * wide.multiplier >> 32) + wide.constant for x in acc.tolist()]
    assert min(high) >= INT32_MIN and max(high) <= INT32_MAX
    assert 0 <= wide.multiplier < 1 << 32 and 1 <= wide.shift <= 30
    expected = multiply_wide(acc, requant.multiplier, requant.shift)
    assert [x >> wide.shift for x in high] == expected.tolist()


def test_the_long_form_takes_what_the_wide_one_does_not() -> None:
    requants = [narrow_multiplier(quantize_multiplier(f)) for f in (0.001, 0.3, 0.0)]
    low, high = (
        np.array([-(1 << 38), -(1 << 30), -(1 << 34)]),
        np.array([1 << 38, 1 << 30, 1 << 34]),
    )
    assert prove_wide(requants, low, high) is None
    assert prove_long(requants, low, high) is not None
    assert prove_long([narrow_multiplier(quantize_multiplier(0.6))], low[:1], high[:1]) is None
    assert prove_long(requants[:1], low[:1], np.array([1 << 47])) is None
