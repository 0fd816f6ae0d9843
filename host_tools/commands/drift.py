"""tinyproof drift"""

from __future__ import annotations

import click

from host_tools.drift.data import NONE
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
    short_help="is what a board meets still what it was trained on?",
)
@engine_option(DEFAULT_BOARD)
@farm_options
@option("--cases", type=COUNT, help="windows that an emulated board is fed with; default 256")
@option("--change", help="made to these windows, such as 'rotation 90 z'")
@switch("--reset", help="forget the counts after reading them")
@recipe_options
@budget_options
def command(source: Source, farm: Farm, cases: int | None, change: str | None, reset: bool) -> None:
    """drift.json; an alarm is exit code 1."""
    options = {"windows": cases, "change": change or NONE, "reset": reset}
    on_boards(source, farm, Task(name="drift", options=options))
