"""Counting what a model sees, and telling drift from the usual differences."""

from __future__ import annotations

import ctypes
import dataclasses
import functools
import hashlib
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from host_tools.cli import main
from host_tools.drift.compare import counts_of, print_verdict
from host_tools.drift.statistics import (
    ALPHA,
    MIN_GROUPS,
    MIN_WINDOWS,
    Counts,
    count_recordings,
    draw_mixed,
    draw_streams,
    judge,
    learn_usual,
    population_stability,
    psi_of,
    rate_bound,
    row_names,
    two_sample_g,
)
from host_tools.errors import DeviceError, UsageError
from host_tools.link.protocol import DriftCounts
from model.datasets import load_dataset
from model.datasets.lists import split_groups
from model.datasets.truth import truth_of
from model.files import write_json
from model.recipe_file import load_recipe
from quantize.drift import (
    BINS,
    Bytes,
    CountedRecording,
    DriftPlan,
    Profile,
    as_json,
    emit_drift,
    load_profile,
)
from quantize.errors import ModelError
from tests.host_c import load_library
from tests.native_app import FIRMWARE, STUB, compile_app, compile_c, start_device

MODEL = b"any bytes"
SHA = hashlib.sha256(MODEL).hexdigest()
SAMPLES, STRIDE, CLASSES = 128, 6, 7


def make_profile(
    *,
    channels: int = 6,
    samples: int = SAMPLES,
    stride: int = STRIDE,
    classes: int = CLASSES,
    groups: tuple[int, ...] = (0, 0, 0, 1, 1, 1),
    outputs: tuple[str, ...] = (),
    seed: int = 1,
) -> Profile:
    """A profile whose edges lie where random windows put them; no recordings."""
    plan = DriftPlan(
        samples=samples,
        stride=stride,
        channels=tuple(f"c{k}" for k in range(channels)),
        offsets=tuple(k * stride // channels for k in range(channels)),
        groups=groups,
        group_names=tuple(f"g{k}" for k in sorted(set(groups))),
        zero_point=-5,
        classes=classes,
        outputs=outputs,
        edges=(),
    )
    inputs, answers = random_windows(200, samples * stride, max(classes, 3), seed)
    values = plan.measure(inputs, answers)
    shares = np.arange(1, BINS) / BINS
    edges = tuple(tuple(map(int, np.quantile(v, shares))) for v in values.T)
    plan = dataclasses.replace(plan, edges=edges)
    labels = tuple(f"class {k}" for k in range(classes))
    return Profile(plan=plan, model_sha256=SHA, labels=labels, recordings=())


def random_windows(count: int, size: int, outputs: int, seed: int) -> tuple[Bytes, Bytes]:
    rng = np.random.default_rng(seed)
    high = rng.integers(1, 128, (count, 1))
    rows = rng.integers(-high, high, (count, size), endpoint=True)
    return rows.astype(np.int8), rng.integers(-128, 128, (count, outputs)).astype(np.int8)


class CDrift:
    """The generated C as a shared library."""

    def __init__(self, folder: Path, profile: Profile) -> None:
        for name, text in emit_drift(profile, MODEL, "any").items():
            (folder / name).write_text(text)
        sources = [FIRMWARE / "drift" / "drift.c", folder / "drift_plan.c"]
        flags = [
            f"-I{folder}",
            "-shared",
            "-fPIC",
            "-fsanitize=undefined",
            "-fsanitize-undefined-trap-on-error",
        ]
        library = compile_c(folder / "drift.so", sources, flags)
        self._library = load_library(self, library)
        self._plan = profile.plan
        tests = len(profile.plan.tests)
        size = tests * BINS + profile.plan.classes

        class State(ctypes.Structure):
            _fields_ = (
                ("windows", ctypes.c_uint16),
                ("counts", ctypes.c_uint16 * size),
                ("bins", ctypes.c_uint8 * tests),
            )

        self.state = State()

    def run(self, inputs: Bytes, outputs: Bytes) -> None:
        for x, y in zip(inputs, outputs, strict=True):
            self._library.drift_look(ctypes.byref(self.state), x.tobytes())
            self._library.drift_count(ctypes.byref(self.state), y.tobytes())

    def counts(self) -> tuple[list[list[int]], list[int]]:
        found = list(self.state.counts)
        cut = len(self._plan.tests) * BINS
        return np.reshape(found[:cut], (-1, BINS)).tolist(), found[cut:]


def host_counts(
    plan: DriftPlan, inputs: Bytes, outputs: Bytes
) -> tuple[list[list[int]], list[int]]:
    codes, classes = plan.count(inputs, outputs)
    bins = [np.bincount(column, minlength=BINS).tolist() for column in codes.T]
    return bins, np.bincount(classes, minlength=plan.classes).tolist()


SHAPES: dict[str, dict[str, object]] = {
    "motion": {},
    "one channel": {"channels": 1, "stride": 1, "groups": (0,), "samples": 64},
    "two samples": {"samples": 2},
    "one sample": {"samples": 1},
    "16 of 40 channels": {"channels": 16, "stride": 40, "groups": tuple(range(16)), "samples": 9},
    "no classes": {"classes": 1},
    "numbers": {"classes": 1, "outputs": ("frequency", "level")},
    "the longest": {"channels": 3, "stride": 3, "groups": (0, 0, 0), "samples": 8192},
}


@pytest.mark.parametrize("name", SHAPES)
def test_c_counts_what_python_counts(tmp_path: Path, name: str) -> None:
    profile = make_profile(**SHAPES[name])  # type: ignore[arg-type]
    plan = profile.plan
    inputs, outputs = random_windows(60, plan.samples * plan.stride, max(plan.classes, 3), 7)
    inputs[0], inputs[1], inputs[2] = -128, 127, np.where(np.arange(len(inputs[2])) % 2, 127, -128)
    outputs[0] = 5  # all equal: the first class
    counter = CDrift(tmp_path, profile)
    counter.run(inputs, outputs)
    assert counter.counts() == host_counts(plan, inputs, outputs)
    assert counter.state.windows == 60


def test_a_value_on_an_edge_belongs_to_the_bin_above(tmp_path: Path) -> None:
    profile = make_profile(channels=1, stride=1, groups=(0,), samples=1, classes=1)
    rows = tuple((-3, -2, -1, 0, 1, 2, 3) for _ in profile.plan.tests)
    profile = dataclasses.replace(profile, plan=dataclasses.replace(profile.plan, edges=rows))
    counter = CDrift(tmp_path, profile)
    inputs = np.arange(-4, 4, dtype=np.int8)[:, None]
    counter.run(inputs, np.zeros((8, 3), np.int8))
    assert counter.counts()[0][0] == [1] * 8
    assert counter.counts() == host_counts(profile.plan, inputs, np.zeros((8, 3), np.int8))


def test_counting_stops_when_it_is_full(tmp_path: Path) -> None:
    profile = make_profile()
    counter = CDrift(tmp_path, profile)
    inputs, outputs = random_windows(3, SAMPLES * STRIDE, CLASSES, 7)
    counter.run(inputs[:1], outputs[:1])
    for k, count in enumerate(counter.state.counts):
        counter.state.counts[k] = 65534 if count else 0
    counter.state.windows = 65534
    counter.run(inputs[:1], outputs[:1])
    full = list(counter.state.counts)
    assert counter.state.windows == 65535
    assert set(full) == {0, 65535}
    counter.run(inputs, outputs)
    assert (counter.state.windows, list(counter.state.counts)) == (65535, full)


# --- the firmware -----------------------------------------------------------------------------


@functools.cache
def stub_profile() -> Profile:
    """Of the stub model: 768 bytes in, 7 out."""
    return make_profile()


@pytest.fixture(scope="module")
def firmware(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stub's native firmware with counters."""
    folder = tmp_path_factory.mktemp("drift")
    gen = folder / "gen"
    gen.mkdir()
    for source in STUB.glob("model*"):
        (gen / source.name).write_text(source.read_text())
    for name, text in emit_drift(stub_profile(), MODEL, "stub").items():
        (gen / name).write_text(text)
    return compile_app(folder, gen)


def stub_answers(inputs: Bytes) -> Bytes:
    """The stub doubles its first bytes."""
    return (inputs[:, :CLASSES].view(np.uint8) * 2).astype(np.uint8).view(np.int8)


def test_a_board_counts_inferences_and_forgets_on_demand(firmware: Path) -> None:
    inputs, _ = random_windows(20, SAMPLES * STRIDE, CLASSES, 9)
    expected = host_counts(stub_profile().plan, inputs, stub_answers(inputs))
    with start_device(firmware) as device:
        assert device.drift().windows == 0
        for row in inputs:
            device.run([row])
        device.selftest()
        device.write_inputs([inputs[0]])
        device.profile()
        device.tap(0, 0, 4)
        device.command("bench 2")
        read = device.drift()
        assert ([list(row) for row in read.bins], list(read.classes)) == expected
        assert (read.windows, read.profile) == (20, stub_profile().number)
        assert device.drift() == read
        assert device.drift(reset=True).windows == 0
        device.run([inputs[0]])
        assert device.drift().windows == 1


@pytest.mark.parametrize(
    ("payload", "status"),
    [(b"", 4), (b"\x00", 4), (bytes(5), 4), (b"\x02\0\0\0", 7), (b"\0\0\0\x80", 7)],
)
def test_bad_requests_are_refused(firmware: Path, payload: bytes, status: int) -> None:
    from host_tools.link.frames import Frame, FrameDecoder, encode
    from tests.native_app import start

    transport = start(firmware)
    try:
        transport.write(encode(Frame(type=0x01, sequence=1)))
        transport.write(encode(Frame(type=0x0D, sequence=1, payload=payload)))
        decoder, frames = FrameDecoder(), []
        while not frames:
            data = transport.read(5.0)
            assert data, "no reply"
            frames = [e for e in decoder.feed(data) if isinstance(e, Frame) and e.type == 0x8D]
        assert [(f.status, f.payload) for f in frames] == [(status, b"")]
    finally:
        transport.close()


def test_firmware_without_counters_says_so(tmp_path: Path) -> None:
    with (
        start_device(compile_app(tmp_path)) as device,
        pytest.raises(DeviceError, match=r"BAD_TYPE.*older than these tools, or was built without"),
    ):
        device.drift()


def test_counts_of_another_profile_are_refused() -> None:
    profile = stub_profile()
    bins = tuple((0,) * BINS for _ in profile.plan.tests)
    good = DriftCounts(profile=profile.number, windows=0, bins=bins, classes=(0,) * CLASSES)
    assert counts_of(good, profile).bins.shape == (len(profile.plan.tests), BINS)
    for change in ({"profile": 1}, {"bins": bins[1:]}, {"bins": ()}, {"classes": (0,)}):
        with pytest.raises(DeviceError, match="build and flash again"):
            counts_of(dataclasses.replace(good, **change), profile)  # type: ignore[arg-type]


# --- statistics -------------------------------------------------------------------------------


def test_psi_against_a_hand_calculation() -> None:
    # (0.5 - 0.25) ln 2 + (0.3 - 0.25) ln 1.2 + (0.2 - 0.5) ln 0.4, worked out by hand
    got = population_stability(np.array([0.5, 0.3, 0.2]), np.array([0.25, 0.25, 0.5]))
    assert math.isclose(float(got), 0.1732868 + 0.0091161 + 0.2748872, abs_tol=1e-6)
    assert float(population_stability(np.full(4, 0.25), np.full(4, 0.25))) == 0


def test_g_against_a_hand_calculation() -> None:
    # 2 * (10 ln(10/15) + 20 ln(20/15)) for each of the mirrored rows
    g, p = two_sample_g(np.array([10, 20, 0]), np.array([20, 10, 0]))
    assert math.isclose(g, 2 * 2 * (10 * math.log(10 / 15) + 20 * math.log(20 / 15)), rel_tol=1e-9)
    assert 0.009 < p < 0.0095
    assert two_sample_g(np.array([5, 0]), np.array([9, 0])) == (0.0, 1.0)


def simulate(
    rng: np.random.Generator, groups: int, spread: float, *, first: int = 0
) -> list[CountedRecording]:
    """Groups and recordings with a taste of their own: their windows resemble each other."""
    profile = stub_profile()
    tests = len(profile.plan.tests)
    found = []
    for group in range(groups):
        own = rng.normal(0, spread, tests)
        for take in range(14):
            centre = own + rng.normal(0, 0.5, tests)
            values = centre + rng.normal(0, 0.7, (25, tests))
            codes = np.clip(np.floor(values * 1.5 + BINS / 2), 0, BINS - 1).astype(np.uint8)
            classes = np.full(25, take % CLASSES, np.uint8)
            found.append(CountedRecording(group=str(first + group), codes=codes, classes=classes))
    return found


def simulated_profile(rng: np.random.Generator, spread: float = 0.4) -> Profile:
    return dataclasses.replace(stub_profile(), recordings=tuple(simulate(rng, 8, spread)))


@pytest.mark.parametrize("windows", [32, 128])
def test_false_alarms_on_new_groups_of_the_same_kind(windows: int) -> None:
    """80 fresh groups, five against each profile of 8 others; independent tests alarm on all.

    What the profiles measure on their own groups is that rate as well.
    """
    rng = np.random.default_rng(11)
    alarms, measured, naive = [], [], []
    for _ in range(16):
        profile = simulated_profile(rng)
        usual = learn_usual(profile, windows, streams=60)
        measured.append(usual.measured)
        reference = count_recordings(profile.plan, profile.recordings)
        fresh = simulate(rng, 5, 0.4, first=100)
        for name in sorted({r.group for r in fresh}):
            own = [r for r in fresh if r.group == name]
            drawn = draw_streams(profile.plan, own, windows, 20, rng)
            alarms.append((usual.p_values(psi_of(drawn, reference)) <= ALPHA).any(axis=1).mean())
        one = Counts(bins=drawn.bins[0], classes=drawn.classes[0])
        rows = judge(profile, one, usual).rows
        naive.append(min(row.naive_p for row in rows) * len(rows) <= ALPHA)
    assert float(np.mean(alarms)) <= ALPHA + 0.04  # 80 groups: a standard error of 0.024
    assert float(np.mean(measured)) == pytest.approx(float(np.mean(alarms)), abs=0.04)
    assert all(naive)


def test_a_shift_is_caught_and_named() -> None:
    rng = np.random.default_rng(12)
    profile = simulated_profile(rng)
    usual = learn_usual(profile, 128)
    fresh = simulate(rng, 1, 0.0, first=100)
    for shift, expected in ((0, False), (4, True)):
        moved = []
        for r in fresh:
            codes = r.codes.copy()
            codes[:, 3] = np.clip(codes[:, 3].astype(int) + shift, 0, BINS - 1)
            moved.append(dataclasses.replace(r, codes=codes))
        drawn = draw_streams(profile.plan, moved, 128, 1, rng)
        verdict = judge(profile, Counts(bins=drawn.bins[0], classes=drawn.classes[0]), usual)
        assert verdict.alarm == expected
        assert verdict.windows == 128
        alarmed = [row.test for row in verdict.rows if row.alarm]
        assert alarmed == ([row_names(profile.plan)[3]] if expected else [])


def test_a_group_unlike_the_others_shows_in_the_measured_rate(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One of eight whose readings all alarm: an eighth, and the reading says so."""
    profile = simulated_profile(np.random.default_rng(18))
    odd = [
        dataclasses.replace(r, codes=np.full_like(r.codes, BINS - 1)) if r.group == "5" else r
        for r in profile.recordings
    ]
    usual = learn_usual(dataclasses.replace(profile, recordings=tuple(odd)), 128, streams=40)
    assert learn_usual(profile, 128, streams=40).measured < 0.125 <= usual.measured < 0.2
    drawn = draw_streams(profile.plan, profile.recordings, 128, 1, np.random.default_rng(1))
    verdict = judge(profile, Counts(bins=drawn.bins[0], classes=drawn.classes[0]), usual)
    print_verdict(verdict, "board")
    told = capsys.readouterr().out
    assert f"asked for 5%, measured {usual.measured:.1%} on 8 groups" in told
    assert f"at most {rate_bound(usual.measured, 8):.0%}, 95% sure" in told
    first, *rest = verdict.rows
    named = dataclasses.replace(first, test="[/red] mean")  # a channel's name is the user's
    print_verdict(dataclasses.replace(verdict, rows=(named, *rest)), "board")
    assert "[/red] mean" in capsys.readouterr().out


def test_bounds_of_a_rate() -> None:
    # no success in 10 trials: 1 - 0.05 ** (1 / 10); one in 8: of Clopper and Pearson's tables
    assert rate_bound(0.0, 10) == pytest.approx(1 - 0.05**0.1)
    assert rate_bound(1 / 8, 8) == pytest.approx(0.4707, abs=1e-4)
    assert rate_bound(1.0, 8) == 1


@pytest.mark.parametrize(("share", "expected"), [(1.0, 64), (0.25, 16), (0.0, 0)])
def test_a_mixed_reading_has_its_share(share: float, expected: int) -> None:
    recordings = simulate(np.random.default_rng(19), 1, 0.4)
    first = [r for r in recordings if r.classes[0] == 3]
    rest = [r for r in recordings if r.classes[0] != 3]
    rng = np.random.default_rng(1)
    drawn = draw_mixed(stub_profile().plan, first, rest, share, 64, 5, rng)
    assert drawn.classes[:, 3].tolist() == [expected] * 5
    assert (drawn.classes.sum(axis=1) == 64).all() and (drawn.bins.sum(axis=2) == 64).all()


def test_another_mix_of_classes_moves_the_classes_only() -> None:
    """Bins are compared with those of the named classes."""
    profile = stub_profile()
    tests = len(profile.plan.tests)
    recordings = [
        CountedRecording(
            group=str(g), codes=np.full((50, tests), k, np.uint8), classes=np.full(50, k, np.uint8)
        )
        for g in range(4)
        for k in range(CLASSES)
    ]
    reference = count_recordings(profile.plan, recordings)
    only = count_recordings(profile.plan, [r for r in recordings if r.classes[0] == 2])
    counts = Counts(bins=only.sum(axis=0), classes=only[:, 0].sum(axis=1))
    psi = psi_of(counts, reference)
    assert psi[:-1].max() < 0.05
    assert psi[-1] > 2


def test_too_little_is_refused() -> None:
    profile = simulated_profile(np.random.default_rng(13))
    with pytest.raises(UsageError, match="let the board run longer"):
        learn_usual(profile, MIN_WINDOWS - 1)
    few = dataclasses.replace(
        profile, recordings=tuple(r for r in profile.recordings if r.group in "012")
    )
    with pytest.raises(UsageError, match="3 groups"):
        learn_usual(few, 64)


@settings(max_examples=25)
@given(counts=st.lists(st.integers(0, 65535), min_size=BINS, max_size=BINS).filter(any))
def test_any_counts_give_finite_numbers(counts: list[int]) -> None:
    profile = simulated_profile(np.random.default_rng(14))
    reference = count_recordings(profile.plan, profile.recordings)
    tests = len(profile.plan.tests)
    classes = np.zeros(CLASSES, np.int64)
    classes[0] = sum(counts)
    psi = psi_of(Counts(bins=np.array([counts] * tests), classes=classes), reference)
    assert np.isfinite(psi).all() and (psi >= 0).all()


# --- files ------------------------------------------------------------------------------------


def test_the_starter_has_enough_people(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a newcomer makes first can show drift, in an emulator as on a board."""
    assert main(["new", "mine"]) == 0
    monkeypatch.chdir(project / "mine")
    recipe = load_recipe("mine.toml", write_lock=False)
    dataset = load_dataset(recipe.dataset, truth_of(recipe))
    groups = split_groups(dataset, recipe.dataset)
    assert len({*groups["train"], *groups["val"]}) >= MIN_GROUPS


def test_the_profile_survives_its_file(tmp_path: Path) -> None:
    profile = simulated_profile(np.random.default_rng(15))
    write_json(tmp_path / "profile.json", as_json(profile))
    read = load_profile(tmp_path / "profile.json")
    assert (read.plan, read.number, read.labels) == (profile.plan, profile.number, profile.labels)
    for a, b in zip(read.recordings, profile.recordings, strict=True):
        assert a.group == b.group
        assert np.array_equal(a.codes, b.codes) and np.array_equal(a.classes, b.classes)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("number",), 1),
        (("plan", "edges"), [[1, 2]]),
        (("plan", "zero_point"), 3),
        (("plan", "extra"), 3),
        (("recordings",), []),
        (("recordings", 0, "codes"), ["9" * 15] * 25),
        (("recordings", 0, "codes"), ["0"]),
        (("recordings", 0, "classes"), [200] * 25),
        (("recordings", 0), {}),
    ],
)
def test_a_damaged_profile_is_refused(
    tmp_path: Path, path: tuple[str | int, ...], value: object
) -> None:
    content = as_json(simulated_profile(np.random.default_rng(16)))
    target = json.loads(json.dumps(content))
    place = target
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    write_json(tmp_path / "profile.json", target)
    with pytest.raises(ModelError, match="make emit"):
        load_profile(tmp_path / "profile.json")


def test_a_profile_of_another_model_is_not_compiled() -> None:
    with pytest.raises(ModelError, match="the model is"):
        emit_drift(stub_profile(), b"another", "any")
