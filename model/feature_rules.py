"""[features] of a recipe that leaves it out: windows, steps and scales that fit its data."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt

from model.draft import AUDIO, Draft, Rule
from model.features.design import design
from model.features.library import Extractor
from model.recipe import FeatureConfig, LogmelConfig, SpectralConfig

RAW_SECONDS, AUDIO_SECONDS = 2.0, 1.0  # of a window
MAX_ROWS = 512  # of a raw window
MAX_WINDOWS = 400  # that offsets and scales are measured on
LEAST_SCALE = 1 / 64  # of a channel's limit: what rests must not push the others out of int16


def _kind(draft: Draft) -> str:
    for kind in ("logmel", "spectral"):
        if draft.get(f"features.{kind}") is not None:
            return kind
    return "logmel" if draft["dataset.source"] == AUDIO else "raw"


def _lsb(draft: Draft) -> tuple[float, ...]:
    if draft["dataset.source"] == AUDIO:
        return (2.0**-15,) * len(draft["dataset.channels"])
    pairs = zip(draft["checks.minimum"], draft["checks.maximum"], strict=False)
    return tuple(_rounded_up(max(abs(low), abs(high)) / 32767) for low, high in pairs)


def _rounded_up(value: float) -> float:
    """To four digits, never below `value`."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 3)
    return float(f"{math.ceil(value / unit - 1e-9) * unit:.6g}")


def _is(kind: str) -> Callable[[Draft], bool]:
    return lambda draft: draft.get("features.kind") == kind


def _frame(draft: Draft) -> tuple[int, int]:
    """Samples of a frame and from one to the next."""
    rate = draft["dataset.sample_rate_hz"] / 1000
    return (
        max(1, round(draft["features.logmel.frame_ms"] * rate)),
        max(1, round(draft["features.logmel.hop_ms"] * rate)),
    )


def _whole_ms(target_ms: float) -> Callable[[Draft], float]:
    """The length nearest to a target that is a whole number of samples."""

    def value(draft: Draft) -> float:
        rate = draft["dataset.sample_rate_hz"]
        samples = max(1, round(target_ms * rate / 1000))
        return float(samples * 1000 / rate)

    return value


def _window(draft: Draft) -> int:
    rate: float = draft["dataset.sample_rate_hz"]
    shortest, kind = draft.shortest, draft["features.kind"]
    if kind == "logmel":
        frame, hop = _frame(draft)
        wanted = min(round(AUDIO_SECONDS * rate), shortest)
        return frame + max(0, (wanted - frame) // hop) * hop
    if kind == "spectral":
        half = draft["features.spectral.points"] // 2
        return int(max(2, min(8, shortest // half)) * half)
    wanted = min(max(8, round(RAW_SECONDS * rate)), MAX_ROWS, shortest)
    return wanted - wanted % 8 if wanted > 16 else wanted


def _hop(draft: Draft) -> int:
    window: int = draft["features.window"]
    if draft["features.kind"] == "logmel":
        hop = _frame(draft)[1]
        return int(max(1, window // 5 // hop) * hop)
    return max(1, window // 2)


def _points(draft: Draft) -> int:
    if draft["features.kind"] == "logmel":
        return 1 << max(5, math.ceil(math.log2(_frame(draft)[0])))
    window = draft.get("features.window") or draft.shortest
    return int(1 << max(4, min(8, int(math.log2(max(window, 2))) - 1)))


def _floor(draft: Draft) -> float:
    return float(round(2 * math.log2(draft["features.lsb"][0]) - 6))


def _band_edges(draft: Draft) -> tuple[float, ...]:
    """Eight bands, each wider than the one below by the same factor."""
    rate, points = draft["dataset.sample_rate_hz"], draft["features.spectral.points"]
    low, high = rate / points, 0.48 * rate
    return tuple(float(f"{low * (high / low) ** (i / 8):.4g}") for i in range(9))


def _offset(draft: Draft) -> tuple[float, ...]:
    if draft["features.kind"] == "logmel" and (reach := _reach(draft)):
        return (-reach / 2,)
    return tuple(float(f"{m:.3g}") for m in _measured(draft)[0])


def _scale(draft: Draft) -> tuple[float, ...]:
    if draft["features.kind"] == "logmel" and (reach := _reach(draft)):
        return (reach / 4,)
    return tuple(float(f"{s:.3g}") for s in _measured(draft)[1])


def _reach(draft: Draft) -> float:
    default = next(f.default for f in fields(LogmelConfig) if f.name == "range")
    return float(draft.get("features.logmel.range", default))


def _measured(draft: Draft) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """(mean, standard deviation) of each column over training windows."""
    channels = len(draft["dataset.channels"])
    limits = np.maximum(np.abs(draft["checks.minimum"]), np.abs(draft["checks.maximum"]))
    raw = draft["features.kind"] == "raw"
    neutral = limits if raw else np.array([1.0])
    inside = {key: draft[f"features.{key}"] for key in ("kind", "window", "hop", "lsb")}
    tables = {
        key: _features_table(key, draft.get(f"features.{key}"))
        for key in ("spectral", "logmel")
        if draft.get(f"features.{key}") is not None
    }
    width = channels if raw else 1
    config = FeatureConfig(
        **inside, **tables, offset=(0.0,) * width, scale=tuple(float(v) for v in neutral)
    )
    front_end = design(config, draft["dataset.sample_rate_hz"], channels)
    extractor = Extractor(front_end)
    rows: list[npt.NDArray[np.float64]] = []
    for values in draft.samples():
        extractor.reset()
        found = extractor.push(front_end.to_lsb(values))
        rows.append(found.reshape(-1, front_end.columns).astype(np.float64))
        if sum(len(r) for r in rows) >= MAX_WINDOWS * front_end.rows:
            break
    everything = np.concatenate(rows) * front_end.feature_scale * neutral
    mean, deviation = everything.mean(axis=0), everything.std(axis=0)
    if raw:
        deviation = _pooled(deviation, draft["dataset.units"])
    least = (limits if raw else np.abs(everything).max()) * LEAST_SCALE
    return mean, np.maximum(deviation, least)


def _pooled(deviation: npt.NDArray[np.float64], units: tuple[str, ...]) -> npt.NDArray[np.float64]:
    """One deviation for all channels of a unit, so that their directions keep their meaning."""
    groups = np.array([unit if unit != "?" else f"? {i}" for i, unit in enumerate(units)])
    pooled = deviation.copy()
    for unit in set(groups):
        pooled[groups == unit] = np.sqrt(np.mean(deviation[groups == unit] ** 2))
    return pooled


def _features_table(key: str, values: dict[str, Any]) -> Any:
    kinds: dict[str, Any] = {"spectral": SpectralConfig, "logmel": LogmelConfig}
    return kinds[key](**values)


_LOGMEL, _SPECTRAL = _is("logmel"), _is("spectral")
FEATURE_RULES: dict[str, Rule] = {
    "features.kind": Rule(
        text="'logmel' for wav_folder, else that of its table, else 'raw'", value=_kind
    ),
    "features.lsb": Rule(text="16 bits over minimum to maximum", value=_lsb),
    "features.logmel.frame_ms": Rule(text="about 32", value=_whole_ms(32), when=_LOGMEL),
    "features.logmel.hop_ms": Rule(text="about 20", value=_whole_ms(20), when=_LOGMEL),
    "features.logmel.points": Rule(
        text="the power of two above a frame", value=_points, when=_LOGMEL
    ),
    "features.logmel.low_hz": Rule(text="60", value=lambda d: 60.0, when=_LOGMEL),
    "features.logmel.high_hz": Rule(
        text="0.475 of the rate", value=lambda d: 0.475 * d["dataset.sample_rate_hz"], when=_LOGMEL
    ),
    "features.logmel.floor": Rule(
        text="that of the quietest sounds that 16 bits have", value=_floor, when=_LOGMEL
    ),
    "features.spectral.points": Rule(
        text="a power of two, at most 256 and half of a recording",
        value=_points,
        when=_SPECTRAL,
        data=True,
    ),
    "features.spectral.band_edges_hz": Rule(
        text="8 bands from the first bin to 0.48 of the rate", value=_band_edges, when=_SPECTRAL
    ),
    "features.window": Rule(
        text=f"{RAW_SECONDS:g} s, for sound {AUDIO_SECONDS:g} s; no longer than the shortest "
        "recording",
        value=_window,
        data=True,
    ),
    "features.hop": Rule(text="half of the window; a fifth for logmel", value=_hop),
    "features.offset": Rule(text="mean of the training windows", value=_offset, data=True),
    "features.scale": Rule(
        text="their standard deviation, one for all channels of a unit", value=_scale, data=True
    ),
}
