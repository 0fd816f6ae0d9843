"""tinyproof compare"""

from __future__ import annotations

import click
from rich.console import Console
from rich.table import Table

from host_tools.bench.compare import measure_engine, stored, write_comparison
from host_tools.boards.board import ENGINE, ENGINES, TFLM, Board, chip_board, load_board
from host_tools.build.engine import require_engine
from host_tools.commands_shared import emulated, on_target
from host_tools.errors import HostToolsError, UsageError
from host_tools.options import (
    DEFAULT_BOARD,
    board_option,
    library_option,
    source_options,
    target_options,
)
from host_tools.report.engines import TITLES, rows
from host_tools.stages.graph import Source
from host_tools.wording import as_typed


@click.command(
    help="Run a model on a board as generated code and in TFLite Micro's interpreter: bytes, "
    "instructions or cycles, start-up, flash and RAM in one table. At PORT it measures the engine "
    "that is flashed and shows what the other one has left.",
    short_help="compare generated code with TFLite Micro on a board",
)
@board_option
@library_option
@target_options
@source_options
def command(
    source: Source, board: str | None, emulator: str | None, port: str | None, cases: int | None
) -> None:
    """compare.json, and the table."""
    name = board or DEFAULT_BOARD
    if load_board(name).engine != ENGINE or load_board(name).selftest:
        raise UsageError(f"BOARD={board}: compare runs both engines; name the board only")
    names = [board] if port else [name, f"{load_board(name).id}-{TFLM}"]
    if not port:
        for named in names:  # what cannot run is told before anything does
            require_engine(emulated(named, emulator).board, "bare")
    boards: dict[str, Board] = {}
    wrong: list[str] = []
    for named in names:
        with on_target(source, named, emulator, port) as found:
            assert found is not None
            told = measure_engine(source.folder, found.board, found.target, cases)
            wrong += [f"ENGINE={found.board.engine}: {told}"] if told else []
            boards[found.board.engine], target = found.board, found.target
    measured = next(iter(boards.values()))
    boards = {engine: boards.get(engine) or _with(measured, engine) for engine in ENGINES}
    results = stored(source.folder, boards, target)
    path = write_comparison(source.folder, boards[ENGINE], target, results)
    table = Table(title=f"{measured.id}: both engines")
    for title in ("", *(TITLES[engine] for engine in ENGINES), "ratio"):
        table.add_column(title, justify="right" if title else "left")
    for row in rows(results):
        table.add_row(row.title, *row.values, row.ratio)
    Console().print(table)
    for engine in (e for e in ENGINES if e not in results):
        again = f"make flash {source.says} BOARD={measured.id} ENGINE={engine}"
        print(as_typed(f"{TITLES[engine]} has not run there: {again}, then compare again"))
    if bench := results.get(TFLM, {}).get("bench"):
        print(
            f"TFLite Micro used {bench['arena_used']:,} of {bench['arena_bytes']:,} bytes of its "
            + as_typed("arena; ARENA=bytes gives it another size, a little above what it uses: ")
            + "planning takes some more for a moment"
        )
    print(f"kept in {path}")
    if wrong:
        raise HostToolsError("; ".join(wrong))


def _with(board: Board, engine: str) -> Board:
    """What `flash` builds for the same board and framework with another engine."""
    other = load_board(f"{board.id}-{engine}" if engine != ENGINE else board.id)
    return chip_board(other, board.framework).with_framework(board.framework)
