"""Background noise in training: as loud as said, the same by seed, never of held-out people."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

from host_tools.stages.graph import Source
from model.augment import WindowSampler
from model.background import background_files, describe, load_background
from model.datasets import load_dataset
from model.datasets.base import Recording
from model.datasets.lists import split_groups
from model.errors import ConfigError, DataError
from model.features.design import design
from model.features.library import Extractor
from model.recipe import AugmentConfig, FeatureConfig, Recipe
from model.recipe_file import load_recipe
from tests.sources import csv_text, own_recipe, speech_folder, write_wav

RECIPE = """[dataset]
labels = {yes = "yes", "_background_noise_" = "", "*" = "other"}
val_list = "raw/validation_list.txt"
test_list = "raw/testing_list.txt"
[dataset.wav_folder]
folder = "raw"
pattern = '(?P<label>[^/]+)/(?P<group>[^/]+?)(?:_nohash_\\d+)?\\.wav'
clip_seconds = 0.5
[features]
kind = "raw"
window = 4000
hop = 4000
[augment]
background = "raw/_background_noise_"
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    speech_folder(tmp_path / "raw")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.toml").write_text(RECIPE)
    return tmp_path


def _recipe(project: Path, *changes: tuple[str, str]) -> Recipe:
    return own_recipe(project, RECIPE, *changes)


def _sampler(config: AugmentConfig, noise: list[np.ndarray], seed: int = 1) -> WindowSampler:
    """Of sines of amplitude 1/2 in two channels, about a mean."""
    turn = np.arange(512)[:, None] * np.array([0.3, 0.7])
    values = (0.5 * np.sin(turn) + [0.2, -0.1]).astype(np.float32)
    features = FeatureConfig(
        kind="raw", window=256, hop=256, lsb=(2.0**-13,) * 2, offset=(0.0,), scale=(1.0,)
    )
    return WindowSampler(
        [Recording(values=values, label=0, group=0)],
        Extractor(design(features, 1.0, 2)),
        config,
        seed,
        background=noise,
    )


PLAIN = AugmentConfig(kind="signal", speed=1.0, gain=0.0, noise=(0.0, 0.0))


@pytest.mark.parametrize("level", [-3.0, 6.0, 20.0])
def test_noise_is_as_loud_as_said_and_in_as_many_windows(level: float) -> None:
    rng = np.random.default_rng(3)
    noise = [(rng.normal(0, s, (n, 2)) + 3).astype(np.float32) for s, n in ((0.01, 256), (9, 999))]
    config = dataclasses.replace(
        PLAIN, background="x", background_snr_db=(level, level), background_share=0.25
    )
    clean, _ = _sampler(PLAIN, []).batch(400)
    mixed, _ = _sampler(config, noise).batch(400)
    added = mixed - clean  # the same places: noise is drawn after them
    loud = added.any(axis=(1, 2))
    assert 0.18 < loud.mean() < 0.32
    ratio = clean[loud].var(axis=1) / added[loud].var(axis=1)
    assert 10 * np.log10(ratio) == pytest.approx(np.full(ratio.shape, level), abs=0.05)
    assert abs(added.mean(axis=1)).max() < 2.0**-12, "noise has no mean"


def test_noise_is_the_same_by_seed_and_changes_nothing_where_there_is_none() -> None:
    noise = [np.random.default_rng(3).normal(0, 1, (600, 2)).astype(np.float32)]
    config = dataclasses.replace(PLAIN, background="x")
    one, two, other = (_sampler(config, noise, seed).batch(16)[0] for seed in (1, 1, 2))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)
    never = dataclasses.replace(config, background_share=0.0)
    assert np.array_equal(_sampler(never, noise).batch(16)[0], _sampler(PLAIN, []).batch(16)[0])
    resting = [np.ones((600, 2), np.float32)]
    assert np.isfinite(_sampler(config, resting).batch(16)[0]).all()


def test_the_folder_is_read_and_told(project: Path) -> None:
    recipe = load_recipe("own")
    dataset = load_dataset(recipe.dataset)
    background = load_background(recipe, dataset)
    assert background is not None
    assert [len(r.values) for r in background.recordings] == [16000, 24000]
    told = describe(recipe, background)
    assert (told["recordings"], told["seconds"], told["snr_db"]) == (2, 5.0, [5.0, 25.0])
    assert len(told["sha256"]) == 64
    assert describe(recipe, None) == {}
    files = [project / "raw/_background_noise_" / n for n in ("running_tap.wav", "white.wav")]
    assert [path.resolve() for path in background_files(recipe)] == files


def test_training_reads_it_so_it_is_done_again_when_it_changes(project: Path) -> None:
    write_wav(project / "noise/hum.wav", np.full(8000, 0.1))
    recipe = _recipe(project, ('"raw/_background_noise_"', '"noise"'))
    stages = Source(folder=project / "build", name="own", recipe=recipe).stages()
    read = {stage.name: any("hum.wav" in name for name in stage.outside) for stage in stages}
    assert [name for name, reads in read.items() if reads] == ["train", "quantise"]
    assert {"network", "check", "profile", "emit"} < set(read)


def test_what_a_held_out_person_has_is_no_background(project: Path) -> None:
    recipe = load_recipe("own")
    dataset = load_dataset(recipe.dataset)
    for name, words in (("0000000c", "test"), ("0000000a", "val")):
        (project / "noise").mkdir()
        shutil.copy(project / f"raw/yes/{name}_nohash_1.wav", project / "noise/innocent.wav")
        stolen = dataclasses.replace(
            recipe, augment=dataclasses.replace(recipe.augment, background="noise")
        )
        with pytest.raises(DataError, match=rf"innocent.wav, which is yes/{name}_nohash_1.wav of"):
            load_background(stolen, dataset)
        assert words
        shutil.rmtree(project / "noise")


def test_what_a_folds_test_group_has_is_no_background_there(project: Path) -> None:
    recipe = load_recipe("own")
    dataset = load_dataset(recipe.dataset)
    trained = split_groups(dataset, recipe.dataset)["train"]
    heard = next(
        r
        for r in dataset.recordings
        if r.group in trained and (project / "raw" / r.name).stat().st_size > 2 * len(r.values)
    )
    (project / "noise").mkdir()
    shutil.copy(project / "raw" / heard.name, project / "noise/innocent.wav")
    own = dataclasses.replace(
        recipe, augment=dataclasses.replace(recipe.augment, background="noise")
    )
    assert load_background(own, dataset) is not None
    with pytest.raises(DataError, match=rf"innocent.wav, which is {heard.name} of"):
        load_background(own, dataset, trained - {heard.group})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (('background = "raw/_b', 'background = "raw/none_b'), "no such folder; put the data"),
        (
            ('background = "', 'background_share = 2\nbackground = "'),
            "background_share: expected 0",
        ),
        (
            ('background = "', 'background_snr_db = [25, 5]\nbackground = "'),
            r"background_snr_db: expected the lowest and the highest, as \[5, 25\], got \[25",
        ),
    ],
)
def test_a_wrong_background_says_what_and_where(
    change: tuple[str, str], words: str, project: Path
) -> None:
    with pytest.raises((ConfigError, DataError), match=words):
        recipe = _recipe(project, change)
        load_background(recipe, load_dataset(recipe.dataset))


def test_background_shorter_than_a_window_is_told(project: Path) -> None:
    write_wav(project / "noise/tick.wav", np.zeros(3999))
    recipe = _recipe(project, ('"raw/_background_noise_"', '"noise"'))
    with pytest.raises(DataError, match=r"tick.wav: expected at least a window, 4000 samples, got"):
        load_background(recipe, load_dataset(recipe.dataset))


def test_background_of_other_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for k, who in enumerate(("ann", "bob", "cleo")):
        for label in ("rest", "wave"):
            path = tmp_path / "raw" / f"{label}_{who}.csv"
            path.parent.mkdir(exist_ok=True)
            path.write_text(csv_text(40, start=2 * k + (label == "wave")))
    (tmp_path / "idle").mkdir()
    (tmp_path / "idle" / "bus.csv").write_text(csv_text(60, start=30))
    text = """[dataset.csv_folder]
folder = "raw"
pattern = '(?P<label>[a-z]+)_(?P<group>[a-z]+)\\.csv'
[augment]
background = "idle"
"""
    (tmp_path / "own.toml").write_text(text)
    recipe = load_recipe("own")
    background = load_background(recipe, load_dataset(recipe.dataset))
    assert background is not None
    assert background.recordings[0].values.shape == (60, 2)
    digits = (Path(__file__).parents[1] / "model/recipes/digits.toml").read_text()
    (tmp_path / "own.toml").write_text(digits.replace("[augment]", '[augment]\nbackground = "x"'))
    with pytest.raises(
        ConfigError, match=r"augment.background: is of the sources csv_folder, edge"
    ):
        load_recipe("own")
