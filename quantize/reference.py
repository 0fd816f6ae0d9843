"""Run a Graph with the operators' integer references: bit-equal to TFLite Micro."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from quantize.ops import find_op
from quantize.ops.base import Int8Array, OpSpec, int8_tensor
from quantize.tflite.graph import Graph, Operator


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One operator, checked, with the integers that its reference and its kernel use."""

    op: Operator
    spec: OpSpec[Any]
    params: Any


def compile_graph(graph: Graph) -> tuple[Step, ...]:
    """Check every operator of a graph, in order.

    Raises UnsupportedOperator for the first one that we do not compile, with its name, index
    and version, and ModelError for one whose parts do not fit together.
    """
    steps = []
    for op in graph.operators:
        spec = find_op(op)
        steps.append(Step(op=op, spec=spec, params=spec.prepare(graph, op)))
    for index in (*graph.inputs, *graph.outputs):
        int8_tensor(graph.operators[0], graph.tensors[index], f"model tensor {index}")
    return tuple(steps)


class Reference:
    """The integer reference of one model."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.steps = compile_graph(graph)

    def run(self, inputs: Sequence[Int8Array]) -> list[Int8Array]:
        """One inference: input tensors in the model's order -> output tensors."""
        values = self.run_all(inputs)
        return [values[i] for i in self.graph.outputs]

    def run_all(self, inputs: Sequence[Int8Array]) -> dict[int, Int8Array]:
        """One inference: tensor index -> value, of every tensor that is computed."""
        values: dict[int, Int8Array] = dict(zip(self.graph.inputs, inputs, strict=True))
        for step in self.steps:
            run_time = [values[i] for i in step.op.inputs if i in values]
            values[step.op.outputs[0]] = step.spec.reference(step.params, run_time)
        return values
