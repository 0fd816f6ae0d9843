"""What a search found, as lines and a table."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from host_tools.report.page import network_text
from host_tools.search.search import DEFAULT, Candidate


def describe(candidate: Candidate) -> str:
    """One line on one candidate."""
    name = "the recipe" if candidate.trial == DEFAULT else f"trial {candidate.trial}"
    cost = candidate.cost
    spent = f"{cost.instructions:,} instructions, flash {cost.flash:,}" if cost else "not built"
    score = f"validation {candidate.val:.3f}" if candidate.val is not None else candidate.problem
    return f"{name}: {spent}: {score}"


def print_search(result: dict[str, Any]) -> None:
    """The recipe, the trials that no other beats, and the finalists."""
    table = Table(
        "",
        "network",
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
    console = Console()
    (console if console.is_terminal else Console(width=180)).print(table)
    console.print(f"Chosen {result['rule']}; test groups were not looked at.")


def _row(candidate: dict[str, Any]) -> list[str]:
    cost = candidate["cost"]
    if candidate["val"] is None:
        return [network_text(candidate), candidate["problem"] or "", *[""] * 7]
    return [
        network_text(candidate),
        f"{candidate['folds']:.3f}" if candidate["folds"] is not None else "",
        f"{candidate['val']:.3f}",
        f"{candidate['test']:.3f}",
        *(f"{cost[name]:,}" for name in ("instructions", "constants", "flash", "arena")),
        f"{candidate['deflated']:,}",
    ]
