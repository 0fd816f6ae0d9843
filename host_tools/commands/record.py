"""tinyproof record"""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import click

from host_tools.boards.board import load_board
from host_tools.boards.ports import boards_with, find_link, require_link
from host_tools.commands_shared import Found, emulated
from host_tools.errors import DeviceError
from host_tools.link.record import record_take, with_replay
from host_tools.link.target import choose_target
from host_tools.link.transport import port_advice
from host_tools.options import (
    DEFAULT_BOARD,
    File,
    board_option,
    option,
    repeated,
    source_options,
    target_options,
)
from host_tools.project import BUILD
from host_tools.stages.graph import Source, firmware_stages
from host_tools.stages.session import up_to_date


@click.command(
    help="Record labelled samples from a board's sensor: at PORT, else of the board that is "
    "plugged in; with EMULATOR or REPLAY, or of a board that is emulated only, in an emulator.",
    short_help="record labelled samples from a board's sensor",
)
@board_option
@target_options
@option("--label", required=True, help="what is done or said")
@option("--seconds", type=float, required=True, help="how long")
@option("--who", help="who or what is recorded; default: the board")
@option("--out", make="OUT_DIR", type=File(), help="default: build/recordings/<label>")
@option("--replay", type=File(), help=".npz that an emulator replays")
@source_options
def command(
    source: Source,
    board: str | None,
    emulator: str | None,
    port: str | None,
    label: str,
    seconds: float,
    who: str | None,
    out: Path | None,
    replay: Path | None,
) -> None:
    """One take."""
    if port:
        port = require_link(port, load_board(board) if board else None, repeated())
    elif not (emulator or replay or (board and load_board(board).upload is None)):
        desk = find_link(load_board(board) if board else None, repeated())
        if desk is None:
            other = load_board(board or DEFAULT_BOARD)
            raise DeviceError(
                f"no {other.title if board else 'board'} is plugged in. {port_advice(repeated())}\n"
                "To take the samples of an emulator all the same, "
                f"add EMULATOR={other.emulators[0]}"
            )
        port, board = desk.name, board or boards_with(desk.usb)[0]
    found = (
        Found(board=named, target=choose_target(named, None, port))
        if port and (named := load_board(board or DEFAULT_BOARD))
        else emulated(board, emulator)
    )
    chosen, target = found.board, found.target
    stages = firmware_stages(source, chosen)
    with nullcontext() if port else up_to_date(source, stages):
        path = record_take(
            chosen,
            with_replay(target, replay) if replay else target,
            source.folder / chosen.folder,
            label=label,
            who=who or chosen.id,
            seconds=seconds,
            folder=out or BUILD / "recordings" / label,
        )
    print(f"{chosen.id} on {target.name}: {seconds:g} s of {label}: {path}")
