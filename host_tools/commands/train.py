"""tinyproof train"""

from __future__ import annotations

import click

from host_tools.options import option, plan_options, recipe_options, scheduler_option, switch
from host_tools.stages.engine import run_isolated
from host_tools.stages.graph import Source
from host_tools.stages.session import make, up_to_date


@click.command(help="Train the float network of a recipe.", short_help="train the float network")
@option("--cv", type=click.IntRange(min=2), help="cross-validate as well: folds of the groups")
@option("--repeats", type=click.IntRange(min=1), default=3, help="seeds for each fold")
@switch("--held-out", help="cross-validate without the test groups, so that it may choose settings")
@scheduler_option
@switch("--int8", help="quantise each network of the folds both ways, and score that too")
@recipe_options
@plan_options
def command(
    source: Source,
    cv: int | None,
    repeats: int,
    held_out: bool,
    int8: bool,
    dry_run: bool,
    why: bool,
) -> None:
    """Everything up to the stage 'train', then the folds."""
    stages = source.stages_to("train")
    if cv is None or dry_run or why:
        make(source, stages, dry_run=dry_run, why=why)
        return
    with up_to_date(source, stages):
        run_isolated(
            "quantize.stages.cross_validate:cross_validate",
            {
                "recipe": source.recipe,
                "out_dir": source.folder,
                "folds": cv,
                "repeats": repeats,
                "held_out": held_out,
                "int8": int8,
            },
        )
