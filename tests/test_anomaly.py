"""The task anomaly: scores, threshold, metrics, and one run from data to a device's answers."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from host_tools.report.write import write_report
from model.datasets import load_dataset
from model.errors import ConfigError, DataError, ModelSideError
from model.evaluate import evaluate_anomalies
from model.features import Windows
from model.grid import Grid
from model.recipe import Recipe
from model.recipe_file import RECIPES, load_recipe
from model.stages.check import check
from model.stages.cross_validate import cross_validate
from model.stages.splits import load_splits
from model.stages.train import train
from model.tasks import AnomalyJudge, ClassJudge, IntegerError, load_judge, task_of, threshold
from quantize.float_outputs import load_float_outputs
from quantize.golden import load_golden
from quantize.pipeline import quantise_recipe

ANOMALY = load_recipe("anomaly")
assert ANOMALY.dataset.vibration and ANOMALY.anomaly
SMALL = dataclasses.replace(
    ANOMALY,
    dataset=dataclasses.replace(
        ANOMALY.dataset,
        sha256="d",
        val_groups=(1,),
        test_groups=(2,),
        vibration=dataclasses.replace(
            ANOMALY.dataset.vibration,
            machines=3,
            seconds=0.6,
            normal_recordings=6,
            severities=(1.0,),
        ),
    ),
    checks=dataclasses.replace(ANOMALY.checks, min_seconds=0.5),
    train=dataclasses.replace(ANOMALY.train, steps=150),
    quantisation=dataclasses.replace(
        ANOMALY.quantisation,
        qat_steps=10,
        calibration_windows=50,
        min_equal_outputs=0.3,
        max_lsb=24,
        max_drop=0.1,
    ),
)


def with_hash(recipe: Recipe) -> Recipe:
    """The recipe with the SHA-256 and the labels of what it generates."""
    dataset = dataclasses.replace(recipe.dataset, sha256="", labels=())
    found = load_dataset(dataset)
    dataset = dataclasses.replace(dataset, sha256=found.sha256, labels=found.labels)
    return dataclasses.replace(recipe, dataset=dataset)


# --- scores, threshold, metrics ----------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_the_integer_score_is_the_dequantised_error(seed: int) -> None:
    rng = np.random.default_rng(seed)
    grid = Grid(
        scale_in=float(rng.uniform(0.01, 0.1)),
        zero_in=int(rng.integers(-128, 128)),
        scale_out=float(rng.uniform(0.01, 0.1)),
        zero_out=int(rng.integers(-128, 128)),
    )
    given = rng.integers(-128, 128, (20, 1, 16, 1, 2)).astype(np.int8)
    answer = rng.integers(-128, 128, (20, 1, 32)).astype(np.int8)
    error = IntegerError.of(grid, 32)
    exact = (
        (answer.reshape(20, 32).astype(float) - grid.zero_out) * grid.scale_out
        - (given.reshape(20, 32).astype(float) - grid.zero_in) * grid.scale_in
    ) ** 2
    assert error.scores(given, answer) * error.step == pytest.approx(exact.mean(axis=1), rel=2e-3)


def test_the_integer_score_does_not_overflow() -> None:
    grid = Grid(scale_in=1.0, zero_in=127, scale_out=15.9, zero_out=-128)
    error = IntegerError.of(grid, 1 << 14)
    worst = error.scores(np.full((1, 1 << 14), -128, np.int8), np.full((1, 1 << 14), 127, np.int8))
    assert int(worst[0]) == (1 << 14) * (error.multiplier * 255 + 4096 * 255) ** 2


@pytest.mark.parametrize(("scale", "elements"), [(16.1, 8), (1e-5, 8), (1.0, (1 << 14) + 1)])
def test_a_score_that_could_overflow_is_refused(scale: float, elements: int) -> None:
    with pytest.raises(ConfigError, match="scale the features"):
        IntegerError.of(Grid(scale_in=1.0, zero_in=0, scale_out=scale, zero_out=0), elements)


@pytest.mark.parametrize(
    ("quantile", "expected"), [(0.5, 50), (0.99, 99), (0.985, 99), (0.98, 98), (0.991, 100)]
)
def test_the_threshold_is_the_smallest_score_that_keeps_the_share(
    quantile: float, expected: int
) -> None:
    scores = np.random.default_rng(1).permutation(np.arange(1, 101, dtype=np.int64) << 40)
    assert threshold(scores, quantile) == expected << 40
    assert (scores <= threshold(scores, quantile)).mean() >= quantile


def test_auc_is_the_chance_that_an_anomaly_scores_higher() -> None:
    rng = np.random.default_rng(2)
    scores, y = rng.integers(0, 30, 200), rng.integers(0, 3, 200)
    found = evaluate_anomalies(scores, y, ("a", "normal", "b"), 1, 20, 0.5)
    normal = scores[y == 1]

    def chance(strange: np.ndarray) -> float:
        higher = (strange[:, None] > normal) + 0.5 * (strange[:, None] == normal)
        return float(higher.mean())

    assert found.auc == pytest.approx(chance(scores[y != 1]))
    assert found.auc_by_label == {
        "a": pytest.approx(chance(scores[y == 0])),
        "b": pytest.approx(chance(scores[y == 2])),
    }
    assert found.detection["b"] == pytest.approx((scores[y == 2] > 20).mean())
    assert found.false_alarm_rate == pytest.approx((normal > 20).mean())
    assert found.balanced_accuracy == pytest.approx(
        ((normal <= 20).mean() + (scores[y != 1] > 20).mean()) / 2
    )
    assert found.normal_error == pytest.approx(normal.mean() / 2)


def test_headroom_widens_what_sets_the_ranges() -> None:
    task = task_of(SMALL, ("normal", "broken"))
    inputs = np.linspace(-1, 3, 12, dtype=np.float32).reshape(3, 4)
    wide = task.calibration(inputs)
    assert (wide.min(), wide.max()) == (-4, 12)
    assert np.array_equal(wide[:3], inputs)


def test_no_anomaly_moves_the_threshold() -> None:
    task = task_of(SMALL, ("normal", "broken"))
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(40, 8, 1)).astype(np.float32), np.repeat([0, 1], 20)
    windows = Windows(features=x.astype(np.int16), feature_scale=1.0, y=y, group=y)
    quiet = task.judge(windows, x, np.zeros((40, 8), np.float32), None)
    x[20:] *= 100
    loud = task.judge(windows, x, np.zeros((40, 8), np.float32), None)
    assert isinstance(quiet, AnomalyJudge)
    assert quiet == loud


# --- recipes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('task = "anomaly"', 'task = "anomalies"', "known: classification, anomaly"),
        ('task = "anomaly"\n', "", "belong together"),
        ('kind = "autoencoder"', 'kind = "dense"', "belongs to the kind 'autoencoder'"),
        ("[anomaly]\n", "[anomalie]\n", "did you mean 'anomaly'"),
        ("seed = 1\nsteps", "min_balanced_accuracy = 0.5\nseed = 1\nsteps", "anomaly.min_auc"),
        ("label_smoothing = 0.0", "label_smoothing = 0.1", "label_smoothing = 0.0"),
        (
            "quantile = 0.99",
            "quantile = 1.0",
            r"anomaly\.quantile: expected 0.5 to 0.9999, got 1.0",
        ),
        ("headroom = 4.0", "headroom = 0.5", r"anomaly\.headroom: expected 1 to 64, got 0.5"),
    ],
)
def test_a_recipe_of_two_tasks_is_refused(tmp_path: Path, old: str, new: str, words: str) -> None:
    text = (RECIPES / "anomaly.toml").read_text()
    assert old in text
    path = tmp_path / "mixed.toml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError, match=words):
        load_recipe(str(path))


def test_an_unknown_normal_class_is_named() -> None:
    with pytest.raises(ConfigError, match="'normal': no such label; the data have: good, bad"):
        task_of(ANOMALY, ("good", "bad"))


# --- one run -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Recipe, Path]:
    """A small recipe after check, train and quantise."""
    recipe = with_hash(SMALL)
    out_dir = tmp_path_factory.mktemp("build") / "anomaly"
    check(recipe, out_dir)
    train(recipe, out_dir, recipe.as_dict())
    quantise_recipe(recipe, out_dir)
    return recipe, out_dir


@pytest.mark.slow
def test_training_sees_normal_windows_only(run: tuple[Recipe, Path]) -> None:
    splits = load_splits(run[1])
    assert set(splits.train.y) == {0}
    assert set(splits.val.y) == set(splits.test.y) == set(range(6))


def test_the_network_and_the_baselines_are_judged(run: tuple[Recipe, Path]) -> None:
    trained = json.loads((run[1] / "train.json").read_text())
    assert trained["history"]["loss"][-1] < trained["history"]["loss"][0] / 2
    test = trained["metrics"]["test"]
    assert test["auc"] > 0.8
    assert test["detection"]["outer race, severity 1"] > 0.9
    names = {"PCA reconstruction", "Mahalanobis distance", "isolation forest"}
    assert set(trained["baselines"]) == names
    assert all(0 <= m["false_alarm_rate"] <= 1 for m in trained["baselines"].values())


def test_the_choice_needs_no_anomalies(run: tuple[Recipe, Path]) -> None:
    result = json.loads((run[1] / "quantize.json").read_text())
    errors = {name: c["val"]["normal_error"] for name, c in result["candidates"].items()}
    assert errors[result["chosen"]] == min(errors.values())
    assert "needs no anomalies" in result["rule"]


def test_a_device_is_judged_by_the_same_integers(run: tuple[Recipe, Path]) -> None:
    recipe, out_dir = run
    judge = load_judge(out_dir, recipe.as_dict(), 2)
    assert isinstance(judge, AnomalyJudge)
    golden, splits = load_golden(out_dir / "golden.npz"), load_splits(out_dir)
    chosen = json.loads((out_dir / "quantize.json").read_text())
    metrics = judge.metrics(golden.inputs[0], golden.outputs[0], splits.test.y)
    assert dataclasses.asdict(metrics) == {
        **chosen["candidates"][chosen["chosen"]]["test"],
        "confusion": metrics.confusion,
        "recall": metrics.recall,
    }
    right = judge.is_correct(golden.inputs[0], golden.outputs[0], splits.test.y)
    assert right.mean() == pytest.approx(metrics.accuracy)


def test_the_float_detector_decides_by_its_own_threshold(run: tuple[Recipe, Path]) -> None:
    floats = load_float_outputs(run[1] / "float.npz")
    assert floats.alarm_scores is not None and floats.alarm_threshold is not None
    trained = json.loads((run[1] / "train.json").read_text())["metrics"]["test"]
    y = load_splits(run[1]).test.y
    assert floats.alarm_threshold == trained["threshold"]
    alarms = floats.alarm_scores > floats.alarm_threshold
    assert alarms[y == 0].mean() == pytest.approx(trained["false_alarm_rate"])


def test_a_damaged_record_is_named(run: tuple[Recipe, Path], tmp_path: Path) -> None:
    for text in ("", "{}", '{"judge": {"labels": 3}}', '{"judge": []}'):
        (tmp_path / "anomaly.json").write_text(text)
        with pytest.raises(DataError, match="run `make quantise`"):
            load_judge(tmp_path, run[0].as_dict(), 2)
    assert load_judge(tmp_path, load_recipe("motion").as_dict(), 7) == ClassJudge(classes=7)


def test_the_report_has_its_section(run: tuple[Recipe, Path]) -> None:
    page = write_report(run[1]).read_text()
    assert "<span>balanced accuracy, int8" in page and "<small>AUC " in page
    for words in (
        ">Anomalies</h2>",
        "Mahalanobis distance",
        "looseness, severity 1",
        "is an alarm",
        "detection by false alarms",
    ):
        assert words in page


def test_a_network_below_the_floor_is_not_kept(run: tuple[Recipe, Path], tmp_path: Path) -> None:
    recipe, out_dir = run
    (tmp_path / "features.npz").write_bytes((out_dir / "features.npz").read_bytes())
    assert recipe.anomaly is not None
    proud = dataclasses.replace(
        recipe,
        anomaly=dataclasses.replace(recipe.anomaly, min_auc=1.1),
        train=dataclasses.replace(recipe.train, steps=2),
    )
    with pytest.raises(ModelSideError, match=r"AUC .* at least 1.100 \(anomaly.min_auc\)"):
        train(proud, tmp_path, {})
    assert [p.name for p in tmp_path.iterdir()] == ["features.npz"]


def test_cross_validation_is_not_for_anomalies(run: tuple[Recipe, Path], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cross-validation is for every task but 'anomaly'"):
        cross_validate(run[0], tmp_path, 2, 1, held_out=True)
