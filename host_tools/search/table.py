"""What a search has found so far and at its end, as lines and a table."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table

from host_tools.report.page import network_text
from host_tools.search.candidates import Candidate
from host_tools.search.search import DEFAULT
from host_tools.terminal import wide_console


def describe(candidate: Candidate) -> str:
    """One line on one candidate."""
    name = "the recipe" if candidate.trial == DEFAULT else f"trial {candidate.trial}"
    cost = candidate.cost
    spent = f"{cost.instructions:,} instructions, flash {cost.flash:,}" if cost else "not built"
    score = f"validation {candidate.val:.3f}" if candidate.val is not None else candidate.problem
    if candidate.folds is not None:
        score = f"{score}, trained in full, folds {candidate.folds:.3f}"
    return f"{name}: {spent}: {score}"


class Watcher:
    """Shows how a search goes on: a line for each candidate, and on a terminal a bar below them."""

    def __init__(self, console: Console, bar: Bar, task: TaskID, total: int) -> None:
        self._console, self._bar, self._task = console, bar, task
        self._ended, self._total = 0, total
        self._lock = threading.Lock()
        self._best: Candidate | None = None

    def doing(self, text: str) -> None:
        """As search.Progress."""
        self._bar.update(self._task, doing=text)

    def found(self, candidate: Candidate, best: Candidate | None) -> None:
        """As search.Progress."""
        with self._lock:
            self._console.print(describe(candidate), markup=False, highlight=False, soft_wrap=True)
            if candidate.trial != DEFAULT:
                self._ended += 1  # more than was asked for: trials taken up, finalists
                total = max(self._ended, self._total)
                self._bar.update(self._task, completed=self._ended, total=total)
            if best is None or best == self._best:
                return
            self._best = best
            self._bar.update(self._task, best=f"best so far: {describe(best)}")
            if not self._console.is_terminal:
                self._console.print(
                    f"best so far: {describe(best)}", markup=False, highlight=False, soft_wrap=True
                )


@contextmanager
def watcher(trials: int) -> Iterator[Watcher]:
    """A Watcher of a search of so many trials."""
    console = Console()
    columns = (
        TextColumn("{task.fields[doing]}", markup=False),
        BarColumn(20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[best]}", markup=False),
    )
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("search", total=trials, doing="", best="")
        yield Watcher(console, bar, task, trials)


def print_search(result: dict[str, Any]) -> None:
    """The recipe, the trials that no other beats, and the finalists."""
    table = Table(
        "",
        "network",
        "folds",
        "validation",
        "test",
        "instructions",
        "constants",
        "flash",
        "arena",
        "deflated",
    )
    pareto = [t for t in result["trials"] if t["trial"] in result["pareto"]]
    for title, candidates in (
        ("recipe", [result["default"]]),
        (f"{result['steps']} steps", sorted(pareto, key=lambda t: t["cost"]["instructions"])),
        ("finalist", result["finalists"]),
        ("chosen", [result["best"]]),
    ):
        for candidate in candidates:
            table.add_row(title, *_row(candidate))
    console = wide_console(180)
    console.print(table)
    console.print(f"Chosen {result['rule']}; test groups were not looked at.")


def _row(candidate: dict[str, Any]) -> list[str]:
    cost = candidate["cost"]
    if candidate["val"] is None:
        return [network_text(candidate), "", escape(candidate["problem"] or ""), *[""] * 6]
    return [
        network_text(candidate),
        f"{candidate['folds']:.3f}" if candidate["folds"] is not None else "",
        f"{candidate['val']:.3f}",
        f"{candidate['test']:.3f}",
        *(f"{cost[name]:,}" for name in ("instructions", "constants", "flash", "arena")),
        f"{candidate['deflated']:,}",
    ]
