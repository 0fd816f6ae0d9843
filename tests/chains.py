"""Random networks of several operators, with channels planted that no input can change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.factory import ModelBuilder

Quant = dict[str, Any]


@dataclass(kw_only=True)
class Chain:
    """A network under construction: the tensor at its end, and what is known of it."""

    rng: np.random.Generator
    dead: float  # share of the output channels of weighted layers that are planted as constant
    b: ModelBuilder = field(default_factory=ModelBuilder)
    tensor: int = -1
    shape: tuple[int, ...] = ()
    quant: Quant = field(default_factory=dict)

    def output(self, shape: tuple[int, ...], quant: Quant | None = None) -> int:
        """A new tensor at the end; the zero point is often that of a ReLU."""
        self.shape = shape
        self.quant = quant or {
            "scale": [float(np.exp(self.rng.uniform(np.log(0.02), np.log(0.2))))],
            "zero_point": [-128 if self.rng.random() < 0.6 else int(self.rng.integers(-100, 101))],
        }
        self.tensor = self.b.tensor(shape, **self.quant)
        return self.tensor

    def activation(self) -> int:
        """None, ReLU or ReLU6."""
        return int(self.rng.choice([0, 1, 1, 3]))


def _weights(c: Chain, shape: tuple[int, ...], axis: int) -> tuple[int, int]:
    """Weights and bias (-1 without one), some output channels of them dead."""
    rng, channels = c.rng, shape[axis]
    data = np.moveaxis(rng.integers(-127, 128, shape).astype(np.int8), axis, 0)
    data[rng.random(data.shape) < rng.choice([0.0, 0.5])] = 0
    scales = np.exp(rng.uniform(np.log(1e-3), np.log(0.02), channels))
    bias = rng.integers(-3000, 3000, channels)
    if rng.random() < 0.15 and not c.dead:
        bias[:] = 0
    for channel in np.flatnonzero(rng.random(channels) < c.dead):
        kind = int(rng.integers(4))
        if kind == 0:
            data[channel] = 0
        elif kind == 1:
            bias[channel] = int(rng.choice([-1, 1])) * (1 << 29)
        elif kind == 2:
            scales[channel] = 2.0 ** rng.uniform(-40, -28)  # shifts of 24 and more
        else:
            data[channel], bias[channel] = 0, 0  # constant at the zero point
    weights = c.b.tensor(
        shape,
        scale=[float(np.float32(s)) for s in scales],
        axis=axis,
        data=np.ascontiguousarray(np.moveaxis(data, 0, axis)),
    )
    if not bias.any() and rng.random() < 0.5 and axis == 0:
        return weights, -1
    bias_scale = [float(np.float32(c.quant["scale"][0]) * np.float32(s)) for s in scales]
    values = bias.astype(np.int32)
    return weights, c.b.tensor([channels], dtype="int32", scale=bias_scale, data=values)


def _window(c: Chain) -> tuple[tuple[int, int], tuple[int, int], dict[str, int]]:
    """Kernel, output size and options of a window over the end."""
    rng, sizes = c.rng, c.shape[1:3]
    kernel = [int(rng.integers(1, 4)) for _ in sizes]
    stride = [int(rng.integers(1, 3)) for _ in sizes]
    fits = all(k <= s for k, s in zip(kernel, sizes, strict=True))
    padding = int(rng.integers(2)) if fits else 0
    out = [
        -(-s // t) if padding == 0 else (s - k) // t + 1
        for s, k, t in zip(sizes, kernel, stride, strict=True)
    ]
    options = {"padding": padding, "strideH": stride[0], "strideW": stride[1]}
    return (kernel[0], kernel[1]), (out[0], out[1]), options


def conv(c: Chain) -> None:
    """A CONV_2D."""
    x, (kernel, size, options) = c.tensor, _window(c)
    out = int(c.rng.integers(1, 9))
    w, bias = _weights(c, (out, *kernel, c.shape[3]), 0)
    y = c.output((1, *size, out))
    c.b.operator("CONV_2D", [x, w, bias], [y], "Conv2DOptions", 3, **options,
                 fusedActivationFunction=c.activation())  # fmt: skip


def depthwise(c: Chain) -> None:
    """A DEPTHWISE_CONV_2D."""
    x, (kernel, size, options) = c.tensor, _window(c)
    multiplier = int(c.rng.choice([1, 1, 1, 2]))
    out = c.shape[3] * multiplier
    w, bias = _weights(c, (1, *kernel, out), 3)
    y = c.output((1, *size, out))
    c.b.operator("DEPTHWISE_CONV_2D", [x, w, bias], [y], "DepthwiseConv2DOptions", 3, **options,
                 depthMultiplier=multiplier, fusedActivationFunction=c.activation())  # fmt: skip


def pool(c: Chain) -> None:
    """A pooling operator."""
    x, (kernel, size, options) = c.tensor, _window(c)
    y = c.output((1, *size, c.shape[3]), c.quant)
    name = str(c.rng.choice(["AVERAGE_POOL_2D", "MAX_POOL_2D"]))
    c.b.operator(name, [x], [y], "Pool2DOptions", 2, **options, filterHeight=kernel[0],
                 filterWidth=kernel[1], fusedActivationFunction=c.activation())  # fmt: skip


def residual(c: Chain) -> None:
    """The end and a 1x1 convolution of it, added, multiplied or subtracted."""
    x, quant = c.tensor, c.quant
    w, bias = _weights(c, (c.shape[3], 1, 1, c.shape[3]), 0)
    y = c.output(c.shape)
    c.b.operator("CONV_2D", [x, w, bias], [y], "Conv2DOptions", 3, padding=0, strideH=1, strideW=1,
                 fusedActivationFunction=c.activation())  # fmt: skip
    name = str(c.rng.choice(["ADD", "ADD", "MUL", "SUB"]))
    wide = {"scale": [2.0 * max(quant["scale"][0], c.quant["scale"][0])], "zero_point": [-128]}
    z = c.output(c.shape, wide)
    c.b.operator(name, [x, y], [z], f"{name.title()}Options", 2,
                 fusedActivationFunction=c.activation())  # fmt: skip


def scaled(c: Chain) -> None:
    """The end times a constant of each channel."""
    x, channels = c.tensor, c.shape[-1]
    data = c.rng.integers(-128, 128, channels).astype(np.int8)
    k = c.b.tensor([1, 1, 1, channels], scale=[0.01], zero_point=[3], data=data)
    z = c.output(c.shape)
    c.b.operator("MUL", [x, k], [z], "MulOptions", 2)


def joined(c: Chain) -> None:
    """The end and a convolution of it side by side."""
    x, shape, quant = c.tensor, c.shape, c.quant
    out = int(c.rng.integers(1, 5))
    w, bias = _weights(c, (out, 1, 1, shape[3]), 0)
    y = c.output((*shape[:3], out), quant)
    c.b.operator("CONV_2D", [x, w, bias], [y], "Conv2DOptions", 3, padding=0, strideH=1, strideW=1,
                 fusedActivationFunction=c.activation())  # fmt: skip
    z = c.output((*shape[:3], shape[3] + out), quant)
    c.b.operator("CONCATENATION", [x, y], [z], "ConcatenationOptions", 2, axis=3)


def padded(c: Chain) -> None:
    """A border of the zero point."""
    x, shape = c.tensor, c.shape
    pads = np.array([[0, 0], [1, 0], [0, 1], [0, 0]], np.int32)
    p = c.b.tensor([4, 2], dtype="int32", data=pads)
    y = c.output((1, shape[1] + 1, shape[2] + 1, shape[3]), c.quant)
    c.b.operator("PAD", [x, p], [y], "PadOptions", 2)


def rectified(c: Chain) -> None:
    """A RELU."""
    x = c.tensor
    c.b.operator("RELU", [x], [c.output(c.shape)], version=2)


def requantised(c: Chain) -> None:
    """A QUANTIZE to another scale."""
    x = c.tensor
    c.b.operator("QUANTIZE", [x], [c.output(c.shape)], "QuantizeOptions", 2)


def flat(c: Chain) -> None:
    """The end under one dimension: a RESHAPE, or the mean over rows and columns."""
    x, (_, height, width, channels) = c.tensor, c.shape
    if c.rng.random() < 0.5:
        axes = c.b.tensor([2], dtype="int32", data=np.array([1, 2], np.int32))
        c.b.operator("MEAN", [x, axes], [c.output((1, channels))], "ReducerOptions", 2)
        return
    shape = (1, height * width * channels)
    target = c.b.tensor([2], dtype="int32", data=np.array(shape, np.int32))
    c.b.operator("RESHAPE", [x, target], [c.output(shape, c.quant)], "ReshapeOptions", 1)


def dense(c: Chain) -> None:
    """A FULLY_CONNECTED, over all of the end when it is not flat."""
    x, depth = c.tensor, int(np.prod(c.shape))
    out = int(c.rng.integers(1, 12))
    w, bias = _weights(c, (out, depth), 0)
    y = c.output((1, out))
    c.b.operator("FULLY_CONNECTED", [x, w, bias], [y], "FullyConnectedOptions", 4,
                 fusedActivationFunction=c.activation())  # fmt: skip


def softmax(c: Chain) -> None:
    """A SOFTMAX."""
    x = c.tensor
    y = c.output(c.shape, {"scale": [1 / 256], "zero_point": [-128]})
    c.b.operator("SOFTMAX", [x], [y], "SoftmaxOptions", 2, beta=1.0)


SPATIAL: tuple[Callable[[Chain], None], ...] = (
    conv, conv, conv, depthwise, depthwise, pool, residual, scaled, joined, padded, rectified,
    requantised,
)  # fmt: skip


def chain(seed: int, dead: float, layers: int = 6) -> bytes:
    """A network: convolutions and their like, then dense layers; two outputs now and then."""
    rng = np.random.default_rng(seed)
    c = Chain(rng=rng, dead=dead)
    x = c.output((1, int(rng.integers(2, 8)), int(rng.integers(2, 8)), int(rng.integers(1, 5))))
    ends: list[int] = []
    for _ in range(int(rng.integers(1, layers + 1))):
        SPATIAL[int(rng.integers(len(SPATIAL)))](c)
        if rng.random() < 0.05:
            ends.append(c.tensor)
    if rng.random() < 0.7:
        if rng.random() < 0.8:
            flat(c)
        dense(c)
        if rng.random() < 0.5:
            dense(c)
        if rng.random() < 0.3:
            softmax(c)
    return c.b.pack([x], sorted({*ends, c.tensor}))
