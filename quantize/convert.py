"""An int8 .tflite of somebody's float network, and how far the two are apart.

A .keras, .h5 or SavedModel goes through TensorFlow's converter, a .tflite through litert-quantizer,
a PyTorch program (.pt2) through litert-torch first. All of them run in a process of their own
(quantize.convert_worker); what they write goes through our reader like any other file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model.files import MAX_NETWORK_BYTES, file_size, write_arrays, write_bytes
from model.npz import read_arrays
from quantize.advice import type_warnings, weight_warnings
from quantize.compare_layers import warnings_of
from quantize.errors import ModelError
from quantize.float_reference import ask
from quantize.golden import Aborted, may_abort
from quantize.pairing import plain_name
from quantize.representative import FEW, Inputs, Representative
from quantize.tflite import c_array
from quantize.tflite.files import (
    HOW_TO_EXPORT,
    NETWORKS,
    PICKLES,
    is_saved_model,
    model_bytes,
)
from quantize.tflite.graph import Graph, Tensor
from quantize.tflite.reader import parse_model, read_file, read_model

QUANTISED = {"int4", "int8", "uint8", "int16"}
TASKS = {"float": "reading the network", "int8": "quantising it"}  # of quantize.convert_worker
INPUT_TYPES = ("float32", "int32", "int64", "uint8", "int8", "int16")
MAX_WARNINGS = 20  # of one kind


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatNetwork:
    """A float network in a folder of ours, as <folder>/float.tflite too."""

    kind: str  # of quantize.convert_worker
    path: Path  # absolute
    folder: Path
    graph: Graph
    inputs: Inputs
    tool: str | None  # what has made the .tflite; None where it was given


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputPair:
    """Both sides of one output, [cases, *shape], int8 dequantised."""

    name: str
    floats: npt.NDArray[np.float64]
    int8: npt.NDArray[np.float64]
    place: Mapping[str, Any] | None = None  # dtype, scale and zero_point, as in a manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantised:
    """The int8 model (<folder>/int8.tflite) and how it was compared."""

    tool: str  # and the engines that have run both
    outputs: tuple[OutputPair, ...]
    layers: list[dict[str, Any]]  # of quantize.compare_layers
    warnings: list[str]


def kind_of(path: Path) -> str:
    """How a float network is converted; ModelError for a file that none of the ways takes."""
    suffix = path.suffix.lower()
    if suffix in PICKLES:
        raise ModelError(f"{path}: {HOW_TO_EXPORT}")
    if path.is_dir():
        if is_saved_model(path):
            return "saved_model"
        raise ModelError(
            f"{path}: a folder without saved_model.pb; expected the folder of a SavedModel, "
            "as network.export(folder) of Keras writes it"
        )
    if suffix == ".pt2":
        return "pytorch"
    if suffix in NETWORKS:
        return "keras"
    if suffix in (".tflite", *c_array.SUFFIXES):
        return "tflite"
    _check_size(path)
    way = "; of an ONNX file, give the network that it was made of" if suffix == ".onnx" else ""
    raise ModelError(
        f"{path}: expected a float network: .tflite, C source with one, .keras, .h5, .pt2 or the "
        f"folder of a SavedModel{way}"
    )


def open_network(path: Path, folder: Path, array: str | None = None) -> FloatNetwork:
    """Make <folder>/float.tflite of a network; ModelError that says what is not taken, and why."""
    kind = kind_of(path)
    tool = None
    if kind == "tflite":
        model = model_bytes(path, array)
        write_bytes(folder / "float.tflite", model)
    else:
        if array is not None:
            raise ModelError(f"{path}: --array {array} (ARRAY=) is for C source only; leave it out")
        if kind != "saved_model":
            _check_size(path)
        tool = _work("float", kind, path, folder)
        model = read_file(folder / "float.tflite")
    graph = parse_model(model, str(path))
    _check_float(graph, path)
    inputs = Inputs.of(graph)
    if tool is not None:
        said = json.loads(read_file(folder / "ends.json"))
        inputs = replace(inputs, names=tuple(said["inputs"]), ordered=said["ordered"])
    return FloatNetwork(
        kind=kind, path=path.absolute(), folder=folder, graph=graph, inputs=inputs, tool=tool
    )


def _check_size(path: Path) -> None:
    try:
        size = file_size(path)
    except OSError as error:
        raise ModelError(f"{path}: {error.strerror}; give the path of an existing file") from error
    if size > MAX_NETWORK_BYTES:
        raise ModelError(f"{path}: {size:,} bytes; at most {MAX_NETWORK_BYTES:,} are accepted")


def _check_float(graph: Graph, path: Path) -> None:
    used = sorted({i for op in graph.operators for i in (*op.inputs, *op.outputs) if i >= 0})
    for tensor in (graph.tensors[i] for i in used):
        if tensor.dtype == "float16" or (tensor.dtype in QUANTISED and tensor.quant is not None):
            raise ModelError(
                f"{path}: tensor {tensor.index} is {tensor.dtype}: quantised already; `make "
                "import` takes an int8 model, and this command the float network from before, "
                "converted without optimizations"
            )
    if not any(graph.tensors[i].dtype == "float32" for i in used):
        raise ModelError(f"{path}: no tensor of float32, so there is nothing to quantise")
    for index in graph.inputs:
        if (dtype := graph.tensors[index].dtype) not in INPUT_TYPES:
            raise ModelError(f"{path}: input of type {dtype}; expected {', '.join(INPUT_TYPES)}")


def quantise_network(network: FloatNetwork, inputs: Representative) -> Quantised:
    """Write <folder>/int8.tflite and compare it with the float network on the same inputs.

    Raises ModelError where a tool fails, and for a model that we do not compile.
    """
    folder = network.folder
    arrays = {f"input_{i}": v for i, v in enumerate(inputs.inputs)}
    write_arrays(folder / "inputs.npz", arrays)
    tool = _work("int8", network.kind, network.path, folder)
    graph = parse_model(read_file(folder / "int8.tflite"), f"{network.path}: as int8")
    found = read_arrays(folder / "outputs.npz")
    layers = json.loads(read_file(folder / "layers.json"))
    pairs = [
        OutputPair(
            name=plain_name(graph.tensors[index].name),
            floats=found[f"float_{i}"],
            int8=found[f"int8_{i}"],
            place=_place(graph.tensors[index]),
        )
        for i, index in enumerate(graph.outputs)
    ]
    if not all(np.isfinite(p.floats).all() for p in pairs):
        raise ModelError(
            f"{network.path}: the float network gives values that are not finite; train it again, "
            "or leave out the inputs that it gives them for"
        )
    return Quantised(
        tool=tool,
        outputs=tuple(pairs),
        layers=layers,
        warnings=_warnings(graph, layers, inputs),
    )


def _place(tensor: Tensor) -> dict[str, Any] | None:
    if tensor.quant is None:
        return None
    scale, zero = tensor.quant.scale[0], tensor.quant.zero_point[0]
    return {"dtype": tensor.dtype, "scale": scale, "zero_point": zero}


def _warnings(graph: Graph, layers: Sequence[dict[str, Any]], inputs: Representative) -> list[str]:
    told = []
    if inputs.random:
        told.append("calibrated on random numbers: for a trial only, never for use")
    elif inputs.given < FEW:
        told.append(f"{inputs.given} representative cases are few; give 100 or more real ones")
    for lines in (warnings_of(layers), [*type_warnings(graph)], [*weight_warnings(graph)]):
        told += lines[:MAX_WARNINGS]
        if len(lines) > MAX_WARNINGS:
            told.append(f"and {len(lines) - MAX_WARNINGS} more of this kind")
    return told


def _work(task: str, kind: str, path: Path, folder: Path) -> str:
    """What a worker answers; ModelError when it fails."""
    arguments = (task, kind, str(path.absolute()), str(folder))
    answer = ask(TASKS[task], "quantize.convert_worker", arguments, folder)
    if "error" not in answer:
        return answer["engine"]
    made = folder / "int8.tflite"  # is there once the int8 model compiles
    if "code" in answer and made.is_file() and may_abort(read_model(made)):
        why = f"{Aborted.WHY}; {Aborted.ADVICE}"
        raise ModelError(f"{path}: TFLite Micro aborts on one of the cases: {why}")
    raise ModelError(f"{path}: {answer['error']}")
