"""Front ends for tests, and what they mean, written a second time in floating point."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from model.features.design import FrontEnd, design
from model.recipe import FeatureConfig, LogmelConfig, SpectralConfig

Float = npt.NDArray[np.float64]
Int16 = npt.NDArray[np.int16]

RAW = FeatureConfig(
    kind="raw",
    window=40,
    hop=10,
    lsb=(0.000732, 0.000732, 0.00122173),
    offset=(0.5, -3.0, 0.0),
    scale=(1.0, 2.0, 3.0),
)
SPECTRAL = FeatureConfig(
    kind="spectral",
    window=96,
    hop=32,
    lsb=(0.001, 0.004),
    offset=(0.0, -10.0, 0.0, 1.0, 0.0, -10.0, -10.0, -10.0),
    scale=(1.0, 4.0, 2.0, 1.0, 0.2, 4.0, 4.0, 4.0),
    spectral=SpectralConfig(points=32, remove_mean=True, band_edges_hz=(2.0, 6.0, 12.5, 50.0)),
)
LOGMEL = FeatureConfig(
    kind="logmel",
    window=480 + 9 * 160,
    hop=480,
    lsb=(1 / 32768,),
    offset=(-10.0,),
    scale=(2.0,),
    logmel=LogmelConfig(
        range=0.0,
        frame_ms=30.0,
        hop_ms=10.0,
        points=512,
        low_hz=125.0,
        high_hz=7500.0,
        mels=40,
        floor=-40.0,
    ),
)
assert LOGMEL.logmel is not None
RELATIVE = dataclasses.replace(
    LOGMEL, offset=(-6.0,), logmel=dataclasses.replace(LOGMEL.logmel, range=12.0)
)
NORMALISED = dataclasses.replace(
    LOGMEL, logmel=dataclasses.replace(LOGMEL.logmel, pcan=0.8, pcan_smoothing=0.1)
)
NORMALISED_RELATIVE = dataclasses.replace(  # the largest column is one that is heard: see LEVEL
    LOGMEL,
    logmel=dataclasses.replace(
        LOGMEL.logmel, floor=-26.0, pcan=0.95, pcan_smoothing=0.025, range=12.0
    ),
)
CONFIGS = {
    "raw": (RAW, 100.0),
    "spectral": (SPECTRAL, 100.0),
    "logmel": (LOGMEL, 16000.0),
    "relative logmel": (RELATIVE, 16000.0),
    "normalised logmel": (NORMALISED, 16000.0),
    "normalised relative logmel": (NORMALISED_RELATIVE, 16000.0),
}


def front_end(kind: str) -> FrontEnd:
    """The front end of CONFIGS."""
    config, rate = CONFIGS[kind]
    return design(config, rate, len(config.lsb))


def signals(fe: FrontEnd, samples: int) -> dict[str, Int16]:
    """Name -> [samples, channels]: noise, tones and whatever could overflow."""
    rng = np.random.default_rng(7)
    shape = (samples, fe.channels)
    at = np.arange(samples)[:, None]
    sine = np.sin(at * np.linspace(0.2, 0.5, fe.channels))
    spike = np.zeros(shape)
    spike[samples // 2] = -32768
    drawn = {
        "noise": rng.normal(0, 4000, shape),
        "quiet": rng.normal(0, 40, shape),
        "tone": 20000 * sine,
        "off centre": 9000 + 300 * sine,
        "bits": rng.choice([-32768, 32767], shape),
        "lowest": np.full(shape, -32768),
        "highest": np.full(shape, 32767),
        "alternating": np.where(at % 2 == 0, -32768, 32767) + np.zeros(shape),
        "one spike": spike,
        "zero": np.zeros(shape),
    }
    return {name: v.round().clip(-32768, 32767).astype(np.int16) for name, v in drawn.items()}


def _raw(samples: Int16) -> tuple[Float, Float]:
    return samples * np.array(RAW.lsb), np.full(samples.shape, np.inf)


def _power(frames: Float, points: int) -> Float:
    """[frames, points / 2 + 1] of Hann-windowed frames; a sine of amplitude 1 has 1/4 to 1/5."""
    length = frames.shape[1]
    hann = np.sin(np.pi * np.arange(length) / length) ** 2
    result: Float = np.abs(np.fft.rfft(frames * hann, points) * 2 / points) ** 2
    return result


def _spectral(samples: Int16) -> tuple[Float, Float]:
    table = SPECTRAL.spectral
    assert table is not None
    rows, powers = [], []
    frequencies = np.fft.rfftfreq(table.points, 0.01)
    for c, lsb in enumerate(SPECTRAL.lsb):
        raw = samples[:, c].astype(float)
        x = raw - np.floor(raw.mean() + 0.5)
        starts = range(0, len(x) - table.points + 1, table.points // 2)
        power = _power(np.stack([x[s : s + table.points] for s in starts]), table.points)
        edges = table.band_edges_hz
        bands = np.array(
            [
                power[:, (frequencies >= a) & (frequencies < b)].sum(axis=1).mean()
                for a, b in itertools.pairwise(edges)
            ]
        )
        square, size = np.maximum((x**2).sum(), 1.0), np.maximum(np.abs(x).sum(), 1.0)
        row = [
            raw.mean() * lsb,
            np.log2(square / len(x)) + 2 * np.log2(lsb),
            np.log2(max(np.ptp(x), 1.0)) + np.log2(lsb),
            np.log2(square * len(x)) - 2 * np.log2(size),
            np.mean(np.diff((x < 0).astype(int)) != 0) * (len(x) - 1) / len(x),
        ]
        rows.append(np.concatenate([row, np.log2(bands + 1e-30) + 2 * np.log2(lsb)]))
        powers.append(np.concatenate([np.full(5, np.inf), bands]))
    return np.array(rows), np.array(powers)


def _logmel(samples: Int16) -> tuple[Float, Float]:
    table = LOGMEL.logmel
    assert table is not None
    x = samples[:, 0].astype(float)
    power = _power(np.stack([x[s : s + 480] for s in range(0, len(x) - 479, 160)]), 512)

    def mel(hz: npt.ArrayLike) -> Float:
        return 1127 * np.log1p(np.asarray(hz, float) / 700)

    ends = np.linspace(mel(table.low_hz), mel(table.high_hz), table.mels + 2)
    bins = mel(np.fft.rfftfreq(512, 1 / 16000))
    weights = [
        np.interp(bins, ends[m : m + 3], [0, 1, 0], left=0, right=0) for m in range(table.mels)
    ]
    bands = power @ np.array(weights).T
    levels = np.log2(bands + 1e-30) + 2 * np.log2(LOGMEL.lsb[0])
    return np.maximum(levels, table.floor), bands


def _relative_logmel(samples: Int16) -> tuple[Float, Float]:
    assert RELATIVE.logmel is not None
    levels, bands = _logmel(samples)
    return np.maximum(levels - levels.max(), -RELATIVE.logmel.range), bands


def _normalised(values: Float, config: FeatureConfig) -> Float:
    """PCAN by its meaning: powers divided by a power of their running mean, over the floor's."""
    assert config.logmel is not None
    share, power = config.logmel.pcan_smoothing, 2.0 ** (values - config.logmel.floor)
    mean, levels = power[0], []
    for row in power:
        mean = (1 - share) * mean + share * row
        levels.append(np.log2(row / mean**config.logmel.pcan))
    return np.array(levels) + config.logmel.floor


def _normalised_logmel(samples: Int16) -> tuple[Float, Float]:
    levels, bands = _logmel(samples)
    return _normalised(levels, NORMALISED), bands


def _normalised_relative_logmel(samples: Int16) -> tuple[Float, Float]:
    levels, bands = _logmel(samples)
    assert NORMALISED_RELATIVE.logmel is not None
    levels = np.maximum(levels, NORMALISED_RELATIVE.logmel.floor)
    levels = _normalised(levels, NORMALISED_RELATIVE)
    return np.maximum(levels - levels.max(), -12.0), bands


_REFERENCES: dict[str, Callable[[Int16], tuple[Float, Float]]] = {
    "raw": _raw,
    "spectral": _spectral,
    "logmel": _logmel,
    "relative logmel": _relative_logmel,
    "normalised logmel": _normalised_logmel,
    "normalised relative logmel": _normalised_relative_logmel,
}


def reference(kind: str, samples: Int16) -> tuple[Float, Float]:
    """(features [rows, columns] of one window, power in LSB^2 behind each; inf where exact)."""
    config, _ = CONFIGS[kind]
    values, powers = _REFERENCES[kind](samples)
    return (values - np.array(config.offset)) / np.array(config.scale), powers
