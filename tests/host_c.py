"""Compile generated C for this machine and call it from Python."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

from quantize.ops.base import Int8Array

ROOT = Path(__file__).parents[1]
KERNELS = ROOT / "firmware" / "kernels"
WARNINGS = [
    "-Wall",
    "-Wextra",
    "-Wconversion",
    "-Wshadow",
    "-Wstrict-prototypes",
    "-Wmissing-prototypes",
    "-pedantic",
    "-Werror",
]


class HostModel:
    """A generated model as a shared library."""

    def __init__(self, gen: Path, manifest: dict[str, Any], *, kernels: Path = KERNELS) -> None:
        library = gen / "model.so"
        sources = [gen / "model.c", gen / "model_golden.c", *sorted((kernels / "ref").glob("*.c"))]
        command = ["gcc", "-std=c11", "-O1", *WARNINGS, "-shared", "-fPIC", f"-I{kernels}",
                   f"-I{gen}", "-o", library, *sources]  # fmt: skip
        subprocess.run([str(c) for c in command], check=True, timeout=60)
        self._library = ctypes.CDLL(str(library))
        self._manifest = manifest
        size = int(manifest["arena_bytes"])
        self._raw = (ctypes.c_uint8 * (size + 16))()
        self._base = ctypes.addressof(self._raw) + (-ctypes.addressof(self._raw)) % 16
        self._arena = np.frombuffer(self._raw, np.int8)[-ctypes.addressof(self._raw) % 16 :]

    def run(self, inputs: list[Int8Array]) -> list[Int8Array]:
        """One inference through model_invoke."""
        for values, place in zip(inputs, self._manifest["inputs"], strict=True):
            self._arena[place["offset"] : place["offset"] + place["bytes"]] = values.reshape(-1)
        self._library.model_invoke(ctypes.c_void_p(self._base))
        return [
            self._arena[p["offset"] : p["offset"] + p["bytes"]].copy().reshape(p["shape"])
            for p in self._manifest["outputs"]
        ]
