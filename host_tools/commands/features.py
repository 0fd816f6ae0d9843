"""tinyproof features"""

from __future__ import annotations

import click

from host_tools.commands_shared import on_target
from host_tools.farm.tasks import stage_of
from host_tools.options import (
    CASES,
    DEFAULT_BOARD,
    board_option,
    budget_options,
    engine_option,
    plan_options,
    recipe_options,
    target_options,
)
from host_tools.parity.certificate import run_features
from host_tools.parity.stage import print_features
from host_tools.stages.graph import Source, features_stage


@click.command(
    help="Compare a board's front end with the host's, stage by stage.",
    short_help="compare a board's front end with the host's",
)
@board_option
@engine_option(DEFAULT_BOARD)
@target_options
@recipe_options
@budget_options
@CASES
@plan_options
def command(
    source: Source,
    board: str | None,
    emulator: str | None,
    port: str | None,
    cases: int | None,
    dry_run: bool,
    why: bool,
) -> None:
    """features.json."""
    with on_target(source, board, emulator, port, dry_run=dry_run, why=why) as found:
        if found is not None:
            place = (source.folder, found.board, found.target)
            with stage_of(features_stage, *place, whole=cases is None):
                print_features(run_features(*place, cases))
