"""The rule by which a class is decided on a stream: the same in C, chosen on validation alone."""

from __future__ import annotations

import ctypes
import dataclasses
import hashlib
import itertools
import json
import re
import subprocess
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from host_tools.report.collect import collect
from host_tools.report.page import render
from host_tools.stages.graph import FIELDS, Source, _recipe_stages
from model.datasets import load_dataset
from model.datasets.truth import truth_of
from model.decide import (
    CRITERION,
    NOTHING,
    RECORD,
    Heard,
    Pace,
    Rule,
    choose,
    decisions,
    heard,
    load_rule,
    means,
    measured,
)
from model.errors import ConfigError, DataError
from model.features import Splits, split_windows
from model.features.design import recipe_front_end
from model.features.library import Extractor
from model.fields import restrict
from model.files import write_json
from model.recipe import Recipe
from model.recipe_file import load_recipe
from model.recipe_rules import problems
from model.recipe_tables import MAX_RULE_INPUTS, DecideConfig
from model.stages.splits import load_splits, save_splits
from model.tasks import ClassJudge
from quantize.answers import emit_answers
from quantize.drift import answers
from quantize.inputs import quantised_inputs
from quantize.stages.rule import rule as rule_stage
from quantize.tflite.reader import parse_model
from tests.factory import ModelBuilder
from tests.gestures import gestures_csv
from tests.host_c import COMPILE
from tests.native_app import FIRMWARE
from tests.result_files import SHA, write_run

Scores = npt.NDArray[np.int8]
ANY = DecideConfig()
PACE = Pace(window=100, hop=40, rate_hz=50.0)


def rising(rng: np.random.Generator, count: int, classes: int) -> Scores:
    """Scores that stay a while, with whole runs at both ends."""
    steps = rng.integers(-60, 61, (count, classes)).cumsum(axis=0) + rng.integers(-128, 128)
    return np.clip(steps, -128, 127).astype(np.int8)


def plain(rule: Rule, scores: Scores) -> tuple[list[int], list[list[int]]]:
    """What the rule decides, and the means, one integer after another."""
    found, shown, wait = [], [], 0
    for i in range(len(scores)):
        last = scores[max(0, i + 1 - rule.inputs) : i + 1].tolist()
        mean = [
            (2 * sum(column) + len(last)) // (2 * len(last)) for column in zip(*last, strict=True)
        ]
        best = mean.index(max(mean))
        shown.append(mean)
        if wait:
            wait -= 1
            found.append(NOTHING)
        elif len(last) == rule.inputs and mean[best] >= rule.threshold:
            wait = rule.pause
            found.append(best)
        else:
            found.append(NOTHING)
    return found, shown


# --- the same in C ------------------------------------------------------------------------------


class CRule(ctypes.Structure):
    _fields_ = (
        ("inputs", ctypes.c_uint32),
        ("threshold", ctypes.c_int32),
        ("pause", ctypes.c_uint32),
    )


class CState(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint32) for name in ("counted", "next", "silent"))


class Device:
    """decide.c with the memory of one stream, and bytes behind it that must stay."""

    GUARD = 0x5A

    def __init__(self, library: ctypes.CDLL, rule: Rule, classes: int) -> None:
        self.push_c, self.reset_c = library.decide_push, library.decide_reset
        self.rule, self.classes = CRule(rule.inputs, rule.threshold, rule.pause), classes
        self.state = CState()
        used = (rule.inputs + 1) * classes
        self.rows = np.full(used + 16, self.GUARD, np.int8)
        self.used = used

    def push(self, scores: Scores) -> int:
        row = np.ascontiguousarray(scores)
        found = self.push_c(
            ctypes.byref(self.state), ctypes.byref(self.rule), row.ctypes.data_as(ctypes.c_void_p),
            ctypes.c_uint32(self.classes), self.rows.ctypes.data_as(ctypes.c_void_p),
        )  # fmt: skip
        assert (self.rows[self.used :] == self.GUARD).all()
        return int(found)

    @property
    def mean(self) -> list[int]:
        return [int(value) for value in self.rows[: self.classes]]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    path = tmp_path_factory.mktemp("decide") / "decide.so"
    source = FIRMWARE / "stream" / "decide.c"
    subprocess.run([*COMPILE, "-shared", "-o", path, source], check=True, timeout=60)
    return ctypes.CDLL(str(path))


@pytest.mark.parametrize("seed", range(60))
def test_c_and_python_decide_the_same(library: ctypes.CDLL, seed: int) -> None:
    rng = np.random.default_rng(seed)
    classes, count = int(rng.integers(1, 12)), int(rng.integers(1, 80))
    rule = Rule(
        inputs=int(rng.choice([1, 2, 3, int(rng.integers(1, MAX_RULE_INPUTS + 1)), 16])),
        threshold=int(rng.choice([-128, 127, int(rng.integers(-128, 128))])),
        pause=int(rng.choice([0, 1, 2, int(rng.integers(0, 30))])),
    )
    scores = rising(rng, count, classes)
    device = Device(library, rule, classes)
    for part in np.split(scores, [count // 2]):  # a gap in the middle
        found, shown = plain(rule, part)
        assert decisions(rule, part) == found
        for row, decided, mean in zip(part, found, shown, strict=True):
            assert (device.push(row), device.mean) == (decided, mean)
        device.reset_c(ctypes.byref(device.state))


def test_a_rule_in_place_of_another_counts_no_row_that_was_not_written(
    library: ctypes.CDLL,
) -> None:
    rng = np.random.default_rng(5)
    for _ in range(300):
        device = Device(library, Rule(inputs=16, threshold=127, pause=0), classes=3)
        device.rows[:-16] = 99  # what nobody wrote
        pushed: list[list[int]] = []
        for inputs in rng.integers(1, 17, size=4):
            device.rule.inputs = int(inputs)
            for _ in range(rng.integers(1, 40)):
                row = rng.integers(-128, 90, size=3).astype(np.int8)
                device.push(row)
                pushed.append(row.tolist())
                last = np.array(pushed[-device.state.counted :], np.int8)
                assert device.mean == means(last, 16)[-1].tolist()
            assert device.state.counted <= inputs


def test_means_are_rounded_half_up_and_shorter_at_the_beginning() -> None:
    rows = np.array([[-128, 127], [-127, 126], [-127, 126], [0, 0]], np.int8)
    assert means(rows, 1).tolist() == rows.tolist()
    assert means(rows, 2).tolist() == [[-128, 127], [-127, 127], [-127, 126], [-63, 63]]
    assert means(rows, 16).tolist()[-1] == [-95, 95]


def test_c_refuses_what_is_out_of_bounds(library: ctypes.CDLL) -> None:
    for inputs in (0, MAX_RULE_INPUTS + 1, 2**32 - 1):
        device = Device(library, Rule(inputs=1, threshold=-128, pause=0), 3)
        device.rule.inputs = inputs
        assert device.push(np.ones(3, np.int8)) == NOTHING
        assert (device.rows == device.GUARD).all() and device.state.counted == 0
    device = Device(library, Rule(inputs=1, threshold=-128, pause=0), 3)
    device.state = CState(7, 5, 0)  # of a rule of more inputs: begins anew
    assert device.push(np.array([1, 3, 2], np.int8)) == 1 and device.state.counted == 1
    device.classes = 0
    assert device.push(np.ones(3, np.int8)) == NOTHING
    never = Device(library, Rule(inputs=1, threshold=128, pause=0), 2)
    assert never.push(np.array([127, 127], np.int8)) == NOTHING


def test_bounds_of_recipes_are_those_of_c() -> None:
    header = (FIRMWARE / "stream" / "decide.h").read_text()
    assert re.search(rf"#define DECIDE_MAX_INPUTS {MAX_RULE_INPUTS}\n", header)
    assert re.search(rf"#define DECIDE_NOTHING \({NOTHING}\)\n", header)
    assert set(re.findall(r"#include (.*)", header)) == {"<stdint.h>"}  # free of the application


# --- chosen --------------------------------------------------------------------------------------


def recordings(seed: int, classes: int = 3, noise: int = 60) -> list[Heard]:
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(int(rng.integers(2, 7))):
        label = int(rng.integers(classes))
        scores = rng.normal(-40, noise, (int(rng.integers(1, 9)), classes))
        scores[:, label] += 70
        made.append(Heard(scores=np.clip(scores, -128, 127).astype(np.int8), label=label))
    return made


def slowly(found: list[Heard], inputs: int, threshold: int) -> tuple[int, int, int, int]:
    """What is minimised, by the words of model/decide.py: streams that begin at every window."""
    right = wrong = waited = 0
    for one in found:
        for start in range(len(one.scores)):
            made = plain(Rule(inputs=inputs, threshold=threshold, pause=0), one.scores[start:])[0]
            first = next((i for i, c in enumerate(made) if c != NOTHING), None)
            waited += len(made) if first is None else first + 1
            right += first is not None and made[first] == one.label
            wrong += first is not None and made[first] != one.label
    return wrong - right, waited, inputs, -threshold


@pytest.mark.parametrize("seed", range(6))
def test_no_other_rule_is_better(seed: int) -> None:
    found = recordings(seed)
    rule = choose(found, PACE, ANY)
    longest = max(len(one.scores) for one in found)
    others = itertools.product(range(1, longest + 1), range(-128, 128, 3))
    chosen = slowly(found, rule.inputs, rule.threshold)
    assert all(chosen <= slowly(found, inputs, threshold) for inputs, threshold in others)
    assert rule.pause == PACE.pause(rule.inputs)


@pytest.mark.parametrize(("window", "hop"), [(100, 40), (64, 64), (256, 64), (99, 50), (7, 1)])
def test_a_decision_rests_on_no_sample_of_the_one_before(window: int, hop: int) -> None:
    pace = Pace(window=window, hop=hop, rate_hz=1.0)
    for inputs in range(1, 8):
        pause = pace.pause(inputs)
        last_sample = (inputs - 1) * hop + window - 1  # of a decision at result inputs - 1
        first = [result * hop for result in range(100)]  # sample of the result pause + 1 later on
        assert first[pause + 1] > last_sample and (pause == 0 or first[pause] <= last_sample)


def test_averaging_is_chosen_where_single_results_mislead() -> None:
    steady = np.array([[20, -20, -128]] * 9, np.int8)
    steady[[2, 5, 8]] = [-20, 40, -128]
    found = [Heard(scores=steady, label=0), Heard(scores=steady[:, [1, 0, 2]], label=1)]
    rule = choose(found, PACE, ANY)
    assert rule.inputs > 1 and measured(rule, found, PACE)["wrong"] == 0
    alone = choose(found, PACE, DecideConfig(inputs=1, threshold=-128))
    assert measured(alone, found, PACE)["wrong"] == 0  # its pause hides the others
    assert measured(alone, found, PACE)["starts"]["wrong"] == 6


def test_windows_without_sequences_are_decided_alone() -> None:
    found = [Heard(scores=np.array([[10 * i, 5]], np.int8), label=0) for i in range(4)]
    rule = choose(found, PACE, ANY)
    assert rule == Rule(inputs=1, threshold=10, pause=0)
    assert measured(rule, found, PACE) == {
        "recordings": 4, "right": 3, "wrong": 0, "missed": 1, "decisions": 3,
        "wrong_decisions": 0, "delay_s": 2.0,
        "starts": {"right": 3, "wrong": 0, "missed": 1, "waited": 4},
    }  # fmt: skip


def test_figures_count_recordings_and_seconds() -> None:
    a, b, none = [90, -90], [-90, 90], [0, 0]
    found = [
        Heard(scores=np.array(rows, np.int8), label=0)
        for rows in ([none, a, none, a], [a, b, b, b], [b, none], [none, none, none])
    ]
    told = measured(Rule(inputs=1, threshold=50, pause=1), found, PACE)
    delay = (100 + 40 * np.mean([1, 0, 0])) / 50
    assert told.pop("delay_s") == pytest.approx(delay)
    assert told.pop("starts") == {"right": 5, "wrong": 4, "missed": 4, "waited": 18}
    assert told == {
        "recordings": 4, "right": 1, "wrong": 2, "missed": 1, "decisions": 5, "wrong_decisions": 2,
    }  # fmt: skip


def test_what_a_recipe_gives_stays() -> None:
    found = recordings(3)
    assert choose(found, PACE, DecideConfig(threshold=-7)).threshold == -7
    assert choose(found, PACE, DecideConfig(pause=0)).pause == 0
    assert choose(found, PACE, DecideConfig(inputs=2)).inputs == 2
    with pytest.raises(
        ConfigError, match=r"decide.inputs = 16: expected at most \d.*decide.threshold"
    ):
        choose(found, PACE, DecideConfig(inputs=16))
    all_given = DecideConfig(inputs=16, threshold=3, pause=9)
    assert choose(found, PACE, all_given) == Rule(inputs=16, threshold=3, pause=9)
    assert measured(Rule(inputs=16, threshold=3, pause=9), found, PACE)["delay_s"] is None


def test_windows_are_those_of_the_recordings() -> None:
    scores, labels = np.arange(12, dtype=np.int8).reshape(6, 2), np.array([1, 1, 0, 0, 0, 1])
    parts = heard(scores, labels, [2, 0, 3, 1])
    assert [(one.scores[:, 0].tolist(), one.label) for one in parts] == [
        ([0, 2], 1), ([4, 6, 8], 0), ([10], 1),
    ]  # fmt: skip
    with pytest.raises(DataError, match="6 windows, the recordings have 5: run `make check`"):
        heard(scores, labels, [2, 3])


def test_a_record_that_is_damaged_or_of_another_model_is_refused(tmp_path: Path) -> None:
    assert load_rule(tmp_path, "a" * 64) is None
    path = tmp_path / "rule.json"
    good = '{"model_sha256": "%s", "rule": {"inputs": 2, "threshold": -3, "pause": 1}}' % ("a" * 64)
    path.write_text(good)
    assert load_rule(tmp_path, "a" * 64) == Rule(inputs=2, threshold=-3, pause=1)
    with pytest.raises(DataError, match=r"rule.json: is of model a{16}, the model is b{16}"):
        load_rule(tmp_path, "b" * 64)
    beyond = ("2, ", "0, "), ("2, ", "17, "), ("-3", "-129"), ("-3", "1e9"), ("1}", "true}")
    damaged = [good.replace(*pair) for pair in (*beyond, ("1}", f"{2**31}}}"), ("-3", '"x"'))]
    for text in ("", "[]", "[" * 99999, good.replace('"inputs": 2,', ""), *damaged):
        path.write_text(text)
        with pytest.raises(DataError, match="not the record of a rule"):
            load_rule(tmp_path, "a" * 64)


# --- the stage ------------------------------------------------------------------------------------

RECIPE = """
[dataset]
val_groups = ["dan", "cleo"]
test_groups = ["eve"]
[dataset.csv_folder]
folder = "raw"
pattern = '(?P<label>[a-z]+)\\.(?P<group>[a-z]+)\\.\\d\\.csv'
[features]
kind = "raw"
window = 64
hop = 16
"""


def classifier(splits: Splits) -> bytes:
    """An int8 model of one layer, fitted to the training windows; it errs often."""
    x, y = splits.train.x, splits.train.y
    flat = np.concatenate([x.reshape(len(x), -1), np.ones((len(x), 1))], axis=1)
    weights = np.linalg.lstsq(flat, np.eye(2)[y] * 2 - 1, rcond=1e-3)[0].T
    b = ModelBuilder()
    scale = [float(np.abs(x).max() / 127), float(np.abs(weights).max() / 127), 1 / 64]
    data = np.round(weights[:, :-1] / scale[1]).astype(np.int8)
    bias = np.round(weights[:, -1] / (scale[0] * scale[1])).astype(np.int32)
    ends = b.tensor([1, *x.shape[1:]], scale=scale[:1], zero_point=[0])
    row = b.tensor([1, data.shape[1]], scale=scale[:1], zero_point=[0])
    to = b.tensor([2], dtype="int32", data=np.array([1, data.shape[1]], np.int32))
    w = b.tensor([*data.shape], data=data, scale=scale[1:2], zero_point=[0])
    c = b.tensor([2], dtype="int32", data=bias, scale=[scale[0] * scale[1]], zero_point=[0])
    out = b.tensor([1, 2], scale=scale[2:], zero_point=[0])
    b.operator("RESHAPE", [ends, to], [row], "ReshapeOptions", newShape=[1, data.shape[1]])
    b.operator("FULLY_CONNECTED", [row, w, c], [out], "FullyConnectedOptions", 4)
    return b.pack([ends], [out])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Recipe, Path]:
    """A folder with windows of gestures and a model of them."""
    folder = tmp_path_factory.mktemp("rule")
    gestures_csv(folder / "raw")
    path = folder / "mine.toml"
    path.write_text(RECIPE.replace('"raw"', f'"{folder}/raw"', 1))
    recipe = load_recipe(str(path))
    dataset = load_dataset(recipe.dataset, truth_of(recipe))
    splits = split_windows(dataset, recipe.dataset, Extractor(recipe_front_end(recipe)))
    save_splits(folder, splits)
    (folder / "model.tflite").write_bytes(classifier(splits))
    return recipe, folder


def test_the_stage_chooses_on_validation_and_measures_on_test(
    run: tuple[Recipe, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, folder = run
    only = restrict(recipe, FIELDS["rule"])
    rule_stage(only, folder)
    first = (folder / RECORD).read_bytes()
    told = json.loads(first)
    splits, model = load_splits(folder), (folder / "model.tflite").read_bytes()
    windows = 1 + (300 - 64) // 16
    rows = answers(model, quantised_inputs(parse_model(model), splits.val).reshape(-1, 64 * 3))
    found = heard(rows, splits.val.y, [windows] * 8)
    pace = Pace(window=64, hop=16, rate_hz=recipe.dataset.sample_rate_hz)
    rule = choose(found, pace, ANY)
    assert Rule(**told["rule"]) == rule and rule.pause == rule.inputs + 2
    assert told["splits"]["val"] == measured(rule, found, pace)
    assert told["splits"]["test"]["recordings"] == 4 and told["longest"] == windows
    assert load_rule(folder, hashlib.sha256(model).hexdigest()) == rule
    assert f"from a score of {rule.threshold}, then pauses for {rule.pause} inputs" in (
        capsys.readouterr().out
    )
    rule_stage(only, folder)
    assert (folder / RECORD).read_bytes() == first
    swapped = dataclasses.replace(splits.test, y=1 - splits.test.y)
    save_splits(folder, dataclasses.replace(splits, test=swapped))
    rule_stage(only, folder)
    again = json.loads((folder / RECORD).read_text())
    assert again["rule"] == told["rule"] and again["splits"]["val"] == told["splits"]["val"]
    assert again["splits"]["test"] != told["splits"]["test"]
    given = dataclasses.replace(recipe, decide=DecideConfig(inputs=3, pause=0))
    rule_stage(restrict(given, FIELDS["rule"]), folder)
    again = json.loads((folder / RECORD).read_text())
    assert (again["rule"]["inputs"], again["rule"]["pause"]) == (3, 0)
    assert again["given"] == ["inputs", "pause"]


def test_the_rule_is_redone_for_what_it_depends_on(run: tuple[Recipe, Path]) -> None:
    """And what it writes is compiled in, of classes only."""
    recipe, folder = run
    stages = {stage.name: stage for stage in _recipe_stages(recipe, folder)}
    given = dataclasses.replace(recipe, decide=DecideConfig(pause=0))
    others = {stage.name: stage for stage in _recipe_stages(given, folder)}
    assert [n for n in stages if stages[n].facts != others[n].facts] == ["rule"]
    assert RECORD in Source(folder=folder, name="mine", recipe=recipe).stages()[-1].reads
    numbers = load_recipe("oscillator")
    assert "rule" not in [stage.name for stage in _recipe_stages(numbers, folder)]
    given = dataclasses.replace(numbers, decide=DecideConfig(pause=0))
    assert "[decide] for the task 'classification' only" in "".join(problems(given))


def test_the_header_has_the_rule_of_classes_only() -> None:
    rule = Rule(inputs=3, threshold=-5, pause=4)
    text = emit_answers(ClassJudge(classes=2), ["a", "b"], "any", rule)["model_answers.h"]
    assert "#define MODEL_RULE_INPUTS 3\n#define MODEL_RULE_THRESHOLD (-5)\n" in text
    assert "#define MODEL_RULE_PAUSE 4 " in text
    without = emit_answers(ClassJudge(classes=2), ["a", "b"], "any")["model_answers.h"]
    assert "MODEL_RULE" not in without and "\n\n\n" not in text + without


# --- the report ----------------------------------------------------------------------------------


def shown(folder: Path, record: dict[str, object]) -> str:
    """The report's section, as text."""
    write_json(folder / RECORD, record)
    page = render(collect(folder))
    section = page.partition(">Decisions on a stream</h2>")[2].partition("</section>")[0]
    return " ".join(re.sub(r"<[^>]*>", " ", section).replace("&nbsp;", " ").split())


def test_the_report_states_the_rule_and_its_figures(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "motion")
    a, b = [90, -90], [-90, 90]
    found = [Heard(scores=np.array(rows, np.int8), label=0) for rows in ([a, a, a], [a, b, b])]
    rule = Rule(inputs=2, threshold=-7, pause=3)
    record: dict[str, object] = {
        "model_sha256": SHA, "rule": dataclasses.asdict(rule), "given": ["pause"],
        "criterion": CRITERION, "longest": 3, "window_s": 2.0, "hop_s": 0.8,
        "splits": {"val": measured(rule, found[:1], PACE), "test": measured(rule, found, PACE)},
    }  # fmt: skip
    text = shown(folder, record)
    assert (
        "decides for the best class of the mean of the last 2 int8 outputs where its score is at "
        "least -7 (of -128 to 127); then nothing is decided for 3 inputs, 2.4 s. The recipe's "
        f"[decide] gives pause. The rest was chosen {CRITERION}."
    ) in text
    assert "validation 1 1 0 0 1 0 2.80 s 2 0 1" in text
    assert "test 2 2 0 0 2 0 2.80 s 3 1 2" in text
    assert "the shortest that is possible is 2.80 s" in text and "tell nothing" not in text
    single = shown(folder, record | {"longest": 1, "given": []})
    assert "have one window each and tell nothing of a stream" in single
    assert f"The rule was chosen {CRITERION}." in single
    assert "chosen by" not in shown(folder, record | {"given": ["inputs", "threshold"]})
    assert shown(folder, record | {"model_sha256": "0" * 64}) == ""
