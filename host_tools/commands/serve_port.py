"""tinyproof serve-port"""

from __future__ import annotations

import contextlib

import click

from host_tools.boards.board import load_board
from host_tools.boards.ports import require_link
from host_tools.link.serve import listen, serve
from host_tools.link.target import open_port
from host_tools.options import board_option, option, repeated
from host_tools.terminal import ended_by_ctrl_c


@click.command(
    help="Lend the board at PORT to another machine by RFC 2217, at an address of this computer "
    "alone: the other machine comes in by ssh -L.",
    short_help="lend a board to another machine",
)
@board_option
@option("--port", help="serial port; default: the one with a board's USB identity")
@option("--listen", "address", make="LISTEN", default="127.0.0.1:4000", help="port 0: any")
def command(board: str | None, port: str | None, address: str) -> None:
    """Until Ctrl+C."""
    named = load_board(board) if board else None
    with listen(address) as server:
        found = require_link(port, named, repeated())
        with contextlib.closing(open_port(found, named)) as transport:
            host, number = server.getsockname()[:2]
            host = f"[{host}]" if ":" in host else host
            print(f"{found} at rfc2217://{host}:{number}; Ctrl+C ends it", flush=True)
            with ended_by_ctrl_c():
                serve(transport, server)
