"""tinyproof drift"""

from __future__ import annotations

import sys
from contextlib import nullcontext, redirect_stdout

import click

from host_tools.drift.data import NONE
from host_tools.errors import UsageError
from host_tools.farm.choose import is_many
from host_tools.farm.options import farm_options
from host_tools.farm.run import Farm, Task, on_boards
from host_tools.options import (
    COUNT,
    DEFAULT_BOARD,
    budget_options,
    engine_option,
    option,
    recipe_options,
    switch,
)
from host_tools.stages.graph import Source


@click.command(
    help="Compare what a board has counted of its inputs with the recipe's profile; of several "
    "boards, side by side.",
    short_help="compare what a board meets with what it was trained on",
)
@engine_option(DEFAULT_BOARD)
@farm_options
@option("--cases", type=COUNT, help="windows that an emulated board is fed with; default 256")
@option("--change", help="made to these windows, such as 'rotation 90 z'")
@switch("--reset", help="forget the counts after reading them")
@switch("--json", "as_json", make="JSON", help="print the reading as a line for tinyproof fleet")
@option("--device", help="which board it is, for --json; default: this computer and the port")
@recipe_options
@budget_options
def command(
    source: Source,
    farm: Farm,
    cases: int | None,
    change: str | None,
    reset: bool,
    as_json: bool,
    device: str | None,
) -> None:
    """drift.json; an alarm is exit code 1."""
    if as_json and is_many(farm.board, farm.ports):
        raise UsageError("--json (JSON=1): a reading is of one board; name one")
    options = {"windows": cases, "change": change or NONE, "reset": reset}
    told = {"reading_to": sys.stdout if as_json else None, "device": device}
    # A stream of readings must hold nothing else, such as where the experiment is recorded.
    with redirect_stdout(sys.stderr) if as_json else nullcontext():
        on_boards(source, farm, Task(name="drift", options={**options, **told}))
