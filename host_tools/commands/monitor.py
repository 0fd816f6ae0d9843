"""tinyproof monitor"""

from __future__ import annotations

import click

from host_tools.boards.board import load_board
from host_tools.boards.ports import require_link
from host_tools.link.monitor import monitor
from host_tools.link.transport import BAUD
from host_tools.options import board_option, option, repeated


@click.command(
    help="Open pio device monitor at PORT at the right speed, without the link's binary frames.",
    short_help="watch and talk to a board at PORT",
)
@board_option
@option("--port", help="serial port; default: the one with a board's USB identity")
def command(board: str | None, port: str | None) -> None:
    """Until Ctrl+C."""
    named = load_board(board) if board else None
    monitor(require_link(port, named, repeated()), named.baud if named else BAUD)
