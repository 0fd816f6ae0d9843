"""tinyproof runs"""

from __future__ import annotations

import click

from host_tools.experiments.listing import print_differences, print_runs, show
from host_tools.options import in_project, option


@click.command(
    help="List the recorded experiments, show one, or compare two.",
    short_help="list, show and compare recorded experiments",
)
@option("--show", "shown", make="SHOW", metavar="ID", help="'last', or the beginning of an id")
@option("--diff", metavar="A,B", help="what differs between two")
@in_project
def command(shown: str | None, diff: str | None) -> None:
    """Of the project's store."""
    if shown:
        show(shown)
    elif diff is not None:
        print_differences(diff)
    else:
        print_runs()
