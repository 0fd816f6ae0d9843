"""Data made to have one defect: its check finds it, and good data pass all of them."""

from __future__ import annotations

import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.checks import SEVERITIES, labels, similar
from model.checks.base import ERROR, MAX_PROBLEMS, PASSED, WARNING
from model.datasets import load_dataset
from model.datasets.base import Dataset
from model.errors import DataError
from model.features import Splits, make_windows
from model.features.design import recipe_front_end
from model.features.library import Extractor
from model.recipe_file import load_recipe
from model.stages import check as command
from tests.checked_data import (
    RECIPE,
    good_dataset,
    problems,
    run_checks,
    values_of,
    with_recording,
)


@pytest.fixture(autouse=True)
def _small_forest(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "name" not in request.fixturenames:  # not for the real data
        monkeypatch.setattr(labels, "TREES", 20)


def test_good_data_pass_every_check() -> None:
    results = run_checks(good_dataset())
    other_tasks = {"targets", "target ranges", "labels", "label balance"}
    assert [r.name for r in results] == [name for name in SEVERITIES if name not in other_tasks]
    assert {r.name: r.problems for r in results if r.state != PASSED} == {}


@pytest.mark.parametrize("name", ["motion", "digits"])
def test_real_data_pass_every_check(name: str) -> None:
    recipe = load_recipe(name)
    results = run_checks(load_dataset(recipe.dataset), recipe.dataset, recipe)
    assert {r.name: r.problems for r in results if r.state != PASSED} == {}


# --- the schema --------------------------------------------------------------------------------


def test_other_types_and_widths_are_found() -> None:
    wide = with_recording(4, values=values_of(4).astype(np.float64))
    assert problems(wide)["channels and units"] == (
        "recording 4: expected float32 of 6 channels, got float64 of (6,); the source has to "
        "convert it",
    )
    narrow = with_recording(4, values=values_of(4)[:, :5])
    assert list(problems(narrow)) == ["channels and units"]
    assert "got float32 of (5,)" in problems(narrow)["channels and units"][0]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_found_with_its_place(value: float) -> None:
    values = values_of(4)
    values[17, 2] = value
    found = problems(with_recording(4, values=values, name="wave.csv"))
    assert list(found) == ["non-finite values"]
    assert found["non-finite values"][0].startswith(
        "recording 4 (wave.csv): 1 values are not finite, the first at sample 17, channel az"
    )


def test_values_in_other_units_are_found_with_their_place() -> None:
    values = values_of(4)
    values[600:, 3] += 90
    found = problems(with_recording(4, values=values), max_step=(1e9,) * 6)
    assert list(found) == ["ranges", "sensor range"]
    assert found["ranges"][0].startswith("channel wx: ")
    assert "the first other value in recording 4, sample 600; check the units" in found["ranges"][0]


def test_values_that_float32_hardly_holds_end_no_check() -> None:
    found = problems(with_recording(4, values=values_of(4) * np.float32(1e36)))
    assert next(iter(found)) == "ranges"
    assert found["ranges"][0].startswith("channel ax: ")


# --- time series -------------------------------------------------------------------------------


def _times(rate_hz: float, jitter: float = 0.0) -> Any:
    noise = np.random.default_rng(1).normal(0, jitter / np.sqrt(2), 700)
    return (np.arange(700) + noise) / rate_hz


def test_another_rate_and_short_recordings_are_found() -> None:
    short = problems(with_recording(4, values=values_of(4)[:200]))
    assert "recording 4: 4.0 s, expected at least 10 s" in short["rate and length"][0]
    fast = problems(with_recording(4, times_s=_times(52.0)))
    assert "recording 4: expected 50 Hz, its time stamps say 52 Hz" in fast["rate and length"][0]
    assert problems(with_recording(4, times_s=_times(50.5))) == {}
    assert list(problems(with_recording(4, times_s=_times(50.5)), max_rate_error=0.005))


def test_recordings_shorter_than_a_window_are_found() -> None:
    base = good_dataset()
    recordings = [dataclasses.replace(r, values=r.values[:100]) for r in base.recordings]
    found = problems(dataclasses.replace(base, recordings=tuple(recordings)))
    assert found["classes"][0].startswith(
        "the longest recording has 100 samples, features.window 256; "
    )


def test_jitter_is_found() -> None:
    found = problems(with_recording(4, times_s=_times(50.0, 0.4)))
    assert list(found) == ["jitter"]
    assert "recording 4: the time between samples varies by" in found["jitter"][0]
    assert problems(with_recording(4, times_s=_times(50.0, 0.1))) == {}


def test_a_sensor_that_saturates_is_found() -> None:
    values = values_of(4)
    values[5:7, 1] = 24.0
    wide = {"maximum": (30.0,) * 6, "max_step": (1e9,) * 6}
    found = problems(with_recording(4, values=values), **wide)["sensor range"]
    assert found[0].startswith("channel ay: 2 samples are beyond 24")
    values[5:7, 1] = 23.9
    assert problems(with_recording(4, values=values), **wide) == {}


def test_a_gap_is_found() -> None:
    values = values_of(4)
    values[300:, 1] += 14.0
    found = problems(with_recording(4, values=values))
    assert list(found) == ["gaps"]
    assert "recording 4: channel ay jumps by" in found["gaps"][0]
    assert "after sample 299" in found["gaps"][0]


def test_a_stuck_sensor_and_a_stuck_channel_are_found() -> None:
    values = values_of(4)
    values[100:120] = values[100]
    found = problems(with_recording(4, values=values))
    assert found == {
        "stuck channels": (
            "recording 4: 19 identical samples in a row from sample 100; the sensor was stuck, so "
            "cut that part",
        )
    }
    values = values_of(4)
    values[300:500, 5] = values[300, 5]
    found = problems(with_recording(4, values=values))
    assert "recording 4: channel wz stays at" in found["stuck channels"][0]
    assert "for 28% of it from sample 300 while others move" in found["stuck channels"][0]
    values[:, 5] = 0.0
    assert "for 100% of it" in problems(with_recording(4, values=values))["stuck channels"][0]


def test_clipping_is_found() -> None:
    values = values_of(4)
    top = np.quantile(values[:, 0], 0.95)
    values[:, 0] = np.minimum(values[:, 0], top)
    found = problems(with_recording(4, values=values))
    assert list(found) == ["clipping"]
    assert "recording 4: channel ax is clipped at" in found["clipping"][0]
    assert problems(with_recording(4, values=values), max_clipped_share=0.1) == {}


# --- between recordings and splits -------------------------------------------------------------


def test_duplicates_and_leaks_are_found() -> None:
    twin = with_recording(26, values=values_of(6), label=0)  # subject 8 gets subject 2's (test)
    found = problems(twin)
    assert (
        "recording 6 and recording 26 are the same; remove one of each pair"
        in (found["duplicates"])
    )
    assert "7 windows are in train and in test" in found["leaks between splits"]


def test_a_group_in_two_splits_is_found() -> None:
    dataset, extractor = good_dataset(), Extractor(recipe_front_end(RECIPE))
    parts = [make_windows(dataset, extractor, g) for g in ({4, 5}, {0, 1}, {5, 2})]
    found = similar.leaks(dataset, Splits(train=parts[0], val=parts[1], test=parts[2]))
    assert found.problems[0] == "groups [5] are in train and in test"


def test_near_duplicates_are_found_under_noise_gain_offset_and_shift() -> None:
    copied = values_of(6)  # subject 2, test
    rng = np.random.default_rng(2)
    noisy = 1.2 * copied + 0.3 + rng.normal(0, 0.01, copied.shape)
    shifted = np.concatenate([values_of(26)[:21], noisy])[:700].astype(np.float32)
    step = (1e9,) * 6
    found = problems(with_recording(24, values=shifted), max_step=step)  # subject 8, train
    assert list(found) == ["near-duplicates"]
    (told,) = found["near-duplicates"]
    assert told.startswith("1 pair of recordings in two splits with a correlation of at least 0.98")
    assert "recording 24 (train) at" in told
    assert "recording 6 (test) at" in told
    assert problems(with_recording(24, values=shifted), max_step=step, near_duplicate=1.0) == {}


def test_many_copies_are_one_line_and_a_table() -> None:
    rng = np.random.default_rng(2)
    recordings = list(good_dataset().recordings)
    for copy in range(20, 27):  # subjects 6 to 8, train
        noise = rng.normal(0, 0.003, (700, 6)).astype(np.float32)
        values = recordings[6].values + noise  # subject 2, test
        recordings[copy] = dataclasses.replace(recordings[copy], values=values)
    dataset = dataclasses.replace(good_dataset(), recordings=tuple(recordings))
    found = {result.name: result for result in run_checks(dataset)}["near-duplicates"]
    assert len(found.problems) == 1
    assert found.problems[0].startswith("7 pairs of recordings in two splits")
    assert len(found.rows) == 7
    scores = [float(row[-1]) for row in found.rows]
    assert scores == sorted(scores, reverse=True)
    assert f"the highest {found.rows[0][-1]} of {found.rows[0][0]} (train)" in found.problems[0]


def test_the_correlation_ignores_a_shift_but_not_another_signal() -> None:
    signal = np.random.default_rng(3).normal(size=(3, 80, 2)).astype(np.float32)
    windows = [signal[:, start : start + 64] for start in (0, 5)]
    a, b = (w / np.sqrt((w**2).sum(axis=(1, 2), keepdims=True)) for w in windows)
    assert similar.correlation(a, b, 8).min() > 0.999
    assert similar.correlation(b, a, 8).min() > 0.999
    assert similar.correlation(a, b, 4).max() < 0.6
    assert similar.correlation(a, b[::-1].copy(), 8)[0] < 0.6


def test_a_class_without_windows_and_imbalance_are_found() -> None:
    recordings = tuple(
        r for r in good_dataset().recordings if not (r.group in (2, 3) and r.label == 1)
    )
    found = problems(dataclasses.replace(good_dataset(), recordings=recordings))
    assert found["classes"] == ("class b has no test windows; change the groups of the split",)
    long = np.concatenate([values_of(0)] * 4 + [values_of(3)]) + np.linspace(0, 1, 3500)[:, None]
    found = problems(with_recording(0, values=long.astype(np.float32)), max_step=(1e9,) * 6)
    assert "val: the largest class has" in found["class balance"][0]


def test_a_wrong_label_is_a_candidate_with_time_and_guess() -> None:
    found = problems(with_recording(14, label=0))  # subject 4's fastest
    assert list(found) == ["label doubts"]
    assert found["label doubts"][0].startswith("recording 14 at ")
    assert "labelled a, looks like c" in found["label doubts"][0]
    table = next(r for r in run_checks(with_recording(14, label=0)) if r.name == "label doubts")
    assert len(table.rows[0]) == len(table.columns)


# --- what is written ---------------------------------------------------------------------------


class _Page(HTMLParser):
    """The page's text, and its tags' names."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text, self.tags = "", set[str]()
        self.feed(page)

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            assert name not in ("src", "onclick"), f"{name}={value}: the page needs nothing else"


def _check(dataset: Dataset, out: Path, monkeypatch: pytest.MonkeyPatch) -> _Page:
    monkeypatch.setattr(command, "load_dataset", lambda *_: dataset)
    try:
        command.check(RECIPE, out)
    finally:
        page = _Page((out / "data.html").read_text("utf-8"))
    return page


def test_an_error_stops_and_the_page_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = values_of(4)
    values[3, 3] = np.inf
    with pytest.raises(DataError, match=r"3 data checks, 1 error: .*see .*data\.html"):
        _check(with_recording(4, values=values), tmp_path, monkeypatch)
    assert [p.name for p in tmp_path.iterdir()] == ["data.html"]
    page = _Page((tmp_path / "data.html").read_text("utf-8"))
    assert "recording 4: 1 values are not finite" in page.text
    assert "3 data checks: 1 error, no warnings" in page.text
    assert "have not run" in page.text


def test_what_is_not_listed_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recordings = [
        dataclasses.replace(r, times_s=_times(50.0, 0.4)) for r in good_dataset().recordings
    ]
    page = _check(
        dataclasses.replace(good_dataset(), recordings=tuple(recordings)), tmp_path, monkeypatch
    )
    assert f"and {len(recordings) - 5} more, in data.html" in " ".join(
        capsys.readouterr().out.split()
    )
    assert page.text.count("jitter") > 0
    assert f"and {len(recordings) - MAX_PROBLEMS} more" in page.text


def test_a_severity_has_one_word_on_the_terminal_and_on_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recordings = list(with_recording(4, times_s=_times(50.0, 0.4)).recordings)
    recordings[7] = dataclasses.replace(recordings[7], values=values_of(8))
    both = dataclasses.replace(good_dataset(), recordings=tuple(recordings))
    with pytest.raises(DataError, match="data checks, 1 error: duplicates: recording 7 and"):
        _check(both, tmp_path, monkeypatch)
    page = (tmp_path / "data.html").read_text("utf-8")
    states = re.findall(r'<span class="pill (\w+)">\1</span>', page)
    rows = re.findall(r"^│ [\w -]+ +│ (\w+) +│", capsys.readouterr().out, re.M)
    assert states == rows
    assert set(states) == {ERROR, WARNING, PASSED}
    assert "data checks: 1 error, 2 warnings" in page
    assert not re.search(r"\bfail|\bwarned\b|stop the run", page.split("</style>")[1])


def test_every_bar_has_its_split_and_number_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _check(good_dataset(), tmp_path, monkeypatch)
    page = (tmp_path / "data.html").read_text("utf-8")
    splits = json.loads((tmp_path / "dataset.json").read_text())["splits"]
    for name, split in splits.items():
        for count in set(split["per_class"]):
            bars = page.count(f">{name} {count:,}</text>")
            assert bars == split["per_class"].count(count), (name, count)


def test_a_warning_is_shown_and_does_not_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = with_recording(4, times_s=_times(50.0, 0.4), name="<script>[/red]$x$\x1b[31m.csv")
    page = _check(odd, tmp_path, monkeypatch)
    assert {p.name for p in tmp_path.iterdir()} == {
        *("data.html", "dataset.json", "features.npz", "samples.npz")
    }
    assert "recording 4 (<script>[/red]$x$" in page.text
    assert "script" not in page.tags
    assert page.tags >= {"svg", "table", "figure"}
    assert "warning" in capsys.readouterr().out
    results = json.loads((tmp_path / "dataset.json").read_text())["checks"]
    assert {r["state"] for r in results if r["name"] != "jitter"} == {PASSED}
    assert {r["severity"] for r in results} == {ERROR, WARNING}
    assert [r["state"] for r in results if r["name"] == "jitter"] == [WARNING]
    assert "data checks: no errors, 1 warning" in page.text
