"""How much of the line is used, and that a device that stops reading ends a run.

    python -m tests.test_throughput

prints the table of docs/MACHINES.md: cases of the stub model, 768 bytes of input each, a second.
"""

from __future__ import annotations

import random
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from host_tools.boards.board import load_board
from host_tools.errors import DeviceError
from host_tools.link import line
from host_tools.link.device import Device
from host_tools.link.target import choose_target
from host_tools.link.transport import SerialTransport, Transport
from tests.firmware_builds import built
from tests.native_app import compile_app
from tests.paced import BYTES_PER_S, PacedBoard

CASES = 40  # 3 s at 115200 baud
FIFO_BYTES = (6, 128)  # of the UARTs of nRF52840 and ESP32
EMULATORS = ("native", "qemu_m4", "qemu_xtensa")


def measure(transport: Transport, cases: int) -> tuple[float, float]:
    """(bytes to the device, cases) a second."""
    with Device(transport) as device:
        device.hello()
        before, started = device._line.sent, time.monotonic()
        inputs = [random.Random(case).randbytes(768) for case in range(cases)]
        for case, outputs in device.run_all(([data], []) for data in inputs):
            assert outputs == [bytes(2 * value % 256 for value in inputs[case][:7])]
        took_s = time.monotonic() - started
        return (device._line.sent - before) / took_s, cases / took_s


def best(elf: Path, window: int) -> float:
    """The share of the line that is used, at best of three: the computer has other work too."""
    shares = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(line, "MAX_WINDOW", window)
        for _ in range(3):
            with PacedBoard(elf) as board:
                shares.append(measure(SerialTransport(board.port), CASES)[0] / BYTES_PER_S)
            if shares[-1] >= 0.8:
                break
    return max(shares)


@pytest.fixture(scope="module")
def stub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_app(tmp_path_factory.mktemp("stub"))


@pytest.mark.parametrize("fifo", FIFO_BYTES)
def test_the_line_is_used_to_four_fifths(stub: Path, fifo: int) -> None:
    assert best(stub, fifo) >= 0.8


def test_a_port_whose_device_stops_reading_ends(
    stub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The waits add up to 25 s by default; here to one."""
    with PacedBoard(stub) as board:
        device = Device(SerialTransport(board.port), timeout_s=0.2)
        device.hello()
        board._ended = True  # carries nothing any more
        begin = time.monotonic()
        with pytest.raises(DeviceError, match=r"no reply to RESET in 1 s.*Check the cable"):
            device.run([bytes(768)])
        assert time.monotonic() - begin < 10
        device.close()
    assert line.SILENCES * 5.0 < 30


def main() -> None:
    """Print the rows."""
    with TemporaryDirectory() as folder:
        stub = compile_app(Path(folder))
        for fifo in FIFO_BYTES:
            share = best(stub, fifo)
            print(f"| 115200 baud, {fifo} bytes kept | {share:.0%} of the line |")
        for board_id in EMULATORS:
            emulator = choose_target(load_board(board_id), None, None).emulator
            assert emulator is not None
            elf = built(board_id)[0] / "firmware.elf"
            rate, cases = measure(emulator.start(elf), 2000)
            print(f"| {board_id} | {cases:,.0f} cases, {rate:,.0f} bytes a second |")


if __name__ == "__main__":
    main()
