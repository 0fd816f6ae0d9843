"""What the tests of all data sources share."""

from __future__ import annotations

import dataclasses
import re
import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model.recipe import CsvFolderConfig, DatasetConfig, Recipe
from model.recipe_file import _write_lock, load_recipe


def source_config(source: str, table: Any, **changes: Any) -> DatasetConfig:
    """[dataset] with the table of one source; what `changes` leaves out comes from the data."""
    values: dict[str, Any] = {
        "sha256": "",
        "sample_rate_hz": 0.0,
        "channels": (),
        "units": (),
        "labels": (),
        "val_groups": ("ann",),
        "test_groups": ("bob",),
        source: table,
    }
    return DatasetConfig(source=source, **{**values, **changes})


def own_recipe(project: Path, text: str, *changes: tuple[str, str]) -> Recipe:
    """The recipe `own` of a project that is the current folder: `text` with each (old, new)."""
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    (project / "own.toml").write_text(text)
    return load_recipe("own")


def assert_complete(message: str) -> None:
    """The message says what was expected, what was found and what to do."""
    assert re.search(r"expected .+ got .+[;,] [a-z]+.+", message), message


HEADER = "t_ms,ax,ay"


def csv_text(rows: int = 5, start: float = 0.0, header: str = HEADER) -> str:
    return header + "\n" + "".join(f"{20 * i},{start + i / 4},{-i}\n" for i in range(rows))


def csv_config(path: Path, **changes: Any) -> DatasetConfig:
    """A folder of CSV files; `changes` are of [dataset] or of [dataset.csv_folder]."""
    table = CsvFolderConfig(
        folder=str(path),
        pattern=r"(?P<label>[a-z]+)_(?P<group>[a-z]+)\.csv",
        label_column="",
        time_column="t_ms",
        time_unit="ms",
    )
    common = {"labels": ("wave", "rest"), "channels": ("ay", "ax"), "sample_rate_hz": 50.0}
    own = {f.name for f in dataclasses.fields(table)}
    inside = {k: v for k, v in changes.items() if k in own}
    common |= {k: v for k, v in changes.items() if k not in own}
    return source_config("csv_folder", dataclasses.replace(table, **inside), **common)


def write_csv(path: Path) -> None:
    (path / "rest_ann.csv").write_text(csv_text())
    (path / "wave_bob.csv").write_text(csv_text(start=9))


def write_lock(recipe: Path) -> None:
    """A lock file for a recipe that has all keys that its data decide."""
    _write_lock(recipe, {"sha256": "0" * 64, "given": "", "data": {}})


def write_wav(path: Path, values: npt.NDArray[np.floating], rate: int = 8000) -> None:
    """16-bit mono of samples from -1 to 1."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate)
        sound.writeframes(np.round(values * 32767).astype("<i2").tobytes())


def speech_folder(folder: Path, speakers: Sequence[str] = (), seconds: float = 0.5) -> None:
    """Tones as words, in a folder that is built as Speech Commands; some files are shorter."""
    people = speakers or [f"0000000{c}" for c in "1234abcd"]
    rng = np.random.default_rng(7)
    lists: dict[str, list[str]] = {"validation": [], "testing": []}
    times = np.arange(round(8000 * seconds)) / 8000
    for k, word in enumerate(("yes", "no", "up")):
        for p, who in enumerate(people):
            for take in range(2):
                name = f"{word}/{who}_nohash_{take}.wav"
                sweep = rng.uniform(-300, 300, 3) @ np.stack([times, times**2, times**3])
                tone = np.sin(2 * np.pi * (500 + 600 * k + 20 * p + sweep) * times)
                sound = 0.3 * tone + rng.normal(0, 0.05, len(times))
                cut = 0.8 if (p, take) == (0, 0) else 1.0
                write_wav(folder / name, sound[: round(cut * len(times))])
                if who[-1] in "abcd":
                    lists["validation" if who[-1] in "ab" else "testing"].append(name)
    for split, names in lists.items():
        (folder / f"{split}_list.txt").write_text("\n".join(names) + "\n")
    noise = folder / "_background_noise_"
    write_wav(noise / "running_tap.wav", rng.normal(0, 0.1, 16000))
    write_wav(noise / "white.wav", rng.normal(0, 0.2, 24000))
    (noise / "README.md").write_text("Where they come from.\n")
    for name in ("README.md", "LICENSE"):
        (folder / name).write_text("Of the data set.\n")
