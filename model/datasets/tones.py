"""Sounds of a machine hall, several at once or none, generated: the same everywhere by seed.

One microphone channel, 2000 Hz, 16 bits, full scale 1. In a recording each sound of SOUNDS is there
with a chance of 0.4, independently of the others, as loud as chance has it (20 dB from the quietest
to the loudest). Every recording has the hall's noise, and every device a gain of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from model.datasets.base import Dataset, Recording, constant_targets, table_of
from model.recipe import DatasetConfig

Float = npt.NDArray[np.float64]
SAMPLE_RATE_HZ = 2000.0
CHANCE = 0.4  # of each sound
NOISE = 0.01  # standard deviation
QUIETEST, RANGE_DB = 0.004, 20.0  # amplitude of a sound


def _hum(time: Float, rng: np.random.RandomState) -> Float:
    """A transformer: the first harmonics of twice the mains frequency."""
    phases = rng.uniform(size=3)
    return np.asarray(
        sum(np.sin(2 * np.pi * (100 * k * time + phases[k - 1])) / k for k in (1, 2, 3))
    )


def _fan(time: Float, rng: np.random.RandomState) -> Float:
    """Noise around 400 Hz, which blades cut 20 times a second."""
    band = _band(len(time), 300.0, 500.0, rng)
    return np.asarray(band * (1 + np.sin(2 * np.pi * (20 * time + rng.uniform()))))


def _whistle(time: Float, rng: np.random.RandomState) -> Float:
    """A tone between 420 and 700 Hz with a slow vibrato."""
    pitch = rng.uniform(420.0, 700.0)
    return np.asarray(np.sin(2 * np.pi * pitch * time + np.sin(2 * np.pi * 3 * time)))


def _hiss(time: Float, rng: np.random.RandomState) -> Float:
    """Noise of escaping air, above 600 Hz."""
    return _band(len(time), 600.0, 1000.0, rng)


SOUNDS: dict[str, Callable[[Float, np.random.RandomState], Float]] = {
    "hum": _hum,
    "fan": _fan,
    "whistle": _whistle,
    "hiss": _hiss,
}


def _band(samples: int, low_hz: float, high_hz: float, rng: np.random.RandomState) -> Float:
    """Noise between two frequencies with a standard deviation of 1."""
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    frequency = np.fft.rfftfreq(samples, 1 / SAMPLE_RATE_HZ)
    spectrum[(frequency < low_hz) | (frequency > high_hz)] = 0
    band = np.fft.irfft(spectrum, samples)
    return np.asarray(band / band.std())


def load(config: DatasetConfig) -> Dataset:
    """All recordings of [dataset.tones]; groups are devices, numbered from 0.

    The data's SHA-256 is over device, labels and int16 samples of
    every recording in turn.
    """
    table = table_of(config.tones, "tones")
    samples = round(table.seconds * SAMPLE_RATE_HZ)
    time = np.arange(samples) / SAMPLE_RATE_HZ
    recordings, digest = [], hashlib.sha256()
    for device in range(table.devices):
        gain = np.exp(np.random.RandomState([table.seed, device]).normal(0.0, 0.15))
        for number in range(table.recordings):
            rng = np.random.RandomState([table.seed, device, number])
            held = rng.uniform(size=len(SOUNDS)) < CHANCE
            signal = NOISE * rng.standard_normal(samples)
            for make, holds in zip(SOUNDS.values(), held, strict=True):
                loudness = QUIETEST * 10 ** (rng.uniform(0.0, RANGE_DB) / 20)
                if holds:
                    signal += loudness * make(time, rng)
            values = np.clip(np.rint(gain * signal * 32768), -32768, 32767).astype("<i2")
            digest.update(np.array([device, *held], "<i4").tobytes() + values.tobytes())
            recordings.append(
                Recording(
                    values=values.astype(np.float32)[:, None] / np.float32(32768),
                    label=0,
                    group=device,
                    targets=constant_targets(held.tolist(), samples),
                )
            )
    return Dataset(
        recordings=tuple(recordings),
        labels=tuple(SOUNDS),
        channels=("sound",),
        sample_rate_hz=SAMPLE_RATE_HZ,
        sha256=digest.hexdigest(),
        units=("full scale",),
    )
