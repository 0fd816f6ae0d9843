"""DEPTHWISE_CONV_2D with windows along lines (nn_depthwise.h)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from quantize.lowering.base import LoweredStep
from quantize.lowering.packing import fields_of, first_short_form, first_values, words_constant
from quantize.ops.base import CCall, c_int, int_constant_array
from quantize.ops.conv_2d import ConvParams
from quantize.proofs import Form
from quantize.reference import Step
from quantize.scheme import IntArray
from quantize.timings import usual

C_FORMS: dict[Form, str] = {"floor": "NN_FLOOR", "sign": "NN_SIGN"}  # the shorter first
GROUP = 4  # channels at a time
BLOCK = 4  # outputs at a time
UNITS = 8  # unrolled steps
WINDOW_ROWS = 8  # of nn_depthwise_rows_s8
STEP_BYTES = 32  # of the words of a step: weights of a group
PAIR_BYTES = 16  # of a pair of inputs of a group
LONG = {"input_line", "output_line", "input_image", "output_image"}  # fields of 32 bits


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lines:
    """The lines of an image; distances in pixels."""

    lines: int
    inputs: int  # of a line
    outputs: int
    kernel: int  # taps of a window
    stride: int  # inputs from a window to the next
    dilation: int
    pad: int  # inputs before the line
    input_step: int  # from one of a line to the next
    output_step: int
    input_line: int  # from the first of a line to the next line's
    output_line: int

    @property
    def steps(self) -> int:
        """Of four outputs."""
        return self.kernel // 2 + 1

    @property
    def pairs(self) -> int:
        """Of inputs of a padded line that are written or read."""
        read = 2 * -(-self.outputs // BLOCK) + self.steps - 1
        return max(read, (self.pad + self.inputs + 1) // 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """A kernel for them."""

    function: str
    pairs: int  # of inputs that it widens in scratch
    cost: int  # instructions of a channel, about
    in_place: bool


def lower_lines(step: Step, p: ConvParams, scratch_budget_bytes: int) -> LoweredStep | None:
    """The faster one of its kernels; None for other windows, where no short requantisation is
    exact, where a size has more than 16 bits, or where a widened line would make the arena much
    larger."""
    lines = _lines(p)
    if lines is None:
        return None
    widened = _widened(lines)
    if widened is not None and _scratch_bytes(lines) > scratch_budget_bytes:
        widened = None
    ways = [way for way in (_dots(lines), widened) if way is not None]
    return _lowered(step, p, lines, min(ways, key=lambda way: way.cost)) if ways else None


def lower_rows(step: Step, p: ConvParams, scratch_budget_bytes: int) -> LoweredStep | None:
    """nn_depthwise_rows_s8; None for windows that do not fit it, and as above."""
    w, (_, height, width, _), (_, out_h, out_w, _) = p.window, p.input_shape, p.output_shape
    lines = _Lines(
        lines=out_h, inputs=width, outputs=out_w, kernel=w.kernel[1],
        stride=w.stride[1], dilation=w.dilation[1], pad=w.pad[1],
        input_step=1, output_step=1, input_line=width, output_line=out_w,
    )  # fmt: skip
    rows = w.kernel[0]
    fits = w.kernel[1] < 2 * UNITS and rows <= WINDOW_ROWS and w.stride[0] <= rows
    scratch_bytes = rows * _scratch_bytes(lines)
    if not fits or w.stride[1] != 1 or w.dilation != (1, 1) or scratch_bytes > scratch_budget_bytes:
        return None
    block = 30 + rows * (6 * lines.steps + 8)
    row = 40 + block * -(-out_w // BLOCK) + w.stride[0] * 12 * (width + 1) // 2 // GROUP
    way = _Way(
        function="nn_depthwise_rows_s8",
        pairs=lines.pairs,
        cost=20 + rows * 5 * lines.steps + out_h * row,
        in_place=_follows(p),
    )
    fields = {
        "height": str(height),
        "kernel_h": str(rows),
        "stride_h": str(w.stride[0]),
        "pad_h": str(w.pad[0]),
    }
    return _lowered(step, p, lines, way, fields)


def _follows(p: ConvParams) -> bool:
    """Whether every row is in scratch before an output of its channels lies on it."""
    (_, height, width, _), (_, out_h, out_w, _) = p.input_shape, p.output_shape
    rows = np.arange(out_h)
    read = rows * p.window.stride[0] + p.window.kernel[0] - p.window.pad[0]
    fits = ((rows + 1) * out_w <= read * width) | (read >= height)
    return bool(fits.all()) and out_h * out_w <= height * width


def _scratch_bytes(lines: _Lines) -> int:
    return STEP_BYTES * lines.steps + PAIR_BYTES * lines.pairs


def _lowered(
    step: Step, p: ConvParams, lines: _Lines, way: _Way, rows: dict[str, str] | None = None
) -> LoweredStep | None:
    """The call of a kernel; `rows` are the fields of windows of several rows."""
    weights = p.weights[0].reshape(-1, p.weights.shape[3]).astype(np.int64).T
    requants = first_short_form(p, weights, tuple(C_FORMS), limit=1 << 31)
    sizes = _sizes(p, lines, way.pairs)
    small = {name: size for name, size in sizes.items() if name not in LONG}
    if requants is None or fields_of(small) is None:
        return None
    first = first_values(p, weights, requants)
    values = [(v, r.multiplier, r.constant, r.shift) for v, r in zip(first, requants, strict=True)]
    taps = _taps(weights.reshape(len(weights), -1, lines.kernel))
    fields = {name: str(size) for name, size in sizes.items()} | {
        "pad_word": c_int(int(np.full(4, -p.input_offset, np.int8).view(np.int32)[0])),
        "form": C_FORMS[requants[0].form],
        "taps": "@taps",
        "values": "@values",
    }
    if rows is not None:
        fields = {f"line.{name}": value for name, value in fields.items()} | rows
    call = CCall(
        function=way.function,
        params_type="nn_lines_t" if rows is None else "nn_depthwise_rows_t",
        params=fields,
        constants=(
            words_constant("values", np.array(values), biases=len(values)),
            replace(int_constant_array("taps", "int8_t", taps), weight_bytes=taps.size),
        ),
        scratch_bytes=weights.shape[1] // lines.kernel * _scratch_bytes(lines) if way.pairs else 0,
    )
    return LoweredStep(
        step=step,
        calls=(call,),
        in_place=(0,) if way.in_place else (),
        requantisation=requants[0].form,
        cost=usual(p.input_shape[0] * p.input_shape[3] * way.cost, "armv7em"),
    )


def _lines(p: ConvParams) -> _Lines | None:
    """None for windows that do not lie in a line; all pixels are one where windows take all
    columns."""
    (_, height, width, _), (_, out_h, out_w, _), w = p.input_shape, p.output_shape, p.window
    kernel_h, kernel_w = w.kernel
    if kernel_h * kernel_w == 1:
        return None
    if kernel_w == width and out_w == 1 and w.pad[1] == 0 and w.dilation == (1, 1):
        return _Lines(
            lines=1, inputs=height * width, outputs=out_h, kernel=kernel_h * kernel_w,
            stride=w.stride[0] * width, dilation=1, pad=w.pad[0] * width,
            input_step=1, output_step=1, input_line=0, output_line=0,
        )  # fmt: skip
    if kernel_w == 1:
        return _Lines(
            lines=out_w, inputs=height, outputs=out_h, kernel=kernel_h,
            stride=w.stride[0], dilation=w.dilation[0], pad=w.pad[0],
            input_step=width, output_step=out_w, input_line=w.stride[1], output_line=1,
        )  # fmt: skip
    if kernel_h == 1:
        return _Lines(
            lines=out_h, inputs=width, outputs=out_w, kernel=kernel_w,
            stride=w.stride[1], dilation=w.dilation[1], pad=w.pad[1],
            input_step=1, output_step=1, input_line=w.stride[0] * width, output_line=out_w,
        )  # fmt: skip
    return None


def _widened(s: _Lines) -> _Way | None:
    """nn_depthwise_lines_s8; None with a stride or a dilation."""
    if s.stride != 1 or s.dilation != 1:
        return None
    block = 30 + 6 * s.steps + 2 * max(s.steps - UNITS, 0)
    line = 23 + block * -(-s.outputs // BLOCK) + 12 * (s.inputs + 1) // 2 // GROUP
    return _Way(
        function="nn_depthwise_lines_s8",
        pairs=s.pairs,
        cost=20 + 5 * s.steps + s.lines * line,
        # outputs come after the line that they are made of, and lie on no other that is to come
        in_place=s.output_line in (0, s.input_line) or s.input_step == 1,
    )


def _dots(s: _Lines) -> _Way | None:
    """nn_depthwise_dots_s8; None where a tap lies outside of the input."""
    if s.pad or (s.outputs - 1) * s.stride + (s.kernel - 1) * s.dilation >= s.inputs:
        return None
    window = 14 + 20 * -(-s.kernel // 2) // GROUP
    return _Way(
        function="nn_depthwise_dots_s8",
        pairs=0,
        cost=10 + s.lines * s.outputs * window,
        in_place=s.outputs == 1 and (s.output_line in (0, s.input_line) or s.input_step == 1),
    )


def _sizes(p: ConvParams, s: _Lines, pairs: int) -> dict[str, int]:
    """Of an nn_lines_t: its sizes, of 16 bits but for those in LONG."""
    images, height, width, channels = p.input_shape
    distances = {
        "input_step": s.input_step * s.dilation,
        "output_step": s.output_step,
        "input_line": s.input_line,
        "output_line": s.output_line,
        "input_image": height * width,
        "output_image": p.output_shape[1] * p.output_shape[2],
        "stride": s.input_step * s.stride,
    }
    return {
        "images": images,
        "lines": s.lines,
        "channels": channels,
        "inputs": s.inputs,
        "outputs": s.outputs,
        "kernel": s.kernel,
        **{field: pixels * channels for field, pixels in distances.items()},
        "pad": s.pad,
        "pairs": pairs,
    }


def _taps(weights: IntArray) -> npt.NDArray[np.int8]:
    """Weights [channels, rows, taps] as groups, rows, pairs of taps, pairs of channels, taps,
    channels."""
    channels, rows, taps = weights.shape
    starts = np.minimum(np.arange(0, channels, GROUP), channels - GROUP)
    lanes = starts[:, None] + np.arange(GROUP)
    full = np.pad(weights, ((0, 0), (0, 0), (0, taps & 1)))[lanes]
    pairs = full.reshape(len(starts), 2, 2, rows, -1, 2).transpose(0, 3, 4, 1, 5, 2)
    return np.ascontiguousarray(pairs.reshape(-1)).astype(np.int8)
