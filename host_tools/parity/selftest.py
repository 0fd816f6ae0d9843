"""Compare a board's kernels with the reference kernels, on the board itself."""

from __future__ import annotations

from pathlib import Path

from host_tools.boards.board import REFERENCE, SELFTEST, Board
from host_tools.errors import DeviceError, UsageError
from host_tools.link.target import Target, check_identity, open_device
from host_tools.report.results import read_manifest

COMMAND = "selftest kernels"
EQUAL, DIFFERENT = "kernels PASS: ", "kernels FAIL: "


def compare_kernels(out_dir: Path, board: Board, target: Target) -> tuple[bool, str]:
    """Whether every step of the model gave the same bytes, and what the device says about it.

    `out_dir` is a folder of results; `board` is a variant whose firmware holds the reference
    model. Raises DeviceError when the firmware is another one or silent, UsageError when it
    refuses.
    """
    manifest = read_manifest(board, out_dir)
    if board.kernels == REFERENCE:
        raise UsageError(_alike(board, target))
    with open_device(target, board, out_dir / board.folder) as device:
        check_identity(device, manifest, board)
        lines = device.command(COMMAND)
    told = lines[-1] if lines else ""
    if not told.startswith((EQUAL, DIFFERENT)):
        raise DeviceError(
            f"board {board.id}: expected '{EQUAL}' or '{DIFFERENT}' from `{COMMAND}`, got {lines}; "
            f"build and flash again: make flash BOARD={board.id}{SELFTEST}"
        )
    return told.startswith(EQUAL), told


def _alike(board: Board, target: Target) -> str:
    """Why there is nothing to compare, and what to do."""
    told = (
        f"board {board.id} on {target.name} runs the kernels {REFERENCE}, which are the reference "
        "itself: nothing to compare"
    )
    if board.upload is None:
        return f"{told}; name other kernels, as in BOARD=native-armv7em"
    chip = board.upload.kernels
    return (
        f"{told}. The chip's own kernels are {chip}: make flash BOARD={board.id}{SELFTEST}, then "
        f"make selftest BOARD={board.id} PORT=<the link's port>; or in an emulator that knows "
        "them: make selftest BOARD=qemu_m4"
    )
