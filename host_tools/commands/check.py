"""tinyproof check"""

from __future__ import annotations

import click

from host_tools.options import ACCEPT, plan_options, recipe_options, scheduler_option
from host_tools.stages.graph import Source
from host_tools.stages.session import make


@click.command(
    help="Check the data of a recipe and cut it into windows.",
    short_help="check the data of a recipe",
)
@scheduler_option
@recipe_options
@ACCEPT
@plan_options
def command(source: Source, dry_run: bool, why: bool) -> None:
    """Everything up to the stage 'check'."""
    make(source, source.stages_to("check"), dry_run=dry_run, why=why, force="check")
