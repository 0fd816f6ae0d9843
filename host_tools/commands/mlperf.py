"""tinyproof mlperf"""

from __future__ import annotations

from pathlib import Path

import click

from host_tools.boards.board import load_board
from host_tools.commands_shared import on_target
from host_tools.errors import UsageError
from host_tools.mlperf.benchmarks import BENCHMARKS
from host_tools.mlperf.dataset import read_dataset
from host_tools.mlperf.runner import describe, run_mlperf
from host_tools.options import (
    COUNT,
    DEFAULT_BOARD,
    File,
    answering,
    board_option,
    engine_option,
    mlperf_option,
    option,
    plan_options,
    source_options,
    target_options,
)
from host_tools.stages.graph import Source
from host_tools.wording import as_typed

MODES = ("performance", "accuracy")


@click.command(
    help="Run a benchmark of MLPerf Tiny on a board: latency and throughput, accuracy or AUC.",
    short_help="run a benchmark of MLPerf Tiny on a board",
)
@board_option
@engine_option(DEFAULT_BOARD)
@mlperf_option
@option("--data", type=File(), help="folder with y_labels.csv and the .bin files it names")
@option("--mode", type=click.Choice(MODES), help="default: both, accuracy with DATA only")
@option("--files", type=COUNT, help="accuracy over the first so many files; default: all")
@target_options
@source_options
@plan_options
def command(
    source: Source,
    board: str | None,
    mlperf: str | None,
    data: Path | None,
    mode: str | None,
    files: int | None,
    emulator: str | None,
    port: str | None,
    dry_run: bool,
    why: bool,
) -> None:
    """mlperf.json."""
    name = mlperf or load_board(board or DEFAULT_BOARD).mlperf
    if not name:
        raise UsageError(f"which benchmark? Give MLPERF=, one of {', '.join(BENCHMARKS)}")
    if mode == "accuracy" and data is None:
        raise UsageError("MODE=accuracy needs DATA=, the folder with y_labels.csv")
    dataset = read_dataset(data, name, BENCHMARKS[name]) if data else None
    if board or not port:
        board = answering(board or DEFAULT_BOARD, name)
    suffix = answering("", name)
    with on_target(source, board, emulator, port, dry_run=dry_run, why=why, suffix=suffix) as found:
        if found is None:
            return
        modes = [mode] if mode else list(MODES)
        report = run_mlperf(source.folder, found.board, found.target, name, dataset, modes, files)
        print(as_typed("\n".join(describe(report))))
        print(f"  {source.folder / found.board.folder / found.target.file('mlperf')}")
