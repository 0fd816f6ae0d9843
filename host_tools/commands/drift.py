"""tinyproof drift"""

from __future__ import annotations

import click

from host_tools.commands_shared import on_target
from host_tools.drift.compare import print_reading, print_verdict, run_drift
from host_tools.drift.data import NONE
from host_tools.errors import HostToolsError
from host_tools.options import (
    COUNT,
    DEFAULT_BOARD,
    board_option,
    budget_options,
    engine_option,
    option,
    recipe_options,
    switch,
    target_options,
)
from host_tools.stages.graph import Source


@click.command(
    help="Compare what a board has counted of its inputs with the recipe's profile.",
    short_help="is what a board meets still what it was trained on?",
)
@board_option
@engine_option(DEFAULT_BOARD)
@target_options
@option("--cases", type=COUNT, help="windows that an emulated board is fed with; default 256")
@option("--change", help="made to these windows, such as 'rotation 90 z'")
@switch("--reset", help="forget the counts after reading them")
@switch("--json", "as_json", make="JSON", help="print the reading as a line for tinyproof fleet")
@option("--device", help="which board it is, for --json; default: this computer and the port")
@recipe_options
@budget_options
def command(
    source: Source,
    board: str | None,
    emulator: str | None,
    port: str | None,
    cases: int | None,
    change: str | None,
    reset: bool,
    as_json: bool,
    device: str | None,
) -> None:
    """drift.json; an alarm is exit code 1."""
    with on_target(source, board, emulator, port) as found:
        assert found is not None
        verdict = run_drift(
            source.folder,
            found.board,
            found.target,
            windows=cases,
            change=change or NONE,
            reset=reset,
        )
        if as_json:
            print_reading(source.folder, device, found.target.name)
        else:
            print_verdict(verdict, f"{found.board.id} on {found.target.name}")
        if verdict.alarm:
            raise HostToolsError("drift: the inputs are not those of the profile any more")
