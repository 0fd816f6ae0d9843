"""Compile the firmware for this computer, with the sanitizers watching, and start it."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from host_tools.emulators.native import Native
from host_tools.link.device import Device
from host_tools.link.transport import Transport
from tests.host_c import KERNELS, kernel_sources

ROOT = Path(__file__).resolve().parent.parent
FIRMWARE = ROOT / "firmware"
STUB = ROOT / "tests" / "stub_gen"
STUB_FEATURES = ROOT / "tests" / "stub_features"
WARNINGS = ["-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-pedantic", "-Werror"]
C_WARNINGS = ["-Wstrict-prototypes", "-Wmissing-prototypes"]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


def compile_c(output: Path, sources: list[Path], flags: list[str]) -> Path:
    """Compile C11 files with the project's warnings as errors; returns `output`."""
    command = ["gcc", "-std=c11", "-O1", "-g", "-ffp-contract=off", *WARNINGS, *C_WARNINGS, *flags]
    done = subprocess.run(
        [*command, *map(str, sources), "-o", str(output)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return output


def compile_app(
    folder: Path,
    gen: Path = STUB,
    *,
    board_id: str = "native",
    kernels: str | None = None,
    framework: str = "bare",
    replay: str | None = None,
    mlperf: Sequence[str] = (),
) -> Path:
    """Build the native firmware around the model in `gen`; `board_id` and `framework` are what it
    claims to be.

    A generated model needs the set of kernels that it was made for, the stub does without.
    `replay` is the text of another sensor port than firmware/board/replay/sensor.c; `mlperf` are
    the definitions of a benchmark of MLPerf Tiny.
    """
    parts = [FIRMWARE / "app", FIRMWARE / "link", gen]
    if (gen / "model_features.c").is_file():
        parts += [FIRMWARE / "features", FIRMWARE / "stream", FIRMWARE / "board" / "replay"]
    if (gen / "drift_plan.c").is_file():
        parts.append(FIRMWARE / "drift")
    parts += [FIRMWARE / "mlperf"] if mlperf else []
    sources = [source for part in parts for source in sorted(part.glob("*.c"))]
    sources += kernel_sources(kernels) if kernels else []
    if replay is not None:
        sources = [source for source in sources if source.name != "sensor.c"]
        sources.append(folder / "sensor.c")
        sources[-1].write_text(replay)
    includes = [f"-I{part}" for part in [*parts, KERNELS, FIRMWARE / "board"]]
    sources.append(FIRMWARE / "board" / "native" / "board.c")
    flags = [*SANITIZERS, *includes, *mlperf, f'-DBOARD_ID="{board_id}"']
    image = {"KERNELS": kernels or "ref", "FRAMEWORK": framework, "ENGINE": "aot"}
    flags += [f'-DIMAGE_{name}="{text}"' for name, text in image.items()]
    return compile_c(folder / "firmware.elf", sources, flags)


def stub_with_features(folder: Path) -> Path:
    """A folder with the stub model and a front end for it."""
    gen = folder / "gen-features"
    gen.mkdir()
    for source in (*STUB.glob("model*"), *STUB_FEATURES.glob("*")):
        (gen / source.name).write_text(source.read_text())
    return gen


def start(elf: Path) -> Transport:
    """Start a native firmware."""
    return Native().start(elf)


def start_device(elf: Path, *, timeout_s: float = 5.0) -> Device:
    """Start a native firmware and wrap it."""
    return Device(start(elf), timeout_s=timeout_s)


def changed_stub(folder: Path, name: str, old: str, new: str) -> Path:
    """Copy the stub model with one text replaced; returns its folder."""
    gen = folder / "gen"
    gen.mkdir()
    for source in STUB.glob("model*"):
        (gen / source.name).write_text(source.read_text())
    text = (gen / name).read_text()
    assert old in text
    (gen / name).write_text(text.replace(old, new))
    return gen
