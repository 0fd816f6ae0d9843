"""Numbers without a scale: int32, int64 and bool, such as indices, counts and masks.

TFLite Micro computes them in two's complement; where a sum overflows, it wraps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from quantize.ops.base import (
    Array,
    CCall,
    OpSpec,
    c_int,
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
from quantize.tflite.signatures import NO_OPTIONS, Signature, signature

C_TYPES = {
    "bool": "NN_U8",
    "float32": "NN_F32",
    "int16": "NN_S16",
    "int32": "NN_S32",
    "int64": "NN_S64",
    "int8": "NN_S8",
}
TYPES = ("int32", "int64", "bool")


def _quotient(a: Array, b: Array) -> Array:
    """Of int32 values, towards zero; no divisor is 0."""
    wide = np.abs(a.astype(np.int64)) // np.abs(b.astype(np.int64))
    return (wide * np.sign(a) * np.sign(b)).astype(np.int32)


# the types that TFLite Micro computes each operator in
BINARY: dict[str, tuple[tuple[str, ...], Callable[[Array, Array], Array]]] = {
    "ADD": (("int32",), np.add),
    "DIV": (("int32",), _quotient),
    "LOGICAL_AND": (("bool",), np.logical_and),
    "LOGICAL_OR": (("bool",), np.logical_or),
    "MAXIMUM": (("int32", "int64"), np.maximum),
    "MINIMUM": (("int32", "int64"), np.minimum),
    "MUL": (("int32",), np.multiply),
    "SQUARED_DIFFERENCE": (("int32",), lambda a, b: np.square(a - b)),
    "SUB": (("int32",), np.subtract),
}
# a fused activation's smallest and largest output
ACTIVATIONS = {
    0: (-(2**31), 2**31 - 1),
    1: (0, 2**31 - 1),
    2: (-1, 1),
    3: (0, 6),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BinaryInteger:
    """A function of two integers or truth values, with broadcasting, then a clamp of int32."""

    name: str
    dtype: str
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    output_shape: tuple[int, ...]
    act_min: int
    act_max: int

    @property
    def in_place(self) -> tuple[int, ...]:
        return full_operands(self)

    def reference(self, inputs: Sequence[Array]) -> Array:
        """Two shapes that broadcast -> what they broadcast to."""
        value = BINARY[self.name][1](inputs[0], inputs[1])
        if self.dtype == "int32":
            value = np.clip(value, np.int32(self.act_min), np.int32(self.act_max))
        return value

    def call(self) -> CCall:
        """The kernel call."""
        params = {
            "walk": c_broadcast(*self.shapes, self.output_shape),
            "function": f"NN_I_{self.name}",
            "type": C_TYPES[self.dtype],
            "act_min": c_int(self.act_min),
            "act_max": c_int(self.act_max),
        }
        return CCall(
            function="nn_binary_int", params_type="nn_binary_int_t", params=params, inputs=(0, 1)
        )


def same_type(op: Operator, *tensors: Tensor) -> None:
    """Refuse tensors of different types."""
    types = [t.dtype for t in tensors]
    if len(set(types)) > 1:
        raise malformed(op, f"its tensors are {', '.join(types)}")


def prepare_binary(graph: Graph, op: Operator) -> BinaryInteger:
    """Check a function of two integers; either may be a constant."""
    a, b, target = graph.input(op, 0), graph.input(op, 1), graph.output(op)
    types = BINARY[op.name][0]
    if a.dtype not in types:
        raise refuse(op, f"input 0 is {a.dtype}", f"TFLite Micro takes {' or '.join(types)} there")
    same_type(op, a, b, target)
    check_shape(op, target, broadcast_shape(op, a.shape, b.shape))
    if op.name == "DIV" and (b.data is None or not np.all((b.data != 0) & (b.data != -1))):
        fix = "TFLite Micro aborts on 0, and on -2**31 by -1; divide by other constants"
        raise refuse(op, "a divisor is computed at run time, 0 or -1", fix)
    activation = int(op.options.get("activation", 0))
    if activation not in ACTIVATIONS:
        raise malformed(op, f"fused activation {activation}, expected 0 to 3")
    if activation and op.name == "ADD":
        fix = "TFLite Micro ignores it; export it as an operator of its own"
        raise refuse(op, f"fused activation {activation} of {a.dtype}", fix)
    low, high = ACTIVATIONS[activation]
    return BinaryInteger(
        name=op.name,
        dtype=a.dtype,
        shapes=(a.shape, b.shape),
        output_shape=target.shape,
        act_min=low,
        act_max=high,
    )


def with_integers(spec: OpSpec[Any]) -> OpSpec[Any]:
    """The operator for numbers without a scale as well."""

    def is_plain(graph: Graph, op: Operator) -> bool:
        return graph.input(op, 0).dtype in TYPES

    return with_kind(spec, is_plain, prepare_binary, BinaryInteger, Rounding.NONE)


def plain_spec(
    name: str,
    max_version: int,
    signature: Signature,
    prepare: Callable[[Graph, Operator], Any],
    rounding: Rounding | Callable[[Any], Rounding] = Rounding.NONE,
) -> OpSpec[Any]:
    """An operator whose params hold its reference, its call, and where it runs in place."""
    return OpSpec(
        name=name,
        max_version=max_version,
        signature=signature,
        prepare=prepare,
        reference=lambda p, inputs: p.reference(inputs),
        calls=lambda p: (p.call(),),
        rounding=rounding,
        int16_rounding=None,
        macs=no_macs,
        in_place=lambda p: p.in_place,
        alias=no_alias,
        state=(),
        ranges=Without(reason="any value of the type may come out"),
        folding=Without(reason="no network has lost a channel here yet"),
        advice=Without(reason="it does not rescale"),
        kernels=reference_kernels("it takes one value after another on every core"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """Each element as another type; `invert` of a truth value."""

    dtypes: tuple[str, str]
    elements: int
    invert: bool = False

    @property
    def in_place(self) -> tuple[int, ...]:
        sizes = [np.dtype(d).itemsize for d in self.dtypes]
        return (0,) if sizes[0] == sizes[1] else ()

    def reference(self, inputs: Sequence[Array]) -> Array:
        """Any shape -> the same shape."""
        if self.invert:
            return np.logical_not(inputs[0])
        values = inputs[0]
        if values.dtype.kind == "f" and self.dtypes[1] != "float32":
            limits = np.iinfo(self.dtypes[1])
            exact = np.nan_to_num(
                np.trunc(values.astype(np.float64)), posinf=2.0**32, neginf=-(2.0**32)
            )
            values = np.clip(exact, limits.min, limits.max)
        return values.astype(self.dtypes[1])

    def call(self) -> CCall:
        """The kernel call."""
        params = {
            "count": str(self.elements),
            "input_type": C_TYPES[self.dtypes[0]],
            "output_type": C_TYPES[self.dtypes[1]],
            "flip": str(int(self.invert)),
        }
        return CCall(function="nn_cast", params_type="nn_cast_t", params=params)


CAST_INPUTS = ("int8", "int16", "int32", "float32", "bool")
CAST_OUTPUTS = ("int8", "int16", "int32", "float32")


def _run_time(graph: Graph, op: Operator) -> tuple[Tensor, Tensor]:
    source, target = graph.input(op, 0), graph.output(op)
    if source.data is not None:
        raise refuse(op, "input 0 is a constant", "fold it when exporting the model")
    check_shape(op, target, source.shape)
    return source, target


def prepare_cast(graph: Graph, op: Operator) -> Cast:
    """Check a CAST: stored integers, without regard to scales."""
    source, target = _run_time(graph, op)
    if source.dtype not in CAST_INPUTS or target.dtype not in CAST_OUTPUTS:
        fix = f"TFLite Micro casts {', '.join(CAST_INPUTS)} to {', '.join(CAST_OUTPUTS)}"
        raise refuse(op, f"{source.dtype} to {target.dtype}", fix)
    return Cast(dtypes=(source.dtype, target.dtype), elements=source.elements)


def prepare_not(graph: Graph, op: Operator) -> Cast:
    """Check a LOGICAL_NOT."""
    source, target = _run_time(graph, op)
    same_type(op, source, target)
    if source.dtype != "bool":
        raise malformed(op, f"input 0 is {source.dtype}, expected bool")
    return Cast(dtypes=("bool", "bool"), elements=source.elements, invert=True)


PAIR = signature(inputs=2, table=0, options=NO_OPTIONS)
ONE = signature(inputs=1, table=0, options=NO_OPTIONS)
SPECS = (
    plain_spec("CAST", 6, ONE, prepare_cast),
    plain_spec("LOGICAL_AND", 1, PAIR, prepare_binary),
    plain_spec("LOGICAL_NOT", 1, ONE, prepare_not),
    plain_spec("LOGICAL_OR", 1, PAIR, prepare_binary),
)
