"""Where labelled clips go: into the recipe's data set, as its files are named and written.

A clip goes there where its source is a folder of CSV, WAV or Edge Impulse files, it comes from the
board's sensor, and it has the data's channels, units and rate. Any other clip, and one that was
replayed from the data set itself, goes to build/recordings, as with `tinyproof record`.
"""

from __future__ import annotations

import csv
import io
import os
import re
import wave
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path, PurePosixPath

from host_tools.errors import UsageError
from host_tools.link.protocol import Sensor
from host_tools.link.record import KEY_VARIABLE, check_word, decimals, free_path, take_text
from host_tools.live.clips import MAX_SECONDS
from host_tools.live.plan import ClipRequest, Recorded
from model.datasets import csv_folder, data_files
from model.datasets.base import Dataset
from model.datasets.paths import resolve
from model.datasets.tables import ISO
from model.files import write_bytes, write_text
from model.recipe import DatasetConfig, Recipe

RATE_TOLERANCE = 0.02  # of the data's rate, as their reader has
SAME_LSB = 0.01  # of a microphone's step and that of a WAV file
NEXT = "tinyproof check --accept"  # which takes changed data over
NUMBERS = 10_000  # tried for a name that is free
TICKS = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
_DIGITS = re.compile(r"\d+")
FULL_SCALE_LSB = 2.0**-15  # of a WAV file with 16 bits


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    folder: Path
    pattern: re.Pattern[str]
    names: tuple[str, ...]  # of its files, below the folder
    label_in_name: bool


class ClipStore:
    """Saves the clips of one session."""

    def __init__(
        self, recipe: Recipe | None, dataset: Dataset | None, board: str, aside: Path
    ) -> None:
        self._dataset, self._board, self._aside = dataset, board, aside
        self._config = recipe.dataset if recipe else None
        self._numbers = recipe is not None and recipe.task == "regression"
        self._place, self._why = self._find()

    @property
    def where(self) -> str:
        """Of clips of a sensor."""
        if self._place is None:
            return f"{self._aside}/<label>: {self._why}"
        return f"{self._place.folder}, the data set of the recipe"

    def refuse(self, request: ClipRequest) -> None:
        """UsageError for a label, a name or a length that cannot be."""
        if not 0 < request.seconds <= MAX_SECONDS:
            raise UsageError(
                f"{request.seconds:g} seconds: expected more than 0, at most {MAX_SECONDS:g}"
            )
        if not request.who:
            raise UsageError(
                "Who: type who or what is recorded, as in ann: networks are tested with others "
                "than those they were trained on"
            )
        check_word("Who", request.who)
        if self._place is None:
            check_word("Label", request.label)
            return
        if self._place.label_in_name:
            check_word("Label", request.label)
        known = self._labels()
        if known and request.label not in known:
            raise UsageError(
                f"Label {request.label!r}: the recipe's data set has the labels {', '.join(known)}"
            )

    def save(self, recorded: Recorded) -> str:
        """Write a clip; returns where it is and what to do next. UsageError when it cannot be."""
        request = recorded.request
        seconds = len(recorded.samples) * 1000 / recorded.sensor.rate_millihertz
        told = f"{seconds:.1f} s of {request.label}"
        why = self._why if recorded.from_sensor else "replayed, so the data set has it already"
        if self._place is not None and recorded.from_sensor:
            try:
                return f"{self._write(self._place, recorded)}: {told}; next: {NEXT}"
            except UsageError as error:
                why = str(error)
        try:
            check_word("Label", request.label)
        except UsageError as error:
            raise UsageError(f"not in the data set: {why}; beside it: {error}") from error
        path = free_path(self._aside / request.label, f"{request.label}.{request.who}")
        key = os.environ.get(KEY_VARIABLE, "").encode()
        text = take_text(
            recorded.sensor, recorded.samples, device_type=self._board, who=request.who, key=key
        )
        write_text(path, text)
        return f"{path}: {told} (not in the data set: {why})"

    def _labels(self) -> tuple[str, ...]:
        config = self._config
        if config is None or "*" in (config.merge or {}):
            return ()
        return tuple(config.merge or config.labels)

    def _find(self) -> tuple[_Place | None, str]:
        config = self._config
        if config is None or self._dataset is None:
            return None, "the data set of the recipe cannot be read"
        tables = (config.csv_folder, config.wav_folder, config.edge_impulse)
        table = next((t for t in tables if t is not None), None)
        if table is None:
            return None, f"the recipe's data come from {config.source}, which takes no files"
        if self._numbers:
            return None, "a regression's recordings need their numbers beside them"
        folder = resolve(table.folder, f"dataset.{config.source}.folder")
        pattern = re.compile(table.pattern)
        names = [path.relative_to(folder).as_posix() for path in data_files(config)
                 if path.is_relative_to(folder)]  # fmt: skip
        found = tuple(name for name in names if pattern.fullmatch(name))
        if not found:
            return None, "no file of the data set says how another one is to be named"
        in_name = "label" in pattern.groupindex
        return _Place(folder=folder, pattern=pattern, names=found, label_in_name=in_name), ""

    def _write(self, place: _Place, recorded: Recorded) -> Path:
        assert self._config is not None and self._dataset is not None
        sensor = _as_data(self._config, self._dataset, recorded.sensor)
        kind = self._config.source
        path = _free_name(place, recorded.request, WRITERS[kind][0])
        write_bytes(path, WRITERS[kind][1](self._config, sensor, recorded))
        return path


def _as_data(config: DatasetConfig, dataset: Dataset, sensor: Sensor) -> Sensor:
    """The sensor with the data's names of its channels; UsageError where it is another one."""
    wanted, got = len(dataset.channels), len(sensor.channels)
    if wanted != got:
        raise UsageError(f"the sensor has {got} channels, the data set has {wanted}")
    rate = sensor.rate_millihertz / 1000
    if config.resample is None and abs(rate / dataset.sample_rate_hz - 1) > RATE_TOLERANCE:
        raise UsageError(
            f"the sensor has {rate:g} samples a second, the data set {dataset.sample_rate_hz:g}; "
            "put a table [dataset.resample] into the recipe, which brings all to one rate"
        )
    for channel, unit in zip(sensor.channels, dataset.units, strict=False):
        if unit not in ("", "?", channel.unit):
            raise UsageError(
                f"the sensor's channel {channel.name} is in {channel.unit!r}, the data's is in "
                f"{unit!r}"
            )
    channels = zip(sensor.channels, dataset.channels, strict=True)
    return replace(sensor, channels=tuple(replace(c, name=name) for c, name in channels))


def _free_name(place: _Place, request: ClipRequest, suffixes: Sequence[str]) -> Path:
    """A path named as a file of the data is, with this label and person; UsageError without one."""
    wanted = {"label": request.label, "group": request.who}
    parts = {key: text for key, text in wanted.items() if key in place.pattern.groupindex}
    names = sorted(place.names, key=lambda name: _matched(place, name, "label") != request.label)
    for name in names:
        if PurePosixPath(name).suffix.lower() not in suffixes:
            continue
        renamed = _renamed(place.pattern, name, parts) if parts else _of_person(name, request.who)
        for candidates in _numbered(renamed):
            for candidate in candidates:
                match = place.pattern.fullmatch(candidate)
                if match is None or any(match[key] != text for key, text in parts.items()):
                    break  # of this way to number
                if not (place.folder / candidate).exists():
                    return place.folder / candidate
    raise UsageError(
        f"no name could be made for label {request.label!r} and {request.who!r} that fits the "
        f"recipe's pattern {place.pattern.pattern!r}"
    )


def _matched(place: _Place, name: str, part: str) -> str | None:
    match = place.pattern.fullmatch(name)
    return match[part] if match and part in place.pattern.groupindex else None


def _renamed(pattern: re.Pattern[str], name: str, parts: dict[str, str]) -> tuple[str, int, int]:
    """(the name with other parts, start and end of its number); no number: the end of the stem."""
    match = pattern.fullmatch(name)
    assert match is not None
    text, kept, at = "", list[tuple[int, int]](), 0
    for key in sorted(parts, key=lambda k: match.start(k)):
        if match.start(key) < at:
            continue
        kept.append((len(text), len(text) + match.start(key) - at))
        text += name[at : match.start(key)] + parts[key]
        at = match.end(key)
    stem = len(name) - len(PurePosixPath(name).suffix)
    kept.append((len(text), len(text) + max(0, stem - at)))
    text += name[at:]
    numbers = [
        (start + found.start(), start + found.end())
        for start, end in kept
        for found in _DIGITS.finditer(text[start:end])
    ]
    start, end = numbers[-1] if numbers else (kept[-1][1], kept[-1][1])
    return text, start, end


def _of_person(name: str, who: str) -> tuple[str, int, int]:
    """As _renamed, where neither label nor group is in the name: then a file is a person's."""
    path = PurePosixPath(name)
    text = path.with_name(f"{who}{path.suffix}").as_posix()
    end = len(text) - len(path.suffix)
    return text, end, end


def _numbered(renamed: tuple[str, int, int]) -> Iterator[Iterator[str]]:
    """Names with a number: in the place of the old one, else without one or behind a sign."""
    text, start, end = renamed
    head, tail, width = text[:start], text[end:], end - start
    if width:
        yield (f"{head}{n:0{width}}{tail}" for n in range(1, NUMBERS))
        return
    yield iter([text])
    for sign in (".", "_", "-", ""):
        yield (f"{head}{sign}{n}{tail}" for n in range(1, NUMBERS))


def _csv(config: DatasetConfig, sensor: Sensor, recorded: Recorded) -> bytes:
    table = config.csv_folder
    assert table is not None
    head = [c for c in (table.time_column, table.label_column) if c]
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow([*head, *(channel.name for channel in sensor.channels)])
    begun = datetime.now(timezone.utc).replace(tzinfo=None)
    for number, values in enumerate(decimals(sensor, recorded.samples)):
        seconds = number * 1000 / sensor.rate_millihertz
        time = [_time(seconds, table.time_unit, begun)] if table.time_column else []
        label = [recorded.request.label] if table.label_column else []
        out.writerow([*time, *label, *values])
    return text.getvalue().encode("utf-8")


def _time(seconds: float, unit: str, begun: datetime) -> str:
    if unit == ISO:
        return (begun + timedelta(seconds=seconds)).isoformat(timespec="microseconds")
    return f"{seconds * TICKS[unit]:.9g}" if unit == "s" else f"{seconds * TICKS[unit]:.6f}"


def _wav(config: DatasetConfig, sensor: Sensor, recorded: Recorded) -> bytes:
    lsb = sensor.channels[0].lsb_nano * 1e-9
    if abs(lsb / FULL_SCALE_LSB - 1) > SAME_LSB:
        raise UsageError(
            f"the sensor's step is {lsb:g} {sensor.channels[0].unit}, a WAV file's is "
            f"{FULL_SCALE_LSB:g}"
        )
    data = io.BytesIO()
    with wave.open(data, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(round(sensor.rate_millihertz / 1000))
        out.writeframes(recorded.samples.astype("<i2").tobytes())
    return data.getvalue()


def _edge_impulse(config: DatasetConfig, sensor: Sensor, recorded: Recorded) -> bytes:
    table = config.edge_impulse
    assert table is not None
    key = os.environ.get(table.hmac_key_variable or KEY_VARIABLE, "").encode()
    who = recorded.request.who
    text = take_text(sensor, recorded.samples, device_type="tinyproof", who=who, key=key)
    return text.encode("utf-8")


Writer = Callable[[DatasetConfig, Sensor, Recorded], bytes]
WRITERS: dict[str, tuple[tuple[str, ...], Writer]] = {
    "csv_folder": (csv_folder.SUFFIXES, _csv),
    "edge_impulse": ((".json",), _edge_impulse),
    "wav_folder": ((".wav",), _wav),
}
