"""Checks of recordings as time series: rate, jitter, gaps, stuck channels, clipping."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from model.checks.base import Finding, in_long_runs, longest_run, recording_title
from model.datasets.base import Dataset
from model.recipe import CheckConfig

FLAT_TOP = 3  # equal samples at a recording's extreme value that count as clipped
MIN_LEVELS = 8  # different values below which a recording is too coarse to tell clipping


def rate_and_length(dataset: Dataset, config: CheckConfig) -> Finding:
    """The mean rate of time stamps where there are any, and short recordings."""
    rate_hz = dataset.sample_rate_hz

    def problems() -> Iterator[str]:
        for i, recording in enumerate(dataset.recordings):
            seconds = len(recording.values) / dataset.sample_rate_hz
            if seconds < config.min_seconds:
                yield (
                    f"{recording_title(dataset, i)}: {seconds:.1f} s, expected at least "
                    f"{config.min_seconds:g} s; remove it or lower min_seconds"
                )
            times = recording.times_s
            if times is None or len(times) < 2:
                continue
            got = (len(times) - 1) / float(times[-1] - times[0])
            if abs(got - rate_hz) > config.max_rate_error * rate_hz:
                yield (
                    f"{recording_title(dataset, i)}: expected {rate_hz:g} Hz, its time stamps say "
                    f"{got:.4g} Hz; add [dataset.resample] or raise max_rate_error"
                )

    total = sum(len(r.values) for r in dataset.recordings) / dataset.sample_rate_hz / 60
    return Finding(
        summary=f"{len(dataset.recordings)} recordings, {total:.0f} min, "
        f"{dataset.sample_rate_hz:g} Hz",
        problems=tuple(problems()),
    )


def jitter(dataset: Dataset, config: CheckConfig) -> Finding:
    """Standard deviation of the time between samples, as a share of the period."""
    found = {
        i: float(np.std(np.diff(r.times_s))) * dataset.sample_rate_hz
        for i, r in enumerate(dataset.recordings)
        if r.times_s is not None and len(r.times_s) > 1
    }
    if not found:
        return Finding(summary="the source has no time stamps")
    problems = tuple(
        f"{recording_title(dataset, i)}: the time between samples varies by {share:.0%} of the "
        f"period, expected at most {config.max_jitter:.0%}; sample by a timer, or resample"
        for i, share in found.items()
        if share > config.max_jitter
    )
    after = ", after the preparation that is told below" if dataset.notes else ""
    return Finding(
        summary=f"at most {max(found.values()):.1%} of the period{after}", problems=problems
    )


def sensor_range(dataset: Dataset, lsb: Sequence[float]) -> Finding:
    """Whether int16 holds every sample in steps of `lsb` (a channel); half a step is rounding."""
    low, high = np.asarray(lsb) * -32768.5, np.asarray(lsb) * 32767.5
    beyond = ((r.values <= low) | (r.values >= high) for r in dataset.recordings)
    counts = np.sum([flags.sum(axis=0) for flags in beyond], axis=0)
    samples = sum(len(r.values) for r in dataset.recordings)
    return Finding(
        summary=f"{counts.sum()} of {samples * len(lsb)} values saturate",
        problems=tuple(
            f"channel {name}: {counts[c]} samples are beyond {high[c]:.3g}, where a sensor with "
            f"steps of {lsb[c]:g} saturates; set a larger features.lsb"
            for c, name in enumerate(dataset.channels)
            if counts[c]
        ),
    )


def gaps(dataset: Dataset, config: CheckConfig) -> Finding:
    """Jumps between two samples that the signal cannot make."""
    limits = np.asarray(config.max_step)

    def problems() -> Iterator[str]:
        for i, recording in enumerate(dataset.recordings):
            steps = np.abs(np.diff(recording.values, axis=0))
            jumps = np.argwhere(steps > limits)
            if len(jumps):
                row, column = jumps[0]
                yield (
                    f"{recording_title(dataset, i)}: channel {dataset.channels[column]} jumps by "
                    f"{steps[row, column]:.3g} after sample {row}, expected at most "
                    f"{limits[column]:g}; samples are missing there, so split or remove it"
                )

    return Finding(summary=f"no step over {list(config.max_step)}", problems=tuple(problems()))


def stuck(dataset: Dataset, config: CheckConfig) -> Finding:
    """All channels constant for too long, or one of them although another moves."""
    worst = 0.0

    def problems() -> Iterator[str]:
        nonlocal worst
        for i, recording in enumerate(dataset.recordings):
            still = np.diff(recording.values, axis=0) == 0
            frozen, at = longest_run(still.all(axis=1))
            if frozen > config.max_frozen_samples:
                yield (
                    f"{recording_title(dataset, i)}: {frozen} identical samples in a row from "
                    f"sample {at}; the sensor was stuck, so cut that part"
                )
            for c, name in enumerate(dataset.channels):
                run, at = longest_run(still[:, c])
                share = run / max(1, len(still))
                if still[at : at + run].all():
                    continue  # nothing moves: told above
                worst = max(worst, share)
                if share > config.max_stuck_share:
                    yield (
                        f"{recording_title(dataset, i)}: channel {name} stays at "
                        f"{recording.values[at, c]:g} for {share:.0%} of it from sample {at} while "
                        f"others move, expected at most {config.max_stuck_share:.0%}; check the "
                        "sensor's wiring"
                    )

    found = tuple(problems())
    return Finding(
        summary=f"a channel rests for at most {worst:.1%} of a recording", problems=found
    )


def clipping(dataset: Dataset, config: CheckConfig) -> Finding:
    """The share of a recording's samples in flat tops: runs at its highest or lowest value."""
    worst = 0.0

    def problems() -> Iterator[str]:
        nonlocal worst
        for i, recording in enumerate(dataset.recordings):
            for c, name in enumerate(dataset.channels):
                signal = recording.values[:, c]
                low, high = signal.min(), signal.max()
                clipped = in_long_runs(signal == high, FLAT_TOP)
                clipped += in_long_runs(signal == low, FLAT_TOP)
                if not clipped or len(np.unique(signal)) < MIN_LEVELS:
                    continue
                share = clipped / len(signal)
                worst = max(worst, share)
                if share > config.max_clipped_share:
                    yield (
                        f"{recording_title(dataset, i)}: channel {name} is clipped at {low:g} or "
                        f"{high:g} in {share:.1%} of its samples, expected at most "
                        f"{config.max_clipped_share:.1%}; record with a larger range or less gain"
                    )

    found = tuple(problems())
    return Finding(summary=f"at most {worst:.1%} of a recording", problems=found)
