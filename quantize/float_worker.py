"""python -m quantize.float_worker ENGINE FILE FOLDER: run a float network of somebody's file.

FOLDER has inputs.npz and job.json of quantize.float_reference, which starts this as a process with
bounded memory; it gets outputs.npz and answer.json, {"engine": name} or {"error": what is wrong}.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model.errors import first_line
from model.files import write_arrays, write_json
from model.keras_file import GIVE_A_TFLITE, KerasFileError, called, input_keys, load_keras_file
from model.npz import read_arrays
from quantize.errors import ModelError
from quantize.float_reference import End, match_ends

Array = npt.NDArray[Any]
Job = dict[str, Any]
MAX_MEMORY = 8 << 30  # bytes of address space; TensorFlow alone takes 3 GiB of it
MAX_WRITTEN = 4 << 30  # bytes of a file that this process writes
BATCH = 32  # cases at a time


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


def _ends(tensors: Sequence[Any], names: Sequence[str]) -> list[End]:
    own = names if len(names) == len(tensors) else [t.name for t in tensors]
    return [End(name=n, shape=tuple(t.shape)) for n, t in zip(own, tensors, strict=True)]


def _keras(path: Path, job: Job, inputs: Sequence[Array]) -> tuple[list[Array], str]:
    network, name = load_keras_file(path)
    from model.networks import tf

    wanted = [
        [End(name=e["name"], shape=tuple(e["shape"])) for e in side] for side in job["wanted"]
    ]
    into, out = (
        match_ends(_ends(tensors, names), ends, side)
        for tensors, names, ends, side in (
            (network.inputs, input_keys(network), wanted[0], "input"),
            (network.outputs, getattr(network, "output_names", ()), wanted[1], "output"),
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
        found = called(network, values)
        rows.append([np.asarray(v) for v in tf.nest.flatten(found)])
    columns = [np.concatenate(column) for column in zip(*rows, strict=True)]
    return [columns[j] for j in out], name


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
    except (ModelError, KerasFileError) as error:
        answer = {"error": str(error)}
    except Exception as error:  # of three frameworks, on a file that may be anything
        answer = {"error": f"{first_line(error)}; {GIVE_A_TFLITE}"}
    write_json(folder / "answer.json", answer)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
