"""tinyproof live"""

from __future__ import annotations

from pathlib import Path

import click

from host_tools.boards.board import load_board
from host_tools.boards.ports import USB, require_link
from host_tools.commands_shared import Found, on_target
from host_tools.link.record import with_replay
from host_tools.options import (
    COUNT,
    DEFAULT_BOARD,
    File,
    board_option,
    budget_options,
    engine_option,
    option,
    recipe_options,
    repeated,
    target_options,
)
from host_tools.stages.graph import Source
from host_tools.wording import as_typed
from model.processes import scratch_folder


@click.command(
    help="A page in a browser of this computer: a board's signal, what its model says of it, "
    "memory and link, as they come. At PORT, else in an emulator.",
    short_help="watch a board's signal and predictions in a browser",
)
@board_option
@engine_option(DEFAULT_BOARD)
@target_options
@option("--http-port", type=COUNT, help="of this computer; default: a free one")
@option("--replay", type=File(), help=".npz that an emulated board has as its sensor")
@recipe_options
@budget_options
def command(
    source: Source,
    board: str | None,
    emulator: str | None,
    port: str | None,
    http_port: int | None,
    replay: Path | None,
) -> None:
    """Until Ctrl+C."""
    from host_tools.live.prepare import make_plan  # with the server it takes seconds to load
    from host_tools.live.server import serve
    from host_tools.live.session import Session

    assert source.recipe is not None
    with scratch_folder("live") as place:
        with on_target(source, board, emulator, port) as found:
            assert found is not None
            if replay:
                target = with_replay(found.target, replay)
                found = Found(board=found.board, target=target)
            named, again = load_board(board) if board else None, repeated()
            typed = again.replace("{port}", port) if port else again.removesuffix(" PORT={port}")
            find = (lambda: require_link(USB, named, again)) if port == USB else None
            plan = make_plan(source.recipe, found, source.folder, place, find, as_typed(typed))
        serve(Session(plan), http_port, lambda url: print(f"{url}\nCtrl+C ends it", flush=True))
