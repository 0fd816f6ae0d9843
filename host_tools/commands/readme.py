"""tinyproof readme"""

from __future__ import annotations

import click

from host_tools.commands.demo import BOARDS
from host_tools.options import RecipeName, in_project, option, switch
from host_tools.project import Import, open_source, require_checkout
from host_tools.report.readme import refresh_lists, update_readme
from host_tools.stages.graph import demo_stages
from host_tools.stages.session import up_to_date


@click.command(
    help="Put the numbers of a run into the README.md of this checkout.",
    short_help="put a run's numbers into README.md",
)
@option("--recipe", type=RecipeName(), help="whose run; default: motion")
@switch("--lists", help="only the lists that need no run: operators, benchmarks, recorded rows")
@in_project
def command(recipe: str | None, lists: bool) -> None:
    """A run, then its numbers."""
    require_checkout("readme")
    if lists:
        print(refresh_lists())
        return
    source = open_source(recipe, None, Import())
    with up_to_date(source, demo_stages(source, BOARDS)):
        print(update_readme(source.folder))
