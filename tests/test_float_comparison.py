"""The device beside the float network: formulas, bounds, float.npz, and parity's exit code."""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from host_tools.parity.float_comparison import (
    MAX_FLIPS,
    MAX_POINTS,
    Compared,
    FloatComparison,
    alarm_decisions,
    allowed_flips,
    class_decisions,
    compare_float,
    dequantise,
    describe,
    likely_reason,
    output_difference,
)
from model.npz import read_arrays
from model.recipe import ParityConfig
from quantize.errors import ModelError
from quantize.float_outputs import (
    FloatOutputs,
    float_outputs,
    load_float_outputs,
    save_float_outputs,
)
from quantize.golden import Golden, load_golden
from quantize.tflite.reader import read_model
from tests import steps as command
from tests.test_parity import NAME, make_build

Rows = list[list[float]]
ALL = ParityConfig(min_equal_decisions=0.0, max_mean_difference=1.0, min_sqnr_db=-100.0)


def _compare(
    floats: Rows, device: Rows, bounds: ParityConfig | None = ALL, **changes: Any
) -> FloatComparison:
    """Of two arrays [cases, elements] whose largest elements decide."""
    f, d = np.array(floats, np.float32), np.array(device)
    compared = Compared(
        cases=range(len(f)),
        golden_cases=len(f),
        floats=[f],
        device=[d],
        decisions=(class_decisions(f), class_decisions(d)),
        names=["no", "yes"],
        labels=None,
    )
    return compare_float("net", dataclasses.replace(compared, **changes), bounds)


@pytest.mark.parametrize(
    ("floats", "device", "largest", "mean", "percentile", "float_range", "sqnr"),
    [
        # sum f^2 = 4, sum (f - d)^2 = 0.04: 20 dB
        ([[2.0, 0.0]], [[1.8, 0.0]], 0.2, 0.1, 0.19, 2.0, 20.0),
        ([[1.0, 1.0]], [[2.0, 0.0]], 1.0, 1.0, 1.0, 0.0, 0.0),
        ([[1.0], [-1.0]], [[1.0], [-2.0]], 1.0, 0.5, 0.95, 2.0, 10 * math.log10(2)),
        ([[3.0, 4.0]], [[3.0, 4.0]], 0.0, 0.0, 0.0, 1.0, None),  # infinite
        ([[0.0, 0.0]], [[0.0, 1.0]], 1.0, 0.5, 0.95, 0.0, None),  # no signal
    ],
)
def test_differences_by_hand(
    floats: Rows,
    device: Rows,
    largest: float,
    mean: float,
    percentile: float,
    float_range: float,
    sqnr: float | None,
) -> None:
    found = output_difference(3, np.array(floats), np.array(device))
    assert found.output == 3
    got = (found.largest, found.mean, found.percentile_95, found.float_range)
    assert got == pytest.approx((largest, mean, percentile, float_range))
    assert found.sqnr_db == (None if sqnr is None else pytest.approx(sqnr, abs=1e-9))


@pytest.mark.parametrize(
    ("scale", "zero", "codes", "values"),
    [
        (0.5, -128, [-128, -127, 127], [0.0, 0.5, 127.5]),
        (2.0, 3, [3, 4, -1], [0.0, 2.0, -8.0]),
        (None, None, [7, 8, 9], [7.0, 8.0, 9.0]),
    ],
)
def test_codes_stand_for_values(
    scale: float | None, zero: int | None, codes: list[int], values: list[float]
) -> None:
    place = {"scale": scale, "zero_point": zero}
    assert dequantise(np.array(codes, np.int8), place).tolist() == values


@pytest.mark.parametrize(
    ("cases", "share", "allowed"),
    [
        (1, 0.95, 1),  # one flip of few says nothing
        (20, 0.95, 1),
        (39, 0.95, 1),
        (40, 0.95, 2),
        (10, 0.9, 1),
        (30, 0.9, 3),  # 1 - 0.9 is a little below 0.1
        (1000, 1.0, 0),
        (7, 0.0, 7),
    ],
)
def test_so_many_decisions_may_flip(cases: int, share: float, allowed: int) -> None:
    assert allowed_flips(cases, share) == allowed


def test_flips_are_listed_with_both_sides() -> None:
    floats, device = [[0.9, 0.1], [0.4, 0.6], [0.5, 0.5]], [[0.8, 0.2], [0.55, 0.45], [0.5, 0.5]]
    found = _compare(floats, device, cases=[4, 8, 15], labels=["no", "yes", "no"])
    assert found.equal_decisions == 2
    (flip,) = found.flips
    assert (flip.case, flip.label) == (8, "yes")
    assert (flip.float_decision, flip.float_score) == ("yes", pytest.approx(0.6))
    assert (flip.device_decision, flip.device_score) == ("no", pytest.approx(0.55))
    assert found.points.flipped == (False, False, True, True, False, False)
    assert "2 of 3 decisions equal (66.7%)" in describe(found)


def test_what_is_listed_is_bounded_and_counted() -> None:
    floats = [[0.0, 1.0]] * 1000
    found = _compare(floats, [[1.0, 0.0]] * 1000, golden_cases=5000)
    assert (found.equal_decisions, len(found.flips)) == (0, MAX_FLIPS)
    assert len(found.points.floats) <= MAX_POINTS
    assert set(found.points.floats) == {0.0, 1.0}, "not only every second element"
    assert "in 1,000 of 5,000 cases" in describe(found)


@pytest.mark.parametrize(
    ("bounds", "told"),
    [
        ({"min_equal_decisions": 1.0}, r"3 of 4 .*\(75.0%\).*expected 100.0%.*case 3.*longer, or"),
        ({"min_equal_decisions": 0.8}, ""),  # one flip among few
        ({"max_mean_difference": 0.2}, r"mean difference 0.25, expected at most 0.2, 0.2 of its"),
        ({"max_mean_difference": 0.26}, ""),
        ({"min_sqnr_db": 4.0}, r"SQNR 3.0 dB, expected at least 4 dB \(parity.min_sqnr_db\)"),
        ({"min_sqnr_db": 3.0}, ""),
    ],
)
def test_a_bound_that_does_not_hold_is_named(bounds: dict[str, float], told: str) -> None:
    floats, device = [[1.0, 0.0]] * 4, [[1.0, 0.0]] * 3 + [[0.0, 1.0]]
    asked = dataclasses.replace(ALL, **bounds)
    found = _compare(floats, device, asked).failures
    assert bool(found) == bool(told), found
    assert not told or re.search(told, found[0])


def place(scale: float, zero: int = 0, dtype: str = "int8") -> dict[str, Any]:
    return {"dtype": dtype, "scale": scale, "zero_point": zero}


SOFT = place(1 / 256, -128)
SPREAD = np.linspace(-1, 1, 2000).reshape(100, 20)


@pytest.mark.parametrize(
    ("floats", "at", "told"),
    [
        (np.full((10, 1000), 0.001), SOFT, "case is 0.001, 0.3 steps: end the network at its logi"),
        (np.eye(10), SOFT, "lists the layers with most noise"),
        (np.full((10, 1000), 0.001), place(1 / 256, 0), "99.8 % lie in 0.001 to 0.001"),
        (SPREAD, place(2 / 255), "lists the layers with most noise"),
        (SPREAD, place(1 / 255), "of the float values are beyond -0.506 to 0.502, which"),
        (SPREAD, place(1.0), "for which 2 of 256 codes are left: leave such representative"),
        (SPREAD, place(1.0, 0, "int16"), "lists the layers with most noise"),
        (SPREAD, None, "lists the layers with most noise"),
    ],
)
def test_the_likely_reason_and_what_to_do(
    floats: np.ndarray[Any, Any], at: dict[str, Any] | None, told: str
) -> None:
    assert told in likely_reason(floats, at)
    compared = Compared(
        cases=range(len(floats)),
        golden_cases=len(floats),
        floats=[floats],
        device=[np.zeros(floats.shape)],
        decisions=(class_decisions(floats), class_decisions(-1 - floats)),
        names=[],
        labels=None,
        places=[at],
    )
    strict = ParityConfig(min_equal_decisions=1.0, max_mean_difference=0.0, min_sqnr_db=99.0)
    found = compare_float("net", compared, strict).failures
    assert any("parity.min_sqnr_db" in line for line in found)
    assert all(told in line for line in found)


def test_nothing_is_asked_of_random_inputs() -> None:
    found = _compare([[1.0, 0.0]] * 9, [[0.0, 1.0]] * 9, None)
    assert found.failures == ()
    assert "random, so no bound applies: give INPUTS=" in describe(found)


def test_differences_of_a_detector_are_bounded_where_there_is_no_alarm() -> None:
    floats, device = [[1.0], [50.0], [1.0]], [[1.1], [2.0], [0.9]]
    scores = np.array([1.0, 30.0, 2.0])
    decisions = (alarm_decisions(scores, 3.0, 1.0), alarm_decisions(scores * 4, 12, 0.25))
    found = _compare(floats, device, ParityConfig(), decisions=decisions)
    assert found.normal_outputs is not None
    assert (found.outputs[0].largest, found.equal_decisions) == (48.0, 3)
    assert found.normal_outputs[0].largest == pytest.approx(0.1)
    assert found.failures == ()  # though the SQNR of all is 0.4 dB
    assert "where there is no alarm: at most 0.1" in describe(found)
    noisy = _compare(floats, [[2.0], [2.0], [0.0]], ParityConfig(), decisions=decisions)
    assert "SQNR 0.0 dB" in noisy.failures[0]
    only_alarms = (alarm_decisions(scores, 0.5, 1.0), alarm_decisions(scores, 0.5, 1.0))
    assert _compare(floats, device, ParityConfig(), decisions=only_alarms).failures == ()


# --- float.npz ---------------------------------------------------------------------------------


def _golden(seed: int = 0) -> Golden:
    rng = np.random.default_rng(seed)
    return Golden(
        inputs=(rng.integers(-128, 127, (3, 1, 4), np.int8),),
        outputs=(np.zeros((3, 1, 2), np.int8),),
        model_sha256="ab" * 32,
    )


def test_float_file_round_trip(tmp_path: Path) -> None:
    scores = np.array([1.0, 2.0, 3.0])
    floats = float_outputs(
        _golden(), (np.arange(6.0).reshape(3, 2),), "net\x1b[2J", alarm_scores=scores,
        alarm_threshold=2.5, random_inputs=True,
    )  # fmt: skip
    save_float_outputs(tmp_path / "float.npz", floats)
    found = load_float_outputs(tmp_path / "float.npz")
    assert found.outputs[0].dtype == np.float32
    assert found.outputs[0].tolist() == [[[0, 1]], [[2, 3]], [[4, 5]]]
    assert (found.network, found.random_inputs, found.alarm_threshold) == ("net\\x1b[2J", True, 2.5)
    assert found.mismatch(_golden()) is None


@pytest.mark.parametrize(
    ("golden", "told"),
    [
        (dataclasses.replace(_golden(), model_sha256="cd" * 32), "another model"),
        (_golden(1), "other golden cases"),
        (
            dataclasses.replace(_golden(), outputs=(np.zeros((3, 1, 3), np.int8),)),
            "other shapes",
        ),
    ],
)
def test_float_outputs_of_something_else(golden: Golden, told: str) -> None:
    floats = float_outputs(_golden(), (np.zeros((3, 2)),), "net")
    assert told in str(floats.mismatch(golden))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_no_numbers_are_refused(value: float) -> None:
    with pytest.raises(ModelError, match="infinite or not a number"):
        float_outputs(_golden(), (np.array([0, 0, 0, 0, 0, value]),), "net")


@pytest.mark.parametrize(
    "damage",
    [
        {"output_0": None},
        {"network": None},
        {"model_sha256": np.array([255], np.uint8)},
        {"output_0": np.zeros((3, 1, 2))},  # float64
        {"output_0": np.full((3, 1, 2), np.nan, np.float32)},
        {"output_0": np.zeros((), np.float32)},
        {"alarm_scores": np.zeros(3)},
        {"alarm_scores": np.zeros(2), "alarm_threshold": np.zeros(1)},
    ],
    ids=str,
)
def test_a_damaged_float_file_is_named(tmp_path: Path, damage: dict[str, Any]) -> None:
    path = tmp_path / "float.npz"
    save_float_outputs(path, float_outputs(_golden(), (np.zeros((3, 2)),), "net"))
    arrays = {k: v for k, v in (read_arrays(path) | damage).items() if v is not None}
    np.savez(path, **arrays)
    with pytest.raises(ModelError, match=r"float.npz: not the outputs of a float network.*again"):
        load_float_outputs(path)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ModelError, match="not the outputs of a float network"):
        load_float_outputs(path)


# --- parity ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """build/small of a fully connected layer with firmware for this computer."""
    root = tmp_path_factory.mktemp("floats")
    out_dir = make_build(root, generator="FULLY_CONNECTED", seed=11)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "BUILD", root / "build")
        assert command.main(["build", NAME, "native"]) == 0
    return out_dir


def _exact(out_dir: Path) -> FloatOutputs:
    """A float network that int8 stands for exactly."""
    golden, graph = load_golden(out_dir / "golden.npz"), read_model(out_dir / "model.tflite")
    quant = graph.tensors[graph.outputs[0]].quant
    assert quant is not None
    place = {"scale": quant.scale[0], "zero_point": quant.zero_point[0]}
    return float_outputs(golden, (dequantise(golden.outputs[0], place),), "the network itself")


@pytest.mark.parametrize(
    ("change", "code", "told"),
    [
        (lambda f: f, 0, r"as the network itself: 5 of 5 decisions equal \(100.0%\); differ"),
        (lambda f: -f, 1, r"output 0 is too far.*SQNR -6.0 dB, expected at least 15 dB"),
        (None, 0, "not compared with a float network: there is no float.npz"),
    ],
)
def test_parity_says_how_far_the_device_is(
    built: Path,
    change: Callable[[Any], Any] | None,
    code: int,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(command, "BUILD", built.parent)
    (built / "float.npz").unlink(missing_ok=True)
    if change is not None:
        floats = _exact(built)
        outputs = tuple(change(v) for v in floats.outputs)
        save_float_outputs(built / "float.npz", dataclasses.replace(floats, outputs=outputs))
    assert command.main(["parity", NAME, "native"]) == code
    out, err = capsys.readouterr()
    assert re.search(told, err if code else out)
    report = json.loads((built / "native" / "parity.json").read_text())
    assert report["equal"] == report["cases"], "the bytes are equal all the same"
    assert (report["float_comparison"] is None) == (change is None)


@pytest.mark.parametrize(("share", "code"), [(1.0, 1), (0.99, 0)])
def test_the_bounds_are_the_recipes(
    built: Path,
    share: float,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(command, "BUILD", built.parent)
    floats = _exact(built)
    values = floats.outputs[0].copy()
    case, first = 2, values[2].argmax()
    values[case].reshape(-1)[(first + 1) % values[case].size] = values[case].max() + 1e-4
    save_float_outputs(built / "float.npz", dataclasses.replace(floats, outputs=(values,)))
    path = built / "gen" / "ref" / "manifest.json"
    manifest = path.read_text()
    settings = {"parity": {"min_equal_decisions": share}}
    try:
        path.write_text(json.dumps(json.loads(manifest) | {"settings": settings}))
        assert command.main(["parity", NAME, "native"]) == code
    finally:
        path.write_text(manifest)
    assert ("4 of 5 decisions (80.0%)" in capsys.readouterr().err) == bool(code)
    report = json.loads((built / "native" / "parity.json").read_text())["float_comparison"]
    assert [flip["case"] for flip in report["flips"]] == [case]
    assert report["bounds"]["min_equal_decisions"] == share


def test_float_outputs_of_another_model_do_not_count(
    built: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "BUILD", built.parent)
    other = dataclasses.replace(_exact(built), model_sha256="00" * 32)
    save_float_outputs(built / "float.npz", other)
    assert command.main(["parity", NAME, "native"]) == 0
    assert "float.npz belongs to another model" in capsys.readouterr().out
    (built / "float.npz").write_bytes(b"PK")
    assert command.main(["parity", NAME, "native"]) == 2
    assert "float.npz: not the outputs of a float network" in capsys.readouterr().err


def test_it_is_the_device_that_is_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Firmware that is wrong is told to be far from the float network, too."""
    out_dir = make_build(tmp_path, generator="FULLY_CONNECTED", seed=11)
    save_float_outputs(out_dir / "float.npz", _exact(out_dir))
    source = out_dir / "gen" / "ref" / "model.c"
    broken = re.sub(
        r"\.output_offset = (-?\d+)",
        lambda m: f".output_offset = {int(m[1]) ^ 64}",
        source.read_text(),
    )
    source.write_text(broken)
    monkeypatch.setattr(command, "BUILD", tmp_path / "build")
    assert command.main(["build", NAME, "native"]) == 0
    assert command.main(["parity", NAME, "native"]) == 1
    told = capsys.readouterr().err
    for words in ("first difference: case", "the self-test fails in", "mean difference"):
        assert words in told, words
