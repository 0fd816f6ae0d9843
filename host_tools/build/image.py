"""What a linked image must and must not hold, whoever's platform linked it.

``python -m host_tools.build.image --set KERNELS FILE.elf NAME...`` is what an Arduino build calls
at its end (boards/platform/builder/arduino.py). Exit codes: 0 as it must be, 1 not.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import Symbol, SymbolTableSection

from host_tools.errors import HostToolsError

SHF_EXECINSTR = 0x4
LISTED = 8


def check_image(path: Path, kernels: str, names: Sequence[str]) -> str:
    """Return a line about the image `path`, with the functions `names` of the set `kernels` in it.

    Raises HostToolsError when one is missing, when code for the Arm state (A32) is there, which no
    Cortex-M executes, and when the file is not a readable ELF file.
    """
    try:
        with path.open("rb") as file:
            elf = ELFFile(file)
            found = list(_code_symbols(elf))
            arm = sorted({s.name for s in found if _is_arm_state(s)}) if _is_arm(elf) else []
            marks = sum(s.name.startswith("$a") for s in found) if _is_arm(elf) else 0
    except (OSError, ELFError) as error:
        raise HostToolsError(f"{path}: not a readable ELF file: {error}; build it again") from error
    missing = sorted(set(names) - {symbol.name for symbol in found})
    if missing:
        raise HostToolsError(
            f"{path.name}: the kernels {kernels!r} were asked for, but {_list(missing)} is not "
            "linked; expected all that the model calls. Build from clean (remove .pio/build)."
        )
    if arm or marks:
        raise HostToolsError(
            f"{path.name}: {marks} pieces of code for the Arm state (A32), expected none: a "
            f"Cortex-M executes Thumb only. Functions: {_list(arm) or 'none named'}. The linker "
            "took a library for another core: -mcpu, -mthumb and -mfloat-abi must reach it as "
            "they reach the compiler (build_unflags in platformio.ini)."
        )
    state = "; no A32 code" if _is_arm(elf) else ""
    return f"{path.name}: kernels {kernels}: {len(names)} of {len(names)} linked{state}"


def _is_arm(elf: ELFFile) -> bool:
    return bool(elf["e_machine"] == "EM_ARM")


def _code_symbols(elf: ELFFile) -> Iterator[Symbol]:
    """Functions and the marks of code, in sections that are executed."""
    for table in elf.iter_sections():
        if not isinstance(table, SymbolTableSection):
            continue
        for symbol in table.iter_symbols():
            index = symbol["st_shndx"]
            if not isinstance(index, int):
                continue
            if elf.get_section(index)["sh_flags"] & SHF_EXECINSTR and (
                symbol["st_info"]["type"] == "STT_FUNC" or symbol.name.startswith("$")
            ):
                yield symbol


def _is_arm_state(symbol: Symbol) -> bool:
    """A function at an even address; bit 0 tells Thumb."""
    return symbol["st_info"]["type"] == "STT_FUNC" and not symbol["st_value"] & 1


def _list(names: Sequence[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more


def main(arguments: Sequence[str] | None = None) -> int:
    """Check one image; the Arduino build calls this."""
    parser = argparse.ArgumentParser(prog="python -m host_tools.build.image")
    parser.add_argument("--set", required=True, help="the set of kernels")
    parser.add_argument("image", type=Path)
    parser.add_argument("names", nargs="*", help="kernels that the image must hold")
    options = parser.parse_args(arguments)
    try:
        print(check_image(options.image, options.set, options.names))
    except HostToolsError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
