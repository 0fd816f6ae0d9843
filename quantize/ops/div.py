"""DIV of int8 by a constant: each divisor's reciprocal in fixed point, then a rescaling.

TFLite Micro does not define what a division by 0 gives, nor one whose last shift leaves 0 to 31.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from quantize.ops.base import (
    INT8,
    Array,
    CCall,
    CConstant,
    OpSpec,
    activation_input,
    check_shape,
    int8_output,
    operand,
    refuse,
    with_kind,
)
from quantize.ops.broadcast import broadcast_shape, c_broadcast, full_operands
from quantize.ops.fixed_point import reciprocal_one_plus
from quantize.scheme import (
    IntArray,
    Rounding,
    activation_range,
    quantize_multiplier,
    rounding_divide_by_pot,
    rounding_doubling_high_mul,
)
from quantize.tflite.graph import Graph, Operator

MOST_HEADROOM = 31  # sign bits that 0 has to spare; the largest difference of two int8 has 23
LEAST_SHIFT = -22  # so that even that is shifted, and its sum with a zero point fits 32 bits


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotient:
    """`inverse` has the sign of the divisor; `right` is the shift of a number without headroom."""

    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    output_shape: tuple[int, ...]
    inverse: tuple[int, ...]  # of each divisor
    right: tuple[int, ...]
    input_offset: int
    output_offset: int
    multiplier: int
    act_min: int
    act_max: int

    @property
    def in_place(self) -> tuple[int, ...]:
        return tuple(i for i in full_operands(self) if i == 0)

    def _of_divisors(self, values: Sequence[int]) -> IntArray:
        divisors = np.array(values, np.int64).reshape(self.shapes[1])
        return np.broadcast_to(divisors, self.output_shape)

    def reference(self, inputs: Sequence[Array]) -> Array:
        """A shape that broadcasts with the divisors' -> what they broadcast to."""
        inverse, right = self._of_divisors(self.inverse), self._of_divisors(self.right)
        x = (inputs[0].astype(np.int64) + self.input_offset) * np.sign(inverse)
        headroom = MOST_HEADROOM - np.frexp(np.where(x < 0, ~x, x).astype(np.float64))[1]
        quotient = rounding_doubling_high_mul(x << headroom, np.abs(inverse))
        high = rounding_doubling_high_mul(quotient, self.multiplier)
        value = rounding_divide_by_pot(high, right + headroom) + self.output_offset
        return np.clip(value, self.act_min, self.act_max).astype(np.int8)

    def call(self) -> CCall:
        """The kernel call."""
        values = tuple(f"{{{i}, {r}}}" for i, r in zip(self.inverse, self.right, strict=True))
        return CCall(
            function="nn_div_s8",
            params_type="nn_div_t",
            params={
                "walk": c_broadcast(*self.shapes, self.output_shape),
                "divisors": "@divisors",
                "input_offset": str(self.input_offset),
                "output_offset": str(self.output_offset),
                "multiplier": str(self.multiplier),
                "act_min": str(self.act_min),
                "act_max": str(self.act_max),
            },
            constants=(
                CConstant(
                    suffix="divisors",
                    ctype="nn_divisor_t",
                    values=values,
                    bytes=8 * len(values),
                ),
            ),
        )


def _is_int8(graph: Graph, op: Operator) -> bool:
    return graph.input(op, 0).dtype == "int8"


def _prepare(graph: Graph, op: Operator) -> Quotient:
    """Check a DIV of int8."""
    a, a_quant = activation_input(graph, op, 0)
    b, b_quant = operand(graph, op, 1, INT8)
    target, quant = int8_output(graph, op)
    check_shape(op, target, broadcast_shape(op, a.shape, b.shape))
    if b.data is None or np.any(b.data == b_quant.zero_point[0]):
        what = "a divisor is computed at run time, or 0"
        fix = "TFLite Micro's result of a division by 0 is undefined; divide by constants"
        raise refuse(op, what, fix)
    factor = quantize_multiplier(a_quant.scale[0] / (b_quant.scale[0] * quant.scale[0]))
    divisors = b.data.reshape(-1).astype(np.int64) - b_quant.zero_point[0]
    bits = np.frexp(np.abs(divisors).astype(np.float64))[1].astype(np.int64)
    inverse = reciprocal_one_plus((np.abs(divisors) << (32 - bits)) - 2**31) * np.sign(divisors)
    right = bits - 1 - factor.shift
    if not np.all((right >= LEAST_SHIFT) & (right <= 31 - MOST_HEADROOM)):
        what = f"its divisors go to {np.abs(divisors).max()} steps, its factor is 2**{factor.shift}"
        fix = "TFLite Micro's result is undefined; calibrate the output's scale again"
        raise refuse(op, what, fix)
    act_min, act_max = activation_range(int(op.options["activation"]), quant)
    return Quotient(
        shapes=(a.shape, b.shape),
        output_shape=target.shape,
        inverse=tuple(int(i) for i in inverse),
        right=tuple(int(r) for r in right),
        input_offset=-a_quant.zero_point[0],
        output_offset=quant.zero_point[0],
        multiplier=factor.multiplier,
        act_min=act_min,
        act_max=act_max,
    )


def with_int8(spec: OpSpec[Any]) -> OpSpec[Any]:
    """A DIV of int8 as well."""
    return with_kind(spec, _is_int8, _prepare, Quotient, Rounding.FIXED_POINT)
