"""Compile firmware/features for this computer, on first use."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from model.errors import ModelSideError
from model.paths import PACKAGES, ROOT, cache_dir

HEADERS = (ROOT / "firmware/features/fe.h", PACKAGES / "model/features/fe_host.h")
FLAGS = ("-std=c11", "-O2", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror")


def build_library() -> tuple[Path, str]:
    """The shared library and the C declarations of its functions; compiled unless it exists.

    Its name has a hash of the sources and flags, so an old one is never taken for a new one.
    Raises ModelSideError without gcc, or when gcc fails.
    """
    folder = ROOT / "firmware/features"
    sources = [*sorted(folder.glob("*.c")), Path(__file__).parent / "fe_host.c"]
    headers = [*sorted(folder.glob("*.h")), HEADERS[1]]
    hasher = hashlib.sha256(repr(FLAGS).encode())
    for path in (*sources, *headers):
        hasher.update(path.read_bytes())
    library = cache_dir() / f"fe-{hasher.hexdigest()[:16]}.so"
    if not library.exists():
        folders = [f"-I{path.parent}" for path in HEADERS]
        temporary = library.with_name(f".{library.name}.{os.getpid()}.tmp")
        library.parent.mkdir(parents=True, exist_ok=True)
        try:
            _gcc([*FLAGS, *folders, *map(str, sources), "-o", str(temporary)])
            temporary.replace(library)
        finally:
            temporary.unlink(missing_ok=True)
    return library, _declarations()


def _declarations() -> str:
    """The headers without what the preprocessor reads."""
    lines = [line for path in HEADERS for line in path.read_text("utf-8").splitlines()]
    text = "\n".join(line for line in lines if not line.startswith("#include"))
    return _gcc(["-E", "-P", "-x", "c", "-"], text)


def _gcc(arguments: list[str], text: str = "") -> str:
    if shutil.which("gcc") is None:
        raise ModelSideError(
            "gcc is not on PATH; the front ends are C that Python calls. "
            "Type: sudo apt-get install gcc"
        )
    done = subprocess.run(
        ["gcc", *arguments], input=text, capture_output=True, text=True, timeout=120, check=False
    )
    if done.returncode:
        raise ModelSideError(f"gcc cannot compile firmware/features: {done.stderr.strip()}")
    return done.stdout
