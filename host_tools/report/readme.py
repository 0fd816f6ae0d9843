"""Put recorded numbers into README.md and docs/STUDIES.md between marks, and draw the picture."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from host_tools.bench.history import Entry, load_history
from host_tools.boards.board import load_board
from host_tools.boards.chip_kernels import flashed_kernels
from host_tools.errors import UsageError
from host_tools.report.collect import MAIN_BOARD, collect
from host_tools.report.libraries import size_rows, size_table
from host_tools.report.results import right_shape, unanswered
from host_tools.report.summary import WIDTH, show_summary
from model.evaluate import headline
from model.files import write_json, write_text
from model.paths import ROOT
from quantize.ops import OPS
from quantize.ops.float32 import LIBRARY
from quantize.tflite.variables import FOLDED

RESULTS = ROOT / "docs" / "results.json"
PICTURE = ROOT / "docs" / "demo.svg"
README = ROOT / "README.md"
STUDIES = ROOT / "docs" / "STUDIES.md"
NUMBERS = ("<!-- numbers: begin (make readme) -->", "<!-- numbers: end -->")
BAR = ROOT / "docs" / "bench_bar.json"  # of other people's engine, by the model's SHA-256
BENCHMARKS = ("<!-- benchmarks: begin (make readme) -->", "<!-- benchmarks: end -->")
RECIPES = ROOT / "docs" / "recipes.json"
MAIN_RECIPE = "motion"  # whose run README shows in full
DECISIVE = ("features", "network", "augment", "train", "quantisation", "compression")
RECIPE_ROWS = ("<!-- recipes: begin (make readme) -->", "<!-- recipes: end -->")
OPERATORS = ("<!-- operators: begin (make readme) -->", "<!-- operators: end -->")
CONSTANTS = ("<!-- constants: begin (make readme) -->", "<!-- constants: end -->")
LIBRARY_PAGE = ROOT / "docs" / "LIBRARY.md"
SIZES = ROOT / "docs" / "sizes.json"
SIZE_ROWS = ("<!-- sizes: begin (make readme) -->", "<!-- sizes: end -->")
TFLM_OPERATORS = ROOT / "tests" / "vectors" / "tflm_operators.json"


def update_readme(out_dir: Path) -> Path:
    """Put a run into README's table of recipes and docs/recipes.json.

    The main recipe's run is shown in full as well: docs/results.json, docs/demo.svg, README.
    Raises UsageError, before anything is written, as write_report does.
    """
    with right_shape(out_dir):
        content = collect(out_dir)
        row = recipe_row(content)
        full = results(content) if row and out_dir.name == MAIN_RECIPE else None
    if row is None:
        raise UsageError(
            f"{out_dir}: nothing to quote: no training, quantisation or {MAIN_BOARD}'s parity and "
            f"benchmark; run `make demo RECIPE={out_dir.name}`"
        )
    write_json(RECIPES, stored_recipes() | {out_dir.name: row})
    if full:
        _show_in_full(out_dir, full)
    return refresh_lists()


def update_sizes(out_dir: Path) -> Path:
    """Record what application, library and TFLite Micro take, for docs/LIBRARY.md; what was not
    measured again stays as it was.

    Raises UsageError where the model has not run by way of its library.
    """
    rows = size_rows(collect(out_dir))
    if not rows:
        raise UsageError(
            f"{out_dir}: nothing to quote: no results of the model as a library; run "
            f"`make parity MODEL={out_dir.name} VIA=library` and, for TFLite Micro beside it, "
            f"`make compare MODEL={out_dir.name}`"
        )
    known = stored_sizes()
    measured = {(row["board"], row["form"]) for row in rows}
    before = known.get(out_dir.name, [])  # of the same model, measured by another build of it
    rows += [row for row in before if (row["board"], row["form"]) not in measured]
    rows.sort(key=lambda row: (row["board"], row["form"]))
    write_json(SIZES, known | {out_dir.name: rows})
    return refresh_lists()


def stored_sizes() -> dict[str, Any]:
    """What update_sizes recorded, by model."""
    loaded: dict[str, Any] = json.loads(SIZES.read_text("utf-8")) if SIZES.exists() else {}
    return loaded


def with_sizes(text: str) -> str:
    """The text of LIBRARY.md with the tables of sizes made anew."""
    tables = [size_table(name, rows) for name, rows in sorted(stored_sizes().items())]
    return _fill(LIBRARY_PAGE, text, SIZE_ROWS, "\n".join(tables))


def refresh_lists() -> Path:
    """Make the parts of README, STUDIES and LIBRARY anew from what is recorded; needs no run."""
    write_text(README, with_numbers(README.read_text("utf-8"), stored_results()))
    write_text(STUDIES, with_constants(STUDIES.read_text("utf-8")))
    write_text(LIBRARY_PAGE, with_sizes(LIBRARY_PAGE.read_text("utf-8")))
    return README


def _show_in_full(out_dir: Path, numbers: dict[str, Any]) -> None:
    write_json(RESULTS, numbers)
    console = Console(record=True, width=WIDTH, file=io.StringIO(), highlight=False)
    console.print("$ make demo")
    show_summary(console, out_dir)
    write_text(PICTURE, console.export_svg(title="make demo"))


def settings_digest(settings: Mapping[str, Any]) -> str:
    """Of what a recipe says about its network: a row with another one is of an older recipe."""
    text = json.dumps([settings.get(key) for key in DECISIVE], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def recipe_row(content: dict[str, Any]) -> dict[str, Any] | None:
    """The numbers of one recipe; None when a stage or the main board has not been run."""
    train, quantised = content["train"], content["quantize"]
    board = content["boards"].get(MAIN_BOARD, {})
    if not (train and quantised and board.get("parity") and board.get("bench")):
        return None
    if unanswered(board["parity"]):
        return None
    chosen = quantised["candidates"][quantised["chosen"]]["test"]
    return {
        "title": content["dataset"]["title"],
        "settings": settings_digest(content["manifest"]["settings"]),
        "front_end": content["manifest"]["features"]["kind"],
        "measure": headline(chosen).name,
        "float": headline(train["metrics"]["test"]).value,
        "int8": headline(chosen).value,
        "auc": chosen.get("auc"),
        "macs": content["manifest"]["macs"],
        "weight_bytes": board["size"]["weight_bytes"],
        "instructions": board["bench"]["counts"],
        "equal": board["parity"]["equal"],
        "cases": board["parity"]["cases"],
    }


def _recipes() -> str:
    rows = [
        "| recipe | front end | float | int8 | MACs | constants B | instructions | cases equal |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for name, r in sorted(stored_recipes().items()):
        auc = f", AUC {r['auc']:.3f}" if r["auc"] is not None else ""
        rows.append(
            f"| `{name}`: {r['title']} | {r['front_end']} | {_told(r, 'float')} | "
            f"{_told(r, 'int8')}{auc} | {r['macs']:,} | {r['weight_bytes']:,} | "
            f"{r['instructions']:,} | {r['equal']:,} of {r['cases']:,} |"
        )
    return "\n".join(rows) + "\n"


def _told(row: dict[str, Any], key: str) -> str:
    """A score, and what it is where it is not balanced accuracy."""
    measure = row.get("measure", "balanced accuracy")
    number = f"{row[key]:.3f}" if measure == "R2" else f"{row[key]:.1%}"
    return number if measure == "balanced accuracy" else f"{measure} {number}"


def stored_recipes() -> dict[str, Any]:
    """The rows that `make readme` recorded, by recipe."""
    loaded: dict[str, Any] = json.loads(RECIPES.read_text("utf-8")) if RECIPES.exists() else {}
    return loaded


def results(content: dict[str, Any]) -> dict[str, Any]:
    """The few numbers of a report that documents quote."""
    folds = content["cross_validation"]
    quantised, manifest = content["quantize"], content["manifest"]
    return {
        "name": content["name"],
        "float": content["train"]["metrics"]["test"]["balanced_accuracy"],
        "baselines": {
            name: m["balanced_accuracy"] for name, m in content["train"]["baselines"].items()
        },
        "int8": {
            name: c["test"]["balanced_accuracy"] for name, c in quantised["candidates"].items()
        },
        "chosen": quantised["chosen"],
        "fidelity": {k: quantised["fidelity"][k] for k in ("equal_share", "max_lsb", "mean_lsb")},
        "cross_validation": folds
        and {
            "folds": len({tuple(f["test_groups"]) for f in folds["folds"]}),
            "seeds": len({f["seed"] for f in folds["folds"]}),
            "mean": folds["mean_score"],
            "std": folds["std"],
            "random_forest": folds["mean_random_forest"],
        },
        "macs": manifest["macs"],
        "weight_bytes": manifest["weight_bytes"],
        "arena_bytes": manifest["arena_bytes"],
        "tflm_arena_bytes": manifest["tflm_arena_bytes"],
        "boards": {
            name: {
                "emulator": board["parity"]["emulator"],
                "cases": board["parity"]["cases"],
                "equal": board["parity"]["equal"],
                "counts": board["bench"]["counts"],
                "kernels": board["bench"]["kernels"],
                "unit": board["bench"]["unit"],
                **{k: board["size"][k] for k in ("code_bytes", "flash_bytes", "ram_bytes")},
                "stack_bytes": board["bench"]["stack_bytes"],
            }
            for name, board in content["boards"].items()
            if board["parity"] and board["bench"]
        },
    }


def with_numbers(text: str, numbers: dict[str, Any]) -> str:
    """README's text with the parts between the marks made anew."""
    for marks, body in (
        (NUMBERS, _section(numbers)),
        (RECIPE_ROWS, _recipes()),
        (OPERATORS, _operators()),
        (BENCHMARKS, _benchmarks()),
    ):
        text = _fill(README, text, marks, body)
    return text


def with_constants(text: str) -> str:
    """The text of STUDIES with the table of constants made anew."""
    return _fill(STUDIES, text, CONSTANTS, _constants())


def _fill(document: Path, text: str, marks: tuple[str, str], body: str) -> str:
    begin, end = marks
    if text.count(begin) != 1 or text.count(end) != 1:
        raise UsageError(f"{document}: expected the lines {begin!r} and {end!r} once each")
    before, rest = text.split(begin)
    return before + begin + "\n" + body + end + rest.split(end)[1]


def _newest() -> list[Entry]:
    """The last recorded benchmark of every model and board, by their names."""
    newest: dict[tuple[str, str], Entry] = {}
    for record in load_history():
        newest |= {(entry.model, entry.board): entry for entry in record.entries}
    return [entry for _, entry in sorted(newest.items())]


def _constants() -> str:
    """What the constants of every model and board are for."""
    rows = [
        "| model | board | own weights B | as packed B | biases B | requantisation B | other B |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    for entry in _newest():
        if (f := entry.footprint) is not None:
            share = f"{f['weights'] / f['raw_weights']:.1%}" if f["raw_weights"] else "-"
            rows.append(
                f"| {entry.model} | {entry.board} | {f['raw_weights']:,} | {f['weights']:,} "
                f"({share}) | {f['biases']:,} | {f['requantisation']:,} | {f['other']:,} |"
            )
    return "\n".join(rows) + "\n"


def _benchmarks() -> str:
    """What was recorded last, beside the bar where that model's is known."""
    bar: dict[str, Any] = json.loads(BAR.read_text("utf-8"))
    rows = [
        "| model | board | instructions | of the bar | cycles, estimated | code B | constants B "
        "| arena B | bar's arena B |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for entry in _newest():
        theirs = bar["models"].get(entry.model_sha256, {}) if entry.board == bar["board"] else {}
        share, arena, cycles = "", "", ""
        if counted := theirs.get("instructions"):
            share = f"{entry.instructions / counted:.2f} of {counted:,}"
        if bytes_ := theirs.get("arena_bytes"):
            arena = f"{bytes_:,}"
        if entry.cycles is not None:
            cycles = f"{entry.cycles:,}"
        rows.append(
            f"| {entry.model} | {entry.board} | {entry.instructions:,} | {share} | {cycles} | "
            f"{entry.code_bytes:,} | {entry.weight_bytes:,} | {entry.arena_bytes:,} | {arena} |"
        )
    return (
        "\n".join(rows)
        + f"\n\nThe bar is {bar['what']}, measured on {bar['date']}: {bar['how']}.\n"
    )


def _operators() -> str:
    """Which of TFLite Micro's operators we compile, and which we refuse."""
    theirs = set(json.loads(TFLM_OPERATORS.read_text("utf-8"))["operators"])
    known = {*OPS, *FOLDED, *LIBRARY}
    ours, refused = sorted(known & theirs), sorted(theirs - known)
    tables, gone = (sorted(theirs & {*names} - {*OPS}) for names in (LIBRARY, FOLDED))
    return (
        f"TFLite Micro's interpreter knows {len(theirs)} builtin operators. "
        f"{len(ours)} of them compile here: {', '.join(ours)}. Of these, {', '.join(tables)} are "
        "in float32 only and compile as a table of 256 answers, where they are a function of one "
        f"int8 tensor; {' and '.join(gone)} are gone when the file is read.\n\n"
        f"Refused by name, index and version before anything is built: {', '.join(refused)}.\n"
    )


def stored_results() -> dict[str, Any]:
    """What the last `make readme` recorded."""
    loaded: dict[str, Any] = json.loads(RESULTS.read_text("utf-8"))
    return loaded


def _with_kernels(boards: dict[str, Any], kernels: str) -> str:
    """The emulators that run a set of kernels and stand for no board themselves."""
    return " and ".join(
        name
        for name, b in sorted(boards.items())
        if b["kernels"] == kernels and load_board(name).upload is None
    )


def _section(n: dict[str, Any]) -> str:
    rows = [
        "| classifier, balanced accuracy on the held-out subjects | |",
        "|---|--:|",
        f"| network, float | {n['float']:.1%} |",
        *(
            f"| network, int8 {name}{' (chosen)' if name == n['chosen'] else ''} | {score:.1%} |"
            for name, score in n["int8"].items()
        ),
        *(f"| {name} | {score:.1%} |" for name, score in n["baselines"].items()),
        "",
        f"The network has {n['macs']:,} MACs, {n['weight_bytes']:,} bytes of constants and an "
        f"arena of {n['arena_bytes']:,} bytes (the TFLite Micro interpreter uses "
        f"{n['tflm_arena_bytes']:,}). {n['fidelity']['equal_share']:.1%} of the outputs of the "
        "quantisation-aware export equal those of the graph that was trained; the largest "
        f"difference is {n['fidelity']['max_lsb']} LSB.",
    ]
    if folds := n["cross_validation"]:
        rows += [
            "",
            f"Cross-validation by subject (`make train CV={folds['folds']}`): {folds['folds']} "
            f"folds with {folds['seeds']} seeds each, mean balanced accuracy "
            f"{folds['mean']:.1%}, standard deviation {folds['std']:.1%}; a random forest in the "
            "same folds reaches "
            f"{folds['random_forest']:.1%}.",
        ]
    rows += [
        "",
        "| board | runs on | kernels | cases equal | an inference | code B | flash B | RAM B | "
        "stack B |",
        "|---|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    others: list[str] = []
    for name, b in sorted(n["boards"].items()):
        rows.append(
            f"| {name} | {b['emulator'] or 'board'} | {b['kernels']} | "
            f"{b['equal']} of {b['cases']} | {b['counts']:,} {b['unit']} | {b['code_bytes']:,} | "
            f"{b['flash_bytes']:,} | {b['ram_bytes']:,} | {b['stack_bytes'] or '-'} |"
        )
        if flashed := flashed_kernels(name, b["kernels"], b["emulator"]):
            same = _with_kernels(n["boards"], flashed)
            others.append(
                f"{name}'s emulator runs the kernels {b['kernels']}: its figures are not the "
                f"board's. `make flash` gives the board {flashed}"
                + (f", whose figures are those of {same}." if same else ".")
            )
    rows += ["", *others] if others else []
    return "\n".join(rows) + "\n"
