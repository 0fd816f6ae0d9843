"""tinyproof flash"""

from __future__ import annotations

import click

from host_tools.boards.board import chip_board, load_board
from host_tools.boards.flash import choose_port, flash
from host_tools.boards.parts import lacking
from host_tools.build.firmware import pio_environment
from host_tools.commands.build import FRAMEWORKS
from host_tools.options import (
    BoardName,
    answering,
    engine_option,
    mlperf_option,
    option,
    repeated,
    source_options,
    without_option,
)
from host_tools.stages.graph import Source, firmware_stages
from host_tools.stages.session import up_to_date


@click.command(
    help="Build, upload to the board at PORT, then say hello and run its self-test.",
    short_help="put firmware on a board and prove that it runs",
)
@option("--board", type=BoardName(), help="default: nano33")
@engine_option("nano33")
@option("--port", help="serial port of the upload; default: the one with the board's USB identity")
@option("--link-port", help="serial port of the link, where it is another one")
@option("--framework", type=FRAMEWORKS, help="default: the board's own, else bare")
@mlperf_option
@without_option
@source_options
def command(
    source: Source,
    board: str | None,
    port: str | None,
    link_port: str | None,
    framework: str | None,
    mlperf: str | None,
    without: str | None,
) -> int:
    """Exit code 3 when the board does not answer."""
    name = answering(board or "nano33", mlperf)
    wanted = load_board(lacking(name, load_board(name).suffix, without))
    framework = framework or wanted.default_framework
    if wanted.upload is not None:  # else choose_port says so
        pio_environment(wanted, framework)  # before the port: it may not be wanted at all
    chosen = chip_board(wanted, framework)
    again = repeated("LINK_PORT")
    port, _ = choose_port(chosen, port, link_port, framework, again)
    with up_to_date(source, firmware_stages(source, chosen, framework)):
        return flash(
            source.folder,
            chosen,
            port=port,
            link_port=link_port,
            framework=framework,
            says=source.says,
            again=again,
        )
