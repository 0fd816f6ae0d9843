"""Run a Graph with the operators' integer references: bit-equal to TFLite Micro."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from quantize.errors import Malformed, ModelError, UnsupportedOperator
from quantize.ops import find_op
from quantize.ops.base import Array, OpSpec, malformed, refuse
from quantize.tflite.constants import FREE
from quantize.tflite.graph import Graph, Operator

# of a model's inputs and outputs
IO_TYPES = ("int8", "uint8", "int16", "int32", "int64", "bool", "float32")
MAX_TENSOR_BYTES = 1 << 22  # of one tensor that is computed
MAX_END_BYTES = 1 << 20  # of all inputs, or all outputs
MAX_CONSTANT_BYTES = 1 << 23
MAX_MACS = 1 << 30
_ABSENT = np.empty(0, np.int8)  # stands for an optional input that is absent


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One operator, checked, with the integers that its reference and its kernel use."""

    op: Operator
    spec: OpSpec[Any]
    params: Any

    @property
    def alias(self) -> bool:
        """Whether the output is the first input's bytes, and nothing is computed."""
        return self.spec.alias(self.params)

    def run(self, inputs: Sequence[Array]) -> tuple[Array, ...]:
        """The integer reference: values of all inputs -> of outputs, then of the state."""
        result = self.spec.reference(self.params, inputs)
        return result if isinstance(result, tuple) else (result,)


def compile_graph(graph: Graph) -> tuple[Step, ...]:
    """Check every operator of a graph, in order.

    Raises UnsupportedOperator for the first one that we do not compile, with its name, index
    and version, and ModelError for one whose parts do not fit together.
    """
    steps = []
    used: set[int] = set()  # variable tensors
    for op in graph.operators:
        used |= _check_state(graph, op, find_op(graph, op), used)
        steps.append(prepare_step(graph, op))
    for index in (*graph.inputs, *graph.outputs):
        dtype = graph.tensors[index].dtype
        if dtype not in IO_TYPES:
            what = f"the model's tensor {index} is {dtype}"
            raise refuse(graph.operators[0], what, f"expected one of {', '.join(IO_TYPES)}")
    _check_sizes(graph, steps)
    return tuple(steps)


def prepare_step(graph: Graph, op: Operator) -> Step:
    """One operator, checked by itself; UnsupportedOperator or ModelError name it."""
    spec, where = find_op(graph, op), f"operator {op.index} {op.name}"
    try:
        return Step(op=op, spec=spec, params=spec.prepare(graph, op))
    except Malformed as error:
        if any(graph.tensors[i].free for i in (*op.inputs, *op.outputs) if i >= 0):
            raise UnsupportedOperator(f"{error}; {FREE}") from error
        raise ModelError(f"{error}; the file is damaged or hand-made") from error
    except ModelError as error:  # quantize.scheme knows scales, not whose they are
        if where in str(error):
            raise
        raise ModelError(f"{where}: {error}") from error


def _check_sizes(graph: Graph, steps: Sequence[Step]) -> None:
    """Refuse what no microcontroller holds or soon computes, before memory is spent on it."""
    constants = sum(t.initial.nbytes for t in graph.variables if t.initial is not None)
    macs = 0
    for step in steps:
        for index in {*step.op.inputs, *step.op.outputs} - {-1}:
            tensor = graph.tensors[index]
            constants += tensor.bytes if tensor.data is not None else 0
            if tensor.data is None and tensor.bytes > MAX_TENSOR_BYTES:
                fix = f"at most {MAX_TENSOR_BYTES}; use smaller inputs or fewer channels"
                raise refuse(step.op, f"tensor {index} has {tensor.bytes} bytes", fix)
        macs += step.spec.macs(step.params)
        if constants > MAX_CONSTANT_BYTES or macs > MAX_MACS:
            fix = f"at most {MAX_CONSTANT_BYTES} and {MAX_MACS}; make the model smaller"
            what = f"the model has {constants} bytes of constants and {macs} MACs up to here"
            raise refuse(step.op, what, fix)
    for side in (graph.inputs, graph.outputs):
        total = sum(graph.tensors[i].bytes for i in side)
        if total > MAX_END_BYTES:
            fix = f"at most {MAX_END_BYTES} bytes for all inputs or all outputs"
            raise refuse(steps[0].op, f"the model's ends have {total} bytes", fix)


def _check_state(graph: Graph, op: Operator, spec: OpSpec[Any], used: set[int]) -> set[int]:
    """The variable tensors of an operator: where it keeps state, and its own."""
    own: set[int] = set()
    for position, index in enumerate(op.inputs):
        variable = index >= 0 and graph.tensors[index].variable
        if variable and position not in spec.state:
            raise refuse(op, f"input {position} is a variable", "it keeps no state there")
        if position in spec.state and not variable:
            raise malformed(op, f"input {position} is not a variable tensor")
        if variable and index in used | own and not graph.tensors[index].shared:
            raise refuse(op, f"variable tensor {index} is used twice", "give each use its own")
        own |= {index} if variable else set()
    return own


def integer_bits(values: Array) -> Array:
    """All elements in a row; floats as their bits, so that equal means the same bytes."""
    flat = np.ascontiguousarray(values).reshape(-1)
    return flat.view(f"u{flat.itemsize}") if flat.dtype.kind == "f" else flat


class Reference:
    """The integer reference of one model; variable tensors keep their values between runs."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.steps = compile_graph(graph)
        self.reset()

    def reset(self) -> None:
        """Give every variable tensor its first value."""
        self._state: dict[int, Array] = {t.index: t.first_values for t in self.graph.variables}

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """One inference: input tensors in the model's order -> output tensors."""
        values = self.run_all(inputs)
        return [values[i] for i in self.graph.outputs]

    def run_all(self, inputs: Sequence[Array]) -> dict[int, Array]:
        """One inference: tensor index -> value, of every tensor."""
        values: dict[int, Array] = {-1: _ABSENT}
        values |= {t.index: t.data for t in self.graph.tensors if t.data is not None}
        values |= dict(zip(self.graph.inputs, inputs, strict=True)) | self._state
        for step in self.steps:
            results = step.run([values[i] for i in step.op.inputs])
            written = [*step.op.outputs, *(step.op.inputs[i] for i in step.spec.state)]
            values |= dict(zip(written, results, strict=True))
        self._state = {index: values[index] for index in self._state}
        return values
