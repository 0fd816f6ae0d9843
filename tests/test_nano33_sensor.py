"""The Nano's sensor wakes in the order and with the waits of the Arduino core, on a slower bus."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

from host_tools.boards.board import load_board
from tests.native_app import ROOT

MODEL = ROOT / "tests" / "stub_nano33" / "bus.c"
TICKS_10_MS = 640_000
HIGH_DRIVE_OUTPUT = 1 | 1 << 1 | 3 << 8  # DIR, INPUT disconnected, DRIVE H0H1


class Seen(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_uint32)
        for name in (
            "power_ticks",
            "power_configuration",
            "pullup_ticks",
            "trace_at_pullup",
            "transfer_ticks",
            "frequency",
            "reset_ticks",
            "next_ticks",
        )
    ]


def test_power_then_pull_ups_then_the_bus(tmp_path: Path) -> None:
    pins = [
        f"-DBOARD_PIN_{name}={32 * int(pin[1]) + int(pin[3:])}"  # P1.03
        for name, pin in load_board("nano33").pins.items()
    ]
    include, warnings = f"-I{ROOT / 'firmware' / 'board'}", ["-Wall", "-Wextra", "-Werror"]
    library = tmp_path / "bus.so"
    subprocess.run(
        ["cc", "-std=c11", "-shared", "-fPIC", *warnings, include, *pins, MODEL, "-o", library],
        check=True,
    )
    run = ctypes.CDLL(str(library)).bus_run
    run.restype = ctypes.c_void_p
    seen = Seen()
    assert run(ctypes.byref(seen)) is not None
    assert seen.power_ticks > 0
    assert seen.pullup_ticks - seen.power_ticks >= TICKS_10_MS
    assert seen.power_configuration == HIGH_DRIVE_OUTPUT
    assert seen.trace_at_pullup == 0
    assert seen.transfer_ticks - seen.pullup_ticks >= TICKS_10_MS
    assert seen.next_ticks - seen.reset_ticks >= TICKS_10_MS
    assert seen.frequency == 0x04000000  # 250 kHz
