"""What is legal in a model but probably not meant: float tensors, wasted range, dead channels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from quantize.golden import random_inputs
from quantize.ops import weights_of
from quantize.ops.base import INT8_OR_INT16
from quantize.ops.rules import Advice
from quantize.ranges import find_ranges
from quantize.reference import Reference, Step
from quantize.tflite.graph import Graph, Operator, Tensor

HOW_TO_QUANTISE = (
    "`make quantise MODEL=FILE INPUTS=X.npz` makes an int8 model of its float original; or "
    "quantise it when converting: optimizations = [tf.lite.Optimize.DEFAULT], "
    "representative_dataset = a generator of 100 or more real inputs, "
    "target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8], "
    "inference_input_type = inference_output_type = tf.int8"
)
FLOATS = {"float32", "float16"}
WIDE = 16.0  # ratio of a channel's largest weight to the typical channel's
OUTLIER = 12.0  # ratio of a channel's largest weight to its own root mean square
SATURATED = 0.5  # share of an output's elements at the end of its type
CASES = 4  # random inputs for the search for saturation
MAX_MACS = 50_000_000  # above this the search takes too long


def type_warnings(graph: Graph) -> Iterator[str]:
    """A model that is not int8 throughout, and how to quantise it."""
    weights, computed = _types(graph)
    floats = FLOATS & computed
    if floats and "int8" not in computed and "int8" in weights:
        yield f"a dynamic-range model: int8 weights, float activations; {HOW_TO_QUANTISE}"
    elif floats and "int8" not in computed:
        kind = "float16" if "float16" in weights else "float"
        yield f"a {kind} model, not quantised; {HOW_TO_QUANTISE}"
    elif inside := float_operators(graph):
        yield (
            f"{len(inside)} operators compute in float32, from operator {inside[0].index} "
            f"{inside[0].name} on: the converter found no int8 kernel for them or their neighbours"
        )
    if "int16" in computed:
        yield (
            "int16 activations (16x8 quantisation): twice the memory and many more cycles than "
            f"int8; unless accuracy needs them, {HOW_TO_QUANTISE}"
        )
    if "uint8" in computed - _end_types(graph):
        yield f"uint8 activations, of a converter before 2020; convert again and {HOW_TO_QUANTISE}"


def float_operators(graph: Graph) -> list[Operator]:
    """Those that read floats that are computed, and write floats; the model's ends are not."""

    def any_float(tensors: Iterable[int]) -> bool:
        found = (graph.tensors[i] for i in tensors if i >= 0)
        return any(t.dtype in FLOATS and t.data is None for t in found)

    return [op for op in graph.operators if any_float(op.inputs) and any_float(op.outputs)]


def is_float(graph: Graph) -> bool:
    """Whether everything is computed in float: nobody has quantised the activations."""
    computed = _types(graph)[1]
    return bool({"float32", "float16"} & computed) and not {"int8", "int16", "uint8"} & computed


def _types(graph: Graph) -> tuple[set[str], set[str]]:
    """Element types of weights, and of what is computed."""
    used = {i for op in graph.operators for i in (*op.inputs, *op.outputs) if i >= 0}
    tensors = [graph.tensors[i] for i in sorted(used)]
    weights = {t.dtype for t in tensors if t.data is not None and len(t.shape) >= 2}
    return weights, {t.dtype for t in tensors if t.data is None and not t.variable}


def _end_types(graph: Graph) -> set[str]:
    return {graph.tensors[i].dtype for i in (*graph.inputs, *graph.outputs)}


def weight_warnings(graph: Graph) -> Iterator[str]:
    """Weights whose int8 range is spent on a few values."""
    for op in graph.operators:
        weights, tensor = weights_of(op), graph.optional_input(op, 1)
        if weights is None or tensor is None or tensor.data is None:
            continue
        if tensor.dtype not in ("int8", "int4") or len(tensor.shape) <= weights.axis:
            continue
        rows = _rows(tensor, weights.axis)
        where = f"operator {op.index} {op.name}, weights {list(tensor.shape)}"
        if dead := np.flatnonzero(~rows.any(axis=1)).tolist():
            yield f"{where}: {_channels(dead, len(rows))} have no weight but 0"
        yield from _range_warnings(where, rows, tensor)


def _rows(tensor: Tensor, axis: int) -> npt.NDArray[np.float64]:
    """[channels, weights of a channel]."""
    data = np.asarray(tensor.data, np.float64)
    return np.moveaxis(data, axis, 0).reshape(data.shape[axis], -1)


def _range_warnings(where: str, rows: npt.NDArray[np.float64], tensor: Tensor) -> Iterator[str]:
    largest = np.abs(rows).max(axis=1)
    typical = float(np.median(largest[largest > 0])) if largest.any() else 0.0
    per_tensor = tensor.quant is None or not tensor.quant.per_channel
    if per_tensor and typical and (ratio := float(largest.max()) / typical) > WIDE:
        yield (
            f"{where}: one scale for all channels, but channel {int(largest.argmax())} reaches "
            f"{ratio:.0f} times as far as a typical one; quantise per channel"
        )
    rms = np.sqrt((rows**2).mean(axis=1))
    with np.errstate(invalid="ignore", divide="ignore"):
        peaks = np.where(rms > 0, largest / rms, 0.0)
    if outliers := np.flatnonzero(peaks > OUTLIER).tolist():
        yield (
            f"{where}: {_channels(outliers, len(rows))} spend their range on outliers (largest "
            f"weight {peaks.max():.0f} times the root mean square); clip the weights or train "
            "with quantisation"
        )


def constant_warnings(graph: Graph, steps: Sequence[Step]) -> Iterator[str]:
    """Weighted channels whose output is the same for every input, by interval arithmetic."""
    ranges = find_ranges(graph, steps)
    for step in steps:
        if step.op.index in ranges.accumulators:
            found = ranges.tensors[step.op.outputs[0]]
            if stuck := np.flatnonzero(found.low == found.high).tolist():
                yield (
                    f"operator {step.op.index} {step.op.name}: {_channels(stuck, len(found.low))} "
                    "give the same output for every input; prune them, or check the bias"
                )


def _limits(tensor: Tensor) -> tuple[int, int]:
    limits = np.iinfo("int16" if tensor.dtype == "int16" else "int8")
    return int(limits.min), int(limits.max)


def saturation_warnings(reference: Reference) -> Iterator[str]:
    """Outputs that often reach the end of their type on random inputs."""
    graph = reference.graph
    if sum(step.spec.macs(step.params) for step in reference.steps) > MAX_MACS:
        return
    edges = 4  # the first cases of random_inputs
    inputs = random_inputs(graph, edges + CASES, 0)
    runs = [reference.run_all([v[case] for v in inputs]) for case in range(edges, edges + CASES)]
    for step in reference.steps:
        tensor = graph.output(step.op)
        advice = step.spec.advice
        rescales = isinstance(advice, Advice) and advice.rescales
        if not rescales or tensor.dtype not in INT8_OR_INT16:
            continue
        values = np.stack([run[tensor.index] for run in runs])
        low, high = _limits(tensor)
        at_end = values == high
        relu = tensor.quant is not None and tensor.quant.zero_point[0] == low
        if not relu:
            at_end |= values == low
        if (share := float(at_end.mean())) > SATURATED:
            yield (
                f"operator {step.op.index} {step.op.name}: {share:.0%} of its outputs saturate on "
                "random inputs; was the representative data like the real data?"
            )


def _channels(found: list[int], total: int) -> str:
    listed = ", ".join(map(str, found[:6])) + (", ..." if len(found) > 6 else "")
    return f"{len(found)} of {total} channels ({listed})"
