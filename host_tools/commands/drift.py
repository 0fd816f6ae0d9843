"""tinyproof drift"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, redirect_stdout
from typing import TextIO

import click

from host_tools.drift.data import NONE
from host_tools.errors import UsageError
from host_tools.farm.choose import is_many
from host_tools.farm.options import farm_options
from host_tools.farm.run import Farm, Task, on_boards
from host_tools.options import (
    COUNT,
    DEFAULT_BOARD,
    budget_options,
    engine_option,
    option,
    recipe_options,
    switch,
)
from host_tools.stages.graph import Source


@click.command(
    help="Compare what a board has counted of its inputs with the recipe's profile; of several "
    "boards, side by side.",
    short_help="compare what a board meets with what it was trained on",
)
@engine_option(DEFAULT_BOARD)
@farm_options
@option("--cases", type=COUNT, help="windows that an emulated board is fed with; default 256")
@option("--change", help="made to these windows, such as 'gain 0.7'; a wrong one lists all")
@switch("--reset", help="forget the counts after reading them")
@switch("--json", "as_json", make="JSON", help="print the reading as a line for tinyproof fleet")
@option("--device", help="which board it is, for --json; default: this computer and the port")
@recipe_options
@budget_options
def command(
    source: Source,
    farm: Farm,
    cases: int | None,
    change: str | None,
    reset: bool,
    as_json: bool,
    device: str | None,
) -> None:
    """drift.json; an alarm is exit code 1."""
    if as_json and is_many(farm.board, farm.ports):
        raise UsageError("--json (JSON=1): a reading is of one board; name one")
    options = {"windows": cases, "change": change or NONE, "reset": reset}
    with _readings_alone() if as_json else nullcontext() as readings:
        told = {"reading_to": readings, "device": device}
        on_boards(source, farm, Task(name="drift", options={**options, **told}))


@contextmanager
def _readings_alone() -> Iterator[TextIO]:
    """Standard output for readings; what else is printed, by stages in processes of their own too,
    goes to standard error: a stream of readings must hold nothing else."""
    output = sys.stdout
    try:
        own = output.fileno()
    except (OSError, ValueError):  # no file: a test's
        with redirect_stdout(sys.stderr):
            yield output
        return
    output.flush()
    kept = os.dup(own)
    os.dup2(sys.stderr.fileno(), own)
    try:
        with os.fdopen(os.dup(kept), "w", encoding="utf-8") as readings:
            yield readings
    finally:
        output.flush()
        os.dup2(kept, own)
        os.close(kept)
