"""Write a Graph and its ArenaPlan as C: model.c, model.h, model_check.c and model_golden.c.

Same input, same bytes. Nothing from the .tflite file but integers and the names of known operators
reaches the C text; the model's own name is reduced to letters, digits and underscores, and the
labels of a recipe are escaped byte by byte.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import jinja2
import numpy as np
import numpy.typing as npt

from model import __version__
from quantize.emit_steps import Argument, Statement, step_table
from quantize.lowering import LoweredStep
from quantize.lowering.base import RowCall, constant_operands, first_values_bytes
from quantize.ops.base import (
    Array,
    CCall,
    CConstant,
    float_constant_array,
    int_constant_array,
)
from quantize.planner import ArenaPlan
from quantize.reference import Step
from quantize.tflite.graph import Graph, Operator, Tensor

C_TYPES = {
    "int8": "int8_t",
    "uint8": "uint8_t",
    "int16": "int16_t",
    "int32": "int32_t",
    "int64": "int64_t",
    "bool": "uint8_t",
    "float32": "float",
}
FILES = ("model.c", "model.h", "model_check.c", "model_golden.c")
_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("quantize", "templates"),
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    undefined=jinja2.StrictUndefined,
)


def c_text(text: str) -> str:
    """The inside of a C string: letters, digits and spaces as they are, all else as octal bytes."""
    return "".join(
        chr(byte) if (chr(byte).isalnum() and byte < 128) or byte == 32 else f"\\{byte:03o}"
        for byte in text.encode("utf-8")
    )


_TEMPLATES.filters["c_text"] = c_text


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenCases:
    """Inputs and the TFLite Micro interpreter's outputs, a row of bytes a case."""

    inputs: npt.NDArray[np.uint8]  # [cases, bytes of all inputs]
    outputs: npt.NDArray[np.uint8]  # [cases, bytes of all outputs]


def safe_name(name: str) -> str:
    """`name` as at most 31 letters, digits and underscores, for C strings and file names."""
    return re.sub(r"[^A-Za-z0-9_]", "_", name)[:31] or "model"


def render(template: str, **values: object) -> str:
    """Fill one of the templates; a value that is missing is an error."""
    return _TEMPLATES.get_template(template + ".jinja").render(**values)


def c_rows(values: Sequence[str], per_row: int = 16) -> str:
    """C initialisers in rows."""
    rows = [", ".join(values[i : i + per_row]) for i in range(0, len(values), per_row)]
    return ",\n".join("    " + row for row in rows)


def byte_rows(data: bytes) -> str:
    """Bytes as C initialisers in rows."""
    return c_rows([*map(str, data)], 24)


def emit_model(
    graph: Graph,
    steps: Sequence[LoweredStep],
    plan: ArenaPlan,
    golden: GoldenCases,
    *,
    name: str,
    sha256: str,
    run_id: str,
    kernels: str,
) -> dict[str, str]:
    """File name -> text of FILES."""
    sizes = [[graph.tensors[i].bytes for i in side] for side in (graph.inputs, graph.outputs)]
    run = [s for s in steps if not s.step.alias]
    calls = [_statements(graph, plan, s) for s in run]
    values: dict[str, object] = {
        "name": safe_name(name),
        "version": __version__,
        "sha256": sha256,
        "sha256_bytes": ", ".join(str(b) for b in bytes.fromhex(sha256)),
        "run_id": run_id,
        "arena_bytes": plan.bytes,
        "variables": [_variable(t, plan) for t in graph.variables],
        "inputs": [_tensor(graph, plan, i) for i in graph.inputs],
        "outputs": [_tensor(graph, plan, i) for i in graph.outputs],
        "steps": [
            {"number": k} | _step(graph, plan, s, statements)
            for k, (s, statements) in enumerate(zip(run, calls, strict=True))
        ],
        "table": step_table([one[0] if len(one) == 1 else None for one in calls], kernels),
        "edge_values": [_edge_values(graph.tensors[i]) for i in graph.inputs],
        "written": [w for k, s in enumerate(run) for w in _written(graph, plan, s.step, k)],
        "golden_count": len(golden.inputs),
        "input_bytes": sum(sizes[0]),
        "output_bytes": sum(sizes[1]),
        "golden_inputs": [byte_rows(row.tobytes()) for row in golden.inputs],
        "golden_outputs": [byte_rows(row.tobytes()) for row in golden.outputs],
        "interpreted": False,
    }
    return {file: render(file, **values) for file in FILES}


def _edge_values(tensor: Tensor) -> dict[str, object]:
    """The bits of an element that is the lowest, the highest, the zero point; floats: +-4, 0.

    An int64 counts as two elements of 32 bits.
    """
    dtype = np.dtype("int32" if tensor.dtype == "int64" else tensor.dtype)
    zero = tensor.quant.zero_point[0] if tensor.quant else 0
    if dtype.kind == "f":
        edges = np.array([-4, 4, 0], dtype)
    elif dtype.kind == "b":
        edges = np.array([0, 1, 0], dtype)
    else:
        limits = np.iinfo(dtype)
        edges = np.array([limits.min, limits.max, zero], dtype)
    bits = edges.view(f"u{dtype.itemsize}")
    return {
        "element_bytes": dtype.itemsize,
        "is_float": int(dtype.kind == "f"),
        "edges": [f"{int(b)}u" for b in bits],
        "mask": "1u" if dtype.kind == "b" else "0xFFFFFFFFu",
    }


def _written(graph: Graph, plan: ArenaPlan, step: Step, number: int) -> list[dict[str, object]]:
    """The tensors that step `number` writes: its outputs, then its state."""
    op = step.op
    tensors = [graph.tensors[i] for i in (*op.outputs, *(op.inputs[k] for k in step.spec.state))]
    return [
        {
            "step": number,
            "index": op.index,
            "name": step.spec.name,
            "output": output,
            "offset": plan.offset(tensor.index),
            "bytes": tensor.bytes,
            "element_bytes": np.dtype(tensor.dtype).itemsize,
            "is_signed": int(np.dtype(tensor.dtype).kind == "i" and tensor.dtype != "int64"),
        }
        for output, tensor in enumerate(tensors)
    ]


def _variable(tensor: Tensor, plan: ArenaPlan) -> dict[str, object]:
    """What model_reset writes: one value into every byte, or an array."""
    constant = initial_constant(tensor)
    return {
        "offset": plan.offset(tensor.index),
        "bytes": tensor.bytes,
        "value": int(np.frombuffer(tensor.first_values.tobytes(), np.int8)[0]),
        "array": None if constant is None else _constant(constant, tensor.index),
    }


def initial_constant(tensor: Tensor) -> CConstant | None:
    """The bytes of a variable's first value; None where they are all the same."""
    values = np.frombuffer(tensor.first_values.tobytes(), np.int8)
    return int_constant_array("initial", "int8_t", values) if first_values_bytes(tensor) else None


def _tensor(graph: Graph, plan: ArenaPlan, index: int) -> str:
    return f"{{{plan.offset(index)}, {graph.tensors[index].bytes}}}"


def _step(
    graph: Graph, plan: ArenaPlan, lowered: LoweredStep, statements: Sequence[Statement]
) -> dict[str, object]:
    op = lowered.step.op
    names = _names(lowered)
    runs = [
        (turns.count, [_rows_statement(graph, plan, lowered, c) for c in turns.calls])
        for turns in lowered.turns
    ]
    if not lowered.turns:
        runs = [(1, [statement.alone for statement in statements])]
    operators = [*(step.op for step in lowered.before), op]
    return {
        "operators": ", ".join(f"operator {o.index}, {o.name}" for o in operators),
        "constants": [_constant(c, op.index) for c in step_constants(graph, lowered)],
        "calls": [_call(op, call, name) for call, name in zip(lowered.calls, names, strict=True)],
        "runs": runs,
    }


def step_constants(graph: Graph, lowered: LoweredStep) -> list[CConstant]:
    """The arrays that a step holds in flash: its kernels' own, and constant operands."""
    return [constant for call in lowered.calls for constant in call.constants] + [
        _operand_array(f"input{p}", t.dtype, t.data)
        for p, t in constant_operands(graph, lowered)
        if t.data is not None
    ]


def _operand_array(suffix: str, dtype: str, data: Array) -> CConstant:
    if dtype == "float32":
        return float_constant_array(suffix, data)
    return int_constant_array(suffix, C_TYPES[dtype], data)


def _call(op: Operator, call: CCall, name: str) -> dict[str, object]:
    """The parameters of a call."""
    return {
        "name": name,
        "params_type": call.params_type,
        "params": [
            (field, constant_symbol(value[1:], op.index) if value.startswith("@") else value)
            for field, value in call.params.items()
        ],
    }


def _names(lowered: LoweredStep) -> list[str]:
    """What the parameters of its calls are named by."""
    return [f"{lowered.step.op.index}_{k}" for k in range(len(lowered.calls))]


def _statements(graph: Graph, plan: ArenaPlan, lowered: LoweredStep) -> list[Statement]:
    """The calls of a step on whole tensors; none where it runs some rows at a time."""
    named = [] if lowered.turns else zip(lowered.calls, _names(lowered), strict=True)
    return [_statement(graph, plan, lowered.step.op, call, name) for call, name in named]


def _statement(graph: Graph, plan: ArenaPlan, op: Operator, call: CCall, name: str) -> Statement:
    """A call on whole tensors."""
    sides = (
        (call.inputs, op.inputs, call.first_input, "const "),
        (call.outputs, op.outputs, call.first_output, ""),
    )
    arguments = [
        _argument(graph, plan, op.index, side[position], position, first, const)
        for positions, side, first, const in sides
        for position in positions
    ]
    if call.scratch_bytes:
        arguments.append(Argument(text="{}", place=plan.scratch(op.index)))
    return Statement(
        function=call.function,
        params_type=call.params_type,
        params=f"model_p{name}",
        arguments=tuple(arguments),
    )


def _rows_statement(graph: Graph, plan: ArenaPlan, lowered: LoweredStep, rows: RowCall) -> str:
    """A call on some rows of int8, in turn i."""
    op, call = lowered.step.op, lowered.calls[rows.call]
    scratch = plan.scratch(op.index)
    starts = {
        "input": plan.offset(op.inputs[0]),
        "output": plan.offset(op.outputs[0]),
        "rows": scratch,
    }
    arguments = [
        f"base + {starts[place.where] + place.offset}"
        + (f" + {place.advance} * i" if place.advance else "")
        for place in (rows.source, rows.target)
    ]
    if call.scratch_bytes:
        arguments.append(f"base + {scratch + lowered.rows_bytes}")
    return f"{call.function}(&model_p{op.index}_{rows.call}, {', '.join(arguments)});"


def _argument(
    graph: Graph, plan: ArenaPlan, index: int, tensor: int, position: int, first: int, const: str
) -> Argument:
    if graph.tensors[tensor].data is not None:
        return Argument(text=constant_symbol(f"input{position}", index), place=None)
    dtype = graph.tensors[tensor].dtype
    ctype, const = C_TYPES[dtype], "" if graph.tensors[tensor].variable else const
    return Argument(
        text="{}" if ctype == "int8_t" else f"({const}{ctype} *)({const}void *)({{}})",
        place=plan.offset(tensor) + first * np.dtype(dtype).itemsize,
    )


def constant_symbol(suffix: str, index: int) -> str:
    """The array's name; size reports count every symbol that starts with model_w as weights."""
    return f"model_w{index}_{suffix}"


def _constant(constant: CConstant, index: int) -> dict[str, object]:
    per_row = {"int8_t": 24, "nn_requant_t": 5}.get(constant.ctype, 10)
    return {
        "align": 8 if constant.ctype == "int64_t" else 4,
        "ctype": constant.ctype,
        "symbol": constant_symbol(constant.suffix, index),
        "count": len(constant.values),
        "text": c_rows(constant.values, per_row),
    }
