"""Network architectures, made of layers that quantise to operators with exact kernels."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from model.errors import ConfigError
from model.quiet import captured_stderr
from model.recipe import NetworkConfig
from model.threads import THREADS

os.environ["TF_USE_LEGACY_KERAS"] = "1"  # quantisation-aware training needs Keras 2
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
with captured_stderr():
    import tensorflow as tf
    import tf_keras as keras

    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(THREADS)
    tf.config.list_logical_devices()  # says here what it thinks of missing GPUs

layers = keras.layers
Network = Callable[[NetworkConfig, Any, int, str], Any]  # settings, input, outputs, head -> output
__all__ = ["NETWORKS", "build_network", "keras", "tf"]


def build_network(
    config: NetworkConfig, rows: int, columns: int, outputs: int, head: str = "softmax"
) -> Any:
    """A Keras model: [1, rows, 1, columns] features -> [1, outputs], which `head` makes.

    An autoencoder answers with [1, rows * columns], its own input as far as it can.
    Raises ConfigError for settings that do not fit together, and for too many weights.
    """
    if config.kind not in NETWORKS:
        raise ConfigError(
            f"network.kind: unknown network {config.kind!r}; known: {', '.join(NETWORKS)}"
        )
    source = layers.Input((rows, 1, columns), name="window")
    network = keras.Model(source, NETWORKS[config.kind](config, source, outputs, head))
    weights = sum(w.shape.num_elements() for w in network.weights if "kernel" in w.name)
    if weights > config.max_weight_bytes:
        raise ConfigError(
            f"network: {weights} bytes of int8 weights, expected at most "
            f"{config.max_weight_bytes} (network.max_weight_bytes); use fewer filters"
        )
    return network


def _classifier(body: Callable[[NetworkConfig, Any], Any]) -> Network:
    """`body`, pooled in segments, with a dense layer and a head behind it."""

    def build(config: NetworkConfig, source: Any, outputs: int, head: str) -> Any:
        if not 1 <= len(config.filters) == len(config.kernels) == len(config.strides):
            raise ConfigError(
                "network: filters, kernels and strides need one entry a convolution, and at least "
                f"one; got {len(config.filters)}, {len(config.kernels)} and {len(config.strides)}"
            )
        try:
            features = body(config, source)
        except ValueError as error:
            raise ConfigError(
                f"network: input_pool {config.input_pool} and strides {list(config.strides)} leave "
                f"nothing of an input of {source.shape[1]} rows; use smaller ones"
            ) from error
        left = features.shape[1]
        if left % config.segments:
            raise ConfigError(f"network.segments: {config.segments} does not divide {left} rows")
        pooled = layers.AveragePooling2D((left // config.segments, 1), name="segments")(features)
        flat = layers.Dropout(config.dropout)(layers.Flatten()(pooled))
        return HEADS[head](layers.Dense(outputs, name="logits")(flat))

    return build


def _convolution(x: Any, filters: int, kernel: int, stride: int) -> Any:
    x = layers.Conv2D(filters, (kernel, 1), (stride, 1), "same", use_bias=False,
                      kernel_initializer="he_normal")(x)  # fmt: skip
    return layers.ReLU()(layers.BatchNormalization(momentum=0.97)(x))


def _pooled(config: NetworkConfig, x: Any) -> Any:
    return layers.AveragePooling2D((config.input_pool, 1))(x) if config.input_pool > 1 else x


def _convolutions(config: NetworkConfig, x: Any) -> Any:
    x = _pooled(config, x)
    for filters, kernel, stride in zip(config.filters, config.kernels, config.strides, strict=True):
        x = _convolution(x, filters, kernel, stride)
    return x


def _depthwise_separable(config: NetworkConfig, x: Any) -> Any:
    x = _convolution(_pooled(config, x), config.filters[0], config.kernels[0], config.strides[0])
    for filters, kernel, stride in zip(
        config.filters[1:], config.kernels[1:], config.strides[1:], strict=True
    ):
        if stride > 1:
            x = layers.MaxPooling2D((stride, 1))(x)
        x = layers.DepthwiseConv2D((kernel, 1), padding="same", use_bias=False)(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.97)(x))
        x = _convolution(x, filters, 1, 1)
    return x


def _autoencoder(config: NetworkConfig, source: Any, outputs: int, head: str) -> Any:
    """Dense layers down to the narrowest, which has no ReLU, and up again."""
    if not config.filters or (config.kernels, config.strides) != ((), ()) or (
        config.input_pool, config.segments, config.dropout) != (1, 1, 0):  # fmt: skip
        raise ConfigError(
            "network: an autoencoder needs units in filters, kernels = [], strides = [], "
            "input_pool = 1, segments = 1 and dropout = 0.0"
        )
    x = layers.Flatten()(source)
    elements = x.shape[-1]
    *outer, narrowest = config.filters
    for units in outer:
        x = layers.Dense(units, activation="relu", kernel_initializer="he_normal")(x)
    x = layers.Dense(narrowest, name="code")(x)
    for units in reversed(outer):
        x = layers.Dense(units, activation="relu", kernel_initializer="he_normal")(x)
    return layers.Dense(elements, name="reconstruction")(x)


# What follows the last dense layer: one class, labels of their own, or numbers.
HEADS: dict[str, Callable[[Any], Any]] = {
    "softmax": lambda x: layers.Softmax(name="probabilities")(x),
    "sigmoid": lambda x: layers.Activation("sigmoid", name="probabilities")(x),
    "linear": lambda x: x,
}
NETWORKS: dict[str, Network] = {
    "autoencoder": _autoencoder,
    "convolutions": _classifier(_convolutions),
    "depthwise_separable": _classifier(_depthwise_separable),
}
