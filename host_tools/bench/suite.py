"""Benchmark many models on many boards, as one table."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from host_tools.bench.benchmark import BenchmarkResult, describe_footprint, load_benchmark
from host_tools.bench.estimate import describe
from host_tools.bench.history import Entry, Record, last_entry
from host_tools.bench.instructions import Mix
from host_tools.boards.board import Board, load_board
from host_tools.build.tools import compiler_version
from host_tools.errors import HostToolsError, UsageError
from host_tools.project import Import, import_model
from host_tools.stages.engine import update
from host_tools.stages.graph import Source, bench_stage, build_stage, model_name
from host_tools.stages.lock import locked
from host_tools.stages.session import announce
from host_tools.terminal import plain
from model.files import write_json, write_text
from quantize.errors import QuantizeError

CASES = 10  # golden cases of a model made elsewhere, of which the benchmark runs one
WIDTH = 150
LAYERS = 8  # the most expensive of a model and board that the text shows


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One model on one board: a result, or the problem that there was."""

    model: str
    board: str
    result: BenchmarkResult | None
    entry: Entry | None  # for the history, where the unit is instructions
    problem: str | None


def find_models(folders: Sequence[Path]) -> list[Path]:
    """Every .tflite file of `folders`, by name.

    Raises UsageError for a folder that has none, and for two files of the same name.
    """
    found: dict[str, Path] = {}
    for folder in folders:
        files = sorted(folder.glob("*.tflite"))
        if not files:
            raise UsageError(f"{folder}: no .tflite files there; give a folder with models")
        for file in files:
            if (known := found.setdefault(model_name(file), file)) != file:
                raise UsageError(f"{known} and {file}: two models of one name; rename one")
    return [found[name] for name in sorted(found)]


def run_suite(
    sources: Sequence[Source], models: Sequence[Path], build: Path, boards: Sequence[str]
) -> list[Row]:
    """Benchmark `sources`, and the files `models` in folders of `build`.

    What does not fit a board, is not supported or is not installed becomes a row with a problem.
    """
    rows = [row for source in sources for row in _rows(source.name, source, boards)]
    for file in models:
        try:
            source: Source | QuantizeError = import_model(
                file, Import(cases=CASES), anew=True, below=build
            )
        except QuantizeError as error:
            source = error
        rows += _rows(model_name(file), source, boards)
    return rows


def _rows(model: str, source: Source | QuantizeError, boards: Sequence[str]) -> list[Row]:
    """One model on every board; `source` is what was wrong when there is none."""
    problem = None
    if isinstance(source, Source):
        try:
            with locked(source.folder):
                update(source.stages(), announce)
                source.remember()
        except QuantizeError as error:
            problem = str(error)
    else:
        problem = str(source)
    rows = []
    for board in map(load_board, boards):
        result, told = None, problem
        if isinstance(source, Source) and problem is None:
            try:
                with locked(source.folder):
                    stages = [make(source.folder, board) for make in (build_stage, bench_stage)]
                    update(stages, announce)
                    result = load_benchmark(source.folder, board)
            except HostToolsError as error:
                told = str(error)
        entry = _entry(model, board, result) if result else None
        rows.append(Row(model=model, board=board.folder, result=result, entry=entry, problem=told))
    return rows


def _entry(model: str, board: Board, result: BenchmarkResult) -> Entry | None:
    if result.instructions is None:
        return None
    return Entry(
        model=model,
        board=board.folder,
        model_sha256=result.model_sha256,
        compiler=compiler_version(board),
        instructions=result.instructions,
        code_bytes=result.code_bytes,
        weight_bytes=result.weight_bytes,
        arena_bytes=result.arena_bytes,
        footprint=result.footprint,
        cycles=result.estimates[0].cycles[1] if result.estimates else None,
    )


def entries(rows: Sequence[Row]) -> tuple[Entry, ...]:
    """What a record of the history holds of `rows`."""
    return tuple(row.entry for row in rows if row.entry is not None)


def write_suite(folder: Path, rows: Sequence[Row], history: Sequence[Record]) -> str:
    """Write bench.json and bench.txt into `folder`; returns the text."""
    write_json(
        folder / "bench.json",
        [asdict(row) | {"change": _change(row, history)} for row in rows],
    )
    text = io.StringIO()
    show_suite(Console(width=WIDTH, file=text, highlight=False), rows, history)
    write_text(folder / "bench.txt", text.getvalue())
    return text.getvalue()


def show_suite(console: Console, rows: Sequence[Row], history: Sequence[Record]) -> None:
    """One table of all rows, the most expensive layers, and the estimates."""
    table = Table(box=None, padding=(0, 1, 0, 0))
    for title in COLUMNS:
        table.add_column(title, justify="left" if title in COLUMNS[:2] else "right")
    for row in rows:
        if row.result is not None:
            table.add_row(row.model, row.board, *_cells(row, row.result, history))
    console.print(table)
    console.print(
        "The counts are exact counts of emulators, not cycles of a chip. Change: instructions "
        "against the last record of docs/bench_history.json."
    )
    for row in rows:
        if row.problem is not None:
            first = row.problem.splitlines()[0]
            console.print(plain(f"{row.model} on {row.board}: not measured: {first}"))
    for row in rows:
        if row.result is not None:
            line = describe_footprint(row.result.footprint)
            console.print(plain(f"{row.model} on {row.board}: {line}"))
    for row in rows:
        if row.result is not None and len(row.result.per_layer) > 1:
            console.print(_layers(row, row.result))
    for row in rows:
        for estimate in row.result.estimates if row.result else ():
            console.print(plain(f"{row.model}: {describe(estimate)}"))


COLUMNS = (
    "model",
    "board",
    "instructions",
    "change",
    "per MAC",
    "loads",
    "stores",
    "branches",
    "jumps",
    "multiplies",
    "code B",
    "weights B",
    "arena B",
    "stack B",
)


def _cells(row: Row, result: BenchmarkResult, history: Sequence[Record]) -> list[str]:
    before = last_entry(history, row.entry) if row.entry else None
    changed = "" if before is None else f"{result.counts / before[1].instructions - 1:+.1%}"
    return [
        f"{result.counts:,}" + ("" if result.instructions else f" {result.unit}"),
        changed or "new",
        f"{result.counts / result.macs:.2f}" if result.macs else "-",
        *_mix_cells(result.mix),
        f"{result.code_bytes:,}",
        f"{result.weight_bytes:,}",
        f"{result.arena_bytes:,}",
        f"{result.stack_bytes:,}" if result.stack_reserved else "-",
    ]


def _mix_cells(mix: Mix | None) -> list[str]:
    if mix is None:
        return ["not measured"] * 5
    values = (mix.loads, mix.stores, mix.branches, mix.taken, mix.multiplies)
    return [f"{value:,}" for value in values]


def _layers(row: Row, result: BenchmarkResult) -> Table:
    """The most expensive steps of one row."""
    table = Table(box=None, padding=(0, 1, 0, 0), title=f"{row.model} on {row.board}")
    table.title_justify = "left"
    for title in ("step", "operator", result.unit, "est. cycles", "per MAC", *COLUMNS[5:10]):
        table.add_column(title, justify="left" if title == "operator" else "right")
    steps = sorted(result.per_layer, key=lambda step: (-step["counts"], step["step"]))
    for step in sorted(steps[:LAYERS], key=lambda step: int(step["step"])):
        mix = None if step["mix"] is None else Mix(**step["mix"])
        table.add_row(
            str(step["step"]),
            step["op"],
            f"{step['counts']:,}",
            f"{step['cycles']:,}" if step["cycles"] is not None else "-",
            f"{step['counts'] / step['macs']:.2f}" if step["macs"] else "-",
            *_mix_cells(mix),
        )
    if len(steps) > LAYERS:
        rest = sum(step["counts"] for step in steps[LAYERS:])
        table.add_row("", f"{len(steps) - LAYERS} smaller ones", f"{rest:,}")
    return table


def _change(row: Row, history: Sequence[Record]) -> dict[str, Any] | None:
    """What a row is compared with: the commit, and each value then."""
    if row.entry is None or (last := last_entry(history, row.entry)) is None:
        return None
    return {"commit": last[0], "before": asdict(last[1])}
