"""tinyproof readme"""

from __future__ import annotations

import click

from host_tools.commands.demo import BOARDS
from host_tools.options import cases_option, source_options, switch
from host_tools.report.readme import refresh_lists, update_readme
from host_tools.stages.graph import Source, demo_stages
from host_tools.stages.session import up_to_date


@click.command(
    help="Put the numbers of a finished run into the README.md of this checkout.",
    short_help="put a run's numbers into README.md",
)
@switch("--lists", help="only the lists that need no run: operators, benchmarks, recorded rows")
@source_options
@cases_option
def command(source: Source, lists: bool, cases: int | None) -> None:
    """A run, then its numbers."""
    if lists:
        print(refresh_lists())
        return
    with up_to_date(source, demo_stages(source, BOARDS)):
        print(update_readme(source.folder))
