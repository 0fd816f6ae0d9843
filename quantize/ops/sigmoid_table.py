"""sigmoid and tanh of 16-bit values by a table of 256 with linear interpolation.

Source: TFLite's sigmoid_table_uint16, which lies up to 1.2 steps above the curve, so that the
chords between its values come closer to it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from quantize.scheme import IntArray

UNIT = 3 << 12  # an argument of 1
_TOP = 255  # positions from here on give the largest value

# sigmoid(i / 24) in Q0.16: the first value, then the steps from each to the next
_STEPS = """
    683 682 680 680 676 674 670 667 661 657 651 645 638 632 624 616 608 599 591 581 572 562 552 542
    532 521 511 500 489 478 467 456 446 434 424 412 402 391 381 370 360 349 340 329 320 310 300 291
    283 273 264 256 248 240 231 224 216 209 202 195 188 182 175 169 162 158 151 146 140 136 130 126
    121 117 112 108 104 100 96 93 89 86 82 79 76 74 70 68 65 62 60 58 56 53 51 49 48 45 44 42 40 38
    38 35 34 33 32 30 29 28 27 26 24 24 23 22 20 21 19 18 18 17 17 15 15 15 14 13 13 12 12 11 11 11
    10 9 9 9 9 8 7 8 7 7 7 6 6 6 5 6 5 5 5 4 4 5 4 3 4 4 3 3 3 3 3 3 3 2 3 2 2 2 3 1 2 2 2 2 1 2 1 2
    1 1 2 1 1 1 1 1 1 1 1 1 1 0 1 1 1 0 1 1 0 1 0 1 0 1 0 1 0 0 1 0 1 0 0 1 0 0 0 1 0 0 0 1 0 0 0 0
    1 0 0 0 0 0 1 0 0 0 0 0 0 0 1 0 0 0 0 0 0 0 0 0 1
"""
TABLE: npt.NDArray[np.uint16] = np.cumsum([1 << 15, *map(int, _STEPS.split())]).astype(np.uint16)


def _interpolate(magnitude: IntArray, bits: int, top: int) -> IntArray:
    """Between two values of the table, times 2**bits; `top` beyond its end."""
    place = np.minimum(magnitude >> bits, _TOP - 1)
    low, high = TABLE[place].astype(np.int64), TABLE[place + 1].astype(np.int64)
    between = (low << bits) + (magnitude & ((1 << bits) - 1)) * (high - low)
    return np.where(magnitude >> bits >= _TOP, top, between)


def sigmoid(x: IntArray) -> IntArray:
    """Of x / UNIT, in Q0.15, for |x| below 2**31."""
    value = _interpolate(np.abs(x), 9, 0x7FFF << 10)
    return np.where(x < 0, (1 << 25) - value + 511, value + 512) >> 10


def tanh(x: IntArray) -> IntArray:
    """Of x / UNIT, in Q0.15, for |x| below 2**31: 2 * sigmoid(2x) - 1."""
    value = _interpolate(np.abs(x), 8, 0xFFFF << 8) - (1 << 23)
    return np.where(x < 0, 127 - value, value + 128) >> 8
