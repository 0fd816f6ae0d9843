"""python -m quantize.float_worker ENGINE FILE FOLDER: run a float network of somebody's file.

FOLDER has inputs.npz and job.json of quantize.float_reference, which starts this as a process with
bounded memory; it gets outputs.npz and answer.json, {"engine": name} or {"error": what is wrong}.

A Keras file may name code to be loaded. Only the layers of ALLOWED are, all of them arithmetic;
Keras's safe_mode, which refuses pickled functions, holds for the .keras format alone.
"""

from __future__ import annotations

import importlib
import io
import json
import math
import resource
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model.files import write_arrays, write_json
from model.npz import read_arrays
from quantize.errors import ModelError
from quantize.float_reference import MAX_FILE_BYTES, End, match_ends

Array = npt.NDArray[Any]
Job = dict[str, Any]
MAX_MEMORY = 8 << 30  # bytes of address space; TensorFlow alone takes 3 GiB of it
MAX_CONFIG = 8 << 20  # bytes of a Keras file's description of its layers
MAX_OBJECTS = 100_000  # arrays and folders of an HDF5 file
MAX_WRITTEN = 4 << 30  # bytes of a file that this process writes
BATCH = 32  # cases at a time
_NAMES = """
Sequential Functional Model InputLayer __keras_tensor__ DTypePolicy Policy
Activation Add Average AveragePooling1D AveragePooling2D BatchNormalization Bidirectional
CategoryEncoding Concatenate Conv1D Conv1DTranspose Conv2D Conv2DTranspose Cropping1D Cropping2D
Dense DepthwiseConv1D DepthwiseConv2D Dot Dropout ELU Embedding Flatten GRU GRUCell
GaussianDropout GaussianNoise GlobalAveragePooling1D GlobalAveragePooling2D GlobalMaxPooling1D
GlobalMaxPooling2D LSTM LSTMCell LayerNormalization LeakyReLU Masking MaxPooling1D MaxPooling2D
Maximum Minimum Multiply Normalization PReLU Permute RNN ReLU RepeatVector Rescaling Reshape
SeparableConv1D SeparableConv2D SimpleRNN SimpleRNNCell Softmax SpatialDropout1D
SpatialDropout2D StackedRNNCells Subtract TimeDistributed UnitNormalization UpSampling1D
UpSampling2D ZeroPadding1D ZeroPadding2D
Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity LecunNormal LecunUniform Ones
Orthogonal RandomNormal RandomUniform TruncatedNormal VarianceScaling Zeros
L1 L1L2 L2 MaxNorm MinMaxNorm NonNeg UnitNorm
"""
ALLOWED = frozenset(_NAMES.split())


def _tflite_micro(path: Path, job: Job, inputs: Sequence[Array]) -> tuple[list[Array], str]:
    from quantize.tflm import TfliteMicro

    interpreter = TfliteMicro(path.read_bytes())
    into, out = job["order"]
    rows = []
    for case in range(len(inputs[0])):
        interpreter.reset()
        values = [inputs[into.index(j)][case] for j in range(len(into))]
        rows.append(interpreter.run(values))
    columns = [np.stack(column) for column in zip(*rows, strict=True)]
    return [columns[j] for j in out], f"tflite_micro {version('tflite-micro')}"


def _tensorflow_lite(path: Path, job: Job, inputs: Sequence[Array]) -> tuple[list[Array], str]:
    from model.networks import tf

    interpreter = tf.lite.Interpreter(model_content=path.read_bytes(), num_threads=1)
    interpreter.allocate_tensors()
    into, out = job["order"]
    ins, outs = interpreter.get_input_details(), interpreter.get_output_details()
    rows = []
    for case in range(len(inputs[0])):
        interpreter.reset_all_variables()
        for number, j in enumerate(into):
            interpreter.set_tensor(ins[j]["index"], inputs[number][case])
        interpreter.invoke()
        rows.append([interpreter.get_tensor(outs[j]["index"]) for j in out])
    columns = [np.stack(column) for column in zip(*rows, strict=True)]
    return columns, f"TensorFlow Lite {tf.__version__}"


def load_network(path: Path) -> tuple[Any, str]:
    """(the network of a Keras file, the name and version of what has read it); runs no code of it.

    Raises ModelError for layers that are not loaded.
    """
    config, release = _keras_config(path)
    check_layers(config)
    from model.networks import keras as framework

    if release.split(".")[0] != "2":
        framework = importlib.import_module("keras")  # version 3, what networks have is 2
    network = framework.models.load_model(path, compile=False, safe_mode=True)
    return network, f"Keras {framework.__version__}"


def _keras(path: Path, job: Job, inputs: Sequence[Array]) -> tuple[list[Array], str]:
    network, name = load_network(path)
    from model.networks import tf

    wanted = [
        [End(name=e["name"], shape=tuple(e["shape"])) for e in side] for side in job["wanted"]
    ]
    into, out = (
        match_ends([End(name=t.name, shape=tuple(t.shape)) for t in tensors], ends, side)
        for tensors, ends, side in (
            (network.inputs, wanted[0], "input"),
            (network.outputs, wanted[1], "output"),
        )
    )
    dtypes = [tf.as_dtype(t.dtype).as_numpy_dtype for t in network.inputs]
    open_batch = all(t.shape[0] is None for t in network.inputs)
    size = BATCH if open_batch else 1
    rows: list[list[Array]] = []
    for first in range(0, len(inputs[0]), size):
        for layer in network.layers:
            if getattr(layer, "stateful", False) and hasattr(layer, "reset_states"):
                layer.reset_states()
        # [cases, 1, ...] of the model are [cases, ...] of the network
        values = [
            np.concatenate(inputs[into.index(j)][first : first + size]).astype(dtype)
            for j, dtype in enumerate(dtypes)
        ]
        found = network(values[0] if len(values) == 1 else values, training=False)
        rows.append([np.asarray(v) for v in tf.nest.flatten(found)])
    columns = [np.concatenate(column) for column in zip(*rows, strict=True)]
    return [columns[j] for j in out], name


def _keras_config(path: Path) -> tuple[Any, str]:
    """(the description of the layers, the version of Keras that wrote the file)."""
    import h5py

    if path.suffix.lower() == ".keras":
        with zipfile.ZipFile(path) as archive:
            _check_members(archive)
            config = _described(archive.read("config.json"))
            release = _described(archive.read("metadata.json")).get("keras_version", "")
            for name in (n for n in archive.namelist() if n.endswith(".h5")):
                with h5py.File(io.BytesIO(archive.read(name)), "r") as file:
                    check_arrays(file)
    else:
        with h5py.File(path, "r") as file:
            check_arrays(file)
            if "model_config" not in file.attrs:
                raise ModelError("only weights, no layers; save the whole network: network.save()")
            config = _described(file.attrs["model_config"])
            release = file.attrs.get("keras_version", "2")
    return config, str(release)


def _check_members(archive: zipfile.ZipFile) -> None:
    entries = archive.infolist()
    sizes = {entry.filename: entry.file_size for entry in entries}
    if len(sizes) < len(entries):
        raise ModelError("not a Keras file: two of its members have one name")
    if not {"config.json", "metadata.json"} <= set(sizes):
        raise ModelError("not a Keras file: config.json or metadata.json is missing")
    large = max(sizes["config.json"], sizes["metadata.json"]) > MAX_CONFIG
    if large or sum(sizes.values()) > MAX_FILE_BYTES:
        raise ModelError(f"more than {MAX_FILE_BYTES} bytes when unpacked")


def _described(text: Any) -> dict[str, Any]:
    """An object of JSON that a Keras file holds."""
    try:
        value = json.loads(text) if len(text) <= MAX_CONFIG else None
    except (ValueError, TypeError, RecursionError) as error:
        raise ModelError(f"not a Keras file: its description is damaged: {error}") from error
    if not isinstance(value, dict):
        raise ModelError("not a Keras file: its description is not an object of JSON")
    return value


def check_arrays(file: Any) -> None:
    """Refuse an HDF5 file that leads to other files, or whose arrays are too large for a network.

    Keras reads what links and arrays lead to, wherever that is.
    """
    import h5py

    waiting, seen, size = [file], set(), 0
    while waiting:
        folder = waiting.pop()
        for name in folder:
            if not isinstance(folder.get(name, getlink=True), h5py.HardLink):
                raise ModelError(f"{name[:60]!r} is a link; expected arrays in the file itself")
            entry = folder[name]
            place = h5py.h5o.get_info(entry.id).addr
            if place in seen:
                continue
            seen.add(place)
            if isinstance(entry, h5py.Group):
                waiting.append(entry)
            elif isinstance(entry, h5py.Dataset):
                if entry.external or entry.is_virtual:
                    raise ModelError(f"the array {name[:60]!r} lies in another file")
                size += math.prod(entry.shape or ()) * entry.dtype.itemsize
            if len(seen) > MAX_OBJECTS or size > MAX_FILE_BYTES:
                raise ModelError(
                    f"more than {MAX_OBJECTS:,} arrays or {MAX_FILE_BYTES:,} bytes of them"
                )


def check_layers(config: Any) -> None:
    """Refuse what is not arithmetic of Keras itself; how the network was trained is not loaded."""
    for entry in _entries({k: v for k, v in config.items() if k != "compile_config"}):
        name, module = entry["class_name"], entry.get("module") or "keras"
        known = isinstance(name, str) and name in ALLOWED
        if not known or str(module).split(".")[0] not in ("keras", "tf_keras"):
            raise ModelError(
                f"the layer or function {str(name)[:60]!r} of {str(module)[:60]!r} is not loaded, "
                "because it may run code of the file; convert the network to a float .tflite, "
                "tf.lite.TFLiteConverter.from_keras_model(network).convert(), and give that"
            )


def _entries(value: Any) -> Iterator[dict[str, Any]]:
    """All objects that a description names, however deep."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if "class_name" in value:
                yield value
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


ENGINES: dict[str, Callable[[Path, Job, Sequence[Array]], tuple[list[Array], str]]] = {
    "tflite_micro": _tflite_micro,
    "tensorflow_lite": _tensorflow_lite,
    "keras": _keras,
}


def main(engine: str, path: Path, folder: Path) -> None:
    """Run the network on the inputs of the folder."""

    def run() -> str:
        job = json.loads((folder / "job.json").read_text("utf-8"))
        outputs, name = ENGINES[engine](path, job, stored_inputs(folder))
        write_arrays(folder / "outputs.npz", {f"output_{i}": v for i, v in enumerate(outputs)})
        return name

    answered(folder, run)


def stored_inputs(folder: Path) -> list[Array]:
    """The arrays input_0, input_1 ... of inputs.npz."""
    stored = read_arrays(folder / "inputs.npz")
    return [stored[f"input_{i}"] for i in range(len(stored))]


def answered(folder: Path, run: Callable[[], str], memory: int = MAX_MEMORY) -> None:
    """Write answer.json: the engine's name, or whatever goes wrong in place of a traceback."""
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_WRITTEN, MAX_WRITTEN))
    try:
        answer = {"engine": run()}
    except ModelError as error:
        answer = {"error": str(error)}
    except Exception as error:  # of three frameworks, on a file that may be anything
        text = (str(error).strip().splitlines() or [""])[0]
        answer = {"error": f"{type(error).__name__}: {text[:300]}"}
    write_json(folder / "answer.json", answer)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
