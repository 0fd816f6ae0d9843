"""Compare one board of a folder of results with its references; not equal is an error."""

from __future__ import annotations

from pathlib import Path

from host_tools.boards.board import TFLM, load_board
from host_tools.errors import DeviceError, HostToolsError
from host_tools.link.target import choose_target
from host_tools.parity.certificate import FeatureReport, run_features
from host_tools.parity.certificate import describe as describe_features
from host_tools.parity.outputs import ParityReport, run_parity
from host_tools.parity.outputs import describe as describe_parity
from host_tools.wording import as_typed


def parity(out_dir: Path, board_name: str) -> None:
    """Write <board>/parity.json of the board's first emulator.

    Raises HostToolsError when anything differs, and as run_parity does.
    """
    board = load_board(board_name)
    print_parity(run_parity(out_dir, board, choose_target(board, None, None), None))


def features(out_dir: Path, board_name: str) -> None:
    """Write <board>/features.json; raises HostToolsError when a feature differs."""
    board = load_board(board_name)
    print_features(run_features(out_dir, board, choose_target(board, None, None)))


def print_features(report: FeatureReport) -> None:
    """The certificate in a few lines; raises HostToolsError when a feature differs."""
    print(as_typed("\n".join(describe_features(report))))
    if report.first_difference is not None:
        raise HostToolsError(f"{report.board}: the front end differs from the host's")


def print_parity(report: ParityReport) -> None:
    """The verdict, and what it is about; raises HostToolsError when something is wrong."""
    print(as_typed("\n".join(describe_parity(report))))
    if report.failures and report.engine == TFLM:
        print(
            as_typed(
                "  the library's TFLite Micro may be older than the reference, which knows more: "
                "TAP=1 names the first operator that differs"
            )
        )
    if report.failures:
        only_missing = report.failures == [report.unanswered]
        raise (DeviceError if only_missing else HostToolsError)(
            f"{report.board}: " + "; ".join(report.failures)
        )
