"""QUANTIZE and DEQUANTIZE: another scale, another integer type, or float32 at a model's ends.

int8 and uint8 meet float32 in tables of all their values; int16 has too many, so that its kernels
compute what single precision does from the bits of floats, without a floating point unit.

Where int32 does not hold a quotient, TFLite Micro's cast is undefined in C: a computer with x86 has
other bytes there than a Cortex-M, which saturates. Ours saturates, and `is_defined` tells the two.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quantize.ops.base import (
    Array,
    CCall,
    OpSpec,
    check_shape,
    float_constant_array,
    int_constant_array,
    malformed,
    no_alias,
    no_macs,
    not_in_place,
    refuse,
)
from quantize.ops.fold_rules import CHANNELWISE
from quantize.ops.range_rules import TABLE
from quantize.ops.rules import RESCALES, Kernels, Lowering, Without, reference_kernels
from quantize.scheme import (
    IntArray,
    QuantParams,
    Requant,
    Rounding,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    wrap32,
)
from quantize.tflite.graph import Graph, Operator, Tensor
from quantize.tflite.signatures import NO_OPTIONS, signature

C_TYPES = {"int8": "NN_S8", "uint8": "NN_U8", "int16": "NN_S16", "int32": "NN_S32"}
PAIRS = {
    ("int8", "int8"),
    ("int8", "int16"),
    ("int8", "int32"),
    ("int8", "uint8"),
    ("int16", "int8"),
    ("int16", "int16"),
    ("int16", "int32"),
    ("int32", "int8"),
    ("int32", "int16"),
    ("uint8", "int8"),
}
MIN_SCALE = 2.0**-100  # of int16 and float32: no product or quotient that matters is subnormal
MAX_QUOTIENT = 65536.0  # beyond, every zero point saturates
MAX_DEFINED = 2.0**31 - 2.0**16  # so that int32 holds a quotient and its sum with a zero point

_INFINITY = 0x7F800000  # the bits of an infinite float


@dataclass(frozen=True, slots=True, kw_only=True)
class RescaleParams:
    """The integers of a QUANTIZE between integer types."""

    shape: tuple[int, ...]
    dtypes: tuple[str, str]
    input_offset: int
    output_offset: int
    requant: Requant

    @property
    def is_same(self) -> bool:
        """Whether every value stays as it is, since scale and zero point are the same."""
        one = self.requant == Requant(multiplier=1 << 30, shift=1)
        return (
            one and self.dtypes[0] == self.dtypes[1] and not self.input_offset + self.output_offset
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatParams:
    """A QUANTIZE of float32: where each int8 value begins, as ordered bits of floats."""

    shape: tuple[int, ...]
    scale: float  # of float32
    thresholds: npt.NDArray[np.int32]  # [255]


@dataclass(frozen=True, slots=True, kw_only=True)
class DequantizeParams:
    """A DEQUANTIZE to float32: the value of each int8, or of the uint8 that has its bits."""

    shape: tuple[int, ...]
    values: npt.NDArray[np.float32]  # [256], for the bits of -128 first


@dataclass(frozen=True, slots=True, kw_only=True)
class EdgeParams:
    """A QUANTIZE of float32 to int16, or a DEQUANTIZE of int16 to float32."""

    shape: tuple[int, ...]
    scale: float  # of float32
    zero_point: int


def _float_order(bits: IntArray) -> IntArray:
    """Bits of floats as integers that are ordered as the floats are; its own inverse."""
    return np.where(bits >= 0, bits, bits ^ 0x7FFFFFFF)


def float_thresholds(quant: QuantParams) -> npt.NDArray[np.int32]:
    """The smallest float that quantises to at least -127, -126 ... 127, as ordered bits."""
    steps = np.arange(-127, 128, dtype=np.int64) - quant.zero_point[0]
    low, high = np.full(255, -_INFINITY - 1), np.full(255, _INFINITY)
    while np.any(low < high):
        middle = (low + high) >> 1
        values = _float_order(middle).astype(np.int32).view(np.float32)
        with np.errstate(all="ignore"):
            ratios = (values / np.float32(quant.scale[0])).astype(np.float64)
        reached = np.where(steps > 0, ratios >= steps - 0.5, ratios > steps - 0.5)
        low, high = np.where(reached, low, middle + 1), np.where(reached, middle, high)
    return low.astype(np.int32)


def _edge(op: Operator, tensor: Tensor, role: str) -> QuantParams:
    if tensor.data is not None:
        raise refuse(op, f"{role} is a constant", "fold it when exporting the model")
    if tensor.quant is None or tensor.quant.per_channel:
        raise malformed(op, f"{role} needs exactly one scale and zero point")
    return tensor.quant


def _edge_params(op: Operator, shape: tuple[int, ...], quant: QuantParams) -> EdgeParams:
    if quant.scale[0] < MIN_SCALE:
        raise refuse(op, f"scale {quant.scale[0]}", f"expected at least {MIN_SCALE}")
    return EdgeParams(shape=shape, scale=quant.scale[0], zero_point=quant.zero_point[0])


def _prepare(graph: Graph, op: Operator) -> RescaleParams | FloatParams | EdgeParams:
    """Check a QUANTIZE."""
    source, target = graph.input(op, 0), graph.output(op)
    check_shape(op, target, source.shape)
    if source.data is not None:
        raise refuse(op, "input is a constant", "fold it when exporting the model")
    if source.dtype == "float32" and target.dtype in ("int8", "int16"):
        quant = _edge(op, target, "output")
        if target.dtype == "int16":
            return _edge_params(op, source.shape, quant)
        thresholds = float_thresholds(quant)
        return FloatParams(shape=source.shape, scale=quant.scale[0], thresholds=thresholds)
    if (source.dtype, target.dtype) not in PAIRS:
        kinds = ", ".join(f"{a} to {b}" for a, b in sorted(PAIRS))
        fix = f"expected float32 to int8 or int16, {kinds}"
        raise refuse(op, f"{source.dtype} to {target.dtype}", fix)
    source_quant, target_quant = _edge(op, source, "input"), _edge(op, target, "output")
    return RescaleParams(
        shape=source.shape,
        dtypes=(source.dtype, target.dtype),
        input_offset=-source_quant.zero_point[0],
        output_offset=target_quant.zero_point[0],
        requant=quantize_multiplier(source_quant.scale[0] / target_quant.scale[0]),
    )


def is_defined(p: FloatParams | EdgeParams, values: Array) -> bool:
    """Whether TFLite Micro's QUANTIZE of these float32 is defined: infinities and NaN are not."""
    with np.errstate(all="ignore"):
        return bool(np.all(np.abs(values / np.float32(p.scale)) < MAX_DEFINED))


def _round_quotient(values: Array, p: EdgeParams) -> Array:
    """float32 -> int16; saturates beyond int32 too, see `is_defined`."""
    with np.errstate(all="ignore"):
        quotient = (values / np.float32(p.scale)).astype(np.float64)
    known = np.where(np.isnan(quotient), -MAX_QUOTIENT, quotient)
    limited = np.clip(known, -MAX_QUOTIENT, MAX_QUOTIENT)
    rounded = np.trunc(limited + np.copysign(0.5, limited)).astype(np.int64)
    result: Array = np.clip(rounded + p.zero_point, -32768, 32767).astype(np.int16)
    return result


def _reference(p: RescaleParams | FloatParams | EdgeParams, inputs: Sequence[Array]) -> Array:
    """Any shape -> the same shape."""
    if isinstance(p, EdgeParams):
        return _round_quotient(inputs[0], p)
    if isinstance(p, FloatParams):
        bits = np.ascontiguousarray(inputs[0], np.float32).view(np.int32).astype(np.int64)
        reached = np.searchsorted(p.thresholds, _float_order(bits), side="right")
        return (reached - 128).astype(np.int8)
    shifted = inputs[0].astype(np.int64) + p.input_offset
    scaled = multiply_by_quantized_multiplier(shifted, p.requant.multiplier, p.requant.shift)
    limits = np.iinfo(p.dtypes[1])
    clamped = np.clip(wrap32(scaled + p.output_offset), limits.min, limits.max)
    return clamped.astype(p.dtypes[1])


def _c_edge(p: EdgeParams, function: str) -> CCall:
    return CCall(
        function=function,
        params_type="nn_float_edge_t",
        params={
            "count": str(math.prod(p.shape)),
            "zero_point": str(p.zero_point),
            "scale_bits": f"{np.float32(p.scale).view(np.uint32):#010x}U",
        },
    )


def _c_call(p: RescaleParams | FloatParams | EdgeParams) -> CCall:
    count = {"count": str(math.prod(p.shape))}
    if isinstance(p, EdgeParams):
        return _c_edge(p, "nn_quantize_s16")
    if isinstance(p, FloatParams):
        return CCall(
            function="nn_quantize_s8",
            params_type="nn_quantize_t",
            params=count | {"thresholds": "@thresholds"},
            constants=(int_constant_array("thresholds", "int32_t", p.thresholds),),
        )
    same = p.dtypes == ("int8", "int8")
    types = {"input_type": C_TYPES[p.dtypes[0]], "output_type": C_TYPES[p.dtypes[1]]}
    return CCall(
        function="nn_rescale_s8" if same else "nn_rescale",
        params_type="nn_rescale_t",
        params=count
        | {
            "input_offset": str(p.input_offset),
            "output_offset": str(p.output_offset),
            "requant": f"{{{p.requant.multiplier}, {p.requant.shift}}}",
        }
        | ({} if same else types),
    )


def _prepare_dequantize(graph: Graph, op: Operator) -> DequantizeParams | EdgeParams:
    """Check a DEQUANTIZE from int8, uint8 or int16 to float32."""
    source, target = graph.input(op, 0), graph.output(op)
    if source.dtype not in ("int8", "uint8", "int16") or target.dtype != "float32":
        what = f"{source.dtype} to {target.dtype}"
        raise refuse(op, what, "expected int8, uint8 or int16 to float32")
    quant = _edge(op, source, "input")
    check_shape(op, target, source.shape)
    if source.dtype == "int16":
        return _edge_params(op, source.shape, quant)
    bits = np.arange(-128, 128).astype(np.int8).view(source.dtype)
    shifted = (bits.astype(np.int64) - quant.zero_point[0]).astype(np.float32)
    with np.errstate(all="ignore"):
        values = np.float32(quant.scale[0]) * shifted
    if not np.all(np.isfinite(values)):
        raise malformed(op, f"scale {quant.scale[0]} is too large")
    return DequantizeParams(shape=source.shape, values=values)


def dequantize(p: DequantizeParams | EdgeParams, inputs: Sequence[Array]) -> Array:
    """Any shape -> the same shape."""
    if isinstance(p, EdgeParams):
        shifted = (inputs[0].astype(np.int64) - p.zero_point).astype(np.float32)
        return np.asarray(np.float32(p.scale) * shifted)
    return p.values[inputs[0].view(np.int8).astype(np.int64) + 128]


def c_dequantize(p: DequantizeParams | EdgeParams) -> CCall:
    if isinstance(p, EdgeParams):
        return _c_edge(p, "nn_dequantize_s16")
    return CCall(
        function="nn_dequantize_lut",
        params_type="nn_dequantize_t",
        params={"count": str(math.prod(p.shape)), "values": "@values"},
        constants=(float_constant_array("values", p.values),),
    )


QUANTIZE = OpSpec(
    name="QUANTIZE",
    max_version=3,
    signature=signature(inputs=1, table=89, options=NO_OPTIONS),
    prepare=_prepare,
    reference=_reference,
    calls=lambda p: () if isinstance(p, RescaleParams) and p.is_same else (_c_call(p),),
    rounding=lambda p: (
        Rounding.FLOAT if isinstance(p, EdgeParams | FloatParams) else Rounding.DOUBLE
    ),
    int16_rounding=None,
    macs=no_macs,
    in_place=lambda _: (0,),
    alias=lambda p: isinstance(p, RescaleParams) and p.is_same,
    state=(),
    ranges=TABLE,
    folding=CHANNELWISE,
    advice=RESCALES,
    kernels=Kernels(armv7em=Lowering.RESCALE, xtensa=Lowering.RESCALE),
)

DEQUANTIZE = OpSpec(
    name="DEQUANTIZE",
    max_version=3,
    signature=signature(inputs=1, table=38, options=NO_OPTIONS),
    prepare=_prepare_dequantize,
    reference=dequantize,
    calls=lambda p: (c_dequantize(p),),
    rounding=Rounding.FLOAT,
    int16_rounding=None,
    macs=no_macs,
    in_place=not_in_place,
    alias=no_alias,
    state=(),
    ranges=Without(reason="its outputs are floats"),
    folding=Without(reason="its outputs are floats, an end of the model"),
    advice=Without(reason="floats do not saturate"),
    kernels=reference_kernels("int8 is a table of 256 answers on every core"),
)
