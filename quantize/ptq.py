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
from quantize.ends import with_int8_ends
from quantize.errors import QuantizeError
from quantize.reference import Reference
from quantize.scheme import quantise
from quantize.tflite.graph import Graph
from quantize.tflite.reader import FEATURES_ENTRY, parse_model
from quantize.tflm import TfliteMicro

from tensorflow.lite.tools import flatbuffer_utils  # isort: skip

MATCHED = 8  # windows that tell which layer an operator was made of
FAR = 0.5  # mean difference over mean value: then an operator is no layer's


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
    model = _convert(network, windows, tf.lite.OpsSet.TFLITE_BUILTINS_INT8, tf.int8)
    return _with_metadata(model, FEATURES_ENTRY, features)


def convert_int16(
    network: Any, windows: npt.NDArray[np.float32], features: str, int8: bytes
) -> tuple[bytes | None, str]:
    """(the same with int16 activations between the ends of `int8`, '') or (None, why not).

    Weights are int8. What the converter makes is kept only if this project compiles it and TFLite
    Micro runs it.
    """
    wide = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
    try:
        model = with_int8_ends(_convert(network, windows, wide, tf.int16), int8)
        graph = parse_model(model)
        Reference(graph)
        TfliteMicro(model)
    except (QuantizeError, ValueError, RuntimeError, NotImplementedError) as error:
        return None, (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
    return _with_metadata(model, FEATURES_ENTRY, features), ""


def _convert(network: Any, windows: npt.NDArray[np.float32], operators: Any, ends: Any) -> bytes:
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [_single(network).get_concrete_function()], network
    )
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_ops = [operators]
    converter.inference_input_type = converter.inference_output_type = ends
    converter.representative_dataset = lambda: _samples(windows)
    with captured_stderr():
        return bytes(converter.convert())


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

    Float activations come from the Keras layers that the operators were made of; an operator that
    no layer gives the output of has no row.
    """
    floats = layer_outputs(network, windows)
    rows = []
    tensors = [(graph.inputs[0], "input", windows)]
    tensors += [
        (op.outputs[0], op.name, floats[layer])
        for op, layer in matched_layers(network, graph, windows)
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
    moves = {"RESHAPE", "STRIDED_SLICE", "TRANSPOSE"}
    return [op for op in graph.operators if op.name not in moves and op.outputs[0] not in rescaled]


def matched_layers(
    network: Any, graph: Graph, windows: npt.NDArray[np.float32]
) -> list[tuple[Any, str]]:
    """(operator, name of the Keras layer with its output) of an int8 graph of `network`.

    Converters fuse layers and split them, so the layer is the one whose values on some windows are
    nearest to the operator's. The last operator is the network's output, whatever its values are.
    """
    some = windows[:MATCHED]
    floats = layer_outputs(network, some)
    source = graph.tensors[graph.inputs[0]].quant
    assert source is not None
    reference = Reference(graph)
    computed = [reference.run_all([quantise(window[None], source)]) for window in some]
    found = []
    for op in kernel_operators(graph):
        quant = graph.tensors[op.outputs[0]].quant
        if quant is None:
            continue
        got = np.stack([values[op.outputs[0]].ravel() for values in computed]).astype(np.float64)
        got = (got - quant.zero_point[0]) * quant.scale[0]
        last = op.outputs[0] in graph.outputs or op is graph.operators[-1]
        layer = network.layers[-1].name if last else _nearest(got, floats)
        if layer is not None:
            found.append((op, layer))
    return found


def _nearest(got: npt.NDArray[np.float64], floats: dict[str, Any]) -> str | None:
    """The layer with these values [n, elements]; None when all are far from them."""
    apart = {
        name: float(np.abs(values.reshape(len(values), -1) - got).mean())
        for name, values in floats.items()
        if values.size == got.size
    }
    if not apart:
        return None
    least = min(apart.values())
    # of layers that only hand on, the first that has the values: a ReLU, not the Dropout behind it
    name = next(name for name, distance in apart.items() if distance <= least)
    return name if least <= FAR * max(float(np.abs(got).mean()), 1e-9) else None


def layer_outputs(
    network: Any, windows: npt.NDArray[np.float32]
) -> dict[str, npt.NDArray[np.float32]]:
    """The float output of each layer by its name, for all windows, in the order of the layers."""
    kept = [x for x in network.layers if type(x).__name__ != "InputLayer"]
    probe = keras.Model(network.inputs, [layer.output for layer in kept])
    values = probe(windows, training=False)
    values = values if isinstance(values, list) else [values]
    return {layer.name: np.asarray(v) for layer, v in zip(kept, values, strict=True)}
