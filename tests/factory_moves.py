"""Random legal models of the operators that only move elements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from tests.factory import ModelBuilder, _quant

Generator = Callable[[np.random.Generator], bytes]
WIDE = ("int8", "int8", "int16", "int32", "float32")
NARROW = ("int8", "int8", "int16", "float32")
EVERY = (*WIDE, "int64", "bool")
BYTES = ("int8", "int8", "float32")
RESIZED = ("int8", "int8", "int16", "float32")


def _kind(rng: np.random.Generator, types: Sequence[str]) -> dict[str, Any]:
    """A random element type with a quantisation where it has one."""
    dtype = str(rng.choice(types))
    if dtype == "int8":
        return {"dtype": dtype, **_quant(rng)}
    return {"dtype": dtype, "scale": [0.01]} if dtype == "int16" else {"dtype": dtype}


def _shape(rng: np.random.Generator, low: int, high: int, largest: int = 5) -> list[int]:
    """`low` to `high` dimensions of 1 to `largest`."""
    return [int(v) for v in rng.integers(1, largest + 1, int(rng.integers(low, high + 1)))]


def _ints(b: ModelBuilder, values: Any) -> int:
    """A constant int32 tensor."""
    data = np.array(values, np.int32)
    return b.tensor(data.shape, dtype="int32", data=data)


def _signed(rng: np.random.Generator, axis: int, rank: int) -> int:
    """An axis from the front or from the back."""
    return axis - rank if rng.random() < 0.3 else axis


def _pads(rng: np.random.Generator, limits: Sequence[int]) -> list[list[int]]:
    """(before, after) for each limit; about half of the axes have none."""
    return [
        [int(v) for v in rng.integers(0, limit + 1, 2)] if rng.random() < 0.6 else [0, 0]
        for limit in limits
    ]


def _padded(shape: Sequence[int], pads: Sequence[Sequence[int]]) -> list[int]:
    return [d + sum(p) for d, p in zip(shape, pads, strict=True)]


def _alias(name: str) -> Generator:
    """A SQUEEZE or EXPAND_DIMS between two ADDs, so that sharing memory is exercised."""

    def build(rng: np.random.Generator) -> bytes:
        b, q = ModelBuilder(), _quant(rng)
        short = _shape(rng, 1, 4)
        axis = int(rng.integers(len(short) + 1))
        long = [*short[:axis], 1, *short[axis:]]
        before, after = (long, short) if name == "SQUEEZE" else (short, long)
        x, s = b.tensor(before, **q), b.tensor(before, **q)
        r, z = b.tensor(after, **q), b.tensor(after, **_quant(rng))
        signed = _signed(rng, axis, len(long))
        b.operator("ADD", [x, x], [s], "AddOptions", 2)
        if name == "SQUEEZE":
            b.operator(name, [s], [r], "SqueezeOptions", 1, squeezeDims=[signed])
        else:
            b.operator(name, [s, _ints(b, signed)], [r], "ExpandDimsOptions", 1)
        b.operator("ADD", [r, r], [z], "AddOptions", 2)
        return b.pack([x], [z])

    return build


def _alias_of_any(name: str, types: Sequence[str]) -> Generator:
    """A RESHAPE, SQUEEZE or EXPAND_DIMS of a model's input of any type."""

    def build(rng: np.random.Generator) -> bytes:
        b, kind, n = ModelBuilder(), _kind(rng, types), int(rng.integers(1, 9))
        x = b.tensor([1, n, 1] if name == "SQUEEZE" else [n], **kind)
        y = b.tensor([n] if name == "SQUEEZE" else [1, n], **kind)
        if name == "SQUEEZE":
            b.operator(name, [x], [y], "SqueezeOptions", squeezeDims=[0, 2])
        elif name == "RESHAPE":
            b.operator(name, [x, _ints(b, [1, n])], [y], "ReshapeOptions")
        else:
            b.operator(name, [x, _ints(b, 0)], [y], "ExpandDimsOptions")
        return b.pack([x], [y])

    return build


def _pad(name: str) -> Generator:
    def build(rng: np.random.Generator) -> bytes:
        b, kind, shape = ModelBuilder(), _kind(rng, WIDE), _shape(rng, 1, 5, 4)
        pads = _pads(rng, [3] * len(shape))
        x, p = b.tensor(shape, **kind), _ints(b, pads)
        y = b.tensor(_padded(shape, pads), **kind)
        if name == "PAD":
            b.operator(name, [x, p], [y], "PadOptions", 2)
            return b.pack([x], [y])
        if rng.random() < 0.3:
            v = b.tensor([1], **kind)
            b.operator(name, [x, p, v], [y], "PadV2Options", 2)
            return b.pack([x, v], [y])
        data = np.array(rng.integers(-128, 128), kind["dtype"])
        v = b.tensor([], data=data, **kind)
        b.operator(name, [x, p, v], [y], "PadV2Options", 2)
        return b.pack([x], [y])

    return build


def mirror_pad(rng: np.random.Generator) -> bytes:
    """A random MIRROR_PAD of up to six axes, of which up to four have a border."""
    b, kind, shape = ModelBuilder(), _kind(rng, BYTES), _shape(rng, 1, 6, 4)
    mode = int(rng.integers(2))
    pads = _pads(rng, [d - 1 + mode for d in shape[:4]]) + [[0, 0]] * len(shape[4:])
    x, p = b.tensor(shape, **kind), _ints(b, pads)
    y = b.tensor(_padded(shape, pads), **kind)
    b.operator("MIRROR_PAD", [x, p], [y], "MirrorPadOptions", 2, mode=mode)
    return b.pack([x], [y])


def transpose(rng: np.random.Generator) -> bytes:
    """A random TRANSPOSE."""
    b, kind, shape = ModelBuilder(), _kind(rng, NARROW), _shape(rng, 1, 5)
    order = [int(v) for v in rng.permutation(len(shape))]
    x, p = b.tensor(shape, **kind), _ints(b, order)
    y = b.tensor([shape[i] for i in order], **kind)
    b.operator("TRANSPOSE", [x, p], [y], "TransposeOptions", 2)
    return b.pack([x], [y])


def _sources(
    rng: np.random.Generator, b: ModelBuilder, kind: dict[str, Any], shapes: Sequence[list[int]]
) -> tuple[list[int], list[int]]:
    """(all inputs, those of the model): the first is one, the others may be constants."""
    every, run_time = [], []
    for position, shape in enumerate(shapes):
        data = None
        if position and rng.random() < 0.3:
            data = rng.integers(-128, 128, shape).astype(kind["dtype"])
        every.append(b.tensor(shape, data=data, **kind))
        run_time += [every[-1]] if data is None else []
    return every, run_time


def concatenation(rng: np.random.Generator) -> bytes:
    """A random CONCATENATION, some inputs constant."""
    b, kind, shape = ModelBuilder(), _kind(rng, EVERY), _shape(rng, 1, 5)
    axis = int(rng.integers(len(shape)))
    sizes = [int(v) for v in rng.integers(1, 5, int(rng.integers(1, 6)))]
    shapes = [[*shape[:axis], size, *shape[axis + 1 :]] for size in sizes]
    every, run_time = _sources(rng, b, kind, shapes)
    y = b.tensor([*shape[:axis], sum(sizes), *shape[axis + 1 :]], **kind)
    b.operator("CONCATENATION", every, [y], "ConcatenationOptions", 2,
               axis=_signed(rng, axis, len(shape)))  # fmt: skip
    return b.pack(run_time, [y])


def pack(rng: np.random.Generator) -> bytes:
    """A random PACK, some inputs constant, some scalars."""
    b, kind, shape = ModelBuilder(), _kind(rng, (*WIDE, "int64")), _shape(rng, 0, 4)
    axis, count = int(rng.integers(len(shape) + 1)), int(rng.integers(1, 6))
    every, run_time = _sources(rng, b, kind, [shape] * count)
    y = b.tensor([*shape[:axis], count, *shape[axis:]], **kind)
    b.operator("PACK", every, [y], "PackOptions", 2, valuesCount=count,
               axis=_signed(rng, axis, len(shape) + 1))  # fmt: skip
    return b.pack(run_time, [y])


def split(rng: np.random.Generator) -> bytes:
    """A random SPLIT; the model may leave outputs unused."""
    b, kind, shape = ModelBuilder(), _kind(rng, WIDE), _shape(rng, 1, 5, 4)
    axis, count = int(rng.integers(len(shape))), int(rng.integers(1, 5))
    a = _ints(b, _signed(rng, axis, len(shape)))
    x = b.tensor([*shape[:axis], shape[axis] * count, *shape[axis + 1 :]], **kind)
    outputs = [b.tensor(shape, **kind) for _ in range(count)]
    b.operator("SPLIT", [a, x], outputs, "SplitOptions", 2, numSplits=count)
    return b.pack([x], outputs[int(rng.integers(count)) :])


def split_v(rng: np.random.Generator) -> bytes:
    """A random SPLIT_V; one size may be -1."""
    b, kind, shape = ModelBuilder(), _kind(rng, WIDE), _shape(rng, 1, 5, 4)
    axis = int(rng.integers(len(shape)))
    sizes = [int(v) for v in rng.integers(1, 5, int(rng.integers(1, 5)))]
    x = b.tensor([*shape[:axis], sum(sizes), *shape[axis + 1 :]], **kind)
    outputs = [b.tensor([*shape[:axis], size, *shape[axis + 1 :]], **kind) for size in sizes]
    count = len(sizes)
    if rng.random() < 0.3:
        sizes[int(rng.integers(count))] = -1
    a = _ints(b, _signed(rng, axis, len(shape)))
    b.operator("SPLIT_V", [x, _ints(b, sizes), a], outputs, "SplitVOptions", 2, numSplits=count)
    return b.pack([x], outputs)


def unpack(rng: np.random.Generator) -> bytes:
    """A random UNPACK."""
    b, kind, shape = ModelBuilder(), _kind(rng, WIDE), _shape(rng, 1, 5)
    axis = int(rng.integers(len(shape)))
    x = b.tensor(shape, **kind)
    count = shape[axis]
    outputs = [b.tensor([*shape[:axis], *shape[axis + 1 :]], **kind) for _ in range(count)]
    b.operator("UNPACK", [x], outputs, "UnpackOptions", 2, num=count,
               axis=_signed(rng, axis, len(shape)))  # fmt: skip
    return b.pack([x], outputs)


def slice_(rng: np.random.Generator) -> bytes:
    """A random SLICE."""
    b, kind, shape = ModelBuilder(), _kind(rng, (*WIDE, "bool")), _shape(rng, 1, 5)
    begins = [int(rng.integers(d)) for d in shape]
    sizes = [int(rng.integers(1, d - s + 1)) for d, s in zip(shape, begins, strict=True)]
    x, y = b.tensor(shape, **kind), b.tensor(sizes, **kind)
    to_end = [s + n == d for d, s, n in zip(shape, begins, sizes, strict=True)]
    spelt = [-1 if e and rng.random() < 0.5 else n for e, n in zip(to_end, sizes, strict=True)]
    b.operator("SLICE", [x, _ints(b, begins), _ints(b, spelt)], [y], "SliceOptions", 2)
    return b.pack([x], [y])


STEPS = (-3, -2, -1, 1, 1, 2, 3)


def _strided_axis(
    rng: np.random.Generator, size: int, steps: Sequence[int]
) -> tuple[list[int], list[bool], int]:
    """([begin, end, stride], [masks begin, end, shrink], elements), at least one element."""
    while True:
        stride = int(rng.choice(steps))
        begin, end = (int(v) for v in rng.integers(-size - 2, size + 3, 2))
        masks = [bool(rng.random() < 0.2) for _ in range(3)]
        if masks[2]:
            begin = int(rng.integers(-size, size))
            return [begin, end, abs(stride)], masks, 1
        bounds = [None if m else v for m, v in zip(masks, (begin, end), strict=False)]
        count = len(range(size)[slice(*bounds, stride)])
        if count:
            return [begin, end, stride], masks, count


def strided_slice(rng: np.random.Generator, ranks: tuple[int, int] = (1, 4)) -> bytes:
    """A random STRIDED_SLICE with masks, strides of both signs and bounds outside.

    With five dimensions it has no strides, as TFLite Micro has none there.
    """
    b, kind = ModelBuilder(), _kind(rng, (*WIDE, "bool"))
    shape = _shape(rng, *ranks, 7 if ranks[1] < 5 else 4)
    steps = STEPS if ranks[1] < 5 else (1,)
    axes = [_strided_axis(rng, d, steps) for d in shape]
    bits = [sum(m[k] << i for i, (_, m, _) in enumerate(axes)) for k in range(3)]
    x = b.tensor(shape, **kind)
    vectors = [_ints(b, [numbers[k] for numbers, _, _ in axes]) for k in range(3)]
    y = b.tensor([count for _, masks, count in axes if not masks[2]], **kind)
    b.operator("STRIDED_SLICE", [x, *vectors], [y], "StridedSliceOptions", 2,
               beginMask=bits[0], endMask=bits[1], shrinkAxisMask=bits[2])  # fmt: skip
    return b.pack([x], [y])


def gather(rng: np.random.Generator) -> bytes:
    """A random GATHER with constant indices, some in batches."""
    b, kind, shape = ModelBuilder(), _kind(rng, BYTES), _shape(rng, 1, 4)
    axis = int(rng.integers(len(shape)))
    batch = int(rng.integers(axis + 1)) if rng.random() < 0.4 else 0
    picked = [*shape[:batch], *_shape(rng, 0, 2)]
    indices = rng.integers(0, shape[axis], picked)
    x, i = b.tensor(shape, **kind), _ints(b, indices)
    y = b.tensor([*shape[:axis], *picked[batch:], *shape[axis + 1 :]], **kind)
    signed = batch - len(picked) if batch < len(picked) and rng.random() < 0.3 else batch
    b.operator("GATHER", [x, i], [y], "GatherOptions", 2, axis=_signed(rng, axis, len(shape)),
               batchDims=signed)  # fmt: skip
    return b.pack([x], [y])


def picks(rng: np.random.Generator) -> bytes:
    """A random GATHER with indices of run time, some in batches, some of a constant table."""
    b, kind, shape = ModelBuilder(), _kind(rng, BYTES), _shape(rng, 1, 4)
    axis = int(rng.integers(len(shape)))
    batch = int(rng.integers(axis + 1)) if rng.random() < 0.4 else 0
    picked = [*shape[:batch], *_shape(rng, 0, 2)]
    data = rng.integers(-128, 128, shape).astype(kind["dtype"]) if rng.random() < 0.4 else None
    x, i = b.tensor(shape, data=data, **kind), b.tensor(picked, dtype="int32")
    y = b.tensor([*shape[:axis], *picked[batch:], *shape[axis + 1 :]], **kind)
    b.operator("GATHER", [x, i], [y], "GatherOptions", 2, axis=_signed(rng, axis, len(shape)),
               batchDims=batch)  # fmt: skip
    return b.pack([i] if data is not None else [x, i], [y])


def embedding_lookup(rng: np.random.Generator) -> bytes:
    """A random EMBEDDING_LOOKUP, most of a constant table."""
    b, kind, shape = ModelBuilder(), _kind(rng, BYTES), _shape(rng, 2, 4)
    data = rng.integers(-128, 128, shape).astype(kind["dtype"]) if rng.random() < 0.7 else None
    count = int(rng.integers(1, 6))
    i, x = b.tensor([count], dtype="int32"), b.tensor(shape, data=data, **kind)
    y = b.tensor([count, *shape[1:]], **kind)
    b.operator("EMBEDDING_LOOKUP", [i, x], [y])
    return b.pack([i] if data is not None else [i, x], [y])


def _depth(name: str) -> Generator:
    def build(rng: np.random.Generator) -> bytes:
        b, kind, block = ModelBuilder(), _kind(rng, BYTES), int(rng.integers(1, 4))
        n, h, w, c = (int(v) for v in rng.integers(1, 5, 4))
        plane, deep = [n, h * block, w * block, c], [n, h, w, c * block * block]
        before, after = (plane, deep) if name == "SPACE_TO_DEPTH" else (deep, plane)
        x, y = b.tensor(before, **kind), b.tensor(after, **kind)
        options = "SpaceToDepthOptions" if name == "SPACE_TO_DEPTH" else "DepthToSpaceOptions"
        b.operator(name, [x], [y], options, 2, blockSize=block)
        return b.pack([x], [y])

    return build


def _batch(name: str) -> Generator:
    def build(rng: np.random.Generator) -> bytes:
        b, kind, axes = ModelBuilder(), _kind(rng, BYTES), int(rng.integers(1, 3))
        blocks = [int(v) for v in rng.integers(1, 5, axes)]
        cells = [int(v) for v in rng.integers(1, 5, axes)]
        n, c = (int(v) for v in rng.integers(1, 4, 2))
        borders = [[0, 0] for _ in range(axes)]
        if name == "BATCH_TO_SPACE_ND":
            for axis in range(axes):
                room = cells[axis] * blocks[axis] - 1
                first = int(rng.integers(min(room, 4) + 1))
                borders[axis] = [first, int(rng.integers(min(room - first, 4) + 1))]
        sizes = [m * s - sum(e) for m, s, e in zip(cells, blocks, borders, strict=True)]
        plane, batched = [n, *sizes, c], [n * int(np.prod(blocks)), *cells, c]
        before, after = (plane, batched) if name == "SPACE_TO_BATCH_ND" else (batched, plane)
        x, y = b.tensor(before, **kind), b.tensor(after, **kind)
        options = "".join(part.capitalize() for part in name.split("_")[:-1]) + "NDOptions"
        b.operator(name, [x, _ints(b, blocks), _ints(b, borders)], [y], options, 2)
        return b.pack([x], [y])

    return build


def resize_nearest_neighbor(rng: np.random.Generator) -> bytes:
    """A random RESIZE_NEAREST_NEIGHBOR, larger or smaller, all coordinate modes."""
    b, kind = ModelBuilder(), _kind(rng, RESIZED)
    n, h, w, c, to_h, to_w = (int(v) for v in rng.integers(1, [3, 12, 12, 5, 20, 20]))
    x = b.tensor([n, h, w, c], **kind)
    y = b.tensor([n, to_h, to_w, c], **kind)
    b.operator("RESIZE_NEAREST_NEIGHBOR", [x, _ints(b, [to_h, to_w])], [y],
               "ResizeNearestNeighborOptions", 2, alignCorners=bool(rng.integers(2)),
               halfPixelCenters=bool(rng.integers(2)))  # fmt: skip
    return b.pack([x], [y])


GENERATORS: dict[str, Generator] = {
    "EXPAND_DIMS__ANY": _alias_of_any("EXPAND_DIMS", NARROW),
    "RESHAPE__ANY": _alias_of_any("RESHAPE", EVERY),
    "SQUEEZE__ANY": _alias_of_any("SQUEEZE", EVERY),
    "BATCH_TO_SPACE_ND": _batch("BATCH_TO_SPACE_ND"),
    "CONCATENATION": concatenation,
    "DEPTH_TO_SPACE": _depth("DEPTH_TO_SPACE"),
    "EXPAND_DIMS": _alias("EXPAND_DIMS"),
    "EMBEDDING_LOOKUP": embedding_lookup,
    "GATHER": gather,
    "GATHER__PICKS": picks,
    "MIRROR_PAD": mirror_pad,
    "PACK": pack,
    "PAD": _pad("PAD"),
    "PADV2": _pad("PADV2"),
    "RESIZE_NEAREST_NEIGHBOR": resize_nearest_neighbor,
    "SLICE": slice_,
    "SPACE_TO_BATCH_ND": _batch("SPACE_TO_BATCH_ND"),
    "SPACE_TO_DEPTH": _depth("SPACE_TO_DEPTH"),
    "SPLIT": split,
    "SPLIT_V": split_v,
    "SQUEEZE": _alias("SQUEEZE"),
    "STRIDED_SLICE": strided_slice,
    "STRIDED_SLICE__FIVE": partial(strided_slice, ranks=(5, 5)),
    "TRANSPOSE": transpose,
    "UNPACK": unpack,
}
