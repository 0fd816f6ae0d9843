"""tinyproof quantise"""

from __future__ import annotations

import click

from host_tools.options import plan_options, recipe_options
from host_tools.stages.graph import Source
from host_tools.stages.session import make


@click.command(
    help="Quantise a trained recipe, post-training and quantisation-aware; validation chooses.",
    short_help="int8 both ways, chosen by validation",
)
@recipe_options
@plan_options
def command(source: Source, dry_run: bool, why: bool) -> None:
    """Everything up to the stage 'quantise'."""
    make(source, source.stages_to("quantise"), dry_run=dry_run, why=why)
