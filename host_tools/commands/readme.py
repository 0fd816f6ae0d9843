"""tinyproof readme"""

from __future__ import annotations

from pathlib import Path

import click

from host_tools.commands.demo import BOARDS
from host_tools.options import File, RecipeName, in_project, option, switch
from host_tools.project import Import, open_source, require_checkout
from host_tools.report.readme import refresh_lists, update_readme, update_sizes
from host_tools.stages.graph import demo_stages
from host_tools.stages.session import up_to_date


@click.command(
    help="Put the numbers of a run into the README.md of this checkout.",
    short_help="put a run's numbers into README.md",
)
@option("--recipe", type=RecipeName(), help="whose run; default: motion")
@option("--model", type=File(), help="only docs/LIBRARY.md: sizes of an imported model's forms")
@switch("--lists", help="only the lists that need no run: operators, benchmarks, recorded rows")
@in_project
def command(recipe: str | None, model: Path | None, lists: bool) -> None:
    """A run, then its numbers."""
    require_checkout("readme")
    if model and (recipe or lists):
        raise click.UsageError("expected one of --recipe, --model and --lists, got several")
    if model:
        print(update_sizes(open_source(None, model, Import()).folder))
        return
    if lists:
        print(refresh_lists())
        return
    source = open_source(recipe, None, Import())
    with up_to_date(source, demo_stages(source, BOARDS)):
        print(update_readme(source.folder))
