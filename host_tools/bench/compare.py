"""One board with both engines: a model as generated code, and in TFLite Micro's interpreter."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from host_tools.bench.benchmark import run_benchmark
from host_tools.bench.stage import print_benchmark
from host_tools.boards.board import Board
from host_tools.errors import HostToolsError
from host_tools.link.target import Target
from host_tools.parity.outputs import run_parity
from host_tools.parity.stage import print_parity
from host_tools.report.engines import numbers
from host_tools.report.results import SIZE_KEYS, read_manifest, read_result
from model.files import write_json

JsonObject = dict[str, Any]


def measure_engine(out_dir: Path, board: Board, target: Target, cases: int | None) -> str | None:
    """Parity and bench of a board's engine, with their files; returns what differs, if anything."""
    wrong, report = None, run_parity(out_dir, board, target, cases)
    try:
        print_parity(report)
    except HostToolsError as error:
        wrong = str(error)
    print_benchmark(run_benchmark(out_dir, board, target))
    return wrong


def stored(out_dir: Path, boards: Mapping[str, Board], target: Target) -> dict[str, JsonObject]:
    """Engine -> parity, bench and size that `target` has left of it, of the run that is generated.

    An engine of which one is missing is not there.
    """
    found = {}
    for engine, board in boards.items():
        folder = out_dir / board.folder
        try:
            run = read_manifest(board, out_dir)["run_id"]
            parity = read_result(folder / target.file("parity"), "run_id", "equal", "cases")
            bench = read_result(folder / target.file("bench"), "run_id", "unit", "start_counts")
            size = read_result(folder / "size.json", *SIZE_KEYS)
        except FileNotFoundError:
            continue
        if run == parity["run_id"] == bench["run_id"]:
            found[engine] = {"parity": parity, "bench": bench, "size": size}
    return found


def write_comparison(
    out_dir: Path, board: Board, target: Target, found: Mapping[str, JsonObject]
) -> Path:
    """compare.json beside the results of generated code: the numbers of the table."""
    path = out_dir / board.folder / target.file("compare")
    path.parent.mkdir(exist_ok=True)
    engines = {engine: numbers(results) for engine, results in found.items()}
    head = {"board": board.id, "emulator": target.emulator.name if target.emulator else None}
    write_json(path, head | {"engines": engines})
    return path
