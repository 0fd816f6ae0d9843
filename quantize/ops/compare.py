"""EQUAL, NOT_EQUAL, GREATER, GREATER_EQUAL, LESS, LESS_EQUAL: two tensors to truth values.

TFLite Micro compares int8 values on one scale, 2**-8 of a step fine; other types as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from quantize.ops.base import Array, CCall, check_shape, malformed, operand, refuse
from quantize.ops.broadcast import broadcast_shape, c_broadcast, full_operands
from quantize.ops.integer import C_TYPES, PAIR, plain_spec
from quantize.scheme import (
    IntArray,
    Requant,
    Rounding,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
)
from quantize.tflite.graph import Graph, Operator

LEFT_SHIFT = 8
LESS, SAME, MORE, APART = 1, 2, 4, 8  # a < b, a == b, a > b, one of them is no number
ORDERED = ("float32", "int32", "int64", "int8")
# operator -> (types that TFLite Micro compares, what makes it true, the same in numpy)
COMPARISONS: dict[str, tuple[tuple[str, ...], int, Callable[[Array, Array], Array]]] = {
    "EQUAL": (("bool", *ORDERED), SAME, np.equal),
    "GREATER": (ORDERED, MORE, np.greater),
    "GREATER_EQUAL": (ORDERED, MORE | SAME, np.greater_equal),
    "LESS": (ORDERED, LESS, np.less),
    "LESS_EQUAL": (ORDERED, LESS | SAME, np.less_equal),
    "NOT_EQUAL": (("bool", *ORDERED), LESS | MORE | APART, np.not_equal),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One comparison, with broadcasting; offsets and requants are those of int8."""

    name: str
    dtype: str
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    output_shape: tuple[int, ...]
    offsets: tuple[int, int] = (0, 0)
    requants: tuple[Requant, ...] = (Requant(multiplier=0, shift=0),) * 2

    @property
    def rounding(self) -> Rounding:
        """Only int8 values are brought to one scale."""
        return Rounding.DOUBLE if self.dtype == "int8" else Rounding.NONE

    @property
    def in_place(self) -> tuple[int, ...]:
        return full_operands(self) if np.dtype(self.dtype).itemsize == 1 else ()

    def _scaled(self, values: Array, side: int) -> IntArray:
        wide = (values.astype(np.int64) + self.offsets[side]) << LEFT_SHIFT
        r = self.requants[side]
        return multiply_by_quantized_multiplier(wide, r.multiplier, r.shift)

    def reference(self, inputs: Sequence[Array]) -> Array:
        """Two shapes that broadcast -> bool of what they broadcast to."""
        a, b = inputs[0], inputs[1]
        if self.dtype == "int8":
            a, b = self._scaled(a, 0), self._scaled(b, 1)
        return np.asarray(COMPARISONS[self.name][2](a, b))

    def call(self) -> CCall:
        """The kernel call."""
        params = {
            "walk": c_broadcast(*self.shapes, self.output_shape),
            "type": C_TYPES[self.dtype],
            "accepted": str(COMPARISONS[self.name][1]),
            "a_offset": str(self.offsets[0]),
            "b_offset": str(self.offsets[1]),
            "a_requant": f"{{{self.requants[0].multiplier}, {self.requants[0].shift}}}",
            "b_requant": f"{{{self.requants[1].multiplier}, {self.requants[1].shift}}}",
        }
        return CCall(
            function="nn_compare", params_type="nn_compare_t", params=params, inputs=(0, 1)
        )


def prepare(graph: Graph, op: Operator) -> Comparison:
    """Check a comparison; either operand may be a constant."""
    a, b, target = graph.input(op, 0), graph.input(op, 1), graph.output(op)
    types = COMPARISONS[op.name][0]
    if a.dtype == "int16" and op.name == "GREATER":
        fix = "TFLite Micro compares by factors that it has not set; put a QUANTIZE to int8 before"
        raise refuse(op, "input 0 is int16", fix)
    if a.dtype not in types:
        fix = f"TFLite Micro compares {', '.join(types)} there"
        raise refuse(op, f"input 0 is {a.dtype}", fix)
    if b.dtype != a.dtype or target.dtype != "bool":
        raise malformed(op, f"{a.dtype} and {b.dtype} to {target.dtype}")
    check_shape(op, target, broadcast_shape(op, a.shape, b.shape))
    shapes, made = (a.shape, b.shape), target.shape
    if a.dtype != "int8":
        return Comparison(name=op.name, dtype=a.dtype, shapes=shapes, output_shape=made)
    quants = [operand(graph, op, position)[1] for position in (0, 1)]
    if any(q.scale[0] >= 1 for q in quants):
        fix = "TFLite Micro aborts on it; make the values smaller"
        raise refuse(op, "an input has a scale of 1 or more", fix)
    return Comparison(
        name=op.name,
        dtype="int8",
        shapes=shapes,
        output_shape=made,
        offsets=(-quants[0].zero_point[0], -quants[1].zero_point[0]),
        requants=tuple(quantize_multiplier(q.scale[0]) for q in quants),
    )


SPECS = tuple(plain_spec(name, 4, PAIR, prepare, lambda p: p.rounding) for name in COMPARISONS)
