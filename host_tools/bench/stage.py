"""Measure one board of a folder of results."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from host_tools.bench.benchmark import BenchmarkResult, describe_footprint, run_benchmark
from host_tools.bench.estimate import describe
from host_tools.boards.board import load_board
from host_tools.link.target import choose_target


def bench(out_dir: Path, board_name: str) -> None:
    """Write <board>/bench.json of the board's first emulator; raises as run_benchmark does."""
    board = load_board(board_name)
    print_benchmark(run_benchmark(out_dir, board, choose_target(board, None, None)))


def print_benchmark(result: BenchmarkResult) -> None:
    """What an inference costs, in a few lines."""
    per_mac = f", {result.counts / result.macs:.2f} per MAC" if result.macs else ""
    print(
        f"{result.board}: {result.counts:,} {result.unit} an inference{per_mac}; arena "
        f"{result.arena_used:,} of {result.arena_bytes:,} bytes, stack {result.stack_bytes:,} of "
        f"{result.stack_reserved:,}\n  model {result.model_sha256[:16]}, kernels {result.kernels}, "
        f"run {result.run_id}"
    )
    print(f"  {describe_footprint(result.footprint)}")
    if result.mix is not None:
        kinds = asdict(result.mix)
        kinds.pop("instructions")
        print("  " + ", ".join(f"{name.replace('_', ' ')} {n:,}" for name, n in kinds.items()))
    elif result.unit == "instructions":
        print(f"  loads, stores, branches: not measured: {result.mix_missing}")
    for line in result.estimates:
        print(f"  {describe(line)}")
