"""What an operator module provides, and the shape and quantisation checks that they share."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar, overload

import numpy as np
import numpy.typing as npt

from quantize.errors import Malformed, UnsupportedOperator
from quantize.ops.rules import Advice, FoldRule, Kernels, RangeRule, SumRule, Without
from quantize.scheme import (
    QuantParams,
    Requant,
    Rounding,
    narrow_multiplier,
    quantize_multiplier,
)
from quantize.tflite.graph import Graph, Operator, Tensor
from quantize.tflite.signatures import Signature

MAX_BIAS = 1 << 46  # where sums have 64 bits: TFLite Micro's rescaling takes less than 2**47
MAX_WINDOW = 1 << 14  # TFLite Micro keeps strides and padding in 16 bits
MAX_TAPS = 1 << 24  # output elements times window positions, per channel

BORDER = ("border_top", "border_bottom", "border_left", "border_right")  # options of `border`

INT8 = ("int8",)
INT8_OR_INT16 = ("int8", "int16")

P = TypeVar("P")
Int8Array = npt.NDArray[np.int8]
Array = npt.NDArray[Any]  # the value of a tensor of any type


@dataclass(frozen=True, slots=True, kw_only=True)
class CConstant:
    """An array that model.c holds in flash."""

    suffix: str  # 'weights', 'bias', 'requant'
    ctype: str  # 'int8_t', 'int32_t', 'nn_requant_t'
    values: Sequence[str]  # C initialisers
    bytes: int
    weight_bytes: int = 0  # of these, packed weights
    bias_bytes: int = 0  # and what sums begin with


@dataclass(frozen=True, slots=True, kw_only=True)
class CCall:
    """One kernel call in model.c: function(&params, inputs..., outputs...)."""

    function: str
    params_type: str
    params: dict[str, str]  # field -> C initialiser; a value '@weights' points to that constant
    constants: tuple[CConstant, ...] = ()
    inputs: tuple[int, ...] = (0,)  # positions of the operator's inputs that the kernel takes
    outputs: tuple[int, ...] = (0,)
    first_input: int = 0  # element of its inputs at which the kernel begins
    first_output: int = 0
    scratch_bytes: int = 0  # above 0: the kernel's last argument is that much of the arena


@dataclass(frozen=True, slots=True, kw_only=True)
class OpSpec(Generic[P]):
    """All about one operator. No field has a default: what an operator has not, it says.

    `prepare` checks it and computes the integers that both its reference and its kernel use, so
    that the two cannot differ in a parameter.
    """

    name: str
    max_version: int
    signature: Signature
    prepare: Callable[[Graph, Operator], P]
    reference: Callable[[P, Sequence[Array]], Array | tuple[Array, ...]]
    calls: Callable[[P], tuple[CCall, ...]]  # of the reference kernels; () for an alias
    # a function where it depends on more than the type
    rounding: Rounding | Callable[[P], Rounding]
    # None: as for int8, or int16 is refused
    int16_rounding: Rounding | Callable[[P], Rounding] | None
    macs: Callable[[P], int]
    # positions of inputs whose element i is read before output element i is written, and not after
    in_place: Callable[[P], tuple[int, ...]]
    # the output is the first input's bytes: no kernel, the two share memory
    alias: Callable[[P], bool]
    state: tuple[int, ...]  # inputs that are variable; reference returns them after outputs
    ranges: RangeRule[P] | SumRule[P] | Without  # without: any value of the type may come out
    folding: FoldRule[P] | Without  # without: all channels of inputs and outputs stay
    advice: Advice | Without
    kernels: Kernels


def with_kind(
    spec: OpSpec[Any],
    applies: Callable[[Graph, Operator], bool],
    prepare: Callable[[Graph, Operator], Any],
    kind: Any,  # a class, or several as a union
    rounding: Rounding,
) -> OpSpec[Any]:
    """The operator for another kind of numbers too: where it `applies`, `prepare` gives a `kind`,
    whose `reference`, `call` and `in_place` count then, and which rounds so."""

    def either(graph: Graph, op: Operator) -> Any:
        return (prepare if applies(graph, op) else spec.prepare)(graph, op)

    def run(p: Any, inputs: Sequence[Array]) -> Array | tuple[Array, ...]:
        return p.reference(inputs) if isinstance(p, kind) else spec.reference(p, inputs)

    return replace(
        spec,
        prepare=either,
        reference=run,
        calls=lambda p: (p.call(),) if isinstance(p, kind) else spec.calls(p),
        in_place=lambda p: p.in_place if isinstance(p, kind) else spec.in_place(p),
        rounding=lambda p: rounding if isinstance(p, kind) else rounding_of(spec.rounding, p),
    )


def rounding_of(rounding: Rounding | Callable[[P], Rounding], params: P) -> Rounding:
    """How an operator with these params rounds."""
    return rounding if isinstance(rounding, Rounding) else rounding(params)


def no_macs(_: object) -> int:
    """Of an operator that does not multiply and add."""
    return 0


def not_in_place(_: object) -> tuple[int, ...]:
    """Of an operator that reads inputs after it has written outputs."""
    return ()


def no_alias(_: object) -> bool:
    """Of an operator that computes or moves its outputs."""
    return False


def refuse(op: Operator, what: str, fix: str) -> UnsupportedOperator:
    """The error for an attribute that no kernel implements."""
    return UnsupportedOperator(f"operator {op.index} {op.name} version {op.version}: {what}; {fix}")


def malformed(op: Operator, what: str) -> Malformed:
    """The error for an operator whose parts do not fit together."""
    return Malformed(f"operator {op.index} {op.name}: {what}")


def quantised(op: Operator, tensor: Tensor, role: str, dtypes: Sequence[str] = INT8) -> QuantParams:
    """The quantisation of a per-tensor activation of one of `dtypes`; int16 has zero point 0."""
    quant = per_tensor(op, tensor, role, dtypes)
    if tensor.dtype == "int16" and quant.zero_point[0] != 0:
        fix = "int16 is symmetric: its zero point is 0"
        raise refuse(op, f"{role} is int16 with zero point {quant.zero_point[0]}", fix)
    return quant


def per_tensor(op: Operator, tensor: Tensor, role: str, dtypes: Sequence[str]) -> QuantParams:
    """The one scale and zero point of a tensor of one of `dtypes`."""
    if tensor.dtype not in dtypes:
        fix = f"convert with post-training quantisation to {' or '.join(dtypes)}, ends included"
        if tensor.dtype == "int16":
            fix = f"TFLite Micro takes {' or '.join(dtypes)} there; put a QUANTIZE in between"
        raise refuse(op, f"{role} is {tensor.dtype}, expected {' or '.join(dtypes)}", fix)
    if tensor.quant is None or tensor.quant.per_channel:
        raise malformed(op, f"{role} needs exactly one scale and zero point")
    if tensor.quant.scale[0] == 0:
        fix = "TFLite Micro aborts on it; leave a constant of zeros out when building the model"
        raise refuse(op, f"{role} has scale 0", fix)
    return tensor.quant


def activation_input(
    graph: Graph, op: Operator, position: int, dtypes: Sequence[str] = INT8
) -> tuple[Tensor, QuantParams]:
    """An input of one of `dtypes` that is computed at run time, with its quantisation."""
    tensor = graph.input(op, position)
    quant = quantised(op, tensor, f"input {position}", dtypes)
    if tensor.data is not None:
        raise refuse(op, f"input {position} is a constant", "fold it when exporting the model")
    return tensor, quant


def operand(
    graph: Graph, op: Operator, position: int, dtypes: Sequence[str] = INT8
) -> tuple[Tensor, QuantParams]:
    """An input of one of `dtypes` that may be a constant, with its quantisation."""
    tensor = graph.input(op, position)
    return tensor, quantised(op, tensor, f"input {position}", dtypes)


def activation_output(
    graph: Graph, op: Operator, dtypes: Sequence[str]
) -> tuple[Tensor, QuantParams]:
    """The output of one of `dtypes`, with its quantisation."""
    tensor = graph.output(op)
    return tensor, quantised(op, tensor, "output", dtypes)


def int8_output(graph: Graph, op: Operator) -> tuple[Tensor, QuantParams]:
    """The output of an operator that knows int8 only, with its quantisation."""
    return activation_output(graph, op, INT8)


def int8_weights(
    graph: Graph, op: Operator, rank: int, dtypes: Sequence[str] = INT8, *, position: int = 1
) -> tuple[Tensor, QuantParams, Int8Array]:
    """Constant weights of the given rank with zero point 0; int4 ones have been unpacked."""
    tensor = graph.input(op, position)
    if tensor.dtype not in dtypes or tensor.data is None:
        fix = f"export constant {' or '.join(dtypes)} weights"
        raise refuse(op, f"weights are {tensor.dtype}", fix)
    if tensor.quant is None or any(tensor.quant.zero_point) or len(tensor.shape) != rank:
        raise malformed(op, f"weights need {rank} dimensions, a scale and zero point 0")
    return tensor, tensor.quant, tensor.data.astype(np.int8)


def weight_types(source: Tensor) -> tuple[str, ...]:
    """The types of weights that go with an activation: int4 with int8 only."""
    return ("int8", "int4") if source.dtype == "int8" else INT8


def int32_bias(
    graph: Graph, op: Operator, channels: int, *, position: int = 2
) -> npt.NDArray[np.int32]:
    """Constant int32 bias [channels]; zeros when absent."""
    values = _bias(graph, op, channels, position, ("int32",))
    return np.zeros(channels, np.int32) if values is None else values.astype(np.int32)


def sum_bias(
    graph: Graph, op: Operator, source: Tensor, channels: int, *, position: int = 2, other: str = ""
) -> Array:
    """Constant bias [channels] of sums of `source` times weights; its type is that of the sums.

    It is int32 for int8, int64 for int16, and for int16 it may be `other`, where TFLite Micro
    knows that: int32 keeps sums of 32 bits, int16 is widened.
    """
    if source.dtype == "int8":
        return int32_bias(graph, op, channels, position=position)
    values = _bias(graph, op, channels, position, ("int64", other) if other else ("int64",))
    if values is None:
        return np.zeros(channels, np.int64)
    low, high = int(values.min()), int(values.max())
    if max(-low, high) > MAX_BIAS:
        fix = "TFLite Micro's result is undefined; give the input and weights larger scales"
        raise refuse(op, f"its bias reaches from {low} to {high}, at most {MAX_BIAS}", fix)
    return values.astype(np.int32 if values.dtype == np.int32 else np.int64)


def _bias(
    graph: Graph, op: Operator, channels: int, position: int, dtypes: Sequence[str]
) -> Array | None:
    tensor = graph.optional_input(op, position)
    if tensor is None:
        return None
    if tensor.dtype not in dtypes or tensor.data is None:
        fix = f"export a constant {' or '.join(dtypes)} bias"
        raise refuse(op, f"bias is {tensor.dtype}", fix)
    if tensor.elements != channels:
        raise malformed(op, f"bias has {tensor.elements} values, expected {channels}")
    return tensor.data.reshape(-1)


def int_constant(graph: Graph, op: Operator, position: int) -> tuple[int, ...]:
    """A constant int32 vector such as axes or a shape."""
    tensor = graph.input(op, position)
    if tensor.data is None or tensor.dtype != "int32":
        raise refuse(op, f"input {position} is not a constant int32", "export a fixed shape")
    return tuple(int(v) for v in tensor.data.reshape(-1))


def check_shape(op: Operator, tensor: Tensor, expected: Sequence[int]) -> None:
    """Refuse an output whose declared shape is not the one that the operator computes."""
    if tensor.shape != tuple(expected):
        raise wrong_shape(
            op, tensor, expected, f"output shape is {list(tensor.shape)}, expected {list(expected)}"
        )


def wrong_shape(op: Operator, tensor: Tensor, expected: Sequence[int], what: str) -> Malformed:
    """The error for an output of another shape than the one that the operator computes."""
    error = malformed(op, what)
    error.tensor, error.shape = tensor.index, tuple(expected)
    return error


def channel_requants(
    source: QuantParams, weights: QuantParams, output: QuantParams, bias: Array
) -> tuple[Requant, ...]:
    """One factor input_scale * weight_scale / output_scale for each channel of the bias."""
    scales = weights.scale if weights.per_channel else weights.scale * len(bias)
    factors = (quantize_multiplier(source.scale[0] * s / output.scale[0]) for s in scales)
    return tuple(narrow_multiplier(f) if bias.dtype == np.int64 else f for f in factors)


def border(op: Operator) -> tuple[tuple[int, int], tuple[int, int]]:
    """Rows and columns (before, after) of padding that quantize.fuse put into a sliding window,
    in front of its own; no file has it."""
    before_h, after_h, before_w, after_w = (int(op.options.get(name, 0)) for name in BORDER)
    return (before_h, after_h), (before_w, after_w)


def window(
    op: Operator, size: int, kernel: int, stride: int, dilation: int, more: tuple[int, int] = (0, 0)
) -> tuple[int, int]:
    """(output size, padding before) of a sliding window along one axis, with `more` padding.

    SAME (padding 0) and VALID (padding 1) as TensorFlow defines them.
    """
    padding, size = op.options["padding"], size + sum(more)
    if stride < 1 or dilation < 1 or kernel < 1 or padding not in (0, 1):
        raise malformed(op, f"padding {padding}, stride {stride}, dilation {dilation}")
    effective = (kernel - 1) * dilation + 1
    if max(effective, stride) > MAX_WINDOW:
        raise refuse(op, f"a window of {effective} with stride {stride}", f"at most {MAX_WINDOW}")
    if padding == 1:
        if effective > size:
            raise malformed(op, f"a window of {effective} does not fit into {size}")
        return (size - effective) // stride + 1, more[0]
    out = -(-size // stride)
    return out, max((out - 1) * stride + effective - size, 0) // 2 + more[0]


def check_taps(op: Operator, output_shape: Sequence[int], kernel: Sequence[int]) -> None:
    """Refuse a sliding window with more taps than a board could compute in minutes."""
    taps = math.prod(output_shape) * math.prod(kernel)
    if taps > MAX_TAPS:
        raise refuse(op, f"{taps} taps of its window", f"at most {MAX_TAPS}; make it smaller")


def requant_constant(requants: Sequence[Requant]) -> CConstant:
    """The requantisation factors as a C array."""
    values = tuple(f"{{{r.multiplier}, {r.shift}}}" for r in requants)
    return CConstant(suffix="requant", ctype="nn_requant_t", values=values, bytes=8 * len(values))


class Integers(Sequence[str]):
    """The C literals of an integer array, made when they are asked for: weights are many, and most
    commands only count their bytes."""

    def __init__(self, data: Array) -> None:
        self._flat = data.reshape(-1)
        plain = data.dtype != np.bool_ and not np.isin(data, list(_SMALLEST)).any()
        self._literal = str if plain else c_int

    def __len__(self) -> int:
        return len(self._flat)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[str, ...]: ...
    def __getitem__(self, index: int | slice) -> str | tuple[str, ...]:
        if isinstance(index, slice):
            return tuple(map(self._literal, self._flat[index].tolist()))
        return c_int(int(self._flat[index]))

    def __iter__(self) -> Iterator[str]:
        return map(self._literal, self._flat.tolist())


def int_constant_array(suffix: str, ctype: str, data: Array) -> CConstant:
    """An integer array as a C array."""
    return CConstant(suffix=suffix, ctype=ctype, values=Integers(data), bytes=data.nbytes)


def float_constant_array(suffix: str, data: Array) -> CConstant:
    """A float32 array as a C array."""
    values = tuple(c_float(v) for v in data.reshape(-1))
    return CConstant(suffix=suffix, ctype="float", values=values, bytes=data.nbytes)


def c_float(value: float | np.floating[Any]) -> str:
    """A C literal of type float with exactly these bits, also of a NaN."""
    number = np.asarray(value, np.float32)
    bits = int(number.view(np.uint32))
    sign = "-" if bits >> 31 else ""
    if math.isnan(number):
        kind = "nanf" if bits >> 22 & 1 else "nansf"  # quiet or signalling
        return f'{sign}__builtin_{kind}("{bits & 0x3FFFFF:#x}")'
    if math.isinf(number):
        return f"{sign}__builtin_inff()"
    return float(number).hex() + "F"


_SMALLEST = {-(2**31): "INT32_MIN", -(2**63): "INT64_MIN"}
_SMALL = {value: str(value) for value in range(-128, 256)}  # shared: weights are many


def c_int(value: int) -> str:
    """A decimal C literal of type int32_t or int64_t; the smallest have none of their own."""
    return _SMALL.get(value) or _SMALLEST.get(value) or str(value)


def c_shape(shape: Sequence[int]) -> str:
    """A four-dimensional shape as an nn_shape_t initialiser."""
    return "{" + ", ".join(str(d) for d in shape) + "}"
