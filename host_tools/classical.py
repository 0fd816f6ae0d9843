"""Is a network needed? Put the classical models of a recipe beside its network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.table import Table

from host_tools.errors import UsageError
from model.classical import KINDS
from model.files import write_json

JsonObject = dict[str, Any]


def compare(out_dir: Path) -> JsonObject:
    """Write classical.json into `out_dir`, which is build/<recipe>, and return it.

    It holds the network and every classical model made for it, with the boards on which both
    parity and benchmark of just that model have run. Raises UsageError where there is none.
    """
    quantised = _read(out_dir / "quantize.json")
    network = _read(out_dir / "gen/ref/manifest.json")["model_sha256"]
    chosen = quantised["candidates"][quantised["chosen"]]
    rows = [
        {
            "name": "network, int8",
            "val": chosen["val"]["balanced_accuracy"],
            "test": chosen["test"]["balanced_accuracy"],
            "scikit_learn": None,
            "boards": _boards(out_dir, network),
        }
    ]
    for kind, title in KINDS.items():
        folder = out_dir.with_name(f"{out_dir.name}-{kind}")
        if not (folder / "classical.json").is_file():
            continue
        result = _read(folder / "classical.json")
        if result["network_sha256"] != network:
            continue  # made beside another network
        detail = f", {result['trees']} trees" if result["trees"] else ""
        rows.append(
            {
                "name": f"{title}{detail}",
                "val": result["val"]["balanced_accuracy"],
                "test": result["test"]["balanced_accuracy"],
                "scikit_learn": result["scikit_learn"],
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
    }
    write_json(out_dir / "classical.json", content)
    return content


def table(content: JsonObject) -> Table:
    """For the terminal: a line for each model and board."""
    found = Table("model", "validation", "test, balanced", "equal to scikit-learn", "board")
    for column in ("bytes compared", "an inference", "flash B", "RAM B"):
        found.add_column(column, justify="right", no_wrap=True)
    for row in content["rows"]:
        same = row["scikit_learn"]
        cells = [row["name"], f"{row['val']:.1%}", f"{row['test']:.1%}"]
        cells.append(f"{same['equal']} of {same['cases']}" if same else "")
        for board, measured in row["boards"].items() or [("not run", None)]:
            found.add_row(*cells, board, *_cells(measured))
            cells = [""] * len(cells)
    return found


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
        bench, parity = _read(path), path.with_name("parity.json")
        if bench["model_sha256"] != model_sha256 or not parity.is_file():
            continue
        compared = _read(parity)
        if compared["model_sha256"] == model_sha256:
            keys = ("counts", "unit", "code_bytes", "weight_bytes", "flash_bytes", "ram_bytes")
            found[path.parent.name] = {key: bench[key] for key in keys} | {
                key: compared[key] for key in ("cases", "equal", "reference")
            }
    return found


def _read(path: Path) -> JsonObject:
    try:
        content: JsonObject = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise UsageError(f"{path}: not a readable JSON file: {error}; delete it") from error
    return content
