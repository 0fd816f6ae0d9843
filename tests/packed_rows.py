"""Models of typical layers, many of them side by side: what the faster kernels are made for.

The rows of `tests.generators` are as odd as the format allows; here scales, zero points and
activations are those of trained networks, and shapes go from one to a little more than what a
kernel takes at a time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from tests.factory import ModelBuilder

# an operator in the model -> its input and its output
Row = Callable[[ModelBuilder, np.random.Generator], tuple[int, int]]


def rows_model(rows: Sequence[Row], seed: int) -> bytes:
    """A model with an operator for each row, which has an input and an output of its own."""
    rng = np.random.default_rng(seed)
    b = ModelBuilder()
    ends = [row(b, rng) for row in rows]
    return b.pack([x for x, _ in ends], [y for _, y in ends])


def _pick(rng: np.random.Generator, *values: int) -> int:
    return int(rng.choice(values))


def _activation(
    b: ModelBuilder, rng: np.random.Generator, shape: Sequence[int], dtype: str = "int8"
) -> int:
    if dtype == "int16":
        return b.tensor(shape, dtype=dtype, scale=[float(rng.uniform(1e-4, 4e-4))])
    zero = -128 if rng.random() < 0.5 else int(rng.integers(-128, 128))
    return b.tensor(shape, scale=[float(rng.uniform(0.02, 0.1))], zero_point=[zero])


def _window(
    rng: np.random.Generator, kernel: tuple[int, int], stride: tuple[int, int], dilation: int = 1
) -> tuple[list[int], list[int], dict[str, Any]]:
    """An input's and an output's height and width, and the options that lead from one to other."""
    valid = bool(rng.random() < 0.3)
    sizes, outs = [], []
    for k, s in zip(kernel, stride, strict=True):
        reach = (k - 1) * dilation + 1
        size = int(rng.integers(reach if valid else 1, 10 + reach))
        sizes.append(size)
        outs.append((size - reach) // s + 1 if valid else -(-size // s))
    options = {"padding": int(valid), "strideH": stride[0], "strideW": stride[1]}
    return sizes, outs, options


def _layer(
    b: ModelBuilder,
    rng: np.random.Generator,
    kind: tuple[str, str, int],
    shapes: tuple[Sequence[int], Sequence[int], Sequence[int]],
    options: dict[str, Any],
    dtype: str = "int8",
    *,
    alike: bool = False,
) -> tuple[int, int]:
    """An operator (name, options table, axis of the weights' scales) with weights and a bias.

    Shapes are those of input, weights and output; `alike` channels have one scale.
    """
    name, table, axis = kind
    channels = shapes[1][axis]
    taps = math.prod(shapes[1]) // channels
    x = _activation(b, rng, shapes[0], dtype)
    source = float(b.tensors[x].quantization.scale[0])
    scales = np.exp(rng.uniform(np.log(0.002), np.log(0.01), channels)).astype(np.float32)
    scales = np.full_like(scales, scales[0]) if alike else scales
    weights = rng.integers(-127, 128, shapes[1]).astype(np.int8)
    w = b.tensor(shapes[1], scale=list(scales), axis=axis, data=weights)
    bias_scales = [float(np.float32(source) * scale) for scale in scales]
    data = rng.integers(-5000, 20000, channels)
    if dtype == "int16":
        data <<= 8
        if rng.random() < 0.15:
            data[-1] = 1 << 33  # sums of more than 32 bits
        bias = b.tensor([channels], dtype="int64", scale=bias_scales, data=data)
    else:
        bias = b.tensor([channels], dtype="int32", scale=bias_scales, data=data.astype(np.int32))
    relu = bool(rng.random() < 0.7)
    scale = 108 * math.sqrt(taps) * source * float(scales.mean())  # uses most of the codes
    zero = -128 if relu else int(rng.integers(-60, 60))
    zero = zero if dtype == "int8" else 0
    y = b.tensor(shapes[2], dtype=dtype, scale=[scale], zero_point=[zero])
    values = options | {"fusedActivationFunction": int(relu)}
    b.operator(name, [x, w, bias], [y], table, 3, **values)
    return x, y


def convolution(b: ModelBuilder, rng: np.random.Generator, dtype: str = "int8") -> tuple[int, int]:
    """A CONV_2D."""
    kernel = (_pick(rng, 1, 3, 3, 5), _pick(rng, 1, 3, 3, 4))
    stride = _pick(rng, 1, 1, 2)
    dilation = _pick(rng, 1, 1, 1, 2)
    size, out, options = _window(rng, kernel, (stride, stride), dilation)
    inputs, outputs = _pick(rng, 1, 3, 4, 7, 8, 16), _pick(rng, *range(1, 10), 16)
    options |= {"dilationHFactor": dilation, "dilationWFactor": dilation}
    shapes = ([1, *size, inputs], [outputs, *kernel, inputs], [1, *out, outputs])
    return _layer(b, rng, ("CONV_2D", "Conv2DOptions", 0), shapes, options, dtype)


def tiles(b: ModelBuilder, rng: np.random.Generator) -> tuple[int, int]:
    """A CONV_2D of three columns whose rows are whole groups of tiles."""
    kernel, inputs = [(3, 4), (3, 8), (3, 20), (1, 12), (2, 24), (5, 12)][int(rng.integers(6))]
    size, out, options = _window(rng, (kernel, 3), (1, 1))
    out[1] = 8 * _pick(rng, 1, 1, 2, 3)
    size[1] = out[1] + 2 * options["padding"]
    batches, outputs = _pick(rng, 1, 1, 2), 2 * int(rng.integers(1, 6))
    options |= {"dilationHFactor": 1, "dilationWFactor": 1}
    shapes = [batches, *size, inputs], [outputs, kernel, 3, inputs], [batches, *out, outputs]
    return _layer(b, rng, ("CONV_2D", "Conv2DOptions", 0), shapes, options)


def pairs(b: ModelBuilder, rng: np.random.Generator) -> tuple[int, int]:
    """A CONV_2D or DEPTHWISE_CONV_2D whose windows are two bytes behind each other in a row."""
    inputs = _pick(rng, 1, 2)
    kernel = (_pick(rng, 2, 4, 6), _pick(rng, 1, 3, 4, 7, 8))
    strides = (_pick(rng, 1, 2), 2 // inputs)
    size, out, options = _window(rng, kernel, strides)
    out[1] = 4 * _pick(rng, 1, 2, 3)
    size[1] = out[1] * strides[1] - int(rng.integers(strides[1]))
    if options["padding"]:
        size[1] = (out[1] - 1) * strides[1] + kernel[1] + int(rng.integers(strides[1]))
    batches, outputs = _pick(rng, 1, 1, 2), int(rng.integers(1, 10))
    options |= {"dilationHFactor": 1, "dilationWFactor": 1}
    ends = [batches, *size, inputs], [batches, *out, outputs]
    if inputs == 2 or rng.random() < 0.5:
        shapes = (ends[0], [outputs, *kernel, inputs], ends[1])
        return _layer(b, rng, ("CONV_2D", "Conv2DOptions", 0), shapes, options)
    shapes = (ends[0], [1, *kernel, outputs], ends[1])
    kind = ("DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions", 3)
    return _layer(b, rng, kind, shapes, options | {"depthMultiplier": outputs})


def mono(b: ModelBuilder, rng: np.random.Generator, dtype: str = "int8") -> tuple[int, int]:
    """A CONV_2D or DEPTHWISE_CONV_2D of images of one channel."""
    kernel = (_pick(rng, 1, 2, 3, 3), _pick(rng, 2, 3, 3))
    strides = (_pick(rng, 1, 2, 4), _pick(rng, 1, 2, 4))
    size, out, options = _window(rng, kernel, strides)
    batches, outputs = _pick(rng, 1, 1, 2), int(rng.integers(1, 10))
    ends = [batches, *size, 1], [batches, *out, outputs]
    options |= {"dilationHFactor": 1, "dilationWFactor": 1}
    if rng.random() < 0.5:
        shapes = (ends[0], [outputs, *kernel, 1], ends[1])
        return _layer(b, rng, ("CONV_2D", "Conv2DOptions", 0), shapes, options, dtype)
    shapes = (ends[0], [1, *kernel, outputs], ends[1])
    kind = ("DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions", 3)
    return _layer(b, rng, kind, shapes, options | {"depthMultiplier": outputs}, dtype)


def image(b: ModelBuilder, rng: np.random.Generator) -> tuple[int, int]:
    """A CONV_2D of a wide image of few channels: a first layer."""
    kernel = (_pick(rng, 1, 2, 3, 3, 5), _pick(rng, 2, 3, 3, 5, 7))
    strides, dilation = (_pick(rng, 1, 1, 2, 3), _pick(rng, 1, 2, 2, 4)), _pick(rng, 1, 1, 1, 2)
    size, out, options = _window(rng, kernel, strides, dilation)
    size[1] = int(rng.integers(kernel[1] + 12, 45))
    reach = kernel[1] if options["padding"] else 1
    out[1] = (size[1] - reach) // strides[1] + 1
    inputs, outputs = _pick(rng, 1, 2, 3, 3, 4), _pick(rng, *range(1, 10), 16)
    options |= {"dilationHFactor": dilation, "dilationWFactor": 1}
    shapes = ([1, *size, inputs], [outputs, *kernel, inputs], [1, *out, outputs])
    return _layer(b, rng, ("CONV_2D", "Conv2DOptions", 0), shapes, options)


def column(b: ModelBuilder, rng: np.random.Generator, dtype: str = "int8") -> tuple[int, int]:
    """A CONV_2D along a signal: the images have one column."""
    kernel = (_pick(rng, 3, 5, 7), 1)
    size, out, options = _window(rng, kernel, (_pick(rng, 1, 2), 1))
    inputs, outputs = _pick(rng, 1, 3, 6, 8), _pick(rng, *range(1, 10))
    shapes = ([1, size[0], 1, inputs], [outputs, *kernel, inputs], [1, out[0], 1, outputs])
    return _layer(b, rng, ("CONV_2D", "Conv2DOptions", 0), shapes, options, dtype)


def point(b: ModelBuilder, rng: np.random.Generator, dtype: str = "int8") -> tuple[int, int]:
    """A CONV_2D of single pixels with few channels."""
    stride = (_pick(rng, 1, 1, 2), _pick(rng, 1, 1, 2))
    size, out, options = _window(rng, (1, 1), stride)
    images, inputs, outputs = (
        _pick(rng, 1, 1, 2),
        int(rng.integers(3, 19)),
        int(rng.integers(1, 20)),
    )
    options |= {"dilationHFactor": 1, "dilationWFactor": 1}
    shapes = ([images, *size, inputs], [outputs, 1, 1, inputs], [images, *out, outputs])
    return _layer(b, rng, ("CONV_2D", "Conv2DOptions", 0), shapes, options, dtype)


def depthwise(b: ModelBuilder, rng: np.random.Generator, dtype: str = "int8") -> tuple[int, int]:
    """A DEPTHWISE_CONV_2D."""
    kernel = (3, 3) if rng.random() < 0.6 else (_pick(rng, 1, 2, 3, 5), _pick(rng, 1, 2, 3, 5))
    stride = _pick(rng, 1, 1, 2)
    size, out, options = _window(rng, kernel, (stride, stride), 1)
    batches, channels = _pick(rng, 1, 1, 2), _pick(rng, *range(1, 10), 16)
    multiplier = _pick(rng, 1, 8) if channels == 1 else 1
    options |= {"dilationHFactor": 1, "dilationWFactor": 1, "depthMultiplier": multiplier}
    outputs = channels * multiplier
    shapes = ([batches, *size, channels], [1, *kernel, outputs], [batches, *out, outputs])
    kind = ("DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions", 3)
    return _layer(b, rng, kind, shapes, options, dtype)


def lines(b: ModelBuilder, rng: np.random.Generator, dtype: str = "int8") -> tuple[int, int]:
    """A DEPTHWISE_CONV_2D along columns, rows or all pixels, or with large windows."""
    taps = _pick(rng, 2, 3, 3, 4, 5, 9, 10, 15, 16, 17, 20, 31)
    whole = (_pick(rng, 1, 2, 3), _pick(rng, 2, 3, 5))
    large = (_pick(rng, 2, 3, 4, 5, 8), _pick(rng, 4, 5, 6, 15))
    shape = ("column", "row", "whole", "large")[int(rng.integers(4))]
    kernel = {"column": (taps, 1), "row": (1, taps), "whole": whole, "large": large}[shape]
    along = shape in ("column", "row")
    stride = _pick(rng, 1, 1, 1, 2) if along else 1
    dilation = _pick(rng, 1, 1, 1, 2) if along and stride == 1 else 1
    strides = (_pick(rng, 1, 1, 2), 1) if shape == "large" else (stride, stride)
    size, out, options = _window(rng, kernel, strides, dilation)
    if shape == "whole":  # as wide as the image
        size[1], out[1], options["padding"] = kernel[1], 1, 1
        size[0] = max(size[0], kernel[0])
        out[0] = size[0] - kernel[0] + 1
    batches, channels = _pick(rng, 1, 1, 2), int(rng.integers(4, 14))
    options |= {"dilationHFactor": dilation, "dilationWFactor": dilation, "depthMultiplier": 1}
    shapes = ([batches, *size, channels], [1, *kernel, channels], [batches, *out, channels])
    kind = ("DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions", 3)
    return _layer(b, rng, kind, shapes, options, dtype)


def dense(b: ModelBuilder, rng: np.random.Generator, dtype: str = "int8") -> tuple[int, int]:
    """A FULLY_CONNECTED."""
    batches, depth, outputs = _pick(rng, 1, 3), int(rng.integers(1, 70)), int(rng.integers(1, 14))
    if rng.random() < 0.05:
        depth += 2000  # sums of more than 24 bits
    shapes = ([batches, depth], [outputs, depth], [batches, outputs])
    return _layer(b, rng, ("FULLY_CONNECTED", "FullyConnectedOptions", 0), shapes, {}, dtype)


def alike(b: ModelBuilder, rng: np.random.Generator) -> tuple[int, int]:
    """A FULLY_CONNECTED whose channels have one scale."""
    batches, depth, outputs = _pick(rng, 1, 3), 8 * _pick(rng, *range(1, 9)), _pick(rng, 8, 16, 24)
    if rng.random() < 0.2:
        depth, outputs = depth + 1, outputs - 3
    shapes = ([batches, depth], [outputs, depth], [batches, outputs])
    kind = ("FULLY_CONNECTED", "FullyConnectedOptions", 0)
    return _layer(b, rng, kind, shapes, {}, alike=True)


def pool(name: str) -> Row:
    """Rows of a pooling operator; some have windows of more than 256 pixels."""

    def build(b: ModelBuilder, rng: np.random.Generator) -> tuple[int, int]:
        large = rng.random() < 0.2
        kernel = (17, 16) if large else (_pick(rng, 1, 2, 3), _pick(rng, 1, 2, 3, 5))
        stride = (_pick(rng, 1, 2), _pick(rng, 1, 2))
        size, out, options = _window(rng, kernel, stride)
        batches, channels = _pick(rng, 1, 1, 2), _pick(rng, *range(3, 10), 16)
        x = _activation(b, rng, [batches, *size, channels])
        quant = b.tensors[x].quantization
        y = b.tensor(
            [batches, *out, channels], scale=quant.scale, zero_point=[int(quant.zeroPoint[0])]
        )
        options |= {"filterHeight": kernel[0], "filterWidth": kernel[1]}
        act = _pick(rng, 0, 0, 1, 3)
        b.operator(name, [x], [y], "Pool2DOptions", 2, fusedActivationFunction=act, **options)
        return x, y

    return build


def mean(name: str) -> Row:
    """Rows of MEAN or SUM over the pixels or another axis."""

    def build(b: ModelBuilder, rng: np.random.Generator) -> tuple[int, int]:
        axes = [[1, 2], [1, 2], [1], [2], [3], [0, 2]][int(rng.integers(6))]
        large = rng.random() < 0.2
        size = [17, 18] if large else [int(v) for v in rng.integers(1, 9, 2)]
        shape = [_pick(rng, 1, 2), *size, _pick(rng, *range(1, 10), 16)]
        x = _activation(b, rng, shape)
        kept = [d for i, d in enumerate(shape) if i not in axes]
        y = _activation(b, rng, kept)
        a = b.tensor([len(axes)], dtype="int32", data=np.array(axes, np.int32))
        b.operator(name, [x, a], [y], "ReducerOptions", 2, keepDims=False)
        return x, y

    return build


ROWS: dict[str, Row] = {
    "AVERAGE_POOL_2D": pool("AVERAGE_POOL_2D"),
    "CONV_2D": convolution,
    "CONV_2D_COLUMN": column,
    "CONV_2D_POINT": point,
    "CONV_2D_MONO": mono,
    "DEPTHWISE_CONV_2D": depthwise,
    "DEPTHWISE_CONV_2D_LINES": lines,
    "FULLY_CONNECTED": dense,
    "FULLY_CONNECTED_ALIKE": alike,
    "MAX_POOL_2D": pool("MAX_POOL_2D"),
    "MEAN": mean("MEAN"),
    "SUM": mean("SUM"),
    "CONV_2D_TILES": tiles,
    "CONV_2D_PAIRS": pairs,
    "CONV_2D_IMAGE": image,
}


def pairwise(name: str, options: str) -> Row:
    """Rows of an element-wise operator of int16: of a tensor and a constant, or the tensor."""

    def build(b: ModelBuilder, rng: np.random.Generator) -> tuple[int, int]:
        shape = [1, *(int(v) for v in rng.integers(1, 6, 3))]
        x = _activation(b, rng, shape, "int16")
        scale, other = float(b.tensors[x].quantization.scale[0]), x
        if rng.random() < 0.8:
            ratio = float(rng.choice([1.0, 0.5, 2.0, rng.uniform(0.01, 1.0), rng.uniform(1, 50)]))
            data = rng.integers(-32768, 32768, shape).astype(np.int16)
            data.reshape(-1)[0] = rng.choice([-32768, 32767])
            other = b.tensor(shape, dtype="int16", scale=[scale * ratio], data=data)
        largest = max(scale, float(b.tensors[other].quantization.scale[0]))
        scale = largest * largest * 3e4 if name == "MUL" else largest
        y = b.tensor(shape, dtype="int16", scale=[scale * float(rng.uniform(1, 3))])
        sides = [x, other] if rng.random() < 0.5 else [other, x]
        relu = int(rng.random() < 0.5)
        b.operator(name, sides, [y], options, 4, fusedActivationFunction=relu)
        return x, y

    return build


def rescale(b: ModelBuilder, rng: np.random.Generator) -> tuple[int, int]:
    """A QUANTIZE between int16 and int8."""
    count = int(rng.integers(1, 30))
    wide: dict[str, Any] = {"dtype": "int16", "scale": [float(rng.uniform(1e-4, 4e-4))]}
    factor = 256 * float(rng.uniform(0.5, 2))
    narrow = {"scale": [wide["scale"][0] * factor], "zero_point": [int(rng.integers(-128, 128))]}
    ends = [wide, narrow] if rng.random() < 0.5 else [narrow, wide]
    x, y = (b.tensor([1, count], **end) for end in ends)
    b.operator("QUANTIZE", [x], [y], "QuantizeOptions", 2)
    return x, y


INT16_ROWS: dict[str, Row] = {
    "ADD": pairwise("ADD", "AddOptions"),
    "CONV_2D": partial(convolution, dtype="int16"),
    "CONV_2D_COLUMN": partial(column, dtype="int16"),
    "CONV_2D_POINT": partial(point, dtype="int16"),
    "CONV_2D_MONO": partial(mono, dtype="int16"),
    "DEPTHWISE_CONV_2D": partial(depthwise, dtype="int16"),
    "DEPTHWISE_CONV_2D_LINES": partial(lines, dtype="int16"),
    "FULLY_CONNECTED": partial(dense, dtype="int16"),
    "MUL": pairwise("MUL", "MulOptions"),
    "QUANTIZE": rescale,
    "SUB": pairwise("SUB", "SubOptions"),
}
