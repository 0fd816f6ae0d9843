"""Beams that ring after knocks, generated: the same everywhere by seed.

A beam is clamped at one end and has an accelerometer at the other: one channel, 200 Hz, 16 bits,
+-4 g. Its load moves, so that its natural frequency wanders slowly between 4 and 14 Hz, and it is
knocked at random about twice a second; each knock makes it ring, h(t) = exp(-2 pi DAMPING turns(t))
sin(2 pi turns(t)), with turns(t) the integral of the frequency, and so does the second mode of a
clamped beam at SECOND_MODE times that frequency. `level` is the root mean square of the first mode
in mg over half a second, so both targets differ from sample to sample. The sensor adds noise and an
offset of the device.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from model.datasets.base import Dataset, Recording, table_of
from model.recipe import DatasetConfig

Float = npt.NDArray[np.float64]
SAMPLE_RATE_HZ = 200.0
LSB_MG = 4000 / 32768  # +-4 g
TARGETS = ("frequency", "level")  # Hz, mg
LOW_HZ, HIGH_HZ = 4.0, 14.0
SECOND_MODE = 6.267  # of a uniform beam that is clamped at one end (Euler and Bernoulli)
DAMPING = 0.01
KNOCKS_A_SECOND = 2.0
LEVEL_SAMPLES = 100  # that the level is taken over
NOISE_MG = 4.0


def make_recording(samples: int, rng: np.random.RandomState) -> tuple[Float, Float]:
    """(acceleration in mg [samples], targets [samples, 2]) before the sensor."""
    points = max(2, round(samples / SAMPLE_RATE_HZ / 2)) + 1  # of the frequency, one in two seconds
    places = np.linspace(0, points - 1, samples)
    frequency = np.interp(places, np.arange(points), rng.uniform(LOW_HZ, HIGH_HZ, points))
    turns = np.cumsum(frequency) / SAMPLE_RATE_HZ
    first, second = np.zeros(samples), np.zeros(samples)
    knocks = 1 + rng.poisson(KNOCKS_A_SECOND * samples / SAMPLE_RATE_HZ)
    starts = np.concatenate([[0], np.sort(rng.randint(0, samples, knocks))])
    loudness = np.exp(rng.normal(0.0, 0.3))
    for start in starts:
        passed = turns[start:] - turns[start]
        strength = 400.0 * loudness * rng.uniform(0.4, 1.0)
        for mode, order, share in ((first, 1.0, 1.0), (second, SECOND_MODE, rng.uniform(0.2, 1.0))):
            ring = np.exp(-2 * np.pi * DAMPING * order * passed) * np.sin(
                2 * np.pi * order * passed
            )
            mode[start:] += share * strength * ring
    power = np.convolve(first**2, np.ones(LEVEL_SAMPLES) / LEVEL_SAMPLES, "same")
    return first + second, np.stack([frequency, np.sqrt(power)], axis=1)


def load(config: DatasetConfig) -> Dataset:
    """All recordings of [dataset.oscillator]; groups are devices, numbered from 0.

    The data's SHA-256 is over device, int16 samples and float32
    targets of every recording in turn.
    """
    table = table_of(config.oscillator, "oscillator")
    samples = round(table.seconds * SAMPLE_RATE_HZ)
    recordings, digest = [], hashlib.sha256()
    for device in range(table.devices):
        offset = np.random.RandomState([table.seed, device]).normal(0.0, 5.0)
        for number in range(table.recordings):
            rng = np.random.RandomState([table.seed, device, number])
            signal, exact = make_recording(samples, rng)
            measured = signal + offset + NOISE_MG * rng.standard_normal(samples)
            values = np.clip(np.rint(measured / LSB_MG), -32768, 32767).astype("<i2")
            targets = np.round(exact, 3).astype("<f4")  # the digest bears no last bits of sines
            digest.update(np.array([device], "<i4").tobytes())
            digest.update(values.tobytes() + targets.tobytes())
            recordings.append(
                Recording(
                    values=values.astype(np.float32)[:, None] * np.float32(LSB_MG),
                    label=0,
                    group=device,
                    targets=targets.astype(np.float32),
                )
            )
    return Dataset(
        recordings=tuple(recordings),
        labels=TARGETS,
        channels=("acceleration",),
        sample_rate_hz=SAMPLE_RATE_HZ,
        sha256=digest.hexdigest(),
        units=("mg",),
    )
