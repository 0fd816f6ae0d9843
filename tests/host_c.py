"""Compile generated C for this machine and call it from Python."""

from __future__ import annotations

import _ctypes
import atexit
import ctypes
import functools
import re
import shutil
import subprocess
import tempfile
import weakref
from collections.abc import Sequence
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
COMPILE = ["gcc", "-std=c11", "-O1", "-fPIC", "-ffp-contract=off", *WARNINGS]


def kernel_sources(kernels: str) -> list[Path]:
    """The files of a set of kernels in C: its own, twins of its assembly, the reference's rest."""
    names, files = kernels.split("_"), {path.name: path for path in (KERNELS / "ref").glob("*.c")}
    for count in range(1, len(names) + 1):  # xtensa_mac16 goes on behind xtensa
        folder = KERNELS / "_".join(names[:count])
        files |= {p.name: p for part in (folder, folder / "twin") for p in part.glob("*.c")}
    return sorted(files.values())


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


def load_library(user: object, path: Path) -> ctypes.CDLL:
    """A shared library that is closed when `user` is gone: a process has 65,530 mappings."""
    library = ctypes.CDLL(str(path))
    weakref.finalize(user, _ctypes.dlclose, library._handle)
    return library


def _compile(library: Path, sources: list[Path], kernels: str) -> Path:
    command = [*COMPILE, "-shared", f"-I{KERNELS}", "-o", library, *sources, _kernels(kernels)]
    subprocess.run([str(c) for c in command], check=True, timeout=60)
    return library


class HostModel:
    """A generated model in a shared library: its own, or model `number` of `library`."""

    def __init__(
        self, gen: Path, manifest: dict[str, Any], *, library: Path | None = None, number: str = ""
    ) -> None:
        if library is None:
            sources = [gen / "model.c", gen / "model_golden.c"]
            library = _compile(gen / "model.so", sources, manifest["kernels"])
        loaded = load_library(self, library)
        self._reset = getattr(loaded, f"model{number}_reset")
        self._invoke = getattr(loaded, f"model{number}_invoke")
        self._manifest = manifest
        size = int(manifest["arena_bytes"])
        self._raw = (ctypes.c_uint8 * (size + 16))()
        self._base = ctypes.addressof(self._raw) + (-ctypes.addressof(self._raw)) % 16
        self._arena = np.frombuffer(self._raw, np.int8)[-ctypes.addressof(self._raw) % 16 :]
        self.reset()

    def reset(self) -> None:
        """Call model_reset."""
        self._reset(ctypes.c_void_p(self._base))

    def run(self, inputs: list[Array]) -> list[Array]:
        """One inference through model_invoke."""
        for values, place in zip(inputs, self._manifest["inputs"], strict=True):
            self._arena[place["offset"] : place["offset"] + place["bytes"]] = np.frombuffer(
                values.tobytes(), np.int8
            )
        self._invoke(ctypes.c_void_p(self._base))
        return [
            self._arena[p["offset"] : p["offset"] + p["bytes"]]
            .copy()
            .view(p["dtype"])
            .reshape(p["shape"])
            for p in self._manifest["outputs"]
        ]


def host_models(made: Sequence[tuple[Path, dict[str, Any]]]) -> list[HostModel]:
    """Many models for one set of kernels, as (folder, manifest), compiled together.

    Most of the time that a small model of its own takes is the start of the compiler. Names that
    begin with model_ get the model's number: model3_invoke.
    """
    texts = []
    for number, (gen, _) in enumerate(made):
        code = (gen / "model.c").read_text().replace('#include "model.h"\n', "")
        whole = (gen / "model.h").read_text() + code
        texts.append(re.sub(r"\b(model|MODEL)_", rf"\g<1>{number}_", whole))
    folder, manifest = made[0]
    source = folder / "models.c"
    source.write_text("".join(texts))
    library = _compile(folder / "models.so", [source], manifest["kernels"])
    return [
        HostModel(gen, manifest, library=library, number=str(number))
        for number, (gen, manifest) in enumerate(made)
    ]
