"""ARG_MAX and ARG_MIN: where along one axis the largest or smallest value is first found."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quantize.ops.base import (
    CCall,
    Int8Array,
    OpSpec,
    activation_input,
    check_shape,
    int_constant,
    malformed,
    no_alias,
    no_macs,
    not_in_place,
    refuse,
)
from quantize.ops.rules import Without, reference_kernels
from quantize.scheme import Rounding
from quantize.tflite.graph import Graph, Operator
from quantize.tflite.signatures import NO_OPTIONS, signature


@dataclass(frozen=True, slots=True, kw_only=True)
class ArgMaxParams:
    """The walk of an ARG_MAX or ARG_MIN."""

    shape: tuple[int, ...]
    axis: int


def prepare(graph: Graph, op: Operator) -> ArgMaxParams:
    """Check the operator: a constant int32 axis, an int32 output."""
    source, _ = activation_input(graph, op, 0)
    axes, rank = int_constant(graph, op, 1), len(source.shape)
    if len(axes) != 1 or not -rank <= axes[0] < rank:
        raise malformed(op, f"axis {list(axes)[:8]} of a tensor with {rank} dimensions")
    axis = axes[0] % rank
    target = graph.output(op)
    if target.dtype != "int32":
        raise refuse(op, f"output is {target.dtype}", "export it with an int32 output")
    check_shape(op, target, source.shape[:axis] + source.shape[axis + 1 :])
    return ArgMaxParams(shape=source.shape, axis=axis)


def _spec(name: str, sign: int, table: int) -> OpSpec[ArgMaxParams]:
    def reference(p: ArgMaxParams, inputs: Sequence[Int8Array]) -> npt.NDArray[np.int32]:
        signed = sign * inputs[0].astype(np.int32)
        return np.asarray(signed.argmax(axis=p.axis)).astype(np.int32)

    def call(p: ArgMaxParams) -> CCall:
        return CCall(
            function="nn_arg_max_s8",
            params_type="nn_arg_max_t",
            params={
                "outer": str(math.prod(p.shape[: p.axis])),
                "count": str(p.shape[p.axis]),
                "inner": str(math.prod(p.shape[p.axis + 1 :])),
                "sign": str(sign),
            },
        )

    return OpSpec(
        name=name,
        max_version=2,
        signature=signature(inputs=2, table=table, options=NO_OPTIONS),
        prepare=prepare,
        reference=reference,
        calls=lambda p: (call(p),),
        rounding=Rounding.NONE,
        int16_rounding=None,
        macs=no_macs,
        in_place=not_in_place,
        alias=no_alias,
        state=(),
        ranges=Without(reason="its outputs are indices"),
        folding=Without(reason="an index along the last axis counts all channels"),
        advice=Without(reason="it does not rescale"),
        kernels=reference_kernels("it compares one value after another on every core"),
    )


ARG_MAX = _spec("ARG_MAX", 1, 40)
ARG_MIN = _spec("ARG_MIN", -1, 57)
