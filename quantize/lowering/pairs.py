"""Operators on pairs of int8 values: what holds for every core."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from quantize.linear import LinearForm, prove_linear
from quantize.lowering.base import LoweredStep
from quantize.ops.add import AddParams
from quantize.ops.broadcast import Binary, merged_walk
from quantize.ops.unary import UnaryParams
from quantize.reference import Step
from quantize.tflite.graph import Graph

CODES = np.arange(-128, 128).astype(np.int8)


def lower_table(graph: Graph, step: Step, _scratch_budget_bytes: int) -> LoweredStep | None:
    """An operator with a constant of one int8 value, as a table of its answers to the other
    operand; None without one."""
    operands = [graph.input(step.op, position) for position in (0, 1)]
    single = [t.data is not None and t.elements == 1 for t in operands]
    if sum(single) != 1 or any(t.dtype != "int8" for t in operands):
        return None
    pairs = [CODES if t.data is None else np.repeat(t.data.reshape(-1), 256) for t in operands]
    table = np.asarray(step.spec.reference(step.params, pairs))
    other = single.index(False)
    call = replace(UnaryParams(shape=operands[other].shape, table=table).call(), inputs=(other,))
    return LoweredStep(step=step, calls=(call,), in_place=(other,), requantisation="table")


def weighted_sum(step: Step) -> tuple[LinearForm, str] | None:
    """The numbers of an ADD or SUB as a weighted sum, and its nnrow_pairs_t.

    None where an operand repeats within a row, or no weighted sum is equal.
    """
    p: AddParams = step.params
    rows = row_pairs(p)
    form = sum_form(step) if rows and p.dtype == "int8" else None
    return None if form is None or rows is None else (form, rows)


def sum_form(step: Step) -> LinearForm | None:
    """The numbers of an ADD or SUB of int8 as a weighted sum; None when none is equal."""
    p: AddParams = step.params
    sign = -1 if step.spec.name == "SUB" else 1
    return prove_linear(_all_pairs(step), _ratio(p, 0), sign * _ratio(p, 1))


def row_pairs(p: Binary) -> str | None:
    """The operands as an nnrow_pairs_t: rows without gaps, of which an operand may have only one.

    None when their shapes broadcast in another way.
    """
    axes = merged_walk(*p.shapes, p.output_shape) or [(1, 1, 1)]
    count, *strides = axes[-1]
    outer = axes[0] if len(axes) > 1 else (1, count, count)
    if len(axes) > 2 or strides != [1, 1] or not {*outer[1:]} <= {0, count}:
        return None
    steps = ", ".join(str(stride - count) for stride in outer[1:])
    return f"{{{count}, {outer[0]}, {steps}}}"


def both_halves(offset: int) -> int:
    """An offset in each halfword of an int32."""
    half = offset & 0xFFFF
    return int(np.array([half | half << 16], np.uint32).view(np.int32)[0])


def _all_pairs(step: Step) -> npt.NDArray[np.int8]:
    """The outputs of an operator with two operands, [a + 128, b + 128]."""
    pairs = [np.repeat(CODES, 256), np.tile(CODES, 256)]
    result: npt.NDArray[np.int8] = np.asarray(step.spec.reference(step.params, pairs))
    return result.reshape(256, 256)


def _ratio(p: AddParams, side: int) -> float:
    """Output codes per code of an operand."""
    r, out = p.requants[side], p.output_requant
    return math.ldexp(r.multiplier * out.multiplier, r.shift + out.shift + p.left_shift - 62)
