"""Measure one board of a folder of results, and models that are not its own beside it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from rich.table import Table

from host_tools.bench.benchmark import BenchmarkResult, describe_footprint, run_benchmark
from host_tools.bench.estimate import describe
from host_tools.boards.board import ENGINE, Board, load_board
from host_tools.boards.chip_kernels import other_kernels
from host_tools.build.firmware import build_firmware
from host_tools.link.target import choose_target, image_words
from host_tools.report.results import read_result
from host_tools.stages.lock import locked
from host_tools.terminal import wide_console
from host_tools.wording import as_typed
from model.files import write_json
from model.recipe import Recipe
from quantize.golden import load_golden
from quantize.manifest import compile_sets
from quantize.scheme import TITLES


def bench(out_dir: Path, board_name: str) -> None:
    """Write <board>/bench.json of the board's first emulator, and what measure_alternative writes.

    Raises as run_benchmark does.
    """
    board = load_board(board_name)
    result = run_benchmark(out_dir, board, choose_target(board, None, None))
    print_benchmark(result)
    measure_alternative(out_dir, board, result)


def measure_alternative(out_dir: Path, board: Board, chosen: BenchmarkResult) -> None:
    """<board>/alternative.json: what the model costs that was not chosen, beside the chosen one.

    Only where quantisation tried activations of both widths.
    """
    folder, written = out_dir / "alternative", out_dir / board.folder / "alternative.json"
    written.unlink(missing_ok=True)
    if not (folder / "model.tflite").exists() or board.engine != ENGINE:
        return
    quantised = read_result(out_dir / "quantize.json", "chosen", "alternative")
    other = measure_model(folder, board, quantised["alternative"])
    write_json(written, asdict(other) | {"name": quantised["alternative"]})
    for name, cost in ((quantised["chosen"], chosen), (quantised["alternative"], other)):
        print(
            f"  {TITLES[name]}: {cost.counts:,} {cost.unit}, constants {cost.weight_bytes:,} "
            f"bytes, arena {cost.arena_bytes:,} bytes"
        )


def measure_model(
    folder: Path, board: Board, name: str, recipe: Recipe | None = None
) -> BenchmarkResult:
    """Build `folder`/model.tflite, with the recipe's front end, for the board, run it, and count.

    Two cases of golden.npz are enough. Raises what building and running raises.
    """
    with locked(folder / "gen"):  # boards that run beside each other share kernels
        compile_sets(
            (folder / "model.tflite").read_bytes(),
            load_golden(folder / "golden.npz"),
            {board.kernels: board.gen_dir(folder)},
            name=name,
            settings={},
            recipe=recipe,
        )
        build_firmware(board, board.gen_dir(folder), folder / board.folder)
    return run_benchmark(folder, board, choose_target(board, None, None))


def print_layers(result: BenchmarkResult) -> None:
    """What each operator takes of an inference, in the order in which they run."""
    total = max(result.counts, 1)
    table = Table("operator", result.unit, "share", "MACs", "each MAC")
    estimated = any(row["cycles"] is not None for row in result.per_layer)
    if estimated:
        table.add_column("cycles, estimate")
    for column in table.columns[1:]:
        column.justify = "right"
    for row in result.per_layer:
        counts, macs = row["counts"], row["macs"]
        table.add_row(
            f"{row['operator']} {row['op']}",
            f"{counts:,}",
            f"{counts / total:.1%}",
            f"{macs:,}",
            f"{counts / macs:.2f}" if macs else "",
            *([f"{row['cycles'] or 0:,}"] if estimated else []),
        )
    wide_console().print(table)


def print_benchmark(result: BenchmarkResult) -> None:
    """What an inference costs, in a few lines."""
    per_mac = f", {result.counts / result.macs:.2f} per MAC" if result.macs else ""
    print(
        f"{result.board}: {result.counts:,} {result.unit} an inference{per_mac}; arena "
        f"{result.arena_used:,} of {result.arena_bytes:,} bytes, stack {result.stack_bytes:,} of "
        f"{result.stack_reserved:,}\n  model {result.model_sha256[:16]}, "
        f"{image_words(result.kernels, result.framework, result.engine)}, run {result.run_id}"
    )
    for line in other_kernels(result.board, result.kernels, result.emulator):
        print(as_typed(line))
    print(f"  {describe_footprint(result.footprint)}")
    if result.mix is not None:
        kinds = asdict(result.mix)
        kinds.pop("instructions")
        print("  " + ", ".join(f"{name.replace('_', ' ')} {n:,}" for name, n in kinds.items()))
    elif result.unit == "instructions":
        print(f"  loads, stores, branches: not measured: {result.mix_missing}")
    for estimated in result.estimates:
        print(f"  {describe(estimated)}")
