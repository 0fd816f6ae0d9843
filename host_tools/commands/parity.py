"""tinyproof parity"""

from __future__ import annotations

import click

from host_tools.boards.board import ENGINE, load_board
from host_tools.commands_shared import emulated
from host_tools.errors import HostToolsError, UsageError
from host_tools.farm.choose import is_many
from host_tools.farm.options import farm_options
from host_tools.farm.run import Farm, Task, on_boards
from host_tools.library.via import describe, run_via_library
from host_tools.options import (
    DEFAULT_BOARD,
    engine_option,
    option,
    plan_options,
    source_options,
    switch,
)
from host_tools.parity.stage import print_parity
from host_tools.stages.graph import Source
from host_tools.stages.session import show_plan, up_to_date


@click.command(
    help="Compare every output byte of a board with TFLite Micro, in its emulator or at PORT; "
    "of several boards, side by side.",
    short_help="compare a board's outputs with TFLite Micro",
)
@engine_option(DEFAULT_BOARD)
@farm_options
@option(
    "--via",
    type=click.Choice(["library"]),
    help="library: a small program around the model as a library, by its public header alone",
)
@switch("--tap", help="compare every layer, and name the first that differs")
@source_options
@plan_options
def command(
    source: Source,
    farm: Farm,
    cases: int | None,
    via: str | None,
    tap: bool,
    dry_run: bool,
    why: bool,
) -> None:
    """The verdict."""
    if via:
        _via_library(source, farm, cases, tap=tap, plan=(dry_run, why))
        return
    task = Task(name="parity", options={"cases": cases, "tap": tap})
    on_boards(source, farm, task, dry_run=dry_run, why=why)


def _via_library(
    source: Source, farm: Farm, cases: int | None, *, tap: bool, plan: tuple[bool, bool]
) -> None:
    """The same of the library, in an emulator."""
    board = farm.board
    if farm.ports or tap:
        wrong = f"PORT={farm.ports[0]}" if farm.ports else "TAP=1"
        raise UsageError(
            f"{wrong}: VIA=library runs in an emulator and compares outputs; a board runs "
            "the library's self-test in a program of your own"
        )
    if is_many(board, ()) or farm.junit or farm.limit_s:
        wrong = f"JUNIT={farm.junit}" if farm.junit else f"TIME_LIMIT={farm.limit_s}"
        wrong = f"BOARD={board}" if is_many(board, ()) else wrong
        raise UsageError(f"{wrong}: VIA=library runs on one board and prints its verdict")
    wanted = load_board(board or DEFAULT_BOARD)
    if wanted.engine != ENGINE:
        raise UsageError("VIA=library is generated code; ENGINE=tflm has no library of ours")
    if wanted.suffix:
        raise UsageError(
            f"BOARD={board}: VIA=library has a program of its own, without {wanted.suffix[1:]}; "
            "name the board only"
        )
    dry_run, why = plan
    if dry_run or why:
        show_plan(source.stages(), why=why)
        print("the library, the program around it and the comparison are made every time")
        return
    found = emulated(board, farm.emulator)
    with up_to_date(source, source.stages()):
        report, beside = run_via_library(source.folder, found.board, found.target, cases)
    print_parity(report)
    print("\n".join(describe(beside)))
    if beside.windows_equal < beside.windows:
        raise HostToolsError(
            f"{report.board}: samples that the library was given one by one end in other answers "
            f"in {beside.windows - beside.windows_equal} of {beside.windows} windows"
        )
