"""The Nano's microphone: its port against a double of the PDM block, and half the sample rate."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from model.features.design import recipe_front_end
from model.features.library import Extractor
from model.recipe_file import load_recipe
from tests.host_c import load_library
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
from tests.native_app import FIRMWARE, compile_c


@pytest.fixture(scope="module")
def halve_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = FIRMWARE / "features" / "fe_halve.c"
    folder = tmp_path_factory.mktemp("halve")
    flags = ["-shared", "-fPIC", "-fsanitize=undefined", "-fno-sanitize-recover=all"]
    return compile_c(folder / "halve.so", [source], flags)


@pytest.fixture
def library(halve_library: Path, request: pytest.FixtureRequest) -> ctypes.CDLL:
    return load_library(request.node, halve_library)


def halved(library: ctypes.CDLL, samples: Samples, cuts: Sequence[int] = ()) -> Samples:
    """The C over a whole stream, in as many calls as `cuts` says."""
    state = ctypes.create_string_buffer(2 * 64 + 4)
    library.fe_halve.restype = ctypes.c_size_t
    parts = []
    for part in np.split(np.ascontiguousarray(samples), list(cuts)):
        out = np.zeros(len(part) // 2 + 1, np.int16)
        count = library.fe_halve(
            state, part.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(len(part)),
            out.ctypes.data_as(ctypes.c_void_p),
        )  # fmt: skip
        parts.append(out[:count])
    return np.concatenate(parts)


def taps() -> npt.NDArray[np.int64]:
    """The filter by its formula: a sinc at half the band under a Kaiser window, in Q15."""
    n = np.arange(63) - 31
    ideal = 0.5 * np.sinc(n / 2) * np.kaiser(63, 4.5)
    side = np.rint(ideal[32::2] / ideal[32::2].sum() * 8192).astype(int)
    side[0] += 8192 - side.sum()
    whole = np.zeros(63, int)
    whole[31], whole[32::2], whole[30::-2] = 16384, side, side
    return whole


def test_half_the_rate_is_the_filter_of_its_formula(library: ctypes.CDLL) -> None:
    samples = np.random.default_rng(1).integers(-32768, 32768, 1001).astype(np.int16)
    sums = np.convolve(samples.astype(int), taps())[: len(samples)][1::2]
    expected = np.clip((sums + 16384) >> 15, -32768, 32767)
    assert np.array_equal(halved(library, samples), expected)
    assert np.abs(taps()).sum() < 2 * 32768 - 1  # so no sum reaches 2^31


def test_it_passes_speech_and_stops_what_would_fold_into_it() -> None:
    response = np.abs(np.fft.rfft(taps() / 32768.0, 16000))  # a bin each 1 Hz
    assert np.abs(20 * np.log10(response[:3501])).max() < 0.03
    assert 20 * np.log10(response[4500:].max()) < -50


def test_a_stream_may_be_cut_anywhere(library: ctypes.CDLL) -> None:
    samples = np.random.default_rng(2).integers(-32768, 32768, 400).astype(np.int16)
    whole = halved(library, samples)
    assert len(whole) == 200
    for cuts in ([1], [2, 3, 5, 8], [399], list(range(1, 400))):
        assert np.array_equal(halved(library, samples, cuts), whole)


def test_full_scale_saturates(library: ctypes.CDLL) -> None:
    square = np.where(np.arange(400) // 4 % 2, 32767, -32768).astype(np.int16)
    found = halved(library, square)
    assert found.max() == 32767 and found.min() == -32768


# --- the PDM block -----------------------------------------------------------------------------


@functools.cache
def double(folder: Path, rate_hz: int) -> Path:
    port = FIRMWARE / "board" / "nrf52840_pdm" / "microphone.c"
    pins = {"DATA": 25, "CLOCK": 26, "POWER": 17}
    return build_double(folder / f"pdm-{rate_hz}", port, "pdm.c", pins, rate_hz)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pdm")


def listen(
    folder: Path, rate_hz: int, air: npt.NDArray[np.float64], reads: Sequence[tuple[int, int]]
) -> list[tuple[int, Samples]]:
    done = run_double(double(folder, rate_hz), np.rint(air).astype("<i2"), reads)
    return parse_reads(done, rate_hz, len(reads))


@pytest.mark.parametrize("rate_hz", [16000, 8000])
def test_a_tone_is_heard_at_its_rate_and_with_20_db(folder: Path, rate_hz: int) -> None:
    found = heard(listen(folder, rate_hz, sine(1000, 2.0, 1000), [(10000, 64 * 8)] * 150))
    assert len(found) >= 1.3 * rate_hz
    steady = found[100 : 100 + rate_hz].astype(float)  # one second: a bin each 1 Hz
    spectrum = np.abs(np.fft.rfft(steady)) * 2 / rate_hz
    assert spectrum.argmax() == 1000
    assert spectrum[1000] == pytest.approx(10000, rel=0.01)
    spectrum[1000] = 0
    assert spectrum.max() < 5


def test_a_tone_above_half_the_rate_does_not_fold(folder: Path) -> None:
    found = heard(listen(folder, 8000, sine(6000, 1.0, 3000), [(10000, 512)] * 80))
    assert np.abs(found[200:5000]).max() < 30000 / 300  # 2000 Hz would be there, 50 dB down


@pytest.mark.parametrize("rate_hz", [16000, 8000])
def test_nothing_is_lost_or_twice_however_it_is_read(folder: Path, rate_hz: int) -> None:
    """A ramp of 4 a sample of 16 kHz, in reads of all sizes and after pauses of 0.4 s."""
    ramp = np.arange(int(3 * AIR_HZ)) / 4.0 % 2000 - 1000
    pauses = [(100, 1), (7000, 3), (400000, 4096), (90000, 17), (0, 4096), (300000, 4096)] * 2
    pauses += [(0, 4096)] * 3
    found = heard(listen(folder, rate_hz, ramp, pauses))
    assert len(found) > rate_hz
    if rate_hz == 16000:
        expected = np.trunc((np.arange(len(found)) + SETTLING_S * 16000) % 2000 - 1000) * 10
        assert np.abs(found - expected).max() <= 1  # no sample is missing
    else:
        steps = np.diff(found[40:].astype(int))
        assert np.median(steps) == 20
        assert np.mean(np.abs(steps - 20) > 3) < 0.1  # but around the ramp's falls


def test_a_pause_beyond_the_ring_is_an_overrun_and_listening_goes_on(folder: Path) -> None:
    ramp = np.arange(int(3 * AIR_HZ)) / 4.0 % 2000 - 1000
    reads = [(200000, 4096), (600000, 4096), (100000, 4096), (100000, 4096), (1000000, 8)]
    found = listen(folder, 16000, ramp, reads)
    assert [state for state, _ in found] == [0, OVERRUN, 0, 0, OVERRUN]
    for _, samples in found[2:4]:
        assert len(samples) >= 1280
    going_on = np.concatenate([found[2][1], found[3][1]]).astype(int)
    assert set(np.diff(going_on)) <= {10, -19990}


def test_the_ring_holds_half_a_second(folder: Path) -> None:
    """31 blocks of 16 ms, after the four that the port leaves out; nothing of one more."""
    ramp = np.arange(int(2 * AIR_HZ)) / 4.0 % 2000 - 1000
    for us, state, count in ((558000, 0, 30 * 256), (561000, OVERRUN, 0)):
        found = listen(folder, 16000, ramp, [(us, 4096), (0, 4096)])
        assert found[0][0] == state
        assert sum(len(samples) for _, samples in found) == count


def test_keywords_hears_a_word_through_the_microphone_as_from_its_file(folder: Path) -> None:
    values = word() * 3000  # quiet enough for 20 dB more
    spectrum = np.fft.rfft(values)
    air = np.fft.irfft(np.pad(spectrum, (0, 8 * 4000 - 4000)), 8 * 8000) * 8
    silence = int(0.1 * AIR_HZ)
    found = heard(
        listen(folder, 8000, np.concatenate([np.zeros(silence), air]), [(20000, 4096)] * 65)
    )
    late = round((0.1 - SETTLING_S) * 8000) + 15  # 31 taps of 16 kHz are 15.5 of 8 kHz
    front_end = recipe_front_end(load_recipe("keywords"))
    window = front_end.window
    own, through = (
        Extractor(front_end).batch(samples[None, :window, None])[0].astype(int)
        for samples in (np.rint(values * 10).astype(np.int16), found[late:])
    )
    loud = own > own.max() - 2560  # within 10 octaves of power of the loudest: Q8
    assert np.abs(own - through)[loud].mean() < 0.15 * own.std()
