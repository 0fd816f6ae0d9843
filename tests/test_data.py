"""The dataset is read without running anything, and each planted fault is found by its check."""

from __future__ import annotations

import dataclasses
import io
import pickle
from pathlib import Path

import numpy as np
import pytest

from model import __main__ as command
from model.checks import run_checks
from model.datasets import load_dataset, seglearn_watch
from model.datasets.base import Dataset, Recording
from model.errors import ConfigError, DataError
from model.evaluate import evaluate
from model.features import device_samples, make_windows, split_windows
from model.features.design import recipe_front_end
from model.features.library import Extractor
from model.recipe import DatasetConfig, load_recipe

RECIPE = load_recipe("motion")
EXTRACTOR = Extractor(recipe_front_end(RECIPE))


def _dataset() -> Dataset:
    """Nine subjects, three classes, smooth signals: passes every check."""
    rng = np.random.default_rng(0)
    recordings = []
    for subject in range(9):
        for label in range(3):
            walk = np.cumsum(rng.normal(0, 0.02, (700, 6)), axis=0)
            recordings.append(Recording(values=walk.astype(np.float32), label=label, group=subject))
    return Dataset(
        recordings=tuple(recordings),
        labels=("a", "b", "c"),
        channels=RECIPE.checks.channels,
        sample_rate_hz=50.0,
        sha256="",
    )


SPLIT = dataclasses.replace(RECIPE.dataset, val_groups=(0, 1), test_groups=(2, 3))


def _problems(dataset: Dataset, split: DatasetConfig = SPLIT) -> dict[str, tuple[str, ...]]:
    splits = split_windows(dataset, split, EXTRACTOR)
    results = run_checks(dataset, splits, RECIPE.checks, RECIPE.features.lsb)
    return {r.name: r.problems for r in results if r.problems}


def _with(index: int, **changes: object) -> Dataset:
    base = _dataset()
    recordings = list(base.recordings)
    recordings[index] = dataclasses.replace(recordings[index], **changes)  # type: ignore[arg-type]
    return dataclasses.replace(base, recordings=tuple(recordings))


def test_good_data_passes() -> None:
    assert _problems(_dataset()) == {}


def test_nan_is_found_with_its_place() -> None:
    values = _dataset().recordings[4].values.copy()
    values[17, 2] = np.nan
    found = _problems(_with(4, values=values))
    assert "recording 4" in found["non-finite values"][0]
    assert "sample 17, channel az" in found["non-finite values"][0]


def test_wrong_units_are_found() -> None:
    found = _problems(_with(4, values=_dataset().recordings[4].values * 9810))
    assert "check the units" in found["ranges"][0]


def test_a_gap_and_a_stuck_sensor_are_found() -> None:
    values = _dataset().recordings[4].values.copy()
    values[300:] += 14.0
    assert "jumps by" in _problems(_with(4, values=values))["gaps"][0]
    values = _dataset().recordings[4].values.copy()
    values[100:120] = values[100]
    assert "stuck" in _problems(_with(4, values=values))["gaps"][0]


def test_rate_channels_and_short_recordings_are_found() -> None:
    base = _dataset()
    assert (
        "100" in _problems(dataclasses.replace(base, sample_rate_hz=100.0))["rate and channels"][0]
    )
    short = _with(4, values=base.recordings[4].values[:200])
    assert "recording 4: 4.0 s" in _problems(short)["rate and channels"][0]


def test_duplicates_and_leaks_are_found() -> None:
    base = _dataset()
    twin = _with(26, values=base.recordings[6].values)  # subject 8 (train) gets subject 2's (test)
    found = _problems(twin)
    assert "recordings 6 and 26 are the same" in found["duplicates"]
    assert "windows are in train and in test" in found["leaks between splits"][0]


def test_a_class_without_test_windows_is_found() -> None:
    recordings = tuple(r for r in _dataset().recordings if not (r.group in (2, 3) and r.label == 1))
    found = _problems(dataclasses.replace(_dataset(), recordings=recordings))
    assert "class b has no test windows" in found["class balance"][0]


def test_no_group_is_in_two_splits() -> None:
    splits = split_windows(_dataset(), SPLIT, EXTRACTOR)
    groups = [set(w.group.tolist()) for _, w in splits.items()]
    assert groups == [{4, 5, 6, 7, 8}, {0, 1}, {2, 3}]


def test_a_group_that_does_not_exist_is_refused() -> None:
    wrong = dataclasses.replace(SPLIT, test_groups=(99,))
    with pytest.raises(ConfigError, match=r"\[99\] are not in the data"):
        split_windows(_dataset(), wrong, EXTRACTOR)


def test_windows_are_scaled_and_hop() -> None:
    dataset = _dataset()
    windows = make_windows(dataset, EXTRACTOR, {0})
    first = dataset.recordings[0].values
    assert windows.x.shape == (3 * ((700 - 128) // 64 + 1), 128, 6)
    error = np.abs(windows.x[1, :, 3] - first[64:192, 3] / 3.0)
    assert 0 < error.max() < RECIPE.features.lsb[3] / 6 + windows.feature_scale


def test_what_a_device_is_fed_with_gives_the_windows() -> None:
    dataset = _dataset()
    windows = make_windows(dataset, EXTRACTOR, {2, 3})
    fed = device_samples(dataset, EXTRACTOR, {2, 3})
    assert np.array_equal(EXTRACTOR.batch(fed["samples"]), windows.features)
    EXTRACTOR.reset()
    streamed = EXTRACTOR.push(fed["stream"])
    assert len(streamed) == (700 - 128) // 64 + 1
    assert np.array_equal(streamed, windows.features[: len(streamed)])
    long = dataclasses.replace(dataset.recordings[6], values=np.zeros((5000, 6), np.float32))
    fed = device_samples(dataclasses.replace(dataset, recordings=(long,)), EXTRACTOR, {2})
    EXTRACTOR.reset()
    assert len(EXTRACTOR.push(fed["stream"])) == 20


def test_a_sensor_that_saturates_is_found() -> None:
    values = _dataset().recordings[4].values.copy()
    values[5:7, 1] = 24.0
    found = _problems(_with(4, values=values))["sensor range"]
    assert found[0].startswith("channel ay: 2 samples are beyond 24")
    values[5:7, 1] = 23.9
    assert "sensor range" not in _problems(_with(4, values=values))


def test_the_real_dataset_passes_and_its_hash_is_checked() -> None:
    dataset = load_dataset(RECIPE.dataset)
    assert len(dataset.recordings) == 140
    wrong = dataclasses.replace(RECIPE.dataset, sha256="0" * 64)
    with pytest.raises(DataError, match="another file than the recipe's"):
        load_dataset(wrong)
    unknown = dataclasses.replace(RECIPE.dataset, source="nowhere")
    with pytest.raises(ConfigError, match="unknown source 'nowhere'"):
        load_dataset(unknown)


def test_a_missing_dataset_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seglearn_watch, "data_path", lambda: Path("/nowhere/watch.npy"))
    with pytest.raises(DataError, match=r"cannot be read.*make setup"):
        load_dataset(RECIPE.dataset)


class _Evil:
    def __reduce__(self) -> tuple[object, tuple[str, ...]]:
        return (print, ("this must not run",))


def test_a_pickle_that_wants_to_run_code_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {"descr": "|O", "fortran_order": False, "shape": ()}
    )
    pickle.dump(_Evil(), stream)
    with pytest.raises(DataError, match="is not data; refused"):
        seglearn_watch.load_object_array(stream.getvalue())
    assert "must not run" not in capsys.readouterr().out


def test_other_channels_are_refused_before_the_front_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recordings = tuple(
        dataclasses.replace(r, values=r.values[:, :5]) for r in _dataset().recordings
    )
    other = dataclasses.replace(_dataset(), recordings=recordings, channels=tuple("abcde"))
    monkeypatch.setattr(command, "load_dataset", lambda _: other)
    with pytest.raises(DataError, match=r"the source has 5 channels .* expected 6"):
        command.check(dataclasses.replace(RECIPE, dataset=SPLIT), tmp_path / "out")


def test_a_failed_check_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = _dataset().recordings[4].values.copy()
    values[3, 3] = np.inf
    broken = _with(4, values=values)
    monkeypatch.setattr(command, "load_dataset", lambda _: broken)
    recipe = dataclasses.replace(RECIPE, dataset=SPLIT)
    with pytest.raises(DataError, match="data checks failed"):
        command.check(recipe, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_metrics_hold_for_imbalance() -> None:
    truth = np.array([0] * 90 + [1] * 10)
    metrics = evaluate(truth, np.zeros(100, np.int64), 2)
    assert metrics.accuracy == 0.9
    assert metrics.balanced_accuracy == 0.5
    assert metrics.g_mean == 0.0
    assert metrics.confusion == ((90, 0), (10, 0))
    with pytest.raises(ValueError, match=r"classes \[1\] have no true label"):
        evaluate(np.zeros(3, np.int64), np.zeros(3, np.int64), 2)
