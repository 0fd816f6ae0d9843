"""tinyproof parity"""

from __future__ import annotations

import click

from host_tools.commands_shared import on_target
from host_tools.options import (
    DEFAULT_BOARD,
    board_option,
    engine_option,
    plan_options,
    source_options,
    switch,
    target_options,
)
from host_tools.parity.outputs import run_parity
from host_tools.parity.stage import print_parity
from host_tools.stages.graph import Source


@click.command(
    help="Compare every output byte of a board with TFLite Micro, in its emulator or at PORT.",
    short_help="compare a board's outputs with TFLite Micro",
)
@board_option
@engine_option(DEFAULT_BOARD)
@target_options
@switch("--tap", help="compare every layer, and name the first that differs")
@source_options
@plan_options
def command(
    source: Source,
    board: str | None,
    emulator: str | None,
    port: str | None,
    cases: int | None,
    tap: bool,
    dry_run: bool,
    why: bool,
) -> None:
    """The verdict."""
    with on_target(source, board, emulator, port, dry_run=dry_run, why=why) as found:
        if found is not None:
            print_parity(run_parity(source.folder, found.board, found.target, cases, tap=tap))
