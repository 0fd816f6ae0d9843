"""SOFTMAX of int16: tables of exp and of 1 / (1 + x), with lines between their entries."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quantize.ops.base import Array, CCall, int_constant_array, malformed, refuse
from quantize.ops.tables import line_table, look_up
from quantize.scheme import (
    QuantParams,
    Requant,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    wrap32,
)
from quantize.tflite.graph import Operator

MAX_DEPTH = 1 << 16  # with more equal values TFLite Micro's sum overflows
RANGE = 10.0  # exp of less than -RANGE counts as exp(-RANGE)


@dataclass(frozen=True, slots=True, kw_only=True)
class WideSoftmaxParams:
    """The integers and tables of a SOFTMAX of int16."""

    shape: tuple[int, ...]
    requant: Requant
    exp_table: npt.NDArray[np.int16]
    reciprocal_table: npt.NDArray[np.int16]

    def reference(self, source: Array) -> Array:
        """[..., depth] -> the same shape."""
        rows = source.reshape(-1, self.shape[-1]).astype(np.int64)
        diff = rows - rows.max(axis=1, keepdims=True)
        r = self.requant
        scaled = multiply_by_quantized_multiplier(diff, r.multiplier, r.shift)
        argument = np.clip(wrap32(scaled + 32767), -32768, 32767)
        exponentials = look_up(self.exp_table, argument)
        sums = exponentials.sum(axis=1)
        bits = np.array([int(s).bit_length() for s in sums], np.int64)
        shifted = ((sums << (31 - bits)) + (1 << 13)) >> 14
        centred = np.clip(shifted - (1 << 15) - (1 << 16), -32768, 32767)
        scale = look_up(self.reciprocal_table, centred)[:, None]
        half = np.int64(1) << (bits - 2)
        values = (exponentials * scale + half[:, None]) >> (bits - 1)[:, None]
        result: Array = np.clip(values, 0, 32767).astype(np.int16).reshape(self.shape)
        return result

    def call(self) -> CCall:
        """The kernel call."""
        return CCall(
            function="nn_softmax_s16",
            params_type="nn_softmax_s16_t",
            params={
                "rows": str(math.prod(self.shape[:-1])),
                "depth": str(self.shape[-1]),
                "requant": f"{{{self.requant.multiplier}, {self.requant.shift}}}",
                "exp_table": "@exp",
                "reciprocal_table": "@reciprocal",
            },
            constants=(
                int_constant_array("exp", "int16_t", self.exp_table),
                int_constant_array("reciprocal", "int16_t", self.reciprocal_table),
            ),
        )


def prepare_wide(
    op: Operator, shape: tuple[int, ...], source: QuantParams, target: QuantParams, beta: float
) -> WideSoftmaxParams:
    """Check the quantisation and size of an int16 SOFTMAX: its output must have scale 1/32768."""
    if target.scale[0] != 1 / 32768:
        raise malformed(op, "output needs scale 1/32768 and zero point 0")
    if shape[-1] > MAX_DEPTH:
        raise refuse(op, f"{shape[-1]} values in a row", f"use at most {MAX_DEPTH}")
    return WideSoftmaxParams(
        shape=shape,
        requant=quantize_multiplier(source.scale[0] * beta / (RANGE / 65535)),
        exp_table=line_table(np.exp, RANGE / 65535, 32767, 2 / 65535),
        reciprocal_table=line_table(lambda x: 1 / (1 + x), 1 / 65535, -32768, 2 / 65535),
    )
