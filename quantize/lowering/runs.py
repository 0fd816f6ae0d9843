"""Windows as the contiguous parts that kernels gather."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from quantize.lowering.packing import pad_words
from quantize.ops.conv_2d import ConvParams
from quantize.scheme import IntArray

TAIL_RUNS = 3  # of which one more input each makes up a word


@dataclass(frozen=True, slots=True)
class Runs:
    """Contiguous parts of a window, as nn_conv_2d_packed_s8 takes them: nn_runs_t for each part.

    `tail`: the last input of each of three runs makes up a word at the end.
    """

    parts: int
    count: int  # of a part
    bytes: int
    apart: int = 0  # bytes from a run to the next in the same row; 0: the next lies in the next row

    @property
    def tail(self) -> bool:
        return self.count == TAIL_RUNS and self.bytes % 4 == 1 and self.bytes > 4

    @property
    def words(self) -> int:
        return self.bytes // 4 if self.tail else -(-self.bytes // 4)

    @property
    def inputs(self) -> int:
        """Of a window, those without weights included."""
        return 4 * self.parts * (self.count * self.words + self.tail)

    @property
    def cost(self) -> int:
        """Instructions to gather four windows."""
        return self.parts * (self.count * (7 + 16 * self.words) + 40 + 23 * self.tail)

    def arranged(self, weights: npt.NDArray[Any]) -> IntArray:
        """Weights [channels, kh, kw, c] as [channels, inputs]."""
        runs = weights.reshape(len(weights), self.parts, self.count, self.bytes)
        words = pad_words(runs[..., : 4 * self.words]).reshape(len(weights), self.parts, -1)
        if self.tail:
            words = np.concatenate([words, pad_words(runs[..., -1])], axis=2)
        return words.reshape(len(weights), -1)

    def c_initialiser(self, row_bytes: int) -> str:
        """An nn_runs_t; `row_bytes` are those from a row of the window to the next."""
        stride = self.apart or row_bytes
        step, tail = stride - 4 * self.words, stride if self.tail else 0
        return f"{{{step}, {self.words}, {self.count * stride}, {tail}}}"


def runs_of(p: ConvParams) -> Runs:
    _, height, width, channels = p.weights.shape
    if p.window.dilation[1] == 1 or width == 1:
        return Runs(1, height, width * channels)
    return Runs(height, width, channels, p.window.dilation[1] * channels)


def padded(p: ConvParams, axis: int) -> int:
    """Rows (0) or columns (1) of the padded input that windows reach."""
    w = p.window
    return (
        (p.output_shape[1 + axis] - 1) * w.stride[axis]
        + (w.kernel[axis] - 1) * w.dilation[axis]
        + 1
    )
