"""tinyproof build"""

from __future__ import annotations

import click

from host_tools.boards.board import chip_board, load_board
from host_tools.boards.parts import lacking
from host_tools.options import (
    DEFAULT_BOARD,
    answering,
    board_option,
    engine_option,
    mlperf_option,
    option,
    plan_options,
    source_options,
    without_option,
)
from host_tools.stages.graph import Source, firmware_stages
from host_tools.stages.session import make

FRAMEWORKS = click.Choice(["bare", "arduino"])


@click.command(help="Build the firmware of a board.", short_help="build a board's firmware")
@board_option
@engine_option(DEFAULT_BOARD)
@option("--framework", type=FRAMEWORKS, default="bare", help="default: bare")
@mlperf_option
@without_option
@source_options
@plan_options
def command(
    source: Source,
    board: str | None,
    framework: str,
    mlperf: str | None,
    without: str | None,
    dry_run: bool,
    why: bool,
) -> None:
    """Everything up to the firmware."""
    wanted = answering(board or DEFAULT_BOARD, mlperf)
    chosen = load_board(lacking(wanted, load_board(wanted).suffix, without))
    if framework != "bare":
        chosen = chip_board(chosen, framework)
    stages = firmware_stages(source, chosen, framework)
    make(source, stages, dry_run=dry_run, why=why)
