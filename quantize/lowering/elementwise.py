"""Operators on pairs of int8 values, in forms that equal the reference for every pair."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from quantize.linear import LinearForm, prove_linear
from quantize.lowering.base import LoweredStep
from quantize.ops.add import AddParams
from quantize.ops.base import CCall, c_int
from quantize.ops.broadcast import Binary, merged_walk
from quantize.ops.mul import MulParams
from quantize.ops.quantize import RescaleParams
from quantize.ops.unary import UnaryParams
from quantize.proofs import prove_short
from quantize.reference import Step
from quantize.tflite.graph import Graph

_CODES = np.arange(-128, 128).astype(np.int8)


def lower_sum(graph: Graph, step: Step, room: int) -> LoweredStep | None:
    """ADD or SUB: a weighted sum, or a table; None where neither is equal."""
    found = weighted_sum(step)
    return _linear(step, *found, (0, 1)) if found else lower_table(graph, step, room)


def lower_rescale(_graph: Graph, step: Step, _room: int) -> LoweredStep | None:
    """QUANTIZE from int8 to int8: a weighted sum of one operand; None where none is equal."""
    p = step.params
    if not isinstance(p, RescaleParams) or p.dtypes != ("int8", "int8"):
        return None
    outputs = np.asarray(step.spec.reference(p, [_CODES]))
    ratio = math.ldexp(p.requant.multiplier, p.requant.shift - 31)
    form = prove_linear(np.broadcast_to(outputs[:, None], (256, 256)), ratio, 0.0)
    rows = f"{{{math.prod(p.shape)}, 1, 0, 0}}"
    return _linear(step, form, rows, (0, 0)) if form else None


def lower_product(graph: Graph, step: Step, room: int) -> LoweredStep | None:
    """MUL: a product in a short form, or a table; None where an operand repeats within a row, or
    the form is not proven."""
    p: MulParams = step.params
    rows = _row_pairs(p)
    if p.dtype != "int8" or rows is None:
        return lower_table(graph, step, room)
    corners = [(a + p.offsets[0]) * (b + p.offsets[1]) for a in (-128, 127) for b in (-128, 127)]
    proven = prove_short(
        [p.requant],
        output_offset=p.output_offset,
        act_min=p.act_min,
        act_max=p.act_max,
        low=np.array([min(corners)], np.int64),
        high=np.array([max(corners)], np.int64),
        form="sign",
    )
    if proven is None:
        return None
    call = CCall(
        function="nn_product_s8",
        params_type="nn_product_t",
        params={
            "a_offsets": _both_halves(p.offsets[0]),
            "b_offsets": _both_halves(p.offsets[1]),
            "multiplier": str(proven[0].multiplier),
            "constant": c_int(proven[0].constant),
            "shift": str(proven[0].shift),
            "rows": rows,
        },
        inputs=(0, 1),
    )
    return LoweredStep(
        step=step, calls=(call,), in_place=step.spec.in_place(p), requantisation=proven[0].form
    )


def lower_table(graph: Graph, step: Step, _room: int) -> LoweredStep | None:
    """An operator with a constant of one int8 value, as a table of its answers to the other
    operand; None without one."""
    operands = [graph.input(step.op, position) for position in (0, 1)]
    single = [t.data is not None and t.elements == 1 for t in operands]
    if sum(single) != 1 or any(t.dtype != "int8" for t in operands):
        return None
    pairs = [_CODES if t.data is None else np.repeat(t.data.reshape(-1), 256) for t in operands]
    table = np.asarray(step.spec.reference(step.params, pairs))
    other = single.index(False)
    call = replace(UnaryParams(shape=operands[other].shape, table=table).call(), inputs=(other,))
    return LoweredStep(step=step, calls=(call,), in_place=(other,), requantisation="table")


def _linear(step: Step, form: LinearForm, rows: str, inputs: tuple[int, int]) -> LoweredStep:
    call = CCall(
        function="nn_linear_s8",
        params_type="nn_linear_t",
        params={
            "a_factor": c_int(form.a_factor),
            "b_factor": c_int(form.b_factor),
            "constant": c_int(form.constant),
            "rows": rows,
        },
        inputs=inputs,
    )
    return LoweredStep(
        step=step,
        calls=(call,),
        in_place=step.spec.in_place(step.params),
        requantisation="weighted sum",
    )


def weighted_sum(step: Step) -> tuple[LinearForm, str] | None:
    """The numbers of an ADD or SUB as a weighted sum, and its nn_row_pairs_t.

    None where an operand repeats within a row, or no weighted sum is equal.
    """
    p: AddParams = step.params
    rows = _row_pairs(p)
    if p.dtype != "int8" or rows is None:
        return None
    sign = -1 if step.spec.name == "SUB" else 1
    form = prove_linear(_all_pairs(step), _ratio(p, 0), sign * _ratio(p, 1))
    return None if form is None else (form, rows)


def _row_pairs(p: Binary) -> str | None:
    """The operands as an nn_row_pairs_t: rows without gaps, of which an operand may have only one.

    None when their shapes broadcast in another way.
    """
    axes = merged_walk(*p.shapes, p.output_shape) or [(1, 1, 1)]
    count, *strides = axes[-1]
    outer = axes[0] if len(axes) > 1 else (1, count, count)
    if len(axes) > 2 or strides != [1, 1] or not {*outer[1:]} <= {0, count}:
        return None
    steps = ", ".join(str(stride - count) for stride in outer[1:])
    return f"{{{count}, {outer[0]}, {steps}}}"


def _all_pairs(step: Step) -> npt.NDArray[np.int8]:
    """The outputs of an operator with two operands, [a + 128, b + 128]."""
    pairs = [np.repeat(_CODES, 256), np.tile(_CODES, 256)]
    result: npt.NDArray[np.int8] = np.asarray(step.spec.reference(step.params, pairs))
    return result.reshape(256, 256)


def _ratio(p: AddParams, side: int) -> float:
    """Output codes per code of an operand."""
    r, out = p.requants[side], p.output_requant
    return math.ldexp(r.multiplier * out.multiplier, r.shift + out.shift + p.left_shift - 62)


def _both_halves(offset: int) -> str:
    """An offset in each halfword, as a C initialiser."""
    half = offset & 0xFFFF
    return c_int(int(np.array([half | half << 16], np.uint32).view(np.int32)[0]))
