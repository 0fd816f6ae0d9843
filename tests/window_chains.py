"""Random networks of sliding windows, some of them behind a PAD: what quantize.fuse and
quantize.chains make one operator of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tests.factory import ModelBuilder

Quant = dict[str, Any]
SCALE = 0.05


@dataclass(kw_only=True)
class Windows:
    """A network under construction: the tensor at its end, its shape [h, w, c] and zero point."""

    rng: np.random.Generator
    shape: tuple[int, int, int]
    zero: int
    b: ModelBuilder = field(default_factory=ModelBuilder)
    end: int = -1
    start: int = -1

    def __post_init__(self) -> None:
        self.start = self.end = self.tensor(self.shape, self.zero)

    def tensor(self, shape: tuple[int, int, int], zero: int) -> int:
        """A new tensor at the end."""
        self.shape, self.zero = shape, zero
        self.end = self.b.tensor((1, *shape), scale=[SCALE], zero_point=[zero])
        return self.end

    def pad(self, rows: tuple[int, int], columns: tuple[int, int], value: int | None = None) -> int:
        """PAD with the zero point, or PADV2 with a value."""
        pads = np.array([[0, 0], rows, columns, [0, 0]], np.int32)
        inputs = [self.end, self.b.tensor((4, 2), dtype="int32", data=pads)]
        if value is not None:
            quant = {"scale": [SCALE], "zero_point": [self.zero]}
            inputs.append(self.b.tensor((1,), data=np.array([value], np.int8), **quant))
        h, w, c = self.shape
        y = self.tensor((h + sum(rows), w + sum(columns), c), self.zero)
        name = "PAD" if value is None else "PADV2"
        self.b.operator(name, inputs, [y], name.replace("AD", "ad") + "Options")
        return y

    def weights(self, shape: tuple[int, ...], axis: int) -> list[int]:
        """Weights and bias; outputs spread over the range of int8."""
        data = self.rng.integers(-127, 128, shape).astype(np.int8)
        taps = data.size / shape[axis]
        scales = self.rng.uniform(0.5, 1.5, shape[axis]) / (64 * np.sqrt(taps))
        bias = self.rng.integers(-2000, 2000, shape[axis]).astype(np.int32)
        w = self.b.tensor(shape, scale=[float(s) for s in scales], axis=axis, data=data)
        return [w, self.b.tensor([len(bias)], dtype="int32", data=bias)]

    def window(
        self, kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int], same: int
    ) -> tuple[tuple[int, int], dict[str, int]] | None:
        """The size of the output, and the options; None where it does not fit."""
        sizes = []
        for size, k, s, d in zip(self.shape, kernel, stride, dilation, strict=False):
            reach = (k - 1) * d + 1
            if not same and reach > size:
                return None
            sizes.append(-(-size // s) if same else (size - reach) // s + 1)
        names = ("strideH", "strideW", "dilationHFactor", "dilationWFactor")
        options = dict(zip(names, (*stride, *dilation), strict=True))
        return (sizes[0], sizes[1]), options | {"padding": 0 if same else 1}

    def layer(self, kind: str, *, zero: int | None = None, **given: Any) -> bool:
        """CONV_2D, DEPTHWISE_CONV_2D or MAX_POOL_2D with random options but those given; False
        where it does not fit."""
        rng, (_, _, c) = self.rng, self.shape
        kernel = given.get("kernel", tuple(int(k) for k in rng.integers(1, 4, 2)))
        stride = given.get("stride", (int(rng.integers(1, 3)),) * 2)
        dilation = given.get("dilation", (1, 1))
        found = self.window(kernel, stride, dilation, given.get("same", int(rng.integers(2))))
        if found is None:
            return False
        size, options = found
        x = self.end
        zero = int(rng.choice([-128, -128, int(rng.integers(-100, 101))])) if zero is None else zero
        if kind == "MAX_POOL_2D":
            y = self.tensor((*size, c), self.zero)
            own = {k: v for k, v in options.items() if not k.startswith("dilation")}
            own |= {"filterHeight": kernel[0], "filterWidth": kernel[1]}
            self.b.operator(kind, [x], [y], "Pool2DOptions", 2, **own)
            return True
        outputs = c if kind == "DEPTHWISE_CONV_2D" else given.get("outputs", 4 * rng.integers(1, 6))
        shape = (int(outputs), *kernel, c) if kind == "CONV_2D" else (1, *kernel, c)
        operands = self.weights(shape, 0 if kind == "CONV_2D" else 3)
        y = self.tensor((*size, int(outputs)), zero)
        more = {} if kind == "CONV_2D" else {"depthMultiplier": 1}
        more["fusedActivationFunction"] = int(rng.choice([0, 1, 3]))
        table = "Conv2DOptions" if kind == "CONV_2D" else "DepthwiseConv2DOptions"
        self.b.operator(kind, [x, *operands], [y], table, 3, **options, **more)
        return True

    def pack(self, *outputs: int) -> bytes:
        """The model; None given: the tensor at the end is the output."""
        return self.b.pack([self.start], outputs or [self.end])


KINDS = ("CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D")


def padded(seed: int) -> Windows:
    """A window or two behind a PAD, which may reach farther on one side than on the other."""
    rng = np.random.default_rng(seed)
    channels = int(rng.choice([1, 3, 4, 8, 16, 20]))
    size = (int(rng.integers(3, 12)), int(rng.integers(3, 12)), channels)
    while True:
        net = Windows(rng=rng, shape=size, zero=int(rng.choice([-128, -128, 0, 17])))
        kind = str(rng.choice(KINDS))
        dilation = (
            (int(rng.integers(1, 4)),) * 2 if kind == "CONV_2D" and rng.random() < 0.3 else (1, 1)
        )
        kernel = (int(rng.integers(1, 6)), int(rng.integers(1, 6)))
        reach = [(k - 1) * d for k, d in zip(kernel, dilation, strict=True)]
        pads = [tuple(int(v) for v in rng.integers(0, r + 1, 2)) for r in reach]
        value = None if rng.random() < 0.7 else net.zero
        net.pad((pads[0][0], pads[0][1]), (pads[1][0], pads[1][1]), value)
        stride = (int(rng.integers(1, 3)),) * 2
        if net.layer(
            kind, kernel=kernel, dilation=dilation, stride=stride, same=int(rng.random() < 0.2)
        ):
            return net


def joined(seed: int) -> Windows:
    """Two to four windows over rows of whole words."""
    rng = np.random.default_rng(seed)
    size = (int(rng.integers(6, 20)), int(rng.integers(3, 12)), 4 * int(rng.integers(1, 5)))
    net = Windows(rng=rng, shape=size, zero=int(rng.choice([-128, 0, 17])))
    for _ in range(int(rng.integers(2, 5))):
        net.layer(str(rng.choice(KINDS, p=[0.5, 0.35, 0.15])))
    return net


def wide(rng: int = 0) -> Windows:
    """Few channels become many and few again, so that the tensor between them is most of the
    arena; it is padded."""
    net = Windows(rng=np.random.default_rng(rng), shape=(24, 24, 8), zero=-128)
    net.layer("CONV_2D", kernel=(1, 1), stride=(1, 1), outputs=32, zero=-128)
    net.pad((0, 1), (0, 1))
    net.layer("DEPTHWISE_CONV_2D", kernel=(3, 3), stride=(2, 2), same=0, zero=-128)
    net.layer("CONV_2D", kernel=(1, 1), stride=(1, 1), outputs=8)
    return net
