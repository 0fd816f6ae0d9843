"""tinyproof search"""

from __future__ import annotations

import click

from host_tools.boards.board import ENGINE, load_board
from host_tools.options import (
    COUNT,
    DEFAULT_BOARD,
    board_option,
    option,
    recipe_options,
    scheduler_option,
)
from host_tools.search.candidates import Search
from host_tools.search.search import run_search
from host_tools.search.table import print_search, watcher
from host_tools.stages.graph import Source
from host_tools.stages.session import up_to_date


@click.command(
    help="Find a smaller network of a recipe under a board's budget, measured on its emulator.",
    short_help="find a smaller network under a budget",
)
@board_option
@option("--budget", required=True, help="as in flash=50%,instructions=200000")
@option("--trials", type=COUNT, default=20, help="default: 20")
@option("--steps", type=COUNT, help="of a trial's training; default: a third of the recipe's")
@option(
    "--storage",
    metavar="URL",
    help="database of the study for several machines, as postgresql://user@host/database; "
    "default: a file of the recipe's folder",
)
@scheduler_option
@recipe_options
def command(
    source: Source,
    board: str | None,
    budget: str,
    trials: int,
    steps: int | None,
    storage: str | None,
) -> None:
    """search.json, search.html and best.toml."""
    chosen = load_board(board or DEFAULT_BOARD)
    if chosen.engine != ENGINE:
        raise click.UsageError(f"{chosen.folder}: a search measures generated code only")
    recipe = source.recipe
    assert recipe is not None
    with up_to_date(source, source.stages_to("check")):
        found = Search(recipe, chosen, source.folder, steps or max(recipe.train.steps // 3, 1))
        with watcher(trials) as progress:
            result = run_search(found, budget, trials, progress, storage)
        print_search(result)
    print(f"All of it: {found.folder / 'search.html'}; the chosen recipe: best.toml beside it")
