"""SVDF: a filter over features, then one over time; its state holds the features of past runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quantize.ops.base import (
    Array,
    CCall,
    CConstant,
    Int8Array,
    OpSpec,
    activation_input,
    check_shape,
    int8_output,
    int8_weights,
    int32_bias,
    int_constant_array,
    malformed,
    no_alias,
    not_in_place,
    refuse,
)
from quantize.ops.rules import Kernels, Lowering, Without
from quantize.scheme import (
    IntArray,
    QuantParams,
    Requant,
    Rounding,
    activation_range,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    wrap32,
)
from quantize.tflite.graph import Graph, Operator, Tensor
from quantize.tflite.signatures import Signature

FEATURES, TIME, BIAS, STATE = 1, 2, 3, 4  # positions of the inputs
STATE_TYPES = ("int8", "int16")
MAX_BIAS_SCALE_ERROR = 1e-5  # as TFLite Micro checks it


@dataclass(frozen=True, slots=True, kw_only=True)
class SvdfParams:
    """The integers of an SVDF."""

    rank: int
    feature_weights: Int8Array  # [filters, input_depth]
    time_weights: npt.NDArray[np.generic]  # [filters, memory], int8 or int16 like the state
    bias: npt.NDArray[np.int32]  # [filters / rank]
    batches: int
    input_offset: int
    state_zero_point: int
    output_offset: int
    state_requant: Requant
    output_requant: Requant

    @property
    def weight_count(self) -> int:
        """Of both filters."""
        return self.feature_weights.size + self.time_weights.size


def _time_weights(graph: Graph, op: Operator, filters: int) -> tuple[Tensor, QuantParams]:
    tensor = graph.input(op, TIME)
    if tensor.dtype not in STATE_TYPES or tensor.data is None:
        raise refuse(op, f"time weights are {tensor.dtype}", "export constant int8 or int16 ones")
    if len(tensor.shape) != 2 or tensor.shape[0] != filters:
        raise malformed(op, f"time weights {list(tensor.shape)}, expected {filters} rows")
    if tensor.quant is None or tensor.quant.per_channel or any(tensor.quant.zero_point):
        raise malformed(op, "time weights need one scale and zero point 0")
    return tensor, tensor.quant


def _state(graph: Graph, op: Operator, shape: tuple[int, int], dtype: str) -> QuantParams:
    tensor = graph.input(op, STATE)
    if tensor.dtype != dtype or tensor.shape != shape:
        raise malformed(
            op, f"state is {tensor.dtype} {list(tensor.shape)}, expected {dtype} {list(shape)}"
        )
    if tensor.quant is None or tensor.quant.per_channel:
        raise malformed(op, "state needs exactly one scale and zero point")
    if dtype == "int16" and tensor.quant.zero_point[0] != 0:
        raise malformed(op, "an int16 state needs zero point 0")
    return tensor.quant


def _check_bias(graph: Graph, op: Operator, scale: float) -> None:
    """TFLite Micro crashes without a bias and refuses one of another scale."""
    bias = graph.optional_input(op, BIAS)
    if bias is None:
        raise refuse(op, "it has no bias", "export it with one; TFLite Micro crashes without")
    if len(bias.shape) != 1:
        raise malformed(op, f"bias {list(bias.shape)}: expected one dimension")
    got = bias.quant.scale[0] if bias.quant else 0.0
    if not abs(got - scale) < MAX_BIAS_SCALE_ERROR:
        raise malformed(op, f"bias has scale {got}, expected state times time weights, {scale}")


def prepare(graph: Graph, op: Operator) -> SvdfParams:
    """Check an SVDF with int8 features; time weights and state are both int8 or both int16."""
    source, source_quant = activation_input(graph, op, 0)
    target, target_quant = int8_output(graph, op)
    _, feature_quant, features = int8_weights(graph, op, 2)
    filters, depth = features.shape
    if feature_quant.per_channel:
        raise refuse(op, "feature weights have several scales", "quantise them per tensor")
    if len(source.shape) != 2 or source.shape[1] != depth or len(op.inputs) != 5:
        raise malformed(op, f"input {list(source.shape)} does not fit weights {[filters, depth]}")
    rank = int(op.options["rank"])
    if rank < 1 or filters % rank:
        raise malformed(op, f"rank {rank} does not divide {filters} filters")
    time, time_quant = _time_weights(graph, op, filters)
    batches, memory = source.shape[0], time.shape[1]
    check_shape(op, target, (batches, filters // rank))
    state_quant = _state(graph, op, (batches, memory * filters), time.dtype)
    if activation_range(int(op.options["activation"]), target_quant) != (-128, 127):
        fix = "let the output's range begin at the activation's bound; TFLite Micro ignores it"
        raise refuse(op, "its fused activation clamps", fix)
    scales = (source_quant, feature_quant, state_quant, time_quant, target_quant)
    in_scale, feature, state, time_scale, out = (q.scale[0] for q in scales)
    _check_bias(graph, op, state * time_scale)
    return SvdfParams(
        rank=rank,
        feature_weights=features,
        time_weights=np.asarray(time.data),
        bias=int32_bias(graph, op, filters // rank, position=BIAS),
        batches=batches,
        input_offset=-source_quant.zero_point[0],
        state_zero_point=state_quant.zero_point[0],
        output_offset=target_quant.zero_point[0],
        state_requant=quantize_multiplier(in_scale * feature / state),
        output_requant=quantize_multiplier(state * time_scale / out),
    )


def _rescale(sums: npt.NDArray[np.int64], requant: Requant) -> IntArray:
    return multiply_by_quantized_multiplier(wrap32(sums), requant.multiplier, requant.shift)


def reference(p: SvdfParams, inputs: Sequence[Array]) -> tuple[Array, Array]:
    """([batches, input_depth], .., state) -> ([batches, units], the next state)."""
    filters, memory = p.time_weights.shape
    old = inputs[STATE].reshape(p.batches, filters, memory)
    # float64 and int64 hold these sums exactly
    rows = inputs[0].astype(np.float64) + p.input_offset
    sums = (rows @ p.feature_weights.T.astype(np.float64)).astype(np.int64)
    limits = np.iinfo(old.dtype)
    newest = np.clip(_rescale(sums, p.state_requant), limits.min, limits.max)
    newest = (newest + p.state_zero_point).astype(old.dtype)  # wraps, as in TFLite Micro
    state = np.concatenate([old[:, :, 1:], newest[:, :, None]], axis=2)
    products = (state.astype(np.int64) - p.state_zero_point) * p.time_weights.astype(np.int64)
    units = products.reshape(p.batches, -1, p.rank * memory).sum(axis=2) + p.bias
    output = wrap32(_rescale(units, p.output_requant) + p.output_offset)
    return np.clip(output, -128, 127).astype(np.int8), state.reshape(p.batches, -1)


def _constants(p: SvdfParams) -> tuple[CConstant, ...]:
    return (
        int_constant_array("features", "int8_t", p.feature_weights),
        int_constant_array("time", f"{p.time_weights.dtype.name}_t", p.time_weights),
        int_constant_array("bias", "int32_t", p.bias),
    )


def _c_call(p: SvdfParams) -> CCall:
    filters, memory = p.time_weights.shape
    first, second = (f"{{{r.multiplier}, {r.shift}}}" for r in (p.state_requant, p.output_requant))
    return CCall(
        function="nn_svdf_s8",
        params_type="nn_svdf_t",
        params={
            "batches": str(p.batches),
            "input_depth": str(p.feature_weights.shape[1]),
            "units": str(filters // p.rank),
            "rank": str(p.rank),
            "memory": str(memory),
            "state_bytes": str(p.time_weights.dtype.itemsize),
            "input_offset": str(p.input_offset),
            "state_zero_point": str(p.state_zero_point),
            "output_offset": str(p.output_offset),
            "feature_weights": "@features",
            "time_weights": "@time",
            "bias": "@bias",
            "state_requant": first,
            "output_requant": second,
        },
        constants=_constants(p),
        inputs=(0, STATE),
    )


SPEC = OpSpec(
    name="SVDF",
    max_version=4,
    signature=Signature(
        inputs=(4, 5),
        outputs=(1, 1),
        table=6,
        options={"rank": (0, "i32", 0), "activation": (1, "i8", 0)},
    ),
    prepare=prepare,
    reference=reference,
    calls=lambda p: (_c_call(p),),
    rounding=Rounding.DOUBLE,
    int16_rounding=None,
    macs=lambda p: p.batches * (p.feature_weights.size + p.time_weights.size),
    in_place=not_in_place,
    alias=no_alias,
    state=(STATE,),
    ranges=Without(reason="its state holds what earlier runs left in it"),
    folding=Without(reason="its state has a shape of its own that would have to follow"),
    advice=Without(reason="its two matrices are not looked at yet"),
    kernels=Kernels(armv7em=Lowering.SVDF, xtensa=Without(reason="none is written yet")),
)
