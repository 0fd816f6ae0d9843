"""Evaluate operators whose inputs are all known when the file is read; they vanish from the graph.

A Keras model whose batch was left free computes its shapes as it runs: SHAPE, STRIDED_SLICE, PACK,
RESHAPE. Every tensor's shape stands in the file, and TFLite Micro has no other, so SHAPE of any
tensor is known, and with it all that follows. Quantised constants are evaluated by the
references of quantize.ops, and so are sums and products of float32; the rest by
quantize.tflite.evaluators.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from quantize.errors import Malformed, ModelError, UnsupportedOperator
from quantize.ops import OPS
from quantize.ops.float32 import BINARY, FLOAT, UNARY
from quantize.tflite.evaluators import EVALUATORS, Array, BadValue, Call, Unknown
from quantize.tflite.graph import Graph, Operator, Tensor
from quantize.tflite.signatures import NO_OPTIONS, Signature

MAX_WORK = 1 << 22  # elements of all inputs and outputs that are evaluated, and products
MAX_RANK = 6
MAX_TOLD = 200  # characters of what is wrong with values
SHAPES = ("SHAPE", "RANK")  # of any tensor: its values do not matter
KEPT = ("SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND")  # TFLite Micro trusts their shapes in the file
PLAIN = ("int32", "int64", "bool", "float32")  # evaluated here; others by quantize.ops
CODES = ("int8", "int16")
RAW = ("BROADCAST_TO", "FILL", "TILE")  # they copy codes as they are, and quantize.ops has them not


@dataclass(slots=True, kw_only=True)
class _Work:
    """What folding a file takes, counted before it is done."""

    path: str
    done: int = 0

    def add(self, op: Operator, count: int) -> None:
        """ModelError for more than MAX_WORK."""
        self.done += count
        if self.done > MAX_WORK:
            raise ModelError(
                f"{self.path}: operator {op.index} {op.name}: over {MAX_WORK} elements are "
                "computed from constants, or products of them; fold them when exporting"
            )


def fold_constants(graph: Graph, path: str) -> Graph:
    """The graph without the operators whose outputs do not depend on the model's inputs.

    Tensors keep their numbers; operators are numbered anew. Raises ModelError where an operator's
    result is not of the shape that the file says, and for more work than MAX_WORK; what no
    evaluator is for stays as it is.
    """
    tensors, work = list(graph.tensors), _Work(path=path)
    kept, resized = [], False
    for op in graph.operators:
        operands = [tensors[i] if i >= 0 else None for i in op.inputs]
        if not op.outputs or not (op.name in SHAPES or _known(operands)):
            kept.append(op)
            resized |= _resize(graph, op, tensors)
            continue
        sources = [] if op.name in SHAPES else [t for t in operands if t is not None]
        work.add(op, sum(t.elements for t in (*sources, *(tensors[i] for i in op.outputs))))
        values = _evaluated(replace(graph, tensors=tuple(tensors)), op, work)
        if values is None:
            kept.append(op)
            continue
        for index, value in zip(op.outputs, values, strict=True):
            tensors[index] = replace(tensors[index], data=value)
    if stored := [i for i in graph.outputs if tensors[i].data is not None]:
        raise UnsupportedOperator(
            f"{path}: output tensor {stored[0]} is the same for every input: it is computed from "
            "constants only; remove it from the model's outputs"
        )
    if not kept:
        raise ModelError(f"{path}: no operator depends on the model's inputs")
    if len(kept) == len(graph.operators) and not resized:
        return graph
    return replace(
        graph,
        tensors=tuple(tensors),
        operators=tuple(replace(op, index=index) for index, op in enumerate(kept)),
        folded=len(graph.operators) - len(kept),
        resized=resized,
    )


def _resize(graph: Graph, op: Operator, tensors: list[Tensor]) -> bool:
    """Give outputs with free dimensions the shape that their operator computes; whether any was.

    The converter writes 1 for each dimension that it does not know, also behind a RESHAPE whose
    shape it leaves to be computed. TFLite Micro refuses such a file. Where it would run it, and
    compute something else, the shapes stay and the operator is refused.
    """
    spec, resized = OPS.get(op.name), False
    if spec is None or op.name in KEPT or not any(tensors[i].free for i in op.outputs):
        return False
    for _ in op.outputs:
        try:
            spec.prepare(replace(graph, tensors=tuple(tensors)), op)
        except Malformed as error:
            if error.shape is None or not tensors[error.tensor].free:
                break
            small = len(error.shape) <= MAX_RANK and math.prod(error.shape) <= MAX_WORK
            if not small or error.shape == tensors[error.tensor].shape:
                break
            tensors[error.tensor] = replace(tensors[error.tensor], shape=error.shape)
            resized = True
        except ModelError:
            break
    return resized


def _known(operands: Sequence[Tensor | None]) -> bool:
    return all(t is None or t.data is not None for t in operands) and any(operands)


def _evaluated(graph: Graph, op: Operator, work: _Work) -> list[Array] | None:
    """The values of an operator's outputs; None when nothing computes it."""
    outputs = [graph.tensors[i] for i in op.outputs]
    types = {graph.tensors[i].dtype for i in (*op.inputs, *op.outputs) if i >= 0}
    rule = EVALUATORS.get(op.name)
    where = f"{work.path}: operator {op.index} {op.name} of constants"
    if op.name in SHAPES:
        if outputs[0].dtype not in ("int32", "int64"):
            return None
        shape = graph.input(op, 0).shape
        found: Array | Sequence[Array] | None = np.array(
            shape if op.name == "SHAPE" else len(shape), np.int64
        )
    elif (
        rule is None
        or -1 in op.inputs
        or not types <= {*PLAIN, *(CODES if op.name in RAW else ())}
        or (types == {FLOAT} and (op.name in BINARY or op.name in UNARY))
    ):
        return _by_reference(graph, op, work)
    else:
        data = [np.asarray(graph.input(op, p).data) for p in range(len(op.inputs))]
        given, made = [v.dtype.name for v in data], [t.dtype for t in outputs]
        if not rule.fits(given, made):
            raise ModelError(
                f"{where} makes {', '.join(made)} of "
                f"{', '.join(given)}; the file is damaged or hand-made"
            )
        try:
            with np.errstate(all="ignore"):
                found = rule.evaluate(Call(op=op, inputs=data, outputs=outputs))
        except Unknown:
            return _by_reference(graph, op, work)
        except (BadValue, IndexError, OverflowError) as error:
            fix = "correct it in the network and convert again"
            raise ModelError(f"{where}: {str(error)[:MAX_TOLD]}; {fix}") from error
        except ValueError as error:
            raise ModelError(f"{where}: {str(error)[:MAX_TOLD]}; {FREE}") from error
    assert found is not None
    values = [found] if isinstance(found, np.ndarray) else list(found)
    if len(values) != len(outputs):
        raise ModelError(
            f"{where} gives {len(values)} tensors, the "
            f"file says {len(outputs)}; the file is damaged or hand-made"
        )
    for tensor, value in zip(outputs, values, strict=True):
        if value.shape != tensor.shape:
            raise ModelError(
                f"{where} gives {list(value.shape)}, the file says {list(tensor.shape)}; {FREE}"
            )
    return [v.astype(t.dtype) for v, t in zip(values, outputs, strict=True)]


FREE = (
    "a dimension was left free when converting, and TFLite Micro has only the shapes in the file: "
    "convert with all of them fixed (batch_size=1)"
)


def _by_reference(graph: Graph, op: Operator, work: _Work) -> list[Array] | None:
    """By the operator's own reference, as if its first input were computed at run time."""
    spec = OPS.get(op.name)
    if spec is None or spec.state:
        return None
    first = op.inputs[0]
    hidden = [replace(t, data=None) if t.index == first else t for t in graph.tensors]
    for tensors in (tuple(hidden), graph.tensors):
        try:
            params = spec.prepare(replace(graph, tensors=tensors), op)
        except ModelError:
            continue
        work.add(op, spec.macs(params))
        empty = np.empty(0, np.int8)
        data = [empty if i < 0 else np.asarray(graph.tensors[i].data) for i in op.inputs]
        result = spec.reference(params, data)
        return list(result) if isinstance(result, tuple) else [result]
    return None


# What is read of operators that only this module knows.
_KEEP = {"keep_dims": (0, "bool", 0)}
EVALUATED: dict[str, Signature] = {
    name: Signature(inputs=(1, 1), outputs=(1, 1), table=0, options=NO_OPTIONS) for name in SHAPES
} | {
    name: Signature(
        inputs=rule.inputs,
        outputs=(1, 1),
        table=0,
        options=_KEEP if name.startswith("REDUCE_") else NO_OPTIONS,
    )
    for name, rule in EVALUATORS.items()
    if name not in OPS
}
