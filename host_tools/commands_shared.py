"""Where the firmware of a command runs: built and emulated, or flashed and at a port."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from host_tools.boards.board import FRAMEWORKS, Board, chip_board, load_board
from host_tools.boards.ports import require_link
from host_tools.emulators import ChipEmulator
from host_tools.errors import DeviceError, UsageError
from host_tools.link.device import Device
from host_tools.link.target import Target, choose_target, open_port
from host_tools.link.transport import require_port
from host_tools.options import DEFAULT_BOARD, repeated
from host_tools.report.results import read_result
from host_tools.stages.graph import Source, firmware_stages
from host_tools.stages.lock import locked
from host_tools.stages.session import show_plan, up_to_date
from model.recording import record


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A board, with the kernels of the firmware that runs, and where it runs."""

    board: Board
    target: Target


class Results(Protocol):
    """A folder of results, as Source."""

    @property
    def folder(self) -> Path:
        """Where it is."""

    @property
    def says(self) -> str:
        """What names it on make's command line."""


@contextmanager
def on_target(
    source: Source,
    board_name: str | None,
    emulator: str | None,
    port: str | None,
    *,
    dry_run: bool = False,
    why: bool = False,
    suffix: str = "",
) -> Iterator[Found | None]:
    """Firmware to talk to, under the folder's lock; None when only the plan is printed.

    Emulated firmware is brought up to date first. What a board at `port` runs is taken as it is:
    its run id must be that of a manifest in the folder. Raises DeviceError when it is not.
    `suffix` is what a board's name says of its firmware, where only the port is given.
    """
    if port:
        if emulator:
            raise UsageError(f"EMULATOR={emulator}: the board at PORT={port} runs by itself")
        port = require_link(port, load_board(board_name) if board_name else None, repeated())
        if dry_run or why:
            print(f"no stage would run: the firmware at {port} is taken as it is")
            yield None
            return
        require_port(port, repeated())
        with locked(source.folder):
            board = flashed_board(source, board_name, port, suffix)
            try:
                yield Found(board=board, target=choose_target(board, None, port))
            finally:
                record(source.folder)
        return
    found = emulated(board_name, emulator)
    stages = firmware_stages(source, found.board)
    if dry_run or why:
        show_plan(stages, why=why)
        print("the command itself runs every time, with the firmware of these stages")
        yield None
        return
    with up_to_date(source, stages):
        yield found


def emulated(board_name: str | None, emulator: str | None) -> Found:
    """A board in an emulator, with the chip's kernels where that knows the chip's instructions.

    Raises UsageError when it does not run the board, ToolMissing when it is not installed.
    """
    board = load_board(board_name or DEFAULT_BOARD)
    target = choose_target(board, emulator, None)
    if isinstance(target.emulator, ChipEmulator):
        board = chip_board(board)
    return Found(board=board, target=target)


def flashed_board(source: Results, board_name: str | None, port: str, suffix: str = "") -> Board:
    """The board at a port, with the kernels of the build that it runs.

    Its run id must be that of one of the folder's manifests. Raises DeviceError otherwise, and
    UsageError when nothing was generated here.
    """
    named = load_board(board_name) if board_name else None
    images = sorted(source.folder.glob("*/firmware.elf"))
    with Device(open_port(port, named), running=True, images=images) as device:
        info = device.info
    if named is not None and named.id != info.board_id:
        raise DeviceError(
            f"{port}: the firmware was built for {info.board_id}, not for {named.id}; name the "
            f"right board: BOARD={info.board_id}"
        )
    paths = sorted(source.folder.glob("gen*/**/manifest.json"))
    if not paths:
        raise UsageError(
            f"{source.folder}: no firmware was generated here; flash the board first: "
            f"make flash {source.says} BOARD={info.board_id} PORT={port}"
        )
    folders = {path: path.parent.name.removeprefix("gen-") for path in paths}
    runs = {read_result(path, "run_id")["run_id"]: name for path, name in folders.items()}
    if info.run_id not in runs:
        listed = ", ".join(f"{run} (kernels {kernels})" for run, kernels in sorted(runs.items()))
        raise DeviceError(
            f"{port}: the firmware holds model {info.model_name} {info.model_sha256[:16]}, run "
            f"{info.run_id}; {source.folder} has the runs {listed}. Name the recipe or model that "
            f"was flashed, or flash again: make flash {source.says} BOARD={info.board_id} "
            f"PORT={port}"
        )
    if info.framework not in FRAMEWORKS:  # it would name a folder
        raise DeviceError(
            f"{port}: the firmware has framework {info.framework!r}; expected one of "
            f"{', '.join(FRAMEWORKS)}; flash again: make flash {source.says} BOARD={info.board_id}"
        )
    kernels = runs[info.run_id]
    if named is not None and not named.plain and named.kernels != kernels:
        raise DeviceError(
            f"{port}: the firmware has the kernels {kernels}; BOARD={named.folder} asks for "
            f"{named.kernels}. Flash these: make flash {source.says} BOARD={named.folder} "
            f"PORT={port}, or leave them out: BOARD={named.id}"
        )
    suffix = named.suffix if named is not None else suffix
    plain = load_board(info.board_id + suffix)
    both = [plain] if plain.kernels == kernels else []
    both.append(load_board(f"{info.board_id}-{kernels}{suffix}"))
    found = [board.with_framework(info.framework) for board in both]
    built = (board for board in found if (source.folder / board.folder / "size.json").is_file())
    return next(built, found[0])
