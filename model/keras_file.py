"""The network of a .keras or .h5 file, without running code of it.

A Keras file may name code to be loaded. Only the layers of ALLOWED are, all of them arithmetic;
Keras's safe_mode, which refuses pickled functions, holds for the .keras format alone.
"""

from __future__ import annotations

import importlib
import io
import json
import math
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from model.errors import ConfigError

MAX_FILE_BYTES = 256 << 20
MAX_CONFIG = 8 << 20  # bytes of a file's description of its layers
MAX_OBJECTS = 100_000  # arrays and folders of an HDF5 file
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


class KerasFileError(ConfigError):
    """A file that holds no network, or one whose layers are not loaded; says which and why."""


def load_keras_file(path: Path) -> tuple[Any, str]:
    """(the network of a Keras file, the name and version of what has read it); runs no code of it.

    Raises KerasFileError for layers that are not loaded.
    """
    config, release = _description(path)
    check_layers(config)
    from model.networks import keras as framework

    if release.split(".")[0] != "2":
        framework = importlib.import_module("keras")  # version 3, what networks have is 2
    network = framework.models.load_model(path, compile=False, safe_mode=True)
    return network, f"Keras {framework.__version__}"


def _description(path: Path) -> tuple[Any, str]:
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
                raise KerasFileError(
                    "only weights, no layers; save the whole network: network.save()"
                )
            config = _described(file.attrs["model_config"])
            release = file.attrs.get("keras_version", "2")
    return config, str(release)


def _check_members(archive: zipfile.ZipFile) -> None:
    entries = archive.infolist()
    sizes = {entry.filename: entry.file_size for entry in entries}
    if len(sizes) < len(entries):
        raise KerasFileError("not a Keras file: two of its members have one name")
    if not {"config.json", "metadata.json"} <= set(sizes):
        raise KerasFileError("not a Keras file: config.json or metadata.json is missing")
    large = max(sizes["config.json"], sizes["metadata.json"]) > MAX_CONFIG
    if large or sum(sizes.values()) > MAX_FILE_BYTES:
        raise KerasFileError(f"more than {MAX_FILE_BYTES} bytes when unpacked")


def _described(text: Any) -> dict[str, Any]:
    """An object of JSON that a Keras file holds."""
    try:
        value = json.loads(text) if len(text) <= MAX_CONFIG else None
    except (ValueError, TypeError, RecursionError) as error:
        raise KerasFileError(f"not a Keras file: its description is damaged: {error}") from error
    if not isinstance(value, dict):
        raise KerasFileError("not a Keras file: its description is not an object of JSON")
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
                raise KerasFileError(f"{name[:60]!r} is a link; expected arrays in the file itself")
            entry = folder[name]
            place = h5py.h5o.get_info(entry.id).addr
            if place in seen:
                continue
            seen.add(place)
            if isinstance(entry, h5py.Group):
                waiting.append(entry)
            elif isinstance(entry, h5py.Dataset):
                if entry.external or entry.is_virtual:
                    raise KerasFileError(f"the array {name[:60]!r} lies in another file")
                size += math.prod(entry.shape or ()) * entry.dtype.itemsize
            if len(seen) > MAX_OBJECTS or size > MAX_FILE_BYTES:
                raise KerasFileError(
                    f"more than {MAX_OBJECTS:,} arrays or {MAX_FILE_BYTES:,} bytes of them"
                )


def check_layers(config: Any) -> None:
    """Refuse what is not arithmetic of Keras itself; how the network was trained is not loaded."""
    for entry in _entries({k: v for k, v in config.items() if k != "compile_config"}):
        name, module = entry["class_name"], entry.get("module") or "keras"
        known = isinstance(name, str) and name in ALLOWED
        if not known or str(module).split(".")[0] not in ("keras", "tf_keras"):
            raise KerasFileError(
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
