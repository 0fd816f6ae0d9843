"""Which kernel files a generated model needs: a kernel lies in the file of its name."""

import os
import re
from pathlib import Path

DEFAULT_FOLDER = "build/recipes/motion/gen/ref"

NAME = re.compile(r"\bnn_\w+")
INCLUDE = re.compile(r'#include "(\w+\.(?:h|inc))"')


def generated_folder(root):
    """The folder of the generated model."""
    return Path(root) / os.environ.get("TINYPROOF_GEN", DEFAULT_FOLDER)


def needed_files(model, folders, assembly):
    """Kernels that the file `model` names, what those name, and so on; sorted.

    Of files with the same name the first of `folders` has it; without `assembly` the C twins in
    folder/twin stand for .S files. Raises OSError when the model cannot be read.
    """
    files = {}
    for folder in reversed(folders):
        parts = [folder.glob("*.c"), folder.glob("*.S") if assembly else folder.glob("twin/*.c")]
        files |= {path.stem: path for part in parts for path in part}
    found = set()
    texts = [Path(model).read_text(encoding="utf-8")]
    while texts:
        names = {name for name in NAME.findall(texts.pop()) if name in files} - found
        found |= names
        texts += [_with_headers(files[name]) for name in names]
    return sorted(files[name] for name in found)


def _with_headers(path):
    """A file and the headers beside it that it includes: they may call kernels too."""
    text = path.read_text(encoding="utf-8")
    near = [path.parent / name for name in INCLUDE.findall(text)]
    return text + "".join(header.read_text(encoding="utf-8") for header in near if header.is_file())
