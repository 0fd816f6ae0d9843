"""Evaluate operators whose inputs are all known when the file is read; they vanish from the graph.

A Keras model whose batch was left free computes its shapes as it runs: SHAPE, STRIDED_SLICE, PACK,
RESHAPE. Every tensor's shape stands in the file, and TFLite Micro has no other, so SHAPE of any
tensor is known, and with it all that follows. Quantised constants are evaluated by the integer
references of quantize.ops.

Sources: the operators' definitions in TensorFlow Lite; values are those of its int32, int64, bool
and float32 kernels, integers as two's complement.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from quantize.errors import Malformed, ModelError, UnsupportedOperator
from quantize.ops import OPS
from quantize.tflite.graph import Graph, Operator, Tensor
from quantize.tflite.signatures import MANY, NO_OPTIONS, Options, Signature

MAX_WORK = 1 << 22  # elements of all inputs and outputs that are evaluated
MAX_RANK = 6
MAX_TOLD = 200  # characters of what is wrong with values
KEPT = ("SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND")  # TFLite Micro trusts their shapes in the file
Array = npt.NDArray[Any]
PLAIN = ("int32", "int64", "bool", "float32")  # evaluated here; others by quantize.ops
CODES = ("int8", "int16")
RAW = ("BROADCAST_TO", "FILL", "TILE")  # they copy codes as they are, and quantize.ops has them not


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One operator: its constant inputs, the tensors that it writes, its options."""

    op: Operator
    inputs: Sequence[Array]
    outputs: Sequence[Tensor]

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the first output, as the file has it."""
        return self.outputs[0].shape

    def option(self, name: str) -> int:
        """An option; 0 when its operator has none of that name."""
        return int(self.op.options.get(name, 0))

    def vector(self, position: int) -> tuple[int, ...]:
        """An input of integers, such as axes or a shape."""
        values = self.inputs[position]
        if values.dtype.kind not in "iu":
            raise ValueError(f"input {position} is {values.dtype}, expected integers")
        return tuple(int(v) for v in values.reshape(-1))


class _Unknown(Exception):
    """A form of an operator that is not evaluated here."""


Evaluator = Callable[[Call], Array | Sequence[Array]]


def fold_constants(graph: Graph, path: str) -> Graph:
    """The graph without the operators whose outputs do not depend on the model's inputs.

    Tensors keep their numbers; operators are numbered anew. Raises ModelError where an operator's
    result is not of the shape that the file says, and for more work than MAX_WORK; what no
    evaluator is for stays as it is.
    """
    tensors = list(graph.tensors)
    kept, work, resized = [], 0, False
    for op in graph.operators:
        operands = [tensors[i] if i >= 0 else None for i in op.inputs]
        if not op.outputs or not (op.name in SHAPES or _known(operands)):
            kept.append(op)
            resized |= _resize(graph, op, tensors)
            continue
        work += sum(t.elements for t in operands if t is not None and op.name not in SHAPES)
        work += sum(tensors[i].elements for i in op.outputs)
        if work > MAX_WORK:
            raise ModelError(
                f"{path}: operator {op.index} {op.name}: over {MAX_WORK} elements are computed "
                "from constants; fold them when exporting"
            )
        values = _evaluated(replace(graph, tensors=tuple(tensors)), op, path)
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


def _evaluated(graph: Graph, op: Operator, path: str) -> list[Array] | None:
    """The values of an operator's outputs; None when nothing computes it."""
    outputs = [graph.tensors[i] for i in op.outputs]
    types = {graph.tensors[i].dtype for i in (*op.inputs, *op.outputs) if i >= 0}
    rule = EVALUATORS.get(op.name)
    if op.name in SHAPES:
        if outputs[0].dtype not in ("int32", "int64"):
            return None
        shape = graph.input(op, 0).shape
        found: Array | Sequence[Array] | None = np.array(
            shape if op.name == "SHAPE" else len(shape), np.int64
        )
    elif (
        rule is None or -1 in op.inputs or not types <= {*PLAIN, *(CODES if op.name in RAW else ())}
    ):
        return _by_reference(graph, op)
    else:
        data = [np.asarray(graph.input(op, p).data) for p in range(len(op.inputs))]
        given, made = [v.dtype.name for v in data], [t.dtype for t in outputs]
        if not rule.fits(given, made):
            raise ModelError(
                f"{path}: operator {op.index} {op.name} of constants makes {', '.join(made)} of "
                f"{', '.join(given)}; the file is damaged or hand-made"
            )
        try:
            with np.errstate(all="ignore"):
                found = rule.evaluate(Call(op=op, inputs=data, outputs=outputs))
        except _Unknown:
            return None
        except (ValueError, IndexError, OverflowError) as error:
            where = f"{path}: operator {op.index} {op.name} of constants"
            raise ModelError(f"{where}: {str(error)[:MAX_TOLD]}; {FREE}") from error
    assert found is not None
    values = [found] if isinstance(found, np.ndarray) else list(found)
    if len(values) != len(outputs):
        raise ModelError(
            f"{path}: operator {op.index} {op.name} of constants gives {len(values)} tensors, the "
            f"file says {len(outputs)}; the file is damaged or hand-made"
        )
    for tensor, value in zip(outputs, values, strict=True):
        if value.shape != tensor.shape:
            raise ModelError(
                f"{path}: operator {op.index} {op.name} of constants gives {list(value.shape)}, "
                f"the file says {list(tensor.shape)}; {FREE}"
            )
    return [v.astype(t.dtype) for v, t in zip(values, outputs, strict=True)]


FREE = (
    "a dimension was left free when converting, and TFLite Micro has only the shapes in the file: "
    "convert with all of them fixed (batch_size=1)"
)


def _by_reference(graph: Graph, op: Operator) -> list[Array] | None:
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
        empty = np.empty(0, np.int8)
        data = [empty if i < 0 else np.asarray(graph.tensors[i].data) for i in op.inputs]
        result = spec.reference(params, data)
        return list(result) if isinstance(result, tuple) else [result]
    return None


# --- evaluators -----------------------------------------------------------------------------------


def _elementwise(function: Callable[..., Array]) -> Evaluator:
    def evaluate(call: Call) -> Array:
        if call.option("activation"):
            raise _Unknown
        shape = np.broadcast_shapes(*(v.shape for v in call.inputs))
        if shape != call.shape:
            raise ValueError(f"gives {list(shape)}, the file says {list(call.shape)}")
        return np.asarray(function(*call.inputs))

    return evaluate


def _divide(a: Array, b: Array) -> Array:
    """Of integers: towards zero."""
    if a.dtype.kind == "f":
        return np.asarray(a / b)
    _nonzero(b)
    floor, rest = np.divmod(np.int64(0) + a, np.int64(0) + b)
    return np.asarray(floor + ((rest != 0) & ((a < 0) != (b < 0))))


def _floor_divide(a: Array, b: Array) -> Array:
    _nonzero(b)
    return np.asarray(np.floor_divide(a, b))


def _floor_mod(a: Array, b: Array) -> Array:
    _nonzero(b)
    return np.asarray(np.mod(a, b))


def _nonzero(divisor: Array) -> None:
    if not divisor.all():
        raise ValueError("a division by zero")


def _reduce(function: Callable[..., Array]) -> Evaluator:
    def evaluate(call: Call) -> Array:
        if call.inputs[0].dtype.kind == "f":
            raise _Unknown  # a sum depends on its order
        axes = tuple(sorted({_axis(a, call.inputs[0].ndim) for a in call.vector(1)}))
        keep = bool(call.option("keep_dims"))
        return np.asarray(function(call.inputs[0], axis=axes, keepdims=keep))

    return evaluate


def _axis(axis: int, rank: int) -> int:
    if not -rank <= axis < rank:
        raise ValueError(f"axis {axis} of {rank} dimensions")
    return axis % rank


def _cast(call: Call) -> Array:
    source, target = call.inputs[0], np.dtype(call.outputs[0].dtype)
    if source.dtype.kind == "f" and target.kind == "i":
        limits = np.iinfo(target)
        if not np.all((source >= limits.min) & (source < -float(limits.min))):
            raise ValueError(f"a value outside of {target}")
    return source.astype(target)


def _range(call: Call) -> Array:
    start, limit, delta = (v.reshape(-1)[0].item() for v in call.inputs)
    if isinstance(delta, float) or delta == 0:
        raise ValueError(f"RANGE by {delta}, expected integers")
    values = range(start, limit, delta)
    if len(values) != (call.shape or (0,))[0]:
        raise ValueError(f"{len(values)} values, the file says {list(call.shape)}")
    return np.array(values, np.int64)


def _fill(call: Call) -> Array:
    if call.vector(0) != call.shape:
        raise ValueError(f"fills {list(call.vector(0))}, the file says {list(call.shape)}")
    return np.full(call.shape, call.inputs[1].reshape(-1)[0])


def _broadcast_to(call: Call) -> Array:
    if call.vector(1) != call.shape:
        raise ValueError(f"gives {list(call.vector(1))}, the file says {list(call.shape)}")
    return np.array(np.broadcast_to(call.inputs[0], call.shape))


def _broadcast_args(call: Call) -> Array:
    return np.array(np.broadcast_shapes(call.vector(0), call.vector(1)), np.int64)


def _reshape(call: Call) -> Array:
    return call.inputs[0].reshape(call.shape)


def _strided_slice(call: Call) -> Array:
    source = call.inputs[0]
    masks = {n: call.option(f"{n}_mask") for n in ("begin", "end", "shrink_axis")}
    if any(call.option(n) for n in ("ellipsis_mask", "new_axis_mask", "offset")):
        raise _Unknown  # TFLite Micro ignores them
    parts: list[slice | int] = []
    vectors = [call.vector(position) for position in (1, 2, 3)]
    for axis, (begin, end, step) in enumerate(zip(*vectors, strict=True)):
        bit = 1 << axis
        if masks["shrink_axis"] & bit:
            parts.append(begin)
        else:
            first = None if masks["begin"] & bit else begin
            parts.append(slice(first, None if masks["end"] & bit else end, step))
    return np.asarray(source[tuple(parts)])


def _slice(call: Call) -> Array:
    source, begins, sizes = call.inputs[0], call.vector(1), call.vector(2)
    parts = []
    for size, begin, count in zip(source.shape, begins, sizes, strict=True):
        end = size if count == -1 else begin + count
        if not 0 <= begin <= end <= size:
            raise ValueError(f"{begin} to {end} of a dimension of {size}")
        parts.append(slice(begin, end))
    return np.asarray(source[tuple(parts)])


def _gather(call: Call) -> Array:
    source, picked = call.inputs
    if call.option("batch_dims"):
        raise _Unknown
    axis = _axis(call.option("axis"), source.ndim)
    shape = (*source.shape[:axis], *picked.shape, *source.shape[axis + 1 :])
    if shape != call.shape or picked.dtype.kind != "i" or picked.min(initial=0) < 0:
        raise ValueError(f"gives {list(shape)}, the file says {list(call.shape)}")
    return np.take(source, picked, axis=axis)


def _tile(call: Call) -> Array:
    source, counts = call.inputs[0], call.vector(1)
    shape = tuple(s * c for s, c in zip(source.shape, counts, strict=True))
    if shape != call.shape:
        raise ValueError(f"gives {list(shape)}, the file says {list(call.shape)}")
    return np.tile(source, counts)


def _select(call: Call) -> Array:
    shape = np.broadcast_shapes(*(v.shape for v in call.inputs))
    if shape != call.shape or call.inputs[0].dtype != np.bool_:
        raise ValueError(f"gives {list(shape)}, the file says {list(call.shape)}")
    return np.where(*call.inputs)


def _counted(call: Call, option: str, count: int) -> None:
    """TFLite Micro follows the number in the options, not the list."""
    if call.option(option) != count:
        raise ValueError(f"{option} is {call.option(option)} for {count} tensors")


def _split(call: Call) -> Sequence[Array]:
    _counted(call, "num_splits", len(call.outputs))
    axis = _axis(call.vector(0)[0], call.inputs[1].ndim)
    return np.split(call.inputs[1], len(call.outputs), axis=axis)


def _unpack(call: Call) -> Sequence[Array]:
    _counted(call, "num", len(call.outputs))
    source = call.inputs[0]
    return list(np.moveaxis(source, _axis(call.option("axis"), source.ndim), 0))


def _pack(call: Call) -> Array:
    _counted(call, "values_count", len(call.inputs))
    return np.stack(call.inputs, axis=_axis(call.option("axis"), call.inputs[0].ndim + 1))


def _concatenate(call: Call) -> Array:
    if call.option("activation"):
        raise _Unknown
    return np.concatenate(call.inputs, axis=_axis(call.option("axis"), call.inputs[0].ndim))


def _transpose(call: Call) -> Array:
    return call.inputs[0].transpose(call.vector(1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How one operator is evaluated."""

    evaluate: Evaluator
    inputs: tuple[int, int]  # fewest and most
    values: tuple[int, int] = (0, MANY)  # the inputs of the output's type; others: axes, places
    boolean: bool = False  # the output is bool
    kinds: str = "bif"  # of numpy's types, of those inputs

    def fits(self, inputs: Sequence[str], outputs: Sequence[str]) -> bool:
        """Whether a converter combines these types."""
        own = set(inputs[slice(*self.values)])
        expected = {"bool"} if self.boolean else own
        known = all(np.dtype(name).kind in self.kinds for name in own)
        return known and len(own) <= 1 and (not own or set(outputs) == expected)


def _same(function: Callable[..., Array], inputs: int, kinds: str = "if") -> Rule:
    """Element by element."""
    return Rule(evaluate=_elementwise(function), inputs=(inputs, inputs), kinds=kinds)


def _compared(function: Callable[..., Array]) -> Rule:
    return Rule(evaluate=_elementwise(function), inputs=(2, 2), boolean=True)


def _reduced(function: Callable[..., Array], kinds: str = "if") -> Rule:
    return Rule(evaluate=_reduce(function), inputs=(2, 2), values=(0, 1), kinds=kinds)


def _moved(evaluate: Evaluator, fewest: int, most: int) -> Rule:
    """The first input under another shape or in parts."""
    return Rule(evaluate=evaluate, inputs=(fewest, most), values=(0, 1))


SHAPES = ("SHAPE", "RANK")  # of any tensor: its values do not matter
EVALUATORS: Mapping[str, Rule] = {
    "ABS": _same(np.abs, 1),
    "ADD": _same(np.add, 2),
    "BROADCAST_ARGS": Rule(evaluate=_broadcast_args, inputs=(2, 2)),
    "BROADCAST_TO": _moved(_broadcast_to, 2, 2),
    "CAST": Rule(evaluate=_cast, inputs=(1, 1), values=(0, 0)),
    "CEIL": _same(np.ceil, 1),
    "CONCATENATION": Rule(evaluate=_concatenate, inputs=(1, MANY)),
    "DIV": _same(_divide, 2),
    "EQUAL": _compared(np.equal),
    "EXPAND_DIMS": _moved(_reshape, 2, 2),
    "FILL": Rule(evaluate=_fill, inputs=(2, 2), values=(1, 2)),
    "FLOOR": _same(np.floor, 1),
    "FLOOR_DIV": _same(_floor_divide, 2),
    "FLOOR_MOD": _same(_floor_mod, 2),
    "GATHER": _moved(_gather, 2, 2),
    "GREATER": _compared(np.greater),
    "GREATER_EQUAL": _compared(np.greater_equal),
    "LESS": _compared(np.less),
    "LESS_EQUAL": _compared(np.less_equal),
    "LOGICAL_AND": _same(np.logical_and, 2, "b"),
    "LOGICAL_NOT": _same(np.logical_not, 1, "b"),
    "LOGICAL_OR": _same(np.logical_or, 2, "b"),
    "MAXIMUM": _same(np.maximum, 2),
    "MINIMUM": _same(np.minimum, 2),
    "MUL": _same(np.multiply, 2),
    "NEG": _same(np.negative, 1),
    "NOT_EQUAL": _compared(np.not_equal),
    "PACK": Rule(evaluate=_pack, inputs=(1, MANY)),
    "RANGE": Rule(evaluate=_range, inputs=(3, 3), kinds="if"),
    "REDUCE_ALL": _reduced(np.all, "b"),
    "REDUCE_ANY": _reduced(np.any, "b"),
    "REDUCE_MAX": _reduced(np.max),
    "REDUCE_MIN": _reduced(np.min),
    "REDUCE_PROD": _reduced(np.prod),
    "RESHAPE": _moved(_reshape, 1, 2),
    "SELECT": Rule(evaluate=_select, inputs=(3, 3), values=(1, 3)),
    "SELECT_V2": Rule(evaluate=_select, inputs=(3, 3), values=(1, 3)),
    "SLICE": _moved(_slice, 3, 3),
    "SPLIT": Rule(evaluate=_split, inputs=(2, 2), values=(1, 2)),
    "SQUEEZE": _moved(_reshape, 1, 1),
    "STRIDED_SLICE": _moved(_strided_slice, 4, 4),
    "SUB": _same(np.subtract, 2),
    "SUM": _reduced(np.sum),
    "TILE": _moved(_tile, 2, 2),
    "TRANSPOSE": _moved(_transpose, 2, 2),
    "UNPACK": _moved(_unpack, 1, 1),
    "ZEROS_LIKE": _same(np.zeros_like, 1, "bif"),
}


# What is read of operators that only this module knows.
_OPTIONS: Mapping[str, Options] = {"DIV": {"activation": (0, "i8", 0)}} | {
    name: {"keep_dims": (0, "bool", 0)} for name in EVALUATORS if name.startswith("REDUCE_")
}
EVALUATED: dict[str, Signature] = {
    name: Signature(inputs=(1, 1), outputs=(1, 1), table=0, options=NO_OPTIONS) for name in SHAPES
} | {
    name: Signature(
        inputs=rule.inputs, outputs=(1, 1), table=0, options=_OPTIONS.get(name, NO_OPTIONS)
    )
    for name, rule in EVALUATORS.items()
    if name not in OPS
}
