"""The model as a library: what was proven by its header alone, beside the application."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from host_tools.boards.board import load_board
from host_tools.report.results import read_manifest, read_result
from quantize.lowering import KERNEL_SETS

JsonObject = dict[str, Any]
LIBRARY = "-library"  # behind the board's name: the folder of a program around the library
KEYS = ("emulator", "library", "kernels", "model_sha256", "cases", "equal", "windows",
        "windows_equal", "instructions", "flash_bytes", "ram_bytes", "object_bytes")  # fmt: skip


def libraries(out_dir: Path) -> list[JsonObject]:
    """library.json of every board, by the name of its folder; what is of another run than is
    generated for its kernels is left out."""
    found = []
    for path in sorted(out_dir.glob(f"*{LIBRARY}/library.json")):
        name = path.parent.name.removesuffix(LIBRARY)
        told = read_result(path, *KEYS)
        if told["kernels"] not in KERNEL_SETS:
            continue
        try:  # a library's kernels are its compiler's, which may be others than the board's
            board = replace(load_board(name), kernels=told["kernels"])
            generated = read_manifest(board, out_dir)
        except FileNotFoundError:
            continue
        if told.get("run_id") == generated["run_id"]:
            found.append(told | {"board": name})
    return found


def library_rows(content: JsonObject) -> list[JsonObject]:
    """Each library beside the application on the same board: bytes, instructions an inference."""
    rows = []
    for found in content["libraries"]:
        board = content["boards"].get(found["board"]) or {}
        size, bench, parity = (board.get(name) or {} for name in ("size", "bench", "parity"))
        rows.append(
            found
            | {
                "app_cases": f"{parity['equal']} of {parity['cases']}" if parity else "not run",
                "app_flash": size.get("flash_bytes"),
                "app_ram": size.get("ram_bytes"),
                "app_instructions": bench.get("instructions"),
            }
        )
    return rows


FORMS = {"app": "application", "library": "library", "tflm": "TFLite Micro"}


def size_rows(content: JsonObject) -> list[JsonObject]:
    """What each form of the model takes of a board, where it was built as a library too.

    TFLite Micro's are there for boards that have run it with the same model.
    """
    rows = []
    for found in library_rows(content):
        name = found["board"]
        base = {"board": name, "emulator": found["emulator"]}
        app = {key: found[f"app_{key}"] for key in ("cases", "flash", "ram", "instructions")}
        own = {
            "cases": f"{found['equal']} of {found['cases']}",
            "flash": found["flash_bytes"],
            "ram": found["ram_bytes"],
            "instructions": found["instructions"],
        }
        rows += [base | {"form": "app"} | app, base | {"form": "library"} | own]
        other = content["interpreted"].get(f"{name}-tflm")
        if other and all(other[part] for part in ("parity", "bench", "size")):
            counted = {
                "cases": f"{other['parity']['equal']} of {other['parity']['cases']}",
                "flash": other["size"]["flash_bytes"],
                "ram": other["size"]["ram_bytes"],
                "instructions": other["bench"]["instructions"],
            }
            rows.append(base | {"form": "tflm"} | counted)
    return rows


def size_table(name: str, rows: list[JsonObject]) -> str:
    """The rows as Markdown."""
    lines = [
        f"`{name}`:",
        "",
        "| board | form | cases equal | flash B | RAM B | instructions an inference |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for row in rows:
        numbers = (f"{row[k]:,}" if row[k] else "-" for k in ("flash", "ram", "instructions"))
        cells = (row["board"], FORMS[row["form"]], row["cases"], *numbers)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"
