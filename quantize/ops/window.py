"""Sliding windows over NHWC tensors, and the output stage of multiply-accumulate operators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from quantize.ops.base import Array, CConstant, Int8Array, int_constant_array, requant_constant
from quantize.scheme import (
    IntArray,
    Requant,
    Rounding,
    multiply_by_quantized_multiplier,
    multiply_wide,
    wrap32,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Kernel size, stride, dilation and padding before, each (rows, columns)."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    pad: tuple[int, int]

    def c_initialiser(self) -> str:
        """As an nn_window_t initialiser."""
        values = (*self.kernel, *self.stride, *self.dilation, *self.pad)
        return "{" + ", ".join(str(v) for v in values) + "}"


class OutputStage(Protocol):
    """What turns a sum of weighted inputs into an output; the bias has the type of the sums."""

    @property
    def input_offset(self) -> int: ...
    @property
    def weights(self) -> Int8Array: ...
    @property
    def bias(self) -> Array: ...
    @property
    def requants(self) -> tuple[Requant, ...]: ...
    @property
    def output_offset(self) -> int: ...
    @property
    def act_min(self) -> int: ...
    @property
    def act_max(self) -> int: ...
    @property
    def dtype(self) -> str: ...


def is_wide(p: OutputStage) -> bool:
    """Whether the sums have 64 bits."""
    return p.bias.dtype == np.int64


def int16_rounding(p: OutputStage) -> Rounding:
    """How sums of int16 values times weights are rescaled."""
    return Rounding.WIDE if is_wide(p) else Rounding.DOUBLE


def c_fields(p: OutputStage) -> dict[str, str]:
    """The fields that the params structs of all multiply-accumulate kernels share."""
    return {
        "input_offset": str(p.input_offset),
        "output_offset": str(p.output_offset),
        "act_min": str(p.act_min),
        "act_max": str(p.act_max),
        "weights": "@weights",
        "bias64" if is_wide(p) else "bias": "@bias",
        "requant": "@requant",
    }


def c_constants(p: OutputStage) -> tuple[CConstant, ...]:
    """The arrays that c_fields points to."""
    return (
        int_constant_array("weights", "int8_t", p.weights),
        int_constant_array("bias", f"{p.bias.dtype.name}_t", p.bias),
        requant_constant(p.requants),
    )


def output_values(sums: IntArray, p: OutputStage) -> Array:
    """Bias, rescale, offset and clamp sums [..., channels] to the output's type."""
    multiplier = np.array([r.multiplier for r in p.requants], np.int64)
    shift = np.array([r.shift for r in p.requants], np.int64)
    if is_wide(p):
        scaled = multiply_wide(sums + p.bias, multiplier, shift)
    else:
        scaled = multiply_by_quantized_multiplier(wrap32(sums + p.bias), multiplier, shift)
    return np.clip(wrap32(scaled + p.output_offset), p.act_min, p.act_max).astype(p.dtype)


def patches(
    values: Array,
    window: Window,
    output_shape: tuple[int, ...],
    offset: int,
    dtype: type[np.floating[Any]] = np.float64,
) -> npt.NDArray[np.floating[Any]]:
    """[n, h, w, c] -> [n, out_h, out_w, kh, kw, c]: value + offset, 0 outside the input.

    A view that is read only: taps that windows share lie in memory once.
    """
    count, height, width, channels = values.shape
    (top, left), (down, right) = window.pad, window.stride
    taps_y, taps_x = window.dilation
    reach_y, reach_x = (
        (outputs - 1) * stride + (kernel - 1) * dilation + 1
        for outputs, stride, kernel, dilation in zip(
            output_shape[1:3], window.stride, window.kernel, window.dilation, strict=True
        )
    )
    padded = np.zeros((count, reach_y, reach_x, channels), dtype)
    inner = padded[:, top : top + height, left : left + width]
    np.add(values[:, : inner.shape[1], : inner.shape[2]], offset, out=inner, dtype=dtype)
    n, y, x, c = padded.strides
    return np.lib.stride_tricks.as_strided(
        padded,
        (count, *output_shape[1:3], *window.kernel, channels),
        (n, y * down, x * right, y * taps_y, x * taps_x, c),
        writeable=False,
    )


def sum_type(p: OutputStage) -> type[np.floating[Any]]:
    """A float type that holds every partial sum of an output's taps exactly.

    |sum| <= 2**8 * 2**7 * taps for int8 inputs, 2**15 * 2**7 * taps for int16.
    """
    taps = p.weights.size // len(p.requants)
    return np.float32 if p.dtype == "int8" and taps << 15 <= 1 << 24 else np.float64


def inside_mask(
    input_shape: tuple[int, ...], window: Window, output_shape: tuple[int, ...]
) -> npt.NDArray[np.bool_]:
    """[out_h, out_w, kh, kw]: whether a tap lies inside an input [n, h, w, c]."""
    _, height, width, _ = input_shape
    rows = _positions(output_shape[1], 0, window)
    columns = _positions(output_shape[2], 1, window)
    return ((rows >= 0) & (rows < height))[:, None, :, None] & ((columns >= 0) & (columns < width))[
        None, :, None, :
    ]


def _positions(count: int, axis: int, window: Window) -> npt.NDArray[np.int64]:
    """[count, kernel]: the input position of each tap of each output."""
    starts = np.arange(count) * window.stride[axis] - window.pad[axis]
    return starts[:, None] + np.arange(window.kernel[axis])[None, :] * window.dilation[axis]
