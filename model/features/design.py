"""A recipe's [features] as the constants of firmware/features/fe.h; made here, once, for all."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from model.errors import ConfigError
from model.features.spectrum import (
    LOG2_ORIGIN,
    LOG2_UNIT,
    Spectrum,
    band_bank,
    make_spectrum,
    mel_bank,
    running_mean,
)
from model.recipe import FeatureConfig, LogmelConfig, Recipe

MAX_STATE_BYTES = 64 << 10  # of the smallest board's RAM a quarter
MAX_WINDOW = 8192  # samples; sums of squares stay inside their bounds (fe_push_spectral.c)
STATISTICS = 5  # FE_STATISTICS
STEPS = 64  # that the range of every column has at least


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontEnd:
    """fe_config_t and what else is known of it; field by field as fe.h says."""

    INTEGERS: ClassVar = (
        "channels", "window", "hop", "rows", "columns", "frame", "frame_hop", "rows_hop",
        "segment_hop", "remove_mean", "reciprocal", "floor", "range", "pcan",
    )  # fmt: skip

    kind: str
    channels: int
    window: int
    hop: int
    rows: int
    columns: int
    frame: int
    frame_hop: int
    rows_hop: int
    segment_hop: int
    remove_mean: int
    reciprocal: int
    floor: int
    range: int
    pcan: int = 0
    mean: npt.NDArray[np.int16] | None = None  # [FE_MEAN_POINTS]
    scales: npt.NDArray[np.int32]  # [columns or rows * columns, 3]: multiplier, bias, shift
    spectrum: Spectrum | None
    lsb: tuple[float, ...]  # per channel, in its unit
    feature_scale: float  # what one step of a feature stands for; a power of two

    def to_lsb(self, values: npt.NDArray[np.floating]) -> npt.NDArray[np.int16]:
        """Samples [..., channels] in their units as a sensor gives them.

        Rounded half away from zero, saturated; not-a-numbers become 0, the data check names them.
        """
        steps = np.nan_to_num(np.asarray(values, np.float64) / np.asarray(self.lsb), posinf=1e9)
        rounded = np.trunc(steps + np.copysign(0.5, steps))
        result: npt.NDArray[np.int16] = np.clip(rounded, -32768, 32767).astype(np.int16)
        return result


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    """Integers low..high that stand for unit * integer + origin."""

    unit: float
    origin: float
    low: int
    high: int


def recipe_front_end(recipe: Recipe) -> FrontEnd:
    """The front end of a recipe; see `design`."""
    data = recipe.dataset
    return design(recipe.features, data.sample_rate_hz, len(data.channels))


def other_speakers(recipe: Recipe) -> list[FrontEnd]:
    """The recipe's front end for other vocal tracts, to train with; see augment.vocal_tract."""
    if (most := recipe.augment.vocal_tract) == 1:
        return []
    table, fe = recipe.features.logmel, recipe_front_end(recipe)
    assert table is not None
    banks = [
        mel_bank(table.low_hz, table.high_hz, table.mels, table.points,
                 recipe.dataset.sample_rate_hz, most**power)
        for power in (-1.0, -0.75, -0.5, -0.25, 0.25, 0.5, 0.75, 1.0)
    ]  # fmt: skip
    spectra = [make_spectrum(fe.frame, table.points, bank, "features.logmel") for bank in banks]
    return [dataclasses.replace(fe, spectrum=spectrum) for spectrum in spectra]


def feature_text(recipe: Recipe) -> str:
    """Canonical JSON of what makes the front end; part of the model's file, so of its hash."""
    values = {
        "features": dataclasses.asdict(recipe.features),
        "sample_rate_hz": recipe.dataset.sample_rate_hz,
    }
    return json.dumps(values, sort_keys=True, separators=(",", ":"))


def design(config: FeatureConfig, sample_rate_hz: float, channels: int) -> FrontEnd:
    """The front end of a recipe for samples of some channels at a rate.

    Raises ConfigError, which names the key, for whatever the C code could not run.
    """
    if config.kind not in KINDS:
        raise ConfigError(
            f"features.kind: unknown front end {config.kind!r}; known: {', '.join(KINDS)}"
        )
    for name in ("spectral", "logmel"):
        if (getattr(config, name) is not None) != (config.kind == name):
            verb = "is missing" if config.kind == name else "belongs to another kind; remove it"
            raise ConfigError(f"features.kind is {config.kind!r}: table [features.{name}] {verb}")
    front_end = KINDS[config.kind](config, sample_rate_hz, channels)
    if (used := state_bytes(front_end)) > MAX_STATE_BYTES:
        raise ConfigError(
            f"features.window: the front end would keep {used} bytes, expected at most "
            f"{MAX_STATE_BYTES}; use a shorter window, fewer points or fewer columns"
        )
    return front_end


def state_bytes(fe: FrontEnd) -> int:
    """Bytes of fe.h's state on a core with 32-bit pointers: FE_..._STATE_BYTES."""
    bins = 8 * (fe.spectrum.points // 2 + 1) if fe.spectrum else 0
    if fe.kind == "logmel":
        return 24 + bins + _aligned(2 * fe.frame + 2 * fe.rows * fe.columns)
    sums = 8 * fe.spectrum.filters if fe.spectrum else 0
    return 24 + bins + sums + _aligned(2 * fe.channels * fe.window)


def _aligned(size: int) -> int:
    return -(-size // 8) * 8


def _raw(config: FeatureConfig, sample_rate_hz: float, channels: int) -> FrontEnd:
    columns = [_Column(unit=lsb, origin=0.0, low=-32768, high=32767) for lsb in config.lsb]
    scales, feature_scale = _scales([columns], config)
    return FrontEnd(
        kind="raw",
        channels=channels,
        window=config.window,
        hop=config.hop,
        rows=config.window,
        columns=channels,
        frame=config.window,
        frame_hop=config.hop,
        rows_hop=1,
        segment_hop=0,
        remove_mean=0,
        reciprocal=0,
        floor=0,
        range=0,
        scales=scales,
        spectrum=None,
        lsb=config.lsb,
        feature_scale=feature_scale,
    )


def _spectral(config: FeatureConfig, sample_rate_hz: float, channels: int) -> FrontEnd:
    table = config.spectral
    assert table is not None
    if config.window > MAX_WINDOW:
        raise ConfigError(f"features.window: expected at most {MAX_WINDOW}, got {config.window}")
    bank = band_bank(table.band_edges_hz, table.points, sample_rate_hz)
    spectrum = make_spectrum(table.points, table.points, bank, "features.spectral")
    segment_hop = table.points // 2
    if config.window < table.points or config.window % segment_hop:
        raise ConfigError(
            f"features.window: expected a multiple of half of features.spectral.points, "
            f"{segment_hop}, and at least {table.points}; got {config.window}"
        )
    segments = config.window // segment_hop - 1
    rows = [_spectral_columns(lsb, config.window, spectrum, segments) for lsb in config.lsb]
    scales, feature_scale = _scales(rows, config)
    return FrontEnd(
        kind="spectral",
        channels=channels,
        window=config.window,
        hop=config.hop,
        rows=channels,
        columns=len(rows[0]),
        frame=config.window,
        frame_hop=config.hop,
        rows_hop=1,
        segment_hop=segment_hop,
        remove_mean=int(table.remove_mean),
        reciprocal=round(2**30 / config.window),
        floor=0,
        range=0,
        scales=scales,
        spectrum=spectrum,
        lsb=config.lsb,
        feature_scale=feature_scale,
    )


def _spectral_columns(lsb: float, window: int, spectrum: Spectrum, segments: int) -> list[_Column]:
    """A row of fe_push_spectral: mean, energy, range, form, crossings and bands."""
    log_lsb, log_window = math.log2(lsb), math.log2(window)
    top = 64 * 256
    band = _Column(
        unit=LOG2_UNIT, origin=LOG2_ORIGIN - math.log2(segments) + 2 * log_lsb,
        low=0, high=top,
    )  # fmt: skip
    return [
        _Column(unit=lsb, origin=0.0, low=-32768, high=32767),
        _Column(unit=LOG2_UNIT, origin=2 * log_lsb - log_window, low=0, high=45 * 256),
        _Column(unit=LOG2_UNIT, origin=log_lsb, low=0, high=16 * 256),
        _Column(unit=LOG2_UNIT, origin=log_window, low=-14 * 256, high=256),
        _Column(unit=1 / window, origin=0.0, low=0, high=window - 1),
        *[band] * spectrum.filters,
    ]


def _logmel(config: FeatureConfig, sample_rate_hz: float, channels: int) -> FrontEnd:
    table = config.logmel
    assert table is not None
    if channels != 1:
        raise ConfigError(f"features.kind: 'logmel' takes one channel, the recipe has {channels}")
    frame = _samples(table.frame_ms, sample_rate_hz, "features.logmel.frame_ms")
    frame_hop = _samples(table.hop_ms, sample_rate_hz, "features.logmel.hop_ms")
    if frame_hop > frame:
        raise ConfigError(
            f"features.logmel.hop_ms: expected at most frame_ms, {table.frame_ms:g}; got "
            f"{table.hop_ms:g}"
        )
    rows = 1 + (config.window - frame) // frame_hop
    if config.window < frame or (config.window - frame) % frame_hop:
        near = frame + max(rows, 1) * frame_hop
        raise ConfigError(
            f"features.window: expected a frame of {frame} samples and a multiple of {frame_hop} "
            f"more, as {near}; got {config.window}"
        )
    if config.hop % frame_hop:
        raise ConfigError(
            f"features.hop: expected a multiple of features.logmel.hop_ms, {frame_hop} samples; "
            f"got {config.hop}"
        )
    bank = mel_bank(table.low_hz, table.high_hz, table.mels, table.points, sample_rate_hz)
    spectrum = make_spectrum(frame, table.points, bank, "features.logmel")
    floor, reach, column = _levels(table, config.lsb[0])
    pcan = round(table.pcan * 256)
    scales, feature_scale = _scales([[column] * table.mels], config)
    return FrontEnd(
        kind="logmel",
        channels=1,
        window=config.window,
        hop=config.hop,
        rows=rows,
        columns=table.mels,
        frame=frame,
        frame_hop=frame_hop,
        rows_hop=config.hop // frame_hop,
        segment_hop=0,
        remove_mean=0,
        reciprocal=0,
        floor=floor,
        range=reach,
        pcan=pcan,
        mean=running_mean(table.pcan_smoothing) if pcan else None,
        scales=scales,
        spectrum=spectrum,
        lsb=config.lsb,
        feature_scale=feature_scale,
    )


def _levels(table: LogmelConfig, lsb: float) -> tuple[int, int, _Column]:
    """fe_config_t's floor and range, and what the columns are that these leave."""
    origin = LOG2_ORIGIN + 2 * math.log2(lsb)
    highest = 64 * 256
    floor, reach = round((table.floor - origin) / LOG2_UNIT), round(table.range / LOG2_UNIT)
    below = round(table.pcan * (highest - floor)) + 1
    if not 0 <= floor < highest:
        raise ConfigError(
            f"features.logmel.floor: expected {origin:g} to {origin + 64:g}, log2 of a power for "
            f"features.lsb {lsb:g}; got {table.floor:g}"
        )
    if table.range and not 1 <= table.range <= 64:
        raise ConfigError(
            f"features.logmel.range: expected 0 or 1 to 64, log2 of a power; got {table.range:g}"
        )
    if reach:
        return floor, reach, _Column(unit=LOG2_UNIT, origin=0.0, low=-reach, high=0)
    lowest = floor - below if table.pcan else floor
    return floor, 0, _Column(unit=LOG2_UNIT, origin=origin, low=lowest, high=highest)


KINDS = {"raw": _raw, "spectral": _spectral, "logmel": _logmel}


def _samples(milliseconds: float, sample_rate_hz: float, key: str) -> int:
    samples = milliseconds * sample_rate_hz / 1000
    if samples < 1 or not math.isclose(samples, round(samples), rel_tol=1e-9):
        raise ConfigError(
            f"{key}: expected a whole number of samples at {sample_rate_hz:g} Hz, got "
            f"{milliseconds:g} ms, which are {samples:g}"
        )
    return round(samples)


def _scales(
    rows: Sequence[Sequence[_Column]], config: FeatureConfig
) -> tuple[npt.NDArray[np.int32], float]:
    """(fe_scale_t of each column of each row, the feature scale).

    A feature is (value - offset) / scale of its column; its step is the smallest power of two with
    which all values that the column can have fit int16.
    """
    width = len(rows[0])
    for key, values in (("offset", config.offset), ("scale", config.scale)):
        if len(values) not in (1, width):
            raise ConfigError(
                f"features.{key}: expected one value, or {width}, one for each column; got "
                f"{len(values)}"
            )
    offsets = [config.offset[i % len(config.offset)] for i in range(width)]
    factors = [config.scale[i % len(config.scale)] for i in range(width)]
    ends = np.array(
        [
            [[(c.unit * v + c.origin - o) / f for v in (c.low, c.high)] for c, o, f in
             zip(row, offsets, factors, strict=True)]
            for row in rows
        ]
    )  # fmt: skip
    step = 2.0 ** math.ceil(math.log2(float(np.abs(ends).max()) / 32767))
    span = (ends[..., 1] - ends[..., 0]).min(axis=0)
    if (span < STEPS * step).any():
        worst = int(span.argmin())
        raise ConfigError(
            f"features.scale: column {worst} would have {span[worst] / step:.3g} steps, expected "
            f"at least {STEPS}; the column with the largest range takes the rest: make its scale "
            "larger, or its offset nearer to what it measures"
        )
    scales = [
        _scale(c, o, f * step, i)
        for row in rows
        for i, (c, o, f) in enumerate(zip(row, offsets, factors, strict=True))
    ]
    return np.array(scales, np.int32), step


def _scale(column: _Column, offset: float, step: float, number: int) -> tuple[int, int, int]:
    """(multiplier, bias, shift) with the most digits that fit; see fe_scale_t."""
    for shift in range(30, 0, -1):
        multiplier = round(column.unit / step * 2**shift)
        bias = math.floor(((column.origin - offset) / step + 0.5) * 2**shift + 0.5)
        sums = [v * multiplier + bias for v in (column.low, column.high)]
        if 1 <= multiplier < 2**15 and max(map(abs, (*sums, bias))) < 2**31 - 1:
            return multiplier, bias, shift
    raise ConfigError(
        f"features.offset: {offset:g} of column {number} is far outside of what the column can be"
    )
