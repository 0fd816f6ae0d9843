"""The xtensa kernels in the windowed ABI that Arduino and ESP-IDF compile for the ESP32, on QEMU.

The compiler here makes call0 code only, so tests/xtensa_windowed calls them: at once, at the end of
a chain of windowed calls, and under interrupts that spill all windows."""

from __future__ import annotations

import functools
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from host_tools.boards.board import load_board
from host_tools.emulators.qemu_xtensa import OPTIONS, PROGRAM
from quantize.golden import make_golden, random_inputs
from quantize.manifest import compile_model
from quantize.tflite.reader import parse_model
from tests.bench_models import MODELS
from tests.host_c import KERNELS, ROOT
from tests.sweeps import sweep
from tests.test_lowering_mac16 import NAMES as MAC16_NAMES
from tests.test_lowering_mac16 import mac16_model
from tests.test_lowering_xtensa import ABIS, NAMES, layer_models

FIRMWARE = ROOT / "firmware"
PORT = FIRMWARE / "board"
LINK = FIRMWARE / "link"
STUB = ROOT / "tests" / "xtensa_windowed"
SETS = {"xtensa": ["xtensa"], "xtensa_mac16": ["xtensa", "xtensa_mac16"]}  # and their folders
WINDOWED = ABIS["windowed"]
PARTS = ["xtensa_sim/board.c", "xtensa_sim/reset.S", "common/fault.c", "common/stack.c"]
PARTS += [f"xtensa/{name}" for name in ("start.c", "runtime.c", "divide.S", "soft_float.c")]
KERNEL_NAME = re.compile(r"\bnn_\w+")
CASES = 2


def _sources(gen: Path, kernels: str) -> list[Path]:
    """C that the model in `gen` needs: the kernels named in it, and those named in these."""
    folders = ["ref", *SETS[kernels]]
    files = {path.stem: path for folder in folders for path in (KERNELS / folder).glob("*.c")}
    found = [gen / "model.c", gen / "model_golden.c"]
    for path in found:
        names = set(KERNEL_NAME.findall(path.read_text())) & files.keys()
        found += sorted(files.pop(name) for name in names)
    return found


def _assembled(source: Path, folder: Path, flags: list[str]) -> Path:
    built = folder / f"{source.stem}.o"
    _compiler("-c", source, "-o", built, f"-I{KERNELS}", *flags)
    return built


def _compiler(*arguments: str | Path) -> None:
    board = load_board("qemu_xtensa")
    if shutil.which(board.toolchain + "gcc") is None:
        pytest.skip(f"{board.toolchain}gcc is not installed")
    command = [board.toolchain + "gcc", *board.flags, *map(str, arguments)]
    subprocess.run(command, check=True, timeout=120)


def _build(gen: Path, abi: str, kernels: str) -> Path:
    """An ELF file that runs the golden cases of the model in `gen`."""
    folder = gen / abi
    folder.mkdir()
    assembly = [path for name in SETS[kernels] for path in sorted((KERNELS / name).glob("*.S"))]
    objects = [_assembled(source, folder, ABIS[abi]) for source in assembly]
    objects.append(_assembled(STUB / "start.S", folder, WINDOWED))
    includes = [f"-I{path}" for path in (KERNELS, PORT, LINK, gen)]
    flags = ["-std=c11", "-O2", "-ffp-contract=off", "-ffunction-sections", '-DBOARD_ID="test"']
    link = ["-nostartfiles", f"-L{ROOT / 'boards'}", "-Tqemu_xtensa.ld", "-Wl,--gc-sections"]
    link += ["-Wl,--build-id=sha1"]
    link += ["-Wl,--section-start=.windows=0x2000,--undefined=windows"]
    if abi == "windowed":
        link += [f"-Wl,--wrap={source.stem}" for source in assembly]
    sources = [*_sources(gen, kernels), *(PORT / part for part in PARTS)]
    sources += [LINK / "link_frame.c", STUB / "main.c"]
    elf = folder / "firmware.elf"
    _compiler(*flags, *includes, *sources, *objects, *link, "-o", elf)
    return elf


def _run(elf: Path) -> list[dict[str, int]]:
    """One entry for each way of calling."""
    if shutil.which(PROGRAM) is None:
        pytest.skip(f"{PROGRAM} is not installed")
    command = [PROGRAM, *OPTIONS.split(), str(elf)]
    done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=300)
    assert done.returncode == 0, done.stderr.decode()
    return [json.loads(line) for line in done.stdout.splitlines()]


def _results(model: bytes, folder: Path, abi: str, kernels: str) -> list[dict[str, int]]:
    golden = make_golden(model, random_inputs(parse_model(model), CASES, 3))
    compile_model(model, golden, folder, name="m", settings={}, kernels=kernels)
    return _run(_build(folder, abi, kernels))


def _check_both(model: bytes, folder: Path, kernels: str = "xtensa") -> None:
    """Outputs equal TFLite Micro's, callers have their registers, and all of it has happened."""
    windowed, call0 = (_results(model, folder / abi, abi, kernels) for abi in ABIS)
    assert len(windowed) == len(call0) == 9
    for way in windowed + call0:
        assert (way["cases"], way["wrong"], way["broken"]) == (CASES, 0, 0), way
    for way in windowed:
        assert way["overflows"] == way["underflows"]
        assert (way["overflows"] > 0) == (way["depth"] > 0 or way["ticks"] > 0), way
        assert (way["interrupts_in_loops"] > 0) == (way["ticks"] > 0), way
    assert {(way["overflows"], way["interrupts"]) for way in call0} == {(0, 0)}
    assert windowed[0]["instructions"] > call0[0]["instructions"]  # by the call through the stub


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.slow
def test_kernels_in_both_abis_equal_tflite_micro(name: str, tmp_path: Path) -> None:
    model, _ = layer_models(name)
    _check_both(model, tmp_path)


@pytest.mark.parametrize("name", sweep(MAC16_NAMES, ["convolutions", "depthwise"]))
def test_mac16_kernels_in_both_abis_equal_tflite_micro(name: str, tmp_path: Path) -> None:
    _check_both(mac16_model(name), tmp_path, "xtensa_mac16")


@pytest.mark.slow
@pytest.mark.parametrize("kernels", SETS)
@pytest.mark.parametrize("name", sorted(MODELS))
def test_whole_models_in_both_abis(name: str, kernels: str, tmp_path: Path) -> None:
    _check_both(MODELS[name](), tmp_path, kernels)


def _frame(folder: Path, line: str, flags: list[str]) -> bytes:
    """The bytes of `line`, or what the assembler says of it."""
    source, built = folder / "frame.S", folder / "frame.o"
    source.write_text(f'#include "xtensa/nn_xtensa.inc"\n    {line}\n')
    compiler = load_board("qemu_xtensa").toolchain + "gcc"
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    command = [compiler, *flags, f"-I{KERNELS}", "-c", str(source), "-o", str(built)]
    done = subprocess.run(command, capture_output=True, timeout=60)
    if done.returncode:
        return done.stderr
    with built.open("rb") as file:
        return bytes(ELFFile(file).get_section_by_name(".text").data())


def test_how_a_function_is_entered_and_left(tmp_path: Path) -> None:
    """ENTRY and RETW as the ISA encodes them; a frame keeps clear of the window exceptions."""
    frame = functools.partial(_frame, tmp_path)
    assert frame("open_frame NO_WORDS, 0", WINDOWED)[:3] == bytes.fromhex("362100")  # entry a1, 16
    assert frame("open_frame 272, 0, a12", WINDOWED)[:3] == bytes.fromhex("362102")  # entry a1, 272
    assert frame("close_frame 16, 0", WINDOWED)[:3] == bytes.fromhex("900000")  # retw
    assert b"16 of them free" in frame("open_frame 48, 32, a0", WINDOWED)
    assert b"16 of them free" in frame("open_frame 40, 0, a0", WINDOWED)
    assert frame("open_frame 48, 28, a0, a12", WINDOWED) == frame("open_frame 48, 28, a0", WINDOWED)
    assert frame("open_frame NO_WORDS, 0", []) == b""
    assert b"holds what is kept" in frame("open_frame 32, 28, a0, a12", [])
    assert b"__XTENSA_WINDOWED_ABI__" in frame("nop", ["-U__XTENSA_CALL0_ABI__"])
