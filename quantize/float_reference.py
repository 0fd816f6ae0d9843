"""The float network that a model made elsewhere comes from: run on the model's golden inputs.

The file is somebody's: a .tflite goes through our reader first, and every engine runs in a process
of its own (quantize.float_worker) with bounded memory and time, so that what a damaged file does to
TensorFlow, Keras or TFLite Micro ends in a message.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model.files import MAX_NETWORK_BYTES, file_size, write_arrays, write_json
from model.npz import read_arrays
from model.paths import our_process
from model.processes import end_with_parent, scratch_folder
from model.text import printable
from quantize.errors import ModelError
from quantize.float_outputs import FloatOutputs, float_outputs
from quantize.golden import Golden
from quantize.ops.base import Array
from quantize.pairing import plain_name
from quantize.tflite.graph import Graph, Tensor
from quantize.tflite.reader import read_model

LIMIT_S = 900.0  # for one engine and all cases
FULL_BYTES = 64 << 10  # with less a disk is full
ENGINES = {
    ".tflite": ("tflite_micro", "tensorflow_lite"),  # the second where the first fails
    ".keras": ("keras",),
    ".h5": ("keras",),
    ".hdf5": ("keras",),
}
QUANTISED = ("int4", "int8", "uint8", "int16")


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """An input or output; None is a dimension that the network leaves open."""

    name: str
    shape: tuple[int | None, ...]


def reference_outputs(
    path: Path, graph: Graph, golden: Golden, *, random_inputs: bool
) -> FloatOutputs:
    """What the float network of `path` (.tflite, .keras or .h5) says of the golden inputs.

    It gets what the int8 model's inputs stand for: scale (q - zero point). Raises ModelError for a
    file that is missing, too large, not a float network, not of this model, or that no engine runs.
    """
    engines = ENGINES.get(path.suffix.lower())
    if engines is None:
        raise ModelError(
            f"FLOAT={path}: expected a file of type {', '.join(ENGINES)}: the float network before "
            "quantisation"
        )
    try:
        size = file_size(path)
    except OSError as error:
        raise ModelError(
            f"FLOAT={path}: cannot be read: {error.strerror}; check the path"
        ) from error
    if size > MAX_NETWORK_BYTES:
        raise ModelError(f"FLOAT={path}: {size} bytes; at most {MAX_NETWORK_BYTES} are accepted")
    wanted = [ends_of(graph, numbers) for numbers in (graph.inputs, graph.outputs)]
    order = _tflite_order(path, wanted) if path.suffix.lower() == ".tflite" else None
    tensors = [graph.tensors[i] for i in graph.inputs]
    inputs = [_real(t, v) for t, v in zip(tensors, golden.inputs, strict=True)]
    failures = []
    for engine in engines:
        answer = _run_apart(engine, path, wanted, order, inputs)
        if isinstance(answer, str):
            failures.append(answer)
            continue
        outputs, name = answer
        words = f"{path.name} ({name})"
        return float_outputs(golden, outputs, words, random_inputs=random_inputs)
    raise ModelError(f"FLOAT={path}: {'; '.join(failures)}")


def ends_of(graph: Graph, numbers: Sequence[int]) -> list[End]:
    """The names and shapes of a graph's inputs or outputs."""
    return [End(name=graph.tensors[i].name, shape=graph.tensors[i].shape) for i in numbers]


def _real(tensor: Tensor, values: Array) -> Array:
    """What the values of an input stand for; integers without a scale stay what they are."""
    if tensor.quant is None:
        return values
    exact = values.astype(np.float64) - tensor.quant.zero_point[0]
    return np.asarray(exact * tensor.quant.scale[0]).astype(np.float32)


def _tflite_order(path: Path, wanted: Sequence[Sequence[End]]) -> list[tuple[int, ...]]:
    """How the ends of a float .tflite are those of the int8 model; see match_ends."""
    graph = read_model(path)
    for tensor in graph.tensors:
        if tensor.dtype in QUANTISED and tensor.quant is not None:
            raise ModelError(
                f"FLOAT={path}: tensor {tensor.index} is a quantised {tensor.dtype}; give the "
                "network from before quantisation, converted without optimizations"
            )
    found = [ends_of(graph, numbers) for numbers in (graph.inputs, graph.outputs)]
    try:
        return [
            match_ends(f, w, side)
            for f, w, side in zip(found, wanted, ("input", "output"), strict=True)
        ]
    except ModelError as error:
        raise ModelError(f"FLOAT={path}: {error}") from error


def match_ends(found: Sequence[End], wanted: Sequence[End], side: str) -> tuple[int, ...]:
    """For each of the int8 model's inputs (or outputs) the number of the float network's.

    Shapes decide, names where shapes leave a choice. Raises ModelError where neither does.
    """
    if len(found) != len(wanted):
        raise ModelError(
            f"the float network has {len(found)} {side}s, the model {len(wanted)}; give the "
            "network that the model was made from"
        )
    chosen = []
    for number, end in enumerate(wanted):
        fitting = [j for j, f in enumerate(found) if _fits(f.shape, end.shape)]
        if not fitting:
            shapes = ", ".join(_shape(f.shape) for f in found)
            raise ModelError(
                f"{side} {number} of the model has the shape {_shape(end.shape)}, the float "
                f"network has {side}s of the shape {shapes}; give the network that the model was "
                "made from"
            )
        named = [j for j in fitting if found[j].name == end.name] or [
            j for j in fitting if plain_name(found[j].name) == plain_name(end.name)
        ]
        chosen.append(fitting if len(fitting) == 1 else named)
    if any(len(c) != 1 for c in chosen) or len({c[0] for c in chosen}) < len(chosen):
        raise ModelError(
            f"the float network has several {side}s of one shape, and their names do not tell "
            f"which is which; give a float .tflite whose {side}s are named as the model's"
        )
    return tuple(c[0] for c in chosen)


def _fits(found: Sequence[int | None], wanted: Sequence[int | None]) -> bool:
    return len(found) == len(wanted) and all(
        f is None or f == w for f, w in zip(found, wanted, strict=True)
    )


def _shape(shape: Sequence[int | None]) -> str:
    return f"[{', '.join('?' if n is None else str(n) for n in shape)}]"


def _run_apart(
    engine: str,
    path: Path,
    wanted: Sequence[Sequence[End]],
    order: list[tuple[int, ...]] | None,
    inputs: Sequence[Array],
) -> tuple[tuple[npt.NDArray[Any], ...], str] | str:
    """(outputs, name and version of the engine), or why there are none."""
    with scratch_folder("float") as folder:
        write_arrays(folder / "inputs.npz", {f"input_{i}": v for i, v in enumerate(inputs)})
        ends = [[asdict(end) for end in side] for side in wanted]
        write_json(folder / "job.json", {"wanted": ends, "order": order})
        arguments = (engine, str(path.resolve()), str(folder))
        answer = ask(engine, "quantize.float_worker", arguments, folder)
        if "error" in answer:
            return answer["error"]
        names = [f"output_{i}" for i in range(len(wanted[1]))]
        arrays = read_arrays(folder / "outputs.npz", names)
        return tuple(arrays[n] for n in names), answer["engine"]


def ask(what: str, module: str, arguments: Sequence[str], folder: Path) -> dict[str, str]:
    """Run a worker, which writes answer.json into `folder`: {"engine": name} or {"error": text}.

    Where it has died, `code` is beside the error.
    """
    answer_path = folder / "answer.json"
    answer_path.unlink(missing_ok=True)
    command = our_process(module, *arguments)
    null, own = subprocess.DEVNULL, os.environ | {"TMPDIR": str(folder)}  # it may end anywhere
    try:
        done = subprocess.run(
            command,
            stdin=null,
            stdout=null,
            stderr=null,
            env=own,
            timeout=LIMIT_S,
            check=False,
            preexec_fn=end_with_parent(),
        )
    except subprocess.TimeoutExpired:
        return {"error": f"{what} took more than {LIMIT_S:.0f} s; give fewer: CASES=N"}
    try:
        answer = json.loads(answer_path.read_text("utf-8"))
    except (OSError, ValueError):
        code = done.returncode
        _check_space(folder)
        told = f"{what} ended with code {code}: the file is damaged or too large"
        return {"error": f"{told}; give a whole one, or a smaller network", "code": str(code)}
    if "error" in answer:
        _check_space(folder)
        ours = str(folder) + os.sep  # gone when the message is read
        return {"error": f"{what}: {printable(str(answer['error']).replace(ours, ''))}"}
    return {"engine": str(answer["engine"])}


def _check_space(folder: Path) -> None:
    """OSError where a worker has failed on a full disk, whatever it could still say of it."""
    if shutil.disk_usage(folder).free < FULL_BYTES:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))
