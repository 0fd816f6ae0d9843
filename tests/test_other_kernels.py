"""Every verdict of an emulator that ran other kernels than the chip gets says so."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from host_tools.boards.chip_kernels import flashed_kernels, other_kernels
from host_tools.parity import certificate

LINE = (
    "  labwired_nrf52840 ran the portable kernels; what is flashed has armv7em, which run with "
    "EMULATOR=renode"
)


@pytest.mark.parametrize(
    ("board", "kernels", "emulator", "flashed"),
    [
        ("nano33", "ref", "labwired_nrf52840", "armv7em"),
        ("nano33", "armv7em", "renode", None),
        ("nano33", "armv7em", None, None),  # the board itself
        ("esp32", "xtensa", "labwired_esp32", "xtensa_mac16"),
        ("esp32", "xtensa_mac16", None, None),
        ("esp32c3", "ref", "labwired_esp32c3", None),
        ("qemu_m4", "ref", "qemu_m4", None),  # nothing is flashed
        ("unknown", "ref", "qemu_m4", None),
    ],
)
def test_which_kernels_the_chip_gets(
    board: str, kernels: str, emulator: str | None, flashed: str | None
) -> None:
    assert flashed_kernels(board, kernels, emulator) == flashed
    assert bool(other_kernels(board, kernels, emulator)) == bool(flashed)


def test_the_verdict_on_features_says_so() -> None:
    report = SimpleNamespace(
        board="nano33", emulator="labwired_nrf52840", port=None, kernels="ref", kind="imu", equal=3,
        cases=3, stream_equal=1, stream_inputs=1, max_difference=0, feature_counts=10,
        invoke_counts=20, hop=4, unit="instructions", first_difference=None,
    )  # fmt: skip
    assert LINE in certificate.describe(report)  # type: ignore[arg-type]
    report.kernels = "armv7em"
    assert LINE not in certificate.describe(report)  # type: ignore[arg-type]
