"""Benchmark many models on many boards, as one table."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from host_tools.bench.benchmark import BenchmarkResult, describe_footprint, run_benchmark
from host_tools.bench.estimate import describe
from host_tools.bench.history import Entry, Record, compiler_version, last_entry
from host_tools.bench.instructions import Mix
from host_tools.boards.board import Board, load_board
from host_tools.build.firmware import build_firmware
from host_tools.errors import HostToolsError, UsageError
from host_tools.link.target import choose_target
from model.files import write_bytes, write_json, write_text
from quantize.errors import QuantizeError
from quantize.golden import make_golden, random_inputs, save_golden
from quantize.manifest import compile_sets
from quantize.tflite.reader import read_model

CASES = 10  # golden cases of a model made elsewhere, of which the benchmark runs one
SEED = 1  # of its random inputs
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
            if (known := found.setdefault(_name(file), file)) != file:
                raise UsageError(f"{known} and {file}: two models of one name; rename one")
    return [found[name] for name in sorted(found)]


def run_suite(
    out_dirs: Sequence[Path], models: Sequence[Path], build: Path, boards: Sequence[str]
) -> list[Row]:
    """Benchmark what is compiled in `out_dirs`, and the files `models`, in folders of `build`.

    What does not fit a board, is not supported or is not installed becomes a row with a problem.
    """
    rows = []
    for out_dir, file in [(d, None) for d in out_dirs] + [(build / _name(m), m) for m in models]:
        problem = _prepare(out_dir, file, boards) if file else None
        rows += [_measure(out_dir, load_board(board_id), problem) for board_id in boards]
    return rows


def _prepare(out_dir: Path, file: Path, boards: Sequence[str]) -> str | None:
    """Golden cases and C code of a model made elsewhere; returns what is wrong with it."""
    sets = {load_board(b).kernels: load_board(b).gen_dir(out_dir) for b in boards}
    try:
        graph, model = read_model(file), file.read_bytes()
        golden = make_golden(model, random_inputs(graph, CASES, SEED))
        write_bytes(out_dir / "model.tflite", model)
        save_golden(out_dir / "golden.npz", golden)
        compile_sets(model, golden, sets, name=out_dir.name, settings={})
    except QuantizeError as error:
        return str(error)
    return None


def _measure(out_dir: Path, board: Board, problem: str | None) -> Row:
    result = entry = None
    if problem is None:
        try:
            target = choose_target(board, None, None)
            build_firmware(board, board.gen_dir(out_dir), out_dir / board.folder)
            result = run_benchmark(out_dir, board, target)
            entry = _entry(out_dir.name, board, result)
        except HostToolsError as error:
            problem = str(error)
    return Row(model=out_dir.name, board=board.folder, result=result, entry=entry, problem=problem)


def _entry(model: str, board: Board, result: BenchmarkResult) -> Entry | None:
    if result.instructions is None:
        return None
    return Entry(
        model=model,
        board=board.folder,
        model_sha256=result.model_sha256,
        compiler=compiler_version(board.toolchain + "gcc"),
        instructions=result.instructions,
        code_bytes=result.code_bytes,
        weight_bytes=result.weight_bytes,
        arena_bytes=result.arena_bytes,
        footprint=result.footprint,
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
            console.print(Text(f"{row.model} on {row.board}: not measured: {first}"))
    for row in rows:
        if row.result is not None:
            line = describe_footprint(row.result.footprint)
            console.print(Text(f"{row.model} on {row.board}: {line}"))
    for row in rows:
        if row.result is not None and len(row.result.per_layer) > 1:
            console.print(_layers(row, row.result))
    for row in rows:
        for estimate in row.result.estimates if row.result else ():
            console.print(Text(f"{row.model}: {describe(estimate)}"))


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
    for title in ("step", "operator", result.unit, "per MAC", *COLUMNS[5:10]):
        table.add_column(title, justify="left" if title == "operator" else "right")
    steps = sorted(result.per_layer, key=lambda step: (-step["counts"], step["step"]))
    for step in sorted(steps[:LAYERS], key=lambda step: int(step["step"])):
        mix = None if step["mix"] is None else Mix(**step["mix"])
        table.add_row(
            str(step["step"]),
            step["op"],
            f"{step['counts']:,}",
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


def _name(model: Path) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "_", model.stem)
