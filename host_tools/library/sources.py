"""The C and assembly language of a library: which files a model needs, and how they are copied.

A kernel lies in the file of its name, so the names in a file tell which others it may call. Copies
stand side by side for all sets of kernels; each begins with the library's own names and is empty
for a compiler that takes another set.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from host_tools.errors import HostToolsError
from model.paths import ROOT

FIRMWARE = ROOT / "firmware"
KERNELS = FIRMWARE / "kernels"
SETS = {"ref": "portable", "armv7em": "armv7em", "xtensa": "xtensa"}  # folder -> the library's name
GENERATED = ("names.h", "target.h", "library_model.h", "library_public.h")  # for the library
PARTS = ("library.c", "library_answers.c", "library_float.c", "library_selftest.c")
COMPILED = {".c", ".S"}

_INCLUDE = re.compile(r'^( *# *include ")([^"]+)(")', re.MULTILINE)
_NAME = re.compile(r"\b(?:nn|fe|model)_\w+")
_DECLARED = re.compile(r"\b((?:nn|fe|model|decide)_\w+)(?= *[\[(;,])")
_SHARED = re.compile(r"^#define SHARED (nn_\w+)$", re.MULTILINE)  # code of several kernels
_LINKED_HEADERS = (
    "nn_kernels.h", "nn_packed.h", "nn_depthwise.h", "nn_elementwise.h", "nn_trio.h", "nn_taps.h",
    "nn_wide.h", "nn_rows.h", "nn_quad.h",
)  # fmt: skip

# Fast code stays fast under -Os, and a * b + c is rounded in two steps, as TFLite Micro does it.
_FAST = """\
#if defined(__GNUC__) && !defined(__clang__) && defined(__OPTIMIZE_SIZE__)
#pragma GCC optimize("O2")
#endif
"""
_EXACT = """\
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#pragma float_control(precise, on)
#endif
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#pragma GCC optimize("no-fast-math")
#endif
#endif
"""
_NO_STACK_CODE = """
#if defined(__linux__) && defined(__ELF__)
    .section .note.GNU-stack, "", %progbits
#endif
"""
_FLOAT_REGISTERS = """\
#ifndef __ARM_FP
    .fpu fpv4-sp-d16 /* the compiler was told of no FPU; see target.h */
#endif
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """One file of the firmware or of generated code, and its place below src/<name>/."""

    source: Path
    place: PurePosixPath
    sets: frozenset[str]  # of the library's names for sets, for which it is compiled
    text: str


def library_set(kernels: str) -> str:
    """The set that a library has for a board with `kernels`: that one, or what its name goes on
    behind. None uses MAC16: no compiler's macro tells whether a program's interrupts keep its
    registers."""
    while kernels not in SETS:
        kernels = kernels.rpartition("_")[0]
    return kernels


def kernel_files(kernels: str) -> dict[str, Path]:
    """Kernel -> its file for a set: the set's own, else the portable one."""
    found: dict[str, Path] = {}
    for folder in (KERNELS / "ref", KERNELS / kernels):
        found |= {path.stem: path for path in sorted(folder.iterdir()) if path.suffix in COMPILED}
    return found


def included(path: Path, name: str) -> Path:
    """The file that `path` includes as `name`; HostToolsError when there is none."""
    for folder in (
        path.parent,
        KERNELS,
        FIRMWARE / "features",
        FIRMWARE / "library",
        FIRMWARE / "stream",
    ):
        if (folder / name).is_file():
            return folder / name
    raise HostToolsError(f"{path}: includes {name!r}, which is not there; check the checkout")


def _with_headers(path: Path) -> set[Path]:
    """The file and all that it includes, but not what only declares kernels."""
    found, waiting = set(), [path]
    while waiting:
        here = waiting.pop()
        if here in found:
            continue
        found.add(here)
        for match in _INCLUDE.finditer(here.read_text("utf-8")):
            if (KERNELS in here.parents) and match[2] not in _LINKED_HEADERS:
                waiting.append(included(here, match[2]))
    return found


def needed_kernels(kernels: str, model: str) -> list[Path]:
    """Files of the kernels that the C of a model calls, and of those that they call in turn."""
    files = kernel_files(kernels)
    chosen: dict[str, Path] = {}
    waiting = sorted(set(_NAME.findall(model)) & files.keys())
    while waiting:
        name = waiting.pop()
        if name in chosen:
            continue
        chosen[name] = files[name]
        text = "".join(_uncommented(p.read_text("utf-8")) for p in _with_headers(files[name]))
        waiting += sorted(set(_NAME.findall(text)) & files.keys())
    return sorted(chosen.values())


def _uncommented(text: str) -> str:
    return re.sub(r"/\*.*?\*/", " ", text, flags=re.DOTALL)


def collect(gen_dirs: Mapping[str, Path]) -> list[Copy]:
    """All sources and headers of a library, from the generated model of each set of SETS.

    Raises HostToolsError when the sets' files that have to be the same are not.
    """
    places: dict[Path, PurePosixPath] = {}
    sets: dict[Path, set[str]] = {}
    for kernels, own in SETS.items():
        gen = gen_dirs[kernels]
        model = gen / "model.c"
        needed = needed_kernels(kernels, model.read_text("utf-8"))
        layout = KERNELS / kernels / "layout" / "nn_offsets.c"
        if any(path.suffix == ".S" for path in needed) and layout.is_file():
            needed.append(layout)
        for path in (model, gen / "model.h"):
            places[path] = PurePosixPath(own, path.name)
        for path in (model, *needed):
            sets.setdefault(path, set()).add(own)
    for name in ("model_golden.c", "model_features.h", "model_features.c", "model_answers.h"):
        paths = [gen / name for gen in gen_dirs.values()]
        texts = {path.read_bytes() if path.is_file() else None for path in paths}
        if len(texts) > 1:
            raise HostToolsError(f"{paths[0]}: other kernels have another; generate it again")
        if paths[0].is_file():
            places[paths[0]] = PurePosixPath(name)
            sets[paths[0]] = set(SETS.values())
    if (gen_dirs["ref"] / "model_features.c").is_file():
        for path in sorted((FIRMWARE / "features").glob("fe_*.c")):
            if path.name != "fe_halve.c":  # of a microphone's driver
                sets[path] = set(SETS.values())
    own_parts = [FIRMWARE / "library" / name for name in PARTS]
    for path in (*own_parts, FIRMWARE / "stream" / "decide.c"):
        sets[path] = set(SETS.values())
    return _copies(places, sets, gen_dirs)


def _copies(
    places: dict[Path, PurePosixPath], sets: Mapping[Path, set[str]], gen_dirs: Mapping[str, Path]
) -> list[Copy]:
    waiting, copies = list(sets), {}
    while waiting:
        path = waiting.pop()
        if path in copies:
            continue
        text = path.read_text("utf-8")
        for match in _INCLUDE.finditer(text):
            if (found := _own_include(path, match[2], gen_dirs)) is not None:
                waiting.append(found)
        copies[path] = text
    for path in copies:
        if path not in places:
            places[path] = _place(path)
    return [
        Copy(
            source=path,
            place=places[path],
            sets=frozenset(sets.get(path, ())),
            text=_rewritten(path, text, places, gen_dirs),
        )
        for path, text in sorted(copies.items(), key=lambda item: places[item[0]])
    ]


def _place(path: Path) -> PurePosixPath:
    """Where a file of the firmware lies below src/<name>/."""
    parts = path.relative_to(FIRMWARE).parts
    if parts[0] in ("library", "stream"):
        return PurePosixPath(*parts[1:])
    if parts[0] == "kernels" and len(parts) > 2:
        return PurePosixPath(SETS[parts[1]], *parts[2:])
    return PurePosixPath(*parts)


def _own_include(path: Path, name: str, gen_dirs: Mapping[str, Path]) -> Path | None:
    """The file that an include means; None for one that is written for the library."""
    if name in GENERATED:
        return None
    if path.parent in gen_dirs.values():
        if name == "model.h" and path.name != "model.c":
            return None  # of the set that is chosen
        if (path.parent / name).is_file():
            # The same in all sets, so the first one's is copied.
            shared = gen_dirs["ref"] / name
            return path.parent / name if name == "model.h" else shared
    return included(path, name)


def _rewritten(
    path: Path, text: str, places: Mapping[Path, PurePosixPath], gen_dirs: Mapping[str, Path]
) -> str:
    """The text with its includes led to where the library has them, relative to the file."""
    here = places[path].parent

    def lead(match: re.Match[str]) -> str:
        found = _own_include(path, match[2], gen_dirs)
        if found is None:
            wanted = PurePosixPath("library_model.h" if match[2] == "model.h" else match[2])
        else:
            wanted = places[found]
        return match[1] + Path(os.path.relpath(wanted, here)).as_posix() + match[3]

    return _INCLUDE.sub(lead, text)


def prologue(copy: Copy) -> str:
    """What stands before a file that is compiled: names, and for which kernels it is."""
    names = Path(os.path.relpath("names.h", copy.place.parent)).as_posix()
    text = f'#include "{names}"\n'
    if copy.sets != frozenset(SETS.values()):
        chosen = " || ".join(f"LIBRARY_SET == LIBRARY_{own.upper()}" for own in sorted(copy.sets))
        text += f"#if {chosen}\n"
    if copy.place.suffix == ".c":
        text += "#include <stdint.h>\n" if "#if" not in text else ""
        text += _EXACT + (_FAST if copy.place.parts[0] != "armv7em" else "")
    elif "armv7em" in copy.sets:
        text += _FLOAT_REGISTERS
    return text


def epilogue(copy: Copy) -> str:
    """What stands behind it."""
    text = ""
    if copy.sets != frozenset(SETS.values()):
        text = "#else\ntypedef int library_has_other_kernels;\n#endif\n"
        text = text if copy.place.suffix == ".c" else "#endif\n"
    return text + (_NO_STACK_CODE if copy.place.suffix == ".S" else "")


def symbols(copies: Iterable[Copy]) -> list[str]:
    """Every name of theirs with which parts of the library are linked together."""
    found = {c.place.stem for c in copies if c.sets and c.place.name.startswith("nn_")}
    for copy in copies:
        found |= set(_SHARED.findall(copy.text))
        if copy.place.name in ("model.h", "model_features.h", "fe.h", "fe_parts.h", "decide.h"):
            found |= set(_DECLARED.findall(_uncommented(copy.text)))
    return sorted(found - {"nn_offsets"})
