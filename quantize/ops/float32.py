"""float32 between two quantised parts: what IEEE 754 defines to the last bit.

A converter leaves operators in float that TFLite has no int8 kernel for. Sums, products, quotients
and roots are the same on every core; which NaN an operation gives is not, so that `_settle` and
firmware/kernels/nn_float.h choose one: the first operand's, made quiet, else NAN.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from quantize.errors import UnsupportedOperator
from quantize.ops.base import (
    Array,
    CCall,
    OpSpec,
    c_float,
    check_shape,
    malformed,
    no_alias,
    no_macs,
    refuse,
    with_kind,
)
from quantize.ops.broadcast import broadcast_shape, c_broadcast, full_operands
from quantize.ops.rules import Without, reference_kernels
from quantize.scheme import Rounding
from quantize.tflite.graph import Graph, Operator, Tensor
from quantize.tflite.signatures import Signature

FLOAT = "float32"
# whose last bits are the C library's: tables of what TFLite Micro itself answers, or refused
LIBRARY = frozenset(
    ("CEIL", "COS", "ELU", "EXP", "FLOOR", "HARD_SWISH", "LOG", "LOGISTIC", "ROUND", "SIN", "TANH")
)
NAN = np.uint32(0xFFC00000).view(np.float32)
QUIET = np.uint32(0x00400000)
SIGN = np.uint32(0x80000000)
LARGEST = float(np.finfo(np.float32).max)
PRELU_RANK = 4
ONE, SIX = np.float32(1), np.float32(6)
# a fused activation's smallest and largest output: TFLite Micro has no infinite ones
ACTIVATIONS = {0: (-LARGEST, LARGEST), 1: (0.0, LARGEST), 2: (-1.0, 1.0), 3: (0.0, 6.0)}

Floats = npt.NDArray[np.float32]


def _bits(x: Floats) -> npt.NDArray[np.uint32]:
    return np.asarray(x, np.float32).view(np.uint32)


def _quiet(x: Floats) -> Floats:
    return np.asarray(_bits(x) | QUIET).view(np.float32)


def _settle(result: Floats, a: Floats, b: Floats) -> Floats:
    """`result` of an operation on `a` and `b`; all broadcast together."""
    if not np.isnan(result).any():
        return result
    chosen = np.where(np.isnan(a), _quiet(a), np.where(np.isnan(b), _quiet(b), NAN))
    return np.where(np.isnan(result), chosen, result).astype(np.float32)


def _multiply(a: Floats, b: Floats) -> Floats:
    return _settle(a * b, a, b)


def _difference(a: Floats, b: Floats) -> Floats:
    return _settle(a - b, a, b)


def _squared_difference(a: Floats, b: Floats) -> Floats:
    difference = _difference(a, b)
    return _multiply(difference, difference)


def _root(x: Floats) -> Floats:
    return _settle(np.sqrt(x), x, x)


def _reciprocal_root(x: Floats) -> Floats:
    root = _root(x)
    return _settle(np.divide(ONE, root), root, root)


BINARY: dict[str, Callable[[Floats, Floats], Floats]] = {
    "ADD": lambda a, b: _settle(a + b, a, b),
    "DIV": lambda a, b: _settle(a / b, a, b),
    "MAXIMUM": lambda a, b: np.where(a > b, a, b),
    "MINIMUM": lambda a, b: np.where(a < b, a, b),
    "MUL": _multiply,
    "PRELU": lambda a, b: np.where(a >= 0, a, _multiply(a, b)),
    "SQUARED_DIFFERENCE": _squared_difference,
    "SUB": _difference,
}
UNARY: dict[str, Callable[[Floats, Floats], Floats]] = {  # of x and alpha
    "ABS": lambda x, _: (_bits(x) & ~SIGN).view(np.float32),
    "LEAKY_RELU": lambda x, alpha: np.where(x > 0, x, _multiply(x, alpha)),
    "NEG": lambda x, _: (_bits(x) ^ SIGN).view(np.float32),
    "RELU": lambda x, _: np.where(x < 0, np.float32(0), x),
    "RELU6": lambda x, _: np.where(x > SIX, SIX, np.where(x < 0, np.float32(0), x)),
    "RSQRT": lambda x, _: _reciprocal_root(x),
    "SQRT": lambda x, _: _root(x),
    "SQUARE": lambda x, _: _multiply(x, x),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class UnaryFloat:
    """A function of one float; inputs of any shape."""

    name: str
    elements: int
    alpha: float = 0.0

    @property
    def in_place(self) -> tuple[int, ...]:
        return (0,)

    def reference(self, inputs: Sequence[Array]) -> Array:
        """Any shape -> the same shape."""
        with np.errstate(all="ignore"):
            return UNARY[self.name](inputs[0], np.asarray(self.alpha, np.float32))

    def call(self) -> CCall:
        """The kernel call."""
        params = {
            "count": str(self.elements),
            "function": f"NN_F_{self.name}",
            "alpha": c_float(self.alpha),
        }
        return CCall(function="nn_unary_f32", params_type="nn_unary_f32_t", params=params)


@dataclass(frozen=True, slots=True, kw_only=True)
class BinaryFloat:
    """A function of two floats, with broadcasting, then a clamp."""

    name: str
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    output_shape: tuple[int, ...]
    act_min: float
    act_max: float

    @property
    def in_place(self) -> tuple[int, ...]:
        return full_operands(self)

    def reference(self, inputs: Sequence[Array]) -> Array:
        """Two shapes that broadcast -> what they broadcast to."""
        with np.errstate(all="ignore"):
            value = BINARY[self.name](inputs[0], inputs[1])
            low, high = np.float32(self.act_min), np.float32(self.act_max)
            above = np.where(value < low, low, value)
            return np.where(high < above, high, above).astype(np.float32)

    def call(self) -> CCall:
        """The kernel call."""
        params = {
            "walk": c_broadcast(*self.shapes, self.output_shape),
            "function": f"NN_F_{self.name}",
            "act_min": c_float(self.act_min),
            "act_max": c_float(self.act_max),
        }
        function, kind = "nn_binary_f32", "nn_binary_f32_t"
        return CCall(function=function, params_type=kind, params=params, inputs=(0, 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReduceFloat:
    """A sum, mean or maximum over axes, element after element."""

    name: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    axes: tuple[int, ...]
    walk: dict[str, str]  # kept and reduced axes, as C

    @property
    def in_place(self) -> tuple[int, ...]:
        return ()

    @property
    def count(self) -> int:
        """Elements that one output is made of."""
        return math.prod(self.input_shape[a] for a in self.axes)

    def reference(self, inputs: Sequence[Array]) -> Array:
        """input_shape -> output_shape."""
        kept = [a for a in range(len(self.input_shape)) if a not in self.axes]
        rows = inputs[0].transpose([*kept, *self.axes]).reshape(-1, self.count)
        with np.errstate(all="ignore"):
            values = _largest(rows) if self.name == "REDUCE_MAX" else _sums(rows)
            if self.name == "MEAN":
                values = _settle(values / np.float32(self.count), values, values)
        return values.astype(np.float32).reshape(self.output_shape)

    def call(self) -> CCall:
        """The kernel call."""
        count = c_float(float(np.float32(self.count)))
        params = self.walk | {"function": f"NN_F_{self.name}", "count": count}
        return CCall(function="nn_reduce_f32", params_type="nn_reduce_f32_t", params=params)


def _sums(rows: Floats) -> Floats:
    """[n, count] -> [n]: each row added up from 0, one by one."""
    start = np.zeros((len(rows), 1), np.float32)
    totals = np.add.accumulate(np.concatenate([start, rows], axis=1), axis=1, dtype=np.float32)
    first = np.isnan(totals).argmax(axis=1)  # where a sum becomes NaN it stays that NaN
    guilty = np.take_along_axis(rows, np.maximum(first - 1, 0)[:, None], axis=1)[:, 0]
    return _settle(totals[:, -1], guilty, guilty)


def _largest(rows: Floats) -> Floats:
    numbers = np.where(np.isnan(rows), np.float32(-LARGEST), rows)
    largest: Floats = np.maximum(numbers.max(axis=1), np.float32(-LARGEST))
    return largest


FloatParams = UnaryFloat | BinaryFloat | ReduceFloat
Prepare = Callable[[Graph, Operator], FloatParams]


def is_float(graph: Graph, op: Operator) -> bool:
    """Whether the operator's first input is float32."""
    return graph.input(op, 0).dtype == FLOAT


def float_output(graph: Graph, op: Operator) -> Tensor:
    """The output, which has to be float32 too."""
    target = graph.output(op)
    if target.dtype != FLOAT:
        raise malformed(op, f"input is {FLOAT}, output {target.dtype}")
    return target


def float_input(graph: Graph, op: Operator) -> Tensor:
    """The first input, computed at run time."""
    source = graph.input(op, 0)
    if source.data is not None:
        raise refuse(op, "input 0 is a constant", "fold it when exporting the model")
    return source


def prepare_unary(graph: Graph, op: Operator) -> UnaryFloat:
    """Check a function of one float."""
    source = float_input(graph, op)
    check_shape(op, float_output(graph, op), source.shape)
    alpha = float(op.options.get("alpha", 0.0))
    if not math.isfinite(alpha):
        raise refuse(op, f"alpha is {alpha}", "expected a finite number")
    return UnaryFloat(name=op.name, elements=source.elements, alpha=alpha)


def prepare_binary(graph: Graph, op: Operator) -> BinaryFloat:
    """Check a function of two floats; either may be a constant."""
    a, b = (graph.input(op, position) for position in (0, 1))
    if b.dtype != FLOAT:
        raise malformed(op, f"inputs are {a.dtype} and {b.dtype}")
    target = float_output(graph, op)
    check_shape(op, target, broadcast_shape(op, a.shape, b.shape))
    if op.name == "PRELU" and (a.data is not None or target.shape != a.shape):
        raise malformed(op, f"alpha {list(b.shape)} for input {list(a.shape)}")
    if op.name == "PRELU" and len(a.shape) > PRELU_RANK:
        fix = f"TFLite Micro aborts over {PRELU_RANK}; reshape it"
        raise refuse(op, f"input has {len(a.shape)} dimensions", fix)
    low, high = -math.inf, math.inf
    if "activation" in op.options:
        activation = int(op.options["activation"])
        if activation not in ACTIVATIONS:
            raise malformed(op, f"fused activation {activation}, expected 0 to 3")
        low, high = ACTIVATIONS[activation]
    return BinaryFloat(
        name=op.name,
        shapes=(a.shape, b.shape),
        output_shape=target.shape,
        act_min=low,
        act_max=high,
    )


def refuse_library(op: Operator) -> UnsupportedOperator:
    """The error for a function that could not become a table of 256 answers."""
    return refuse(
        op,
        "compiles as a table only: in float32, of one int8 tensor, element by element",
        "TFLite or TFLite Micro has no int8 kernel for it there; use RELU, RELU6, LEAKY_RELU, TANH "
        "or LOGISTIC, or put a QUANTIZE and DEQUANTIZE before it (fake quantisation in training)",
    )


def prepare_library(_: Graph, op: Operator) -> FloatParams:
    """Refuse what quantize.tflite.float_tables has left of a library's functions."""
    raise refuse_library(op)


def with_float(spec: OpSpec[Any], prepare: Callable[[Graph, Operator], Any]) -> OpSpec[Any]:
    """The operator for float32 as well; `prepare` checks it there."""
    rounding = Rounding.NONE if spec.rounding is Rounding.NONE else Rounding.FLOAT
    return with_kind(spec, is_float, prepare, FloatParams, rounding)


def float_spec(
    name: str, max_version: int, signature: Signature, prepare: Prepare
) -> OpSpec[FloatParams]:
    """An operator that compiles in float32 only."""

    def only_float(graph: Graph, op: Operator) -> FloatParams:
        if not is_float(graph, op):
            dtype = graph.input(op, 0).dtype
            fix = "write it with operators that are, or keep it between DEQUANTIZE and QUANTIZE"
            raise refuse(op, f"{dtype} is not compiled, {FLOAT} is", fix)
        return prepare(graph, op)

    return OpSpec(
        name=name,
        max_version=max_version,
        signature=signature,
        prepare=only_float,
        reference=lambda p, inputs: p.reference(inputs),
        calls=lambda p: (p.call(),),
        rounding=Rounding.FLOAT,
        int16_rounding=None,
        macs=no_macs,
        in_place=lambda p: p.in_place,
        alias=no_alias,
        state=(),
        ranges=Without(reason="its outputs are floats"),
        folding=Without(reason="its outputs are floats, whose channels all stay"),
        advice=Without(reason="floats do not saturate"),
        kernels=reference_kernels("floats are computed one by one on every core"),
    )
