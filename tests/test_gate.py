"""A committed baseline: what passes, what is told as worse, and what is no baseline."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from markdown_it import MarkdownIt

from host_tools.cli import main
from host_tools.errors import DeviceError, HostToolsError, UsageError
from host_tools.gate.baseline import (
    MEASURES,
    Baseline,
    Group,
    Kind,
    Limits,
    baseline_path,
    load_baseline,
    write_baseline,
)
from host_tools.gate.compare import compare, parse_share, with_limits
from host_tools.gate.figures import NETWORK, measured
from host_tools.gate.show import print_verdict, summary
from model.files import write_json
from tests.factory import GENERATORS
from tests.result_files import write_drift, write_run

SHARE = {Kind.SIZE: 0.02, Kind.SCORE: 0.01, Kind.RATE: 0.01, Kind.FAULTS: 0.0}
HOSTILE = "[a](http://b) <img src=x onerror=alert(1)> @all `x` | # **b** ~~c~~ \n- d &lt; \x1b[31m"


def group(**figures: float) -> Group:
    """Figures of one place."""
    return Group(model_sha256="ab" * 32, run_id="1" * 12, board="qemu_m4", where="qemu_m4",
                 kernels="armv7em", framework="bare", engine="aot", figures=figures)  # fmt: skip


def one(measure: str, before: float, now: float, limits: Limits | None = None) -> str:
    """Why a measure that was `before` and is `now` is wrong."""
    baseline = Baseline(name="x", groups={"b": group(**{measure: before})})
    verdict = compare(baseline, {"b": group(**{measure: now})}, limits or Limits())
    (row,) = verdict.rows
    assert verdict.passed is not bool(row.wrong)
    return row.wrong


def test_figures_say_what_they_are_of(tmp_path: Path) -> None:
    out_dir = write_run(tmp_path / "motion")
    write_drift(out_dir)
    found = measured(out_dir, ["qemu_m4", "qemu_xtensa", "native"])
    assert set(found) == {NETWORK, "qemu_m4", "qemu_xtensa"}  # native has not run
    size = json.loads((out_dir / "qemu_m4" / "size.json").read_text())
    board = found["qemu_m4"]
    assert board.figures["flash"] == size["flash_bytes"]
    assert board.figures["drift_alarms"] == 1
    assert board.figures["unequal"] == 0
    assert board.model_sha256 == found[NETWORK].model_sha256
    assert (board.board, board.where, board.run_id) == ("qemu_m4", "qemu_m4", "0123456789ab")
    assert board.compiler
    assert set(found[NETWORK].figures) == {"float_score", "score", "as_float"}
    assert found[NETWORK].score == "balanced accuracy"


def test_a_result_of_another_model_is_not_measured(tmp_path: Path) -> None:
    out_dir = write_run(tmp_path / "motion")
    path = out_dir / "qemu_m4" / "parity.json"
    write_json(path, json.loads(path.read_text()) | {"run_id": "f" * 12})
    baseline = Baseline(name="x", groups={"qemu_m4": group(flash=1.0)})
    verdict = compare(baseline, measured(out_dir, ["qemu_m4"]), Limits())
    assert not verdict.passed and "not measured" in verdict.broken[0]


def test_a_run_that_ended_early_is_not_measured(tmp_path: Path) -> None:
    """Cases without an answer are neither equal nor different, so no figure of a baseline."""
    out_dir = write_run(tmp_path / "motion")
    path = out_dir / "qemu_m4" / "parity.json"
    told = json.loads(path.read_text())
    early = {"equal": told["equal"] - 3, "missing": 3, "partial": "interrupted"}
    write_json(path, told | early)
    assert set(measured(out_dir, ["qemu_m4", "qemu_xtensa"])) == {NETWORK, "qemu_xtensa"}


@pytest.mark.parametrize("measure", MEASURES)
def test_each_measure_is_held(measure: str) -> None:
    kind, share = MEASURES[measure][1], SHARE[MEASURES[measure][1]]
    before = 0.5 if kind in (Kind.SCORE, Kind.RATE) else 10_000.0
    worse = -1 if kind is Kind.SCORE else 1
    step = before * share if kind is Kind.SIZE else share
    assert one(measure, before, before) == ""
    assert one(measure, before, before - worse * 0.4) == ""  # better
    assert one(measure, before, before + worse * step) == ""  # as far as it may
    least = 1.0 if before > 1 else 0.001
    assert one(measure, before, before + worse * (step + least)) in ("grew", "fell")
    if kind is not Kind.SCORE:
        assert one(measure, 0.0, share + 1.0) == "grew"


def test_limits_of_one_measure() -> None:
    limits = with_limits(Limits(), "10%", None, ["flash=0%", "ram=1000", "score=0.9", "arena=5%"])
    assert limits.max_growth == pytest.approx(0.1)
    assert one("code", 100, 110, limits) == ""
    assert one("flash", 100, 101, limits) == "grew"
    assert one("ram", 990, 1001, limits) == "over its bound"
    assert one("score", 0.905, 0.899, limits) == "under its bound"
    assert one("arena", 100, 106, limits) == "grew"
    again = with_limits(limits, None, "3%", ["ram=50%"])
    assert (again.max_growth, again.max_drop) == (limits.max_growth, 0.03)
    assert (again.measures["ram"].bound, again.measures["ram"].change) == (1000, 0.5)
    for wrong in ("flash", "flash=", "flash=x", "flash=nan", "flash=1e9", "weight=1%", "=1%"):
        with pytest.raises(UsageError, match="LIMIT"):
            with_limits(Limits(), None, None, [wrong])
    for wrong in ("2", "-2%", "nan%", "", "2 percent"):
        with pytest.raises(UsageError, match="percent sign"):
            parse_share(wrong)


def test_an_r2_is_no_percentage() -> None:
    was, now = group(score=0.91234), group(score=0.85).model_copy(update={"score": "R2"})
    baseline = Baseline(name="x", groups={"b": was.model_copy(update={"score": "R2"})})
    text = summary(baseline, compare(baseline, {"b": now}, Limits()))
    assert "| 0.9123 | 0.8500 | -0.0623 | -0.01 |" in text.replace("\\", "")
    assert "%" not in text and "points" not in text


def test_what_is_gone_or_moved_fails_and_what_is_new_is_told() -> None:
    baseline = Baseline(name="x", groups={"b": group(flash=100, arena=5), "c": group(flash=1)})
    other = group(flash=1).model_copy(update={"kernels": "ref"})
    verdict = compare(baseline, {"b": group(flash=100, code=7), "c": other}, Limits())
    assert [(row.measure, row.wrong) for row in verdict.wrong] == [("arena", "not measured now")]
    assert len(verdict.broken) == 1 and "kernels was armv7em, is ref" in verdict.broken[0]
    renewed = group(flash=100, arena=5).model_copy(update={"compiler": "gcc 99"})
    verdict = compare(baseline, {"b": renewed, "c": group(flash=1), "d": group()}, Limits())
    assert verdict.passed
    told = [note.split(":")[0] for note in verdict.notes]
    assert told == ["b", "not in the baseline, so not compared"]
    assert not compare(baseline, {"b": renewed, "c": group(flash=1)}, Limits(), ("parity",)).passed


def test_a_baseline_is_read_back_and_damage_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.baseline.json"
    with pytest.raises(UsageError, match="no baseline.*make gate RECORD=1"):
        load_baseline(path, "make gate RECORD=1")
    limits = with_limits(Limits(), "3%", "2%", ["flash=65536"])
    baseline = Baseline(name="模型", limits=limits, groups={"b": group(flash=100, as_float=0.5)})
    write_baseline(path, baseline)
    assert load_baseline(path, "make gate") == baseline
    text = path.read_text()
    content = json.loads(text)
    bad = [content | more for more in ({"format": 2}, {"more": 1}, {"groups": []}, {"name": 3})]
    figures = [{"flash": "100"}, {"flash": 1e300}, {"weight": 1}, {"flash": None}]
    bad += [content | {"groups": {"b": content["groups"]["b"] | {"figures": f}}} for f in figures]
    texts = [json.dumps(item) for item in bad] + [text[:n] for n in range(0, len(text) - 2, 37)]
    texts += [text.replace("100", "NaN"), "[" * 100_000, "[]", "null", text + " " * 1_000_001]
    for damaged in texts:
        path.write_text(damaged)
        with pytest.raises(UsageError, match=r"x\.baseline\.json"):
            load_baseline(path, "make gate")
    path.write_bytes(b"\xff\xfe{}")
    with pytest.raises(UsageError):
        load_baseline(path, "make gate")


def test_a_pipe_in_the_place_of_a_baseline_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(UsageError, match="a pipe or a device, expected a file"):
        load_baseline(tmp_path / "pipe.json", "make gate")


def test_a_models_next_version_meets_the_same_baseline() -> None:
    assert baseline_path("net-1a2b3c4d", imported=True) == Path("net.baseline.json")
    assert baseline_path("net-1a2b3c4d", imported=False) == Path("net-1a2b3c4d.baseline.json")


def test_the_summary_shows_names_and_follows_none_of_them() -> None:
    place = Baseline(name=HOSTILE, version=HOSTILE, groups={HOSTILE: group(flash=100, arena=1)})
    verdict = compare(place, {HOSTILE: group(flash=200, arena=1)}, Limits(), (HOSTILE,))
    text = summary(place, verdict)
    page = MarkdownIt("gfm-like", {"linkify": False}).render(text)
    for tag in ("<a", "<img", "<h1", "<em", "<strong", "<s>", "<code>x", "<ul>\n<li>d"):
        assert tag not in page, tag
    assert page.count("<table>") == 2  # what is over the limits, and what is not
    assert page.count("<td") == 2 * 7  # no name has made another cell
    assert "\x1b" not in text and "@" not in text
    assert "FAILED" in text and "+100.00%" in text


def test_names_in_a_baseline_reach_no_terminal_as_they_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    moved, told = group(flash=1, arena=1), group(flash=9, arena=1)
    other = moved.model_copy(update={"compiler": HOSTILE, "kernels": HOSTILE})
    groups = {HOSTILE: moved.model_copy(update={"compiler": HOSTILE}), f"{HOSTILE} (board)": moved}
    baseline = Baseline(name=HOSTILE, groups={**groups, "moved": other})
    verdict = compare(baseline, {HOSTILE: told, "moved": moved}, Limits(), (HOSTILE,))
    assert verdict.wrong and verdict.broken and verdict.notes
    print_verdict(verdict, HOSTILE)
    said = capsys.readouterr().out
    assert "\x1b" not in said and "\\x1b[31m" in said


@pytest.mark.parametrize("groups", [{}, {"network": {"model_sha256": "ab", "figures": {}}}])
def test_a_baseline_without_a_figure_passes_nothing(
    groups: dict[str, object], tmp_path: Path
) -> None:
    path = tmp_path / "x.baseline.json"
    path.write_text(json.dumps({"name": "x", "groups": groups}))
    with pytest.raises(UsageError, match="it holds no figure, so nothing would be compared"):
        load_baseline(path, "make gate")


def test_the_command_ends_as_ci_needs_it(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "net.tflite").write_bytes(GENERATORS["FULLY_CONNECTED"](np.random.default_rng(1)))
    gate = ["gate", "net.tflite", "--cases", "5"]
    assert main(gate) == 2
    assert "no baseline" in capsys.readouterr().err
    assert main([*gate, "--record", "--board", "native"]) == 0
    path = project / "net.baseline.json"
    written = json.loads(path.read_text())
    assert set(written["groups"]) == {NETWORK, "native"}
    assert written["groups"]["native"]["figures"]["flash"] > 0
    assert "instructions" not in written["groups"]["native"]["figures"]  # only times, which vary
    assert main([*gate, "--summary", str(project / "s.md")]) == 0
    assert "passed" in (project / "s.md").read_text()
    capsys.readouterr()
    figures = written["groups"]["native"]["figures"]
    figures["flash"] = figures["flash"] * 9 // 10
    path.write_text(json.dumps(written))
    assert main([*gate, "--summary", str(project / "s.md")]) == 1
    said = capsys.readouterr()
    assert "flash, bytes" in said.out and "grew" in said.out and "RECORD=1" in said.err
    assert (project / "s.md").read_text().count("### tinyproof gate") == 2  # appended
    assert main([*gate, "--limit", "flash=20%"]) == 0
    assert main([*gate, "--max-growth", "20%", "--limit", "ram=1"]) == 1
    assert main([*gate, "--board", "native"]) == 2  # says nothing without --record
    kept = project / "build" / "models"
    now = next(kept.glob("*/gate.json"))  # this run's figures, to be committed in their turn
    path.write_text(now.read_text())
    assert main(gate) == 0
    path.write_text("{")
    assert main(gate) == 2


@pytest.mark.parametrize(("error", "code"), [(HostToolsError, 1), (DeviceError, 3)])
def test_a_check_that_fails_before_is_in_the_summary(
    error: type[HostToolsError], code: int, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parity that differs ends a stage; what can be compared still is."""
    (project / "net.tflite").write_bytes(GENERATORS["FULLY_CONNECTED"](np.random.default_rng(1)))
    gate = ["gate", "net.tflite", "--cases", "5"]
    assert main([*gate, "--record", "--board", "native"]) == 0

    def fails(*_: object, **__: object) -> object:
        raise error("native: 1 of 5 cases differ")

    monkeypatch.setattr("host_tools.commands.gate.up_to_date", fails)
    assert main([*gate, "--summary", str(project / "s.md")]) == code
    if code == 1:
        assert "1 of 5 cases differ" in (project / "s.md").read_text()
