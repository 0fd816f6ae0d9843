"""tinyproof emulate"""

from __future__ import annotations

import click

from host_tools.commands_shared import emulated
from host_tools.monitor.emulate import run
from host_tools.options import (
    DEFAULT_BOARD,
    board_option,
    emulator_options,
    engine_option,
    source_options,
)
from host_tools.project import BUILD
from host_tools.stages.graph import Source, firmware_stages
from host_tools.stages.session import up_to_date
from host_tools.terminal import ended_by_ctrl_c


@click.command(
    help="Run a board's firmware in its emulator, with this terminal as its monitor.",
    short_help="run firmware in an emulator, at this terminal",
)
@board_option
@engine_option(DEFAULT_BOARD)
@emulator_options
@source_options
def command(source: Source, board: str | None, emulator: str | None) -> int:
    """Until Ctrl+D or Ctrl+C; the folder is in use meanwhile."""
    found = emulated(board, emulator)
    with up_to_date(source, firmware_stages(source, found.board)), ended_by_ctrl_c():
        return run(found.board, found.target, source.folder / found.board.folder, BUILD)
    return 0
