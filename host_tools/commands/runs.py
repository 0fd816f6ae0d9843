"""tinyproof runs"""

from __future__ import annotations

from pathlib import Path

import click

from host_tools.experiments.comparison import comparison_page
from host_tools.experiments.listing import pair, print_differences, print_runs, show
from host_tools.options import File, in_project, option
from model.files import write_text


@click.command(
    help="List the recorded experiments, show one, or compare two.",
    short_help="list, show and compare recorded experiments",
)
@option("--show", "shown", make="SHOW", metavar="ID", help="'last', or the beginning of an id")
@option("--diff", metavar="A,B", help="what differs between two")
@option(
    "--html", type=File(), metavar="FILE", help="write the two of --diff side by side as a page"
)
@in_project
def command(shown: str | None, diff: str | None, html: Path | None) -> None:
    """Of the project's store."""
    if html is not None and diff is None:
        raise click.UsageError("--html is for the two experiments of --diff a,b")
    if shown:
        show(shown)
    elif diff is not None and html is not None:
        write_text(html, comparison_page(*pair(diff)))
        print(html)
    elif diff is not None:
        print_differences(diff)
    else:
        print_runs()
