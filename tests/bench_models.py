"""Small models for the benchmark, the same every time: `python -m tests.bench_models FOLDER`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from model.files import write_bytes
from tests.factory import ModelBuilder

RELU = 1
SAME = 0
INPUT_SCALE = 0.05


class Network:
    """Layers one behind the other, with weights from a seed and outputs that use their range."""

    def __init__(self, shape: list[int], seed: int) -> None:
        self._b = ModelBuilder()
        self._rng = np.random.default_rng(seed)
        self._input = self._add(shape)
        self.last = self._input

    def conv(self, channels: int, kernel: int, stride: int = 1) -> None:
        """CONV_2D, padded, with ReLU."""
        _, height, width, depth = self._shape()
        weights = self._weights([channels, kernel, kernel, depth], 0)
        output = self._add([1, -(-height // stride), -(-width // stride), channels])
        operands = [self.last, *weights]
        self._b.operator("CONV_2D", operands, [output], "Conv2DOptions", 3, padding=SAME,
                         strideH=stride, strideW=stride, dilationHFactor=1, dilationWFactor=1,
                         fusedActivationFunction=RELU)  # fmt: skip
        self.last = output

    def depthwise(self) -> None:
        """DEPTHWISE_CONV_2D, 3x3, padded, with ReLU."""
        shape = self._shape()
        operands = [self.last, *self._weights([1, 3, 3, shape[3]], 3)]
        output = self._add(shape)
        self._b.operator("DEPTHWISE_CONV_2D", operands, [output], "DepthwiseConv2DOptions", 3,
                         padding=SAME, strideH=1, strideW=1, dilationHFactor=1, dilationWFactor=1,
                         depthMultiplier=1, fusedActivationFunction=RELU)  # fmt: skip
        self.last = output

    def add(self, other: int) -> None:
        """ADD of what came before."""
        output = self._add(self._shape())
        self._b.operator("ADD", [self.last, other], [output], "AddOptions", 2,
                         fusedActivationFunction=RELU)  # fmt: skip
        self.last = output

    def mean(self) -> None:
        """MEAN over height and width."""
        axes = self._b.tensor([2], dtype="int32", data=np.array([1, 2], np.int32))
        output = self._add([1, self._shape()[3]])
        self._b.operator("MEAN", [self.last, axes], [output], "ReducerOptions", 2, keepDims=False)
        self.last = output

    def dense(self, units: int, activation: int = RELU) -> None:
        """FULLY_CONNECTED."""
        operands = [self.last, *self._weights([units, self._shape()[1]], 0)]
        output = self._add([1, units])
        self._b.operator("FULLY_CONNECTED", operands, [output], "FullyConnectedOptions", 4,
                         fusedActivationFunction=activation)  # fmt: skip
        self.last = output

    def softmax(self) -> None:
        """SOFTMAX."""
        output = self._b.tensor(self._shape(), scale=[1 / 256], zero_point=[-128])
        self._b.operator("SOFTMAX", [self.last], [output], "SoftmaxOptions", 2, beta=1.0)
        self.last = output

    def pack(self) -> bytes:
        """The .tflite file."""
        return self._b.pack([self._input], [self.last])

    def _shape(self) -> list[int]:
        return [int(n) for n in self._b.tensors[self.last].shape]

    def _add(self, shape: list[int]) -> int:
        return self._b.tensor(shape, scale=[INPUT_SCALE], zero_point=[-128])

    def _weights(self, shape: list[int], axis: int) -> list[int]:
        channels = shape[axis]
        scales = self._rng.uniform(0.5, 1.5, channels) * channels / np.prod(shape) / 16
        data = self._rng.integers(-127, 128, shape).astype(np.int8)
        bias = self._rng.integers(-1000, 1000, channels).astype(np.int32)
        source = np.float32(INPUT_SCALE)
        bias_scales = [float(source * np.float32(scale)) for scale in scales]
        return [
            self._b.tensor(shape, scale=[float(s) for s in scales], axis=axis, data=data),
            self._b.tensor([channels], dtype="int32", scale=bias_scales, data=bias),
        ]


def separable() -> bytes:
    """A first convolution, two depthwise separable blocks, a classifier."""
    network = Network([1, 16, 16, 1], 1)
    network.conv(16, 3, stride=2)
    for _ in range(2):
        network.depthwise()
        network.conv(16, 1)
    network.mean()
    network.dense(8, 0)
    network.softmax()
    return network.pack()


def residual() -> bytes:
    """3x3 convolutions around a shortcut."""
    network = Network([1, 12, 12, 3], 2)
    network.conv(16, 3)
    shortcut = network.last
    network.conv(16, 3)
    network.conv(16, 3)
    network.add(shortcut)
    network.mean()
    network.dense(10, 0)
    return network.pack()


def autoencoder() -> bytes:
    """Dense layers down and up again."""
    network = Network([1, 128], 3)
    for units in (64, 8, 64):
        network.dense(units)
    network.dense(128, 0)
    return network.pack()


MODELS: dict[str, Callable[[], bytes]] = {
    "bench_autoencoder": autoencoder,
    "bench_residual": residual,
    "bench_separable": separable,
}


def write_models(folder: Path) -> Path:
    """Write every model into `folder`; returns it."""
    for name, make in MODELS.items():
        write_bytes(folder / f"{name}.tflite", make())
    return folder


if __name__ == "__main__":
    write_models(Path(sys.argv[1]))
