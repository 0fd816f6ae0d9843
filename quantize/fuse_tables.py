"""Make one table of functions of one int8 value that follow each other.

LOGISTIC and a QUANTIZE behind it, or two QUANTIZE, are one function of 256 values: the table of the
second one's answers to the first one's. The first operator becomes that TABLE, and the others pass
its output on as a QUANTIZE to the same scale, which costs nothing, as a RESHAPE between them does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from quantize.ops import quantize, reshape, table
from quantize.ops.base import Int8Array
from quantize.ops.quantize import RescaleParams
from quantize.ops.unary import UnaryParams
from quantize.reference import Step
from quantize.tflite.graph import Graph, Operator

CODES: Int8Array = np.arange(-128, 128).astype(np.int8)
# of QUANTIZE alone, which has no table of its own: so many that a pass less is worth its flash
ELEMENTS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class OneTable:
    """Operators that are one table, and what is left of the tensors between them."""

    steps: tuple[Step, ...]  # without those that only pass values on
    answers: Mapping[int, Int8Array]  # tensor -> what the firmware has there of its value


def join_tables(graph: Graph, steps: Sequence[Step]) -> tuple[Graph, list[OneTable]]:
    """The graph with one table in the place of several functions, and which they were."""
    found = []
    for run in _runs(graph, steps):
        graph, one = _joined(graph, run)
        found.append(one)
    return graph, found


def look_up(answers: Int8Array, values: Int8Array) -> Int8Array:
    """The answers to int8 values."""
    found: Int8Array = answers[values.astype(np.int64) + 128]
    return found


def _function(step: Step) -> Int8Array | None:
    """The answers of an operator to all int8 values; None of one that is no such function."""
    p = step.params
    if isinstance(p, UnaryParams):
        return p.table
    if isinstance(p, RescaleParams) and p.dtypes == ("int8", "int8") and not p.is_same:
        return np.asarray(step.spec.reference(p, [CODES]))
    return None


def _passes_on(step: Step) -> bool:
    """Whether an operator gives its input on under another shape or name."""
    return step.alias and step.op.name in {*reshape.NAMES, quantize.QUANTIZE.name}


def _runs(graph: Graph, steps: Sequence[Step]) -> Iterator[list[Step]]:
    """Functions, each the only reader of the one before, and what passes values on between them."""
    readers: dict[int, list[Step]] = {}
    for step in steps:
        for index in step.op.inputs:
            readers.setdefault(index, []).append(step)
    taken: set[int] = set()
    for step in steps:
        if step.op.index in taken or _function(step) is None:
            continue
        run = [step]
        while (output := run[-1].op.outputs[0]) not in graph.outputs:
            behind = readers.get(output, [])
            if len(behind) != 1 or not (_passes_on(behind[0]) or _function(behind[0]) is not None):
                break
            run.append(behind[0])
        while _passes_on(run[-1]):
            run.pop()
        taken |= {s.op.index for s in run}
        if _is_worth(graph, run):
            yield run


def _is_worth(graph: Graph, run: Sequence[Step]) -> bool:
    """Whether one table saves a pass over the values, and no flash is taken for few of them."""
    functions = [s for s in run if not _passes_on(s)]
    has_table = any(isinstance(s.params, UnaryParams) for s in functions)
    return len(functions) > 1 and (has_table or graph.output(run[0].op).elements >= ELEMENTS)


def _joined(graph: Graph, run: Sequence[Step]) -> tuple[Graph, OneTable]:
    tensors, operators = list(graph.tensors), list(graph.operators)
    behind, answers = CODES, dict[int, Int8Array]()
    for step in reversed(run):
        output = step.op.outputs[0]
        if step is not run[-1]:
            answers[output] = behind
            tensors[output] = replace(tensors[output], quant=graph.output(run[-1].op).quant)
        own = _function(step)
        behind = behind if own is None else look_up(behind, own)
        if own is not None:
            operators[step.op.index] = _same(step.op)
    operators[run[0].op.index] = table.of_answers(tensors, run[0].op, run[0].op.inputs[0], behind)
    functions = tuple(s for s in run if not _passes_on(s))
    smaller = replace(graph, tensors=tuple(tensors), operators=tuple(operators))
    return smaller, OneTable(steps=functions, answers=answers)


def _same(op: Operator) -> Operator:
    """A QUANTIZE of what the operator reads, to the same scale."""
    name = quantize.QUANTIZE.name
    return replace(op, name=name, version=1, inputs=op.inputs[:1], options={})
