"""What a command does with one board, alone or among many."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TextIO

from host_tools.bench.benchmark import run_benchmark
from host_tools.bench.stage import measure_alternative, print_benchmark, print_layers
from host_tools.boards.board import Board
from host_tools.drift.compare import print_reading, print_verdict, run_drift
from host_tools.errors import HostToolsError
from host_tools.link.target import Target
from host_tools.parity.outputs import run_parity
from host_tools.parity.stage import print_parity
from host_tools.stages.engine import Stage, stamped
from host_tools.stages.graph import bench_stage, parity_stage


def parity(
    folder: Path, board: Board, target: Target, *, cases: int | None = None, tap: bool = False
) -> None:
    """parity.json, and HostToolsError when anything differs."""
    with stage_of(parity_stage, folder, board, target, whole=cases is None and not tap):
        print_parity(run_parity(folder, board, target, cases, tap=tap))


@contextmanager
def stage_of(
    stage: Callable[[Path, Board], Stage],
    folder: Path,
    board: Board,
    target: Target,
    *,
    whole: bool,
) -> Iterator[None]:
    """What is done within is the board's stage, where it is the `whole` of it in the emulator that
    stages use: then whoever needs the stage, as a gate, does not do it again."""
    with ExitStack() as stack:
        if whole and target.file("") == ".json":
            stack.enter_context(stamped(stage(folder, board)))
        yield


def bench(folder: Path, board: Board, target: Target) -> None:
    """bench.json."""
    with stage_of(bench_stage, folder, board, target, whole=True):
        result = run_benchmark(folder, board, target)
        print_benchmark(result)
        print_layers(result)
        if target.emulator is not None:
            measure_alternative(folder, board, result)
    print(f"  with the kinds of instructions: {folder / board.folder / target.file('bench')}")


def drift(
    folder: Path,
    board: Board,
    target: Target,
    *,
    windows: int | None,
    change: str,
    reset: bool,
    reading_to: TextIO | None = None,
    device: str | None = None,
) -> None:
    """drift.json, and HostToolsError when a test alarms; a table, or where `reading_to` is given
    the reading of `device` there, as tinyproof fleet takes it."""
    verdict = run_drift(folder, board, target, windows=windows, change=change, reset=reset)
    if reading_to is not None:
        print_reading(folder, device, target.name, reading_to)
    else:
        print_verdict(verdict, f"{board.id} on {target.name}")
    if verdict.alarm:
        raise HostToolsError("drift: the inputs are not those of the profile any more")


TASKS: Mapping[str, Callable[..., Any]] = {"parity": parity, "bench": bench, "drift": drift}
