"""What a linked firmware takes of a board's memories, from the ELF file's sections and symbols."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import Section, SymbolTableSection

from host_tools.build.breakdown import MODEL, REST, find_parts
from host_tools.errors import HostToolsError

# What quantize.emit_c calls weights and biases; an interpreter has the whole file.
WEIGHTS_PREFIX = ("model_w", "g_model")
GOLDEN_PREFIX = "model_golden_"
STACK_SECTION = ".stack"
LARGEST = 12
SHF_WRITE = 0x1
SHF_ALLOC = 0x2


@dataclass(frozen=True, slots=True, kw_only=True)
class Symbol:
    """A function or object: its name, size and section."""

    name: str
    bytes: int
    section: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeReport:
    """Sizes in bytes.

    flash_bytes: all that the image stores: code, constants, initial values of variables. It is
        the sum of code_bytes, weight_bytes (the model's weights and biases) and golden_bytes (the
        golden vectors of the self-test).
    ram_bytes: variables, the arena of arena_bytes among them, without the stack; code and
        constants do not count here, even on a board that keeps them in RAM.
    stack_bytes: reserved; 0 when the system gives the stack.
    parts: what of code_bytes each folder of firmware takes, and the generated model; {} when the
        linker has left no map beside the image.
    largest: the largest functions and objects, descending.
    """

    code_bytes: int
    weight_bytes: int
    golden_bytes: int
    flash_bytes: int
    ram_bytes: int
    arena_bytes: int
    stack_bytes: int
    largest: tuple[Symbol, ...]
    parts: dict[str, int]


def size_report(path: Path, *, arena_bytes: int) -> SizeReport:
    """Measure `path`; the arena is part of a larger object, so its size comes from the manifest.

    Raises HostToolsError when the file is not a readable ELF file.
    """
    try:
        with path.open("rb") as file:
            elf = ELFFile(file)
            sections = [item for item in elf.iter_sections() if item["sh_flags"] & SHF_ALLOC]
            symbols = sorted(_symbols(elf), key=lambda symbol: (-symbol.bytes, symbol.name))
    except (OSError, ELFError) as error:
        raise HostToolsError(f"{path}: not a readable ELF file: {error}; build it again") from error
    weight_bytes = sum(item.bytes for item in symbols if item.name.startswith(WEIGHTS_PREFIX))
    golden_bytes = sum(item.bytes for item in symbols if item.name.startswith(GOLDEN_PREFIX))
    stored = [item for item in sections if item["sh_type"] != "SHT_NOBITS"]
    flash_bytes = sum(item["sh_size"] for item in stored)
    code_bytes = flash_bytes - weight_bytes - golden_bytes
    parts = find_parts(path.with_suffix(".map"), {item.name for item in stored})
    if parts:
        parts[MODEL] = parts.get(MODEL, 0) - weight_bytes - golden_bytes
        parts[REST] = code_bytes - sum(parts.values())
    return SizeReport(
        code_bytes=code_bytes,
        weight_bytes=weight_bytes,
        golden_bytes=golden_bytes,
        flash_bytes=flash_bytes,
        ram_bytes=sum(item["sh_size"] for item in sections if _is_variable(item)),
        arena_bytes=arena_bytes,
        stack_bytes=sum(item["sh_size"] for item in sections if item.name == STACK_SECTION),
        largest=tuple(symbols[:LARGEST]),
        parts=dict(sorted(parts.items(), key=lambda part: -part[1])),
    )


def symbol_address(path: Path, name: str) -> int | None:
    """Return the address of symbol `name`, or None."""
    with path.open("rb") as file:
        for table in ELFFile(file).iter_sections():
            if isinstance(table, SymbolTableSection):
                for symbol in table.get_symbol_by_name(name) or ():
                    return int(symbol["st_value"])
    return None


def _is_variable(section: Section) -> bool:
    return bool(section["sh_flags"] & SHF_WRITE) and section.name != STACK_SECTION


def _symbols(elf: ELFFile) -> Iterator[Symbol]:
    for table in elf.iter_sections():
        if not isinstance(table, SymbolTableSection):
            continue
        for symbol in table.iter_symbols():
            index = symbol["st_shndx"]
            if symbol["st_info"]["type"] in ("STT_FUNC", "STT_OBJECT") and isinstance(index, int):
                yield Symbol(
                    name=symbol.name,
                    bytes=symbol["st_size"],
                    section=elf.get_section(index).name,
                )
