"""tinyproof reproduce"""

from __future__ import annotations

import click

from host_tools.experiments.reproduce import reproduce
from host_tools.options import in_project
from host_tools.project import BUILD


@click.command(
    help="Make a recorded experiment again in a folder of its own, and compare every file. RUN is "
    "'last' (default) or the beginning of an id.",
    short_help="make an experiment again and compare every file",
)
@click.argument("run", envvar="TINYPROOF_RUN", default="last")
@in_project
def command(run: str) -> int:
    """0 when every file is equal."""
    return reproduce(run, BUILD)
