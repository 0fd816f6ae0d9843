"""The dataset is read without running anything, cut into windows and split by group."""

from __future__ import annotations

import dataclasses
import io
import pickle
from pathlib import Path

import numpy as np
import pytest

from host_tools.cli import main
from model.datasets import load_dataset, seglearn_watch
from model.errors import ConfigError, DataError
from model.evaluate import evaluate
from model.features import device_samples, make_windows, split_windows
from model.features.design import recipe_front_end
from model.features.library import Extractor
from model.stages import check as command
from tests.checked_data import RECIPE, SPLIT, good_dataset

EXTRACTOR = Extractor(recipe_front_end(RECIPE))


def test_no_group_is_in_two_splits() -> None:
    splits = split_windows(good_dataset(), SPLIT, EXTRACTOR)
    groups = [set(w.group.tolist()) for _, w in splits.items()]
    assert groups == [{4, 5, 6, 7, 8}, {0, 1}, {2, 3}]


def test_a_group_that_does_not_exist_is_refused() -> None:
    wrong = dataclasses.replace(SPLIT, test_groups=(99,))
    with pytest.raises(ConfigError, match=r"\[99\] are not in the data"):
        split_windows(good_dataset(), wrong, EXTRACTOR)


def test_a_class_that_is_left_out_is_gone() -> None:
    whole = load_dataset(RECIPE.dataset)
    left = load_dataset(dataclasses.replace(RECIPE.dataset, leave_out=("FEL", "PEN")))
    assert left.labels == ("ABD", "IR", "ER", "TRAP", "ROW")
    kept = [r for r in whole.recordings if whole.labels[r.label] in left.labels]
    assert len(left.recordings) == len(kept) < len(whole.recordings)
    for a, b in zip(left.recordings, kept, strict=True):
        assert left.labels[a.label] == whole.labels[b.label]
        assert np.array_equal(a.values, b.values)


@pytest.mark.parametrize(
    "labels", [("pen",), ("PEN", "PEN"), ("PEN", "ABD", "FEL", "IR", "ER", "TRAP")]
)
def test_a_class_that_cannot_be_left_out_is_refused(labels: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match=r"leave_out: expected different classes .*'PEN', 'ABD'"):
        load_dataset(dataclasses.replace(RECIPE.dataset, leave_out=labels))


def test_windows_are_scaled_and_hop() -> None:
    dataset = good_dataset()
    windows = make_windows(dataset, EXTRACTOR, {0})
    first = dataset.recordings[0].values
    assert windows.x.shape == (3 * ((700 - 256) // 64 + 1), 256, 6)
    error = np.abs(windows.x[1, :, 3] - first[64:320, 3] / 3.0)
    assert 0 < error.max() < RECIPE.features.lsb[3] / 6 + windows.feature_scale


def test_what_a_device_is_fed_with_gives_the_windows() -> None:
    dataset = good_dataset()
    windows = make_windows(dataset, EXTRACTOR, {2, 3})
    fed = device_samples(dataset, EXTRACTOR, {2, 3})
    assert np.array_equal(EXTRACTOR.batch(fed["samples"]), windows.features)
    EXTRACTOR.reset()
    streamed = EXTRACTOR.push(fed["stream"])
    assert len(streamed) == (700 - 256) // 64 + 1
    assert np.array_equal(streamed, windows.features[: len(streamed)])
    long = dataclasses.replace(dataset.recordings[6], values=np.zeros((5000, 6), np.float32))
    fed = device_samples(dataclasses.replace(dataset, recordings=(long,)), EXTRACTOR, {2})
    EXTRACTOR.reset()
    assert len(EXTRACTOR.push(fed["stream"])) == 20


def test_the_real_dataset_passes_and_its_hash_is_checked() -> None:
    dataset = load_dataset(RECIPE.dataset)
    assert len(dataset.recordings) == 140
    wrong = dataclasses.replace(RECIPE.dataset, sha256="0" * 64)
    with pytest.raises(DataError, match="other data than those of the first check"):
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


def test_samples_of_another_width_are_refused_before_the_front_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recordings = tuple(
        dataclasses.replace(r, values=r.values[:, :5]) for r in good_dataset().recordings
    )
    other = dataclasses.replace(good_dataset(), recordings=recordings)
    monkeypatch.setattr(command, "load_dataset", lambda *_: other)
    with pytest.raises(DataError, match=r"expected float32 of 6 channels, got float32 of \(5,\)"):
        command.check(dataclasses.replace(RECIPE, dataset=SPLIT), tmp_path / "out")


def test_metrics_hold_for_imbalance() -> None:
    truth = np.array([0] * 90 + [1] * 10)
    metrics = evaluate(truth, np.zeros(100, np.int64), 2)
    assert metrics.accuracy == 0.9
    assert metrics.balanced_accuracy == 0.5
    assert metrics.g_mean == 0.0
    assert metrics.confusion == ((90, 0), (10, 0))
    with pytest.raises(ValueError, match=r"classes \[1\] have no true label"):
        evaluate(np.zeros(3, np.int64), np.zeros(3, np.int64), 2)


def test_no_repeats_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "digits", "--cv", "3", "--repeats", "0"]) == 2
    assert "'--repeats': 0 is not in the range x>=1" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "build").write_text("a file")
    assert main(["check", "digits", "--project", str(tmp_path)]) == 2
    assert "expected a folder there; delete what is in its place" in capsys.readouterr().err
