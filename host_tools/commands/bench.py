"""tinyproof bench"""

from __future__ import annotations

import click

from host_tools.farm.options import farm_options
from host_tools.farm.run import Farm, Task, on_boards
from host_tools.options import DEFAULT_BOARD, engine_option, plan_options, source_options
from host_tools.stages.graph import Source


@click.command(
    help="Count what an inference costs on a board, layer by layer, and its memory; of several "
    "boards, side by side.",
    short_help="count instructions and memory on a board",
)
@engine_option(DEFAULT_BOARD)
@farm_options
@source_options
@plan_options
def command(source: Source, farm: Farm, dry_run: bool, why: bool) -> None:
    """bench.json."""
    on_boards(source, farm, Task(name="bench", options={}), dry_run=dry_run, why=why)
