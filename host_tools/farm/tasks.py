"""What a command does with one board, alone or among many."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from host_tools.bench.benchmark import run_benchmark
from host_tools.bench.stage import measure_alternative, print_benchmark
from host_tools.boards.board import Board
from host_tools.drift.compare import print_verdict, run_drift
from host_tools.errors import HostToolsError
from host_tools.link.target import Target
from host_tools.parity.outputs import run_parity
from host_tools.parity.stage import print_parity


def parity(
    folder: Path, board: Board, target: Target, *, cases: int | None = None, tap: bool = False
) -> None:
    """parity.json, and HostToolsError when anything differs."""
    print_parity(run_parity(folder, board, target, cases, tap=tap))


def bench(folder: Path, board: Board, target: Target) -> None:
    """bench.json."""
    result = run_benchmark(folder, board, target)
    print_benchmark(result)
    if target.emulator is not None:
        measure_alternative(folder, board, result)
    print(f"  per layer: {folder / board.folder / target.file('bench')}")


def drift(
    folder: Path,
    board: Board,
    target: Target,
    *,
    windows: int | None,
    change: str,
    reset: bool,
) -> None:
    """drift.json, and HostToolsError when a test alarms."""
    verdict = run_drift(folder, board, target, windows=windows, change=change, reset=reset)
    print_verdict(verdict, f"{board.id} on {target.name}")
    if verdict.alarm:
        raise HostToolsError("drift: the inputs are not those of the profile any more")


TASKS: Mapping[str, Callable[..., Any]] = {"parity": parity, "bench": bench, "drift": drift}
