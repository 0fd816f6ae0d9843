"""python -m host_tools doctor|build|run|parity|bench|bench-all|selftest|drift|flash|report|..."""

from __future__ import annotations

import argparse
import logging
import sys
from dataclasses import asdict
from pathlib import Path

from host_tools.boards.board import Board, load_board
from host_tools.errors import UsageError
from model.command import at_least, end, folder_name
from model.tracking import record

BUILD = Path("build")
FOLDER = "recipe or model name: the folder in build/"


def _add_take(sub: argparse.ArgumentParser) -> None:
    """What `record` wants to know of a take."""
    sub.add_argument("--label", required=True)
    sub.add_argument("--seconds", type=float, required=True)
    sub.add_argument("--who", help="who or what is recorded; default: the board")
    sub.add_argument("--out", type=Path, help="default: build/recordings/<label>")
    sub.add_argument("--replay", type=Path, help=".npz that an emulator replays")


def _add_experiments(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The commands about recorded experiments."""
    runs = commands.add_parser("runs", help="list the recorded experiments")
    runs.add_argument("--show", metavar="ID", help="'last', or the beginning of an id")
    runs.add_argument("--diff", metavar="A,B", help="what differs between two")
    commands.add_parser("runs-ui", help="MLflow's pages").add_argument(
        "--port", type=at_least(1), help="of this computer; default: 5000"
    )
    commands.add_parser("reproduce", help="make an experiment again").add_argument("id")
    whois = commands.add_parser("whois", help="the experiment that a firmware comes from")
    whois.add_argument("name", nargs="?", type=folder_name, help=f"with --board: {FOLDER}")
    for option in ("--board", "--emulator", "--port"):
        whois.add_argument(option)


def _add_suite(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The benchmark of many models."""
    suite = commands.add_parser("bench-all", help="benchmark many models on many boards")
    suite.add_argument("folders", nargs="*", type=Path, help="folders with .tflite files")
    suite.add_argument("--built", action="append", type=folder_name, default=[], help=FOLDER)
    suite.add_argument("--boards", nargs="+", required=True)
    suite.add_argument("--record", action="store_true", help="append to docs/bench_history.json")
    suite.add_argument("--reason", help="why something has grown since the last record")
    search = commands.add_parser("search", help="find a smaller network under a board's budget")
    search.add_argument("name", type=folder_name, help="recipe")
    search.add_argument("board")
    search.add_argument("--budget", required=True, help="as in flash=50%%,instructions=200000")
    search.add_argument("--trials", type=at_least(1), default=20)
    search.add_argument("--steps", type=at_least(1), help="of a trial's training; default: a third")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m host_tools", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    doctor = commands.add_parser("doctor", help="list prerequisites and how to get them")
    doctor.add_argument("--json", action="store_true")
    for name, text in (
        ("report", "write report.html"),
        ("summary", "print the closing table"),
        ("readme", "put a run's numbers into README.md"),
        ("classical", "put the classical models beside the network"),
    ):
        commands.add_parser(name, help=text).add_argument("name", type=folder_name, help=FOLDER)
    for name, text in (
        ("build", "build a board's firmware"),
        ("parity", "compare a board's outputs with TFLite Micro"),
        ("bench", "count a board's work and memory"),
        ("selftest", "compare a board's kernels with the reference kernels, on the board"),
        ("drift", "compare what a board has counted of its inputs with the recipe's profile"),
        ("run", "run a board's firmware in its emulator, from this terminal"),
        ("features", "compare a board's front end with the host's, stage by stage"),
        ("record", "record labelled samples from a board's sensor"),
        ("flash", "upload, then hello and self-test"),
    ):
        sub = commands.add_parser(name, help=text)
        sub.add_argument("name", type=folder_name, help=FOLDER)
        _board_options(sub, name)
    _add_experiments(commands)
    _add_suite(commands)
    for name, text in (
        ("check-port", "end with what to plug in when the port is not there"),
        ("monitor", "pio device monitor at the right speed"),
    ):
        sub = commands.add_parser(name, help=text)
        sub.add_argument("board")
        sub.add_argument("--port")
    return parser


def _board_options(sub: argparse.ArgumentParser, name: str) -> None:
    sub.add_argument("board")
    if name in {"parity", "bench", "selftest", "run", "features", "record", "drift"}:
        sub.add_argument("--emulator")
    if name not in {"build", "run"}:
        sub.add_argument("--port")
    if name == "drift":
        _drift_options(sub)
    if name in {"parity", "features"}:
        sub.add_argument("--cases", type=at_least(1), help="how many golden cases; default: all")
    if name == "record":
        _add_take(sub)
    if name == "parity":
        sub.add_argument("--tap", action="store_true", help="name the first layer that differs")
    if name == "flash":
        sub.add_argument("--link-port", help="serial port of the link, where it is another one")
    if name in {"build", "flash"}:
        sub.add_argument("--framework", default="bare", help="bare (default) or arduino")


def _drift_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cases", type=int, help="windows fed to an emulated board; default 256")
    parser.add_argument("--change", help="made to these windows, such as 'rotation 90 z'")
    parser.add_argument("--reset", action="store_true", help="forget the counts after reading")


def _run(args: argparse.Namespace) -> int:
    if args.command == "doctor":
        from host_tools.doctor import run_doctor

        return run_doctor(as_json=args.json)
    if args.command == "monitor":
        from host_tools.link.monitor import monitor

        return monitor(args.port, _baud(load_board(args.board)))
    if args.command == "check-port":
        from host_tools.boards.flash import check_port

        check_port(load_board(args.board), args.port)
        return 0
    if args.command == "bench-all":
        return _bench_all(args)
    if args.command in {"runs", "runs-ui", "reproduce", "whois"}:
        return _experiments(args)
    out_dir = BUILD / args.name
    if args.command == "report":
        from host_tools.report.write import write_report

        print(write_report(out_dir))
        record(out_dir)
        return 0
    if args.command == "readme":
        from host_tools.report.readme import update_readme

        print(update_readme(out_dir))
        return 0
    if args.command == "classical":
        return _classical(out_dir)
    if args.command == "summary":
        from host_tools.report.summary import print_summary

        print_summary(out_dir)
        return 0
    return _board_command(args, out_dir, _board(args))


def _board(args: argparse.Namespace) -> Board:
    """The board that a command names, with the kernels for what is to be done."""
    if getattr(args, "framework", "bare") != "bare":
        # a framework's compiler and calling convention are its own: the kernels in C suit all
        return load_board(f"{args.board}-ref")
    board = load_board(args.board)
    if args.command != "flash" or board.upload is None or board.folder != board.id:
        return board
    chips = board.upload.kernels
    return board if chips == board.kernels else load_board(f"{board.id}-{chips}")


def _baud(board: Board) -> int:
    return board.uart.baud if board.uart else 115200


def _board_command(args: argparse.Namespace, out_dir: Path, board: Board) -> int:
    if args.command == "build":
        return _build(out_dir, board, args.framework)
    if args.command == "parity":
        return _parity(args, out_dir, board)
    if args.command == "bench":
        return _bench(args, out_dir, board)
    if args.command == "selftest":
        return _selftest(args, out_dir, board)
    if args.command == "features":
        return _features(args, out_dir, board)
    if args.command == "record":
        return _record(args, out_dir, board)
    if args.command == "drift":
        return _drift(args, out_dir, board)
    if args.command == "search":
        return _search(args, out_dir, board)
    if args.command == "run":
        from host_tools.link.emulate import run
        from host_tools.link.target import choose_target

        return run(board, choose_target(board, args.emulator, None), out_dir / board.folder)
    from host_tools.boards.flash import flash

    return flash(out_dir, board, port=args.port, link_port=args.link_port, framework=args.framework)


def _build(out_dir: Path, board: Board, framework: str) -> int:
    from host_tools.build.firmware import build_firmware

    folder = board.folder if framework == "bare" else f"{board.folder}-{framework}"
    size = build_firmware(board, board.gen_dir(out_dir), out_dir / folder, framework)
    print(
        f"{board.id}: flash {size.flash_bytes} bytes (code {size.code_bytes}, weights "
        f"{size.weight_bytes}), RAM {size.ram_bytes} (arena {size.arena_bytes})"
    )
    return 0


def _parity(args: argparse.Namespace, out_dir: Path, board: Board) -> int:
    from host_tools.link.target import choose_target
    from host_tools.parity.outputs import describe, run_parity

    target = choose_target(board, args.emulator, args.port)
    report = run_parity(out_dir, board, target, args.cases, tap=args.tap)
    record(out_dir)
    print("\n".join(describe(report)))
    for reason in report.failures:
        print(reason, file=sys.stderr)
    return 1 if report.failures else 0


def _bench(args: argparse.Namespace, out_dir: Path, board: Board) -> int:
    from host_tools.bench.benchmark import describe_footprint, run_benchmark
    from host_tools.bench.estimate import describe
    from host_tools.link.target import choose_target

    result = run_benchmark(out_dir, board, choose_target(board, args.emulator, args.port))
    record(out_dir)
    per_mac = f", {result.counts / result.macs:.2f} per MAC" if result.macs else ""
    print(
        f"{board.id}: {result.counts:,} {result.unit} an inference{per_mac}; arena "
        f"{result.arena_used:,} of {result.arena_bytes:,} bytes, stack {result.stack_bytes:,} of "
        f"{result.stack_reserved:,}; per layer in {out_dir / board.folder / 'bench.json'}"
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
    return 0


def _search(args: argparse.Namespace, out_dir: Path, board: Board) -> int:
    from host_tools.search.search import Search, run_search
    from host_tools.search.table import describe, print_search
    from model.recipe import load_recipe

    recipe = load_recipe(args.name)
    search = Search(recipe, board, out_dir, args.steps or max(recipe.train.steps // 3, 1))
    print_search(run_search(search, args.budget, args.trials, lambda c: print(describe(c))))
    print(f"All of it: {search.folder / 'search.json'}, the chosen recipe: best.toml beside it")
    return 0


def _bench_all(args: argparse.Namespace) -> int:
    from host_tools.bench.history import load_history, record
    from host_tools.bench.suite import entries, find_models, run_suite, write_suite

    models = find_models(args.folders)
    if not models and not args.built:
        raise UsageError("nothing to measure: give folders with .tflite files, or --built NAME")
    rows = run_suite([BUILD / name for name in args.built], models, BUILD / "bench", args.boards)
    print(write_suite(BUILD / "bench", rows, load_history()))
    print(f"All of it: {BUILD / 'bench' / 'bench.json'}")
    if args.record:
        print(f"recorded for commit {record(entries(rows), args.reason).commit}")
    return 0 if any(row.result for row in rows) else 1


def _classical(out_dir: Path) -> int:
    from rich.console import Console

    from host_tools.report.classical import compare, table

    console = Console()
    found = table(compare(out_dir))
    (console if console.is_terminal else Console(width=160)).print(found)
    return 0


def _experiments(args: argparse.Namespace) -> int:
    from host_tools.experiments import listing as experiments
    from host_tools.experiments import reproduce

    if args.command == "runs-ui":
        experiments.serve(args.port)
    if args.command == "reproduce":
        return reproduce.reproduce(args.id, BUILD)
    if args.command == "whois":
        return experiments.whois(args.name, args.board, args.emulator, args.port, BUILD)
    if args.show:
        experiments.show(args.show)
    elif args.diff is not None:
        experiments.print_differences(args.diff)
    else:
        experiments.print_runs()
    return 0


def _selftest(args: argparse.Namespace, out_dir: Path, board: Board) -> int:
    from host_tools.link.target import choose_target
    from host_tools.parity.selftest import compare_kernels

    target = choose_target(board, args.emulator, args.port)
    equal, told = compare_kernels(out_dir, board, target)
    print(f"{board.id} on {target.name}, {board.kernels} against ref: {told}")
    return 0 if equal else 1


def _drift(args: argparse.Namespace, out_dir: Path, board: Board) -> int:
    from host_tools.drift.compare import DEFAULT_WINDOWS, print_verdict, run_drift
    from host_tools.drift.data import NONE
    from host_tools.link.target import choose_target

    target = choose_target(board, args.emulator, args.port)
    windows = DEFAULT_WINDOWS if args.cases is None else args.cases
    change = args.change or NONE
    verdict = run_drift(out_dir, board, target, windows=windows, change=change, reset=args.reset)
    print_verdict(verdict, f"{board.id} on {target.name}")
    return 1 if verdict.alarm else 0


def _features(args: argparse.Namespace, out_dir: Path, board: Board) -> int:
    from host_tools.link.target import choose_target
    from host_tools.parity.certificate import describe, run_features

    target = choose_target(board, args.emulator, args.port)
    report = run_features(out_dir, board, target, args.cases)
    print("\n".join(describe(report)))
    return 0 if report.first_difference is None else 1


def _record(args: argparse.Namespace, out_dir: Path, board: Board) -> int:
    from host_tools.link.record import record_take, with_replay
    from host_tools.link.target import choose_target

    target = choose_target(board, args.emulator, args.port)
    path = record_take(
        board,
        with_replay(target, args.replay) if args.replay else target,
        out_dir / board.folder,
        label=args.label,
        who=args.who or board.id,
        seconds=args.seconds,
        folder=args.out or BUILD / "recordings" / args.label,
    )
    print(f"{board.id} on {target.name}: {args.seconds:g} s of {args.label}: {path}")
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run one command; errors become one message and an exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    args = _parser().parse_args(arguments)
    return end(lambda: _run(args))


if __name__ == "__main__":
    sys.exit(main())
