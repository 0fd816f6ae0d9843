"""tinyproof monitor"""

from __future__ import annotations

from pathlib import Path

import click

from host_tools.boards.board import load_board
from host_tools.boards.ports import require_link
from host_tools.commands_shared import emulated
from host_tools.errors import UsageError
from host_tools.link.record import with_replay
from host_tools.link.transport import BAUD
from host_tools.monitor.emulate import monitor_emulator
from host_tools.monitor.pump import monitor_network
from host_tools.monitor.session import monitor_port, settings_of
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
from host_tools.project import BUILD, Import, open_source
from host_tools.stages.graph import firmware_stages
from host_tools.stages.session import up_to_date


@click.command(
    help="Open pio device monitor on a board with frames in words: at PORT (a name, or a pyserial "
    "URL such as socket://host:port), else at the port with a board's USB identity. A board of "
    "emulators only, or any with RECIPE, MODEL, EMULATOR or REPLAY, runs in its emulator.",
    short_help="watch and talk to a board, at a port or in an emulator",
)
@click.argument("source", type=SourceName(), required=False)
@option("--recipe", type=RecipeName(), help="whose firmware is emulated")
@option("--model", type=File(), help="whose firmware is emulated")
@board_option
@engine_option(DEFAULT_BOARD)
@target_options
@option("--replay", type=File(), help=".npz that an emulator has in the sensor's place, for live")
@option("--log", type=File(), help="append what is shown and typed to this file, with the time")
@in_project
def command(
    source: str | None,
    recipe: str | None,
    model: Path | None,
    board: str | None,
    emulator: str | None,
    port: str | None,
    replay: Path | None,
    log: Path | None,
) -> int:
    """Until Ctrl+C."""
    named = load_board(board) if board else None
    firmware = named_once(source, recipe, model)
    wanted = firmware or model or emulator or replay
    if port and wanted:
        raise UsageError(f"PORT={port}: what runs there is no emulator's; leave out the rest")
    if port or not (wanted or (named and named.upload is None)):
        port = require_link(port, named, repeated())
        baud = named.baud if named else BAUD
        if "://" in port:
            return monitor_network(port, baud, build=BUILD, log=log)
        monitor_port(port, baud, build=BUILD, log=log)
    settings_of(BUILD, log, {})  # complains before anything is built
    found = emulated(board, emulator)
    target = with_replay(found.target, replay) if replay else found.target
    assert target.emulator is not None
    opened = open_source(firmware, model, Import())
    with up_to_date(opened, firmware_stages(opened, found.board)):
        elf = opened.folder / found.board.folder / "firmware.elf"
        return monitor_emulator(found.board, target.emulator, elf, build=BUILD, log=log)
