"""A kernel that a build needs is looked for in the file of its name: so is all that it needs."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.host_c import KERNELS

CORE = ["-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard"]


def test_every_kernel_links_by_the_names_of_files(tmp_path: Path) -> None:
    """By the rule of boards/platform/builder/kernels.py; assembly has other symbols, too."""
    sets = (KERNELS / "ref", KERNELS / "armv7em")
    files = {f.stem: f for one in sets for kind in ("*.c", "*.S") for f in sorted(one.glob(kind))}
    command = ["arm-none-eabi-gcc", *CORE, "-O0", f"-I{KERNELS}", "-c", *map(str, files.values())]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=300)
    names = [f"{name}.o" for name in files]
    listing = subprocess.run(
        ["arm-none-eabi-nm", "-A", *names],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    wanted: dict[str, set[str]] = {name: set() for name in files}
    given: dict[str, set[str]] = {name: set() for name in files}
    for line in listing.splitlines():
        file, _, rest = line.partition(":")
        *_, kind, symbol = rest.split()
        own = given if kind in "TtWwVRrDdBb" else wanted
        own[file.removesuffix(".o")].add(symbol)
    lacking = {}
    for name in files:
        found, new = {name}, {name}
        while new:
            new = {s for one in new for s in wanted[one] if s in files} - found
            found |= new
        symbols = {s for one in found for s in wanted[one] if s.startswith("nn_")}
        symbols -= {s for one in found for s in given[one]}
        if symbols:
            lacking[name] = symbols
    assert lacking == {}


def test_portable_kernels_have_no_saturating_instructions(tmp_path: Path) -> None:
    """labwired's core of the nano33 does not have them."""
    files = sorted((KERNELS / "ref").glob("*.c"))
    command = ["arm-none-eabi-gcc", *CORE, "-O2", f"-I{KERNELS}", "-c", *map(str, files)]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=300)
    code = subprocess.run(
        ["arm-none-eabi-objdump", "-d", *(f"{file.stem}.o" for file in files)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    assert len(code) > 100_000
    assert [line for line in code.splitlines() if "\tssat\t" in line or "\tusat\t" in line] == []
