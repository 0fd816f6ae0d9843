"""Samples on another grid of times: only where a recipe says so, and counted.

Irregular times are brought to a regular grid by interpolation, a gap longer than `max_gap_s` ends
the recording; regular samples of another rate go through a polyphase filter (scipy.signal).
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import scipy  # its parts load when they are used

from model.errors import DataError
from model.recipe import ResampleConfig

PASSED = 0.9  # of the lower of the two Nyquist frequencies is kept
ATTENUATION_DB = 80.0  # of what would alias
MAX_VALUES = 1 << 27  # of a recording at its new rate, in all channels
MAX_TOTAL_VALUES = 1 << 32  # of all recordings
MAX_FACTOR = 1000  # of the two whole numbers that a change of rate is made of


@dataclass(slots=True)
class Resampled:
    """What was done to the recordings of a data set."""

    recordings: int = 0
    samples: int = 0  # on the new grid
    moved: int = 0  # of these, further than a tenth of a period from a sample
    gaps: int = 0  # recordings that were cut there
    longest_gap_s: float = 0.0  # that was filled
    repeated: int = 0  # samples whose time was that of the one before
    rates_hz: set[float] = field(default_factory=set)  # of regular samples
    values: int = 0  # at the new rate, in all channels

    def add(self, samples: float, channels: int, rate_hz: float, where: str) -> None:
        """Count what a recording will have; DataError, naming the file, for too much."""
        if not samples * channels <= MAX_VALUES:
            raise DataError(
                f"{where}: expected at most {MAX_VALUES:,} values of a recording at {rate_hz:g} "
                f"Hz, got {samples * channels:.4g}; correct its times or rate, or split it"
            )
        self.values += int(samples) * channels
        if self.values > MAX_TOTAL_VALUES:
            raise DataError(
                f"{where}: expected at most {MAX_TOTAL_VALUES:,} values of all recordings at "
                f"{rate_hz:g} Hz, got more; lower dataset.sample_rate_hz, or use fewer files"
            )

    def notes(self, config: ResampleConfig, rate_hz: float) -> tuple[str, ...]:
        """In words; empty when nothing was done."""
        if not self.recordings:
            return ()
        said = []
        if self.rates_hz:
            rates = ", ".join(f"{r:g}" for r in sorted(self.rates_hz))
            said.append(f"resampled from {rates} Hz to {rate_hz:g} Hz by a polyphase filter")
        if self.samples:
            said.append(
                f"{self.recordings:,} recordings with times brought to {rate_hz:g} Hz, method "
                f"{config.method}: {self.moved:,} of {self.samples:,} samples lie more than a "
                f"tenth of a period from a measured one; the longest gap that was filled has "
                f"{self.longest_gap_s:.3g} s (at most {config.max_gap_s:g} s), {self.gaps:,} "
                f"longer ones end a recording, {self.repeated:,} samples repeat a time and were "
                "left out"
            )
        return tuple(said)


def regular(
    times_s: npt.NDArray[np.float64],
    values: npt.NDArray[np.float32],
    rate_hz: float,
    config: ResampleConfig,
    done: Resampled,
    where: str,
) -> Iterator[tuple[npt.NDArray[np.float64], npt.NDArray[np.float32]]]:
    """(times, values) of each part of a recording, on a grid of `rate_hz` from its first sample.

    Times [n] do not go back; values [n, channels]. Raises DataError, naming the file `where`, for
    more samples than any recording has.
    """
    fresh = np.concatenate([[True], np.diff(times_s) > 0])
    done.repeated += int((~fresh).sum())
    times_s, values = times_s[fresh], values[fresh]
    cuts = np.flatnonzero(np.diff(times_s) > config.max_gap_s) + 1
    done.recordings += 1
    done.gaps += len(cuts)
    for part_times, part in zip(np.split(times_s, cuts), np.split(values, cuts), strict=True):
        if len(part_times) < 2:
            continue
        done.longest_gap_s = max(done.longest_gap_s, float(np.diff(part_times).max()))
        span = float(part_times[-1] - part_times[0]) * rate_hz
        done.add(span, part.shape[1], rate_hz, where)
        count = int(span + 1e-6) + 1
        grid = part_times[0] + np.arange(count) / rate_hz
        nearest = _nearest(part_times, grid)
        done.samples += count
        done.moved += int((np.abs(part_times[nearest] - grid) > 0.1 / rate_hz).sum())
        yield grid, _interpolated(part_times, part, grid, nearest, config.method)


def _nearest(times: npt.NDArray[np.float64], grid: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    after = np.clip(np.searchsorted(times, grid), 1, len(times) - 1)
    closer = grid - times[after - 1] < times[after] - grid
    return after - closer


def _interpolated(
    times: npt.NDArray[np.float64],
    values: npt.NDArray[np.float32],
    grid: npt.NDArray[np.float64],
    nearest: npt.NDArray[np.intp],
    method: str,
) -> npt.NDArray[np.float32]:
    if method == "nearest":
        return values[nearest]
    if method == "previous":
        return values[np.clip(np.searchsorted(times, grid + 1e-9, "right") - 1, 0, None)]
    columns = [np.interp(grid, times, column) for column in values.T.astype(np.float64)]
    return np.stack(columns, axis=1).astype(np.float32)


def change_rate(
    values: npt.NDArray[np.float32], from_hz: float, to_hz: float, done: Resampled, where: str
) -> npt.NDArray[np.float32]:
    """Regular samples [n, channels] at another rate; the filter removes what would alias.

    Raises DataError, naming the file `where`, for a rate MAX_FACTOR times higher or lower.
    """
    if max(from_hz, to_hz) > MAX_FACTOR * min(from_hz, to_hz):
        raise DataError(
            f"{where}: expected a rate of at most {MAX_FACTOR} times dataset.sample_rate_hz = "
            f"{to_hz:g} Hz, or that part of it, got {from_hz:g} Hz; correct it in the recipe"
        )
    done.add(len(values) * to_hz / from_hz, values.shape[1], to_hz, where)
    ratio = Fraction(to_hz / from_hz).limit_denominator(MAX_FACTOR)
    done.recordings += 1
    done.rates_hz.add(from_hz)
    changed = scipy.signal.resample_poly(
        values.astype(np.float64),
        ratio.numerator,
        ratio.denominator,
        axis=0,
        window=_low_pass(ratio.numerator, ratio.denominator),
    )
    return np.asarray(changed, np.float32)


@functools.lru_cache(16)
def _low_pass(up: int, down: int) -> npt.NDArray[np.float64]:
    """A filter at `up` times the old rate: flat to PASSED of the lower Nyquist frequency, nothing
    above it.
    """
    edge = 1 / max(up, down)  # the lower Nyquist frequency over that of the filter's own rate
    taps, beta = scipy.signal.kaiserord(ATTENUATION_DB, (1 - PASSED) * edge)
    filtered: npt.NDArray[np.float64] = scipy.signal.firwin(
        taps | 1, (1 + PASSED) / 2 * edge, window=("kaiser", beta)
    )
    return filtered
