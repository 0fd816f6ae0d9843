"""Tables of functions with lines between their entries, as TFLite Micro computes them for int16."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from quantize.scheme import IntArray

UNIT = 12288  # 1 / UNIT is the unit of the arguments of logistic_q15 and tanh_q15
STEPS = 512  # of a table over all int16 values: 128 values to a step
FloatFunction = Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]


def sigmoid_table() -> npt.NDArray[np.uint16]:
    """1 / (1 + exp(-k / 24)) in Q0.16 for k of 0 to 255.

    Each entry is raised by half of what the line to the next one lacks at its middle, and rounded
    to nearest; the last is 1.
    """
    exact = 65536 / (1 + np.exp(-np.arange(513) / 48))  # of each half step
    starts, middles, ends = exact[:-1:2], exact[1::2], exact[2::2]
    table = np.floor(starts + (middles - (starts + ends) / 2) / 2 + 0.5)
    table[-1] = 65535
    return table.astype(np.uint16)


def _line(table: npt.NDArray[np.uint16], x: IntArray, bits: int, beyond: int) -> IntArray:
    """The table at |x| / 2**bits in Q0.(16 + bits), `beyond` behind its end."""
    wide, size = table.astype(np.int64), np.abs(x)
    index = np.minimum(size >> bits, len(table) - 2)
    inside = (wide[index] << bits) + (size & ((1 << bits) - 1)) * (wide[index + 1] - wide[index])
    return np.where(size >> bits > len(table) - 2, beyond, inside)


def logistic_q15(table: npt.NDArray[np.uint16], x: IntArray) -> IntArray:
    """1 / (1 + exp(-x / UNIT)) in Q0.15 with the table of sigmoid_table."""
    q25 = _line(table, x, 9, 0x7FFF << 10)
    return np.where(x >= 0, q25 + 512, (1 << 25) - q25 + 511) >> 10


def tanh_q15(table: npt.NDArray[np.uint16], x: IntArray) -> IntArray:
    """The hyperbolic tangent of x / UNIT in Q0.15 with the table of sigmoid_table."""
    q24 = _line(table, x, 8, 0xFFFF << 8) - (1 << 23)
    return np.where(x >= 0, q24 + 128, 127 - q24) >> 8


def _rounded(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """To an integer, half away from zero, in single precision."""
    wide = x.astype(np.float64)
    return np.trunc(wide + np.copysign(0.5, wide)).astype(np.float32)


def line_table(
    function: FloatFunction, scale: float, zero_point: int, output_scale: float
) -> npt.NDArray[np.int16]:
    """`function` of scale * (q - zero_point) for each 128th int16 q, in steps of `output_scale`.

    Half of the error that a line makes at the middle of a step is taken off its first entry. All in
    single precision, as TFLite Micro fills its tables when it loads a model. -> [STEPS + 1]
    """
    f32 = np.float32
    first = f32(scale) * f32(-32768 - zero_point)
    last = f32(scale) * f32(32767 - zero_point)
    step = (last - first) / f32(STEPS)
    inverse = f32(65536) / (f32(output_scale) * f32(32767) - f32(output_scale) * f32(-32768))

    def scaled(x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return function(x.astype(np.float64)).astype(f32) * inverse

    places = np.arange(STEPS).astype(f32)
    starts = first + places * step
    samples = _rounded(scaled(starts))
    middles = _rounded(scaled(starts + step / f32(2)))
    ends = scaled(first + (places + f32(1)) * step)
    bias = _rounded((_rounded((ends + samples) / f32(2)) - middles) / f32(2))
    every = np.append(samples - bias, _rounded(scaled(np.array([last]))))
    return np.clip(every, -32768, 32767).astype(np.int16)


def look_up(table: npt.NDArray[np.int16], x: IntArray) -> IntArray:
    """The table's function of int16 values, on lines between its entries."""
    wide = table.astype(np.int64)
    index = (x >> 7) + STEPS // 2
    slope = (wide[index + 1] - wide[index]).astype(np.int16).astype(np.int64)
    result = wide[index] + ((slope * (x & 127) + 64) >> 7)
    wrapped: IntArray = result.astype(np.int16).astype(np.int64)
    return wrapped
