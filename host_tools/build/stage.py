"""Build one board's firmware of a folder of results."""

from __future__ import annotations

from pathlib import Path

from host_tools.boards.board import load_board
from host_tools.build.firmware import build_firmware


def build(out_dir: Path, board_name: str, framework: str) -> None:
    """Write <board>/firmware.elf and size.json; raises as build_firmware does."""
    board = load_board(board_name)
    folder = out_dir / board.results(framework)
    size = build_firmware(board, board.gen_dir(out_dir), folder, framework)
    print(
        f"{board.id}: flash {size.flash_bytes} bytes (code {size.code_bytes}, weights "
        f"{size.weight_bytes}), RAM {size.ram_bytes} (arena {size.arena_bytes})"
    )
    if size.parts:
        print("  code: " + ", ".join(f"{part} {taken}" for part, taken in size.parts.items()))
