"""What a gate has found: a table for a terminal, a summary in Markdown for a comment."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from host_tools.gate.baseline import Baseline
from host_tools.gate.compare import Row, Verdict, change_text, value_text
from host_tools.report import markdown
from host_tools.terminal import plain, wide_console
from model.text import counted

TITLES = ("where", "measure", "baseline", "now", "change", "may change", "")
NUMBERS = (2, 3, 4)
SHORT = 12  # digits of a hash


def print_verdict(verdict: Verdict, path: str) -> None:
    """One line where all is well, else a table of what is not."""
    console = wide_console()
    if verdict.wrong:
        table = Table(title="over the limits of the baseline")
        for title in TITLES:
            table.add_column(title, justify="right" if TITLES.index(title) in NUMBERS else "left")
        for row in verdict.wrong:
            table.add_row(*map(plain, _cells(row)))
        console.print(table)
    for line in (*verdict.broken, *verdict.notes):
        console.print(plain(line))
    within = len(verdict.rows) - len(verdict.wrong)
    places = len({row.place for row in verdict.rows})
    console.print(
        plain(
            f"{counted(within, 'figure')} of {counted(places, 'place')} within the limits: {path}"
        )
    )
    if better := [row for row in verdict.rows if row.better]:
        console.print(plain(f"{counted(len(better), 'figure')} better than recorded"))


def _cells(row: Row) -> list[str]:
    return [
        row.place,
        row.title,
        value_text(row.measure, row.before, row.score),
        value_text(row.measure, row.now, row.score),
        change_text(row),
        row.limit,
        row.wrong or "ok",
    ]


def summary(baseline: Baseline, verdict: Verdict) -> str:
    """The whole comparison as Markdown, with what is wrong first; names are escaped."""
    word = "passed" if verdict.passed else "FAILED"
    lines = [f"### tinyproof gate of {markdown.code(baseline.name)}: {word}", ""]
    if verdict.broken:
        lines += [*(f"- {markdown.escape(line)}" for line in verdict.broken), ""]
    if wrong := verdict.wrong:
        lines += ["Over the limits:", "", _table(wrong)]
    fine = [row for row in verdict.rows if not row.wrong]
    if fine:
        told = f"{counted(len(fine), 'figure')} within the limits"
        lines += [f"<details><summary>{told}</summary>", "", _table(fine), "</details>", ""]
    lines += [f"- {markdown.escape(note)}" for note in verdict.notes]
    lines += ["", f"Baseline: {_told(baseline)}. Counts of emulators are instructions, not time."]
    return "\n".join(lines) + "\n"


def _table(rows: Sequence[Row]) -> str:
    cells = [[markdown.escape(cell) for cell in _cells(row)] for row in rows]
    return markdown.table([*TITLES[:-1], "state"], cells, NUMBERS)


def _told(baseline: Baseline) -> str:
    models = sorted({group.model_sha256[:SHORT] for group in baseline.groups.values()})
    return (
        f"model {', '.join(map(markdown.code, models))}, tinyproof "
        f"{markdown.escape(baseline.version)}"
    )
