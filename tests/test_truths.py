"""What sources tell of numbers and of several labels, and what the data check says of them."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from model.augment import WindowSampler
from model.checks import check_recordings
from model.datasets import load_dataset
from model.datasets.base import Dataset, Recording, constant_targets, window_targets
from model.datasets.truth import Truth, truth_of
from model.errors import ConfigError, DataError
from model.features import split_windows
from model.features.design import recipe_front_end
from model.features.library import Extractor
from model.recipe import DatasetConfig, NumpyFileConfig, Recipe, ResampleConfig, WavFolderConfig
from model.recipe_file import RECIPES, load_recipe, recipe_of
from model.tasks import task_of
from tests.sources import assert_complete, csv_config, source_config, write_wav

NUMBERS = Truth(targets=("angle", "load"))
LABELS = Truth(separator="+")
OSCILLATOR, TONES = load_recipe("oscillator"), load_recipe("tones")


def angles(path: Path, cells: tuple[str, ...] = ("1.5", "2.5", "-4")) -> DatasetConfig:
    rows = "".join(f"{20 * i},{i},{-i},{cell}\n" for i, cell in enumerate(cells))
    (path / "ann_load12.5.csv").write_text(f"t_ms,ax,ay,angle\n{rows}")
    (path / "bob_load-3.csv").write_text(f"t_ms,ax,ay,angle\n{rows.replace(',0,', ',7,')}")
    pattern = r"(?P<group>[a-z]+)_load(?P<load>[-.\w]+)\.csv"
    return csv_config(path, pattern=pattern, labels=())


def test_targets_are_columns_or_parts_of_the_name(tmp_path: Path) -> None:
    dataset = load_dataset(angles(tmp_path), NUMBERS)
    assert dataset.labels == ("angle", "load")
    ann, bob = dataset.recordings
    assert ann.targets is not None and bob.targets is not None
    assert ann.targets.tolist() == [[1.5, 12.5], [2.5, 12.5], [-4, 12.5]]
    assert set(bob.targets[:, 1].tolist()) == {-3}
    assert (ann.label, bob.label) == (0, 0)


@pytest.mark.parametrize("cell", ["nan", "inf", "", "1_0", "left", "1e39"])
def test_a_target_that_is_no_number_is_named_with_its_line(cell: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"ann_load12.5.csv, line 3, target angle: ") as error:
        load_dataset(angles(tmp_path, ("1", cell, "2")), NUMBERS)
    assert_complete(str(error.value))


def test_a_name_that_is_no_number_is_named(tmp_path: Path) -> None:
    config = angles(tmp_path)
    (tmp_path / "bob_load-3.csv").rename(tmp_path / "bob_loadmuch.csv")
    with pytest.raises(DataError, match=r"bob_loadmuch.csv.*target load: expected a number"):
        load_dataset(config, NUMBERS)


def test_a_regression_has_no_label_column(tmp_path: Path) -> None:
    config = angles(tmp_path)
    assert config.csv_folder is not None
    table = dataclasses.replace(config.csv_folder, label_column="angle")
    with pytest.raises(ConfigError, match="label_column: expected '' for the task 'regression'"):
        load_dataset(dataclasses.replace(config, csv_folder=table), NUMBERS)


def test_sounds_have_numbers_and_labels_in_their_names(tmp_path: Path) -> None:
    write_wav(tmp_path / "angle-2_load7_ann.wav", np.array([0.1, 0.2, 0.3]))
    write_wav(tmp_path / "angle3_load8_bob.wav", np.array([0.4, 0.5, 0.6]))
    pattern = r"angle(?P<angle>[-\d]+)_load(?P<load>\d+)_(?P<group>[a-z]+)\.wav"
    table = WavFolderConfig(folder=str(tmp_path), pattern=pattern)
    dataset = load_dataset(source_config("wav_folder", table), NUMBERS)
    told = [None if r.targets is None else r.targets[-1].tolist() for r in dataset.recordings]
    assert told == [[-2, 7], [3, 8]]
    table = dataclasses.replace(table, pattern=r"(?P<group>[a-z]+).*\.wav")
    with pytest.raises(ConfigError, match=r"expected a part \(\?P<angle>"):
        load_dataset(source_config("wav_folder", table), NUMBERS)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("wave+rest", [1, 1]), ("rest", [0, 1]), ("rest+wave", [1, 1]), ("", [0, 0])],
)
def test_labels_of_a_name_are_joined(name: str, expected: list[int], tmp_path: Path) -> None:
    text = "t_ms,ax,ay\n0,1,2\n20,{},3\n"
    (tmp_path / "wave+rest_ann.csv").write_text(text.format(1))
    (tmp_path / f"{name}_zoe.csv").write_text(text.format(2))
    pattern = r"(?P<label>[a-z+]*)_(?P<group>[a-z]+)\.csv"
    dataset = load_dataset(csv_config(tmp_path, pattern=pattern), LABELS)
    assert dataset.labels == ("wave", "rest")
    zoe = next(r for r in dataset.recordings if dataset.group_title(r.group) == "zoe")
    assert zoe.targets is not None and zoe.targets.tolist() == [expected] * 2


def test_labels_of_a_column_begin_a_recording(tmp_path: Path) -> None:
    rows = ("wave+rest", "wave+rest", "", "rest", "rest")
    text = "".join(f"{20 * i},{i},0,{cell}\n" for i, cell in enumerate(rows))
    (tmp_path / "ann.csv").write_text("t_ms,ax,ay,what\n" + text)
    changes = {"pattern": r"(?P<group>[a-z]+)\.csv", "label_column": "what"}
    dataset = load_dataset(csv_config(tmp_path, **changes), LABELS)
    told = [None if r.targets is None else r.targets[0].tolist() for r in dataset.recordings]
    assert told == [[1, 1], [0, 0], [0, 1]]


@pytest.mark.parametrize("name", ["wave+jump", "wave+wave", "wave++rest"])
def test_unknown_and_double_labels_are_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / f"{name}_ann.csv").write_text("t_ms,ax,ay\n0,1,2\n20,2,3\n")
    pattern = r"(?P<label>[a-z+]*)_(?P<group>[a-z]+)\.csv"
    with pytest.raises(DataError, match=r"expected one of \[.*each once, joined by '\+'; correct"):
        load_dataset(csv_config(tmp_path, pattern=pattern), LABELS)


def test_a_label_without_recordings_is_refused(tmp_path: Path) -> None:
    (tmp_path / "wave_ann.csv").write_text("t_ms,ax,ay\n0,1,2\n20,2,3\n")
    with pytest.raises(DataError, match="class 'rest' has no recordings"):
        load_dataset(csv_config(tmp_path), LABELS)


def npz_config(path: Path, names: tuple[str, ...], **arrays: Any) -> DatasetConfig:
    content = {
        "samples": np.arange(48, dtype=np.float32).reshape(4, 6, 2),
        "groups": np.array([5, 5, 9, 9]),
    }
    np.savez(path / "data.npz", **content, **arrays)
    table = NumpyFileConfig(file=str(path / "data.npz"))
    changes = {"labels": names, "channels": ("a", "b"), "sample_rate_hz": 50.0}
    return source_config("numpy_file", table, **changes)


@pytest.mark.parametrize("samples", [(), (6,)])
def test_npz_has_numbers(samples: tuple[int, ...], tmp_path: Path) -> None:
    targets = np.random.default_rng(1).normal(size=(4, *samples, 2))
    dataset = load_dataset(npz_config(tmp_path, (), targets=targets), NUMBERS)
    for recording, expected in zip(dataset.recordings, targets, strict=True):
        assert recording.targets is not None
        assert np.array_equal(
            recording.targets, np.broadcast_to(expected.astype(np.float32), (6, 2))
        )


@pytest.mark.parametrize(
    ("targets", "words"),
    [
        (np.zeros((4, 3)), r"targets: expected numbers of the shape \[4, 2\] or \[4, 6, 2\].*got"),
        (np.zeros((4, 5, 2)), r"got the shape \[4, 5, 2\]"),
        (np.full((4, 2), np.nan), r"targets\[0, 0\]: expected a finite number, got nan"),
        (np.full((4, 6, 2), -np.inf), r"targets\[0, 0, 0\]: expected a finite number, got -inf"),
    ],
)
def test_wrong_numbers_of_an_npz_are_named(targets: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=words) as error:
        load_dataset(npz_config(tmp_path, (), targets=targets), NUMBERS)
    assert_complete(str(error.value))


def test_npz_has_labels(tmp_path: Path) -> None:
    labels = np.array([[0, 1], [1, 1], [0, 0], [1, 0]])
    dataset = load_dataset(npz_config(tmp_path, ("idle", "wave"), labels=labels), LABELS)
    told = [None if r.targets is None else r.targets[3].tolist() for r in dataset.recordings]
    assert told == labels.tolist()


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.array([0, 1, 0, 1]), r"labels: expected integers 0 or 1 of the shape \[4, 2\].*got"),
        (np.full((4, 2), 2), "labels: expected integers 0 or 1"),
        (np.full((4, 2), 0.5), "of float64"),
        (np.array([[1, 0]] * 4), "label 'wave' holds in no recording"),
    ],
)
def test_wrong_labels_of_an_npz_are_named(labels: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=words):
        load_dataset(npz_config(tmp_path, ("idle", "wave"), labels=labels), LABELS)


def test_sources_of_one_truth_refuse_another() -> None:
    with pytest.raises(ConfigError, match="it is for the task 'regression', the recipe's is 'mult"):
        load_dataset(OSCILLATOR.dataset, LABELS)
    with pytest.raises(ConfigError, match="it is for the task 'classification'"):
        load_dataset(load_recipe("digits").dataset, LABELS)
    with pytest.raises(ConfigError, match=r"has \['frequency', 'level'\], got \['level'\]"):
        load_dataset(OSCILLATOR.dataset, Truth(targets=("level",)))


@pytest.mark.parametrize("recipe", [OSCILLATOR, TONES])
def test_generated_data_are_the_recipes_and_of_another_seed_are_not(recipe: Recipe) -> None:
    dataset = load_dataset(recipe.dataset, truth_of(recipe))
    assert len({r.group for r in dataset.recordings}) == 10
    assert all(
        r.targets is not None and len(r.targets) == len(r.values) for r in dataset.recordings
    )
    table = getattr(recipe.dataset, recipe.dataset.source)
    other = dataclasses.replace(
        recipe.dataset, **{recipe.dataset.source: dataclasses.replace(table, seed=2)}
    )
    with pytest.raises(DataError, match="other data than those of the first check: their SHA-256"):
        load_dataset(other, truth_of(recipe))


# --- windows -----------------------------------------------------------------------------------


@pytest.mark.parametrize("of_window", ["mean", "last"])
def test_a_windows_target_is_its_mean_or_its_last(of_window: str) -> None:
    targets = np.random.default_rng(2).normal(5, 1, (23, 2)).astype(np.float32)
    found = window_targets(targets, 7, 4, of_window)
    starts = range(0, 23 - 7 + 1, 4)
    assert len(found) == len(starts)
    for row, start in zip(found, starts, strict=True):
        part = targets[start : start + 7]
        assert row == pytest.approx(part.mean(axis=0) if of_window == "mean" else part[-1])


def test_every_network_input_has_its_target() -> None:
    dataset = load_dataset(OSCILLATOR.dataset, truth_of(OSCILLATOR))
    splits = split_windows(dataset, OSCILLATOR.dataset, Extractor(recipe_front_end(OSCILLATOR)))
    front_end = recipe_front_end(OSCILLATOR)
    expected = np.concatenate(
        [
            window_targets(r.targets, front_end.window, front_end.hop, "mean")
            for r in dataset.recordings
            if r.targets is not None and r.group in (8, 9)
        ]
    )
    assert splits.test.targets is not None
    assert splits.test.targets.shape == (len(splits.test.y), 2)
    assert np.array_equal(splits.test.truth, expected)
    assert splits.test.first(3).truth.tolist() == expected[:3].tolist()


@pytest.mark.parametrize("of_window", ["mean", "last"])
def test_a_training_window_has_the_target_of_its_samples(of_window: str) -> None:
    """Values and targets count samples, so an input tells which samples it was cut from."""
    recordings = [
        Recording(
            values=(values := np.arange(first, first + samples, dtype=np.float32)[:, None]),
            label=0,
            group=0,
            targets=np.repeat(values, 2, axis=1),
        )
        for first, samples in ((0, 400), (500, 170), (800, 160))
    ]
    still = dataclasses.replace(OSCILLATOR.augment, noise=(0.0,), speed=1.2)
    extractor = Extractor(recipe_front_end(OSCILLATOR))
    x, y = WindowSampler(recordings, extractor, still, 1, of_window=of_window).batch(60)
    assert y.shape == (60, 2) and y.dtype == np.float32
    samples = x[:, :, 0] * 250.0
    expected = samples.mean(axis=1) if of_window == "mean" else samples[:, -1]
    assert y[:, 0] == pytest.approx(expected, abs=1.5)  # windows begin between two samples
    assert np.ptp(y[:, 0]) > 500


# --- the data check ----------------------------------------------------------------------------


def found(recipe: Recipe, change: Callable[[npt.NDArray[np.float32], int], Any]) -> dict[str, Any]:
    """Check -> problems, of the recipe's data with other targets ([samples, targets], group)."""
    dataset = load_dataset(recipe.dataset, truth_of(recipe))
    recordings = []
    for recording in dataset.recordings:
        assert recording.targets is not None
        changed = np.array(recording.targets)
        change(changed, recording.group)
        recordings.append(dataclasses.replace(recording, targets=changed))
    other: Dataset = dataclasses.replace(dataset, recordings=tuple(recordings))
    splits = split_windows(other, recipe.dataset, Extractor(recipe_front_end(recipe)))
    results = check_recordings(other, splits, recipe, task_of(recipe, other.labels))
    return {r.name: r.problems for r in results if r.problems}


def _set(column: int, value: float, groups: tuple[int, ...]) -> Callable[[Any, int], None]:
    def change(targets: npt.NDArray[np.float32], group: int) -> None:
        if group in groups:
            targets[:, column] = value

    return change


EVERYONE = tuple(range(10))


@pytest.mark.parametrize(
    ("recipe", "change", "check", "words"),
    [
        (
            OSCILLATOR,
            _set(1, np.nan, (8,)),
            "targets",
            r"recording 64, sample 0: target level is n",
        ),
        (OSCILLATOR, _set(0, 7.0, EVERYONE), "targets", "target frequency is 7 in all train wind"),
        (OSCILLATOR, _set(0, 7.0, (6, 7)), "targets", "target frequency is 7 in all val windows"),
        (OSCILLATOR, _set(0, 70.0, (8,)), "target ranges", "test: 50% of the windows have a freq"),
        (TONES, _set(2, 0.0, (6, 7)), "labels", "label whistle holds in none of 192 val windows"),
        (TONES, _set(2, 1.0, (8, 9)), "labels", "label whistle holds in every one of 192 test"),
        (TONES, _set(0, 0.0, (0, 1, 2, 3, 4)), "label balance", "train: .* holds in"),
    ],
)
def test_numbers_and_labels_that_cannot_be_learned_are_found(
    recipe: Recipe, change: Any, check: str, words: str
) -> None:
    problems = found(recipe, change)
    assert check in problems, problems
    assert re.search(words, problems[check][0]), problems[check][0]


def test_the_examples_have_nothing_to_complain_about() -> None:
    assert found(TONES, lambda targets, group: None) == {}
    assert found(OSCILLATOR, lambda targets, group: None) == {}


# --- recipes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        ("oscillator", "[regression]", "[multilabel]\nmin_macro_f1 = 0.5\n[regression]", "a table"),
        (
            "oscillator",
            'task = "regression"',
            'task = "anomaly"',
            "it is for the task 'regression'",
        ),
        ("oscillator", 'units = ["Hz", "mg"]', 'units = ["Hz"]', "units: expected 2 values.*got 1"),
        ("oscillator", "[1.0, 20.0]", "[1.0]", "max_mae: expected 2 values"),
        ("oscillator", '["frequency", "level"]', '["level", "level"]', "1 to 16 names, each once"),
        ("oscillator", '["frequency", "level"]', "[]", "1 to 16 names"),
        ("oscillator", 'of_window = "mean"', 'of_window = "median"', "known: mean, last"),
        ("oscillator", "label_smoothing = 0.0", "label_smoothing = 0.1", "answers with numbers"),
        ("oscillator", "min_r2 = 0.9", "min_r2 = 1.1", "min_r2: expected -1 to 1, got 1.1"),
        ("tones", "min_macro_f1 = 0.85", "", "missing key 'min_macro_f1'"),
        ("tones", "min_macro_f1", 'separator = ""\nmin_macro_f1', "expected one character, got ''"),
        ("tones", "[train]", "[train]\nmin_balanced_accuracy = 0.5", "multilabel.min_macro_f1"),
        ("tones", "test_groups", 'leave_out = ["hum"]\ntest_groups', "leave_out for classes only"),
    ],
)
def test_a_table_that_does_not_fit_the_task_is_refused(
    name: str, old: str, new: str, words: str, tmp_path: Path
) -> None:
    text = (RECIPES / f"{name}.toml").read_text()
    assert old in text
    path = tmp_path / "mixed.toml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError, match=words):
        load_recipe(str(path))


def test_the_labels_of_a_regression_are_its_targets(tmp_path: Path) -> None:
    assert OSCILLATOR.dataset.labels == ("frequency", "level")
    own = dataclasses.replace(OSCILLATOR.dataset, labels=("frequency", "other"))
    wrong = dataclasses.replace(OSCILLATOR, dataset=own)
    with pytest.raises(ConfigError, match="labels: expected regression.targets for the task"):
        recipe_of(json.loads(json.dumps(wrong.as_dict())), "record")


def test_numbers_go_through_a_resample_with_their_samples(tmp_path: Path) -> None:
    times = (0, 22, 39, 61, 80, 101)
    text = "".join(f"{t},{t / 10},0,{t * 2}\n" for t in times)
    (tmp_path / "ann_load5.csv").write_text("t_ms,ax,ay,angle\n" + text)
    pattern = r"(?P<group>[a-z]+)_load(?P<load>[-.\w]+)\.csv"
    resample = ResampleConfig(max_gap_s=0.1)
    config = csv_config(tmp_path, pattern=pattern, labels=(), resample=resample)
    (recording,) = load_dataset(config, NUMBERS).recordings
    assert recording.targets is not None
    assert recording.values[:, 1] == pytest.approx(2.0 * np.arange(6), abs=1e-5)
    assert recording.targets[:, 0] == pytest.approx(40.0 * np.arange(6), abs=1e-4)
    assert recording.targets[:, 1].tolist() == [5] * 6


def test_a_short_recipe_of_a_regression_takes_its_targets_from_the_columns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for k, who in enumerate(("ann", "bob", "cleo", "dan")):
        rows = "".join(f"{20 * i},{i % 7},{k},{i * 0.1 + k}\n" for i in range(300))
        (tmp_path / f"{who}.csv").write_text("t_ms,ax,ay,angle\n" + rows)
    monkeypatch.chdir(tmp_path)
    Path("turn.toml").write_text(
        'task = "regression"\n[regression]\ntargets = ["angle"]\nunits = ["degrees"]\n'
        "[dataset.csv_folder]\nfolder = '.'\npattern = '(?P<group>[a-z]+)\\.csv'\n"
    )
    recipe = load_recipe("turn.toml")
    assert recipe.dataset.channels == ("ax", "ay")
    assert recipe.dataset.labels == ("angle",)
    assert (recipe.dataset.val_groups, recipe.dataset.test_groups) == (("cleo",), ("dan",))
    assert (recipe.network.kind, recipe.train.label_smoothing) == ("cnn1d", 0.0)
    lock = Path("turn.lock").read_text()
    Path("turn.toml").write_text(Path("turn.toml").read_text().replace('"angle"', '"ay"'))
    assert load_recipe("turn.toml").dataset.channels == ("ax", "angle")
    assert Path("turn.lock").read_text() != lock


def test_constant_targets_take_no_memory() -> None:
    assert constant_targets([1.0, 2.0], 10**9).strides == (0, 4)
