"""tinyproof emit"""

from __future__ import annotations

import click

from host_tools.options import plan_options, source_options
from host_tools.stages.graph import Source
from host_tools.stages.session import make


@click.command(
    help="Write model.c, the TFLite Micro array and the manifest, for every set of kernels.",
    short_help="write C for every set of kernels",
)
@source_options
@plan_options
def command(source: Source, dry_run: bool, why: bool) -> None:
    """Everything up to the stage 'emit'."""
    make(source, source.stages(), dry_run=dry_run, why=why)
