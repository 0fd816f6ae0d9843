"""How operators of constants are evaluated: int32, int64, bool, and float32 as far as it is moved.

Sources: the operators' definitions in TensorFlow Lite; values are those of its kernels, integers as
two's complement. What quantize.ops computes in float32 is not done here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from quantize.tflite.graph import Operator, Tensor
from quantize.tflite.signatures import MANY

Array = npt.NDArray[Any]


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
            raise BadValue(f"input {position} is {values.dtype}, expected integers")
        return tuple(int(v) for v in values.reshape(-1))


class Unknown(Exception):
    """A form of an operator that is not evaluated here."""


class BadValue(Exception):
    """Values that the operator has no result for, of any shape; a ValueError is of shapes."""


Evaluator = Callable[[Call], Array | Sequence[Array]]


def _elementwise(function: Callable[..., Array]) -> Evaluator:
    def evaluate(call: Call) -> Array:
        if call.option("activation"):
            raise Unknown
        shape = np.broadcast_shapes(*(v.shape for v in call.inputs))
        if shape != call.shape:
            raise ValueError(f"gives {list(shape)}, the file says {list(call.shape)}")
        return np.asarray(function(*call.inputs))

    return evaluate


def _divide(a: Array, b: Array) -> Array:
    """Of integers: towards zero."""
    _nonzero(b)
    floor, rest = np.divmod(np.int64(0) + a, np.int64(0) + b)
    return np.asarray(floor + ((rest != 0) & ((a < 0) != (b < 0))))


def _floor_divide(a: Array, b: Array) -> Array:
    _nonzero(b)
    if a.dtype.kind == "f":  # of the quotient of double precision
        return np.floor(a.astype(np.float64) / b)
    return np.asarray(np.floor_divide(a, b))


def _floor_mod(a: Array, b: Array) -> Array:
    _nonzero(b)
    if a.dtype.kind == "f":  # the rest has the dividend's sign, also when it is 0
        rest = np.fmod(a, b)
        return np.where((rest != 0) & ((b < 0) != (rest < 0)), rest + b, rest)
    return np.asarray(np.mod(a, b))


def _nonzero(divisor: Array) -> None:
    if not divisor.all():
        raise BadValue("a division by zero")


def _reduce(function: Callable[..., Array]) -> Evaluator:
    def evaluate(call: Call) -> Array:
        if call.inputs[0].dtype.kind == "f":
            raise Unknown  # a sum depends on its order
        axes = tuple(sorted({_axis(a, call.inputs[0].ndim) for a in call.vector(1)}))
        keep = bool(call.option("keep_dims"))
        return np.asarray(function(call.inputs[0], axis=axes, keepdims=keep))

    return evaluate


def _axis(axis: int, rank: int) -> int:
    if not -rank <= axis < rank:
        raise BadValue(f"axis {axis} of {rank} dimensions")
    return axis % rank


def _cast(call: Call) -> Array:
    source, target = call.inputs[0], np.dtype(call.outputs[0].dtype)
    if source.dtype.kind == "f" and target.kind == "i":
        limits = np.iinfo(target)
        if not np.all((source >= limits.min) & (source < -float(limits.min))):
            raise BadValue(f"a value outside of {target}")
    return source.astype(target)


def _range(call: Call) -> Array:
    start, limit, delta = (v.reshape(-1)[0].item() for v in call.inputs)
    if isinstance(delta, float) or delta == 0:
        raise BadValue(f"RANGE by {delta}, expected integers")
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
        raise Unknown  # TFLite Micro ignores them
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
        raise Unknown
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
        raise BadValue(f"{option} is {call.option(option)} for {count} tensors")


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
        raise Unknown
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
