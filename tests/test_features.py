"""The front ends: equal to their meaning, to themselves in any pieces, and to the generated C."""

from __future__ import annotations

import dataclasses
import re
import subprocess
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymicro_features import MicroFrontend

from model.errors import ConfigError
from model.features.design import FrontEnd, design, state_bytes
from model.features.library import STAGES, Extractor, quantise_features
from model.recipe import FeatureConfig, LogmelConfig, SpectralConfig
from quantize.errors import ModelError
from quantize.features import emit_features
from quantize.inputs import input_requant
from quantize.scheme import QuantParams
from quantize.tflite.graph import Graph, Tensor
from tests.front_ends import CONFIGS, LOGMEL, RAW, SPECTRAL, front_end, reference, signals
from tests.host_c import WARNINGS

ROOT = Path(__file__).parents[1]
FEATURES = ROOT / "firmware/features"
FNV_START = 2166136261
LEVEL = 10.0  # LSB^2: quieter bands are below the resolution of the FFT beside louder ones
TOLERANCE = 1 / 16  # of log2 above LEVEL; a quarter of a decibel of power


@pytest.mark.parametrize("kind", CONFIGS)
def test_features_are_what_they_mean(kind: str) -> None:
    fe = front_end(kind)
    scale = np.array(CONFIGS[kind][0].scale)
    for name, samples in signals(fe, fe.window).items():
        got = Extractor(fe).batch(samples[None])[0] * fe.feature_scale
        expected, power = reference(kind, samples)
        error = np.abs(got - expected)
        # two halves of a step, and what a mean or a logarithm in 1/256 was rounded to before
        rounding = fe.feature_scale + (0 if kind == "raw" else 1.5 / 256 / scale)
        assert (error <= rounding)[np.isinf(power)].all(), name
        heard = ~np.isinf(power) & (power > LEVEL)
        assert (error * scale)[heard].max(initial=0) <= TOLERANCE, name


def test_loud_sound_has_no_error_but_rounding() -> None:
    fe = front_end("logmel")
    samples = signals(fe, fe.window)["noise"]
    got = Extractor(fe).batch(samples[None])[0] * fe.feature_scale
    assert np.abs(got - reference("logmel", samples)[0]).max() * 2 < 1.5 / 256


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_stream_gives_the_windows_of_a_batch(kind: str) -> None:
    fe = front_end(kind)
    samples = signals(fe, fe.window + 5 * fe.hop + fe.hop // 2)["noise"]
    extractor = Extractor(fe)
    streamed = extractor.push(samples)
    starts = range(0, len(samples) - fe.window + 1, fe.hop)
    batch = extractor.batch(np.stack([samples[s : s + fe.window] for s in starts]))
    assert len(streamed) == 6
    assert np.array_equal(streamed, batch)
    assert len(np.unique(batch.reshape(6, -1), axis=0)) == 6


@pytest.mark.parametrize("kind", CONFIGS)
@settings(max_examples=20)
@given(cuts=st.lists(st.integers(0, 2500), max_size=6), seed=st.integers(0, 9))
def test_any_pieces_give_the_same(kind: str, cuts: list[int], seed: int) -> None:
    fe = front_end(kind)
    rng = np.random.default_rng(seed)
    samples = rng.integers(-32768, 32768, (fe.window + 2 * fe.hop, fe.channels), np.int16)
    whole, pieces = Extractor(fe), Extractor(fe)
    whole.trace()
    pieces.trace()
    expected = whole.push(samples)
    got = [pieces.push(part) for part in np.split(samples, sorted(cuts))]
    assert np.array_equal(np.concatenate(got), expected)
    assert pieces.hashes() == whole.hashes()


@pytest.mark.parametrize("kind", CONFIGS)
def test_stages_are_hashed(kind: str) -> None:
    fe = front_end(kind)
    extractor = Extractor(fe)
    samples = signals(fe, fe.window)["noise"]
    extractor.trace()
    features = extractor.push(samples)
    hashes = extractor.hashes()
    used = {"raw": {"features"}}.get(kind, {"window", "spectrum", "bands", "features"})
    assert {stage for stage in STAGES if hashes[stage] != FNV_START} == used
    expected = FNV_START
    for byte in features.tobytes():
        expected = (expected ^ byte) * 16777619 % 2**32
    assert hashes["features"] == expected
    samples[fe.window // 2 : fe.window // 2 + 9] //= 4
    extractor.reset()
    extractor.trace()
    extractor.push(samples)
    assert {s for s in STAGES if extractor.hashes()[s] != hashes[s]} == used


@settings(max_examples=20)
@given(st.integers(2**14, 2**15 - 1), st.integers(1, 30), st.integers(-128, 127))
def test_quantising_rounds_halves_away_from_zero(multiplier: int, shift: int, zero: int) -> None:
    edges = np.arange(-32768, 32768, 17)
    halves = np.array([k * 2 ** (shift - 1) // multiplier for k in range(-300, 300)])
    features = np.concatenate([edges, halves[np.abs(halves) < 32768], [32767]]).astype(np.int16)
    got = quantise_features(features, multiplier, shift, zero)
    for feature, value in zip(features.tolist(), got.tolist(), strict=True):
        exact = Fraction(feature * multiplier, 2**shift)
        size = (abs(exact) + Fraction(1, 2)).__floor__()
        rounded = size if exact >= 0 else -size
        assert value == max(-128, min(127, zero + rounded))


def test_halves_are_met() -> None:
    got = quantise_features(np.array([-6, -2, 2, 6], np.int16), 2**14, 16, 0)
    assert got.tolist() == [-2, -1, 1, 2]


def test_samples_become_steps_of_the_sensor() -> None:
    fe = dataclasses.replace(front_end("raw"), lsb=(0.5, 0.25, 1.0))
    values = np.array([[0.25, -0.125, 1e9], [0.24, -0.2, -1e9], [np.nan, np.inf, -np.inf]])
    assert fe.to_lsb(values).tolist() == [[1, -1, 32767], [0, -1, -32768], [0, 32767, -32768]]


def test_beside_another_front_end() -> None:
    """Google's MicroFrontend divides by a running noise estimate and gain: the same frames and
    frequencies, another loudness. So the loudest column is the same, and rises and falls are.
    """
    config = dataclasses.replace(LOGMEL, window=480 + 97 * 160)
    extractor = Extractor(design(config, 16000.0, 1))
    at = np.arange(16000) / 16000
    noise = np.random.default_rng(0).normal(0, 1, 16000)
    chirp = 0.3 * np.sin(2 * np.pi * (200 * at + 3000 * at**2)) + 0.005 * noise
    bursts = noise * np.where(np.sin(6 * np.pi * at) > 0, 0.2, 0.005)
    found = []
    for signal in (chirp, bursts):
        samples = extractor.front_end.to_lsb(signal[:, None])
        ours = extractor.batch(samples[None, : config.window])[0] * 1.0
        found.append((ours, _micro_frontend(samples.tobytes())))
    ours, theirs = found[0]
    assert np.abs(ours.argmax(axis=1) - theirs.argmax(axis=1)).max() <= 2
    ours, theirs = found[1]
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.85


def _micro_frontend(data: bytes) -> np.ndarray:
    frontend = MicroFrontend()
    chunks = [data[i : i + 320] for i in range(0, len(data), 320)]
    rows = [frontend.process_samples(chunk).features for chunk in chunks]
    return np.array([row for row in rows if row])


# --- what a recipe can get wrong ---------------------------------------------------------------


def _spectral(**changes: object) -> FeatureConfig:
    assert SPECTRAL.spectral is not None
    table: SpectralConfig = dataclasses.replace(SPECTRAL.spectral, **changes)  # type: ignore[arg-type]
    return dataclasses.replace(SPECTRAL, spectral=table)


def _logmel(**changes: object) -> FeatureConfig:
    assert LOGMEL.logmel is not None
    table: LogmelConfig = dataclasses.replace(LOGMEL.logmel, **changes)  # type: ignore[arg-type]
    return dataclasses.replace(LOGMEL, logmel=table)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (dataclasses.replace(RAW, kind="mfcc"), "features.kind: unknown front end 'mfcc'"),
        (dataclasses.replace(RAW, kind="logmel"), r"\[features.logmel\] is missing"),
        (dataclasses.replace(RAW, logmel=LOGMEL.logmel), "belongs to another kind"),
        (dataclasses.replace(RAW, offset=(0.0, 1.0)), "features.offset: expected one value, or 3"),
        (dataclasses.replace(RAW, offset=(0.0, 0.0, 9e9)), "features.scale: column"),
        (dataclasses.replace(RAW, scale=(1e-4, 1.0, 1.0)), "features.scale: column 1 would have"),
        (dataclasses.replace(RAW, window=20000), "features.window: the front end would keep"),
        (_spectral(points=48), "features.spectral.points: expected a power of two"),
        (_spectral(points=8), "features.spectral.points: expected a power of two, 16 to"),
        (_spectral(band_edges_hz=(0.0, 51.0)), "band_edges_hz: expected at most half"),
        (_spectral(band_edges_hz=(3.2, 6.0)), "no bin of the FFT is from 3.2 to 6 Hz"),
        (_spectral(band_edges_hz=(9.0, 3.0)), "no bin of the FFT"),
        (_spectral(band_edges_hz=(9.0,)), "band_edges_hz: expected 2 to"),
        (dataclasses.replace(SPECTRAL, window=100), "multiple of half of features.spectral.points"),
        (dataclasses.replace(SPECTRAL, window=16), "and at least 32; got 16"),
        (dataclasses.replace(SPECTRAL, window=16384), "features.window: expected at most 8192"),
        (_logmel(points=500), "features.logmel.points: expected a power of two"),
        (_logmel(points=256), "features.logmel.points: expected at least the 480 samples"),
        (_logmel(high_hz=8001.0), "features.logmel.high_hz: expected at most half"),
        (_logmel(low_hz=7500.0), "features.logmel.low_hz: expected 0 to below high_hz"),
        (_logmel(mels=100, high_hz=4000.0), r"features.logmel.mels: filter \d+ of 100 has no bin"),
        (_logmel(mels=0), "features.logmel.mels: expected 1 to"),
        (_logmel(floor=-50.0), r"features.logmel.floor: expected -44 to 20.* got -50"),
        (_logmel(range=0.5), r"features.logmel.range: expected 0 or 1 to 64.* got 0.5"),
        (_logmel(floor=20.0), r"features.logmel.floor: expected -44 to 20.* got 20"),
        (_logmel(frame_ms=30.01), "features.logmel.frame_ms: expected a whole number of samples"),
        (_logmel(hop_ms=31.0), "features.logmel.hop_ms: expected at most frame_ms"),
        (dataclasses.replace(LOGMEL, window=1900), "and a multiple of 160 more, as 1920; got 1900"),
        (dataclasses.replace(LOGMEL, hop=100), "features.hop: expected a multiple of"),
        (dataclasses.replace(LOGMEL, lsb=(1.0, 1.0)), "'logmel' takes one channel"),
    ],
)
def test_a_wrong_front_end_names_the_key(config: FeatureConfig, words: str) -> None:
    channels = 3 if config.kind in ("raw", "mfcc") else len(config.lsb)
    with pytest.raises(ConfigError, match=words):
        design(config, CONFIGS.get(config.kind, (RAW, 100.0))[1], channels)


# --- the generated C ---------------------------------------------------------------------------

QUANT = QuantParams(scale=(0.05,), zero_point=(-3,))
MAIN = """
#include <stdio.h>
#include "model_features.h"
#define SIZE ((size_t)MODEL_FE_COUNT)
static uint64_t state[(MODEL_FE_STATE_BYTES + 7) / 8];
static int16_t sample[MODEL_FE_CHANNELS], features[MODEL_FE_COUNT];
static int8_t input[MODEL_FE_COUNT];
int main(void)
{
    fe_trace_t trace;
    fe_reset(&model_features, state);
    fe_trace(state, &trace);
    while (fread(sample, sizeof(sample), 1, stdin) == 1) {
        if (fe_push(&model_features, state, sample, features)) {
            fe_quantise(features, SIZE, MODEL_FE_MULTIPLIER, MODEL_FE_SHIFT,
                        MODEL_FE_ZERO_POINT, input);
            fe_trace_add(&trace, FE_STAGE_INPUT, input, SIZE);
            fwrite(features, sizeof(features), 1, stdout);
            fwrite(input, sizeof(input), 1, stdout);
        }
    }
    fwrite(trace.hash, sizeof(trace.hash), 1, stdout);
    return 0;
}
"""


def _graph(fe: FrontEnd, quant: QuantParams = QUANT, rows: int = 0) -> Graph:
    shape = (1, rows or fe.rows, 1, fe.columns)
    tensor = Tensor(index=0, name="", dtype="int8", shape=shape, quant=quant, data=None)
    return Graph(tensors=(tensor,), operators=(), inputs=(0,), outputs=(0,))


def _write(fe: FrontEnd, folder: Path) -> list[str]:
    files = emit_features(fe, _graph(fe), name="x", sample_rate_hz=100.0)
    for name, text in files.items():
        (folder / name).write_text(text)
    return [str(path) for path in (folder / "model_features.c", *sorted(FEATURES.glob("*.c")))]


@pytest.mark.parametrize("kind", CONFIGS)
def test_generated_c_equals_python_at_the_extremes(kind: str, tmp_path: Path) -> None:
    """Under the sanitizers, so a sum that overflows ends it."""
    fe = front_end(kind)
    sources = _write(fe, tmp_path)
    (tmp_path / "main.c").write_text(MAIN)
    sanitizers = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    command = ["gcc", "-std=c11", "-O1", *WARNINGS, *sanitizers, f"-I{FEATURES}", f"-I{tmp_path}"]
    program = tmp_path / "main"
    subprocess.run([*command, *sources, tmp_path / "main.c", "-o", program], check=True, timeout=60)
    requant = dataclasses.asdict(input_requant(_graph(fe), fe.feature_scale))
    extractor = Extractor(fe)
    for name, samples in signals(fe, fe.window + 2 * fe.hop).items():
        done = subprocess.run([program], input=samples.tobytes(), capture_output=True, timeout=60)
        assert done.returncode == 0, f"{name}: {done.stderr.decode()}"
        extractor.reset()
        extractor.trace()
        features = extractor.push(samples)
        expected = b"".join(
            f.tobytes() + quantise_features(f, **requant).tobytes() for f in features
        )
        hashes = np.frombuffer(done.stdout[-4 * len(STAGES) :], np.uint32)
        assert done.stdout[: -4 * len(STAGES)] == expected, name
        assert hashes.tolist()[:-1] == list(extractor.hashes().values())[:-1], name
        assert hashes[-1] != FNV_START


@pytest.mark.parametrize("compiler", ["gcc", "arm-none-eabi-gcc", "xtensa-lx106-elf-gcc"])
@pytest.mark.parametrize("kind", CONFIGS)
def test_generated_c_compiles_for_every_core(kind: str, compiler: str, tmp_path: Path) -> None:
    fe = front_end(kind)
    sources = _write(fe, tmp_path)
    if compiler != "gcc":  # pointers of 4 bytes
        with (tmp_path / "model_features.c").open("a") as file:
            file.write(f'_Static_assert(MODEL_FE_STATE_BYTES == {state_bytes(fe)}, "size");\n')
    command = [compiler, "-std=c11", "-O2", *WARNINGS, f"-I{FEATURES}", f"-I{tmp_path}", "-c"]
    subprocess.run([*command, *sources], cwd=tmp_path, check=True, timeout=60)


def test_the_same_front_end_gives_the_same_text_and_none_gives_a_flag() -> None:
    texts = [
        emit_features(fe, _graph(fe), name="a/*", sample_rate_hz=100.0)
        for fe in (front_end("logmel"), front_end("logmel"))
    ]
    assert texts[0] == texts[1]
    assert "a/*" not in texts[0]["model_features.c"]
    none = emit_features(None, _graph(front_end("raw")), name="a", sample_rate_hz=0.0)
    assert list(none) == ["model_features.h"]
    assert re.search(r"#define MODEL_FEATURES 0\b", none["model_features.h"])


def test_a_model_that_does_not_fit_the_front_end_is_refused() -> None:
    fe = front_end("raw")
    with pytest.raises(ModelError, match="the front end makes 40 x 3 features"):
        emit_features(fe, _graph(fe, rows=41), name="a", sample_rate_hz=100.0)
    with pytest.raises(ModelError, match="do not fit together"):
        input_requant(_graph(fe, QuantParams(scale=(1e-9,), zero_point=(0,))), fe.feature_scale)
