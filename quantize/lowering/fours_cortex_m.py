"""Convolutions whose groups of four pixels have their places in bands of rows, as
nn_conv_2d_fours_s8 (nn_fours.h)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quantize.lowering.packing import Fields, ahead_of, reach_of
from quantize.lowering.runs import padded, runs_of
from quantize.ops.base import CCall, CConstant, int_constant_array
from quantize.ops.conv_2d import ConvParams
from quantize.timings import Cost, cortex_m

KERNEL = "nn_conv_2d_fours_s8"
FOUR = 4  # pixels at a time
MOST_PIXELS = 256  # of a band: the table has two bytes for each
MOVED = 32  # bytes that nn_move_words_s8 moves at a time
FOUR_COST = cortex_m(115, words=40, flash=30, jumps=10)  # besides products and runs,
RUN_COST = cortex_m(9, words=4)  # a run of four windows
WORD_COST = cortex_m(16, words=12)  # and a word of each
BAND_COST, ROW_COST = cortex_m(40, words=20, flash=8), cortex_m(42, words=20, flash=8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """Output rows that are groups of four pixels, and the input rows for them in scratch."""

    pixels: int
    rows: int  # in scratch
    done: int  # of them, that the next band does not need
    apart: int  # rows of the input from one to the next
    row_bytes: int
    left_bytes: int  # of a row, before the image
    inside_bytes: int  # of the image
    moved_bytes: int  # of these, by whole words
    windows: npt.NDArray[np.int64]  # bytes from the first row to each pixel's

    def fours(self, pixels: int) -> int:
        """Groups of four that so many pixels are; those at the end may share some."""
        bands, left = divmod(pixels, self.pixels)
        return bands * self.pixels // FOUR + -(-left // FOUR)

    @property
    def bytes(self) -> int:
        return self.rows * self.row_bytes


def band_of(p: ConvParams) -> Band | None:
    """None where rows at the end are less than four pixels, for several images, windows of parts,
    long rows, and where a place has no room in 16 bits."""
    runs, (n, out_h, out_w, _), w = runs_of(p), p.output_shape, p.window
    height = FOUR // math.gcd(out_w, FOUR)
    last = (out_h % height or height) * out_w
    if n != 1 or runs.parts != 1 or not FOUR <= last <= height * out_w <= MOST_PIXELS:
        return None
    _, in_h, in_w, depth = p.input_shape
    apart = w.stride[0] if w.kernel[0] == 1 else 1  # windows of a row skip some
    if apart > 1 and w.pad[0]:
        return None  # rows above the image would be counted by those apart
    step = w.stride[0] // apart
    done = height * step
    rows = max(done - step + reach_of(p), done + 1)  # one is always kept
    unit = max(MOVED // math.gcd(rows - done, MOVED), 4)  # what is kept is moved by words
    left, columns = w.pad[1] * depth, padded(p, 1)
    words = p.first_input % 4 == 0 and (in_h == 1 or in_w * depth % 4 == 0)
    before = -left % 4 if words else 0  # so that the image begins with a word
    beyond = 0 if runs.tail else -runs.bytes % 4
    row_bytes = before + columns * depth + beyond
    row_bytes += -row_bytes % unit
    inside = max(min(columns - w.pad[1], in_w - p.first_input // depth), 0) * depth
    y, x = np.divmod(np.arange(height * out_w), out_w)
    windows = before + y * step * row_bytes + x * w.stride[1] * depth
    if int(windows[-1]) >= 1 << 16:
        return None
    return Band(
        pixels=height * out_w,
        rows=rows,
        done=done,
        apart=apart,
        row_bytes=row_bytes,
        left_bytes=before + left,
        inside_bytes=inside,
        moved_bytes=inside - inside % MOVED if words else 0,
        windows=windows,
    )


def fours_call(
    p: ConvParams, quad: Fields, stream: CConstant, products: str
) -> tuple[CCall, int | None] | None:
    """A call with an nn_fours_t, and `ahead_bytes`; `quad` are the fields of its nn_quad_t."""
    band = band_of(p)
    if band is None:
        return None
    _, height, width, depth = p.input_shape
    runs = runs_of(p)
    apart = runs.apart or p.window.dilation[0] * band.row_bytes
    x_bytes = 2 * FOUR * runs.inputs
    call = CCall(
        function=KERNEL,
        params_type="nn_fours_t",
        params=quad
        | {
            "widen.words": str(runs.words),
            "widen.back_bytes": str(4 * runs.words - apart),
            "window_rows": str(runs.count),
            "tail_at": str(4 * runs.words if runs.tail else 0),
            "tail_bytes": str(apart if runs.tail else 0),
            "windows": "@windows",
            "height": str(-(-height // band.apart)),
            "line_bytes": str(band.apart * width * depth),
            "pad_h": str(p.window.pad[0]),
            "pad_value": str(-p.input_offset),
            "moved_bytes": str(band.moved_bytes),
            "inside_bytes": str(band.inside_bytes),
            "other_bytes": str(band.inside_bytes - band.moved_bytes),
            "left_bytes": str(band.left_bytes),
            "row_bytes": str(band.row_bytes),
            "x_bytes": str(x_bytes),
            "rows_bytes": str(band.bytes),
            "done_bytes": str(band.done * band.row_bytes),
            "pixels": str(p.output_shape[1] * p.output_shape[2]),
            "band_pixels": str(band.pixels),
            "depth": str(p.output_shape[3]),
            "products": products,
        },
        constants=(
            stream,
            int_constant_array("windows", "uint16_t", band.windows.astype(np.uint16)),
        ),
        first_input=p.first_input,
        first_output=p.first_output,
        scratch_bytes=x_bytes + band.bytes,
    )
    return call, ahead_of(p, band.pixels, reach_of(p))


def fours_cost(p: ConvParams, products: Cost) -> Cost | None:
    """Of all pixels, each four of which take `products`; None where `band_of` is."""
    band = band_of(p)
    if band is None:
        return None
    pixels, runs = p.output_shape[1] * p.output_shape[2], runs_of(p)
    bands = -(-pixels // band.pixels)
    rows = band.rows + (bands - 1) * band.done
    by_words = bands * (band.rows - band.done) * band.row_bytes + rows * band.moved_bytes
    by_word = rows * (band.inside_bytes - band.moved_bytes) / 4
    return (
        band.fours(pixels) * (products + runs.count * (RUN_COST + runs.words * WORD_COST))
        + band.fours(pixels) * FOUR_COST
        + bands * BAND_COST
        + rows * ROW_COST
        + by_words / 32 * cortex_m(4, words=16)
        + by_word * cortex_m(5, words=1, jumps=1)
    )
