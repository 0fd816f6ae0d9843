"""tinyproof search"""

from __future__ import annotations

import click

from host_tools.boards.board import load_board
from host_tools.commands_shared import DEFAULT_BOARD
from host_tools.options import COUNT, board_option, option, recipe_options
from host_tools.search.search import Search, run_search
from host_tools.search.table import describe, print_search
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
@recipe_options
def command(source: Source, board: str | None, budget: str, trials: int, steps: int | None) -> None:
    """search.json and best.toml."""
    chosen = load_board(board or DEFAULT_BOARD)
    recipe = source.recipe
    assert recipe is not None
    with up_to_date(source, source.stages_to("check")):
        found = Search(recipe, chosen, source.folder, steps or max(recipe.train.steps // 3, 1))
        print_search(run_search(found, budget, trials, lambda c: print(describe(c))))
    print(f"All of it: {found.folder / 'search.json'}, the chosen recipe: best.toml beside it")
