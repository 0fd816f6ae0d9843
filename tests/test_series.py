"""Sources without files of the user: generated vibration, and the series that aeon brings."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from model.datasets import aeon_series, load_dataset, vibration
from model.datasets.vibration import SAMPLE_RATE_HZ, bearing_orders, make_machine, make_signal
from model.errors import ConfigError, DataError
from model.recipe import AeonSeriesConfig, DatasetConfig
from model.recipe_file import load_recipe
from model.recipe_tables import VibrationConfig
from tests.sources import source_config

# --- vibration ---------------------------------------------------------------------------------

TABLE = VibrationConfig(
    seed=3, machines=2, seconds=0.25, normal_recordings=2, severities=(0.5, 1.0)
)


def _vibration(table: VibrationConfig, sha256: str = "") -> DatasetConfig:
    return source_config("vibration", table, sha256=sha256)


def test_a_bearing_6205_has_its_published_frequencies() -> None:
    orders = bearing_orders()  # the figures that the Case Western Reserve bearing data state
    assert orders["BPFO"] == pytest.approx(3.5848, abs=1e-3)
    assert orders["BPFI"] == pytest.approx(5.4152, abs=1e-3)
    assert orders["FTF"] == pytest.approx(0.39828, abs=1e-4)
    assert 2 * orders["BSF"] == pytest.approx(4.7135, abs=2e-3)
    assert orders["BPFO"] + orders["BPFI"] == pytest.approx(9)


def _envelope(signal: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], float]:
    """The spectrum of the envelope around the resonance, and its step in Hz."""
    spectrum = np.fft.fft(signal)
    hertz = np.fft.fftfreq(len(signal), 1 / SAMPLE_RATE_HZ)
    spectrum[(hertz < 1400) | (hertz > 2600)] = 0
    envelope = np.abs(np.fft.ifft(2 * spectrum))
    return np.abs(np.fft.rfft(envelope - envelope.mean())), SAMPLE_RATE_HZ / len(signal)


@pytest.mark.parametrize(
    ("fault", "order"),
    [
        ("outer race", bearing_orders()["BPFO"]),
        ("inner race", bearing_orders()["BPFI"]),
        ("ball", 2 * bearing_orders()["BSF"]),
    ],
)
def test_the_envelope_has_the_defect_frequency(fault: str, order: float) -> None:
    machine = make_machine(1, 4)
    signal = make_signal(machine, fault, 1.0, 20_000, np.random.RandomState(5))
    healthy = make_signal(machine, "normal", 0.0, 20_000, np.random.RandomState(5))
    found, step = _envelope(signal)
    low = round(1.2 * machine.speed_hz / step)
    strongest = (low + np.argmax(found[low : round(450 / step)])) * step
    assert strongest == pytest.approx(order * machine.speed_hz, rel=0.01)
    place = round(order * machine.speed_hz / step)
    near = slice(place - 5, place + 6)
    assert found[near].max() > 5 * _envelope(healthy)[0][near].max()


def _level(signal: npt.NDArray[np.float64], hertz: float) -> float:
    spectrum = np.abs(np.fft.rfft(signal * np.hanning(len(signal))))
    place = round(hertz * len(signal) / SAMPLE_RATE_HZ)
    return float(np.sqrt((spectrum[place - 4 : place + 5] ** 2).sum()))


@pytest.mark.parametrize(("fault", "order"), [("unbalance", 1.0), ("looseness", 0.5)])
def test_shaft_faults_raise_their_orders(fault: str, order: float) -> None:
    machine = make_machine(1, 4)
    levels = [
        _level(
            make_signal(machine, name, severity, 20_000, np.random.RandomState(6)),
            order * machine.speed_hz,
        )
        for name, severity in (("normal", 0.0), (fault, 0.5), (fault, 1.0))
    ]
    assert levels[0] * 2 < levels[1] < levels[2]


def test_the_same_seed_gives_the_same_recordings() -> None:
    digest = load_dataset(_vibration(TABLE)).sha256
    first, second = (load_dataset(_vibration(TABLE, digest)) for _ in range(2))
    assert len(first.recordings) == 2 * (2 + 5 * 2)
    assert first.labels[:3] == ("normal", "outer race, severity 0.5", "outer race, severity 1")
    for a, b in zip(first.recordings, second.recordings, strict=True):
        assert np.array_equal(a.values, b.values)
        assert (a.label, a.group) == (b.label, b.group)
        assert np.array_equal(a.values, a.values.astype(np.int16))
    with pytest.raises(DataError, match="other data"):
        load_dataset(_vibration(dataclasses.replace(TABLE, seed=4), digest))


def test_the_recipe_has_the_hash_of_its_data() -> None:
    assert vibration.load(load_recipe("anomaly").dataset).labels[0] == "normal"


@pytest.mark.parametrize(
    "change",
    [
        {"severities": ()},
        {"severities": (0.5, 0.5)},
        {"machines": 10**9},
        {"seconds": 1e-9},
    ],
)
def test_settings_out_of_bounds_are_refused(change: dict[str, object]) -> None:
    values = {f.name: getattr(TABLE, f.name) for f in dataclasses.fields(TABLE)}
    with pytest.raises(ConfigError, match=r"dataset\.vibration"):
        load_dataset(_vibration(VibrationConfig(**(values | change))))  # type: ignore[arg-type]


# --- aeon --------------------------------------------------------------------------------------

GOOD = """# a comment
@problemName Two
@timeStamps false
@missing false
@univariate false
@dimensions 2
@equalLength true
@seriesLength 3
@classLabel true up down
@data
1,2,3:4,5,6:up
3,2,1:-6,-5,-4e0:down
"""
SERIES = AeonSeriesConfig(problem="Two", parts=2)


def test_series_are_read_channel_by_channel() -> None:
    up, down = aeon_series.parse_series(GOOD.encode(), "Two")
    assert (up.label, down.label) == ("up", "down")
    assert np.array_equal(up.values, [[1, 4], [2, 5], [3, 6]])
    assert np.array_equal(down.values, [[3, -6], [2, -5], [1, -4]])


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("@timeStamps false", "@timeStamps true", "@timestamps is 'true', expected 'false'"),
        ("@missing false\n", "", "@missing is 'nothing'"),
        ("@equalLength true", "@equalLength false", "@equallength is 'false'"),
        ("@classLabel true up down", "@classLabel false", "@classlabel is 'false'"),
        ("@seriesLength 3", "@seriesLength 4", "line 11: a channel of 3 values"),
        ("@seriesLength 3", "@seriesLength 2", "line 11: a channel of 3 values"),
        ("@seriesLength 3", "@seriesLength 999999", "expected 1 to 100,000"),
        ("@seriesLength 3", "@seriesLength -3", "'-3', expected 1 to"),
        ("@missing false", "@missing", "line 4: expected @data or a line"),
        ("@missing false", "@missing false\n@missing false", "each key once"),
        ("@missing false", "@wrong false", "line 4: expected"),
        ("@data\n", "", "line 10: expected @data"),
        ("@data\n1,2,3:4,5,6:up\n3,2,1:-6,-5,-4e0:down\n", "", "no line @data"),
        ("1,2,3:4,5,6:up\n3,2,1:-6,-5,-4e0:down\n", "", "no series behind @data"),
        (":-6,-5,-4e0", "", "line 12: 1 channels, expected 2"),
        ("-4e0", "x", "line 12: not 3 finite numbers"),
        ("-4e0", "nan", "not 3 finite numbers"),
        ("-4e0", "1e39", "not 3 finite numbers"),
        ("-4e0", "", "not 3 finite numbers"),
        ("1,2,3", "1,2,3,4", "a channel of 4 values"),
        ("# a comment", "\x00", "line 1: expected @data or a line"),
    ],
)
def test_bad_files_are_refused_with_their_line(old: str, new: str, words: str) -> None:
    assert old in GOOD
    with pytest.raises(DataError, match=words):
        aeon_series.parse_series(GOOD.replace(old, new, 1).encode(), "Two")


def test_every_cut_and_every_other_byte_is_refused_or_read() -> None:
    data = GOOD.encode()
    for end in range(len(data)):
        for changed in (data[:end], data[:end] + b"\xff" + data[end + 1 :]):
            try:
                found = aeon_series.parse_series(changed, "Two")
            except DataError:
                continue
            assert all(item.values.shape == (3, 2) for item in found)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as the package has it, with the problem Two."""
    monkeypatch.setattr(aeon_series, "data_folder", lambda: tmp_path)
    (tmp_path / "Two").mkdir()
    for name in ("TRAIN", "TEST"):
        (tmp_path / f"Two/Two_{name}.ts").write_text(GOOD)
    return tmp_path


def _aeon(table: AeonSeriesConfig, **changes: Any) -> DatasetConfig:
    known = {"labels": ("down", "up"), "sample_rate_hz": 10.0}
    return source_config("aeon_series", table, **{**known, **changes})


def test_both_files_are_dealt_to_groups(folder: Path) -> None:
    dataset = load_dataset(_aeon(SERIES))
    with pytest.raises(DataError, match="other data"):
        load_dataset(_aeon(SERIES, sha256="d"))
    with pytest.raises(ConfigError, match="missing key 'dataset.sample_rate_hz'"):
        load_dataset(_aeon(SERIES, sample_rate_hz=0.0))
    assert dataset.group_names == ("test 0", "test 1", "train 0", "train 1")
    assert [dataset.group_title(r.group) for r in dataset.recordings] == [
        "train 0", "train 1", "test 0", "test 1",
    ]  # fmt: skip
    assert [r.label for r in dataset.recordings] == [1, 0, 1, 0]


def test_a_huge_file_is_not_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aeon_series, "MAX_BYTES", len(GOOD) - 1)
    with pytest.raises(DataError, match=f"expected at most {len(GOOD) - 1} bytes"):
        load_dataset(_aeon(SERIES))
    monkeypatch.setattr(aeon_series, "MAX_SERIES", 1)
    with pytest.raises(DataError, match="at most 1 series"):
        aeon_series.parse_series(GOOD.encode(), "Two")


@pytest.mark.parametrize("name", ["../Two", "", "a/b", "Zwö", "x" * 65])
def test_a_problem_is_a_name_not_a_path(folder: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="letters and digits"):
        load_dataset(_aeon(dataclasses.replace(SERIES, problem=name)))


def test_an_unknown_problem_lists_the_known_ones(folder: Path) -> None:
    with pytest.raises(DataError, match="problems there: Two"):
        load_dataset(_aeon(dataclasses.replace(SERIES, problem="Three")))


def test_without_the_package_the_message_says_what_it_needs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(DataError, match="needs Python 3.11 or newer, this is 3"):
        load_dataset(_aeon(SERIES))


def test_basic_motions_are_read() -> None:
    if importlib.util.find_spec("aeon") is None:
        pytest.skip("aeon is for Python 3.11 and newer")
    dataset = load_dataset(load_recipe("anomaly_motions").dataset)
    assert len(dataset.recordings) == 80
    assert {r.values.shape for r in dataset.recordings} == {(100, 6)}
