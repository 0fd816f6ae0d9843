"""TFLite Micro as a library of PlatformIO's registry: which, where it lies, what it offers."""

import re
from pathlib import Path

from sensor import is_installed

LIBRARY = "spaziochirale/Chirale_TensorFLowLite@2.0.0"
RESOLVER = "tensorflow/lite/micro/micro_mutable_op_resolver.h"
# Sources that need Arduino, or are for tests of the library itself; we have DebugLog ourselves.
LEFT_OUT = (
    "system_setup",
    "micro_time",
    "peripherals",
    "test_helper",
    "test_over_serial",
    "mock_",
    "fake_",
    "kernel_r",
)
METHOD = re.compile(r"\b(Add[A-Z]\w*)\s*\(")


def library_folder(named, storage):
    """The folder `named` by the user, else that of LIBRARY in `storage`; None: not installed."""
    if named:
        return Path(named)
    name = LIBRARY.rpartition("/")[2].partition("@")[0]
    folders = (storage / name, *storage.glob(f"{name}@*"))
    if not is_installed(LIBRARY, storage):
        return None
    return next((folder for folder in folders if folder.is_dir()), None)


def sources(folder):
    """Where headers and sources begin: src/ of an Arduino library, else the folder itself."""
    return folder / "src" if (folder / "src").is_dir() else folder


def doubt(folder, resolver):
    """Why the library's answers differ from those of the reference, a newer one; None: not known.

    Releases before 2024 take the first scale of a FULLY_CONNECTED's weights for all channels.
    """
    dense = sources(folder) / "tensorflow/lite/micro/kernels/fully_connected.h"
    if "MODEL_PER_CHANNEL_DENSE 1" not in resolver.read_text(encoding="utf-8"):
        return None
    if not dense.is_file() or "per_channel" in dense.read_text(encoding="utf-8", errors="replace"):
        return None
    return (
        f"{folder}: this TFLite Micro takes one scale for all channels of a FULLY_CONNECTED, the "
        "model has one for each: outputs will differ from the reference's"
    )


def include_folders(folder):
    """Of the library: it names its third parties from its root, upstream by their own roots."""
    root = sources(folder)
    return [
        root,
        *sorted(p for p in root.glob("third_party/*") if p.is_dir()),
        *root.glob("third_party/flatbuffers/include"),
    ]


def problem(folder, resolver):
    """Why the library in `folder` cannot run the model of the header `resolver`; None: it can."""
    header = sources(folder) / RESOLVER
    if not header.is_file():
        return f"{folder}: no TFLite Micro there ({RESOLVER} is missing)"
    offered = set(METHOD.findall(header.read_text(encoding="utf-8", errors="replace")))
    wanted = re.findall(r"resolver\.(Add\w+)\(\)", resolver.read_text(encoding="utf-8"))
    missing = [name for name in wanted if name not in offered]
    if missing:
        return f"{folder}: this TFLite Micro has no {', '.join(missing)}, which the model needs"
    return None


def source_files(folder):
    """All sources of the library that belong into firmware."""
    root = sources(folder)
    found = (path for kind in ("*.c", "*.cc", "*.cpp") for path in root.rglob(kind))
    kept = (path.relative_to(root) for path in found)
    return sorted(
        p.as_posix() for p in kept if not any(part.startswith(LEFT_OUT) for part in p.parts)
    )
