"""Golden cases: inputs and what the TFLite Micro interpreter answers to them."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from model.files import write_arrays
from quantize.errors import ModelError
from quantize.ops.base import Int8Array
from quantize.tflite.graph import Graph
from quantize.tflite.reader import parse_model
from quantize.tflm import TfliteMicro


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """`inputs` and `outputs` hold one array a tensor, [cases, *shape], in the model's order."""

    inputs: tuple[Int8Array, ...]
    outputs: tuple[Int8Array, ...]
    model_sha256: str

    def __len__(self) -> int:
        return len(self.inputs[0])

    def case_inputs(self, case: int) -> list[Int8Array]:
        """The input tensors of one case."""
        return [values[case] for values in self.inputs]

    def case_outputs(self, case: int) -> list[Int8Array]:
        """The expected output tensors of one case."""
        return [values[case] for values in self.outputs]

    def rows(self, cases: Sequence[int]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
        """(inputs, outputs) of some cases as bytes, all tensors of a case in one row."""
        sides = []
        for side in (self.inputs, self.outputs):
            flat = [v[list(cases)].reshape(len(cases), -1).view(np.uint8) for v in side]
            sides.append(np.concatenate(flat, axis=1))
        return sides[0], sides[1]


def random_inputs(graph: Graph, cases: int, seed: int) -> tuple[Int8Array, ...]:
    """Edge cases first (zero point, -128, 127, one hot), then seeded full-range random ones."""
    rng = np.random.default_rng(seed)
    result = []
    for index in graph.inputs:
        tensor = graph.tensors[index]
        zero = tensor.quant.zero_point[0] if tensor.quant else 0
        one_hot = np.full(tensor.shape, zero, np.int8)
        one_hot.reshape(-1)[rng.integers(tensor.elements)] = 127
        edges = [np.full(tensor.shape, v, np.int8) for v in (zero, -128, 127)] + [one_hot]
        drawn = rng.integers(-128, 128, (max(cases - len(edges), 0), *tensor.shape), np.int8)
        result.append(np.concatenate([np.stack(edges)[:cases], drawn]))
    return tuple(result)


def make_golden(model: bytes, inputs: Sequence[Int8Array]) -> Golden:
    """Run the TFLite Micro interpreter on every case."""
    graph = parse_model(model)
    for index, values in zip(graph.inputs, inputs, strict=True):
        expected = graph.tensors[index].shape
        if values.dtype != np.int8 or values.shape[1:] != expected or len(values) == 0:
            raise ModelError(
                f"input {index}: expected int8 [cases, {', '.join(map(str, expected))}], "
                f"got {values.dtype} {list(values.shape)}"
            )
    interpreter = TfliteMicro(model)
    rows = [interpreter.run([v[i] for v in inputs]) for i in range(len(inputs[0]))]
    return Golden(
        inputs=tuple(inputs),
        outputs=tuple(np.stack(column) for column in zip(*rows, strict=True)),
        model_sha256=hashlib.sha256(model).hexdigest(),
    )


def save_golden(path: Path, golden: Golden) -> None:
    """Write golden.npz."""
    arrays: dict[str, npt.NDArray[np.generic]] = {
        "model_sha256": np.frombuffer(golden.model_sha256.encode(), np.uint8)
    }
    for side, tensors in (("input", golden.inputs), ("output", golden.outputs)):
        for i, values in enumerate(tensors):
            arrays[f"{side}_{i}"] = values
    write_arrays(path, arrays)


def load_golden(path: Path) -> Golden:
    """Read golden.npz; ModelError when it is missing or not ours."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {key: stored[key] for key in stored.files}
        sides = [
            tuple(arrays[f"{side}_{i}"] for i in range(sum(k.startswith(side) for k in arrays)))
            for side in ("input", "output")
        ]
        digest = arrays["model_sha256"].tobytes().decode()
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ModelError(f"{path}: not a golden file: {error}; run the quantise step") from error
    return Golden(inputs=sides[0], outputs=sides[1], model_sha256=digest)
