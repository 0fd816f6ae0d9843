"""Is a network needed? Put the classical models of a recipe beside its network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.table import Table

from host_tools.errors import UsageError
from host_tools.report.results import SIZE_KEYS, read_result
from model.classical import EXPORTERS, KINDS
from model.files import write_json

JsonObject = dict[str, Any]

# What is taken from the files of a classical model and of a board.
CLASSICAL_KEYS = (
    *("network_sha256", "model_sha256", "trees", "val", "test", "scikit_learn", "exporter"),
    *("unchanged", "answers_sha256"),
)
BENCH_KEYS = ("counts", "unit", *SIZE_KEYS)
PARITY_KEYS = ("cases", "equal", "reference")


def compare(out_dir: Path) -> JsonObject:
    """Write classical.json into `out_dir`, the folder of the recipe's results, and return it.

    It holds the network and every classical model made for it, with the boards on which both
    parity and benchmark of just that model have run, and what other exporters than a kind's first
    make of the same model. Raises UsageError where there is none.
    """
    quantised = read_result(out_dir / "quantize.json", "candidates", "chosen")
    network = read_result(out_dir / "gen/ref/manifest.json", "model_sha256")["model_sha256"]
    chosen = quantised["candidates"][quantised["chosen"]]
    rows = [
        {
            "name": "network, int8",
            "kind": "",
            "exporter": "",
            "val": chosen["val"]["balanced_accuracy"],
            "test": chosen["test"]["balanced_accuracy"],
            "scikit_learn": None,
            "boards": _boards(out_dir, network),
        }
    ]
    for kind, exporter in [(one, name) for one in KINDS for name in EXPORTERS[one]]:
        folder = out_dir / "classical" / f"{kind}-{exporter}"
        if not (folder / "classical.json").is_file():
            continue
        result = read_result(folder / "classical.json", *CLASSICAL_KEYS)
        if result["network_sha256"] != network:
            continue  # made beside another network
        detail = f", {result['trees']} trees" if result["trees"] > 1 else ""
        rows.append(
            {
                "name": f"{KINDS[kind]}{detail}",
                "kind": kind,
                "exporter": exporter,
                "val": result["val"]["balanced_accuracy"],
                "test": result["test"]["balanced_accuracy"],
                "scikit_learn": result["scikit_learn"],
                "unchanged": result["unchanged"],
                "answers_sha256": result["answers_sha256"],
                "boards": _boards(folder, result["model_sha256"]),
            }
        )
    if len(rows) == 1:
        raise UsageError(
            f"{out_dir}: no classical model of this network; run `make classical "
            f"RECIPE={out_dir.name}`"
        )
    content = {
        "network_sha256": network,
        "boards": sorted({board for row in rows[1:] for board in row["boards"]}),
        "rows": rows,
        "exporters": _exporters(rows),
    }
    write_json(out_dir / "classical.json", content)
    return content


def _exporters(rows: list[JsonObject]) -> list[JsonObject]:
    """Each exporter beside the first that was run of the same kind, board by board."""
    found: list[JsonObject] = []
    for kind in dict.fromkeys(row["kind"] for row in rows if row["kind"]):
        first, *others = [row for row in rows if row["kind"] == kind]
        for other in others:
            found += [
                {
                    "name": first["name"],
                    "board": board,
                    "first": first["exporter"],
                    "other": other["exporter"],
                    "same_answers": other["answers_sha256"] == first["answers_sha256"],
                    "unit": measured["unit"],
                    "counts": measured["counts"] - first["boards"][board]["counts"],
                    "flash_bytes": measured["flash_bytes"] - first["boards"][board]["flash_bytes"],
                    "counts_ratio": measured["counts"] / first["boards"][board]["counts"] - 1,
                }
                for board, measured in other["boards"].items()
                if board in first["boards"]
            ]
    return found


def table(content: JsonObject) -> Table:
    """For the terminal: a line for each model and board."""
    found = Table("model", "exporter", "validation", "test, balanced", "equal to scikit-learn")
    found.add_column("board")
    for column in ("bytes compared", "an inference", "flash B", "RAM B"):
        found.add_column(column, justify="right", no_wrap=True)
    for row in content["rows"]:
        same = row["scikit_learn"]
        cells = [row["name"], row["exporter"], f"{row['val']:.1%}", f"{row['test']:.1%}"]
        cells.append(f"{same['equal']} of {same['cases']}" if same else "")
        for board, measured in row["boards"].items() or [("not run", None)]:
            found.add_row(*cells, board, *_cells(measured))
            cells = [""] * len(cells)
    return found


def sentences(content: JsonObject) -> list[str]:
    """What the exporters differ in, in numbers of the run; and where one decides otherwise."""
    found = [
        f"{one['name']} on {one['board']}: {one['other']} takes {one['counts']:+,} {one['unit']} "
        f"({one['counts_ratio']:+.1%}) and {one['flash_bytes']:+,} bytes of flash beside "
        f"{one['first']}; "
        + ("every answer is the same." if one["same_answers"] else "ANSWERS DIFFER.")
        for one in content.get("exporters", [])
    ]
    return found + [
        f"{row['name']}: from scikit-learn's trees as they are, everywhereml's class decides "
        f"otherwise in {row['scikit_learn']['cases'] - row['unchanged']:,} of "
        f"{row['scikit_learn']['cases']:,} test cases (it goes right where a feature equals the "
        "threshold, and weighs the votes of a forest by how common a class is). Here it is given "
        "thresholds that mean the same for integers, and equal votes."
        for row in content["rows"]
        if row.get("unchanged") is not None
    ]


def _cells(measured: JsonObject | None) -> list[str]:
    if measured is None:
        return []
    return [
        f"{measured['equal']} of {measured['cases']} equal",
        f"{measured['counts']:,} {measured['unit']}",
        f"{measured['flash_bytes']:,}",
        f"{measured['ram_bytes']:,}",
    ]


def _boards(folder: Path, model_sha256: str) -> JsonObject:
    """Board -> what it measured with this very model."""
    found: JsonObject = {}
    for path in sorted(folder.glob("*/bench.json")):
        parity = path.with_name("parity.json")
        bench = read_result(path, "model_sha256", *BENCH_KEYS)
        if bench["model_sha256"] != model_sha256 or not parity.is_file():
            continue
        compared = read_result(parity, "model_sha256", *PARITY_KEYS)
        if compared["model_sha256"] == model_sha256:
            found[path.parent.name] = {key: bench[key] for key in BENCH_KEYS} | {
                key: compared[key] for key in PARITY_KEYS
            }
    return found
