"""What an image is built from besides the generated model: sources, and the compiler."""

from __future__ import annotations

import functools
import subprocess
import threading
from importlib.metadata import version
from pathlib import Path

from host_tools.boards.board import Board
from host_tools.processes import end_tree
from model.paths import ROOT
from model.text import printable

VERSION_S = 10.0
VERSION_BYTES = 200


def build_files() -> dict[str, Path]:
    """Firmware, boards and PlatformIO's project, by their names in the project."""
    files = [path for top in ("firmware", "boards") for path in (ROOT / top).rglob("*")]
    kept = [p for p in files if p.is_file() and p.suffix not in (".md", ".pyc")]
    return {p.relative_to(ROOT).as_posix(): p for p in [*sorted(kept), ROOT / "platformio.ini"]}


def compiler_version(board: Board) -> str:
    """The first line that the board's compiler says of itself."""
    return program_version(f"{board.toolchain}gcc")


def builder_versions() -> dict[str, str]:
    """What turns sources into an image besides the compiler."""
    return {f"version of {name}": version(name) for name in ("platformio", "scons", "esptool")}


@functools.cache
def program_version(program: str) -> str:
    """The first line of `program --version`, whatever follows; 'not installed' without it."""
    try:
        process = subprocess.Popen(
            [program, "--version"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except OSError:
        return "not installed"
    stop = threading.Timer(VERSION_S, end_tree, [process.pid])
    stop.start()
    try:
        with process:
            assert process.stdout is not None
            line = process.stdout.readline(VERSION_BYTES)
    finally:
        stop.cancel()
    return printable(line.decode(errors="replace").strip()) or "says no version"
