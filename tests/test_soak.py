"""Many inferences over a line that loses and damages frames, on firmware that resets now and then.

`lost` and `flipped` are shares of all frames, both ways: 1 % are lost, and one bit is flipped in
0.1 %. (A bit in a thousand of all bits would leave no frame of a kilobyte whole.)
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from host_tools.boards.board import load_board
from host_tools.emulators.native import Native
from host_tools.errors import DeviceError
from host_tools.link.device import Device
from host_tools.link.protocol import Channel, Sensor, pack_sensor
from host_tools.link.target import choose_target
from host_tools.link.transport import Transport
from tests.faulty import NoisyTransport
from tests.firmware_builds import built
from tests.native_app import compile_app, start, stub_with_features
from tests.test_stream import CHANNELS, HOP, SAMPLES, expected_outputs, inferences, pushes

CASE_BYTES = 840  # that a case of the stub takes on the way to the firmware


@pytest.fixture(scope="module")
def stub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compile_app(tmp_path_factory.mktemp("stub"))


def noisy_device(
    open_line: Callable[[], Transport], *, lost: float, flipped: float, resets: list[int]
) -> Device:
    """A device behind a noisy line that is opened again behind each of the `resets`."""
    seeds = iter(range(0, 1000, 2))

    def connect() -> Transport:
        return NoisyTransport(open_line(), next(seeds), lost=lost, flipped=flipped, resets=resets)

    return Device(connect(), reconnect=connect, run_timeout_s=60.0)


def soak(
    open_line: Callable[[], Transport], cases: int, *, lost: float, flipped: float, resets: int
) -> str:
    """Run so many cases; AssertionError when one is wrong or lost."""
    apart = CASE_BYTES * cases // (resets + 1)
    started, wrong, missing = time.monotonic(), 0, 0
    inputs = [random.Random(case).randbytes(768) for case in range(cases)]
    places = [apart] * resets  # counted by each connection from its start
    with noisy_device(open_line, lost=lost, flipped=flipped, resets=places) as device:
        answered = set()
        for case, outputs in device.run_all(([data], []) for data in inputs):
            answered.add(case)
            if isinstance(outputs, DeviceError):
                missing += 1
            else:
                wrong += outputs != [bytes(2 * value % 256 for value in inputs[case][:7])]
        told = (
            f"{cases} inferences, {wrong} wrong, {missing + cases - len(answered)} lost, "
            f"{device.setbacks}, {time.monotonic() - started:.1f} s"
        )
        assert (wrong, missing, len(answered)) == (0, 0, cases), told
        assert device.setbacks.reconnects == resets, told
        return told


def test_nothing_is_wrong_or_lost(stub: Path) -> None:
    print(soak(lambda: start(stub), 300, lost=0.01, flipped=0.001, resets=3))


def test_a_line_with_many_damaged_frames_goes_on_working(stub: Path) -> None:
    print(soak(lambda: start(stub), 60, lost=0.0, flipped=0.06, resets=0))


@pytest.mark.slow
def test_twenty_thousand_inferences_on_native(stub: Path) -> None:
    print(soak(lambda: start(stub), 20_000, lost=0.01, flipped=0.001, resets=10))


@pytest.mark.slow
def test_five_thousand_inferences_on_qemu_m4() -> None:
    elf = built("qemu_m4")[0] / "firmware.elf"
    emulator = choose_target(load_board("qemu_m4"), None, None).emulator
    assert emulator is not None
    print(soak(lambda: emulator.start(elf), 5_000, lost=0.01, flipped=0.001, resets=10))


def test_streams_and_recordings_too(tmp_path: Path) -> None:
    """SAMPLES begins a stream again, RECORD loses no sample."""
    elf = compile_app(tmp_path, stub_with_features(tmp_path))
    channels = tuple(Channel(name=f"c{i}", unit="g", lsb_nano=1) for i in range(CHANNELS))
    sensor = Sensor(rate_millihertz=100_000, channels=channels)
    replay = Native(replay=pack_sensor(sensor) + SAMPLES.tobytes())
    requests = pushes(list(range(HOP, len(SAMPLES), HOP)))
    with noisy_device(lambda: replay.start(elf), lost=0.01, flipped=0.01, resets=[]) as device:
        for _ in range(20):
            found = inferences(device.exchange(requests))
            assert [i.outputs for i in found] == expected_outputs(SAMPLES)
        for _ in range(10):
            assert device.record_start() == sensor
            taken = b""
            while len(taken) < SAMPLES.nbytes:
                taken += device.record_read(len(taken) // (2 * CHANNELS), CHANNELS).samples
            assert np.array_equal(np.frombuffer(taken, np.int16).reshape(-1, CHANNELS), SAMPLES)
        assert device.setbacks.retries > 0
