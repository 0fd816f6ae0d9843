"""Models of many small layers side by side, each with an input and an output of its own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tests.factory import ModelBuilder

# (fused activation, output zero point): ReLU, none, and two whose clamp saturation does not do
OUTPUTS = ((1, -128), (0, 20), (1, -90), (3, 5))


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A convolution, or with `depthwise` > 0 that many outputs of each input channel."""

    size: tuple[int, int]
    channels: int
    outputs: int = 0
    depthwise: int = 0
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    same: bool = True
    images: int = 1
    largest: int = 60  # of the weights


def convolutions(rng: np.random.Generator, layers: Sequence[Layer]) -> bytes:
    """A model of all `layers`; the ends of layer number n are input and output number n."""
    b, inputs, outputs = ModelBuilder(), [], []
    for number, layer in enumerate(layers):
        x, scale = _input(rng, b, (layer.images, *layer.size, layer.channels))
        taps = math.prod(layer.kernel) * (1 if layer.depthwise else layer.channels)
        count = layer.channels * layer.depthwise or layer.outputs
        last = layer.channels * layer.depthwise or layer.channels
        shape = (1 if layer.depthwise else count, *layer.kernel, last)
        axis = 3 if layer.depthwise else 0
        w, bias, quant = _weights(rng, b, shape, axis, count, scale, layer.largest, taps, number)
        size = [
            _size(*sides, layer.same)
            for sides in zip(layer.size, layer.kernel, layer.stride, layer.dilation, strict=True)
        ]
        y = b.tensor((layer.images, *size, count), **quant)
        options = {
            "padding": 0 if layer.same else 1,
            "strideH": layer.stride[0],
            "strideW": layer.stride[1],
            "dilationHFactor": layer.dilation[0],
            "dilationWFactor": layer.dilation[1],
            "fusedActivationFunction": OUTPUTS[number % len(OUTPUTS)][0],
        }
        if layer.depthwise:
            options["depthMultiplier"] = layer.depthwise
        name = "DEPTHWISE_CONV_2D" if layer.depthwise else "CONV_2D"
        kind = "DepthwiseConv2DOptions" if layer.depthwise else "Conv2DOptions"
        b.operator(name, [x, w, bias], [y], kind, 3, **options)
        inputs.append(x)
        outputs.append(y)
    return b.pack(inputs, outputs)


def dense_layers(rng: np.random.Generator, sizes: Sequence[tuple[int, int, int]]) -> bytes:
    """A model of fully connected layers of `sizes` (batches, inputs, outputs)."""
    b, inputs, outputs = ModelBuilder(), [], []
    for number, (batches, depth, count) in enumerate(sizes):
        x, scale = _input(rng, b, (batches, depth))
        w, bias, quant = _weights(rng, b, (count, depth), 0, count, scale, 60, depth, number)
        y = b.tensor((batches, count), **quant)
        activation = OUTPUTS[number % len(OUTPUTS)][0]
        options = {"fusedActivationFunction": activation}
        b.operator("FULLY_CONNECTED", [x, w, bias], [y], "FullyConnectedOptions", 4, **options)
        inputs.append(x)
        outputs.append(y)
    return b.pack(inputs, outputs)


def sums(rng: np.random.Generator, sides: Sequence[tuple[list[int], list[int]]]) -> bytes:
    """A model with an ADD and a SUB, in turn, of each pair of shapes."""
    b, inputs, outputs = ModelBuilder(), [], []
    for number, shapes in enumerate(sides):
        pair = [_input(rng, b, shape) for shape in shapes]
        scale = float(max(scale for _, scale in pair))
        quant = {"scale": [2 * scale], "zero_point": [OUTPUTS[number % 2][1]]}
        y = b.tensor(np.broadcast_shapes(*shapes), **quant)
        name = ("ADD", "SUB")[number % 2]
        b.operator(name, [x for x, _ in pair], [y], f"{name.capitalize()}Options", 2)
        inputs += [x for x, _ in pair]
        outputs.append(y)
    return b.pack(inputs, outputs)


def _size(size: int, kernel: int, stride: int, dilation: int, same: bool) -> int:
    reach = 0 if same else (kernel - 1) * dilation
    return -(-(size - reach) // stride)


def _input(rng: np.random.Generator, b: ModelBuilder, shape: Sequence[int]) -> tuple[int, float]:
    scale = float(np.exp(rng.uniform(-5, -1)))
    zero = -128 if rng.random() < 0.5 else int(rng.integers(-128, 128))
    return b.tensor(shape, scale=[scale], zero_point=[zero]), scale


def _weights(
    rng: np.random.Generator,
    b: ModelBuilder,
    shape: Sequence[int],
    axis: int,
    count: int,
    input_scale: float,
    largest: int,
    taps: int,
    number: int,
) -> tuple[int, int, dict[str, list[float] | list[int]]]:
    """Weights, bias, and an output whose range the sums of `taps` inputs use as a rule."""
    scales = np.exp(rng.uniform(-7, -6, count))
    data: npt.NDArray[np.int8] = rng.integers(-largest, largest + 1, shape).astype(np.int8)
    w = b.tensor(shape, scale=list(scales), axis=axis, data=data)
    spread = 74 * largest / math.sqrt(3) * math.sqrt(taps)
    bias = rng.integers(-int(spread), int(spread) + 1, count).astype(np.int32)
    bias_scale = list(scales * input_scale)
    i = b.tensor([count], dtype="int32", scale=bias_scale, zero_point=[0] * count, data=bias)
    scale = float(spread * scales.mean() * input_scale / 64)
    return w, i, {"scale": [scale], "zero_point": [OUTPUTS[number % len(OUTPUTS)][1]]}
