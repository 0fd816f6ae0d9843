"""Augmentation after the samples: vocal tracts, rooms, masks, mixtures; averages and teachers."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model import train
from model.augment import WindowSampler
from model.datasets import load_dataset
from model.datasets.base import Recording
from model.errors import ConfigError
from model.features.design import design, other_speakers
from model.features.library import Extractor
from model.features.spectrum import mel_bank
from model.recipe import AugmentConfig, FeatureConfig
from model.recipe_file import RECIPES, load_recipe
from model.tasks import task_of

PLAIN = AugmentConfig(
    kind="signal", speed=1.0, mirror=False, rotation_degrees=0.0, gain=0.0, noise=(0.0,)
)
LENGTH = 400
RAW = FeatureConfig(
    kind="raw", window=LENGTH, hop=LENGTH, lsb=(1 / 32768,), offset=(0.0,), scale=(1.0,)
)


def _sampler(values: np.ndarray, **changes: object) -> WindowSampler:
    return WindowSampler(
        [Recording(values=values.astype(np.float32)[:, None], label=1, group=0)],
        Extractor(design(RAW, 1000.0, 1)),
        dataclasses.replace(PLAIN, **changes),  # type: ignore[arg-type]
        1,
        sample_rate_hz=1000.0,
    )


def test_a_room_adds_what_decays_behind_the_sound() -> None:
    click = np.zeros(LENGTH)
    click[100] = 0.5
    heard = _sampler(click, room=0.5).batch(200)[0][..., 0]
    dry = np.abs(heard - click).max(axis=1) < 1e-4
    assert 60 < dry.sum() < 140  # half of 200
    wet = heard[~dry]
    assert np.abs(wet[:, :100]).max() < 1e-4  # nothing is heard before the sound
    energy = (wet**2).sum(axis=1)
    assert (energy <= 0.25 * 1.01).all()
    direct, tail = wet[:, 100] ** 2, (wet[:, 101:] ** 2).sum(axis=1)
    assert (tail / direct < 1.01).all()
    assert (tail / direct > 0.05).all()
    early, late = (wet[:, 101:200] ** 2).mean(), (wet[:, 300:] ** 2).mean()
    assert late < early / 10


def test_masks_hide_neighbours_and_no_more_than_their_share() -> None:
    rng = np.random.default_rng(0)
    values = rng.uniform(-0.5, 0.5, LENGTH)
    plain = _sampler(values).batch(1)[0][0, :, 0]
    masked = _sampler(values, mask_rows=0.25).batch(300)[0][..., 0]
    hidden = masked != plain
    count = hidden.sum(axis=1)
    assert count.max() <= 100
    assert count.max() > 90
    assert 40 < count.mean() < 60
    for row in range(300):
        places = np.flatnonzero(hidden[row])
        assert len(places) == 0 or places[-1] - places[0] + 1 == len(places)
        assert np.allclose(masked[row, places], plain.mean(), atol=1e-6)
    columns = _sampler(values, mask_columns=0.9)
    assert np.array_equal(columns.batch(1)[0][0, :, 0], plain)  # of one column 0.9 are none


def test_mixtures_mix_targets_as_their_inputs() -> None:
    inputs = np.arange(16, dtype=np.float32).reshape(16, 1, 1)
    targets = np.eye(16, dtype=np.float32)
    values = np.zeros(LENGTH)
    same = _sampler(values).mix(inputs, targets)
    assert same[0] is inputs
    assert same[1] is targets
    mixed, told = _sampler(values, mixup=0.5).mix(inputs, targets)
    assert np.allclose(told.sum(axis=1), 1)
    assert np.allclose(told @ np.arange(16), mixed[:, 0, 0], atol=1e-4)
    assert ((told > 0).sum(axis=1) == 2).sum() > 8


def test_another_vocal_tract_moves_what_is_heard_to_other_columns() -> None:
    hz = np.fft.rfftfreq(512, 1 / 8000)

    def loudest(stretch: float, tone: float) -> int:
        spectrum = np.abs(hz - tone) < 8
        bank = mel_bank(60.0, 3800.0, 32, 512, 8000.0, stretch)
        return int(np.argmax([(w * spectrum[f : f + len(w)]).sum() for f, w in bank]))

    assert loudest(1.2, 1000.0) == loudest(1.0, 1200.0)
    assert loudest(1 / 1.2, 1200.0) == loudest(1.0, 1000.0)
    assert loudest(1.2, 1000.0) > loudest(1.0, 1000.0) > loudest(1 / 1.2, 1000.0)
    whole = mel_bank(60.0, 4000.0, 32, 512, 8000.0, 1.2)
    assert whole[-1][0] + len(whole[-1][1]) == 256  # up to half of the sampling rate


def test_every_vocal_tract_is_drawn() -> None:
    recipe = load_recipe("keywords")
    augment = dataclasses.replace(recipe.augment, vocal_tract=1.2)
    others = other_speakers(dataclasses.replace(recipe, augment=augment))
    assert len(others) == 8
    config = dataclasses.replace(PLAIN, vocal_tract=1.2)
    window = recipe.features.window
    tone = 0.3 * np.sin(2 * np.pi * 1000 / 8000 * np.arange(window))
    own = design(recipe.features, 8000.0, 1)
    sampler = WindowSampler(
        [Recording(values=tone.astype(np.float32)[:, None], label=0, group=0)],
        Extractor(own),
        config,
        1,
        others=[Extractor(fe) for fe in others],
    )
    inputs = sampler.batch(60)[0]
    assert len(np.unique(inputs, axis=0)) == 9
    plain = dataclasses.replace(recipe, augment=dataclasses.replace(recipe.augment, vocal_tract=1))
    assert other_speakers(plain) == []


@pytest.mark.parametrize(
    ("recipe", "table", "line", "words"),
    [
        ("digits", "augment", "vocal_tract = 1.2", "vocal_tract: expected 1.0 for .* 'raw', got"),
        ("motion", "augment", "room = 0.5", "augment.room: expected 0 for the kind 'inertial'"),
        ("anomaly", "augment", "mixup = 0.5", "task 'anomaly': expected augment.mixup = 0.0"),
        ("anomaly", "train", "teachers = 2", "task 'anomaly': expected train.teachers = 0"),
        ("digits", "augment", "mask_rows = 0.95", "augment.mask_rows: expected 0 to 0.9, got"),
        ("digits", "train", "teachers = 17", "train.teachers: expected 0 to 16"),
    ],
)
def test_what_does_not_fit_is_refused(
    recipe: str, table: str, line: str, words: str, tmp_path: Path
) -> None:
    key = line.split()[0]
    text = (RECIPES / f"{recipe}.toml").read_text()
    kept = "\n".join(old for old in text.splitlines() if not old.startswith(f"{key} ="))
    (tmp_path / "own.toml").write_text(kept.replace(f"[{table}]", f"[{table}]\n{line}"))
    with pytest.raises(ConfigError, match=words):
        load_recipe(str(tmp_path / "own.toml"))


def test_teachers_are_trained_first_and_their_mean_is_learnt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe = load_recipe("digits")
    training = dataclasses.replace(
        recipe.train, steps=3, teachers=2, teacher_width=2.0, distillation=1.0, label_smoothing=0.0
    )
    recipe = dataclasses.replace(recipe, train=training)
    dataset = load_dataset(recipe.dataset)
    task = task_of(recipe, dataset.labels)
    calls: list[tuple[int, list[object]]] = []
    fit = train.fit

    def seen(network: Any, *arguments: Any, teachers: Any = (), **options: Any) -> Any:
        calls.append((network.count_params(), list(teachers)))
        return fit(network, *arguments, teachers=teachers, **options)

    monkeypatch.setattr(train, "fit", seen)
    network, _ = train.train_network(recipe, dataset, task, {0, 1}, 1, lambda *_: None)
    (first, none), (second, nobody), (own, teachers) = calls
    assert none == nobody == []
    assert first == second > 2 * own
    assert network.count_params() == own
    a, b = teachers
    assert not np.array_equal(a.get_weights()[0], b.get_weights()[0])  # type: ignore[attr-defined]
    x = np.random.default_rng(0).random((5, *network.input_shape[1:])).astype(np.float32)
    labels = np.eye(10, dtype=np.float32)[:5]
    mean = (np.asarray(a(x)) + np.asarray(b(x))) / 2  # type: ignore[operator]
    loss = train._loss_function(recipe, task, 10, teachers)
    entropy = -(mean * np.log(mean)).sum(axis=1).mean()
    assert float(loss(x, labels, mean)) == pytest.approx(entropy, rel=1e-4)
    assert float(loss(x, labels, np.roll(mean, 1, axis=1))) > entropy
    half = dataclasses.replace(training, distillation=0.5)
    shared = train._loss_function(dataclasses.replace(recipe, train=half), task, 10, teachers)
    right = -np.log(mean[np.arange(5), np.arange(5)]).mean()
    assert float(shared(x, labels, mean)) == pytest.approx((entropy + right) / 2, rel=1e-4)


def test_a_network_ends_with_the_moving_average_of_its_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe = load_recipe("digits")
    dataset = load_dataset(recipe.dataset)
    task = task_of(recipe, dataset.labels)
    made: list[Any] = []
    untrained = train.new_network

    def seen(*arguments: Any) -> Any:
        made.append(untrained(*arguments))
        return made[-1]

    monkeypatch.setattr(train, "new_network", seen)

    def trained(average: float) -> list[list[Any]]:
        """The weights after every step, those of batch normalisation's statistics too."""
        training = dataclasses.replace(recipe.train, steps=15, average=average)
        own, steps = dataclasses.replace(recipe, train=training), []
        train.train_network(
            own, dataset, task, {0, 1}, 1, lambda *_: steps.append(made[-1].get_weights())
        )
        return steps

    raw, averaged = trained(0.0), trained(0.5)
    train.make_deterministic(1)
    mean = untrained(recipe, dataset).get_weights()
    for step, weights in enumerate(raw, 1):
        keep = min(0.5, step / (step + 10))
        mean = [keep * m + (1 - keep) * w for m, w in zip(mean, weights, strict=True)]
    for before, after in zip(raw[:-1], averaged[:-1], strict=True):
        assert all(map(np.array_equal, before, after))  # the training itself is the same
    for want, got, last in zip(mean, averaged[-1], raw[-1], strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6)
        assert not np.array_equal(got, last)


def test_a_choice_of_quantisation_that_is_not_trained_is_refused(tmp_path: Path) -> None:
    text = (RECIPES / "digits.toml").read_text()
    for line, words in (
        ('choice = "best"', "quantisation.choice: unknown 'best'; known: validation, ptq, qat"),
        ('choice = "qat"', "quantisation.choice is 'qat', so quantisation.qat_steps must be"),
    ):
        changed = re.sub(r"qat_steps = \d+", f"qat_steps = 0\n{line}", text)
        (tmp_path / "own.toml").write_text(changed)
        with pytest.raises(ConfigError, match=words):
            load_recipe(str(tmp_path / "own.toml"))
