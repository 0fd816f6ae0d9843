"""Single steps on a folder of results that a test has made by hand, without the stages before."""

from __future__ import annotations

from pathlib import Path

from host_tools.bench.benchmark import run_benchmark
from host_tools.bench.stage import print_benchmark
from host_tools.boards.board import SELFTEST, load_board
from host_tools.build.stage import build
from host_tools.errors import HostToolsError
from host_tools.link.target import choose_target
from host_tools.parity.certificate import run_features
from host_tools.parity.outputs import run_parity
from host_tools.parity.selftest import compare_kernels
from host_tools.parity.stage import print_features, print_parity
from model.command import run_and_exit_code

BUILD = Path("build")  # holds the folders; tests set it


def main(arguments: list[str]) -> int:
    """`build|parity|bench|features|selftest NAME BOARD [--emulator E] [--port P] [--cases N]`."""
    return run_and_exit_code(lambda: _run(*arguments[:3], *_options(arguments[3:])))


def _options(words: list[str]) -> tuple[dict[str, str], bool]:
    tap = "--tap" in words
    rest = [word for word in words if word != "--tap"]
    return dict(zip(rest[::2], rest[1::2], strict=True)), tap


def _run(step: str, name: str, board_name: str, options: dict[str, str], tap: bool) -> int:
    out_dir = BUILD / name
    if step == "build":
        build(out_dir, board_name, "bare")
        return 0
    if step == "selftest":
        board_name = board_name.removesuffix(SELFTEST) + SELFTEST
    board = load_board(board_name)
    target = choose_target(board, options.get("--emulator"), options.get("--port"))
    cases = int(options["--cases"]) if "--cases" in options else None
    if step == "parity":
        print_parity(run_parity(out_dir, board, target, cases, tap=tap))
    elif step == "bench":
        print_benchmark(run_benchmark(out_dir, board, target))
    elif step == "features":
        print_features(run_features(out_dir, board, target, cases))
    else:
        equal, told = compare_kernels(out_dir, board, target)
        print(f"{board.id} on {target.name}, {board.kernels} against ref: {told}")
        if not equal:
            raise HostToolsError(f"{board.id}: a kernel differs from the reference")
    return 0
