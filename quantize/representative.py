"""Representative inputs: what a network is calibrated and compared on, from files of a user's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from model.npz import parse_array, read_arrays
from quantize.errors import ModelError
from quantize.float_reference import plain_name
from quantize.ops.base import Array
from quantize.tflite.graph import Graph, Tensor
from quantize.tflite.reader import read_file

MAX_CASES = 1000  # that are used, spread evenly over all
MAX_BYTES = 512 << 20  # of the inputs that are used
MAX_FILES = 10_000  # of a folder
SHOWN = 10  # names of arrays in a message
FEW = 50  # cases; with fewer there is a warning
LABELS = "labels"  # the array that says which class each case is of
RANDOM_CASES = 100
WHY_NOT_RANDOM = (
    "int8 gives each layer the range that these inputs need; random ones would give it ranges that "
    "real data does not have, and the model would be wrong without a message"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Representative:
    """`inputs`: an array [cases, *shape] for each input of the float network, in its order."""

    inputs: tuple[Array, ...]
    labels: npt.NDArray[np.int64] | None
    told: str  # where they come from
    given: int  # cases there were
    random: bool = False

    def __len__(self) -> int:
        return len(self.inputs[0])


def from_arrays(arrays: Mapping[str, Array], graph: Graph, told: str) -> Representative:
    """Arrays by the inputs' names, else in the order of their own; `labels` beside them.

    Raises ModelError that says which array does not fit which input.
    """
    tensors = [graph.tensors[i] for i in graph.inputs]
    names = [plain_name(t.name) for t in tensors]
    labels = None if LABELS in names else arrays.get(LABELS)
    rest = {k: v for k, v in arrays.items() if labels is None or k != LABELS}
    if len(rest) != len(tensors):
        raise ModelError(
            f"{told}: arrays {_named(rest)}; expected one for each input of "
            f"the network: {', '.join(_told(t) for t in tensors)} (and {LABELS}, if you like)"
        )
    order = names if set(names) == set(rest) else sorted(rest)
    for k, tensor in zip(order, tensors, strict=True):
        _check_shape(rest[k], tensor, f"{told}: {k[:60]}")
    counts = {len(rest[k]) for k in order} | (
        {len(labels)} if labels is not None and labels.ndim else set()
    )
    if len(counts) != 1 or 0 in counts:
        raise ModelError(f"{told}: arrays of {sorted(counts)} cases; expected the same, 1 or more")
    given = counts.pop()
    if labels is not None and (labels.ndim != 1 or labels.dtype.kind not in "iu"):
        raise ModelError(
            f"{told}: {LABELS} is {labels.dtype} {list(labels.shape)}; expected one whole number a "
            "case, the number of its class"
        )
    case_bytes = sum(t.bytes for t in tensors)
    count = min(given, MAX_CASES, max(1, MAX_BYTES // case_bytes))
    chosen = np.linspace(0, given - 1, count).round().astype(int)
    return Representative(
        inputs=tuple(
            _fitted(rest[k][chosen], t, f"{told}: {k[:60]}")
            for k, t in zip(order, tensors, strict=True)
        ),
        labels=None if labels is None else labels[chosen].astype(np.int64),
        told=told,
        given=given,
    )


def _named(arrays: Mapping[str, Array]) -> str:
    names = sorted(arrays)
    shown = ", ".join(name[:60] for name in names[:SHOWN]) or "none"
    return shown + (f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else "")


def _told(tensor: Tensor) -> str:
    return f"{plain_name(tensor.name)[:60]} [cases, {', '.join(map(str, tensor.shape))}]"


def _check_shape(values: Array, tensor: Tensor, told: str) -> None:
    """[cases, *shape]; the file may leave out a first dimension of 1."""
    shape = tensor.shape
    own = (shape, shape[1:] if shape[:1] == (1,) else shape)
    if not values.ndim or values.shape[1:] not in own:
        raise ModelError(f"{told}: shape {list(values.shape)}; expected {_told(tensor)}")


def _fitted(values: Array, tensor: Tensor, told: str) -> Array:
    """The cases that are used, [cases, *shape] of the input's type."""
    whole = np.dtype(tensor.dtype).kind in "iu"
    if whole and values.dtype.kind == "f":
        raise ModelError(f"{told}: {values.dtype}; the input takes whole numbers, {tensor.dtype}")
    if not np.isfinite(values).all():
        raise ModelError(f"{told}: values that are not finite; leave those cases out")
    if whole and (values.astype(tensor.dtype) != values).any():
        raise ModelError(f"{told}: values beyond {tensor.dtype}, which the input takes")
    with np.errstate(over="ignore"):
        fitted = values.reshape(len(values), *tensor.shape).astype(tensor.dtype)
    if not np.isfinite(fitted).all():
        raise ModelError(f"{told}: values beyond {tensor.dtype}, which the input takes")
    return fitted


def from_file(path: Path, graph: Graph) -> Representative:
    """The arrays of an .npz."""
    try:
        arrays = read_arrays(path)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{path}: not an .npz of plain arrays: {error}; write it with numpy.savez, one array "
            "[cases, *shape] for each input"
        ) from error
    return from_arrays(arrays, graph, path.name)


def from_folder(folder: Path, graph: Graph) -> Representative:
    """All .npy and .npz files of a folder, in the order of their names.

    A .npy holds one case or [cases, *shape] of the only input; a .npz is as for from_file.
    """
    if not folder.is_dir():
        raise ModelError(f"--data {folder} (DATA=): no such folder")
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in (".npy", ".npz"))
    if not 1 <= len(files) <= MAX_FILES:
        raise ModelError(
            f"--data {folder} (DATA=): {len(files)} files .npy or .npz; expected 1 to {MAX_FILES:,}"
        )
    parts: list[Representative] = []
    used = 0
    for path in files:
        parts.append(_from_one(path, graph))
        used += sum(v.nbytes for v in parts[-1].inputs)
        if used > MAX_BYTES:
            raise ModelError(f"--data {folder} (DATA=): more than {MAX_BYTES:,} bytes; give fewer")
    arrays = {
        f"{i:03}": np.concatenate([p.inputs[i] for p in parts]) for i in range(len(parts[0].inputs))
    }
    labels = [p.labels for p in parts if p.labels is not None]
    if len(labels) == len(parts):
        arrays[LABELS] = np.concatenate(labels)
    return from_arrays(arrays, graph, f"{folder.name}/, {len(files)} files")


def _from_one(path: Path, graph: Graph) -> Representative:
    if path.suffix.lower() == ".npz":
        return from_file(path, graph)
    try:
        values = parse_array(read_file(path))
    except ValueError as error:
        raise ModelError(f"{path}: not a .npy of plain numbers: {error}") from error
    shape = graph.tensors[graph.inputs[0]].shape
    if values.shape in (shape, shape[1:] if shape[:1] == (1,) else shape):
        values = values[None]
    return from_arrays({"input": values}, graph, path.name)


def from_random(graph: Graph, cases: int = RANDOM_CASES) -> Representative:
    """Standard normal values, or whole ones 0 or 1: for a trial, never for use."""
    rng = np.random.default_rng(1)
    inputs = []
    for tensor in (graph.tensors[i] for i in graph.inputs):
        whole = np.dtype(tensor.dtype).kind in "iu"
        shape = (cases, *tensor.shape)
        drawn = rng.integers(0, 2, shape) if whole else rng.normal(0, 1, shape)
        inputs.append(drawn.astype(tensor.dtype))
    return Representative(
        inputs=tuple(inputs), labels=None, told="random numbers", given=cases, random=True
    )


def from_windows(windows: Array, labels: Array, graph: Graph, told: str) -> Representative:
    """A recipe's windows for the network's only input, whatever its dimensions of 1 are."""
    values = windows
    tensor = graph.tensors[graph.inputs[0]]
    fits = len(graph.inputs) == 1 and [n for n in values.shape[1:] if n != 1] == [
        n for n in tensor.shape if n != 1
    ]
    if not fits:
        raise ModelError(
            f"{told}: windows of the shape {list(values.shape[1:])}; the network takes "
            f"{', '.join(_told(graph.tensors[i]) for i in graph.inputs)}"
        )
    return from_arrays(
        {"input": values.reshape(len(values), *tensor.shape), LABELS: labels}, graph, told
    )
