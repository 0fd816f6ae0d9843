"""What a recipe leaves out, from its other keys and its data: a rule a key, in their order.

A rule that looks at the data gives the same for the same data and keys; the lock file beside the
recipe keeps its value, so that nothing is looked up twice (model/recipe_file.py).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from model.datasets import csv_folder, load_dataset
from model.datasets.base import Dataset
from model.datasets.lists import choose_groups, split_groups
from model.datasets.paths import resolve
from model.errors import ConfigError
from model.features.design import design
from model.features.library import Extractor
from model.recipe import DatasetConfig, FeatureConfig, LogmelConfig, SpectralConfig
from model.recipe_rules import SOURCE_TABLES
from model.toml_reader import construct, table_type

MAX_LISTED = 100  # groups that are named; of more val_share and test_share are taken
HELD_SHARE = 0.1  # that each of these is then
RAW_SECONDS, AUDIO_SECONDS = 2.0, 1.0  # of a window
MAX_ROWS = 512  # of a raw window
FROZEN_SECONDS = 0.5
MAX_WINDOWS = 400  # that offsets and scales are measured on
LEAST_SCALE = 1 / 64  # of a channel's limit: what rests must not push the others out of int16
AUDIO = "wav_folder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How one key gets its value when a recipe does not have it."""

    text: str  # for the reference of keys
    value: Callable[[Draft], Any]
    data: bool = False  # it looks at the recordings
    when: Callable[[Draft], bool] = lambda draft: True


class Draft:
    """A recipe on its way: tables as `accept` gives them."""

    def __init__(self, tables: dict[str, Any]) -> None:
        self.tables = tables
        self.tables.setdefault("dataset", {})

    def get(self, path: str, default: Any = None) -> Any:
        """The value of 'features.window', or `default`."""
        table: Any = self.tables
        for key in path.split("."):
            if not isinstance(table, dict) or key not in table:
                return default
            table = table[key]
        return table

    def __getitem__(self, path: str) -> Any:
        """The value; ConfigError when there is none."""
        value = self.get(path)
        if value is None:
            raise ConfigError(f"missing key {path!r}")
        return value

    def set(self, path: str, value: Any) -> None:
        """Put a value in, with the tables on the way to it."""
        *tables, key = path.split(".")
        inner = functools.reduce(lambda t, k: t.setdefault(k, {}), tables, self.tables)
        inner[key] = value

    @functools.cached_property
    def dataset(self) -> Dataset:
        """All recordings; what the recipe does not say of them is as the source has it."""
        return load_dataset(self.dataset_config())

    @functools.cached_property
    def csv_columns(self) -> csv_folder.Columns:
        """What the first CSV file has."""
        folder = resolve(self["dataset.csv_folder.folder"], "dataset.csv_folder.folder")
        return csv_folder.survey(folder, self.get("dataset.sample_rate_hz", 0.0))

    def dataset_config(self) -> DatasetConfig:
        """[dataset] so far: '', 0 and () for what is not known."""
        known = dict(self.tables["dataset"])
        empty: dict[str, Any] = {"sha256": "", "sample_rate_hz": 0.0, "channels": (), "units": ()}
        empty["labels"] = ()
        known.pop("sha256", None)  # of the data as they were; whoever compares says so
        tables = {
            f.name: _dataclass(f.name, known[f.name])
            for f in fields(DatasetConfig)
            if f.name != "merge" and isinstance(known.get(f.name), dict)
        }
        return DatasetConfig(**{**empty, **known, **tables})

    def samples(self) -> Iterator[npt.NDArray[np.float32]]:
        """[samples, channels] of training's recordings, of MAX_WINDOWS at even distances."""
        train = split_groups(self.dataset, self.dataset_config())["train"]
        chosen = [r for r in self.dataset.recordings if r.group in train]
        some = min(len(chosen), MAX_WINDOWS)
        for i in np.linspace(0, len(chosen) - 1, some).astype(int):
            yield chosen[i].values

    @functools.cached_property
    def limits(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """(lowest, highest) value of each channel in all recordings."""
        ends = [(r.values.min(axis=0), r.values.max(axis=0)) for r in self.dataset.recordings]
        finite = [end for end in ends if np.isfinite(end).all()]
        if not finite:
            raise ConfigError("dataset: no recording is without values that are not finite")
        low, high = np.array(finite, np.float64).transpose(1, 0, 2)
        return low.min(axis=0), high.max(axis=0)

    @property
    def shortest(self) -> int:
        """Samples of the shortest recording."""
        return min(len(r.values) for r in self.dataset.recordings)


def _dataclass(name: str, values: dict[str, Any]) -> Any:
    problems: list[str] = []
    made = construct(table_type(DatasetConfig, name), values, problems, f"dataset.{name}.")
    if problems:
        raise ConfigError(problems[0])
    return made


def _source(draft: Draft) -> str:
    tables = [name for name in SOURCE_TABLES if draft.get(f"dataset.{name}") is not None]
    if len(tables) != 1:
        raise ConfigError(
            f"dataset.source: expected it, or one table of a source; got the tables {tables}"
        )
    return tables[0]


def _from_data(name: str) -> Callable[[Draft], Any]:
    return lambda draft: getattr(draft.dataset, name)


def _units(draft: Draft) -> tuple[str, ...]:
    return draft.dataset.units or ("?",) * len(draft["dataset.channels"])


def _groups(key: str) -> Callable[[Draft], tuple[int | str, ...]]:
    def choose(draft: Draft) -> tuple[int | str, ...]:
        taken = {*draft.get("dataset.val_groups", ()), *draft.get("dataset.test_groups", ())}
        if len({r.group for r in draft.dataset.recordings}) > MAX_LISTED and not taken:
            return ()
        return choose_groups(draft.dataset, taken, f"dataset.{key}")

    return choose


def _names_groups(draft: Draft) -> bool:
    """No other way to hold out groups is in the recipe."""
    others = ("val_list", "test_list", "val_share", "test_share")
    return not any(draft.get(f"dataset.{key}") for key in others)


def _takes_shares(draft: Draft) -> bool:
    """The rules for names have found too many."""
    return all(draft.get(f"dataset.{split}_groups") == () for split in ("val", "test"))


def _limit(value: float) -> float:
    """The smallest of 1, 2, 5, 10, ... (and their parts) that leaves a tenth above `value`."""
    if value <= 0:
        return 1.0
    decade = 10.0 ** math.floor(math.log10(1.1 * value))
    return float(next(f"{m * decade:.6g}" for m in (1, 2, 5, 10) if m * decade >= 1.1 * value))


def _maximum(draft: Draft) -> tuple[float, ...]:
    if draft["dataset.source"] == AUDIO:
        return (1.0,) * len(draft["dataset.channels"])
    low, high = draft.limits
    return tuple(_limit(max(abs(a), abs(b))) for a, b in zip(low, high, strict=True))


def _minimum(draft: Draft) -> tuple[float, ...]:
    low, _ = draft.limits
    positive = bool((low >= 0).all())
    return tuple(0.0 if positive else -value for value in draft["checks.maximum"])


def _max_step(draft: Draft) -> tuple[float, ...]:
    pairs = zip(draft["checks.minimum"], draft["checks.maximum"], strict=False)
    return tuple(high - low for low, high in pairs)


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


def _network(small: Any, auto: Any) -> Callable[[Draft], Any]:
    return lambda draft: auto if draft["network.kind"] == "autoencoder" else small


def _classifies(draft: Draft) -> bool:
    return bool(draft["task"] == "classification")


def _is_csv(draft: Draft) -> bool:
    return draft.get("dataset.csv_folder") is not None


def _columns(name: str) -> Callable[[Draft], Any]:
    return lambda draft: getattr(draft.csv_columns, name)


def _label_column(draft: Draft) -> str:
    pattern: str = draft["dataset.csv_folder.pattern"]
    return "" if "(?P<label>" in pattern else draft.csv_columns.label


_LOGMEL, _SPECTRAL = _is("logmel"), _is("spectral")
RULES: dict[str, Rule] = {
    "title": Rule(text="the recipe's name", value=lambda d: d["name"]),
    "task": Rule(text="'classification'", value=lambda d: "classification"),
    "dataset.source": Rule(text="the one whose table there is", value=_source),
    "dataset.csv_folder.time_column": Rule(
        text="one that is called so: time, timestamp, t, ms, ...",
        value=_columns("time"),
        when=_is_csv,
        data=True,
    ),
    "dataset.csv_folder.label_column": Rule(
        text="one that is called so: label, class, activity, ...; none where pattern has a label",
        value=_label_column,
        when=_is_csv,
        data=True,
    ),
    "dataset.csv_folder.time_unit": Rule(
        text="by the column's name, else by the rate, else the largest that gives at least 1 Hz",
        value=_columns("time_unit"),
        when=_is_csv,
        data=True,
    ),
    "dataset.channels": Rule(
        text="all that the files have", value=_from_data("channels"), data=True
    ),
    "dataset.sample_rate_hz": Rule(
        text="as the files say", value=_from_data("sample_rate_hz"), data=True
    ),
    "dataset.units": Rule(text="as the files say, else '?'", value=_units, data=True),
    "dataset.labels": Rule(text="all that occur, sorted", value=_from_data("labels"), data=True),
    "dataset.test_groups": Rule(
        text="a fifth of the groups, the last by name that leave every class to train on; none of "
        f"more than {MAX_LISTED} groups, and with lists or shares",
        value=_groups("test_groups"),
        when=_names_groups,
        data=True,
    ),
    "dataset.val_groups": Rule(
        text="another fifth, chosen in the same way",
        value=_groups("val_groups"),
        when=_names_groups,
        data=True,
    ),
    **{
        f"dataset.{split}_share": Rule(
            text=f"{HELD_SHARE:g} of more than {MAX_LISTED} groups, unless some are named",
            value=lambda d: HELD_SHARE,
            when=_takes_shares,
        )
        for split in ("test", "val")
    },
    "checks.maximum": Rule(
        text="1 for audio; else 1, 2, 5, 10, ... above the largest amount",
        value=_maximum,
        data=True,
    ),
    "checks.minimum": Rule(
        text="0 where no value of any channel is below it, else -maximum", value=_minimum, data=True
    ),
    "checks.max_step": Rule(text="maximum - minimum: no limit", value=_max_step),
    "checks.max_frozen_samples": Rule(
        text=f"those of {FROZEN_SECONDS:g} s, at least 5; for audio those of 30 s",
        value=lambda d: max(
            5,
            round(
                (30 if d["dataset.source"] == AUDIO else FROZEN_SECONDS)
                * d["dataset.sample_rate_hz"]
            ),
        ),
    ),
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
    "network.kind": Rule(
        text="'autoencoder' for anomalies, 'depthwise_separable' for logmel, else 'convolutions'",
        value=lambda d: (
            "autoencoder"
            if d["task"] == "anomaly"
            else ("depthwise_separable" if _LOGMEL(d) else "convolutions")
        ),
    ),
    **{
        f"network.{key}": Rule(text=str(small), value=_network(small, auto))
        for key, small, auto in (
            ("input_pool", 1, 1),
            ("filters", (16, 24), (32, 8)),
            ("kernels", (5, 5), ()),
            ("strides", (1, 2), ()),
            ("segments", 1, 1),
            ("dropout", 0.1, 0.0),
            ("max_weight_bytes", 32768, 65536),
        )
    },
    "augment.noise": Rule(text="none", value=lambda d: (0.0,) * len(d["dataset.channels"])),
    "train.label_smoothing": Rule(
        text="0.05 for classes, else 0", value=lambda d: 0.05 if _classifies(d) else 0.0
    ),
    "quantisation": Rule(text="its defaults", value=lambda d: {}),
}


def complete(
    draft: Draft, kept: dict[str, Any], problems: list[str], *, allow_data: bool
) -> dict[str, Any] | None:
    """Give a draft every rule's value; returns those that came from the data.

    `kept` has values of an earlier look at the same data. None when a rule fails, which goes to
    `problems`, and when one needs the data without `allow_data`.
    """
    found: dict[str, Any] = {}
    for path, rule in RULES.items():
        if draft.get(path) is not None or not rule.when(draft):
            continue
        if rule.data and path in kept:
            value = kept[path]
        elif rule.data and not allow_data:
            return None
        else:
            try:
                value = rule.value(draft)
            except ConfigError as error:
                problems.append(str(error))
                return None
        draft.set(path, value)
        if rule.data:
            found[path] = value
    return found
