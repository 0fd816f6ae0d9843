"""The live session without a browser: sources, history, readings, the board that goes and comes."""

from __future__ import annotations

import os
import signal as signals
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from host_tools.emulators.native import Native
from host_tools.errors import DeviceError, UsageError
from host_tools.link.protocol import Channel, Sensor
from host_tools.link.transport import SerialTransport, Transport
from host_tools.live import words
from host_tools.live.charts import predictions_chart, signal_chart, thinned
from host_tools.live.history import SignalHistory
from host_tools.live.plan import ClipRequest
from host_tools.live.reading import Described, Reader
from host_tools.live.session import HELD_OUT, Session
from host_tools.live.sources import BEHIND_S, Pace, ReplaySource, Take
from host_tools.live.state import NO_SOURCE, LinkCounts, Prediction, Reading, State
from model.decide import Rule
from model.multilabel import LabelsJudge
from model.regression import RegressionJudge, Units
from model.tasks import ClassJudge
from tests.faulty import Fault, FaultKind, FaultyTransport
from tests.firmware_builds import built_with_features
from tests.live_plan import (
    CHANNELS,
    CLASSES,
    DESCRIBED,
    HOP,
    LABELS,
    RATE_HZ,
    SAMPLES,
    SENSOR,
    WINDOW,
    sensor_file,
    stub_plan,
)
from tests.pty_board import PtyBoard
from tests.test_stream import expected_outputs

DEADLINE_S = 60.0


def until(condition: Callable[[], Any], what: str) -> Any:
    """Wait for a true value; a deadline, not a count, ends it."""
    end = time.monotonic() + DEADLINE_S
    while not (found := condition()):
        assert time.monotonic() < end, f"not in {DEADLINE_S:.0f} s: {what}"
        time.sleep(0.02)
    return found


@contextmanager
def running(session: Session) -> Iterator[Session]:
    session.start()
    try:
        yield session
    finally:
        session.stop()


def with_sensor(elf: Path) -> Transport:
    return Native(replay=sensor_file()).start(elf)


def without_sensor(elf: Path) -> Transport:
    return Native().start(elf)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_pace_is_the_clocks_and_what_is_too_late_is_left_out() -> None:
    clock = Clock()
    pace = Pace(100.0, clock)
    assert pace.due() == 0
    clock.now = 0.5
    assert pace.due() == 50
    pace.took(50)
    assert pace.due() == 0
    clock.now = 1.0
    assert pace.due() == 50
    clock.now = 60.0
    assert pace.due() == pytest.approx(100 * BEHIND_S, abs=1)
    pace.took(pace.due())
    assert pace.share < 0.1
    assert pace.due() == 0


def test_a_replay_goes_through_its_recordings_in_turn_and_names_each_truth() -> None:
    clock = Clock()
    takes = [
        Take(name=str(i), truth=f"t{i}", samples=SAMPLES[100 * i : 100 * i + 30 + i])
        for i in range(2)
    ]
    source = ReplaySource(takes, SENSOR, "two", clock)
    got, truths, gaps = [], [], []
    for _ in range(2000):
        clock.now += 0.01
        chunk = source.read()
        if len(chunk.samples):
            got.append(chunk.samples)
            truths.append(chunk.truth)
            gaps.append(chunk.gap)
    whole = np.concatenate(got)
    once = np.concatenate([take.samples for take in takes])
    assert np.array_equal(whole[: 3 * len(once)], np.tile(once, (3, 1)))
    assert gaps == [True, *(a != b for a, b in pairwise(truths))]


def test_history_keeps_the_last_samples_in_bounded_memory() -> None:
    history = SignalHistory(SENSOR, first=7, max_values=100 * CHANNELS)
    rng = np.random.default_rng(1)
    everything = np.zeros((0, CHANNELS), np.int16)
    for size in rng.integers(0, 350, 40):
        part = rng.integers(-100, 100, (size, CHANNELS)).astype(np.int16)
        history.gap()
        history.add(part)
        everything = np.concatenate([everything, part])
        for asked in (1, 50, 100, 10_000):
            found = history.last(asked)
            expected = everything[max(0, len(everything) - min(asked, 100)) :]
            assert np.array_equal(found.samples, expected)
            assert found.first + len(found.samples) == 7 + len(everything) == history.end
    assert history._ring.nbytes == 2 * 100 * CHANNELS
    assert not history.last(5).samples.flags.writeable


def test_thinning_keeps_every_peak_and_shows_gaps() -> None:
    history = SignalHistory(SENSOR)
    values = np.zeros((5000, CHANNELS), np.int16)
    values[1234, 0], values[3456, 0] = 99, -77
    history.add(values[:2000])
    history.gap()
    history.add(values[2000:])
    at, seen = thinned(history.last(5000), 0, 200)
    assert len(at) <= 201 + 1
    assert (np.nanmax(seen), np.nanmin(seen)) == pytest.approx((0.099, -0.077))
    assert at[np.isnan(seen)].tolist() == [2000]
    assert at.tolist() == sorted(at.tolist())


def test_readings_of_every_task() -> None:
    row = np.array([-128, 0, 127, -128, -128, -128, -128], np.int8)
    one = Reader(DESCRIBED, ClassJudge(classes=CLASSES), Rule(inputs=2, threshold=0, pause=1))
    first, second, third = (one.read(row.tobytes()) for _ in range(3))
    assert (first.text, first.confidence) == (LABELS[2], pytest.approx(255 / 256))
    assert [r.decided for r in (first, second, third)] == ["", LABELS[2], ""]
    one.begin()
    assert one.read(row.tobytes()).decided == ""
    with pytest.raises(ValueError, match="buffer"):
        one.read(row.tobytes()[:-1])
    judge = LabelsJudge(labels=LABELS, thresholds=(0.0,) * CLASSES)
    several = Reader(DESCRIBED, judge).read(np.full(7, 5, np.int8).tobytes())
    assert several.text == " + ".join(LABELS)
    units = Units(targets=("speed",), units=("m/s",), mean=(1.0,), deviation=(2.0,), scale=0.01)
    number = Described(labels=(), scale=0.01, zero_point=0, dtype="int8", size=1)
    read = Reader(number, RegressionJudge(units=units)).read(np.array([50], np.int8).tobytes())
    assert read.text == "speed 2.00 m/s"
    assert read.scores == (("speed", pytest.approx(2.0)),)


def test_the_sensors_samples_are_what_the_board_infers_on(tmp_path: Path) -> None:
    with running(Session(stub_plan(tmp_path, with_sensor))) as session:
        until(lambda: len(session.predictions()) >= 6, "six predictions")
        found, signal = session.predictions(), session.signal()
    assert session.snapshot().from_sensor
    assert signal is not None
    assert np.array_equal(signal.samples, SAMPLES[: len(signal.samples)])
    expected = expected_outputs(SAMPLES[: WINDOW + HOP * (len(found) - 1)])
    scores = [np.array([v for _, v in one.reading.scores]) for one in found]
    rows = [np.frombuffer(output, np.int8).astype(float) for output in expected]
    assert np.allclose(scores, (np.array(rows) + 128) / 256)
    assert [one.sample for one in found[:2]] >= [WINDOW, WINDOW + HOP]
    assert found[0].counts > 0


def test_a_board_without_a_sensor_replays_recordings(tmp_path: Path) -> None:
    with running(Session(stub_plan(tmp_path, without_sensor))) as session:
        found = until(session.predictions, "a prediction")
        assert {one.truth for one in found} == {"rest"}
        assert session.snapshot().chosen == HELD_OUT
        session.choose("1")
        until(lambda: session.predictions()[-1].truth == LABELS[0], "the other recording")
        assert "b<i>.csv" in session.snapshot().source
        session.choose("99")
        session.choose("x")
        until(lambda: len(session.predictions()) > 5, "predictions after nonsense")
    plan = stub_plan(tmp_path, without_sensor, takes=(), replay=None, no_takes="none are here")
    with running(Session(plan)) as session:
        until(lambda: session.snapshot().state is State.RUNNING, "a board without a signal")
        assert session.snapshot().source == NO_SOURCE
        assert any("none are here" in note.text for note in session.snapshot().notes)


def test_a_clip_has_the_samples_and_none_goes_over_a_gap(tmp_path: Path) -> None:
    with running(Session(stub_plan(tmp_path, with_sensor))) as session:
        with pytest.raises(UsageError, match="no samples arrive"):
            session.record(ClipRequest(label="wave", who="ann", seconds=1))
        until(session.predictions, "a prediction")
        for label, who, seconds in (("../x", "ann", 1.0), ("wave", "", 1.0), ("wave", "ann", 1e9)):
            with pytest.raises(UsageError):
                session.record(ClipRequest(label=label, who=who, seconds=seconds))
        session.record(ClipRequest(label="wave", who="ann", seconds=0.5))
        clip = until(
            lambda: session.clip.wanted and not session.clip.running and session.clip, "it"
        )
        assert not clip.failed
        assert clip.have == clip.wanted == round(0.5 * RATE_HZ)
        session.record(ClipRequest(label="wave", who="ann", seconds=500))
        until(lambda: session.clip.running, "another clip")
        session.pause()
        until(lambda: session.clip.failed, "its end")
    files = sorted((tmp_path / "recordings").rglob("*.json"))
    assert [file.name for file in files] == ["wave.ann.0001.json"]
    assert str(files[0]) in clip.text


def test_pause_and_resume(tmp_path: Path) -> None:
    with running(Session(stub_plan(tmp_path, with_sensor))) as session:
        until(session.predictions, "a prediction")
        session.pause()
        until(lambda: session.snapshot().state is State.PAUSED, "the pause")
        before = session.signal()
        time.sleep(0.3)
        after = session.signal()
        assert before is not None
        assert after is not None
        assert len(before.samples) == len(after.samples)
        session.resume()
        until(lambda: len(session.signal().samples) > len(after.samples), "more")  # type: ignore[union-attr]
        assert session.signal().gaps == (len(after.samples),)  # type: ignore[union-attr]


def emulators() -> list[int]:
    """Processes of the stub's firmware that this process has started."""
    found = subprocess.run(
        ["pgrep", "-P", str(os.getpid()), "-f", "firmware.elf"], capture_output=True, text=True
    )
    return [int(number) for number in found.stdout.split()]


def test_a_board_that_goes_away_is_told_and_found_again(tmp_path: Path) -> None:
    known = set(emulators())
    session = Session(stub_plan(tmp_path, with_sensor))
    with running(session):
        until(session.predictions, "a prediction")
        (own,) = set(emulators()) - known
        os.kill(own, signals.SIGKILL)
        until(lambda: session.snapshot().state is State.AWAY, "that it is away")
        assert "ended" in session.snapshot().message
        total = session.snapshot().total
        until(lambda: session.snapshot().state is State.RUNNING, "that it is back")
        until(lambda: session.snapshot().total > total, "another prediction")
        assert session.snapshot().link.reconnects == 1
        assert session.signal().gaps  # type: ignore[union-attr]
    assert set(emulators()) <= known
    assert session.snapshot().state is State.STOPPED


def test_a_port_that_goes_away_is_opened_again(tmp_path: Path) -> None:
    elf, port = built_with_features("native") / "firmware.elf", tmp_path / "board"

    def start(_: Path) -> Transport:
        if not port.exists():
            raise DeviceError(f"{port} does not exist")
        return SerialTransport(str(port))

    session = Session(stub_plan(tmp_path, start, emulated=False, start_s=5.0))
    with running(session):
        until(lambda: session.snapshot().state is State.AWAY, "that there is no port yet")
        with PtyBoard(elf, port) as board:
            until(session.predictions, "a prediction")
            board.vanish()
        until(lambda: session.snapshot().state is State.AWAY, "that it has gone")
        total = session.snapshot().total
        with PtyBoard(elf, port):
            until(lambda: session.snapshot().total > total, "predictions of the one that came back")


def test_other_firmware_is_refused(tmp_path: Path) -> None:
    def check(device: object) -> None:
        raise DeviceError("the firmware holds another model")

    with running(Session(stub_plan(tmp_path, with_sensor, check=check))) as session:
        until(lambda: session.snapshot().state is State.AWAY, "the refusal")
        assert "another model" in session.snapshot().message
        assert session.predictions() == ()


def test_a_damaged_line_is_counted_and_the_session_goes_on(tmp_path: Path) -> None:
    reads = [Fault(kind=FaultKind.FLIP, at=at, mask=0x10) for at in (1500, 3000)]
    writes = [Fault(kind=FaultKind.FLIP, at=at, mask=0x10) for at in (800, 2500)]

    def start(elf: Path) -> Transport:
        return FaultyTransport(with_sensor(elf), on_read=reads, on_write=writes)

    def link() -> LinkCounts:
        return session.snapshot().link

    with running(Session(stub_plan(tmp_path, start))) as session:
        until(lambda: link().crc_errors >= 1 and link().refused >= 1, "both kinds of damage")
        until(lambda: link().retries >= 2, "repetitions")
        total = session.snapshot().total
        until(lambda: session.snapshot().total > total + 2, "predictions behind it")
        assert session.snapshot().state is State.RUNNING
        assert session.snapshot().link.reconnects == 0


def prediction(at_s: float, text: str = "rest", **changes: Any) -> Prediction:
    scores = tuple((label, float(label == text)) for label in LABELS)
    values: dict[str, Any] = {
        "index": 0,
        "at_s": at_s,
        "time": 1e9 + at_s,
        "sample": round(at_s * RATE_HZ),
        "reading": Reading(text=text, confidence=0.9, scores=scores, decided=text),
        "counts": 64_000,
        "feature_counts": 10,
        "answer_ms": 1.5,
        "truth": text,
    }
    return Prediction(**(values | changes))


def keys(value: object) -> set[str]:
    """All keys of nested options."""
    if isinstance(value, dict):
        return set(value) | {key for inner in value.values() for key in keys(inner)}
    if isinstance(value, list):
        return {key for inner in value for key in keys(inner)}
    return set()


def test_the_chart_of_a_fast_model_shows_what_there_is() -> None:
    many = [prediction(100 + i / 100, index=1000 + i) for i in range(120)]
    assert predictions_chart(many, LABELS, 101.2)["xAxis"]["min"] == -2.0
    first = [prediction(0.1), prediction(70.0, index=1)]
    options = predictions_chart(first, LABELS, 71.0)
    assert options["xAxis"]["min"] == -60.0
    assert [len(one["data"]) for one in options["series"]] == [1, 1, 1]


def test_no_name_is_a_key_of_a_charts_options() -> None:
    """The page's charts run keys that begin with a colon as code."""
    bad = ":formatter"
    channels = tuple(Channel(name=bad, unit=bad, lsb_nano=1) for _ in range(2))
    history = SignalHistory(Sensor(rate_millihertz=1000, channels=channels))
    history.add(SAMPLES[:10, :2])
    reading = Reading(text=bad, confidence=0.5, scores=((bad, 1.0),), decided=bad)
    numbers = Reading(text=bad, confidence=None, scores=((bad, 1.0),))
    for options in (
        signal_chart(history.last(10), [0, 1], bad, 10.0),
        predictions_chart([prediction(1.0, reading=reading, truth=bad)], [bad], 2.0),
        predictions_chart([prediction(1.0, reading=numbers)], [bad], 2.0),
    ):
        assert options["series"]
        assert not [key for key in keys(options) if key.startswith(":")]


@pytest.mark.parametrize(
    ("unit", "clock_hz", "text"),
    [
        ("nanoseconds", 0, "0.064 ms"),
        ("instructions", 0, "64,000 instructions"),
        ("cycles", 64_000_000, "1.000 ms (64,000 cycles)"),
        ("cycles", 0, "64,000 cycles"),
    ],
)
def test_instructions_of_an_emulator_are_no_time(
    unit: str, clock_hz: int, text: str, tmp_path: Path
) -> None:
    plan = stub_plan(tmp_path, with_sensor, unit=unit, clock_hz=clock_hz)
    assert words.latency(64_000, Session(plan).snapshot()) == text
