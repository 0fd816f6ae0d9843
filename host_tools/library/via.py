"""Parity by way of a library: a program that knows its public header alone, built and compared.

The program answers the link's questions (firmware/via_library), so the same comparison runs as for
the application. Beside its verdict stand what it weighs and, on QEMU, what one inference costs, and
whether samples that are pushed give the same answers as the golden inputs made from them.
"""

from __future__ import annotations

import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from host_tools.bench.counting import counting
from host_tools.boards.board import Board
from host_tools.build.elf import SizeReport
from host_tools.build.firmware import build_firmware
from host_tools.errors import DeviceError, HostToolsError, ToolMissing
from host_tools.library.make import Library, make_library, render
from host_tools.library.sources import library_set
from host_tools.library.write import write_library
from host_tools.link import protocol
from host_tools.link.device import Device
from host_tools.link.protocol import MessageType, Mode
from host_tools.link.target import Target, open_device
from host_tools.parity.outputs import ParityReport, run_parity, spread
from host_tools.report.libraries import LIBRARY
from host_tools.report.results import read_manifest
from model.files import write_json, write_text
from model.npz import read_arrays
from quantize.golden import Golden, load_golden

ENGINE = "library"
HEADER = "via_library.h"


@dataclass(frozen=True, slots=True, kw_only=True)
class ViaReport:
    """What library.json of a board holds."""

    board: str
    emulator: str | None
    library: str
    kernels: str
    model_sha256: str
    run_id: str
    cases: int
    equal: int
    windows: int  # of samples that were pushed
    windows_equal: int
    instructions: int | None  # of one invoke
    instructions_missing: str | None
    code_bytes: int
    weight_bytes: int
    flash_bytes: int
    ram_bytes: int
    object_bytes: int


def via_library(board: Board) -> Board:
    """The board whose program is around a library, with the library's kernels for it; its results
    lie in a folder of its own."""
    kernels = library_set(board.kernels)
    return replace(board, kernels=kernels, engine=ENGINE, folder=f"{board.folder}{LIBRARY}")


def run_via_library(
    out_dir: Path, board: Board, target: Target, cases: int | None
) -> tuple[ParityReport, ViaReport]:
    """Build the program, compare it, write <board>-library/parity.json and library.json.

    Raises as make_library, build_firmware and run_parity do.
    """
    board = via_library(board)
    manifest = read_manifest(board, out_dir)
    library = make_library(out_dir)
    size = _build(out_dir, board, manifest, library)
    report = run_parity(out_dir, board, target, cases)
    windows = _push_windows(out_dir, board, target, manifest, cases)
    instructions = _instructions(out_dir, board, target, library)
    own = library.values["sets"]["portable" if board.kernels == "ref" else board.kernels]
    found = ViaReport(
        board=board.id,
        emulator=target.emulator.name if target.emulator else None,
        library=library.name,
        kernels=board.kernels,
        model_sha256=report.model_sha256,
        run_id=report.run_id,
        cases=report.cases,
        equal=report.equal,
        windows=len(windows),
        windows_equal=sum(windows),
        instructions=instructions if isinstance(instructions, int) else None,
        instructions_missing=instructions if isinstance(instructions, str) else None,
        code_bytes=size.code_bytes,
        weight_bytes=size.weight_bytes,
        flash_bytes=size.flash_bytes,
        ram_bytes=size.ram_bytes,
        object_bytes=own.object_bytes,
    )
    write_json(out_dir / board.folder / target.file("library"), asdict(found))
    return report, found


def _build(out_dir: Path, board: Board, manifest: dict[str, Any], library: Library) -> SizeReport:
    """Write the library and what the program needs beside it, then build."""
    folder = out_dir / board.folder / "via"
    shutil.rmtree(folder, ignore_errors=True)  # ours alone, whoever wrote it
    path, _ = write_library(library, folder)
    values = {**library.values, "run_id": manifest["run_id"]}
    write_text(folder / HEADER, render(HEADER, values))
    return build_firmware(board, board.gen_dir(out_dir), out_dir / board.folder, library=path)


def _push_windows(
    out_dir: Path, board: Board, target: Target, manifest: dict[str, Any], cases: int | None
) -> list[bool]:
    """Of windows of raw samples: whether the answer to each is that of its golden case."""
    outputs = sum(int(o["bytes"]) for o in manifest["outputs"])
    if not manifest.get("features") or outputs > protocol.MAX_STREAM_OUTPUT:
        return []
    golden: Golden = load_golden(out_dir / "golden.npz")
    samples = read_arrays(out_dir / "samples.npz", ("samples",))["samples"]
    limit = cases or (target.emulator.case_limit if target.emulator else None)
    chosen = spread(len(golden), limit)
    with open_device(target, board, out_dir / board.folder) as device:
        return [
            _push(device, samples[case], outputs)
            == [b"".join(values.tobytes() for values in golden.case_outputs(case))]
            for case in chosen
        ]


def _push(device: Device, samples: np.ndarray[Any, Any], output_bytes: int) -> list[bytes]:
    """The outputs of every inference on samples [n, channels], pushed from a new start on."""
    step = protocol.MAX_SAMPLES // samples.shape[1]
    requests = [
        (
            MessageType.SAMPLES,
            protocol.samples_payload(
                at, Mode.INVOKE, samples[at : at + count].astype("<i2").tobytes()
            ),
        )
        for at, count in protocol.parts(len(samples), step)
    ]
    replies = device.exchange(requests)
    return [i.outputs for r in replies for i in protocol.parse_inferences(r, output_bytes)]


def _instructions(out_dir: Path, board: Board, target: Target, library: Library) -> int | str:
    """Retired instructions of one invoke, the second of a golden case; or why they are unknown."""
    golden = load_golden(out_dir / "golden.npz")
    board_dir = out_dir / board.folder
    function = f"{library.name}_invoke"
    try:
        with counting(target, board, board_dir / "firmware.elf", (function,)) as counter:
            with open_device(counter.target, board, board_dir) as device:
                for _ in range(2):
                    device.run(golden.case_inputs(0))
            calls = counter.calls()
    except (ToolMissing, DeviceError) as error:
        return str(error)
    if not calls:
        raise HostToolsError(f"{board_dir}: no call of {function} was counted")
    return sum(step.count for step in calls[-1].executed)


def describe(found: ViaReport) -> list[str]:
    """What the command prints beside the verdict."""
    where = f"{found.board} on {found.emulator or 'a board'}"
    lines = [f"  a program around {found.library}.h alone, kernels {found.kernels}, {where}"]
    if found.windows:
        lines.append(f"  samples pushed: {found.windows_equal} of {found.windows} windows equal")
    counted = (
        f"{found.instructions:,} instructions an invoke"
        if found.instructions is not None
        else f"instructions not counted: {found.instructions_missing}"
    )
    lines.append(
        f"  flash {found.flash_bytes:,} bytes (code {found.code_bytes:,}, weights "
        f"{found.weight_bytes:,}), RAM {found.ram_bytes:,} (an object {found.object_bytes:,}); "
        + counted
    )
    return lines
