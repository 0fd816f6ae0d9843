"""UNIDIRECTIONAL_SEQUENCE_LSTM as nn_lstm_packed_s8: a unit's four gates at a time."""

from __future__ import annotations

import numpy as np

from quantize.lowering.base import LoweredStep
from quantize.lowering.packing import PAIR_LIMIT, pad_words, pair_words, words_constant
from quantize.ops.base import CCall, Int8Array, int_constant_array
from quantize.ops.lstm import CELL, GATE_UNITS, HIDDEN, NO_CLIP, TABLE, LstmParams
from quantize.proofs import acc_bounds
from quantize.reference import Step
from quantize.scheme import IntArray, Requant
from quantize.tflite.graph import Graph
from quantize.timings import cortex_m

FORGET = Requant(multiplier=1 << 30, shift=-14)  # 2**-15
UPDATE_SHIFTS = range(-31, -14)  # what is added to the cell state has 16 bits
LARGEST_UPDATE = 30  # a product shifted by one more is 0 too, and here it fits with its half
GATE_SHIFTS = range(-31, 8)  # 2**24, the limit of twice a sum, fits 32 bits then
OUTPUT_SHIFTS = range(-23, 0)  # 32767 * 32767 + (127 << 23) + (1 << 22) fits 32 bits
IN_PAIRS = (0, 2, 1, 3)  # gates A, C, B, D, as the kernel has their sums
MAC_COST = cortex_m(0.9, words=0.375, flash=0.25, jumps=0.02)
UNIT_COST = cortex_m(140, words=54, flash=40, jumps=8)


def lower_lstm(_graph: Graph, step: Step, _scratch_budget_bytes: int) -> LoweredStep | None:
    """The packed kernel; None where a scale is beyond what its rounding is exact for.

    Costs 0.9 instructions a MAC, and 140 a unit and step; 40 more where a gate is not rescaled to
    the right.
    """
    p: LstmParams = step.params
    fresh = _stream([g.input_weights for g in p.gates], _biases(p), p.input_offset)
    past = _stream([g.recurrent_weights for g in p.gates], None, -p.hidden_offset)
    requants = [p.gates[k].input_requant for k in IN_PAIRS]
    requants += [p.gates[k].recurrent_requant for k in IN_PAIRS]
    exact = (
        p.forget_requant == FORGET
        and p.update_requant.multiplier == FORGET.multiplier
        and p.update_requant.shift in UPDATE_SHIFTS
        and p.output_requant.shift in OUTPUT_SHIFTS
        and all(r.shift in GATE_SHIFTS for r in requants)
    )
    if fresh is None or past is None or not exact:
        return None
    call = _call(p, requants, np.concatenate([fresh, past], axis=1))
    unit = 4 * (p.depth + p.units) * MAC_COST + UNIT_COST
    cost = p.batches * p.steps * p.units * unit
    return LoweredStep(step=step, calls=(call,), in_place=(), cost=cost)


def _biases(p: LstmParams) -> IntArray:
    """[units, gates]"""
    return np.stack([gate.bias.astype(np.int64) for gate in p.gates], axis=1)


def _stream(gates: list[Int8Array], biases: IntArray | None, offset: int) -> IntArray | None:
    """[units, words]: a group of nn_dense_t's stream for each unit's rows in the four matrices
    [units, inputs], with `offset` of the inputs folded into the first values [units, gates].

    None where sums or weights do not fit a pair.
    """
    units, count = gates[0].shape
    rows = np.stack(gates, axis=1).reshape(units * len(gates), count)
    start = np.zeros(len(rows), np.int64) if biases is None else biases.reshape(-1)
    low, high = acc_bounds(rows, start, offset, -128, 127, padded=True)
    if int(low.min()) <= -PAIR_LIMIT or int(high.max()) >= PAIR_LIMIT:
        return None
    packed = pair_words(pad_words(rows), start + offset * rows.sum(axis=1, dtype=np.int64))
    if packed is None:
        return None
    return packed.reshape(units, 2, -1).transpose(0, 2, 1).reshape(units, -1)


def _half(shift: int) -> int:
    """What rounds a shift by -`shift` to the right."""
    return 1 << (-shift - 1) if shift < 0 else 0


def _gate(requant: Requant) -> str:
    """An nn_gate_requant_t. Half away from zero is (x + half + (x >> 31)) >> shift; the sum's sign
    does for that of the product, as both give 0 where they differ."""
    shift = requant.shift
    shifts = 1 << 16 | -shift if shift < 0 else shift << 8
    return f"{{{requant.multiplier}, {_half(shift)}, {shifts}}}"


def _call(p: LstmParams, requants: list[Requant], stream: IntArray) -> CCall:
    batch_rows, step_rows = (1, p.batches) if p.time_major else (p.steps, 1)
    input_bytes, hidden_bytes = (2 * (n + -n % 4) for n in (p.depth, p.units))
    multiplier, shift = p.tanh_scale
    update, output = p.update_requant.shift, p.output_requant
    update_shift = min(-update, LARGEST_UPDATE) + 1
    params = {
        "units": p.units,
        "stream": "@stream",
        "input_bytes": input_bytes,
        "hidden_bytes": hidden_bytes,
        **{f"input[{k}]": _gate(requant) for k, requant in enumerate(requants[:4])},
        **{f"past[{k}]": _gate(requant) for k, requant in enumerate(requants[4:])},
        "three": GATE_UNITS,
        "odd": f"@odd + {len(TABLE)}",
        "halves": (1 << 16) - 1,
        "half_q9": 1 << 9,
        "logistic": (1 << 24) + (1 << 9),
        "update": (1 << update_shift >> 1) + 1,
        "half_q8": 1 << 8,
        "tanh": 1 << 7,
        "update_shift": update_shift,
        "tanh_multiplier": multiplier,
        "tanh_constant": (1 << shift) >> 1,
        "tanh_shift": shift,
        "output_multiplier": output.multiplier,
        "output_constant": _half(output.shift) + (p.hidden_offset << -output.shift),
        "output_shift": -output.shift,
        "cell_low": -min(p.cell_clip, NO_CLIP),
        "cell_high": min(p.cell_clip, NO_CLIP - 1),
        "batches": p.batches,
        "steps": p.steps,
        "input_depth": p.depth,
        "batch_rows": batch_rows,
        "step_rows": step_rows,
        "step": "nn_lstm_units_s8"
        if all(r.shift < 0 for r in requants)
        else "nn_lstm_units_any_s8",
    }
    half = np.append(TABLE, TABLE[-1]).astype(np.int32) - (1 << 15)  # which is 0 at 0
    firsts = 8 * p.units
    return CCall(
        function="nn_lstm_packed_s8",
        params_type="nn_lstm_packed_t",
        params={name: str(value) for name, value in params.items()},
        constants=(
            words_constant("stream", stream, weights=stream.size - firsts, biases=firsts),
            int_constant_array("odd", "int16_t", np.r_[-half[:0:-1], half].astype(np.int16)),
        ),
        inputs=(0, HIDDEN, CELL),
        scratch_bytes=input_bytes + hidden_bytes,
    )
