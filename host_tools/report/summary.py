"""The closing table of a run, on the terminal."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import IO, Any

from rich.console import Console
from rich.table import Table

from host_tools.report.chips import counts_of_others
from host_tools.report.collect import DIFFERS, EQUAL, collect, float_comparisons, runs_on
from host_tools.terminal import plain
from host_tools.wording import as_typed
from model.evaluate import headline

JsonObject = dict[str, Any]

WIDTH = 100
STYLES = {EQUAL: "bold green", DIFFERS: "bold red"}
COLUMNS = (
    "board",
    "runs on",
    "equal",
    "as float",
    "right",
    "inference",
    "flash",
    "RAM",
    "arena",
    "stack",
)


def print_summary(out_dir: Path, stream: IO[str] | None = None) -> None:
    """Print verdict, one row a board, the accuracies and where the report is.

    `stream` is standard output unless given; without a terminal the text is plain. Sizes are KiB
    used of KiB there are. Raises UsageError as host_tools.report.collect.collect does.
    """
    console = Console(file=stream or sys.stdout, highlight=False, soft_wrap=False)
    console.width = min(WIDTH, console.width) if console.is_terminal else WIDTH
    show_summary(console, out_dir)


def show_summary(console: Console, out_dir: Path) -> None:
    """As print_summary, on any console."""
    content = collect(out_dir)
    verdict = content["verdict"]
    console.print()
    console.print(plain(verdict["headline"], style=STYLES.get(verdict["state"], "bold")))
    for line in verdict["details"]:
        console.print(plain(line))
    if manifest := content["manifest"]:
        console.print(plain(f"Model {manifest['model_sha256'][:16]}."))
    if content["boards"]:
        console.print(_table(content["boards"], console.width))
        console.print(plain(_counted(content["boards"])))
        for line in counts_of_others(content["boards"]):
            console.print(plain(as_typed(line)))
    if accuracies := _accuracies(content):
        console.print(plain(accuracies))
    if (out_dir / "report.html").exists():
        console.print(plain(f"Report: {out_dir / 'report.html'}"), soft_wrap=True)


def _table(boards: JsonObject, width: int) -> Table:
    """One row a board; a narrow terminal does without the column of emulators."""
    floats = float_comparisons(boards)
    shown = [column for column in COLUMNS if width >= WIDTH or column != "runs on"]
    table = Table(box=None, padding=(0, 1, 0, 0))
    for column in shown:
        left = column in {"board", "runs on"}
        table.add_column(
            column, justify="left" if left else "right", no_wrap=not left, overflow="fold"
        )
    for name, board in boards.items():
        cells = dict(zip(COLUMNS, _cells(name, board, floats.get(name)), strict=True))
        styles = {
            "equal": STYLES.get(board["state"], ""),
            "as float": STYLES[DIFFERS] if floats.get(name, {}).get("failures") else "",
        }
        table.add_row(*(plain(cells[c], style=styles.get(c, "")) for c in shown))
    return table


def _cells(name: str, board: JsonObject, floats: JsonObject | None) -> list[str]:
    parity, bench, size = board["parity"], board["bench"], board["size"]
    result, budget = parity or bench, board["budget"]
    cells = [name, runs_on(result) if result else "-"]
    if parity:
        equal = f"{parity['equal']:,}/{parity['cases']:,}"
        cells.append(equal if board["state"] in STYLES else board["state"])
        cells.append(_as_float(floats))
        accuracy = parity["accuracy"]
        if accuracy and accuracy["cases"]:
            cells.append(f"{accuracy['correct'] / accuracy['cases'] * 100:.1f} %")
        else:  # numbers are near or far, not right
            told = headline(parity["metrics"]) if parity["metrics"] else None
            cells.append(f"{told.name} {told.text}" if told else "-")
    else:
        cells += [board["state"], "-", "-"]
    cells.append(f"{bench['counts']:,}" if bench else "-")
    if not size:
        return [*cells, "-", "-", "-", "-"]
    ram = size["ram_bytes"] + size["stack_bytes"]
    used = bench["stack_bytes"] or None if bench else None  # 0: the system's stack
    return [
        *cells,
        _of(size["flash_bytes"], budget["flash"]),
        _of(ram, budget["ram"]),
        _of(size["arena_bytes"], None),
        _of(used, size["stack_bytes"] or None),
    ]


def _as_float(found: JsonObject | None) -> str:
    """The share of the float network's decisions; where nothing is decided, the SQNR."""
    if found is None:
        return "-"
    if found["equal_decisions"] is not None:
        return f"{found['equal_decisions'] / found['cases'] * 100:.1f} %"
    sqnr = found["outputs"][0]["sqnr_db"]
    return "equal" if sqnr is None else f"{sqnr:.1f} dB"


def _of(used: int | None, limit: int | None) -> str:
    """'24.4/1,008' KiB; without a limit only what is used."""
    text = "-" if used is None else f"{used / 1024:.1f}"
    return text if limit is None else f"{text}/{limit / 1024:,.0f}"


def _counted(boards: JsonObject) -> str:
    """What the columns count."""
    units = sorted({board["bench"]["unit"] for board in boards.values() if board["bench"]})
    told = {
        "instructions": "instructions of the emulated processor (not board milliseconds)",
        "cycles": "clock cycles of the board",
        "nanoseconds": "nanoseconds on this computer",
    }
    counted = ", ".join(told.get(unit, unit) for unit in units)
    sizes = "Memory: KiB used/available; RAM includes the reserved stack."
    return f"Inference: {counted}. {sizes}" if counted else sizes


def _accuracies(content: JsonObject) -> str | None:
    train, quantised = content["train"], content["quantize"]
    scores = []
    if train:
        scores.append(("float", train["metrics"]["test"]))
    if quantised:
        chosen = quantised["chosen"]
        scores.append(("int8", quantised["candidates"][chosen]["test"]))
    if train and "random forest" in train["baselines"]:
        scores.append(("random forest", train["baselines"]["random forest"]))
    if not scores:
        return None
    measure = headline(scores[0][1]).name
    told = ", ".join(f"{name} {headline(metrics).text}" for name, metrics in scores)
    return f"{measure[:1].upper()}{measure[1:]} (test): {told}"
