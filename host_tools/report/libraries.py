"""The model as a library: what was proven by its header alone, beside the application."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from host_tools.report.results import read_result

JsonObject = dict[str, Any]
LIBRARY = "-library"  # behind the board's name: the folder of a program around the library
KEYS = ("board", "emulator", "library", "kernels", "model_sha256", "cases", "equal", "windows",
        "windows_equal", "instructions", "flash_bytes", "ram_bytes", "object_bytes")  # fmt: skip


def libraries(out_dir: Path, manifest: JsonObject | None) -> list[JsonObject]:
    """library.json of every board for this model; what is of another model is left out."""
    found = [read_result(path, *KEYS) for path in sorted(out_dir.glob(f"*{LIBRARY}/library.json"))]
    return [f for f in found if manifest and f["model_sha256"] == manifest["model_sha256"]]


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
