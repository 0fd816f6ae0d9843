"""The ESP32's accelerometer and gyroscope: its port against a double of the chip and its bus."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.native_app import FIRMWARE, ROOT, compile_c

OVERRUN, FAILED = 1, 4
NO_SENSOR = 4


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sources = [FIRMWARE / "board" / name for name in ("mpu6050/sensor.c", "esp32_mpu6050/bus.c")]
    sources.append(ROOT / "tests" / "doubles" / "mpu6050.c")
    flags = ["-DBOARD_PIN_SENSOR_SDA=21", "-DBOARD_PIN_SENSOR_SCL=22", f"-I{FIRMWARE / 'board'}"]
    sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    return compile_c(tmp_path_factory.mktemp("mpu") / "mpu", sources, flags + sanitizers)


def run(
    program: Path, reads: Sequence[tuple[int, int]], *arguments: str
) -> list[tuple[int, npt.NDArray[np.int16]]]:
    """(state, samples [n, 6]) of each read; `reads` are milliseconds before it and its capacity."""
    done = subprocess.run(
        [program, *arguments],
        input="\n".join(f"{ms} {capacity}" for ms, capacity in reads).encode(),
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, (done.returncode, done.stderr.decode())
    assert struct.unpack_from("<I", done.stdout) == (50000,)
    found, at = [], 4
    for _ in reads:
        count, state = struct.unpack_from("<II", done.stdout, at)
        values = np.frombuffer(done.stdout, "<i2", 6 * count, at + 8)
        found.append((state, values.reshape(count, 6)))
        at += 8 + 12 * count
    return found


def expected(numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """What the double measures, in steps of 0.732 mg and 0.07 degrees a second."""
    one = np.ones_like(numbers)
    accel = np.stack([numbers, -numbers, 2048 * one], 1) / 2048 / 0.000732
    gyro = np.stack([1640 * one, -1640 * one, -2 * numbers], 1) / 16.4 / 0.07
    return np.rint(np.concatenate([accel, gyro], 1)).astype(int)


def test_samples_come_in_order_in_the_steps_of_the_recipe(program: Path) -> None:
    found = run(program, [(100, 8), (0, 8), (500, 8), (0, 128), (20, 1), (20, 3), (300, 128)])
    assert not any(state for state, _ in found)
    samples = np.concatenate([values for _, values in found])
    assert len(samples) >= 45
    assert np.abs(samples - expected(np.arange(len(samples)))).max() <= 1
    assert samples[0, 2] == 1366 and samples[0, 3] == 1429  # 1 g, 100 degrees a second


def test_a_full_fifo_is_an_overrun_and_samples_are_whole_again(program: Path) -> None:
    found = run(program, [(100, 128), (1650, 128), (5000, 128), (200, 128)])
    assert [state for state, _ in found] == [0, 0, OVERRUN, 0]
    assert len(found[1][1]) >= 80
    assert len(found[2][1]) == 0
    (_, samples) = found[3]
    assert len(samples) >= 10
    first = round(samples[0, 0] * 0.000732 * 2048)
    assert np.abs(samples - expected(first + np.arange(len(samples)))).max() <= 2


def test_a_chip_that_is_not_there_or_goes_silent_is_told(program: Path) -> None:
    assert subprocess.run([program, "absent"], input=b"", check=False).returncode == NO_SENSOR
    (_, (state, samples)) = run(program, [(100, 8), (9999, 8)])
    assert state == FAILED and len(samples) == 0


def test_a_chip_in_the_midst_of_an_answer_is_freed(program: Path) -> None:
    ((state, samples),) = run(program, [(100, 128)], "stuck")
    assert state == 0 and len(samples) >= 4
