"""tinyproof decode"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from host_tools.boards.board import load_board
from host_tools.errors import HostToolsError, UsageError
from host_tools.link.backtrace import describe
from host_tools.link.fault import MAX_FAULTS, find_faults
from host_tools.options import File, board_option, folder_options, option
from host_tools.stages.graph import Source

MAX_LOG_BYTES = 64 * 1024 * 1024


@click.command(
    help="Say what stopped a board, where, and who called, from the lines that begin with 'fault:' "
    "in LOG or on standard input, and the ELF file of the very image.",
    short_help="tell what stopped a board: cause, file, line, chain of calls",
)
@option("--log", type=File(), help="what the board has said; default: standard input")
@board_option
@folder_options
def command(source: Source, board: str | None, log: Path | None) -> None:
    """Without --board any firmware of the folder may be the image."""
    name = str(log) if log else "standard input"
    faults = find_faults(_read(log))
    if not faults:
        raise HostToolsError(
            f"{name}: no fault found; expected a line such as "
            "'fault: pc=0x00010046 lr=0x00010085 ...', with the lines behind it"
        )
    folder = load_board(board).folder if board else "*"
    images = sorted(source.folder.glob(f"{folder}/firmware.elf"))
    if len(faults) == MAX_FAULTS:
        print(f"{name}: only the first {MAX_FAULTS} different faults are told", file=sys.stderr)
    told = [describe(fault, images) for fault in faults]
    print("\n\n".join(text for text, _ in told))
    if not all(known for _, known in told):
        raise HostToolsError(
            f"{source.folder}: no firmware here is of that image; name the recipe or model that "
            "was flashed, and do not build it again with other settings before"
        )


def _read(log: Path | None) -> bytes:
    if log is None:
        if sys.stdin.isatty():
            print("paste what the board said; Ctrl+D ends it", file=sys.stderr)
        data = sys.stdin.buffer.read(MAX_LOG_BYTES + 1)
    else:
        try:
            with log.open("rb") as file:
                data = file.read(MAX_LOG_BYTES + 1)
        except OSError as error:
            raise UsageError(f"{log}: {error.strerror}; give a log of what a board said") from error
    if len(data) > MAX_LOG_BYTES:
        raise UsageError(
            f"{log or 'standard input'}: more than {MAX_LOG_BYTES // 2**20} MiB; cut the log down "
            "to the lines around 'fault:'"
        )
    return data
