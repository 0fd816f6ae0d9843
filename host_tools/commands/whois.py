"""tinyproof whois"""

from __future__ import annotations

from pathlib import Path

import click

from host_tools.boards.board import load_board
from host_tools.boards.ports import find_link, require_link
from host_tools.commands_shared import emulated
from host_tools.errors import DeviceError, UsageError
from host_tools.experiments.listing import whois_firmware, whois_port
from host_tools.link.transport import port_advice
from host_tools.options import (
    DEFAULT_BOARD,
    File,
    RecipeName,
    SourceName,
    board_option,
    engine_option,
    in_project,
    named_once,
    option,
    repeated,
    target_options,
)
from host_tools.project import Import, open_source
from host_tools.stages.graph import firmware_stages
from host_tools.stages.session import up_to_date


@click.command(
    help="Ask a firmware which experiment it comes from: at PORT, else of the board that is "
    "plugged in, else (or with RECIPE, MODEL or EMULATOR) in an emulator.",
    short_help="ask a firmware which experiment it comes from",
)
@click.argument("source", type=SourceName(), required=False)
@option("--recipe", type=RecipeName(), help="whose firmware is emulated")
@option("--model", type=File(), help="whose firmware is emulated")
@board_option
@engine_option(DEFAULT_BOARD)
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
    named = load_board(board) if board else None
    firmware = named_once(source, recipe, model)
    if port and (firmware or model or emulator):
        raise UsageError(
            f"PORT={port}: the board there says itself what it runs; leave out the rest. Whether "
            f"it is the firmware of a recipe or model says make parity RECIPE=<name> PORT={port}"
        )
    if port:
        return whois_port(require_link(port, named, repeated()), named)
    if not (firmware or model or emulator):
        if desk := find_link(named, repeated()):
            return whois_port(desk.name, named)
        if named is not None and named.upload is not None:
            raise DeviceError(f"no {named.title} is plugged in. {port_advice(repeated())}")
    found = open_source(firmware, model, Import())
    chosen = emulated(board, emulator).board
    with up_to_date(found, firmware_stages(found, chosen)):
        return whois_firmware(found.folder / chosen.folder, chosen, emulator)
