"""Compile generated C for this machine and call it from Python."""

from __future__ import annotations

import atexit
import ctypes
import functools
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from quantize.ops.base import Array

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
COMPILE = ["gcc", "-std=c11", "-O1", "-fPIC", *WARNINGS]


def kernel_sources(kernels: str) -> list[Path]:
    """The files of a set of kernels in C: its own, twins of its assembly, the reference's rest."""
    own = [*(KERNELS / kernels).glob("*.c"), *(KERNELS / kernels / "twin").glob("*.c")]
    names = {path.name for path in own}
    return sorted(own + [p for p in (KERNELS / "ref").glob("*.c") if p.name not in names])


@functools.cache
def _kernels(kernels: str) -> Path:
    """All kernels as one archive, compiled once a process."""
    folder = Path(tempfile.mkdtemp(prefix="kernels-"))
    atexit.register(shutil.rmtree, folder)
    sources = [str(path) for path in kernel_sources(kernels)]
    subprocess.run([*COMPILE, "-c", f"-I{KERNELS}", *sources], cwd=folder, check=True, timeout=120)
    archive = folder / "kernels.a"
    objects = [str(path) for path in sorted(folder.glob("*.o"))]
    subprocess.run(["ar", "rcs", str(archive), *objects], check=True, timeout=60)
    return archive


class HostModel:
    """A generated model as a shared library."""

    def __init__(self, gen: Path, manifest: dict[str, Any]) -> None:
        library = gen / "model.so"
        parts = ["-shared", f"-I{KERNELS}", f"-I{gen}", "-o", library, gen / "model.c"]
        command = [*COMPILE, *parts, gen / "model_golden.c", _kernels(manifest["kernels"])]
        subprocess.run([str(c) for c in command], check=True, timeout=60)
        self._library = ctypes.CDLL(str(library))
        self._manifest = manifest
        size = int(manifest["arena_bytes"])
        self._raw = (ctypes.c_uint8 * (size + 16))()
        self._base = ctypes.addressof(self._raw) + (-ctypes.addressof(self._raw)) % 16
        self._arena = np.frombuffer(self._raw, np.int8)[-ctypes.addressof(self._raw) % 16 :]
        self.reset()

    def reset(self) -> None:
        """Call model_reset."""
        self._library.model_reset(ctypes.c_void_p(self._base))

    def run(self, inputs: list[Array]) -> list[Array]:
        """One inference through model_invoke."""
        for values, place in zip(inputs, self._manifest["inputs"], strict=True):
            self._arena[place["offset"] : place["offset"] + place["bytes"]] = np.frombuffer(
                values.tobytes(), np.int8
            )
        self._library.model_invoke(ctypes.c_void_p(self._base))
        return [
            self._arena[p["offset"] : p["offset"] + p["bytes"]]
            .copy()
            .view(p["dtype"])
            .reshape(p["shape"])
            for p in self._manifest["outputs"]
        ]
