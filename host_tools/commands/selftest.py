"""tinyproof selftest"""

from __future__ import annotations

import click

from host_tools.boards.board import BOARDS, SELFTEST, load_board
from host_tools.commands_shared import on_target
from host_tools.errors import HostToolsError, UsageError
from host_tools.options import (
    DEFAULT_BOARD,
    board_option,
    plan_options,
    source_options,
    target_options,
)
from host_tools.parity.selftest import compare_kernels
from host_tools.report.results import read_manifest
from host_tools.stages.graph import Source

PORTABLE = "ref"  # the folder of the kernels that every board can run


@click.command(
    help="Compare a board's fast kernels with the reference kernels, on the device.",
    short_help="compare kernels with the reference, on the device",
)
@board_option
@target_options
@source_options
@plan_options
def command(
    source: Source,
    board: str | None,
    emulator: str | None,
    port: str | None,
    dry_run: bool,
    why: bool,
) -> None:
    """The firmware with both models in it."""
    name = (board or DEFAULT_BOARD).removesuffix(SELFTEST) + SELFTEST if board or not port else None
    if name:
        require_fast_kernels(name)
    with on_target(source, name, emulator, port, dry_run=dry_run, why=why) as found:
        if found is None:
            return
        manifest = read_manifest(found.board, source.folder)
        equal, told = compare_kernels(source.folder, found.board, found.target)
        print(
            f"{found.board.id} on {found.target.name}, {found.board.kernels} against ref: {told}\n"
            f"  model {manifest['model_sha256'][:16]}, run {manifest['run_id']}"
        )
        if not equal:
            raise HostToolsError(f"{found.board.id}: a kernel differs from the reference")


def require_fast_kernels(name: str) -> None:
    """Refuse a board that has no kernels of its own, before anything is built."""
    board = load_board(name)
    if {board.kernels, board.upload.kernels if board.upload else board.kernels} == {PORTABLE}:
        known = ", ".join(known for known in BOARDS if load_board(known).kernels != PORTABLE)
        raise UsageError(
            f"board {name.removesuffix(SELFTEST)} runs the portable kernels ({PORTABLE}), which "
            f"are the reference itself: there is nothing to compare. `make parity "
            f"BOARD={board.id}` compares them with TFLite Micro; kernels of their own have {known}"
        )
