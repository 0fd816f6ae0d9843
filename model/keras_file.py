"""A Keras file (.keras, .h5) as a network, without running code of the file.

It may name code to be loaded. Only what is in ALLOWED is: layers of Keras that compute, whatever
they are told. Keras's safe_mode, which refuses pickled functions, holds for .keras alone.
"""

from __future__ import annotations

import importlib
import io
import json
import math
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from model.errors import ConfigError, told_as
from model.files import MAX_NETWORK_BYTES

MAX_CONFIG = 8 << 20  # bytes of a Keras file's description of its layers
MAX_OBJECTS = 100_000  # arrays and folders of an HDF5 file
_NAMES = """
Sequential Functional Model __keras_tensor__ DTypePolicy Policy
AbstractRNNCell Activation ActivityRegularization AdaptiveAveragePooling1D
AdaptiveAveragePooling2D AdaptiveAveragePooling3D AdaptiveMaxPooling1D AdaptiveMaxPooling2D
AdaptiveMaxPooling3D Add AdditiveAttention AlphaDropout Attention AugMix AutoContrast Average
AveragePooling1D AveragePooling2D AveragePooling3D BatchNormalization Bidirectional
CategoryEncoding CenterCrop Concatenate ContrastLimitedAdaptiveHistogramEqualization Conv1D
Conv1DTranspose Conv2D Conv2DTranspose Conv3D Conv3DTranspose ConvLSTM1D ConvLSTM2D ConvLSTM3D
Cropping1D Cropping2D Cropping3D CutMix Dense DepthwiseConv1D DepthwiseConv2D Discretization Dot
Dropout ELU EinsumDense Embedding Equalization Flatten GRU GRUCell GaussianDropout GaussianNoise
GlobalAveragePooling1D GlobalAveragePooling2D GlobalAveragePooling3D GlobalMaxPooling1D
GlobalMaxPooling2D GlobalMaxPooling3D GroupNormalization GroupQueryAttention GroupedQueryAttention
HashedCrossing Hashing Identity InputLayer LSTM LSTMCell Layer LayerNormalization LeakyReLU
LocallyConnected1D LocallyConnected2D Masking MaxNumBoundingBoxes MaxPooling1D MaxPooling2D
MaxPooling3D Maximum MelSpectrogram Minimum MixUp MultiHeadAttention Multiply Normalization PReLU
Permute Pipeline RMSNormalization RNN RandAugment RandomBrightness RandomColorDegeneration
RandomColorJitter RandomContrast RandomCrop RandomElasticTransform RandomErasing RandomFlip
RandomGaussianBlur RandomGrayscale RandomHeight RandomHue RandomInvert RandomPerspective
RandomPosterization RandomRotation RandomSaturation RandomSharpness RandomShear RandomTranslation
RandomWidth RandomZoom ReLU RepeatVector Rescaling Reshape Resizing ReversibleEmbedding
STFTSpectrogram SeparableConv1D SeparableConv2D SimpleRNN SimpleRNNCell Softmax Solarization
SpatialDropout1D SpatialDropout2D SpatialDropout3D SpectralNormalization StackedRNNCells Subtract
ThresholdedReLU TimeDistributed UnitNormalization UpSampling1D UpSampling2D UpSampling3D Wrapper
ZeroPadding1D ZeroPadding2D ZeroPadding3D
Constant GlorotNormal GlorotUniform HeNormal HeUniform LecunNormal LecunUniform Ones Orthogonal
RandomNormal RandomUniform TruncatedNormal VarianceScaling Zeros L1 L1L2 L2 MaxNorm MinMaxNorm
NonNeg UnitNorm IdentityInitializer OrthogonalInitializer STFT STFTInitializer
OrthogonalRegularizer RadialConstraint
"""
ALLOWED = frozenset(_NAMES.split())
REFUSED = {  # of Keras itself, and why
    "Lambda": "it holds Python code, which loading the network runs",
    "TFSMLayer": "it loads a SavedModel from a path that the file names",
    "JaxLayer": "it holds functions, which loading the network runs",
    "FlaxLayer": "it holds functions, which loading the network runs",
    "TorchModuleWrapper": "it holds a pickle, which may run code when it is read",
    "DenseFeatures": "its feature columns may hold functions, which loading the network runs",
    "StringLookup": "its vocabulary may be any file that the network names",
    "IntegerLookup": "its vocabulary may be any file that the network names",
    "TextVectorization": "its vocabulary may be any file that the network names",
}
FUNCTIONS = {  # that stand for one by its name
    *("function", "__lambda__", "__typespec__"),
    *("TFOpLambda", "SlicingOpLambda", "TensorFlowOpLayer"),  # what Keras 2 makes of tf.*
}
GIVE_A_TFLITE = (
    "convert the network to a float .tflite, "
    "tf.lite.TFLiteConverter.from_keras_model(network).convert(), and give that"
)
SAVE_AGAIN = "save the network again, network.save('network.keras'), or copy the whole file"


class KerasFileError(ConfigError):
    """A file that holds no network, or one whose layers are not loaded; says which and why."""


def load_keras_file(path: Path) -> tuple[Any, str]:
    """(the network of a Keras file, the name and version of what has read it); runs no code of it.

    Raises KerasFileError for a file that is not whole, and for layers that are not loaded.
    """
    with told_as("not a whole Keras file", SAVE_AGAIN, KerasFileError):
        config, release = _keras_config(path)
    check_layers(config)
    from model.networks import keras as framework

    if release.split(".")[0] != "2":
        framework = importlib.import_module("keras")  # version 3, what networks have is 2
    name = f"Keras {framework.__version__}"
    with told_as(
        f"{name} does not load it (written by {release[:20]})", GIVE_A_TFLITE, KerasFileError
    ):
        network = framework.models.load_model(path, compile=False, safe_mode=True)
    return network, name


def input_keys(network: Any) -> list[str]:
    """The keys of a network that takes a dict, in the order of its inputs; [] of another one."""
    nested = getattr(network, "_inputs_struct", getattr(network, "_nested_inputs", None))
    if not isinstance(nested, dict):
        return []
    keys = {id(tensor): str(key) for key, tensor in nested.items()}
    found = [keys.get(id(tensor)) for tensor in network.inputs]
    return [] if None in found else [str(key) for key in found]


def called(network: Any, values: Sequence[Any]) -> Any:
    """What a network answers to values in the order of its inputs, in its form."""
    if keys := input_keys(network):
        return network(dict(zip(keys, values, strict=True)), training=False)
    return network(values[0] if len(values) == 1 else list(values), training=False)


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
        raise KerasFileError(f"not a Keras file: two of its members have one name; {SAVE_AGAIN}")
    if not {"config.json", "metadata.json"} <= set(sizes):
        raise KerasFileError(
            f"not a Keras file: config.json or metadata.json is missing; {SAVE_AGAIN}"
        )
    large = max(sizes["config.json"], sizes["metadata.json"]) > MAX_CONFIG
    if large or sum(sizes.values()) > MAX_NETWORK_BYTES:
        raise KerasFileError(
            f"more than {MAX_NETWORK_BYTES:,} bytes when unpacked; give a smaller network"
        )


def _described(text: Any) -> dict[str, Any]:
    """An object of JSON that a Keras file holds."""
    try:
        value = json.loads(text) if len(text) <= MAX_CONFIG else None
    except (ValueError, TypeError, RecursionError) as error:
        raise KerasFileError(
            f"not a Keras file: its description is damaged: {error}; {SAVE_AGAIN}"
        ) from error
    if not isinstance(value, dict):
        raise KerasFileError(
            f"not a Keras file: its description is not an object of JSON; {SAVE_AGAIN}"
        )
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
                raise KerasFileError(
                    f"{name[:60]!r} is a link; expected arrays in the file itself; {SAVE_AGAIN}"
                )
            entry = folder[name]
            place = h5py.h5o.get_info(entry.id).addr
            if place in seen:
                continue
            seen.add(place)
            if isinstance(entry, h5py.Group):
                waiting.append(entry)
            elif isinstance(entry, h5py.Dataset):
                if entry.external or entry.is_virtual:
                    raise KerasFileError(
                        f"the array {name[:60]!r} lies in another file; expected it in this one; "
                        f"{SAVE_AGAIN}"
                    )
                size += math.prod(entry.shape or ()) * entry.dtype.itemsize
            if len(seen) > MAX_OBJECTS or size > MAX_NETWORK_BYTES:
                raise KerasFileError(
                    f"more than {MAX_OBJECTS:,} arrays or {MAX_NETWORK_BYTES:,} bytes of them; "
                    "give a smaller network"
                )


def check_layers(config: Any) -> None:
    """Refuse what is no layer of Keras that only computes; how it was trained is not loaded."""
    for entry in _entries({k: v for k, v in config.items() if k != "compile_config"}):
        name, module = entry["class_name"], entry.get("module") or "keras"
        if reason := _refusal(name, str(module)):
            raise KerasFileError(
                f"the layer or function {str(name)[:60]!r} of {str(module)[:60]!r} is not loaded: "
                f"{reason}; {GIVE_A_TFLITE}"
            )


def _refusal(name: Any, module: str) -> str | None:
    """Why a class is not loaded; None where it is."""
    if not isinstance(name, str):
        return "expected a name; the file is damaged or hand-made"
    if name in FUNCTIONS:
        return "it stands for a function that the file names, which may do anything"
    if module.split(".")[0] not in ("keras", "tf_keras"):
        return "it is not Keras's own, and loading it would run code from elsewhere"
    if name in ALLOWED:
        return None
    return REFUSED.get(name) or (
        "it is none of the layers that Keras comes with and that are known to compute only; a "
        "class of your own is not in the file, only its name"
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
