"""RESHAPE: the same bytes under another shape; costs nothing, input and output share memory."""

from __future__ import annotations

from collections.abc import Sequence

from quantize.ops.base import (
    CCall,
    Int8Array,
    OpSpec,
    activation_input,
    int8_output,
    malformed,
)
from quantize.scheme import Rounding
from quantize.tflite.graph import Graph, Operator


def prepare(graph: Graph, op: Operator) -> tuple[int, ...]:
    """Check a RESHAPE; returns the output shape."""
    source, _ = activation_input(graph, op, 0)
    target, _ = int8_output(graph, op)
    if source.elements != target.elements:
        raise malformed(op, f"{list(source.shape)} to {list(target.shape)} changes the size")
    return target.shape


def reference(shape: tuple[int, ...], inputs: Sequence[Int8Array]) -> Int8Array:
    """Any shape -> `shape`."""
    return inputs[0].reshape(shape)


def _c_call(shape: tuple[int, ...]) -> CCall:
    raise AssertionError("a reshape has no kernel")


SPEC = OpSpec(
    name="RESHAPE",
    max_version=1,
    rounding=Rounding.NONE,
    prepare=prepare,
    reference=reference,
    c_call=_c_call,
    alias=True,
)
