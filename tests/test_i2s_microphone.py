"""The ESP32's INMP441: its port against a double of the I2S block, its DMA and its pins."""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.microphones import (
    AIR_HZ,
    OVERRUN,
    SETTLING_S,
    Samples,
    build_double,
    heard,
    parse_reads,
    run_double,
    sine,
    word,
)
from tests.native_app import FIRMWARE

PORT = FIRMWARE / "board" / "esp32_inmp441" / "microphone.c"
RESTART = 5000
NO_SENSOR = 4
GAIN = 8 / 256  # 18 dB, and 24 bits to 16


@functools.cache
def double(folder: Path, rate_hz: int, port: Path = PORT) -> Path:
    pins = {"BCK": 18, "WS": 19, "SD": 23}
    return build_double(folder / f"i2s-{rate_hz}-{port.stem}", port, "i2s.c", pins, rate_hz)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("i2s")


def run(
    program: Path, air: npt.NDArray[np.float64], reads: Sequence[tuple[int, int]], wrong: str = ""
) -> subprocess.CompletedProcess[bytes]:
    return run_double(program, np.rint(air).astype("<i4"), reads, wrong)


def listen(
    folder: Path, rate_hz: int, air: npt.NDArray[np.float64], reads: Sequence[tuple[int, int]]
) -> list[tuple[int, Samples]]:
    return parse_reads(run(double(folder, rate_hz), air, reads), rate_hz, len(reads))


def ramp(seconds: float) -> npt.NDArray[np.float64]:
    """One step of the port's int16 a sample of 16 kHz, 4000 of them and again."""
    return (np.arange(int(seconds * AIR_HZ)) // 4 % 4000 - 2000) / GAIN


@pytest.mark.parametrize("rate_hz", [16000, 8000])
def test_a_tone_is_heard_at_its_exact_rate_and_with_18_db(folder: Path, rate_hz: int) -> None:
    tone = sine(1000, 2.0, 10000 / GAIN)
    found = heard(listen(folder, rate_hz, tone, [(10000, 512)] * 150))
    assert len(found) >= 1.3 * rate_hz
    steady = found[100 : 100 + rate_hz].astype(float)  # one second: a bin each 1 Hz
    spectrum = np.abs(np.fft.rfft(steady)) * 2 / rate_hz
    assert spectrum.argmax() == 1000
    assert spectrum[1000] == pytest.approx(10000, rel=0.01)
    spectrum[1000] = 0
    assert spectrum.max() < 5


def test_what_is_too_loud_saturates(folder: Path) -> None:
    found = heard(listen(folder, 16000, sine(500, 1.0, 8e6), [(10000, 512)] * 50))
    assert found.max() == 32767 and found.min() == -32768


def test_nothing_is_lost_or_twice_however_it_is_read(folder: Path) -> None:
    reads = [(100, 1), (7000, 3), (400000, 4096), (90000, 17), (0, 4096), (300000, 4096)] * 2
    found = heard(listen(folder, 16000, ramp(3), reads + [(0, 4096)] * 3))
    assert len(found) > 16000
    expected = (np.arange(len(found)) + SETTLING_S * 16000) % 4000 - 2000
    assert np.array_equal(found, expected)


def test_a_pause_beyond_the_ring_is_an_overrun_and_listening_goes_on(folder: Path) -> None:
    reads = [(200000, 4096), (600000, 4096), (100000, 4096), (100000, 4096), (2000000, 8)]
    found = listen(folder, 16000, ramp(5), reads)
    assert [state for state, _ in found] == [0, OVERRUN, 0, 0, OVERRUN]
    going_on = np.concatenate([found[2][1], found[3][1]]).astype(int)
    assert len(going_on) >= 1280
    assert set(np.diff(going_on)) <= {1, -3999}


def test_the_ring_holds_half_a_second(folder: Path) -> None:
    """34 blocks of 16 ms, one of them being filled, without the four that the port leaves out."""
    for us, state, count in ((526000, 0, 29 * 256), (546000, OVERRUN, 0)):
        found = listen(folder, 16000, ramp(2), [(us, 4096), (0, 4096)])
        assert found[0][0] == state
        assert sum(len(samples) for _, samples in found) == count


def test_a_restart_has_nothing_of_before(folder: Path) -> None:
    found = listen(folder, 16000, ramp(3), [(300000, 100), (0, RESTART), (0, 8), (200000, 4096)])
    assert [state for state, _ in found] == [0] * 4
    assert len(found[2][1]) == 0
    assert (int(found[3][1][0]) + 2000) > 0.3 * 16000 - 4000
    assert set(np.diff(found[3][1].astype(int))) <= {1, -3999}


@pytest.mark.parametrize("wrong", ["crystal", "dead"])
def test_without_the_pll_or_without_data_there_is_no_sensor(folder: Path, wrong: str) -> None:
    assert run(double(folder, 16000), ramp(1), [], wrong).returncode == NO_SENSOR


def test_a_word_comes_through_as_from_its_file(folder: Path) -> None:
    values = word() * 20000
    air = np.fft.irfft(np.pad(np.fft.rfft(values), (0, 28000)), 64000) * 8 / GAIN
    silence = np.zeros(int(0.1 * AIR_HZ))
    found = heard(listen(folder, 8000, np.concatenate([silence, air]), [(20000, 4096)] * 65))
    late = round((0.1 - SETTLING_S) * 8000) + 15  # 31 taps of 16 kHz are 15.5 of 8 kHz
    own, through = values[:7000], found[late : late + 7000].astype(float)
    spectra = [np.abs(np.fft.rfft(part))[:3000] for part in (own, through)]
    assert np.corrcoef(*spectra)[0, 1] > 0.999
    assert np.linalg.norm(spectra[1]) == pytest.approx(np.linalg.norm(spectra[0]), rel=0.01)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("(1u << 8) | 39u", "39u"),  # the fraction
        ("RX_LEFT_ONLY (1u << 3)", "RX_LEFT_ONLY (2u << 3)"),
        ("REG(reg_dport, PERIP_RST_EN) &= ~I2S0_BIT;", ""),
        ("GAIN_SHIFT 13", "GAIN_SHIFT 14"),
        ("    mark_empty(oldest);\n", ""),
    ],
)
def test_a_wrong_port_is_found(folder: Path, old: str, new: str) -> None:
    text = PORT.read_text()
    assert text.count(old) == 1
    port = folder / f"wrong{abs(hash(old))}.c"
    port.write_text(text.replace(old, new))
    done = run(double(folder, 16000, port), ramp(3), [(200000, 4096)] * 6)
    right = run(double(folder, 16000), ramp(3), [(200000, 4096)] * 6)
    assert right.returncode == 0
    assert (done.returncode, done.stdout) != (right.returncode, right.stdout)
