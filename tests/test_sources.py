"""Folders and recipes of data sources, and the digits."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest

from model.augment import WindowSampler
from model.datasets import SOURCES, load_dataset
from model.datasets import folder as folder_module
from model.datasets.base import Recording
from model.draft import Draft
from model.errors import ConfigError, DataError
from model.features import split_windows
from model.features.design import design
from model.features.library import Extractor
from model.recipe import AugmentConfig, DatasetConfig, FeatureConfig, Recipe
from model.recipe_file import RECIPES, load_recipe, normalise
from model.toml_reader import accept, construct, table_type, tomllib
from tests.sources import csv_config, csv_text, write_csv, write_lock

ROOT = Path(__file__).parents[1]


def test_folders_refuse_what_does_not_belong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = csv_config(tmp_path)
    with pytest.raises(DataError, match=r"expected 1 to 250,000 files \*\.csv or .*, got 0"):
        load_dataset(config)
    with pytest.raises(DataError, match="no such folder"):
        load_dataset(csv_config(tmp_path / "nowhere"))
    write_csv(tmp_path)
    with pytest.raises(DataError, match=r"other data than those of the first check: .*--accept"):
        load_dataset(dataclasses.replace(config, sha256="0" * 64))
    (tmp_path / "copy.csv").write_text(csv_text())
    with pytest.raises(DataError, match=r"rest_ann\.csv and copy\.csv have the same content"):
        load_dataset(config)
    (tmp_path / "copy.csv").write_text(csv_text(start=3))
    with pytest.raises(DataError, match=r"copy\.csv: the name does not fit the recipe's pattern"):
        load_dataset(config)
    (tmp_path / "copy.csv").rename(tmp_path / "jump_ann.csv")
    with pytest.raises(DataError, match=r"jump_ann\.csv.*label 'jump', expected one of"):
        load_dataset(config)
    for limit in ("MAX_FILE_BYTES", "MAX_TOTAL_BYTES"):
        with monkeypatch.context() as patch:
            patch.setattr(folder_module, limit, 60)
            with pytest.raises(DataError, match="expected at most 60 bytes"):
                load_dataset(config)


def test_a_class_without_files_is_found(tmp_path: Path) -> None:
    (tmp_path / "rest_ann.csv").write_text(csv_text())
    with pytest.raises(DataError, match="class 'wave' has no recordings"):
        load_dataset(csv_config(tmp_path))


def test_a_changed_name_changes_the_hash(tmp_path: Path) -> None:
    write_csv(tmp_path)
    good = dataclasses.replace(
        csv_config(tmp_path), sha256=load_dataset(csv_config(tmp_path)).sha256
    )
    load_dataset(good)
    (tmp_path / "rest_ann.csv").rename(tmp_path / "rest_eve.csv")
    with pytest.raises(DataError, match="other data than those of the first check"):
        load_dataset(good)


def test_folders_come_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "below").mkdir()
    write_csv(tmp_path / "below")
    monkeypatch.setenv("SOME_DATA", str(tmp_path))
    dataset = load_dataset(csv_config(tmp_path, folder="$SOME_DATA/below"))
    assert len(dataset.recordings) == 2


def test_groups_are_held_out_by_name(tmp_path: Path) -> None:
    write_csv(tmp_path)
    (tmp_path / "rest_eve.csv").write_text(csv_text(start=5))
    config = csv_config(tmp_path)
    dataset = load_dataset(config)
    features = FeatureConfig(
        kind="raw", window=2, hop=2, lsb=(0.1, 0.1), offset=(0.0,), scale=(1.0,)
    )
    extractor = Extractor(design(features, 50.0, 2))
    splits = split_windows(dataset, config, extractor)
    groups = {name: {dataset.group_title(g) for g in w.group} for name, w in splits.items()}
    assert groups == {"train": {"eve"}, "val": {"ann"}, "test": {"bob"}}
    wrong = dataclasses.replace(config, val_groups=("anna", 3))
    with pytest.raises(ConfigError, match=r"\[3, 'anna'\] are not in the data; it has \['ann'"):
        split_windows(dataset, wrong, extractor)


TABLE = """
[dataset]
labels = ["0", "1"]
sample_rate_hz = 8000
channels = ["audio"]
units = ["full scale"]
val_groups = ["theo", 7]
test_groups = [3, 9]

[dataset.wav_folder]
folder = "$FSDD/recordings"
pattern = '(?P<label>\\d)_(?P<group>[a-z]+)_\\d+\\.wav'
clip_seconds = 0
"""


def _recipe(tmp_path: Path, *changes: tuple[str, str]) -> DatasetConfig:
    text = (RECIPES / "keywords.toml").read_text()
    start, end = text.index("[dataset]"), text.index("[checks]")
    text = text[:start] + TABLE + text[end:]
    text = text[: text.index("[augment.speech]")] + text[text.index("[train]") :]  # other labels
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    (tmp_path / "own.toml").write_text(text)
    write_lock(tmp_path / "own.toml")
    return load_recipe(str(tmp_path / "own.toml")).dataset


def test_a_recipe_names_a_source_with_its_table(tmp_path: Path) -> None:
    dataset = _recipe(tmp_path)
    assert dataset.wav_folder is not None
    assert dataset.source == "wav_folder"
    assert dataset.sample_rate_hz == 8000.0
    assert dataset.val_groups == ("theo", 7)
    assert dataset.csv_folder is None


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("folder = ", "path = ", "wav_folder: unknown key 'path'"),
        ("pattern = '", "# '", "dataset.wav_folder: missing key 'pattern'"),
        ("clip_", 'labels = ["0"]\nclip_', "wav_folder.labels: is dataset.labels now"),
        ('labels = ["0", "1"]', 'labels = ["0", "0"]', "at least two different labels"),
        ("rate_hz = 8000\n", "rate_hz = 0\n", "sample_rate_hz: expected 1e-12 to"),
        ('"theo"', "0.5", r"val_groups\[0\]: expected int or str, got 0.5"),
        ("[dataset]", '[dataset]\nsource = "csv_folder"', r"missing table \[dataset.csv_folder\]"),
        (
            "[dataset]",
            '[dataset]\nsource = "seglearn_watch"',
            r"\[dataset.wav_folder\] belongs to the source",
        ),
        ("clip_seconds = 0", "clip_seconds = -1", "clip_seconds: expected 0 to 3600, got -1"),
        ("[dataset.wav_folder]\n", "[[dataset.wav_folder]]\n", "wav_folder: expected a table"),
    ],
)
def test_a_wrong_table_says_what_and_where(old: str, new: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=words):
        _recipe(tmp_path, (old, new))


def _examples() -> list[tuple[str, str]]:
    """(source, text) of each example in the README of the sources."""
    text = (ROOT / "model/datasets/README.md").read_text()
    blocks = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    return [(re.findall(r'source = "(\w+)"', block)[0], block) for block in blocks]


def test_every_source_with_a_table_has_an_example() -> None:
    own = {s for s in SOURCES if s in DatasetConfig.__dataclass_fields__}
    assert {source for source, _ in _examples()} == own


@pytest.mark.parametrize(("source", "text"), _examples())
def test_the_examples_of_the_readme_are_recipes(source: str, text: str) -> None:
    tables, problems = tomllib.loads(text), list[str]()
    normalise(tables)
    draft = Draft(accept(Recipe, tables, problems))
    assert not problems
    assert draft.get("dataset.source") in (None, source)
    assert construct(
        table_type(DatasetConfig, source), draft[f"dataset.{source}"], problems
    ) or all(
        problem.endswith(("'time_column'", "'time_unit'", "'label_column'")) for problem in problems
    )


def test_digits_are_read_and_split_at_random() -> None:
    recipe = load_recipe("digits")
    dataset = load_dataset(recipe.dataset)
    assert len(dataset.recordings) == 1797
    first = dataset.recordings[0]  # a zero
    assert first.label == 0
    assert first.values[0].tolist() == [0, 0, 5, 13, 9, 1, 0, 0]
    assert {r.group for r in dataset.recordings} == set(range(10))
    assert load_dataset(recipe.dataset).recordings[7].group == dataset.recordings[7].group


def test_augmentation_of_any_channels_keeps_whole_recordings() -> None:
    values = np.arange(24, dtype=np.float32).reshape(8, 3) ** 2
    recording = Recording(values=values, label=1, group=0)
    config = AugmentConfig(
        kind="signal",
        speed=1.0,
        mirror=False,
        rotation_degrees=0.0,
        gain=0.0,
        noise=(0.0, 0.0, 0.0),
    )
    features = FeatureConfig(
        kind="raw", window=8, hop=8, lsb=(1 / 32,) * 3, offset=(0.0,), scale=(2.0,)
    )
    extractor = Extractor(design(features, 1.0, 3))
    x, y = WindowSampler([recording], extractor, config, 1).batch(4)
    assert np.array_equal(x, np.broadcast_to(values / 2, (4, 8, 3)))
    assert y.tolist() == [1] * 4
    louder = dataclasses.replace(config, gain=0.3)
    x, _ = WindowSampler([recording], extractor, louder, 1).batch(4)
    ratio = x[:, 1:] / values[1:]
    assert np.allclose(ratio, ratio[:, -1:, -1:], atol=1 / 32)  # rounded to steps of the sensor
    assert len(np.unique(ratio[:, -1, -1].round(4))) == 4
    noisy = dataclasses.replace(config, noise=(0.0, 0.0, 8.0))
    x, _ = WindowSampler([recording], extractor, noisy, 1).batch(4)
    assert np.array_equal(x[..., :2], np.broadcast_to(values[:, :2] / 2, (4, 8, 2)))
    assert 0.1 < np.abs(x[..., 2] - values[:, 2] / 2).mean() < 4


def test_a_tilt_changes_the_spectrum_and_makes_nothing_larger(tmp_path: Path) -> None:
    impulse = np.zeros((40, 1), np.float32)
    impulse[20] = 1.0
    config = AugmentConfig(
        kind="signal", speed=1.0, mirror=False, rotation_degrees=0.0, gain=0.0, noise=(0.0,),
        tilt=0.5,
    )  # fmt: skip
    features = FeatureConfig(
        kind="raw", window=40, hop=40, lsb=(1 / 32768,), offset=(0.0,), scale=(1.0,)
    )
    sampler = WindowSampler(
        [Recording(values=impulse, label=0, group=0)],
        Extractor(design(features, 1.0, 1)),
        config,
        1,
    )
    x = sampler.batch(200)[0][..., 0]
    assert not x[:, :20].any()
    assert not x[:, 22:].any()
    assert np.allclose(np.abs(x).sum(axis=1), 1, atol=1e-3)
    a = x[:, 21] / x[:, 20]
    assert -0.501 < a.min() < -0.45
    assert 0.45 < a.max() < 0.501
    text = (RECIPES / "motion.toml").read_text().replace("[augment]", "[augment]\ntilt = 0.1")
    (tmp_path / "own.toml").write_text(text)
    with pytest.raises(
        ConfigError, match="augment.tilt: expected 0 for the kind 'inertial', got 0.1"
    ):
        load_recipe(str(tmp_path / "own.toml"))


def test_augmentation_of_inertial_data_needs_six_channels(tmp_path: Path) -> None:
    text = (RECIPES / "digits.toml").read_text()
    (tmp_path / "own.toml").write_text(text.replace('kind = "signal"', 'kind = "inertial"'))
    with pytest.raises(ConfigError, match="'inertial' needs 6 channels.*got 8; use 'signal'"):
        load_recipe(str(tmp_path / "own.toml"))
