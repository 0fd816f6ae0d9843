"""The built-in networks as lists of layers: shapes and weights without a training framework.

model.networks makes Keras layers of them. Shapes are of one case: [rows, columns, filters], where
the input is [rows, 1, columns] as the front end gives it, or flat. Every layer quantises to
operators with exact kernels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from model.errors import ConfigError
from model.network_config import OWN, ROW_KERNEL, SIDE_KERNEL, NetworkConfig

Shape = tuple[int, ...]
Pair = tuple[int, int]  # of rows and columns


@dataclass(frozen=True, slots=True, kw_only=True)
class Convolution:
    """A convolution with 'same' padding, batch normalisation and, if asked for, ReLU."""

    filters: int
    kernel: Pair
    stride: Pair = (1, 1)
    relu: bool = True

    def shape(self, given: Shape) -> Shape:
        """Of the output."""
        return (*_strided(given, self.stride), self.filters)

    def weights(self, given: Shape) -> int:
        """Without biases."""
        return math.prod(self.kernel) * given[2] * self.filters


@dataclass(frozen=True, slots=True, kw_only=True)
class Depthwise:
    """A depthwise convolution with 'same' padding, batch normalisation and ReLU."""

    kernel: Pair
    stride: Pair = (1, 1)

    def shape(self, given: Shape) -> Shape:
        """Of the output."""
        return (*_strided(given, self.stride), given[2])

    def weights(self, given: Shape) -> int:
        """Without biases."""
        return math.prod(self.kernel) * given[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Average or maximum of what does not overlap; a rest is left out."""

    size: Pair
    maximum: bool = False
    name: str | None = None

    def shape(self, given: Shape) -> Shape:
        """Of the output."""
        return given[0] // self.size[0], given[1] // self.size[1], given[2]

    def weights(self, given: Shape) -> int:
        """None."""
        return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Dense:
    """A fully connected layer."""

    units: int
    relu: bool = False
    name: str | None = None

    def shape(self, given: Shape) -> Shape:
        """Of the output."""
        return (self.units,)

    def weights(self, given: Shape) -> int:
        """Without biases."""
        return given[0] * self.units


@dataclass(frozen=True, slots=True, kw_only=True)
class Lstm:
    """An LSTM over [rows, columns]; its output at every row, or at the last."""

    units: int
    every_row: bool

    def shape(self, given: Shape) -> Shape:
        """Of the output."""
        return (given[0], self.units) if self.every_row else (self.units,)

    def weights(self, given: Shape) -> int:
        """Without biases."""
        return 4 * self.units * (given[1] + self.units)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reshape:
    """The same values in another shape; without one: flat."""

    to: Shape | None = None

    def shape(self, given: Shape) -> Shape:
        """Of the output."""
        return (math.prod(given),) if self.to is None else self.to

    def weights(self, given: Shape) -> int:
        """None."""
        return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropout:
    """Training drops a share of the values."""

    share: float

    def shape(self, given: Shape) -> Shape:
        """Of the output."""
        return given

    def weights(self, given: Shape) -> int:
        """None."""
        return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Softmax:
    """Probabilities."""

    def shape(self, given: Shape) -> Shape:
        """Of the output."""
        return given

    def weights(self, given: Shape) -> int:
        """None."""
        return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sigmoid(Softmax):
    """A probability of each label, whatever the others are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Residual:
    """The sum of a path's output and its input, or what `shortcut` makes of it; then ReLU."""

    path: tuple[Convolution, ...]
    shortcut: Convolution | None

    def shape(self, given: Shape) -> Shape:
        """Of the output."""
        return shape_after(self.path, given)

    def weights(self, given: Shape) -> int:
        """Without biases."""
        aside = self.shortcut.weights(given) if self.shortcut else 0
        return aside + weights_of(self.path, given)


Layer = (
    Convolution | Depthwise | Pool | Dense | Lstm | Reshape | Dropout | Softmax | Sigmoid | Residual
)


def _strided(given: Shape, stride: Pair) -> Pair:
    return -(-given[0] // stride[0]), -(-given[1] // stride[1])


def shape_after(layers: Sequence[Layer], given: Shape) -> Shape:
    """The shape of one case behind `layers`."""
    for layer in layers:
        given = layer.shape(given)
    return given


def weights_of(layers: Sequence[Layer], given: Shape) -> int:
    """How many weights `layers` have, biases left out: bytes of the int8 model."""
    count = 0
    for layer in layers:
        count += layer.weights(given)
        given = layer.shape(given)
    return count


def architecture(
    config: NetworkConfig, rows: int, columns: int, outputs: int, task: str
) -> list[Layer]:
    """The layers from an input of [rows, 1, columns] to [outputs], of a built-in kind.

    Raises ConfigError for settings that do not fit together or the input, and for too many weights.
    """
    assert config.kind not in OWN
    given = (rows, 1, columns)
    layers = BUILT_IN[config.kind](config.options, given, f"network.{config.kind}")
    layers.append(Dense(units=outputs, name=OUTPUT_NAMES.get(task, "outputs")))
    if task in ENDINGS:
        layers.append(ENDINGS[task])
    check_weights(weights_of(layers, given), config)
    return layers


OUTPUT_NAMES = {
    "classification": "logits",
    "multilabel": "logits",
    "anomaly": "reconstruction",
    "regression": "numbers",
}
ENDINGS: dict[str, Layer] = {"classification": Softmax(), "multilabel": Sigmoid()}


def check_weights(count: int, config: NetworkConfig) -> None:
    """ConfigError for more weights than the recipe allows."""
    if count > config.max_weight_bytes:
        raise ConfigError(
            f"network: {count} bytes of int8 weights, expected at most {config.max_weight_bytes} "
            "(network.max_weight_bytes); use fewer filters or units, or raise it"
        )


def _units(options: Any, where: str) -> tuple[int, ...]:
    units: tuple[int, ...] = options.units
    if not units:
        raise ConfigError(f"{where}.units: expected at least one layer, got none")
    return units


def _dense(options: Any, given: Shape, where: str) -> list[Layer]:
    layers: list[Layer] = [Reshape()]
    layers += [Dense(units=units, relu=True) for units in _units(options, where)]
    return [*layers, Dropout(share=options.dropout)]


def _autoencoder(options: Any, given: Shape, where: str) -> list[Layer]:
    """Down to the narrowest, which has no ReLU, and up again."""
    *outer, narrowest = _units(options, where)
    down = [Dense(units=units, relu=True) for units in outer]
    return [Reshape(), *down, Dense(units=narrowest, name="code"), *reversed(down)]


def _lstm(options: Any, given: Shape, where: str) -> list[Layer]:
    units = _units(options, where)
    layers: list[Layer] = [Reshape(to=(given[0], given[2]))]
    layers += [Lstm(units=n, every_row=i < len(units) - 1) for i, n in enumerate(units)]
    return [*layers, Dropout(share=options.dropout)]


def _stack(options: Any, where: str, stride: Callable[[int], int], kernel: int, rows: int) -> Any:
    """(filters, kernel, stride) of each convolution; lists that are empty are filled in."""
    count = len(options.filters)
    for name in ("kernels", "strides"):
        if not count or len(getattr(options, name)) not in (0, count):
            raise ConfigError(
                f"{where}: filters, kernels and strides need one entry a convolution, and at least "
                f"one (kernels and strides may be empty); got {count}, {len(options.kernels)} and "
                f"{len(options.strides)}"
            )
    strides = list(options.strides)
    if not strides:
        for _ in range(count):
            strides.append(stride(rows))
            rows = -(-rows // strides[-1])
    return list(zip(options.filters, options.kernels or [kernel] * count, strides, strict=True))


def _row_stride(rows: int) -> int:
    return 4 if rows >= 512 else 2 if rows >= 16 else 1


def _cnn1d(options: Any, given: Shape, where: str) -> list[Layer]:
    layers = _pooled(options)
    rows = max(shape_after(layers, given)[0], 1)
    layers += [
        Convolution(filters=filters, kernel=(kernel, 1), stride=(stride, 1))
        for filters, kernel, stride in _stack(options, where, _row_stride, ROW_KERNEL, rows)
    ]
    return _with_head(layers, options, given, where)


def _dscnn(options: Any, given: Shape, where: str) -> list[Layer]:
    layers = _pooled(options)
    rows = max(shape_after(layers, given)[0], 1)
    (filters, kernel, stride), *rest = _stack(options, where, _row_stride, ROW_KERNEL, rows)
    layers.append(Convolution(filters=filters, kernel=(kernel, 1), stride=(stride, 1)))
    for filters, kernel, stride in rest:
        if stride > 1:
            layers.append(Pool(size=(stride, 1), maximum=True))
        layers.append(Depthwise(kernel=(kernel, 1)))
        layers.append(Convolution(filters=filters, kernel=(1, 1)))
    return _with_head(layers, options, given, where)


def _pooled(options: Any) -> list[Layer]:
    return [Pool(size=(options.input_pool, 1))] if options.input_pool > 1 else []


def _with_head(layers: list[Layer], options: Any, given: Shape, where: str) -> list[Layer]:
    """`layers`, pooled in segments of rows and flat."""
    left = shape_after(layers, given)[0]
    if left < 1:
        raise ConfigError(
            f"{where}: input_pool {options.input_pool} and strides {list(options.strides)} leave "
            f"nothing of an input of {given[0]} rows; use smaller ones"
        )
    segments = options.segments or (left if left <= 8 else 1)
    if left % segments:
        raise ConfigError(f"{where}.segments: {segments} does not divide {left} rows")
    pool = Pool(size=(left // segments, 1), name="segments")
    return [*layers, pool, Reshape(), Dropout(share=options.dropout)]


def _image(given: Shape) -> Shape:
    return given[0], given[2], 1


def _cnn2d(options: Any, given: Shape, where: str) -> list[Layer]:
    image = _image(given)
    layers: list[Layer] = [Reshape(to=image)]
    layers += [
        Convolution(filters=filters, kernel=(kernel, kernel), stride=(stride, stride))
        for filters, kernel, stride in _stack(
            options, where, lambda side: 2 if side >= 8 else 1, SIDE_KERNEL, max(image)
        )
    ]
    return _with_head(layers, options, given, where)


MOBILENET = (  # (filters, stride) of the depthwise-separable blocks of MobileNet v1
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)
)  # fmt: skip
SMALLEST_STRIDED = 5  # of the longer side


def _mobilenet(options: Any, given: Shape, where: str) -> list[Layer]:
    layers: list[Layer] = [Reshape(to=_image(given))]

    def stride(wanted: int) -> Pair:
        side = max(shape_after(layers, given)[:2])
        return (wanted, wanted) if side >= SMALLEST_STRIDED else (1, 1)

    def scaled(filters: int) -> int:
        return max(1, int(options.width * filters + 0.5))

    layers.append(Convolution(filters=scaled(32), kernel=(3, 3), stride=stride(2)))
    for filters, wanted in MOBILENET[: options.blocks]:
        layers.append(Depthwise(kernel=(3, 3), stride=stride(wanted)))
        layers.append(Convolution(filters=scaled(filters), kernel=(1, 1)))
    return _with_global_pool(layers, options, given)


def _resnet8(options: Any, given: Shape, where: str) -> list[Layer]:
    layers: list[Layer] = [Reshape(to=_image(given))]
    layers.append(Convolution(filters=options.filters, kernel=(3, 3)))
    for factor in (1, 2, 4):
        filters, stride = factor * options.filters, (1, 1) if factor == 1 else (2, 2)
        path = (
            Convolution(filters=filters, kernel=(3, 3), stride=stride),
            Convolution(filters=filters, kernel=(3, 3), relu=False),
        )
        aside = Convolution(filters=filters, kernel=(1, 1), stride=stride, relu=False)
        layers.append(Residual(path=path, shortcut=None if factor == 1 else aside))
    return _with_global_pool(layers, options, given)


def _with_global_pool(layers: list[Layer], options: Any, given: Shape) -> list[Layer]:
    rows, columns, _ = shape_after(layers, given)
    pool: list[Layer] = [Pool(size=(rows, columns))] if rows * columns > 1 else []
    return [*layers, *pool, Reshape(), Dropout(share=options.dropout)]


BUILT_IN: dict[str, Callable[[Any, Shape, str], list[Layer]]] = {
    "dense": _dense,
    "cnn1d": _cnn1d,
    "dscnn": _dscnn,
    "cnn2d": _cnn2d,
    "mobilenet": _mobilenet,
    "resnet8": _resnet8,
    "autoencoder": _autoencoder,
    "lstm": _lstm,
}
