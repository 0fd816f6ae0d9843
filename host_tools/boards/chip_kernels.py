"""Where an emulator ran other kernels than the chip gets."""

from __future__ import annotations

from host_tools.boards.board import BOARDS, TFLM, Upload, load_board


def flashed_kernels(board_id: str, kernels: str, emulator: str | None) -> str | None:
    """The kernels that the chip gets, where an emulator ran others; else None."""
    upload = _other_upload(board_id, kernels, emulator)
    return upload.kernels if upload else None


def _other_upload(board_id: str, kernels: str, emulator: str | None) -> Upload | None:
    upload = load_board(board_id).upload if board_id in BOARDS else None
    if emulator is None or upload is None or kernels in (upload.kernels, TFLM):
        return None
    return upload


def other_kernels(board_id: str, kernels: str, emulator: str | None) -> list[str]:
    """The line of a verdict that says that an emulator ran other kernels than the chip gets."""
    upload = _other_upload(board_id, kernels, emulator)
    if upload is None:
        return []
    portable = "the portable kernels" if kernels == "ref" else f"the kernels {kernels}"
    told = f"  {emulator} ran {portable}; what is flashed has {upload.kernels}, which run with "
    return [told + upload.kernels_run_with]
