"""Count what one inference costs on a board, per layer, and how much memory the firmware takes."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from host_tools.bench.counting import Call, counting, is_arm
from host_tools.bench.estimate import Estimate, estimate, middle_cycles
from host_tools.bench.instructions import Mix, mix
from host_tools.boards.board import Board
from host_tools.errors import DeviceError, HostToolsError, ToolMissing
from host_tools.link.protocol import Hello
from host_tools.link.target import Target, check_identity, open_device
from host_tools.report.results import SIZE_KEYS, read_manifest, read_result
from model.files import write_json
from quantize.golden import Golden, load_golden

MODEL, STEP = "model_invoke", "model_step"  # functions of the generated code
START = re.compile(r"start +(?P<ticks>\d+) ticks")  # of the firmware's command `info`
CALL_COUNTS = 40  # instructions around a call that the board's counter sees and the plugin does not


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkResult:
    """What bench.json holds."""

    board: str
    emulator: str | None
    unit: str  # what `counts` counts: 'instructions', 'cycles' or 'nanoseconds'
    counts: int  # of the second inference
    start_counts: int | None  # before the first inference: what the engine sets up; None: not told
    instructions: int | None  # the same, where the unit is instructions
    mix: Mix | None  # of the same inference
    mix_missing: str | None  # why it was not measured
    estimates: list[Estimate]
    macs: int
    code_bytes: int
    weight_bytes: int  # of all constants
    footprint: dict[str, int]  # what they are for, as the manifest says
    flash_bytes: int
    ram_bytes: int
    arena_bytes: int
    arena_used: int
    stack_bytes: int  # the most that was used
    stack_reserved: int
    per_layer: list[dict[str, Any]]
    model_sha256: str
    run_id: str
    kernels: str
    framework: str
    engine: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """Two inferences of one golden case, the second counted, and one step by step."""

    counts: int
    start_counts: int | None
    profile: tuple[int, ...]
    info: Hello
    calls: list[Call]
    calls_missing: str | None


def run_benchmark(out_dir: Path, board: Board, target: Target) -> BenchmarkResult:
    """Run one golden case twice, count the second run, and write bench.json.

    Raises DeviceError when the firmware is another one or silent, HostToolsError when two ways of
    counting disagree.
    """
    board_dir = out_dir / board.folder
    manifest = read_manifest(board, out_dir)
    size = read_result(board_dir / "size.json", *SIZE_KEYS)
    golden = load_golden(out_dir / "golden.npz")
    run = _run(target, board, board_dir, manifest, golden)
    unit = target.unit(board)
    whole, steps = _calls(run)
    arm = bool(whole) and is_arm(board_dir / "firmware.elf")
    result = BenchmarkResult(
        board=board.id,
        emulator=target.emulator.name if target.emulator else None,
        unit=unit,
        counts=run.counts,
        start_counts=run.start_counts,
        instructions=run.counts if unit == "instructions" else None,
        mix=mix(whole.executed, arm=arm) if whole else None,
        mix_missing=run.calls_missing,
        estimates=estimate(whole.executed, board.id) if whole else [],
        macs=manifest["macs"],
        code_bytes=size["code_bytes"],
        weight_bytes=size["weight_bytes"],
        footprint=manifest["footprint"],
        flash_bytes=size["flash_bytes"],
        ram_bytes=size["ram_bytes"],
        arena_bytes=run.info.arena_bytes,
        arena_used=run.info.arena_used,
        stack_bytes=run.info.stack_used,
        stack_reserved=run.info.stack_bytes,
        per_layer=[
            {
                "step": op["step"],
                "operator": op["index"],
                "op": op["op"],
                "counts": count,
                "cycles": middle_cycles(step.executed, board.id) if step else None,
                "macs": op["macs"],
                "mix": asdict(mix(step.executed, arm=arm)) if step else None,
            }
            for op, count, step in zip(_operators(manifest), run.profile, steps, strict=True)
        ],
        model_sha256=manifest["model_sha256"],
        run_id=manifest["run_id"],
        kernels=manifest["kernels"],
        framework=board.framework,
        engine=board.engine,
    )
    write_json(board_dir / target.file("bench"), asdict(result))
    return result


def load_benchmark(out_dir: Path, board: Board) -> BenchmarkResult:
    """What run_benchmark wrote of the board's first emulator; raises as read_result does."""
    names = [field.name for field in fields(BenchmarkResult)]
    path = out_dir / board.folder / "bench.json"
    content = read_result(path, *names)
    values: dict[str, Any] = {name: content[name] for name in names}
    values["mix"] = values["mix"] and Mix(**values["mix"])
    values["estimates"] = [Estimate(**line) for line in values["estimates"]]
    return BenchmarkResult(**values)


def describe_footprint(f: dict[str, int]) -> str:
    """What constants are for, in a line."""
    raw = f["raw_weights"]
    share = f", {f['weights'] / raw:.1%} of their {raw:,}" if raw else ""
    return (
        f"constants: weights {f['weights']:,}{share}; biases "
        f"{f['biases']:,}, requantisation {f['requantisation']:,}, other {f['other']:,}"
    )


def _operators(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """Those that are a step, each with the MACs of operators that run with it."""
    together: dict[int, list[dict[str, Any]]] = {}
    for op in manifest["operators"]:
        runs_with = op.get("runs_with")
        together.setdefault(op["index"] if runs_with is None else runs_with, []).append(op)
    return [
        op
        | {
            "op": " + ".join(o["op"] for o in together[op["index"]]),
            "macs": sum(o["macs"] for o in together[op["index"]]),
        }
        for op in manifest["operators"]
        if op["step"] is not None
    ]


def _run(
    target: Target, board: Board, board_dir: Path, manifest: dict[str, Any], golden: Golden
) -> _Run:
    """Run with the plugin where there is one, else without."""
    try:
        with counting(target, board, board_dir / "firmware.elf", (MODEL, STEP)) as counter:
            run = _inferences(counter.target, board, board_dir, manifest, golden)
            return _Run(**run, calls=counter.calls(), calls_missing=None)
    except (ToolMissing, DeviceError) as error:  # another QEMU may refuse the plugin
        run = _inferences(target, board, board_dir, manifest, golden)
        return _Run(**run, calls=[], calls_missing=str(error))


def _inferences(
    target: Target, board: Board, board_dir: Path, manifest: dict[str, Any], golden: Golden
) -> dict[str, Any]:
    counts = 0
    with open_device(target, board, board_dir) as device:
        check_identity(device, manifest, board)
        for _ in range(2):
            device.write_inputs(golden.case_inputs(0))
            counts = device.invoke()
        device.write_inputs(golden.case_inputs(0))
        profile = device.profile()
        told = [found for line in device.command("info") if (found := START.fullmatch(line))]
        start = device.info.counts(int(told[0]["ticks"])) if told else None
        measured = {"counts": counts, "start_counts": start, "profile": tuple(profile)}
        return measured | {"info": device.hello()}


def _calls(run: _Run) -> tuple[Call | None, list[Call] | list[None]]:
    """The second inference and the last run of every step, if they were counted."""
    whole = [call for call in run.calls if call.function == MODEL]
    steps = [call for call in run.calls if call.function == STEP][-len(run.profile) :]
    if run.calls_missing is not None:
        return None, [None] * len(run.profile)
    for name, counts, calls in ((MODEL, run.counts, whole[-1:]), (STEP, sum(run.profile), steps)):
        counted = sum(item.count for call in calls for item in call.executed)
        if not 0 <= counts - counted <= CALL_COUNTS * max(1, len(calls)):
            raise HostToolsError(
                f"{name}: the board counts {counts:,} instructions, the plugin {counted:,}; "
                "expected nearly the same. Build the firmware again"
            )
    return whole[-1], steps
