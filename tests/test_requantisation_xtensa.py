"""The short requantisation of the xtensa kernels is proven, or not used."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantize.lowering.conv_xtensa import LARGEST_SUM, trio_stream
from quantize.lowering.split import (
    EXACT_LIMIT,
    LOW_BITS,
    MID_BITS,
    SHORT_LIMIT,
    Changes,
    SplitRequant,
    exact_requants,
    find_changes,
    short_requants,
)
from quantize.scheme import (
    INT32_MAX,
    INT32_MIN,
    IntArray,
    Requant,
    quantize_multiplier,
)
from tests.test_proofs import reference, telling

ACTS = [(-128, 127), (-128, 100), (-100, 127), (5, 5), (20, 90)]
FORMS = ["short", "exact", "exact sign"]


def _stage(requants: list[Requant], zero: int, act: tuple[int, int], **more: Any) -> Any:
    fields = {"output_offset": zero, "act_min": act[0], "act_max": act[1], "input_offset": 128}
    return SimpleNamespace(requants=tuple(requants), **fields, **more)


def _changes(r: Requant, zero: int, act: tuple[int, int], low: int, high: int) -> Changes | None:
    """Of a channel whose accumulators are from `low` to `high`, in steps of 255 or less."""
    taps, rest = divmod(high - low, 255)
    weights = np.array([[1] * taps + [0]], np.int64) if taps < 4096 else np.array([[taps, 0]])
    bias = np.array([low], np.int64)
    changes = find_changes(_stage([r], zero, act, bias=bias), weights)
    assert rest < 255
    return changes


def _kernel(form: str, r: SplitRequant, values: IntArray) -> IntArray:
    """What the kernels compute, with a check that nothing leaves 32 bits."""
    x = values if form == "short" else np.clip(values, r.minimum, r.maximum)
    low, mid, high = x * r.low, x * r.mid, x * r.high
    behind = mid + (low >> LOW_BITS)
    front = high + (behind >> MID_BITS)
    value = front + r.constant
    side = x if form == "short" else value
    added = value + (0 if r.signs is None else np.where(side < 0, r.signs[1], r.signs[0]))
    for step in (low, mid, high, behind, front, value, added, np.array(r.exact())):
        assert step.min() >= INT32_MIN and step.max() <= INT32_MAX, r
    result: IntArray = added >> r.shift
    return np.clip(result, -128, 127) if form == "short" else result


def _prove(form: str, r: Requant, changes: Changes | None) -> SplitRequant | None:
    if changes is None:
        return None
    if form == "short":
        rows = short_requants([r], changes, 1)
    else:
        rows = exact_requants([r], changes, by_sign=form.endswith("sign"))
    return rows[0] if rows else None


@settings(max_examples=200)
@given(
    st.sampled_from(FORMS),
    st.floats(-16, 3),
    st.integers(-128, 127),
    st.sampled_from(ACTS),
    st.integers(-(2**21), 2**21),
    st.integers(1, 2**14),
)
def test_what_is_proven_is_equal(
    form: str, log: float, zero: int, act: tuple[int, int], low: int, width: int
) -> None:
    requant, high = quantize_multiplier(2.0**log), low + 255 * width
    split = _prove(form, requant, _changes(requant, zero, act, low, high))
    if split is not None:
        some = low + np.arange(min(255 * width, 9999))
        acc = np.concatenate([telling(requant, zero, low, high, 500), some])
        assert np.array_equal(_kernel(form, split, acc), reference(requant, acc, zero, act))


@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("zero", [-128, -90, 0, 77])
def test_three_parts_are_always_enough(zero: int, act: tuple[int, int]) -> None:
    """Of a factor below 1, as long as the output changes within EXACT_LIMIT only."""
    rng = np.random.default_rng(zero + 128)
    for _ in range(60):
        requant = quantize_multiplier(2.0 ** rng.uniform(-11.9, -0.1))
        maximum = 255 * int(rng.integers(10, 1 << 13))
        changes = _changes(requant, zero, act, -maximum, maximum)
        assert changes is not None
        if max(-changes.minimum[0], changes.maximum[0]) <= EXACT_LIMIT:
            split = _prove("exact sign", requant, changes)
            assert split is not None, (requant, zero, maximum)
            acc = np.append(
                telling(requant, zero, -maximum, maximum, 500),
                rng.integers(-maximum, maximum, 5000),
            )
            assert np.array_equal(
                _kernel("exact sign", split, acc), reference(requant, acc, zero, act)
            )


@pytest.mark.parametrize("zero", [-128, 11])
def test_two_parts_are_enough_for_typical_channels(zero: int) -> None:
    rng, proven = np.random.default_rng(zero + 128), 0
    for _ in range(100):
        requant = quantize_multiplier(2.0 ** rng.uniform(-9, -5))
        maximum = 255 * int(rng.integers(500, 1 << 12))
        changes = _changes(requant, zero, (-128, 127), -maximum, maximum)
        assert changes is not None
        split = _prove("short", requant, changes)
        if split is not None:
            acc = rng.integers(-maximum, maximum, 20_000)
            expected = reference(requant, acc, zero, (-128, 127))
            assert np.array_equal(_kernel("short", split, acc), expected)
            proven += 1
    assert proven >= 95


@pytest.mark.parametrize("form", FORMS)
def test_a_planted_wrong_number_differs(form: str) -> None:
    """The comparison above sees every number that is off by one accumulator or so."""
    zero = -128 if form == "exact" else 11
    requant, acc = quantize_multiplier(2.0**-9 * 1.3), np.arange(-204_000, 204_001)
    split = _prove(form, requant, _changes(requant, zero, (-128, 127), -204_000, 204_000))
    assert split is not None
    expected = reference(requant, acc, zero, (-128, 127))
    assert np.array_equal(_kernel(form, split, acc), expected)
    step = 2 * (split.high + 1)
    wrong = [
        dataclasses.replace(split, constant=split.constant + step),
        dataclasses.replace(split, mid=split.mid + (1 << (MID_BITS - 5))),
        dataclasses.replace(split, high=split.high + 1),
    ]
    if form != "short":
        wrong += [
            dataclasses.replace(split, minimum=split.minimum + 1),
            dataclasses.replace(split, maximum=split.maximum - 1),
        ]
    if split.signs is not None:
        wrong += [
            dataclasses.replace(split, signs=(split.signs[0] - step, split.signs[1])),
            dataclasses.replace(split, signs=(split.signs[0], split.signs[1] + step)),
        ]
    for planted in wrong:
        assert not np.array_equal(_kernel(form, planted, acc), expected), planted


def test_signs_are_needed_where_results_have_both() -> None:
    """Halves go away from zero: above and below it the steps are not evenly apart."""
    requant = quantize_multiplier(2.0**-9)
    for zero, act, low, plain in [
        (-128, (-128, 127), -20_400, True),
        (0, (-128, 127), -20_400, False),
        (0, (0, 127), -20_400, True),
        (0, (-128, 127), 1, True),
    ]:
        changes = _changes(requant, zero, act, low, 20_400)
        assert (_prove("exact", requant, changes) is not None) == plain, (zero, low)
        assert _prove("exact sign", requant, changes) is not None
        assert (_prove("short", requant, changes) is not None) == (act[0] == -128)


def test_a_range_without_room_is_not_proven() -> None:
    requant, act = quantize_multiplier(2.0**-14), (-128, 127)
    maximum = 255 * 8200
    wide = _changes(requant, 0, act, -maximum, maximum)
    for form in FORMS:
        assert _prove(form, requant, wide) is None, form
    fits = 255 * 4100
    assert fits < SHORT_LIMIT < 255 * 8200
    assert _prove("short", requant, _changes(requant, 0, act, -fits, fits)) is not None
    narrow = _changes(requant, 0, (-128, 20), -fits, fits)  # saturation clamps at 127
    assert _prove("short", requant, narrow) is None
    assert _prove("exact sign", requant, narrow) is not None
    assert _changes(Requant(multiplier=2**30, shift=20), 0, act, -(2**12), 2**12) is None
    steep = quantize_multiplier(3.0)  # a step beyond the last code, which saturation would cut
    assert _prove("exact sign", steep, _changes(steep, 0, act, -1020, 1020)) is None


@pytest.mark.parametrize("shift", [-31, -24, 0])
def test_dead_channels_are_proven(shift: int) -> None:
    requant, act = Requant(multiplier=1518500250, shift=shift), (-128, 127)
    for low, maximum in [(0, 0), (-3, -3), (255, 255)]:
        changes = _changes(requant, 7, act, low, maximum)
        for form in ("short", "exact sign"):
            split = _prove(form, requant, changes)
            assert split is not None
            acc = np.array([low], np.int64)
            assert np.array_equal(_kernel(form, split, acc), reference(requant, acc, 7, act))


@pytest.mark.parametrize("depth", [1, 4, 63, 500])
@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_packed_sums_can_be_told_apart(depth: int, channels: int) -> None:
    """The extreme sums of every chunk stay within what nn_trio_s8 unpacks."""
    rng = np.random.default_rng(depth)
    weights = rng.choice([-128, 127], (channels, depth)).astype(np.int64)
    bias = np.zeros(channels, np.int32)
    p = _stage([quantize_multiplier(2.0**-12.5)] * channels, 0, (-128, 127), bias=bias)
    stream = trio_stream(p, weights)
    assert stream is not None
    inputs = 4 * stream.steps
    assert stream.chunks * inputs >= depth
    words = np.array([int(v) for v in stream.constant.values], np.int64)
    each = 1 if channels == 1 else 2  # words of an input
    chunks = words[: stream.chunks * (each * (1 + inputs) + 1)].reshape(stream.chunks, -1)
    assert set(chunks[:, -1] >= 0) == {stream.requantisation == "short"}
    for extreme in (0, 1):
        for chunk in chunks[:, :-1].reshape(stream.chunks, -1, each)[:, :, -1]:
            # channel A alone decides the lowest 21 bits of the last word of an input
            a = ((chunk[1:] & 0x1FFFFF) ^ 0x100000) - 0x100000
            total = int(chunk[0]) + int(np.where(a > 0, a, 0).sum() * 255 * extreme)
            total += int(np.where(a < 0, a, 0).sum() * 255 * (1 - extreme))
            low = ((total & 0x1FFFFF) ^ 0x100000) - 0x100000
            assert abs(low) <= LARGEST_SUM
