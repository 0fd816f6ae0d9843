"""Firmware around the stub model, built once a test run for each board."""

from __future__ import annotations

import atexit
import functools
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from host_tools.boards.board import load_board
from host_tools.build.elf import SizeReport
from host_tools.build.firmware import build_firmware

STUB = Path(__file__).resolve().parent / "stub_gen"
STUB_FEATURES = Path(__file__).resolve().parent / "stub_features"
STUB_ARENA_BYTES = 1024
STUB_GOLDEN_BYTES = 2 * (768 + 7)


def write_gen(folder: Path, replace: Mapping[str, str] | None = None, **manifest: object) -> Path:
    """Copy the stub model to `folder`, with texts replaced in model.c, and add a manifest."""
    shutil.copytree(STUB, folder)
    model = folder / "model.c"
    text = model.read_text(encoding="utf-8")
    for old, new in (replace or {}).items():
        assert old in text
        text = text.replace(old, new)
    model.write_text(text, encoding="utf-8")
    content = {"model_sha256": "0" * 64, "weight_bytes": 0, "constants": []}
    content |= {"arena_bytes": STUB_ARENA_BYTES, **manifest}
    (folder / "manifest.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


@functools.cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="tinyproof-test-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@functools.cache
def _stub_gen() -> Path:
    return write_gen(_folder() / "gen")


@functools.cache
def built(board_id: str) -> tuple[Path, SizeReport]:
    """Return the folder with the board's stub firmware, and its sizes."""
    out_dir = _folder() / board_id
    return out_dir, build_firmware(load_board(board_id), _stub_gen(), out_dir)


@functools.cache
def built_with_features(board_id: str) -> Path:
    """The folder with the board's stub firmware that has a front end, streams and records."""
    gen = _folder() / "gen-features"
    if not gen.exists():
        write_gen(gen)
        for source in STUB_FEATURES.glob("*"):
            shutil.copy(source, gen)
    out_dir = _folder() / f"{board_id}-features"
    build_firmware(load_board(board_id), gen, out_dir)
    return out_dir


def symbol_names(elf: Path) -> list[str]:
    """The names of all symbols; static ones may be there twice."""
    with elf.open("rb") as file:
        tables = [s for s in ELFFile(file).iter_sections() if isinstance(s, SymbolTableSection)]
        return [symbol.name for table in tables for symbol in table.iter_symbols()]


def compiled_with(elf: Path, source: str) -> list[str]:
    """The flags of the one file whose path ends so."""
    with elf.open("rb") as file:
        tops = [unit.get_top_DIE() for unit in ELFFile(file).get_dwarf_info().iter_CUs()]
        (top,) = [top for top in tops if top.get_full_path().endswith(source)]
        return top.attributes["DW_AT_producer"].value.decode().split()


def break_model(elf: Path, code: bytes, broken: Path) -> Path:
    """Copy `elf` to `broken` with `code` at the start of the model's functions."""
    shutil.copy(elf, broken)
    for name in ("model_step", "model_invoke"):
        overwrite(broken, name, code)
    return broken


def overwrite(elf: Path, symbol: str, content: bytes) -> None:
    """Put `content` where `symbol` starts in the file `elf`."""
    image = bytearray(elf.read_bytes())
    with elf.open("rb") as file:
        parsed = ELFFile(file)
        entry = parsed.get_section_by_name(".symtab").get_symbol_by_name(symbol)[0]
        section = parsed.get_section(entry["st_shndx"])
        thumb = parsed["e_machine"] == "EM_ARM"
        address = entry["st_value"] & ~1 if thumb else entry["st_value"]
        offset = address - section["sh_addr"] + section["sh_offset"]
    image[offset : offset + len(content)] = content
    elf.write_bytes(image)
