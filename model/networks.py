"""The networks of model.architectures in Keras."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from model import architectures as nn
from model.network_config import NetworkConfig
from model.quiet import captured_stderr
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
__all__ = ["build_network", "keras", "tf"]


def build_network(
    config: NetworkConfig, rows: int, columns: int, outputs: int, task: str = "classification"
) -> Any:
    """A Keras model: [1, rows, 1, columns] features -> [1, outputs]; probabilities of classes.

    An autoencoder's outputs are its rows * columns inputs, as far as it can. Raises ConfigError for
    settings that do not fit together or the input, and for too many weights.
    """
    source = layers.Input((rows, 1, columns), name="window")
    return keras.Model(
        source, _apply(nn.architecture(config, rows, columns, outputs, task), source)
    )


def _apply(description: Sequence[nn.Layer], x: Any) -> Any:
    for layer in description:
        x = _layer(layer, x)
    return x


def _layer(layer: nn.Layer, x: Any) -> Any:
    match layer:
        case nn.Convolution():
            x = layers.Conv2D(layer.filters, layer.kernel, layer.stride, "same", use_bias=False,
                              kernel_initializer="he_normal")(x)  # fmt: skip
            x = layers.BatchNormalization(momentum=0.97)(x)
            return layers.ReLU()(x) if layer.relu else x
        case nn.Depthwise():
            x = layers.DepthwiseConv2D(layer.kernel, layer.stride, "same", use_bias=False)(x)
            return layers.ReLU()(layers.BatchNormalization(momentum=0.97)(x))
        case nn.Pool():
            kind = layers.MaxPooling2D if layer.maximum else layers.AveragePooling2D
            return kind(layer.size, name=layer.name)(x)
        case nn.Dense():
            settings = {"activation": "relu", "kernel_initializer": "he_normal"}
            return layers.Dense(layer.units, name=layer.name, **settings if layer.relu else {})(x)
        case nn.Lstm():
            return layers.LSTM(layer.units, return_sequences=layer.every_row)(x)
        case nn.Reshape():
            return layers.Flatten()(x) if layer.to is None else layers.Reshape(layer.to)(x)
        case nn.Dropout():
            return layers.Dropout(layer.share)(x)
        case nn.Sigmoid():
            return layers.Activation("sigmoid", name="probabilities")(x)
        case nn.Softmax():
            return layers.Softmax(name="probabilities")(x)
        case nn.Residual():
            aside = x if layer.shortcut is None else _layer(layer.shortcut, x)
            return layers.ReLU()(layers.Add()([_apply(layer.path, x), aside]))
