"""The bytes of a model's file: a .tflite, or C source with one in an array of bytes."""

from __future__ import annotations

import shlex
from pathlib import Path

from quantize.errors import ModelError
from quantize.tflite import c_array
from quantize.tflite.external_buffers import inlined
from quantize.tflite.reader import read_file

NETWORKS = {  # that `tinyproof quantise` makes an int8 .tflite of
    ".keras": "a Keras network",
    ".h5": "a Keras network",
    ".hdf5": "a Keras network",
    ".pt2": "a PyTorch program",
}
PICKLES = (".pt", ".pth")
SUFFIXES = (".tflite", *c_array.SUFFIXES, *NETWORKS, *PICKLES)  # of what a user may call a model
HOW_TO_EXPORT = (
    "a pickle, which may run code when it is read; write the network in PyTorch with "
    "torch.export.save(torch.export.export(network.eval(), (example,)), 'model.pt2') and give that"
)


def is_saved_model(path: Path) -> bool:
    """Whether this is a folder that TensorFlow has saved a network into."""
    return (path / "saved_model.pb").is_file()


def is_model_path(path: Path) -> bool:
    """Whether a word of the command line means a file or folder with a model."""
    return path.suffix.lower() in SUFFIXES or is_saved_model(path)


def model_bytes(path: Path, array: str | None = None) -> bytes:
    """The .tflite in a file: its bytes, or those of the array `array` of C source.

    Data behind its FlatBuffer are brought in (quantize.tflite.external_buffers).

    Raises ModelError for a file that cannot be read, is too large or is of another kind, with what
    makes an int8 .tflite of it.
    """
    suffix = path.suffix.lower()
    if suffix in PICKLES:
        raise ModelError(f"{path}: {HOW_TO_EXPORT}")
    if is_saved_model(path) or suffix in NETWORKS:
        kind = NETWORKS.get(suffix, "a SavedModel of TensorFlow")
        raise ModelError(
            f"{path}: {kind}, expected an int8 .tflite; {how_to_quantise(path)} makes one of it"
        )
    data = read_file(path)
    if suffix in c_array.SUFFIXES:
        return inlined(c_array.array_bytes(data, str(path), array), str(path))
    if array is not None:
        raise ModelError(f"{path}: --array {array} (ARRAY=) is for C source only; leave it out")
    return inlined(data, str(path))


def how_to_quantise(path: Path) -> str:
    """The command that makes an int8 model of a float one."""
    return f"`make quantise MODEL={shlex.quote(str(path))} INPUTS=X.npz`"
