"""The one table of all boards, while they run and at the end."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.table import Table

from host_tools.farm.checks import counts, retries, summary
from host_tools.farm.job import Row, State
from host_tools.farm.pool import read_log
from host_tools.terminal import plain, wide_console
from host_tools.wording import as_typed
from model.text import printable

LOG_LINES = 40  # of a board without success that are shown
HASH_DIGITS = 8
STYLES = {
    State.PASSED: "green",
    State.SKIPPED: "yellow",
    State.WAITING: "dim",
    State.BUILDING: "cyan",
    State.RUNNING: "cyan",
}


def make_table(command: str, rows: Sequence[Row]) -> Table:
    """Board, place, model, result, repetitions, counts, seconds, verdict."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("board", no_wrap=True)
    table.add_column("runs on", overflow="fold")
    table.add_column("model")
    for title in ("result", "retries", "an inference", "seconds"):
        table.add_column(title, justify="right")
    table.add_column("verdict", no_wrap=True)
    for row in rows:
        table.add_row(*map(plain, cells(command, row)), plain(row.state.value, _style(row.state)))
    return table


def cells(command: str, row: Row) -> list[str]:
    """All of a row but the verdict; nothing of a user's can be markup or move the cursor."""
    result = row.result or {}
    repeats, seconds = retries(result), row.seconds
    if seconds is None and row.started is not None:
        seconds = time.monotonic() - row.started
    texts = (
        row.board,
        row.where,
        str(result.get("model_sha256", "-"))[:HASH_DIGITS],
        summary(command, result) if result else "-",
        "-" if repeats is None else str(repeats),
        counts(result if command == "bench" else row.cost),
        "-" if seconds is None else f"{seconds:.1f}",
    )
    return [printable(text) for text in texts]


def _style(state: State) -> str:
    return STYLES.get(state, "red")


@contextmanager
def live(command: str, rows: Callable[[], Sequence[Row]]) -> Iterator[None]:
    """The table on a terminal, as it changes; elsewhere nothing."""
    console = Console()
    if not console.is_terminal:
        yield
        return
    with Live(
        get_renderable=lambda: make_table(command, rows()),
        console=console,
        refresh_per_second=4,
        transient=True,
    ):
        yield


def tell_end(row: Row) -> None:
    """One line when a board has ended, where no table is live."""
    if not sys.stdout.isatty():
        seconds = "" if row.seconds is None else f", {row.seconds:.1f} s"
        with contextlib.suppress(OSError):
            print(f"[{printable(row.name)}] {row.state.value}{seconds}", file=sys.stderr)


def show(command: str, rows: Sequence[Row]) -> None:
    """The table, then for each board without success what it has said."""
    for row in rows:
        if row.state in (State.PASSED, State.SKIPPED):
            continue
        said = read_log(row).strip().splitlines()
        if len(said) > 1:  # one line is the message, which stands below the table
            print(f"--- {printable(row.name)}: {row.state.value}; all it has said: {row.log}")
            for line in said[-LOG_LINES:]:
                print(as_typed(printable(line, keep="\t")))
    wide_console().print(make_table(command, rows))
    for row in rows:
        if row.message:
            told = row.message.removeprefix(f"{row.where}: ")
            print(as_typed(printable(f"{row.name}: {row.state.value}: {told}", keep="\n\t")))
