"""tinyproof classical"""

from __future__ import annotations

import click

from host_tools.boards.board import load_board
from host_tools.options import board_option, budget_options, option, plan_options, recipe_options
from host_tools.report.classical import compare, sentences, table
from host_tools.stages.graph import (
    Source,
    bench_stage,
    build_stage,
    classical_stages,
    parity_stage,
)
from host_tools.stages.session import show_plan, up_to_date
from host_tools.terminal import wide_console
from model.classical import EXPORTERS, KINDS, exporters_of

BOARDS = ("qemu_m4", "qemu_xtensa")


@click.command(
    help="Is a network needed? Forest, tree, boosted trees, logistic regression and SVM in the "
    "same firmware: train, prove, measure.",
    short_help="compare the network with forest, trees, logistic regression, SVM",
)
@board_option
@option("--kind", type=click.Choice(sorted(KINDS)), help="default: all")
@option(
    "--exporter",
    type=click.Choice(sorted({name for names in EXPORTERS.values() for name in names})),
    help="who writes the C; default: emlearn for trees that vote, ours for the rest",
)
@recipe_options
@budget_options
@plan_options
def command(
    source: Source,
    board: str | None,
    kind: str | None,
    exporter: str | None,
    dry_run: bool,
    why: bool,
) -> None:
    """classical.json."""
    boards = [load_board(name) for name in ([board] if board else BOARDS)]
    stages = source.stages()
    for chosen in boards:
        make_one = (build_stage, parity_stage, bench_stage)
        stages += [stage(source.folder, chosen) for stage in make_one]
    kinds = [kind] if kind else [one for one in KINDS if exporter in (None, *EXPORTERS[one])]
    for one in kinds:
        stages += classical_stages(source, one, exporters_of(one, exporter)[0], boards)
    if dry_run or why:
        show_plan(stages, why=why)
        return
    with up_to_date(source, stages):
        content = compare(source.folder)
        wide_console(160).print(table(content))
        for line in sentences(content):
            print(line)
