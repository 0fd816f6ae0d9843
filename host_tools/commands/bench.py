"""tinyproof bench"""

from __future__ import annotations

import click

from host_tools.bench.benchmark import run_benchmark
from host_tools.bench.stage import measure_alternative, print_benchmark
from host_tools.commands_shared import on_target
from host_tools.options import (
    DEFAULT_BOARD,
    board_option,
    engine_option,
    plan_options,
    source_options,
    target_options,
)
from host_tools.stages.graph import Source


@click.command(
    help="Count what an inference costs on a board, layer by layer, and its memory.",
    short_help="count instructions and memory on a board",
)
@board_option
@engine_option(DEFAULT_BOARD)
@target_options
@source_options
@plan_options
def command(
    source: Source,
    board: str | None,
    emulator: str | None,
    port: str | None,
    dry_run: bool,
    why: bool,
) -> None:
    """bench.json."""
    with on_target(source, board, emulator, port, dry_run=dry_run, why=why) as found:
        if found is not None:
            result = run_benchmark(source.folder, found.board, found.target)
            print_benchmark(result)
            if found.target.emulator is not None:
                measure_alternative(source.folder, found.board, result)
            print(f"  per layer: {source.folder / found.board.folder / found.target.file('bench')}")
