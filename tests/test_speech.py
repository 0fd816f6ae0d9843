"""Generated speech in training: the same by seed, as long and loud as the data, never tested on."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from host_tools.stages.graph import Source
from model import speech as module
from model.attachments import attached, attachments
from model.augment import WindowSampler
from model.datasets import load_dataset
from model.datasets.base import Recording
from model.errors import ConfigError
from model.features.design import design
from model.features.library import Extractor
from model.recipe import AugmentConfig, FeatureConfig, Recipe
from model.recipe_file import load_recipe
from model.recipe_tables import SpeechConfig
from model.speech import describe, generated_recordings, load_speech, program_version, voices
from tests.sources import own_recipe, write_wav

RECIPE = """[dataset.wav_folder]
folder = "raw"
pattern = '(?P<label>[a-z]+)_(?P<group>[a-z]+)\\.wav'
clip_seconds = 0.75
[features]
kind = "raw"
window = 4000
hop = 4000
[augment.speech]
words = {six = "six", one = "one"}
voices = 6
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    rng = np.random.default_rng(1)
    for who in ("ann", "bob", "cleo", "dan"):
        for label in ("one", "other", "six"):
            write_wav(tmp_path / f"raw/{label}_{who}.wav", rng.uniform(-0.25, 0.25, 6000))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.toml").write_text(RECIPE)
    return tmp_path


def _recipe(project: Path, *changes: tuple[str, str]) -> Recipe:
    return own_recipe(project, RECIPE, *changes)


def test_words_are_as_long_and_loud_as_the_data(project: Path) -> None:
    recipe = load_recipe("own")
    dataset = load_dataset(recipe.dataset)
    made = generated_recordings(recipe, dataset, dataset.recordings)
    assert [dataset.labels[r.label] for r in made] == ["six", "one"] * 6
    assert {r.values.shape for r in made} == {(6000, 1)}
    assert {r.group for r in made} == {-1}
    assert [np.abs(r.values).max() for r in made] == pytest.approx([0.25] * 12, rel=1e-3)
    for recording in made:
        heard = np.flatnonzero(np.abs(recording.values) > 1e-3)
        assert 0.1 < (heard[-1] - heard[0]) / 8000 < 0.75, "a word, amid silence"
        assert abs(6000 - heard[-1] - heard[0]) < 400, "in the middle"
    without = dataclasses.replace(recipe, augment=dataclasses.replace(recipe.augment, speech=None))
    assert generated_recordings(without, dataset, dataset.recordings) == []


def test_words_of_a_class_sound_alike_and_others_do_not(project: Path) -> None:
    """'six' ends in a hiss, 'one' in a hum."""
    speech = load_speech(load_recipe("own"), 8000.0)
    assert speech is not None
    for label, sound in speech.words:
        end = sound[-400:]  # 50 ms
        turns = np.count_nonzero(np.diff(np.signbit(end))) / len(end)
        assert (turns > 0.3) == (label == "six"), (label, turns)


def test_speech_is_the_same_by_seed(project: Path) -> None:
    recipe = load_recipe("own")
    first = load_speech(recipe, 8000.0)
    module._made.clear()
    again = load_speech(recipe, 8000.0)
    other = load_speech(_recipe(project, ("voices = 6", "voices = 6\nseed = 2")), 8000.0)
    assert first is not again
    assert first and again and other
    assert first.sha256 == again.sha256 != other.sha256
    told = describe(recipe, first)
    assert (told["words"], told["voices"], told["share"]) == (12, 6, 0.33)
    assert told["by"] == f"eSpeak NG {program_version()}"
    assert describe(recipe, None) == {}


def test_voices_differ_and_accents_say_what_they_can() -> None:
    config = SpeechConfig(words={"3": "three"}, voices=200, languages=("en-us",), accents=("de",))
    drawn = voices(config)
    assert len(set(drawn)) == 200
    assert sum(v.accent for v in drawn) == 100
    assert all(v.name.startswith("de+" if v.accent else "en-us+") for v in drawn)
    assert module._phonemes("en-us", "de+m1", "three") == "[[Tr'i:]]"
    assert module._phonemes("en-us", "de+m1", "one") == "[[w'an]]", "German has no V"


def _sampler(share: float | None, generated: int) -> WindowSampler:
    speech = None if share is None else SpeechConfig(words={"1": "one"}, share=share)
    config = AugmentConfig(kind="signal", speed=1.0, gain=0.0, noise=(0.0,), speech=speech)
    features = FeatureConfig(
        kind="raw", window=64, hop=64, lsb=(2.0**-13,), offset=(0.0,), scale=(1.0,)
    )
    own, made = (
        [Recording(values=np.full((80, 1), v, np.float32), label=k, group=k)] * n
        for k, v, n in ((0, 0.25, 3), (1, 0.5, generated))
    )
    return WindowSampler(own, Extractor(design(features, 1.0, 1)), config, 1, generated=made)


def test_a_share_of_the_windows_is_generated_and_the_rest_as_without() -> None:
    inputs, labels = _sampler(0.25, 2).batch(2000)
    assert 0.21 < labels.mean() < 0.29
    assert inputs[labels == 1] == pytest.approx(0.5, abs=1e-3)
    assert inputs[labels == 0] == pytest.approx(0.25, abs=1e-3)
    assert _sampler(0.0, 2).batch(500)[1].sum() == 0
    assert _sampler(1.0, 2).batch(500)[1].all()
    assert np.array_equal(_sampler(None, 0).batch(9)[0], _sampler(0.5, 0).batch(9)[0])


def test_only_training_depends_on_it(project: Path) -> None:
    recipe = load_recipe("own")
    stages = Source(folder=project / "build", name="own", recipe=recipe).stages()
    facts = {stage.name: stage.facts for stage in stages}
    depends = [n for n, f in facts.items() if "eSpeak NG" in f]
    assert depends == ["train", "quantise"]
    assert json.loads(facts["train"]["recipe.augment.speech.voices"]) == 6
    assert facts["train"]["eSpeak NG"] == program_version() != ""


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('six = "six"', 'seven = "six"', r"words: 'seven' is no class; expected some of \['one'"),
        ('six = "six"', 'six = " "', r"words: 'six': expected a text, got none"),
        ("voices = 6", "voices = 0", r"voices: expected 1 to 10000, got 0"),
        ("voices = 6", "languages = []", r"languages: expected at least one"),
        ("voices = 6", 'accents = ["../x; y"]', r"accents: expected eSpeak's names.*got '../x; y'"),
        ("voices = 6", 'languages = ["xx"]', r"`espeak-ng .*` ended with code 1: .*; correct"),
        ('six = "six"', 'six = "..."', r"says nothing for '...'; expected a sound; write it"),
    ],
)
def test_wrong_settings_say_what_and_where(old: str, new: str, words: str, project: Path) -> None:
    with pytest.raises(ConfigError, match=words):
        load_speech(_recipe(project, (old, new)), 8000.0)


def test_words_of_a_class_that_is_left_out_are_not_heard(project: Path) -> None:
    recipe = _recipe(project)
    dataset = load_dataset(recipe.dataset)
    less = dataclasses.replace(dataset, labels=("one",))
    heard = generated_recordings(recipe, less, [r for r in dataset.recordings if r.label == 0])
    assert heard and {r.label for r in heard} == {0}


def test_a_worker_that_says_it_otherwise_is_refused(project: Path) -> None:
    recipe = _recipe(project)
    dataset = load_dataset(recipe.dataset)
    sent = attachments(recipe, dataset)
    with attached(recipe, sent):
        pass
    assert sent.speech is not None
    other = dataclasses.replace(sent, speech=(sent.speech[0], "0" * 64))
    with (
        pytest.raises(ConfigError, match=r"makes other sounds .*install the same version"),
        attached(recipe, other),
    ):
        pass


def test_speech_is_for_one_channel_of_classes(project: Path) -> None:
    digits = (Path(__file__).parents[1] / "model/recipes/motion.toml").read_text()
    made = '[augment.speech]\nwords = {a = "b"}\n[train]'
    Path("own.toml").write_text(digits.replace("[train]", made))
    with pytest.raises(ConfigError, match=r"one channel, of sound; got the task 'classification'"):
        load_recipe("own")


def test_without_the_program_it_says_how_to_get_it(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = load_recipe("own")
    module._made.clear()
    monkeypatch.setenv("PATH", str(project))
    with pytest.raises(ConfigError, match=r"got none on PATH; type: sudo apt-get install espeak"):
        load_speech(recipe, 8000.0)
