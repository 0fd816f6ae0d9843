"""Post-training quantisation: a float network to an int8 .tflite, and what calibration saw."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from model.features import Windows
from model.networks import keras, tf
from model.quiet import captured_stderr
from model.train import images
from quantize.tflite.graph import Graph
from quantize.tflite.reader import FEATURES_ENTRY

from tensorflow.lite.tools import flatbuffer_utils  # isort: skip


def representative_windows(train: Windows, count: int, seed: int) -> npt.NDArray[np.float32]:
    """`count` windows [n, window, 1, channels] of the training groups.

    Classes, or combinations of labels, are there in equal parts; of numbers `count` at random.
    """
    rng = np.random.default_rng(seed)
    values, y = np.unique(train.truth, axis=0, return_inverse=True)
    if len(values) > count:
        return images(train.x[rng.permutation(len(y))[:count]])
    share = -(-count // len(values))
    chosen = [rng.permutation(np.flatnonzero(y == c))[:share] for c in range(len(values))]
    return images(train.x[np.concatenate(chosen)])


def convert_int8(network: Any, windows: npt.NDArray[np.float32], features: str) -> bytes:
    """A Keras network, plain or quantisation-aware, to .tflite with int8 input and output.

    `features` goes into the file's metadata, so that its hash stands for the front end as well.
    """
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [_single(network).get_concrete_function()], network
    )
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    converter.representative_dataset = lambda: _samples(windows)
    with captured_stderr():
        model = converter.convert()
    return _with_metadata(model, FEATURES_ENTRY, features)


def _with_metadata(model: bytes, name: str, text: str) -> bytes:
    """The same model with one more entry, which interpreters ignore."""
    tree = flatbuffer_utils.convert_bytearray_to_object(bytearray(model))
    buffer = flatbuffer_utils.schema_fb.BufferT()
    buffer.data = np.frombuffer(text.encode("utf-8"), np.uint8)
    tree.buffers.append(buffer)
    entry = flatbuffer_utils.schema_fb.MetadataT()
    entry.name, entry.buffer = name, len(tree.buffers) - 1
    tree.metadata = [*(tree.metadata or []), entry]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(tree))


def _single(network: Any) -> Any:
    shape = (1, *network.input_shape[1:])
    return tf.function(
        lambda x: network(x, training=False), input_signature=[tf.TensorSpec(shape, tf.float32)]
    )


def _samples(windows: npt.NDArray[np.float32]) -> Iterator[list[npt.NDArray[np.float32]]]:
    for window in windows:
        yield [window[None]]


def calibration_report(
    network: Any, windows: npt.NDArray[np.float32], graph: Graph
) -> list[dict[str, Any]]:
    """Per run-time tensor of the int8 graph: float range, outliers, share outside int8's range.

    Float activations come from the Keras layers that the operators were made of, in order.
    """
    rows = []
    tensors = [(graph.inputs[0], "input", windows)]
    tensors += [
        (op.outputs[0], op.name, values)
        for op, values in zip(kernel_operators(graph), layer_outputs(network, windows), strict=True)
    ]
    for index, operator, values in tensors:
        quant = graph.tensors[index].quant
        assert quant is not None
        scale, zero = quant.scale[0], quant.zero_point[0]
        low, high = np.percentile(values, [0.1, 99.9])
        span = max(float(high - low), 1e-9)
        outside = (values < scale * (-128.5 - zero)) | (values > scale * (127.5 - zero))
        rows.append(
            {
                "tensor": index,
                "operator": operator,
                "minimum": float(values.min()),
                "maximum": float(values.max()),
                "low": float(low),
                "high": float(high),
                "scale": scale,
                "zero_point": zero,
                "outlier_ratio": float(values.max() - values.min()) / span,
                "saturated": float(outside.mean()),
            }
        )
    return rows


def kernel_operators(graph: Graph) -> list[Any]:
    """The operator that ends each layer: not a reshape, and not what a QUANTIZE still rescales."""
    rescaled = {op.inputs[0] for op in graph.operators if op.name == "QUANTIZE"}
    return [op for op in graph.operators if op.name != "RESHAPE" and op.outputs[0] not in rescaled]


def output_layers(network: Any) -> list[Any]:
    """The Keras layers whose outputs are the outputs of the int8 graph's operators, in order.

    A convolution's batch normalisation and ReLU are fused into it, so its ReLU stands for it.
    """
    kept = []
    for layer in network.layers:
        inner = getattr(layer, "layer", layer)  # the quantisation-aware wrapper's own layer
        name = type(inner).__name__
        if name in {
            "ReLU",
            "AveragePooling2D",
            "MaxPooling2D",
            "Dense",
            "Softmax",
            "Add",
            "Activation",
        } or (name == "GlobalAveragePooling2D"):
            kept.append(layer)
    return kept


def layer_outputs(network: Any, windows: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float32]]:
    """The float output of each of output_layers, for all windows."""
    probe = keras.Model(network.input, [layer.output for layer in output_layers(network)])
    return [np.asarray(v) for v in probe(windows, training=False)]
