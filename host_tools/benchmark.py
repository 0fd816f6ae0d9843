"""Count what one inference costs on a board, per layer, and how much memory the firmware takes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from host_tools.board import Board
from host_tools.parity import Target, check_identity, open_device
from model.files import write_json
from quantize.golden import load_golden


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkResult:
    """What bench.json holds."""

    board: str
    emulator: str | None
    unit: str  # what `counts` counts: 'instructions', 'cycles' or 'nanoseconds'
    counts: int  # of the second inference
    instructions: int | None  # the same, where the unit is instructions
    macs: int
    code_bytes: int
    weight_bytes: int
    flash_bytes: int
    ram_bytes: int
    arena_bytes: int
    arena_used: int
    stack_bytes: int  # the most that was used
    stack_reserved: int
    per_layer: list[dict[str, Any]]
    model_sha256: str


def run_benchmark(out_dir: Path, board: Board, target: Target) -> BenchmarkResult:
    """Run one golden case twice, count the second run, and write bench.json."""
    board_dir = out_dir / board.folder
    manifest = json.loads((board.gen_dir(out_dir) / "manifest.json").read_text("utf-8"))
    size = json.loads((board_dir / "size.json").read_text("utf-8"))
    golden = load_golden(out_dir / "golden.npz")
    with open_device(target, board, board_dir) as device:
        check_identity(device, manifest, board)
        counts = 0
        for _ in range(2):
            device.write_inputs(golden.case_inputs(0))
            counts = device.invoke()
        device.write_inputs(golden.case_inputs(0))
        profile = device.profile()
        info = device.hello()
    unit = target.emulator.unit if target.emulator else "cycles"
    steps = [op for op in manifest["operators"] if op["step"] is not None]
    result = BenchmarkResult(
        board=board.id,
        emulator=target.emulator.name if target.emulator else None,
        unit=unit,
        counts=counts,
        instructions=counts if unit == "instructions" else None,
        macs=manifest["macs"],
        code_bytes=size["code_bytes"],
        weight_bytes=size["weight_bytes"],
        flash_bytes=size["flash_bytes"],
        ram_bytes=size["ram_bytes"],
        arena_bytes=info.arena_bytes,
        arena_used=info.arena_used,
        stack_bytes=info.stack_used,
        stack_reserved=info.stack_bytes,
        per_layer=[
            {
                "step": op["step"],
                "operator": op["index"],
                "op": op["op"],
                "counts": count,
                "macs": op["macs"],
            }
            for op, count in zip(steps, profile, strict=True)
        ],
        model_sha256=manifest["model_sha256"],
    )
    write_json(board_dir / "bench.json", asdict(result))
    return result
