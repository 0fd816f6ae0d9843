"""What firmware with TFLite Micro's interpreter needs besides the model: a C++ library of the
compiler, and TFLite Micro itself, from PlatformIO's registry or a folder that the user names."""

from __future__ import annotations

import functools
import logging
import os
import subprocess
from pathlib import Path
from types import ModuleType

from host_tools.boards.board import TFLM, Board
from host_tools.build.libraries import builder_script, install_libraries, registry_error
from host_tools.build.provision import CORE_DIR
from host_tools.errors import HostToolsError, ToolMissing, UsageError
from model.processes import scratch_folder

log = logging.getLogger(__name__)

NAMED = "TINYPROOF_TFLM"  # in the environment: the folder of a TFLite Micro of the user's
ARENA = "TINYPROOF_ARENA"  # in the environment: bytes of the interpreter's arena
HEADERS = ("cstdint", "new", "utility")  # of the C++ library, which some compilers come without
COMPILE_S = 20.0


def require_engine(board: Board, framework: str) -> None:
    """Refuse what cannot be built with the board's engine, within seconds and before anything is.

    Raises UsageError for a compiler without a C++ library and a folder without TFLite Micro,
    ToolMissing when the library is not installed and PlatformIO's registry does not answer.
    """
    if board.engine != TFLM:
        return
    if framework == "bare" and not _has_cpp(f"{board.toolchain}g++"):
        raise UsageError(
            f"ENGINE={TFLM} for {board.id}: {board.toolchain}g++ has no C++ library "
            f"(<{HEADERS[0]}> and others), which TFLite Micro needs. "
            + (
                f"Arduino's compiler has one: make build BOARD={board.id} ENGINE={TFLM} "
                "FRAMEWORK=arduino"
                if board.frameworks
                else "ENGINE=aot needs none"
            )
        )
    rules = _rules()
    if folder := named_folder():
        if not (rules.sources(folder) / rules.RESOLVER).is_file():
            raise UsageError(
                f"TFLM={folder}: expected a folder with TFLite Micro ({rules.RESOLVER}, there or "
                f"in src/); the library that fits is {rules.LIBRARY}"
            )
    elif rules.library_folder(None, CORE_DIR / "lib") is None and (error := registry_error()):
        raise ToolMissing(
            f"ENGINE={TFLM}: the library {rules.LIBRARY} is not installed in {CORE_DIR / 'lib'}; "
            f"PlatformIO would take it from its registry, which does not answer ({error}). Connect "
            f"to the internet once and repeat, or name a folder that holds it: TFLM=folder. "
            "ENGINE=aot needs nothing from there"
        )


def provide_engine(board: Board, gen_dir: Path) -> None:
    """Install the library where it is missing; HostToolsError when it cannot run the model."""
    if board.engine != TFLM:
        return
    rules = _rules()
    folder = named_folder()
    if folder is None:
        if rules.library_folder(None, CORE_DIR / "lib") is None:
            hint = "name a folder that holds it: TFLM=folder"
            install_libraries([rules.LIBRARY], CORE_DIR, hint)
        folder = rules.library_folder(None, CORE_DIR / "lib")
    if folder and (wrong := rules.problem(folder, gen_dir / "model_resolver.h")):
        raise HostToolsError(f"{wrong}. Run the model as generated code: ENGINE=aot")
    if folder and (told := rules.doubt(folder, gen_dir / "model_resolver.h")):
        log.warning("%s", told)


def installed_engine() -> tuple[str, bool]:
    """(the library of PlatformIO's registry that has TFLite Micro, whether it is installed)."""
    rules = _rules()
    return rules.LIBRARY, rules.library_folder(None, CORE_DIR / "lib") is not None


def named_folder() -> Path | None:
    """The user's folder with a TFLite Micro."""
    named = os.environ.get(NAMED)
    return Path(named).absolute() if named else None


def named_arena() -> int | None:
    """The user's size of the arena."""
    named = os.environ.get(ARENA, "")
    return int(named) if named.isdecimal() else None


def engine_facts(board: Board) -> dict[str, str]:
    """What a build with the engine depends on besides files: which library."""
    if board.engine != TFLM:
        return {}
    folder = named_folder()
    return {"library of the engine": str(folder) if folder else _rules().LIBRARY}


def engine_files(board: Board) -> dict[str, Path | tuple[Path, ...]]:
    """The user's own library, by content; a release of the registry does not change."""
    folder = named_folder()
    if board.engine != TFLM or folder is None or not folder.is_dir():
        return {}
    found = (p for kind in ("*.h", "*.hpp", "*.c", "*.cc", "*.cpp") for p in folder.rglob(kind))
    files = tuple(sorted(found))
    return {f"library of the engine ({len(files):,} files)": files}


@functools.cache
def _has_cpp(compiler: str) -> bool:
    """Whether the compiler knows the headers; one that is not installed is told of elsewhere."""
    text = "".join(f"#include <{name}>\n" for name in HEADERS)
    with scratch_folder("cpp") as folder:
        source = folder / "headers.cc"
        source.write_text(text, encoding="utf-8")
        command = [compiler, "-std=c++17", "-fsyntax-only", str(source)]
        try:
            done = subprocess.run(command, capture_output=True, timeout=COMPILE_S, check=False)
        except (FileNotFoundError, subprocess.TimeoutExpired):
            return True
    return done.returncode == 0


def _rules() -> ModuleType:
    return builder_script("engine")
