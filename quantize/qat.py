"""Quantisation-aware training, and how far its export is from what was trained."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from model.augment import WindowSampler
from model.features import Windows
from model.progress import Progress
from model.recipe import CompressionConfig, Recipe
from model.tasks import Task
from model.train import fit, images
from quantize.compress import preserving_scheme
from quantize.inputs import quantised_inputs
from quantize.ptq import layer_outputs, matched_layers
from quantize.reference import Reference
from quantize.scheme import quantise
from quantize.tflite.graph import Graph

import tensorflow_model_optimization as tfmot  # isort: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerFidelity:
    """How one layer of the exported graph differs from the fake-quantised one."""

    layer: str
    equal_share: float
    max_lsb: int
    mean_lsb: float


def fake_quantised(network: Any, compression: CompressionConfig | None) -> tuple[Any, str]:
    """(a fake-quantised copy, '') or (None, why the toolkit makes none of this network)."""
    try:
        if compression is None:
            return tfmot.quantization.keras.quantize_model(network), ""
        annotated = tfmot.quantization.keras.quantize_annotate_model(network)
        scheme = preserving_scheme(compression)
        return tfmot.quantization.keras.quantize_apply(annotated, scheme), ""
    except (ValueError, RuntimeError, NotImplementedError) as error:
        said = re.match(r"Layer (\S+):<class '.*?(\w+)'> is not supported", str(error))
        first = (str(error).strip().splitlines() or [""])[0][:200]
        return None, f"no scheme for the layer {said[1]} ({said[2]})" if said else first


def train_quantised(
    quantised: Any,
    network: Any,
    calibration: npt.NDArray[np.float32],
    sampler: WindowSampler,
    val: Windows | None,
    recipe: Recipe,
    task: Task,
    progress: Progress,
) -> None:
    """Fine-tune what fake_quantised has made of `network`, which itself is left alone.

    Activation ranges start from `calibration` [n, window, 1, channels], because the toolkit's own
    start of -6 to 6 takes thousands of steps to forget. A network that had teachers teaches its
    copy in turn.
    """
    _start_ranges(quantised, network, calibration)
    fit(
        quantised,
        sampler,
        val,
        recipe,
        task,
        steps=recipe.quantisation.qat_steps,
        learning_rate=recipe.quantisation.qat_learning_rate,
        progress=progress,
        teachers=[network] if recipe.train.teachers else (),
    )
    _pin_ranges(quantised, calibration)


def _start_ranges(quantised: Any, network: Any, calibration: npt.NDArray[np.float32]) -> None:
    """Give every activation quantiser the range that the float network has on `calibration`."""
    floats = layer_outputs(network, calibration)
    for layer in quantised.layers:
        values = floats.get(layer.name.removeprefix("quant_"))
        if values is not None:
            _set_range(layer, float(values.min()), float(values.max()))
    _pin_ranges(quantised, calibration)


def _pin_ranges(quantised: Any, calibration: npt.NDArray[np.float32]) -> None:
    """The input's range is the recorded data's, not the augmented; a pooling's is its input's.

    The int8 average pooling does not rescale, so only with one range for both is the export the
    graph that was trained.
    """
    _set_range(quantised.layers[1], float(calibration.min()), float(calibration.max()))
    for layer in quantised.layers:
        if type(getattr(layer, "layer", layer)).__name__ == "AveragePooling2D":
            before = layer
            while before is layer or (found := _range(before)) is None:
                before = before.input._keras_history.layer
            _set_range(layer, *found)


def _range_variables(layer: Any) -> list[Any]:
    """[minimum, maximum] of a layer's activation quantiser; empty when it has none.

    The input's quantiser puts its own name there: quantize_layer, quantize_layer_1 in the next
    network of the process, ...
    """
    return [
        weight
        for end in ("_min", "_max")
        for weight in layer.weights
        if weight.name.split("/")[-1].split(":")[0]
        in {f"output{end}", f"post_activation{end}", f"{layer.name}{end}"}
    ]


def _range(layer: Any) -> tuple[float, float] | None:
    variables = _range_variables(layer)
    return (float(variables[0]), float(variables[1])) if variables else None


def _set_range(layer: Any, minimum: float, maximum: float) -> None:
    for variable, value in zip(
        _range_variables(layer), (min(minimum, 0.0), max(maximum, 0.0)), strict=False
    ):
        variable.assign(value)


def measure_fidelity(quantised: Any, graph: Graph, windows: Windows) -> list[LayerFidelity]:
    """Compare every layer of the export with the trained graph; the model's output comes last.

    The exported graph is run by the integer reference, which equals TFLite Micro bit for bit. The
    trained graph's floats are put on the export's int8 grid. Each layer's error includes those of
    the layers before it.
    """
    batch = images(windows.x)
    expected = layer_outputs(quantised, batch)
    reference = Reference(graph)
    computed = [reference.run_all([x]) for x in quantised_inputs(graph, windows)]
    result = []
    for op, layer in matched_layers(quantised, graph, batch):
        quant = graph.tensors[op.outputs[0]].quant
        assert quant is not None
        got = np.concatenate([values[op.outputs[0]] for values in computed])
        floats = quantise(expected[layer], quant)
        result.append(_compare(f"{op.name} ({layer})", floats, got))
    return result


def _compare(
    layer: str, expected: npt.NDArray[np.int8], got: npt.NDArray[np.int8]
) -> LayerFidelity:
    distance = np.abs(got.astype(np.int32) - expected.reshape(got.shape).astype(np.int32))
    return LayerFidelity(
        layer=layer,
        equal_share=float((distance == 0).mean()),
        max_lsb=int(distance.max()),
        mean_lsb=float(distance.mean()),
    )


def fidelity_problem(layers: list[LayerFidelity], recipe: Recipe) -> str:
    """Why the export is not taken: its output is further from the trained graph than allowed.

    Empty when it is not. The message names the limit of the recipe that failed.
    """
    output, bound = layers[-1], recipe.quantisation
    failed = [
        f"{key}: expected {words} {limit}, got {got}"
        for key, words, limit, got, bad in (
            ("quantisation.min_equal_outputs", "at least", f"{bound.min_equal_outputs:.1%}",
             f"{output.equal_share:.1%} equal outputs",
             output.equal_share < bound.min_equal_outputs),
            ("quantisation.max_lsb", "at most", f"{bound.max_lsb} LSB", f"{output.max_lsb} LSB",
             output.max_lsb > bound.max_lsb),
        )
        if bad
    ]  # fmt: skip
    if not failed:
        return ""
    worst = max(layers, key=lambda item: item.max_lsb)
    return (
        f"the exported QAT graph is not the trained one: {'; '.join(failed)}; the worst layer is "
        f"{worst.layer} with {worst.max_lsb} LSB. Post-training int8 is kept. Train with more "
        "qat_steps, widen that limit, or set qat_steps = 0 for post-training quantisation only"
    )
