"""tinyproof whois"""

from __future__ import annotations

from pathlib import Path

import click

from host_tools.boards.board import load_board
from host_tools.commands_shared import emulated
from host_tools.experiments.listing import whois_firmware, whois_port
from host_tools.options import (
    File,
    RecipeName,
    SourceName,
    board_option,
    in_project,
    option,
    target_options,
)
from host_tools.project import Import, open_source
from host_tools.stages.graph import build_stage
from host_tools.stages.session import up_to_date


@click.command(
    help="Ask a firmware, at PORT or in an emulator, which experiment it comes from.",
    short_help="which experiment a firmware comes from",
)
@click.argument("source", type=SourceName(), required=False)
@option("--recipe", type=RecipeName(), help="whose firmware is emulated")
@option("--model", type=File(), help="whose firmware is emulated")
@board_option
@target_options
@in_project
def command(
    source: str | None,
    recipe: str | None,
    model: Path | None,
    board: str | None,
    emulator: str | None,
    port: str | None,
) -> int:
    """1 when the store does not know it."""
    if port:
        return whois_port(port, load_board(board) if board else None)
    found = open_source(source or recipe, model, Import())
    chosen = emulated(board, emulator).board
    with up_to_date(found, [*found.stages(), build_stage(found.folder, chosen)]):
        return whois_firmware(found.folder / chosen.folder, chosen, emulator)
