"""UNIDIRECTIONAL_SEQUENCE_LSTM: int8 activations and weights, int16 cell state."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quantize.ops.base import (
    Array,
    CCall,
    CConstant,
    Int8Array,
    OpSpec,
    activation_input,
    check_shape,
    int8_output,
    int8_weights,
    int32_bias,
    int_constant_array,
    malformed,
    no_alias,
    not_in_place,
    quantised,
    refuse,
)
from quantize.ops.rules import Kernels, Lowering, Without
from quantize.ops.tables import UNIT, logistic_q15, sigmoid_table, tanh_q15
from quantize.scheme import (
    IntArray,
    QuantParams,
    Requant,
    Rounding,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    wrap32,
)
from quantize.tflite.graph import Graph, Operator, Tensor
from quantize.tflite.signatures import Signature

INPUTS = 24
GATES = ("input", "forget", "cell", "output")
WEIGHTS, RECURRENT, BIAS = 1, 5, 12  # positions of the first gate's
HIDDEN, CELL = 18, 19
VARIANTS = (
    (range(9, 12), "peephole weights", "leave them out"),
    (range(16, 18), "a projection", "put a FULLY_CONNECTED behind the LSTM"),
    (range(20, INPUTS), "layer normalisation", "leave it out"),
)
TANH = 4  # of the fused activations
GATE_SCALE = 2.0**-12
GATE_UNITS = UNIT >> 12
UNIT_SCALE = 2.0**-15  # of what sigmoid and tanh give
CELL_POWERS = (-30, 2)  # a shift beyond them does not fit into 32 bits
MAX_STEPS = 4096
NO_CLIP = 1 << 15
SCALE_TOLERANCE = 1 / 512  # half a step of an int8
TABLE = sigmoid_table()


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One of the four gates; its sums are requantised to Q3.12."""

    input_weights: Int8Array  # [units, input_depth]
    recurrent_weights: Int8Array  # [units, units]
    bias: npt.NDArray[np.int32]  # [units]
    input_requant: Requant
    recurrent_requant: Requant


@dataclass(frozen=True, slots=True, kw_only=True)
class LstmParams:
    """The integers of an LSTM."""

    time_major: bool
    batches: int
    steps: int
    gates: tuple[Gate, ...]  # as in GATES
    input_offset: int
    hidden_offset: int  # the zero point of output and hidden state
    cell_power: int  # the cell state counts in 2**cell_power
    cell_clip: int  # at most NO_CLIP
    forget_requant: Requant
    update_requant: Requant
    output_requant: Requant

    @property
    def units(self) -> int:
        """Number of cells."""
        return len(self.gates[0].bias)

    @property
    def depth(self) -> int:
        """Values of one input row."""
        return int(self.gates[0].input_weights.shape[1])

    @property
    def weight_count(self) -> int:
        """Of all eight matrices."""
        return len(self.gates) * self.units * (self.depth + self.units)

    @property
    def tanh_scale(self) -> tuple[int, int]:
        """(multiplier, right shift) from the cell state to the argument of tanh."""
        up = 12 + self.cell_power
        return (GATE_UNITS << up, 0) if up >= 0 else (GATE_UNITS, -up)


def _check_variant(op: Operator) -> None:
    """TFLite Micro knows the LSTM of Keras and none of its variants."""
    if len(op.inputs) != INPUTS:
        raise refuse(op, f"{len(op.inputs)} inputs", f"TFLite Micro wants {INPUTS}; convert again")
    for positions, what, fix in VARIANTS:
        if any(op.inputs[p] >= 0 for p in positions):
            raise refuse(op, f"it has {what}", f"{fix}; TFLite Micro refuses it too")
    if op.options["diagonal"]:
        raise refuse(op, "its recurrent weights are diagonal", "export full matrices")
    if op.options["activation"] != TANH:
        raise refuse(op, f"fused activation {op.options['activation']}", "only tanh is known")
    if not float(op.options["cell_clip"]) >= 0:
        raise malformed(op, f"cell_clip is {op.options['cell_clip']}, expected at least 0")


def _weights(
    graph: Graph, op: Operator, position: int, shape: tuple[int, int]
) -> tuple[Int8Array, float]:
    _, quant, data = int8_weights(graph, op, 2, position=position)
    if data.shape != shape:
        raise malformed(op, f"weights {position} are {list(data.shape)}, expected {list(shape)}")
    if quant.per_channel:
        fix = "quantise them per tensor; TFLite Micro computes nonsense otherwise"
        raise refuse(op, f"weights {position} have several scales", fix)
    return data, quant.scale[0]


def _gate(
    graph: Graph, op: Operator, number: int, shape: tuple[int, int], scales: tuple[float, float]
) -> Gate:
    """`scales` are those of the input and of the hidden state."""
    units, _ = shape
    fresh, fresh_scale = _weights(graph, op, WEIGHTS + number, shape)
    past, past_scale = _weights(graph, op, RECURRENT + number, (units, units))
    if graph.input(op, BIAS + number).shape != (units,):
        raise malformed(op, f"bias {number}: expected one dimension of {units}")
    return Gate(
        input_weights=fresh,
        recurrent_weights=past,
        bias=int32_bias(graph, op, units, position=BIAS + number),
        input_requant=quantize_multiplier(scales[0] * fresh_scale / GATE_SCALE),
        recurrent_requant=quantize_multiplier(scales[1] * past_scale / GATE_SCALE),
    )


def _hidden(graph: Graph, op: Operator, shape: tuple[int, int], target: QuantParams) -> QuantParams:
    tensor = graph.input(op, HIDDEN)
    quant = quantised(op, tensor, "the hidden state")
    if tensor.shape != shape:
        raise malformed(op, f"hidden state is {list(tensor.shape)}, expected {list(shape)}")
    ratio = quant.scale[0] / target.scale[0]
    if quant.zero_point != target.zero_point or abs(ratio - 1) >= SCALE_TOLERANCE:
        fix = "TFLite Micro copies one to the other; give them the same scale and zero point"
        raise refuse(op, "the quantisation of hidden state and output differs", fix)
    return quant


def _cell(graph: Graph, op: Operator, shape: tuple[int, int]) -> tuple[int, int]:
    """(power of two of its scale, clip in its steps)."""
    tensor = graph.input(op, CELL)
    if tensor.dtype != "int16" or tensor.shape != shape:
        got = f"{tensor.dtype} {list(tensor.shape)}"
        raise malformed(op, f"cell state is {got}, expected int16 {list(shape)}")
    if tensor.quant is None or tensor.quant.zero_point != (0,):
        raise malformed(op, "cell state needs one scale and zero point 0")
    scale = tensor.quant.scale[0]
    mantissa, power = math.frexp(scale)
    if mantissa != 0.5 or not CELL_POWERS[0] <= power - 1 <= CELL_POWERS[1]:
        low, high = CELL_POWERS
        raise refuse(op, f"cell state has scale {scale}", f"expected 2**{low} to 2**{high}")
    clip = float(op.options["cell_clip"])
    return power - 1, int(min(clip / scale, 32767.0)) if clip > 0 else NO_CLIP


def _rows(op: Operator, source: Tensor) -> tuple[bool, int, int, int]:
    """(time major, batches, steps, depth) of the input."""
    if len(source.shape) != 3:
        raise malformed(op, f"input {list(source.shape)}: expected three dimensions")
    time_major = bool(op.options["time_major"])
    first, second, depth = source.shape
    batches, steps = (second, first) if time_major else (first, second)
    if steps > MAX_STEPS:
        raise refuse(op, f"{steps} steps", f"at most {MAX_STEPS}; run a shorter one repeatedly")
    return time_major, batches, steps, depth


def prepare(graph: Graph, op: Operator) -> LstmParams:
    """Check an LSTM as Keras defines it; both states are variable tensors."""
    _check_variant(op)
    source, source_quant = activation_input(graph, op, 0)
    target, target_quant = int8_output(graph, op)
    time_major, batches, steps, depth = _rows(op, source)
    units = target.shape[-1] if target.shape else 1
    check_shape(op, target, (*source.shape[:2], units))
    hidden = _hidden(graph, op, (batches, units), target_quant)
    power, clip = _cell(graph, op, (batches, units))
    scales = (source_quant.scale[0], hidden.scale[0])
    gates = [_gate(graph, op, k, (units, depth), scales) for k in range(len(GATES))]
    return LstmParams(
        time_major=time_major,
        batches=batches,
        steps=steps,
        gates=tuple(gates),
        input_offset=-source_quant.zero_point[0],
        hidden_offset=hidden.zero_point[0],
        cell_power=power,
        cell_clip=clip,
        forget_requant=quantize_multiplier(UNIT_SCALE),
        update_requant=quantize_multiplier(UNIT_SCALE * UNIT_SCALE / 2.0**power),
        output_requant=quantize_multiplier(UNIT_SCALE * UNIT_SCALE / hidden.scale[0]),
    )


def _rescale(values: IntArray, requant: Requant) -> IntArray:
    return multiply_by_quantized_multiplier(wrap32(values), requant.multiplier, requant.shift)


def _clamp16(values: IntArray) -> IntArray:
    return np.clip(values, -(1 << 15), (1 << 15) - 1)


def _product(rows: IntArray, weights: Int8Array) -> IntArray:
    """rows @ weights.T, exact: |sum| < 2**53."""
    return (rows.astype(np.float64) @ weights.T.astype(np.float64)).astype(np.int64)


def _step(p: LstmParams, fresh: Sequence[IntArray], hidden: IntArray, cell: IntArray) -> IntArray:
    """The next hidden state [batches, units]; changes `cell`. `fresh` are the gates' inputs."""
    past = hidden - p.hidden_offset
    sums = [_rescale(_product(past, k.recurrent_weights), k.recurrent_requant) for k in p.gates]
    arguments = [GATE_UNITS * _clamp16(x + _clamp16(z)) for x, z in zip(fresh, sums, strict=True)]
    i, f, o = (logistic_q15(TABLE, arguments[k]) for k in (0, 1, 3))
    g = tanh_q15(TABLE, arguments[2])
    kept = _clamp16(_rescale(f * cell, p.forget_requant))
    added = _clamp16(_rescale(i * g, p.update_requant))
    cell[:] = np.clip(_clamp16(kept + added), -p.cell_clip, p.cell_clip)
    multiplier, shift = p.tanh_scale
    scaled = (cell * multiplier + ((1 << shift) >> 1)) >> shift
    value = wrap32(_rescale(o * tanh_q15(TABLE, scaled), p.output_requant) + p.hidden_offset)
    return np.clip(value, -128, 127)


def reference(p: LstmParams, inputs: Sequence[Array]) -> tuple[Array, Array, Array]:
    """([batches, steps, depth] or time first, .., hidden, cell) -> (outputs, hidden, cell)."""
    rows = inputs[0].astype(np.int64) + p.input_offset
    rows = rows if p.time_major else rows.swapaxes(0, 1)
    hidden, cell = inputs[HIDDEN].astype(np.int64), inputs[CELL].astype(np.int64)
    fresh = [
        _clamp16(_rescale(_product(rows, k.input_weights) + k.bias, k.input_requant))
        for k in p.gates
    ]
    outputs = np.empty((p.steps, p.batches, p.units), np.int8)
    for t in range(p.steps):
        hidden = _step(p, [x[t] for x in fresh], hidden, cell)
        outputs[t] = hidden
    ordered = outputs if p.time_major else outputs.swapaxes(0, 1).copy()
    return ordered, hidden.astype(np.int8), cell.astype(np.int16)


def _c_requant(requant: Requant) -> str:
    return f"{{{requant.multiplier}, {requant.shift}}}"


def _gate_fields(name: str, gate: Gate) -> dict[str, str]:
    return {
        f"{name}_gate.input_weights": f"@{name}_input",
        f"{name}_gate.recurrent_weights": f"@{name}_recurrent",
        f"{name}_gate.bias": f"@{name}_bias",
        f"{name}_gate.input_requant": _c_requant(gate.input_requant),
        f"{name}_gate.recurrent_requant": _c_requant(gate.recurrent_requant),
    }


def _constants(p: LstmParams) -> tuple[CConstant, ...]:
    arrays = [
        constant
        for name, gate in zip(GATES, p.gates, strict=True)
        for constant in (
            int_constant_array(f"{name}_input", "int8_t", gate.input_weights),
            int_constant_array(f"{name}_recurrent", "int8_t", gate.recurrent_weights),
            int_constant_array(f"{name}_bias", "int32_t", gate.bias),
        )
    ]
    return (*arrays, int_constant_array("sigmoid", "uint16_t", TABLE))


def _c_call(p: LstmParams) -> CCall:
    batch_rows, step_rows = (1, p.batches) if p.time_major else (p.steps, 1)
    multiplier, shift = p.tanh_scale
    params = {
        "batches": str(p.batches),
        "steps": str(p.steps),
        "input_depth": str(p.depth),
        "units": str(p.units),
        "batch_rows": str(batch_rows),
        "step_rows": str(step_rows),
        "input_offset": str(p.input_offset),
        "hidden_offset": str(p.hidden_offset),
        "cell_clip": str(p.cell_clip),
        "tanh_multiplier": str(multiplier),
        "tanh_shift": str(shift),
        "forget_requant": _c_requant(p.forget_requant),
        "update_requant": _c_requant(p.update_requant),
        "output_requant": _c_requant(p.output_requant),
        "sigmoid": "@sigmoid",
    }
    for name, gate in zip(GATES, p.gates, strict=True):
        params |= _gate_fields(name, gate)
    return CCall(
        function="nn_lstm_s8",
        params_type="nn_lstm_t",
        params=params,
        constants=_constants(p),
        inputs=(0, HIDDEN, CELL),
    )


SPEC = OpSpec(
    name="UNIDIRECTIONAL_SEQUENCE_LSTM",
    max_version=4,
    signature=Signature(
        inputs=(20, 24),
        outputs=(1, 1),
        table=71,
        options={
            "activation": (0, "i8", 0),
            "cell_clip": (1, "f32", 0.0),
            "time_major": (3, "bool", 0),
            "diagonal": (5, "bool", 0),
        },
    ),
    prepare=prepare,
    reference=reference,
    calls=lambda p: (_c_call(p),),
    rounding=Rounding.DOUBLE,
    int16_rounding=None,
    macs=lambda p: p.batches * p.steps * 4 * p.units * (p.depth + p.units),
    in_place=not_in_place,
    alias=no_alias,
    state=(HIDDEN, CELL),
    ranges=Without(reason="its state feeds back"),
    folding=Without(
        reason="its state feeds back: a channel is read by every gate of the next step"
    ),
    advice=Without(reason="its eight matrices are not looked at yet"),
    kernels=Kernels(armv7em=Lowering.LSTM, xtensa=Without(reason="none is written yet")),
)
