"""What the tests of microphones' ports share: a double's program, and sounds for it."""

from __future__ import annotations

import os
import struct
import subprocess
import wave
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tests.native_app import FIRMWARE, ROOT, compile_c

Samples = npt.NDArray[np.int16]
AIR_HZ = 64000  # of the doubles
OVERRUN = 1
SETTLING_S = 0.064  # that the ports leave out


def build_double(
    path: Path, port: Path, double: str, pins: Mapping[str, int], rate_hz: int
) -> Path:
    """The program `path` of a microphone's port and tests/doubles/<double>, which it hears."""
    sources = [
        FIRMWARE / "board" / "microphone" / "sensor.c",
        port,
        FIRMWARE / "features" / "fe_halve.c",
        ROOT / "tests" / "doubles" / double,
    ]
    flags = [f"-DBOARD_PIN_MICROPHONE_{name}={number}" for name, number in pins.items()]
    flags += [f"-DBOARD_SENSOR_HZ={rate_hz}", "-no-pie", "-fno-pie"]
    flags += [f"-I{FIRMWARE / part}" for part in ("board", "features")]
    return compile_c(path, sources, flags)


def run_double(
    program: Path,
    air: Samples | npt.NDArray[np.int32],
    reads: Sequence[tuple[int, int]],
    *more: str,
) -> subprocess.CompletedProcess[bytes]:
    """Let it hear `air`; `reads` are microseconds before each read and its capacity."""
    path = program.parent / "air"
    path.write_bytes(air.tobytes())
    return subprocess.run(
        [program, path, *more],
        input="\n".join(f"{us} {capacity}" for us, capacity in reads).encode(),
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip


def parse_reads(
    done: subprocess.CompletedProcess[bytes], rate_hz: int, reads: int
) -> list[tuple[int, Samples]]:
    """(state, samples) of each read of a program that ended well."""
    assert done.returncode == 0, done.stderr.decode()
    assert struct.unpack_from("<I", done.stdout) == (1000 * rate_hz,)
    found, at = [], 4
    for _ in range(reads):
        count, state = struct.unpack_from("<II", done.stdout, at)
        found.append((state, np.frombuffer(done.stdout, "<i2", count, at + 8)))
        at += 8 + 2 * count
    assert at == len(done.stdout)
    return found


def sine(hertz: float, seconds: float, size: float) -> npt.NDArray[np.float64]:
    return size * np.sin(2 * np.pi * hertz * np.arange(int(seconds * AIR_HZ)) / AIR_HZ)


def heard(found: list[tuple[int, Samples]]) -> Samples:
    assert not any(state for state, _ in found)
    return np.concatenate([samples for _, samples in found])


def word() -> npt.NDArray[np.float64]:
    """A spoken digit of FSDD (8 kHz) where it is there, or vowels of our own; one second, -1..1."""
    path = Path(os.environ.get("FSDD", "")) / "recordings" / "7_yweweler_3.wav"
    if os.environ.get("FSDD") and path.is_file():
        with wave.open(str(path)) as file:
            values = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768.0
        return np.pad(values, (0, 8000))[:8000]
    at = np.arange(8000) / 8000
    pitch = 110 * at + 15 * at**2
    voice = sum(np.sin(2 * np.pi * k * pitch) / k for k in range(1, 20))
    return np.asarray(0.4 * voice * np.hanning(8000))
