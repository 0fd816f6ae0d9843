"""Compile the firmware for this computer, with the sanitizers watching, and start it."""

from __future__ import annotations

import subprocess
from pathlib import Path

from host_tools.device import Device
from host_tools.emulators.native import Native
from host_tools.transport import Transport

ROOT = Path(__file__).resolve().parent.parent
FIRMWARE = ROOT / "firmware"
STUB = ROOT / "tests" / "stub_gen"
WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-pedantic", "-Werror"]
C_WARNINGS = ["-Wstrict-prototypes", "-Wmissing-prototypes"]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


def compile_c(output: Path, sources: list[Path], flags: list[str]) -> Path:
    """Compile C11 files with the project's warnings as errors; returns `output`."""
    command = ["gcc", "-std=c11", "-O1", "-g", *WARNINGS, *C_WARNINGS, *flags]
    done = subprocess.run(
        [*command, *map(str, sources), "-o", str(output)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return output


def compile_app(folder: Path, gen: Path = STUB) -> Path:
    """Build the native firmware around the generated model in `gen`; returns the program."""
    parts = [FIRMWARE / "app", FIRMWARE / "link", FIRMWARE / "board" / "native", gen]
    sources = [source for part in parts for source in sorted(part.glob("*.c"))]
    includes = [f"-I{part}" for part in [*parts, FIRMWARE / "board"]]
    return compile_c(folder / "firmware.elf", sources, [*SANITIZERS, *includes])


def start(elf: Path) -> Transport:
    """Start a native firmware."""
    return Native().start(elf)


def start_device(elf: Path, *, timeout_s: float = 5.0) -> Device:
    """Start a native firmware and wrap it."""
    return Device(start(elf), timeout_s=timeout_s)
