"""Tables of the spectral front ends: analysis window, twiddles, filter banks, logarithm."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from model.errors import ConfigError

LOG2_UNIT = 1 / 256  # Q8
LOG2_ORIGIN = -14.0  # powers are those of 2^7 * 2 / points * DFT; this takes the 2^7 away
MIN_POINTS, MAX_POINTS = 16, 4096
MAX_FILTERS = 128

Bank = list[tuple[int, npt.NDArray[np.float64]]]  # of each filter: first bin, weights of its bins


@dataclass(frozen=True, slots=True, kw_only=True)
class Spectrum:
    """fe_spectrum_t, field by field as fe.h says."""

    INTEGERS: ClassVar = ("length", "points", "filters")

    length: int
    points: int
    filters: int
    window: npt.NDArray[np.int16]
    twiddles: npt.NDArray[np.int16]
    bank: npt.NDArray[np.uint16]  # [filters, 2]: first bin, bins
    weights: npt.NDArray[np.uint16]
    logarithm: npt.NDArray[np.uint16]


def make_spectrum(length: int, points: int, bank: Bank, table: str) -> Spectrum:
    """Hann window of `length` samples, FFT of `points`; ConfigError names a key of `table`."""
    check_points(points, table)
    if length > points:
        raise ConfigError(
            f"{table}.points: expected at least the {length} samples of a frame, got {points}"
        )
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
    angle = 2 * np.pi * np.arange(points // 2) / points
    twiddles = np.stack([np.cos(angle), -np.sin(angle)], axis=1)
    return Spectrum(
        length=length,
        points=points,
        filters=len(bank),
        window=_q15(hann),
        twiddles=_q15(twiddles),
        bank=np.array([(first, len(weights)) for first, weights in bank], np.uint16),
        weights=np.round(np.concatenate([w for _, w in bank]) * 2**15).astype(np.uint16),
        logarithm=np.round(np.log2(1 + np.arange(65) / 64) * 2**15).astype(np.uint16),
    )


def running_mean(smoothing: float) -> npt.NDArray[np.int16]:
    """fe_config_t.mean: log2 of a running mean of powers, by log2 of the next power; see fe.h."""
    above = np.arange(-64, 65) / 4
    moved = np.log2(1 - smoothing + smoothing * 2**above) - np.maximum(above, 0)
    return np.round(moved * 2**12).astype(np.int16)


def check_points(points: int, table: str) -> None:
    """ConfigError unless the FFT has a length that fe.h allows."""
    if not MIN_POINTS <= points <= MAX_POINTS or points & (points - 1):
        raise ConfigError(
            f"{table}.points: expected a power of two, {MIN_POINTS} to {MAX_POINTS}, got {points}"
        )


def _q15(values: npt.NDArray[np.float64]) -> npt.NDArray[np.int16]:
    return np.clip(np.round(values * 2**15), -32768, 32767).astype(np.int16)


def band_bank(edges_hz: Sequence[float], points: int, sample_rate_hz: float) -> Bank:
    """Bands between neighbouring edges, the lower one included, all weights 1."""
    key = "features.spectral.band_edges_hz"
    check_points(points, "features.spectral")
    if not 2 <= len(edges_hz) <= MAX_FILTERS + 1 or edges_hz[0] < 0:
        raise ConfigError(
            f"{key}: expected 2 to {MAX_FILTERS + 1} frequencies from 0 on, got {list(edges_hz)}"
        )
    _below_nyquist(edges_hz[-1], sample_rate_hz, key)
    frequencies = np.arange(points // 2 + 1) * sample_rate_hz / points
    bank: Bank = []
    for low, high in itertools.pairwise(edges_hz):
        inside = np.flatnonzero((frequencies >= low) & (frequencies < high))
        if not len(inside):
            raise ConfigError(
                f"{key}: no bin of the FFT is from {low:g} to {high:g} Hz, bins are "
                f"{sample_rate_hz / points:g} Hz apart; use wider bands, rising, or more points"
            )
        bank.append((int(inside[0]), np.ones(len(inside))))
    return bank


def mel_bank(
    low_hz: float, high_hz: float, mels: int, points: int, sample_rate_hz: float,
    stretch: float = 1.0,
) -> Bank:  # fmt: skip
    """Triangles on the mel scale, 2595 log10(1 + f / 700), each as high as 1.

    `stretch`: what is at f counts as at stretch * f; above a knee less, so that half of the
    sampling rate stays where it is (vocal-tract length perturbation, Jaitly and Hinton 2013).
    """
    table = "features.logmel"
    check_points(points, table)
    if not 0 <= low_hz < high_hz:
        raise ConfigError(
            f"{table}.low_hz: expected 0 to below high_hz, {high_hz:g}; got {low_hz:g}"
        )
    _below_nyquist(high_hz, sample_rate_hz, f"{table}.high_hz")
    if not 1 <= mels <= MAX_FILTERS:
        raise ConfigError(f"{table}.mels: expected 1 to {MAX_FILTERS}, got {mels}")
    end, knee = sample_rate_hz / 2, 0.35 * sample_rate_hz * min(1.0, 1 / stretch)
    frequencies = np.arange(points // 2 + 1) * sample_rate_hz / points
    bins = _mel(np.interp(frequencies, (0.0, knee, end), (0.0, stretch * knee, end)))
    ends = np.linspace(float(_mel(low_hz)), float(_mel(high_hz)), mels + 2)
    bank: Bank = []
    for m, (left, centre, right) in enumerate(zip(ends, ends[1:], ends[2:], strict=False)):
        shape = np.minimum((bins - left) / (centre - left), (right - bins) / (right - centre))
        inside = np.flatnonzero(np.round(shape * 2**15) > 0)
        if not len(inside):
            raise ConfigError(
                f"{table}.mels: filter {m} of {mels} has no bin of the FFT, bins are "
                f"{sample_rate_hz / points:g} Hz apart; use fewer mels or more points"
            )
        bank.append((int(inside[0]), shape[inside]))
    return bank


def _mel(hz: npt.ArrayLike) -> npt.NDArray[np.float64]:
    return np.asarray(2595 * np.log10(1 + np.asarray(hz, np.float64) / 700))


def _below_nyquist(hz: float, sample_rate_hz: float, key: str) -> None:
    if hz > sample_rate_hz / 2:
        raise ConfigError(
            f"{key}: expected at most half of dataset.sample_rate_hz, {sample_rate_hz / 2:g}; got "
            f"{hz:g}"
        )
