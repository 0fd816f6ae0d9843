"""Strided walks over tensors: broadcasting of two operands, and the merging of axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from quantize.ops.base import malformed, refuse
from quantize.tflite.graph import Operator

MAX_RANK = 6  # of TFLite Micro, and the axes of nn_broadcast_t


def broadcast_shape(op: Operator, a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of an element-wise result; refuses more dimensions than TFLite Micro takes."""
    if max(len(a), len(b)) > MAX_RANK:
        raise refuse(op, f"{max(len(a), len(b))} dimensions", f"reshape to at most {MAX_RANK}")
    try:
        return tuple(int(d) for d in np.broadcast_shapes(a, b))
    except ValueError as error:
        raise malformed(op, f"shapes {list(a)} and {list(b)} do not broadcast") from error


def merge_axes(axes: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """(count, stride, stride...) of each axis, outer to inner -> the same walk with fewest axes."""
    merged: list[tuple[int, ...]] = []
    for axis in axes:
        if axis[0] == 1:
            continue
        if merged and all(o == axis[0] * i for o, i in zip(merged[-1][1:], axis[1:], strict=True)):
            merged[-1] = (merged[-1][0] * axis[0], *axis[1:])
        else:
            merged.append(axis)
    return merged


def strides(shape: tuple[int, ...], rank: int) -> list[int]:
    """Element strides over `rank` output axes; 0 where `shape` repeats."""
    padded = (1,) * (rank - len(shape)) + shape
    return [0 if d == 1 else math.prod(padded[i + 1 :]) for i, d in enumerate(padded)]


def merged_walk(
    a: tuple[int, ...], b: tuple[int, ...], output: tuple[int, ...]
) -> list[tuple[int, ...]]:
    """(count, stride of a, stride of b) of the walk over two operands of these shapes."""
    rank = len(output)
    return merge_axes(list(zip(output, strides(a, rank), strides(b, rank), strict=True)))


def broadcast_fields(
    a: tuple[int, ...], b: tuple[int, ...], output: tuple[int, ...]
) -> dict[str, str]:
    """The walk over two operands of these shapes as the fields of an nn_broadcast_t."""
    axes = merged_walk(a, b, output)
    padded = [(1, 0, 0)] * (MAX_RANK - len(axes)) + axes
    return {
        field: "{" + ", ".join(str(axis[k]) for axis in padded) + "}"
        for k, field in enumerate(("count", "stride_a", "stride_b"))
    }


def c_broadcast(a: tuple[int, ...], b: tuple[int, ...], output: tuple[int, ...]) -> str:
    """The same as an nn_broadcast_t initialiser."""
    return "{" + ", ".join(broadcast_fields(a, b, output).values()) + "}"


class Binary(Protocol):
    """The shapes of an element-wise operator with two operands."""

    @property
    def shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]: ...
    @property
    def output_shape(self) -> tuple[int, ...]: ...


def full_operands(p: Binary) -> tuple[int, ...]:
    """The operands that do not repeat: the output may take over their memory."""
    size = math.prod(p.output_shape)
    return tuple(i for i, shape in enumerate(p.shapes) if math.prod(shape) == size)
