"""Build the firmware of one board around one generated model, through PlatformIO."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import shutil
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

from host_tools.boards.board import BOARDS, ENGINE, SELFTEST, Board, Framework, Memory, read_board
from host_tools.build.elf import SizeReport, size_report
from host_tools.build.engine import provide_engine, require_engine
from host_tools.build.libraries import (
    REGISTRY,
    install_libraries,
    missing_libraries,
    registry_error,
    without_hint,
)
from host_tools.build.provision import CORE_DIR
from host_tools.build.workspace import Workspace, open_workspace, reference_dir
from host_tools.errors import HostToolsError, ToolMissing, UsageError
from host_tools.mlperf.benchmarks import require_model
from host_tools.processes import run_whole
from model.files import write_bytes, write_json, write_text

log = logging.getLogger(__name__)

BUILD_S = 600.0
LIBRARY_S = 1800.0  # more where TFLite Micro is compiled, some 150 files
LARGEST = 5
LOG_LINES = 15
ARTEFACTS = ("firmware.elf", "firmware.bin", "firmware.map")
PACKAGES = {
    "arm-none-eabi-": "gcc-arm-none-eabi libnewlib-arm-none-eabi",
    "riscv64-unknown-elf-": "gcc-riscv64-unknown-elf picolibc-riscv64-unknown-elf",
    "xtensa-lx106-elf-": "gcc-xtensa-lx106 picolibc-xtensa-lx106-elf",
}
OVERFLOW = re.compile(r"region `(?P<memory>\w+)' overflowed by (?P<bytes>\d+) bytes")
BEYOND = re.compile(r"address (?P<end>0x[0-9a-f]+) of .* is not within region `(?P<memory>\w+)'")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSizes:
    """What the generated models need, from manifest.json; the tuples hold (name, bytes) pairs."""

    sha256: str  # of the model
    constants: tuple[tuple[str, int], ...]
    weight_bytes: int  # of all constants
    kernels: str | None  # that the code is for; None of a manifest that does not say
    arenas: tuple[tuple[str, int], ...]
    advice: str = "Take a smaller model or a board with more memory."  # when it does not fit

    @property
    def arena_bytes(self) -> int:
        """Bytes of all arenas."""
        return sum(size for _, size in self.arenas)


def build_firmware(
    board: Board,
    gen_dir: Path,
    out_dir: Path,
    framework: str = "bare",
    library: Path | None = None,
) -> SizeReport:
    """Build `board` with the model in `gen_dir` into `out_dir`: firmware.elf and .map, size.json.

    Boards with an upload tool get firmware.bin as well. Each file is replaced as a whole; the last
    is size.json, which states the SHA-256 of firmware.elf. The same model gives the same bytes in
    any folder.
    `framework` is "bare", or "arduino", which needs PlatformIO's registry once. For the board's
    `selftest` the folder `ref` beside gen_dir holds the same model for the reference kernels.
    `library`: the folder of the same model as a library, to build the program around it.
    Raises ToolMissing without the compiler, UsageError when gen_dir holds no generated model or
    none for the board's `mlperf`, HostToolsError when it does not fit the board or not compile.
    """
    model = read_model_sizes(gen_dir)
    if board.selftest:
        model = _with_reference(model, read_model_sizes(reference_dir(gen_dir)))
    check_fits(board, model)
    if board.mlperf:
        require_model(board.mlperf, json.loads((gen_dir / "manifest.json").read_text("utf-8")))
    env = pio_environment(board, framework, gen_dir)
    if framework != "bare":
        missing = missing_libraries(board, gen_dir, CORE_DIR)
        install_libraries(missing, CORE_DIR, without_hint())
    require_engine(board, framework)
    provide_engine(board, gen_dir)
    compilers = ("gcc", "g++") if any(gen_dir.glob("*.c[pc]*")) else ("gcc",)
    for compiler in compilers if framework == "bare" else ():
        if shutil.which(board.toolchain + compiler) is None:
            raise ToolMissing(
                f"{board.toolchain}{compiler} is not on PATH; board {board.id} needs it. "
                f"Type: sudo apt-get install {PACKAGES.get(board.toolchain, compiler)}"
            )
    out_dir.mkdir(parents=True, exist_ok=True)
    with open_workspace(board, env, gen_dir, library) as workspace:
        output = _run(workspace, out_dir / "build.log", build_limit(board))
        if output is not None:
            raise _failure(board, model, output, out_dir / "build.log")
        for name in ARTEFACTS:
            if workspace.built(name).is_file():
                _put(workspace.built(name), out_dir / name)
    image = out_dir / "firmware.elf"
    report = size_report(image, arena_bytes=model.arena_bytes)
    digest = hashlib.sha256(image.read_bytes()).hexdigest()
    head = {"board": board.id, "image_sha256": digest, "model_sha256": model.sha256}
    kind = {"kernels": model.kernels or board.kernels, "framework": framework}
    write_json(out_dir / "size.json", head | kind | {"engine": board.engine} | asdict(report))
    return report


def build_limit(board: Board) -> float:
    """Seconds in which the firmware of a board is built, whatever has to be compiled."""
    return BUILD_S if board.engine == ENGINE else LIBRARY_S


def _put(built: Path, path: Path) -> None:
    """Copy under a temporary name, then rename: a firmware that runs keeps its own file."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        shutil.copy(built, temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def pio_environment(board: Board, framework: str, gen_dir: Path | None = None) -> str:
    """The environment of platformio.ini for a board, a framework and the model in `gen_dir`.

    Raises UsageError for a pair that does not exist, ToolMissing within seconds when something that
    the framework needs is not installed and PlatformIO's registry does not answer.
    """
    if framework == "bare":
        return board.env
    if board.selftest:
        raise UsageError(
            f"BOARD={board.folder}: only bare firmware compares its kernels; type FRAMEWORK=bare"
        )
    wanted = board.framework_named(framework)
    if wanted is None:
        boards = [read_board(path) for path in BOARDS.values()]
        known = " and ".join(b.id for b in boards if b.framework_named(framework)) or "no board"
        raise UsageError(
            f"no framework {framework!r} for board {board.id}; expected bare, or {framework} for "
            f"{known}"
        )
    missing = missing_of(wanted)
    libraries = missing_libraries(board, gen_dir, CORE_DIR) if gen_dir else []
    missing += [f"library {name} of the sensor" for name in libraries]
    if missing and (error := registry_error()):
        raise ToolMissing(
            f"FRAMEWORK={framework} for {board.id}: not installed in {CORE_DIR}: "
            f"{', '.join(missing)}; PlatformIO would take them from {REGISTRY}, which does not "
            f"answer ({error}). Connect to the internet once and repeat, or type "
            "FRAMEWORK=bare: the bare-metal firmware needs nothing from there"
            + (f". Without the library: {without_hint()}" if libraries else "")
        ) from error
    return f"{board.env}_{framework}"


def missing_of(wanted: Framework) -> list[str]:
    """What is not installed of a framework's platform and, where this names them, its packages."""

    def installed(kind: str, name: str) -> list[Path]:
        """PlatformIO puts `name` there, or name@version beside another version."""
        return [
            p for p in (CORE_DIR / kind / name, *CORE_DIR.glob(f"{kind}/{name}@*")) if p.is_dir()
        ]

    platforms = installed("platforms", wanted.platform)
    texts = [
        (p / "platform.json").read_text("utf-8")
        for p in platforms
        if (p / "platform.json").is_file()
    ]
    named = [
        name for name in wanted.packages if not platforms or any(f'"{name}"' in t for t in texts)
    ]
    found = [] if platforms else [f"platform {wanted.platform}"]
    return found + [f"package {name}" for name in named if not installed("packages", name)]


def read_model_sizes(gen_dir: Path) -> ModelSizes:
    """Read what the build needs to know from manifest.json; UsageError when it is not there."""
    path = gen_dir / "manifest.json"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        advice = {"advice": str(manifest["advice"])} if "advice" in manifest else {}
        return ModelSizes(
            **advice,
            sha256=str(manifest["model_sha256"]),
            weight_bytes=int(manifest["weight_bytes"]),
            kernels=manifest.get("kernels"),
            arenas=(("arena", int(manifest["arena_bytes"])),),
            constants=tuple((str(c["name"]), int(c["bytes"])) for c in manifest["constants"]),
        )
    except OSError as error:
        raise UsageError(
            f"{gen_dir} holds no generated model ({path.name}: {error.strerror}); generate it first"
        ) from error
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"{path}: expected model_sha256, weight_bytes, arena_bytes and constants, got "
            f"{error!r}; generate the model again"
        ) from error


def _with_reference(model: ModelSizes, reference: ModelSizes) -> ModelSizes:
    """The needs of firmware that holds both."""

    def named(parts: tuple[tuple[str, int], ...]) -> tuple[tuple[str, int], ...]:
        return tuple((f"reference {name}", size) for name, size in parts)

    return ModelSizes(
        sha256=model.sha256,
        constants=model.constants + named(reference.constants),
        weight_bytes=model.weight_bytes + reference.weight_bytes,
        kernels=model.kernels,
        arenas=model.arenas + named(reference.arenas),
    )


def check_fits(board: Board, model: ModelSizes) -> None:
    """Refuse a model that cannot fit `board` whatever the code takes; HostToolsError says why."""
    needs: dict[Memory, int] = {}
    for content, size in (("constants", model.weight_bytes), ("data", model.arena_bytes)):
        memory = board.memory_for(content)
        if memory is not None:
            needs[memory] = needs.get(memory, 0) + size
    for memory, needed in needs.items():
        if needed > memory.bytes:
            raise HostToolsError(_too_large(board, memory, needed, model))


def _too_large(board: Board, memory: Memory, needed: int, model: ModelSizes) -> str:
    parts = [*model.constants] if "constants" in memory.holds else []
    if "data" in memory.holds:
        parts += model.arenas
    parts.sort(key=lambda part: -part[1])
    listed = ", ".join(f"{name} {size:,}" for name, size in parts[:LARGEST])
    largest = f" Largest parts in bytes: {listed}." if listed else ""
    both, fix = "", model.advice
    if board.selftest:
        both = " together with its reference for `selftest kernels`"
        fix = f"Without it: BOARD={board.folder.removesuffix(SELFTEST)}."
    return (
        f"the model{both} does not fit {board.id}: {memory.name} needs {needed:,} bytes or more, "
        f"available are {memory.bytes:,}.{largest} {fix}"
    )


def _run(workspace: Workspace, log_path: Path, limit_s: float) -> str | None:
    """Run PlatformIO; return None, or the output when it failed."""
    command = workspace.command()
    log.debug("%s", " ".join(command))
    try:
        done = run_whole(
            command,
            limit_s,
            env=workspace.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except subprocess.TimeoutExpired as error:
        write_bytes(log_path, error.stdout or b"")
        raise HostToolsError(
            f"the build did not end in {limit_s:.0f} s and was stopped; see {log_path}"
        ) from error
    output = workspace.translate(done.stdout.decode("utf-8", errors="replace"))
    write_text(log_path, output)
    return output if done.returncode != 0 else None


def _failure(board: Board, model: ModelSizes, output: str, log_path: Path) -> HostToolsError:
    memories = {memory.name: memory for memory in board.memories}
    for found in (*OVERFLOW.finditer(output), *BEYOND.finditer(output)):
        memory = memories.get(found["memory"])
        if memory is not None:
            parts = found.groupdict()
            needed = (
                memory.bytes + int(parts["bytes"])
                if "bytes" in parts
                else int(parts["end"], 16) - memory.origin
            )
            return HostToolsError(_too_large(board, memory, needed, model))
    lines = output.splitlines()
    errors = [line for line in lines if "error" in line.lower()]
    told = "\n".join((errors or lines)[:LOG_LINES])
    return HostToolsError(f"the build for {board.id} failed:\n{told}\nAll of it: {log_path}")
