"""Which part of an image takes how much of its code, from the linker's map."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Iterator
from itertools import pairwise
from pathlib import Path

# ` .text.put  0x00000ab8  0x74 /tmp/.../src/app/app_text.o`; a long name has a line of its own
_PIECE = re.compile(
    r"^ (?:\.\S+|COMMON) +0x(?P<at>[0-9a-f]+) +0x(?P<bytes>[0-9a-f]+) (?P<file>\S.*)$", re.MULTILINE
)
_SECTION = re.compile(r"^(?P<name>\.\S+)", re.MULTILINE)
_BROKEN = re.compile(r"^( \S+)\n +(?=0x)", re.MULTILINE)
_BEGIN = "Linker script and memory map"
# Folders of firmware/, as they are compiled; a port is a folder of board/.
_OWN = re.compile(
    r"/(?P<part>app|link|board(?=/\w+/)|features|stream|drift|classical|mlperf|check|tflm|gen)"
    r"/(?:\w+/)?[^/]+\.o$|/(?P<kernels>kernels)\.a\(|/(?P<reference>reference)\.o$"
)
MODEL = "model"  # and for a self-test the same model for the reference kernels, with these
OTHERS = "libraries"
REST = "alignment"  # and the build id


def find_parts(path: Path, stored: Container[str]) -> dict[str, int]:
    """Bytes of the sections `stored`, by the folder of `firmware` that they come from.

    The model's are its code and its constants. Without a map nothing is known: {}.
    """
    if not path.is_file():
        return {}
    found: Counter[str] = Counter()
    text = path.read_text(encoding="utf-8", errors="replace")
    for file, size in _pieces(_BROKEN.sub(r"\1 ", text.partition(_BEGIN)[2]), stored):
        found[_part(file)] += size
    return {part: size for part, size in found.items() if size}


def _part(file: str) -> str:
    own = _OWN.search(file)
    part = (own["part"] or own["kernels"] or own["reference"]) if own else OTHERS
    return MODEL if part in ("gen", "reference") else part


def _pieces(text: str, stored: Container[str]) -> Iterator[tuple[str, int]]:
    """The file and the size of everything that `stored` is made of.

    Texts of several files that are the same are one: what a piece takes ends where the next begins.
    """
    sections = [*_SECTION.finditer(text)]
    for section, following in zip(sections, [*sections[1:], None], strict=True):
        if section["name"] in stored:
            end = following.start() if following else len(text)
            found = [
                (int(piece["at"], 16), int(piece["bytes"], 16), piece["file"])
                for piece in _PIECE.finditer(text, section.end(), end)
                if piece["file"] != "linker stubs"
            ]
            for (at, size, file), (limit, _, _) in pairwise([*found, (2**64, 0, "")]):
                yield file, min(size, limit - at)
