"""Float operators between DEQUANTIZE and QUANTIZE become tables where an int8 has 256 answers.

A float tensor that is a function of one int8 or uint8 tensor, element by element, has 256 values.
What IEEE 754 defines is computed by the operators' own references, what a library decides
(LIBRARY) and how infinities are quantised by TFLite Micro itself. A chain that ends in a QUANTIZE
to int8 needs no float at run time, any other one reads its floats from a table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from quantize.errors import ModelError
from quantize.ops import OPS
from quantize.ops import table as table_op
from quantize.ops.base import Array
from quantize.ops.float32 import FLOAT, LIBRARY, BinaryFloat, UnaryFloat
from quantize.ops.quantize import DequantizeParams, FloatParams
from quantize.tflite.graph import Graph, Operator, Tensor
from quantize.tflm_function import tflm_function


@dataclass(frozen=True, slots=True, kw_only=True)
class _Function:
    """What a float tensor is of the elements of a tensor of bytes."""

    source: int  # the tensor
    values: npt.NDArray[np.float32]  # [256], for the bits of -128 first
    is_computed: bool  # by more than a DEQUANTIZE


def make_tables(graph: Graph) -> Graph:
    """The graph with tables in the place of float chains; operators are numbered anew."""
    if not any(t.dtype == FLOAT for t in graph.tensors):
        return graph
    known: dict[int, _Function] = {}
    answers: dict[int, tuple[int, Array]] = {}  # output of a QUANTIZE: source, table
    for op in graph.operators:
        params = _params(graph, op)
        if isinstance(params, FloatParams) and (found := known.get(op.inputs[0])):
            if graph.tensors[found.source].dtype == "int8":
                quant = graph.output(op).quant
                table = tflm_function(op.name, found.values, target=quant, to="int8")
                answers[op.outputs[0]] = (found.source, table)
        elif made := _function(graph, op, params, known):
            known[op.outputs[0]] = made
    return _rewritten(graph, known, answers) if known else graph


def _params(graph: Graph, op: Operator) -> Any:
    """Of an operator that compiles; what else there is, is told later."""
    spec = OPS.get(op.name)
    if spec is None or op.version > spec.max_version:
        return None
    try:
        return spec.prepare(graph, op)
    except ModelError:
        return None


def _function(
    graph: Graph, op: Operator, params: Any, known: dict[int, _Function]
) -> _Function | None:
    if isinstance(params, DequantizeParams):
        source = graph.tensors[op.inputs[0]]
        if source.variable:
            return None
        return _Function(source=source.index, values=params.values, is_computed=False)
    run: Callable[[Sequence[Array]], Array]
    if isinstance(params, UnaryFloat | BinaryFloat):
        run = params.reference
    elif op.name in LIBRARY and (len(op.inputs), len(op.outputs)) == (1, 1):
        run = _library(op.name)
    else:
        return None
    read, written = [graph.tensors[i] for i in op.inputs], graph.tensors[op.outputs[0]]
    functions = [known[t.index] for t in read if t.index in known]
    if len({f.source for f in functions}) != 1 or written.dtype != FLOAT:
        return None
    operands = [_operand(t, known, written.shape) for t in read]
    if any(operand is None for operand in operands):
        return None
    try:
        values = np.asarray(run([o for o in operands if o is not None]), np.float32)
    except ModelError:
        return None
    return _Function(source=functions[0].source, values=values, is_computed=True)


def _library(name: str) -> Callable[[Sequence[Array]], Array]:
    return lambda inputs: tflm_function(name, inputs[0])


def _operand(tensor: Tensor, known: dict[int, _Function], shape: tuple[int, ...]) -> Array | None:
    """256 values or a constant; None where elements do not meet one by one."""
    if tensor.data is not None:
        return tensor.data.reshape(1) if tensor.elements == 1 else None
    return known[tensor.index].values if tensor.index in known and tensor.shape == shape else None


def _rewritten(
    graph: Graph, known: dict[int, _Function], answers: dict[int, tuple[int, Array]]
) -> Graph:
    """From the last operator to the first: what somebody still needs."""
    tensors, kept = list(graph.tensors), list[Operator]()
    needed = set(graph.outputs)
    for op in reversed(graph.operators):
        output = op.outputs[0] if op.outputs else -1
        source, values = answers.get(output, (-1, None))
        if output in known:
            if output not in needed:
                continue
            if known[output].is_computed:
                source, values = known[output].source, known[output].values
        if values is not None:
            op = table_op.of_answers(tensors, op, source, values)
        kept.append(op)
        needed |= set(op.inputs)
    operators = tuple(replace(op, index=k) for k, op in enumerate(reversed(kept)))
    return replace(graph, tensors=tuple(tensors), operators=operators)
