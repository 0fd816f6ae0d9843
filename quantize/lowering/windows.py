"""Weights as the stream of 16-bit numbers that the MAC16 kernels read (nn_mac16.h)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quantize.lowering.packing import halfword_pairs, words_constant
from quantize.lowering.products import ProductRequant, product_requants
from quantize.lowering.split import find_changes
from quantize.ops.base import CConstant
from quantize.ops.window import OutputStage
from quantize.scheme import IntArray

STEP = 4  # inputs
OUTPUT_COST = 18  # instructions, besides its products
PRODUCT_WAITS = 0.53  # a MULA waits for the operand that was loaded just before
CHANNEL_COST = 20  # of each row of outputs


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """The constant that an nn_windows_t points to, and its fields."""

    constant: CConstant
    channels: int
    steps: int
    requantisation: str

    def fields(self, window_bytes: int, output_step: int) -> dict[str, str]:
        """The initialisers of the nn_windows_t `windows`; a window begins `window_bytes` behind the
        one before."""
        return {
            "windows.stream": "@stream",
            "windows.channels": str(self.channels),
            "windows.steps": str(self.steps),
            "windows.gap": str(window_bytes - 2 * STEP * self.steps),
            "windows.output_step": str(output_step),
        }


def windows_stream(p: OutputStage, weights: IntArray, packed: IntArray) -> Windows | None:
    """The stream of `packed` weights [channels, inputs] or, several times for each channel,
    [channels, times, inputs], inputs a multiple of STEP: `weights` [channels, taps] in another
    order and with zeros between. None when no requantisation is proven."""
    changes = find_changes(p, weights)
    rows = product_requants(changes) if changes else None
    if rows is None:
        return None
    firsts = p.bias.astype(np.int64) + (p.input_offset - 128) * weights.sum(axis=1)
    words: list[int] = []
    for row, first, times in zip(rows, firsts.tolist(), halfword_pairs(packed), strict=True):
        for pairs in times.reshape(-1, times.shape[-1]).tolist():
            words += [first - row.origin, *row.words(), *pairs]
    words.append(0)
    return Windows(
        constant=words_constant(
            "stream",
            np.array(words, np.int64),
            weights=packed.size // 2,
            biases=packed.size // packed.shape[-1],
        ),
        channels=len(rows),
        steps=packed.shape[-1] // STEP,
        requantisation=form_of(rows),
    )


def form_of(rows: tuple[ProductRequant, ...]) -> str:
    """What all channels' requantisations are called together."""
    if any(row.below != row.or_more for row in rows):
        return "products by sign"
    return "products, kept" if any(row.kept for row in rows) else "products"
