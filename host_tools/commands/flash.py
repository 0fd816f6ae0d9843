"""tinyproof flash"""

from __future__ import annotations

import click

from host_tools.boards.board import load_board
from host_tools.boards.flash import chip_board, choose_port, flash
from host_tools.commands.build import FRAMEWORKS
from host_tools.options import BoardName, option, source_options
from host_tools.stages.graph import Source, build_stage
from host_tools.stages.session import up_to_date


@click.command(
    help="Build, upload to the board at PORT, then say hello and run its self-test.",
    short_help="put firmware on a board and prove that it runs",
)
@option("--board", type=BoardName(), help="default: nano33")
@option("--port", help="serial port of the upload; default: the one with the board's USB identity")
@option("--link-port", help="serial port of the link, where it is another one")
@option("--framework", type=FRAMEWORKS, default="bare", help="default: bare")
@source_options
def command(
    source: Source,
    board: str | None,
    port: str | None,
    link_port: str | None,
    framework: str,
) -> int:
    """Exit code 3 when the board does not answer."""
    chosen = chip_board(load_board(board or "nano33"), framework)
    port, _ = choose_port(chosen, port, link_port)
    with up_to_date(source, [*source.stages(), build_stage(source.folder, chosen, framework)]):
        return flash(
            source.folder,
            chosen,
            port=port,
            link_port=link_port,
            framework=framework,
            says=source.says,
        )
