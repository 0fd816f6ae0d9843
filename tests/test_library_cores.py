"""A library on cores that no board of the project has: Cortex-M0, M3, M33 and M55 in QEMU.

QEMU has no M0+; its code is that of the M0, Armv6-M.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from host_tools.library.make import make_library
from host_tools.library.write import write_library
from quantize.golden import load_golden
from tests.test_certificate import CASES, make_build
from tests.test_library import LABELS, sources

PROGRAM = Path(__file__).parent / "library" / "bare.c"
# (QEMU's machine, its processor's flags, code at, data at, kernels)
CORES = {
    "Cortex-M0": ("microbit", ["-mcpu=cortex-m0plus"], 0, 0x20000000, "portable"),
    "Cortex-M3": ("mps2-an385", ["-mcpu=cortex-m3"], 0, 0x20000000, "portable"),
    "Cortex-M33": (
        "mps2-an505",
        ["-mcpu=cortex-m33", "-mfloat-abi=hard"],
        0x10000000,
        0x38000000,
        "armv7em",
    ),
    "Cortex-M33 without DSP": (
        "mps2-an505",
        ["-mcpu=cortex-m33+nodsp"],
        0x10000000,
        0x38000000,
        "portable",
    ),
    "Cortex-M55": (
        "mps3-an547",
        ["-mcpu=cortex-m55", "-mfloat-abi=hard"],
        0,
        0x21000000,
        "armv7em",
    ),
}
SCRIPT = """\
ENTRY(reset)
MEMORY {{ CODE (rx) : ORIGIN = {code}, LENGTH = 250K  DATA (rwx) : ORIGIN = {data}, LENGTH = 16K }}
SECTIONS {{
    .text : {{ KEEP(*(.vectors)) *(.text .text.*) *(.rodata .rodata.*) . = ALIGN(8); }} > CODE
    .ARM.exidx : {{ *(.ARM.exidx*) }} > CODE
    .data : {{ __data_start = .; *(.data .data.*) . = ALIGN(8); __data_end = .; }} > DATA AT > CODE
    __data_load = LOADADDR(.data);
    .bss : {{ __bss_start = .; *(.bss .bss.* COMMON) . = ALIGN(8); __bss_end = .; }} > DATA
    __stack_top = ORIGIN(DATA) + LENGTH(DATA);
}}
"""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A library's folder, and the arrays of its golden cases as C."""
    out_dir = make_build(tmp_path_factory.mktemp("cores"), "raw", len(LABELS), LABELS)
    folder, _ = write_library(make_library(out_dir), out_dir.parent)
    golden = load_golden(out_dir / "golden.npz")
    with np.load(out_dir / "samples.npz") as stored:
        arrays = {
            "int8_t inputs": golden.inputs[0],
            "int8_t expected": golden.outputs[0],
            "int16_t samples": stored["samples"],
        }
    text = "#include <tp_m.h>\n" + "".join(
        f"static const {name}[] = {{{', '.join(map(str, values.reshape(-1).tolist()))}}};\n"
        for name, values in arrays.items()
    )
    return folder, text


@pytest.mark.parametrize("core", CORES)
def test_all_golden_cases_on_other_cores(
    written: tuple[Path, str], tmp_path: Path, core: str
) -> None:
    if shutil.which("qemu-system-arm") is None:
        pytest.skip("qemu-system-arm is not installed")
    machine, flags, code, data, kernels = CORES[core]
    folder, text = written
    (tmp_path / "bare.c").write_text(text + PROGRAM.read_text())
    (tmp_path / "bare.ld").write_text(SCRIPT.format(code=hex(code), data=hex(data)))
    elf = tmp_path / "bare.elf"
    command = ["arm-none-eabi-gcc", "-std=gnu11", "-Os", "-mthumb", *flags, "-Wall", "-Werror"]
    command += ["-ffunction-sections", "-fdata-sections", "-nostartfiles", f"-I{folder / 'src'}"]
    command += [
        str(tmp_path / "bare.c"),
        *map(str, sources(folder)),
        "-T",
        str(tmp_path / "bare.ld"),
    ]
    subprocess.run([*command, "-Wl,--gc-sections", "-o", str(elf)], check=True)
    run = ["qemu-system-arm", "-M", machine, "-nographic", "-monitor", "none", "-serial", "none"]
    run += ["-semihosting-config", "enable=on,target=native", "-kernel", str(elf)]
    done = subprocess.run(run, capture_output=True, text=True, check=False, timeout=120)
    assert (done.stdout + done.stderr).splitlines()[-1] == f"{kernels} {CASES} {CASES}"
