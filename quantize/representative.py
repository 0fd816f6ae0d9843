"""Representative inputs: what a network is calibrated and compared on, from files of a user's."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from model.npz import parse_array, read_arrays
from quantize.errors import ModelError
from quantize.ops.base import Array
from quantize.pairing import LABELS, paired, plain_name
from quantize.tflite.graph import Graph, Tensor
from quantize.tflite.reader import read_file

MAX_CASES = 1000  # that are used, spread evenly over all
MAX_BYTES = 512 << 20  # of the inputs that are used
MAX_FILES = 10_000  # of a folder
FEW = 50  # cases; with fewer there is a warning
RANDOM_CASES = 100
WHY_NOT_RANDOM = (
    "int8 gives each layer the range that these inputs need; random ones would give it ranges that "
    "real data does not have, and the model would be wrong without a message"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """The inputs of a float network, in its order."""

    names: tuple[str, ...]
    tensors: tuple[Tensor, ...]
    ordered: bool = True  # False: the network has names alone, the order is the converter's

    @classmethod
    def of(cls, graph: Graph) -> Inputs:
        """What the file of a network says itself."""
        tensors = tuple(graph.tensors[i] for i in graph.inputs)
        return cls(names=tuple(plain_name(t.name) for t in tensors), tensors=tensors)

    def told(self, number: int) -> str:
        """An input and the shape of its array."""
        shape = self.tensors[number].shape
        sizes = ["cases", *map(str, shape[1:] if shape[:1] == (1,) else shape)]
        return f"{self.names[number][:60]} [{', '.join(sizes)}]"

    def told_all(self) -> str:
        """All of them."""
        return ", ".join(self.told(number) for number in range(len(self.names)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Representative:
    """`inputs`: an array [cases, *shape] for each input of the float network, in its order."""

    inputs: tuple[Array, ...]
    labels: npt.NDArray[np.int64] | None
    told: str  # where they come from
    given: int  # cases there were
    random: bool = False
    pairs: tuple[str, ...] = ()  # which array is which input, where there are arrays

    def __len__(self) -> int:
        return len(self.inputs[0])


def from_arrays(arrays: Mapping[str, Array], network: Inputs, told: str) -> Representative:
    """Arrays by the inputs' names or numbers (quantize.pairing); `labels` beside them.

    Raises ModelError that says which array does not fit which input.
    """
    labels = None if LABELS in network.names else arrays.get(LABELS)
    rest = [name for name in arrays if labels is None or name != LABELS]
    order = paired(rest, network.names, told, ordered=network.ordered)
    return _assembled([arrays[name] for name in order], labels, network, told, tuple(order))


def _assembled(
    values: Sequence[Array],
    labels: Array | None,
    network: Inputs,
    told: str,
    names: tuple[str, ...],
) -> Representative:
    """Arrays in the order of the inputs, checked, and of too many cases some."""
    places = [f"{told}: {name[:60]}" for name in names]
    for number, place in enumerate(places):
        _check_shape(values[number], network, number, place)
    counts = {len(v) for v in values} | (
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
    case_bytes = sum(t.bytes for t in network.tensors)
    count = min(given, MAX_CASES, max(1, MAX_BYTES // case_bytes))
    chosen = np.linspace(0, given - 1, count).round().astype(int)
    return Representative(
        inputs=tuple(
            _fitted(v[chosen], t, place)
            for v, t, place in zip(values, network.tensors, places, strict=True)
        ),
        labels=None if labels is None else labels[chosen].astype(np.int64),
        told=told,
        given=given,
        pairs=tuple(f"{name[:60]} is {network.told(i)}" for i, name in enumerate(names)),
    )


def _check_shape(values: Array, network: Inputs, number: int, place: str) -> None:
    """[cases, *shape]; the file may leave out a first dimension of 1."""
    shape = network.tensors[number].shape
    own = (shape, shape[1:] if shape[:1] == (1,) else shape)
    if not values.ndim or values.shape[1:] not in own:
        raise ModelError(
            f"{place}: shape {list(values.shape)}; expected {network.told(number)}"
            + (
                "; the count of values a case fits, so reshape it"
                if values.ndim and math.prod(values.shape[1:]) == math.prod(shape)
                else ""
            )
        )


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


def from_file(path: Path, network: Inputs) -> Representative:
    """The arrays of an .npz."""
    try:
        arrays = read_arrays(path)
    except OSError as error:
        raise ModelError(
            f"--inputs {path} (INPUTS=): {error.strerror}; expected an .npz with "
            "representative inputs"
        ) from error
    except ValueError as error:
        other = path.suffix.lower() != ".npz"
        raise ModelError(
            f"{path}: not an .npz of plain arrays: {error}; write it with numpy.savez, one array "
            "[cases, *shape] for each input"
            + ("; a folder of .npy files is for --data (DATA=)" if other else "")
        ) from error
    return from_arrays(arrays, network, path.name)


def from_folder(folder: Path, network: Inputs) -> Representative:
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
        parts.append(_from_one(path, network))
        used += sum(v.nbytes for v in parts[-1].inputs)
        if used > MAX_BYTES:
            raise ModelError(f"--data {folder} (DATA=): more than {MAX_BYTES:,} bytes; give fewer")
    values = [np.concatenate(column) for column in zip(*(p.inputs for p in parts), strict=True)]
    labels = [p.labels for p in parts if p.labels is not None]
    all_labels = np.concatenate(labels) if len(labels) == len(parts) else None
    told = f"{folder.name}/, {len(files)} files"
    return _assembled(values, all_labels, network, told, network.names)


def _from_one(path: Path, network: Inputs) -> Representative:
    if path.suffix.lower() == ".npz":
        return from_file(path, network)
    try:
        values = parse_array(read_file(path))
    except ValueError as error:
        raise ModelError(f"{path}: not a .npy of plain numbers: {error}") from error
    if len(network.names) > 1:
        raise ModelError(
            f"{path}: one array; the network has the inputs {network.told_all()}: give .npz files "
            "with an array for each"
        )
    shape = network.tensors[0].shape
    if values.shape in (shape, shape[1:] if shape[:1] == (1,) else shape):
        values = values[None]
    return from_arrays({path.stem: values}, network, path.name)


def from_random(network: Inputs, cases: int = RANDOM_CASES) -> Representative:
    """Standard normal values, or whole ones 0 or 1: for a trial, never for use."""
    rng = np.random.default_rng(1)
    inputs = []
    for tensor in network.tensors:
        whole = np.dtype(tensor.dtype).kind in "iu"
        shape = (cases, *tensor.shape)
        drawn = rng.integers(0, 2, shape) if whole else rng.normal(0, 1, shape)
        inputs.append(drawn.astype(tensor.dtype))
    return Representative(
        inputs=tuple(inputs), labels=None, told="random numbers", given=cases, random=True
    )


def from_windows(windows: Array, labels: Array, network: Inputs, told: str) -> Representative:
    """A recipe's windows for the network's only input, whatever its dimensions of 1 are."""
    values = windows
    tensor = network.tensors[0]
    fits = len(network.tensors) == 1 and [n for n in values.shape[1:] if n != 1] == [
        n for n in tensor.shape if n != 1
    ]
    if not fits:
        raise ModelError(
            f"{told}: windows of the shape {list(values.shape[1:])}; the network takes "
            f"{network.told_all()}"
        )
    fitted = values.reshape(len(values), *tensor.shape)
    return _assembled([fitted], labels, network, told, ("windows",))
