"""The tasks regression and multilabel: scores, thresholds, units, a run of each to a device."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.metrics import average_precision_score, f1_score, r2_score

from host_tools.boards.board import load_board
from host_tools.build.firmware import build_firmware
from host_tools.link.device import Device
from host_tools.link.record import with_replay
from host_tools.link.target import choose_target
from host_tools.parity.float_comparison import set_decisions, target_differences
from host_tools.parity.outputs import run_parity
from host_tools.report.summary import print_summary
from host_tools.report.write import write_report
from model.datasets import load_dataset
from model.datasets.truth import truth_of
from model.decide import NOTHING, Rule, decisions
from model.decide import means as rule_means
from model.errors import DataError, ModelSideError
from model.evaluate import evaluate_labels, evaluate_regression, headline
from model.features import Windows
from model.grid import Grid
from model.multilabel import LabelsJudge, best_threshold
from model.recipe import Recipe
from model.recipe_file import load_recipe
from model.regression import RegressionJudge, Units
from model.stages.check import check
from model.stages.cross_validate import cross_validate
from model.stages.splits import load_splits
from model.stages.train import train
from model.tasks import Judge, load_judge, task_of
from quantize.answers import Answer, board_text, emit_answers, number_answers
from quantize.classical import compile_classical
from quantize.emit_c import c_text
from quantize.errors import ModelError
from quantize.golden import load_golden
from quantize.pipeline import quantise_recipe
from quantize.ptq import representative_windows
from quantize.stages.emit import emit
from quantize.stages.profile import profile
from tests.native_app import compile_app, stub_with_features
from tests.test_stream import SAMPLES, expected_outputs, means, recorded, uncounted

UNITS = Units(
    targets=("angle", "load"),
    units=("°", "kg"),
    mean=(12.5, -3000.0),
    deviation=(4.0, 800.0),
    scale=0.03,
    zero=-11,
)


# --- regression --------------------------------------------------------------------------------


def test_regression_scores_are_scikit_learns() -> None:
    rng = np.random.default_rng(1)
    truth, told = rng.normal(3, 2, (2, 50, 2))
    found = evaluate_regression(truth, told, ("a", "b"))
    assert found.r2 == {
        "a": pytest.approx(r2_score(truth[:, 0], told[:, 0])),
        "b": pytest.approx(r2_score(truth[:, 1], told[:, 1])),
    }
    assert found.mean_r2 == pytest.approx(r2_score(truth, told))
    assert found.mae["b"] == pytest.approx(np.abs(truth - told)[:, 1].mean())
    assert found.rmse["a"] == pytest.approx(np.sqrt(((truth - told)[:, 0] ** 2).mean()))
    assert found.largest["a"] == np.abs(truth - told)[:, 0].max()
    with pytest.raises(ValueError, match=r"targets \['b'\] do not vary"):
        evaluate_regression(np.array([[1.0, 2], [3, 2]]), truth[:2], ("a", "b"))


def test_outputs_become_units_and_one_step_is_the_resolution() -> None:
    values = UNITS.values(np.array([[[-11, -11]], [[-10, 89]]], np.int8))
    assert values.tolist() == [[12.5, -3000.0], [12.5 + 0.12, -3000 + 2400.0]]
    assert UNITS.steps == (pytest.approx(0.12), pytest.approx(24.0))


def test_mean_and_deviation_are_those_of_the_training_windows() -> None:
    recipe = load_recipe("oscillator")
    targets = np.random.default_rng(2).normal((9, 300), (3, 80), (60, 2)).astype(np.float32)
    zeros = np.zeros(60, np.int64)
    windows = Windows(
        features=np.zeros((60, 1, 1), np.int16), feature_scale=1.0, y=zeros, group=zeros,
        targets=targets,
    )  # fmt: skip
    task = task_of(recipe, ("frequency", "level")).fitted(windows)
    judge = task.judge(windows, windows.x, np.zeros((60, 2)), None)
    assert isinstance(judge, RegressionJudge)
    normal = (targets - targets.mean(axis=0)) / targets.std(axis=0)
    assert judge.units.values(normal) == pytest.approx(targets, rel=1e-4)
    assert judge.metrics(windows.x, normal, targets).mean_r2 == pytest.approx(1.0)
    grid = Grid(scale_in=1.0, zero_in=0, scale_out=0.02, zero_out=7)
    int8 = np.round(normal / 0.02 + 7)
    error = judge_of(task, windows, grid).units.values(int8) - targets
    assert (np.abs(error).max(axis=0) <= 0.0101 * targets.std(axis=0)).all()
    constant = dataclasses.replace(windows, targets=np.full((60, 2), 5, np.float32))
    with pytest.raises(DataError, match="target 'frequency' is 5 in all training windows"):
        task_of(recipe, ("frequency", "level")).fitted(constant)


def judge_of(task: object, windows: Windows, grid: Grid) -> RegressionJudge:
    judge = task.judge(windows, windows.x, np.zeros((60, 2)), grid)  # type: ignore[attr-defined]
    assert isinstance(judge, RegressionJudge)
    return judge


def test_limits_name_the_target_its_error_and_its_key() -> None:
    recipe = load_recipe("oscillator")
    task = task_of(recipe, ("frequency", "level"))
    truth = np.array([[5.0, 100], [10, 300]])
    good = evaluate_regression(truth, truth + 0.1, ("frequency", "level"))
    assert task.shortfalls(good) == []
    bad = evaluate_regression(truth, truth + np.array([2.5, 1]), ("frequency", "level"))
    assert task.shortfalls(bad) == [
        "mean absolute error of frequency 2.5 Hz, expected at most 1 Hz (regression.max_mae)",
        "R2 0.500, expected at least 0.900 (regression.min_r2)",
    ]


def test_differences_from_float_are_told_in_units() -> None:
    floats = dataclasses.replace(UNITS, scale=1.0, zero=0).values(np.array([[0.0, 1.0]]))
    device = UNITS.values(np.array([[-11, 22]], np.int8))
    angle, load = target_differences(UNITS, floats, device)
    assert (angle.mean, angle.unit, angle.step) == (0.0, "°", pytest.approx(0.12))
    assert load.largest == pytest.approx(800 * (1.0 - 0.99))


# --- several labels ----------------------------------------------------------------------------


def test_label_scores_are_scikit_learns() -> None:
    rng = np.random.default_rng(3)
    truth = (rng.uniform(size=(80, 3)) < 0.4).astype(np.float32)
    scores = truth + rng.normal(0, 0.8, (80, 3))
    found = evaluate_labels(truth, scores > 0.6, scores, ("a", "b", "c"))
    assert found.macro_f1 == pytest.approx(f1_score(truth, scores > 0.6, average="macro"))
    assert found.average_precision == pytest.approx(average_precision_score(truth, scores))
    assert found.exact_share == ((scores > 0.6) == truth).all(axis=1).mean()
    truth[:, 1] = 0
    with pytest.raises(ValueError, match=r"labels \['b'\] hold in no window"):
        evaluate_labels(truth, scores > 0.6, scores, ("a", "b", "c"))


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("kind", ["int8", "float"])
def test_no_threshold_has_a_higher_f1(kind: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    holds = rng.uniform(size=40) < rng.uniform(0.1, 0.9)
    holds[0] = True
    scores = (20 * holds + rng.normal(0, 15, 40)).clip(-128, 127)
    scores = scores.astype(np.int8) if kind == "int8" else scores
    found = best_threshold(scores, holds)
    tried = [f1_score(holds, scores > t) for t in (-129, *np.unique(scores))]  # all that differ
    assert f1_score(holds, scores > found) >= max(tried) - 1e-12
    assert kind == "float" or isinstance(found, int)


def test_a_threshold_lies_in_the_middle_of_its_range() -> None:
    scores = np.array([-100, -80, 20, 100], np.int8)
    assert best_threshold(scores, np.array([False, False, True, True])) == -30
    assert best_threshold(scores.astype(float), np.array([False, False, False, True])) == 60.0
    always = best_threshold(np.full(4, -128, np.int8), np.array([True, True, False, True]))
    assert always == -129  # the label is given in every window


def test_a_set_of_labels_flips_when_one_does() -> None:
    floats = np.array([[0.9, 0.2, 0.6], [0.1, 0.1, 0.1], [0.9, 0.9, 0.4]])
    device = np.array([[0.9, 0.2, 0.4], [0.2, 0.1, 0.1], [0.8, 0.7, 0.45]])
    first, second, names = set_decisions((floats, device), np.full(3, 0.5), ("a", "b", "c"))
    told = [[names[i] for i in side.chosen] for side in (first, second)]
    assert told == [["a+c", "none", "a+b"], ["a", "none", "a+b"]]
    assert first.scores.tolist() == pytest.approx([0.1, 0.4, 0.1])


def test_calibration_windows_have_every_combination_of_labels() -> None:
    targets = np.array([[0, 0]] * 90 + [[0, 1]] * 5 + [[1, 1]] * 5, np.float32)
    features = np.arange(100, dtype=np.int16).reshape(100, 1, 1)
    zeros = np.zeros(100, np.int64)
    windows = Windows(features=features, feature_scale=1.0, y=zeros, group=zeros, targets=targets)
    chosen = representative_windows(windows, 15, 1)[:, 0, 0, 0]
    assert [
        int(((chosen >= a) & (chosen < b)).sum()) for a, b in ((0, 90), (90, 95), (95, 100))
    ] == [5] * 3
    numbers = dataclasses.replace(windows, targets=np.random.default_rng(1).normal(size=(100, 2)))
    assert len(set(representative_windows(numbers, 15, 1)[:, 0, 0, 0].tolist())) == 15


# --- what a board prints -----------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(20))
def test_a_printed_number_is_the_value_rounded_to_its_last_digit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    units = Units(
        targets=("x",), units=("u",), mean=(float(rng.normal(0, 10.0 ** rng.integers(-3, 6))),),
        deviation=(float(10.0 ** rng.uniform(-4, 5)),), scale=float(rng.uniform(0.001, 0.2)),
        zero=int(rng.integers(-128, 128)),
    )  # fmt: skip
    answer = number_answers(units)[0]
    codes = np.arange(-128, 128)
    printed = [float(answer.shown(int(q)).split()[1]) for q in codes]
    exact = units.values(codes[:, None])[:, 0]
    last = 10.0**-answer.decimals
    assert np.abs(printed - exact).max() <= 0.5001 * last
    assert answer.decimals in (0, 6) or last <= units.steps[0] < 10 * last


def test_a_number_that_a_board_cannot_print_is_refused() -> None:
    huge = dataclasses.replace(UNITS, mean=(0.0, 3e9))
    with pytest.raises(ModelError, match="target 'load' reaches 3e.09 kg.*in a larger unit"):
        number_answers(huge)


def test_labels_reach_c_escaped() -> None:
    assert board_text("Gerät\n漢 μ") == "Gerat?? u"
    assert c_text('a "b"\\\n#°') == "a \\042b\\042\\134\\012\\043\\302\\260"


def live_lines(
    folder: Path, judge: Judge, labels: list[str], rule: Rule | None = None
) -> list[str]:
    """What the firmware of the stub, whose seven outputs are known, prints with these answers."""
    gen = stub_with_features(folder)
    for name, text in emit_answers(judge, labels, "any", rule).items():
        (gen / name).write_text(text)
    target = with_replay(choose_target(load_board("native"), None, None), recorded(folder))
    assert target.emulator is not None
    with Device(target.emulator.start(compile_app(folder, gen))) as device:
        return [uncounted(line) for line in device.command("live")[1:]]


OUTPUTS = [np.frombuffer(output, np.int8) for output in expected_outputs(SAMPLES)]


def test_a_board_prints_numbers_in_units(tmp_path: Path) -> None:
    units = Units(
        targets=tuple("abcdefg"),
        units=("Hz", "mg", "°", "%", "µm/s²", "Ω", "#~1"),
        mean=(10.0, 0.0, -0.004, 50.0, 1e6, -7.25, 0.0),
        deviation=(3.0, 100.0, 0.01, 20.0, 1e5, 1e-5, 1.0),
        scale=0.0131,
        zero=-9,
    )
    answers = number_answers(units)

    def shown(row: npt.NDArray[np.int8]) -> str:
        return ", ".join(a.shown(int(q)) for a, q in zip(answers, row, strict=True))

    assert live_lines(tmp_path, RegressionJudge(units=units), []) == [
        f"{shown(row)}; mean of {count}: {shown(mean)}"
        for row, (count, mean) in zip(OUTPUTS, means(OUTPUTS), strict=True)
    ]
    assert [a.unit for a in answers] == ["Hz", "mg", "deg", "%", "um/s2", "Ohm", "#~1"]
    assert any("-0.0" in answers[2].shown(int(row[2])) for row in OUTPUTS)


def test_a_board_prints_the_labels_above_their_thresholds(tmp_path: Path) -> None:
    names = ("hum", "fan", 'a "b"', "Gerät", "e", "f", "g")
    thresholds = (-129, 127, 0, 10, -50, 50, 100)
    ascii_names = ("hum", "fan", 'a "b"', "Gerat", "e", "f", "g")
    judge = LabelsJudge(labels=names, thresholds=thresholds)
    never = dataclasses.replace(judge, thresholds=(127,) * 7)
    for folder, found in (("some", judge), ("none", never)):
        (tmp_path / folder).mkdir()
        lines = live_lines(tmp_path / folder, found, [])
        for line, row, (count, mean) in zip(lines, OUTPUTS, means(OUTPUTS), strict=True):
            held, held_by_mean = (
                "+".join(np.array(ascii_names)[scores > np.array(found.thresholds)]) or "none"
                for scores in (row, mean)
            )
            scores = " ".join(map(str, row))
            assert line == f"labels {held}, scores {scores}; mean of {count}: labels {held_by_mean}"


def test_a_board_prints_the_name_of_a_class_and_decides_by_the_rule(tmp_path: Path) -> None:
    judge, rows = load_judge(tmp_path, {}, 7), np.stack(OUTPUTS)
    names = [f"class {letter}" for letter in "abcdefg"]
    rule = Rule(inputs=2, threshold=78, pause=1)  # one mean is 78, another is in the pause
    made = decisions(rule, rows)
    assert [c != NOTHING for c in made] == [False, True, False, True, False]
    assert live_lines(tmp_path, judge, names, rule) == [
        f"class {row.argmax()} {names[row.argmax()]}, scores {' '.join(map(str, row))}; mean of "
        f"{min(i, 2)}: class {mean.argmax()} {names[mean.argmax()]}"
        + (f"; decided: class {decided} {names[decided]}" if decided != NOTHING else "")
        for i, (row, mean, decided) in enumerate(
            zip(rows, rule_means(rows, 2), made, strict=True), 1
        )
    ]


# --- one run of each ---------------------------------------------------------------------------


def small(name: str) -> Recipe:
    """The recipe with few steps and limits to match."""
    recipe = load_recipe(name)
    changes = {
        "oscillator": {
            "regression": recipe.regression
            and dataclasses.replace(recipe.regression, max_mae=(2.0, 90.0), min_r2=0.3)
        },
        "tones": {
            "multilabel": recipe.multilabel
            and dataclasses.replace(recipe.multilabel, min_macro_f1=0.6)
        },
    }[name]
    return dataclasses.replace(
        recipe,
        train=dataclasses.replace(recipe.train, steps=150),
        quantisation=dataclasses.replace(
            recipe.quantisation, qat_steps=10, calibration_windows=60, max_drop=0.1,
            min_equal_outputs=0.1, max_lsb=60,
        ),
        **changes,  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.fixture(
    scope="module", params=[pytest.param("oscillator", marks=pytest.mark.slow), "tones"]
)
def run(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Recipe, Path]:
    """A small recipe from its data to parity on this computer."""
    recipe = small(request.param)
    out_dir = tmp_path_factory.mktemp("build") / recipe.name
    check(recipe, out_dir)
    train(recipe, out_dir, recipe.as_dict())
    quantise_recipe(recipe, out_dir)
    profile(recipe, out_dir)
    emit(out_dir, recipe.name, recipe, None, None)
    board = load_board("native")
    build_firmware(board, board.gen_dir(out_dir), out_dir / "native")
    run_parity(out_dir, board, choose_target(board, None, None), None)
    return recipe, out_dir


@pytest.mark.slow
def test_a_device_is_judged_as_the_int8_model_was(run: tuple[Recipe, Path]) -> None:
    recipe, out_dir = run
    quantised = json.loads((out_dir / "quantize.json").read_text())
    parity = json.loads((out_dir / "native/parity.json").read_text())
    assert parity["cases"] == parity["equal"] == len(load_splits(out_dir).test.y)
    chosen = quantised["candidates"][quantised["chosen"]]
    assert parity["metrics"] == chosen["test"]
    judge = load_judge(out_dir, recipe.as_dict(), 4)
    golden, splits = load_golden(out_dir / "golden.npz"), load_splits(out_dir)
    right = judge.is_correct(golden.inputs[0], golden.outputs[0], splits.test.truth)
    if recipe.task == "regression":
        assert right is None and parity["accuracy"] is None
        told = {t["target"]: t for t in parity["float_comparison"]["targets"]}
        assert set(told) == {"frequency", "level"}
        assert 0 < told["level"]["mean"] < 20 * told["level"]["step"]
        assert parity["float_comparison"]["equal_decisions"] is None
    else:
        assert right is not None
        assert parity["accuracy"] == {"cases": len(right), "correct": int(right.sum())}
        assert chosen["test"]["exact_share"] == pytest.approx(right.mean())
        assert parity["float_comparison"]["equal_decisions"] > 0.8 * len(right)


def test_int8_outputs_are_what_the_network_was_trained_for(run: tuple[Recipe, Path]) -> None:
    out_dir = run[1]
    trained = json.loads((out_dir / "train.json").read_text())
    quantised = json.loads((out_dir / "quantize.json").read_text())
    float_score = headline(trained["metrics"]["test"]).value
    for candidate in quantised["candidates"].values():
        assert headline(candidate["test"]).value > float_score - 0.1
    worst = min(headline(m).value for m in trained["baselines"].values())
    assert float_score > worst + 0.2
    assert len(trained["history"]["val_score"]) == len(trained["history"]["step"])


def test_the_report_and_the_closing_table_have_the_task(
    run: tuple[Recipe, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, out_dir = run
    page = write_report(out_dir).read_text()
    words = {
        "regression": (
            ">Numbers</h2>",
            "MAE of level, mg",
            "In units",
            "one step",
            "R2, int8",
            "ridge",
            "<span>mean absolute error of level, int8",
        ),
        "multilabel": (
            ">Labels</h2>",
            "whistle",
            "average precision",
            "all labels right",
            "<span>macro F1, int8",
        ),
    }[recipe.task]
    assert [word for word in words if word not in page] == []
    assert ("of the decisions" in page) == (recipe.task == "multilabel")
    assert "Anomalies" not in page and "Confusion" not in page and "make classical" not in page
    print_summary(out_dir)
    measure = {"regression": "R2 (test): float 0.", "multilabel": "Macro F1 (test): float"}
    assert measure[recipe.task] in capsys.readouterr().out


def test_the_page_of_the_data_has_the_truth(run: tuple[Recipe, Path]) -> None:
    page = (run[1] / "data.html").read_text()
    words = {"regression": ("level", "2 targets"), "multilabel": ("hiss", "4 labels")}
    assert all(word in page for word in words[run[0].task])


def test_drift_watches_every_output(run: tuple[Recipe, Path]) -> None:
    content = json.loads((run[1] / "profile.json").read_text())
    names = load_dataset(run[0].dataset, truth_of(run[0])).labels
    told = [f"{name}, told" for name in names]
    assert [t for t in told if t not in content["histograms"]] == []
    assert all(sum(n > 0 for n in content["histograms"][t]) >= 3 for t in told)


def test_a_network_that_misses_its_limits_is_not_kept(
    run: tuple[Recipe, Path], tmp_path: Path
) -> None:
    recipe, out_dir = run
    (tmp_path / "features.npz").write_bytes((out_dir / "features.npz").read_bytes())
    hurried = dataclasses.replace(recipe, train=dataclasses.replace(recipe.train, steps=1))
    key = {"regression": r"regression\.max_mae", "multilabel": r"multilabel\.min_macro_f1"}
    with pytest.raises(ModelSideError, match=rf"expected at .*\({key[recipe.task]}\)"):
        train(hurried, tmp_path, {})
    assert [p.name for p in tmp_path.iterdir()] == ["features.npz"]


def test_a_damaged_record_is_named(run: tuple[Recipe, Path], tmp_path: Path) -> None:
    recipe, out_dir = run
    name = f"{recipe.task}.json"
    good = json.loads((out_dir / name).read_text())
    lists = {key: value for key, value in good["judge"].items() if isinstance(value, list)}
    short = {"judge": {**good["judge"], **{k: v + v for k, v in list(lists.items())[:1]}}}
    for text in ("", "{}", '{"judge": {"labels": 3}}', json.dumps(short)):
        (tmp_path / name).write_text(text)
        with pytest.raises(DataError, match="run `make quantise`"):
            load_judge(tmp_path, recipe.as_dict(), 2)


@pytest.mark.slow
def test_folds_are_scored_by_the_task(run: tuple[Recipe, Path], tmp_path: Path) -> None:
    recipe = dataclasses.replace(run[0], train=dataclasses.replace(run[0].train, steps=40))
    cross_validate(recipe, tmp_path, 2, 1, held_out=True)
    content = json.loads((tmp_path / "cross_validation.json").read_text())
    assert content["measure"] == {"regression": "R2", "multilabel": "macro F1"}[recipe.task]
    scores = [headline(fold["network"]).value for fold in content["folds"]]
    assert content["mean_score"] == pytest.approx(np.mean(scores))


def test_classical_models_are_for_classes(run: tuple[Recipe, Path], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="classical models are for the task 'classification'"):
        compile_classical(run[0], "forest", "emlearn", run[1], tmp_path)


def test_an_answer_shows_its_zeros() -> None:
    answer = Answer(name="x", unit="u", decimals=3, offset=-7 << 24, step=1 << 24)
    assert [answer.shown(q) for q in (0, 7, 12, 127)] == [
        "x -0.007 u",
        "x 0.000 u",
        "x 0.005 u",
        "x 0.120 u",
    ]
