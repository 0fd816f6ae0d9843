"""A proof is made once for the same numbers, and again for any others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from quantize import known
from quantize.scheme import IntArray, Requant

CALLS: list[int] = []


@dataclass(frozen=True)
class _Ends:
    low: IntArray
    high: IntArray


@known.once_for_content
def _sum(ends: _Ends, requants: Sequence[Requant], *, first: int = 0) -> IntArray:
    CALLS.append(first)
    return ends.low + ends.high + first + len(requants)


def _ends(*values: int, dtype: type = np.int64) -> _Ends:
    return _Ends(low=np.array(values, dtype), high=np.array(values, dtype) + 1)


ONE, TWO = Requant(multiplier=1 << 30, shift=-3), Requant(multiplier=1 << 30, shift=-4)


@pytest.mark.parametrize(
    "ends, requants, first",
    [
        (_ends(1, 3), [ONE], 0),
        (_ends(1), [ONE], 0),
        (_ends(1, 2, dtype=np.int32), [ONE], 0),
        (_Ends(low=_ends(1, 2).high, high=_ends(1, 2).low), [ONE], 0),
        (_ends(1, 2), [TWO], 0),
        (_ends(1, 2), [ONE, ONE], 0),
        (_ends(1, 2), [ONE], 1),
    ],
)
def test_any_other_content_is_another_call(
    ends: _Ends, requants: list[Requant], first: int
) -> None:
    _sum(_ends(1, 2), [ONE], first=0)
    CALLS.clear()
    _sum(ends, requants, first=first)
    _sum(_ends(1, 2), (ONE,), first=0)
    assert [first] == CALLS


def test_what_was_returned_cannot_be_changed() -> None:
    result = _sum(_ends(7, 8), [ONE])
    with pytest.raises(ValueError, match="read-only"):
        result[0] = 0
    assert _sum(_ends(7, 8), [ONE]) is result


def test_what_was_not_asked_for_longest_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, "MOST", 2)
    sums = known.once_for_content(_sum.__wrapped__)  # type: ignore[attr-defined]
    CALLS.clear()
    for first in (1, 2, 1, 3, 1, 2):
        sums(_ends(1), [ONE], first=first)
    assert CALLS == [1, 2, 3, 2]


def test_arrays_that_are_kept_have_a_limit_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, "MOST_BYTES", 90)
    counted: list[int] = []

    @known.once_for_content
    def zeros(size: int) -> IntArray:
        counted.append(size)
        return np.zeros(size, np.int64)

    for size in (10, 2, 2, 10):  # the last one is made again, as 16 bytes more had no room
        zeros(size)
    assert counted == [10, 2, 10]
