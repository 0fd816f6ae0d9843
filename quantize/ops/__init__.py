"""The operators that we compile. Adding one: a module here, a kernel, a table of cases."""

from __future__ import annotations

from typing import Any

from quantize.errors import UnsupportedOperator
from quantize.ops import (
    add,
    conv_2d,
    depthwise_conv_2d,
    fully_connected,
    mean,
    pool_2d,
    quantize,
    reshape,
    softmax,
)
from quantize.ops.base import OpSpec
from quantize.tflite.graph import Operator

OPS: dict[str, OpSpec[Any]] = {
    spec.name: spec
    for spec in (
        add.SPEC,
        conv_2d.SPEC,
        depthwise_conv_2d.SPEC,
        fully_connected.SPEC,
        mean.SPEC,
        pool_2d.AVERAGE,
        pool_2d.MAX,
        quantize.SPEC,
        reshape.SPEC,
        softmax.SPEC,
    )
}


def find_op(op: Operator) -> OpSpec[Any]:
    """The spec of an operator; UnsupportedOperator when we do not compile it."""
    spec = OPS.get(op.name)
    if spec is None:
        raise UnsupportedOperator(
            f"operator {op.index} {op.name} version {op.version} is not supported; "
            f"replace it with supported ones: {', '.join(sorted(OPS))}"
        )
    if op.version > spec.max_version:
        raise UnsupportedOperator(
            f"operator {op.index} {op.name} version {op.version} is not supported; "
            f"export with version {spec.max_version} or lower"
        )
    return spec
