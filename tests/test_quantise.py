"""Training and quantisation, end to end on the real data with few steps."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from model.datasets import load_dataset
from model.errors import ModelSideError
from model.features.design import feature_text, recipe_front_end
from model.features.library import Extractor, quantise_features
from model.recipe import Recipe
from model.recipe_file import load_recipe
from model.stages.check import check
from model.stages.splits import load_splits
from model.stages.train import train
from quantize.errors import ModelError, QuantizeError
from quantize.float_outputs import load_float_outputs
from quantize.golden import load_golden
from quantize.inputs import input_requant
from quantize.manifest import compile_model, compile_sets
from quantize.pipeline import quantise_recipe
from quantize.reference import Reference
from quantize.stages.cross_validate import cross_validate
from quantize.tflite.reader import read_features, read_model

MOTION = load_recipe("motion")
QUICK = dataclasses.replace(
    MOTION,
    train=dataclasses.replace(MOTION.train, steps=60, min_balanced_accuracy=0.3),
    quantisation=dataclasses.replace(
        MOTION.quantisation,
        choice="validation",
        qat_steps=15,
        calibration_windows=70,
        max_drop=0.05,
        min_equal_outputs=0.5,
        max_lsb=24,
    ),
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """build/motion after check and train with few steps."""
    out_dir = tmp_path_factory.mktemp("build") / "motion"
    check(QUICK, out_dir)
    train(QUICK, out_dir, QUICK.as_dict())
    return out_dir


@pytest.fixture(scope="module")
def quantised(trained: Path) -> Path:
    """The same after quantisation."""
    quantise_recipe(QUICK, trained)
    return trained


def test_the_network_learns(trained: Path) -> None:
    result = json.loads((trained / "train.json").read_text())
    assert result["history"]["loss"][-1] < result["history"]["loss"][0]
    assert result["metrics"]["val"]["balanced_accuracy"] > 0.3
    assert result["baselines"]["majority"]["balanced_accuracy"] == pytest.approx(1 / 7)


def test_both_quantisations_are_measured_and_one_is_chosen(quantised: Path) -> None:
    result = json.loads((quantised / "quantize.json").read_text())
    scores = {n: c["val"]["balanced_accuracy"] for n, c in result["candidates"].items()}
    assert set(scores) == {"ptq", "qat"}
    assert scores[result["chosen"]] == max(scores.values())
    train_groups = {r.group for r in load_dataset(QUICK.dataset).recordings}
    train_groups -= {*QUICK.dataset.val_groups, *QUICK.dataset.test_groups}
    assert set(result["calibration"]["groups"]) == train_groups
    for tensor in result["calibration"]["tensors"]:
        assert tensor["minimum"] <= tensor["low"] <= tensor["high"] <= tensor["maximum"]
        assert 0 <= tensor["saturated"] < 0.05


def test_the_export_is_the_trained_graph(quantised: Path) -> None:
    fidelity = json.loads((quantised / "quantize.json").read_text())["fidelity"]
    assert fidelity["equal_share"] >= QUICK.quantisation.min_equal_outputs
    assert fidelity["layers"][0]["max_lsb"] <= 1
    assert all(layer["equal_share"] > 0.3 for layer in fidelity["layers"])


def test_the_whole_test_split_is_equal_in_the_reference(quantised: Path) -> None:
    golden = load_golden(quantised / "golden.npz")
    reference = Reference(read_model(quantised / "model.tflite"))
    with np.load(quantised / "labels.npz") as labels:
        assert len(labels["y"]) == len(golden)
    for case in range(len(golden)):
        got = reference.run(golden.case_inputs(case))[0]
        assert np.array_equal(got, golden.case_outputs(case)[0]), f"case {case}"


def test_the_float_network_is_asked_the_same_windows(quantised: Path) -> None:
    from model.train import load_network, predict

    floats = load_float_outputs(quantised / "float.npz")
    assert floats.mismatch(load_golden(quantised / "golden.npz")) is None
    assert floats.network == "the trained float network before quantisation"
    network = load_network(QUICK, load_dataset(QUICK.dataset), quantised / "float.weights.h5")
    expected = predict(network, load_splits(quantised).test)
    assert np.array_equal(floats.outputs[0][:, 0], expected)
    assert floats.alarm_scores is None


def test_golden_inputs_are_what_a_device_makes_of_the_samples(quantised: Path) -> None:
    graph = read_model(quantised / "model.tflite")
    extractor = Extractor(recipe_front_end(QUICK))
    requant = asdict(input_requant(graph, extractor.front_end.feature_scale))
    golden = load_golden(quantised / "golden.npz").inputs[0].reshape(-1, 256, 6)
    with np.load(quantised / "samples.npz") as stored:
        inputs = quantise_features(extractor.batch(stored["samples"]), **requant)
        streamed = quantise_features(extractor.push(stored["stream"]), **requant)
    assert np.array_equal(inputs, golden)
    assert len(streamed) > 1
    assert np.array_equal(streamed, golden[: len(streamed)])


def test_the_model_file_stands_for_its_front_end(quantised: Path, tmp_path: Path) -> None:
    model = (quantised / "model.tflite").read_bytes()
    golden = load_golden(quantised / "golden.npz")
    assert read_features(model) == feature_text(QUICK)
    folders = {"ref": tmp_path / "gen"}
    other = dataclasses.replace(QUICK, features=dataclasses.replace(QUICK.features, hop=32))
    with pytest.raises(ModelError, match="made with another front end than the recipe's"):
        compile_sets(model, golden, folders, name="motion", settings={}, recipe=other)
    assert not folders["ref"].exists()
    compile_sets(model, golden, folders, name="motion", settings={}, recipe=QUICK)
    manifest = json.loads((folders["ref"] / "manifest.json").read_text())
    assert manifest["features"]["kind"] == "raw"
    assert "fe_push_raw" in (folders["ref"] / "model_features.c").read_text()
    rng = np.random.default_rng(0)
    for _ in range(300):
        damaged = bytearray(model[: rng.integers(8, len(model))] if rng.random() < 0.3 else model)
        for at in rng.integers(0, len(damaged), 40):
            damaged[at] ^= 1 << rng.integers(8)
        with contextlib.suppress(ModelError):
            read_features(bytes(damaged))
    elsewhere = model.replace(b"tinyproof.features", b"tinyproof.feature_")
    assert read_features(elsewhere) is None
    golden = dataclasses.replace(golden, model_sha256=hashlib.sha256(elsewhere).hexdigest())
    compile_sets(elsewhere, golden, folders, name="motion", settings={}, recipe=QUICK)
    assert not (folders["ref"] / "model_features.c").exists()
    assert "MODEL_FEATURES 0" in (folders["ref"] / "model_features.h").read_text()


def test_the_operators_are_plain_ones(quantised: Path, tmp_path: Path) -> None:
    names = {op.name for op in read_model(quantised / "model.tflite").operators}
    allowed = {"CONV_2D", "AVERAGE_POOL_2D", "RESHAPE", "FULLY_CONNECTED", "SOFTMAX"}
    assert names <= allowed  # no QUANTIZE between layers: their ranges fit together
    manifest = compile_model(
        (quantised / "model.tflite").read_bytes(),
        load_golden(quantised / "golden.npz"),
        tmp_path,
        name="motion",
        settings=QUICK.as_dict(),
    )
    assert manifest["arena_bytes"] == manifest["arena_lower_bound"]


def _refused(recipe: Recipe, out_dir: Path, words: str) -> None:
    before = {p.name: p.read_bytes() for p in out_dir.iterdir() if p.is_file()}
    with pytest.raises(QuantizeError, match=words):
        quantise_recipe(recipe, out_dir)
    assert {p.name: p.read_bytes() for p in out_dir.iterdir() if p.is_file()} == before


@pytest.mark.slow
def test_a_drop_stops_the_run_and_writes_nothing(
    quantised: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The float network is said to be perfect, so int8 loses more than nothing."""
    from model import train as training

    best = training.validate
    monkeypatch.setattr(
        training,
        "validate",
        lambda *args: dataclasses.replace(best(*args), balanced_accuracy=1.5),
    )
    strict = dataclasses.replace(QUICK.quantisation, max_drop=0.0)
    _refused(
        dataclasses.replace(QUICK, quantisation=strict), quantised, r"quantisation\.max_drop: float"
    )


@pytest.mark.slow
def test_a_qat_export_beyond_its_bound_leaves_post_training_int8(
    quantised: Path, tmp_path: Path
) -> None:
    for name in ("features.npz", "float.weights.h5"):
        (tmp_path / name).write_bytes((quantised / name).read_bytes())
    strict = dataclasses.replace(QUICK.quantisation, min_equal_outputs=1.0, max_lsb=0, max_drop=1.0)
    quantise_recipe(dataclasses.replace(QUICK, quantisation=strict), tmp_path)
    result = json.loads((tmp_path / "quantize.json").read_text())
    assert result["chosen"] == "ptq"
    assert set(result["candidates"]) == {"ptq", "qat"}
    for words in ("quantisation.max_lsb: expected at most 0 LSB", "Post-training int8 is kept"):
        assert words in result["fidelity"]["warning"]


@pytest.mark.slow
def test_a_choice_of_the_recipe_is_kept_whatever_validation_says(
    quantised: Path, tmp_path: Path
) -> None:
    for name in ("features.npz", "float.weights.h5"):
        (tmp_path / name).write_bytes((quantised / name).read_bytes())
    found = json.loads((quantised / "quantize.json").read_text())
    other = "ptq" if found["chosen"] == "qat" else "qat"
    choice = dataclasses.replace(QUICK.quantisation, choice=other, max_drop=1.0)
    quantise_recipe(dataclasses.replace(QUICK, quantisation=choice), tmp_path)
    result = json.loads((tmp_path / "quantize.json").read_text())
    assert result["chosen"] == other
    assert result["rule"] != found["rule"]
    model = (tmp_path / "model.tflite").read_bytes()
    assert hashlib.sha256(model).hexdigest() == result["candidates"][other]["sha256"]
    assert result["candidates"][other]["val"] == found["candidates"][other]["val"]


def test_a_loss_that_is_no_number_stops_the_run(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "features.npz").write_bytes((trained / "features.npz").read_bytes())
    wild = dataclasses.replace(QUICK.train, steps=20, learning_rate=1e30)
    with pytest.raises(ModelSideError, match=r"the loss is (nan|inf) at step \d+"):
        train(dataclasses.replace(QUICK, train=wild), tmp_path, {})
    assert [p.name for p in tmp_path.iterdir()] == ["features.npz"]


def test_a_network_below_the_floor_is_not_kept(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "features.npz").write_bytes((trained / "features.npz").read_bytes())
    proud = dataclasses.replace(QUICK.train, steps=2, min_balanced_accuracy=0.99)
    with pytest.raises(ModelSideError, match="expected at least 0.990"):
        train(dataclasses.replace(QUICK, train=proud), tmp_path, {})
    assert [p.name for p in tmp_path.iterdir()] == ["features.npz"]


def test_a_few_test_windows_are_enough_for_a_latency(trained: Path) -> None:
    from model.train import load_network
    from quantize import ptq
    from quantize.pipeline import _latency

    network = load_network(QUICK, load_dataset(QUICK.dataset), trained / "float.weights.h5")
    windows = load_splits(trained).val.first(3)
    model = ptq.convert_int8(network, windows.x[:, :, None], feature_text(QUICK))
    found = _latency(network, model, windows)
    assert found["float"] > 0 and found["int8"] > 0


def test_every_network_of_a_process_gets_its_ranges() -> None:
    """The toolkit numbers the names of its layers on, and with them those of their ranges."""
    import tensorflow_model_optimization as tfmot

    from model.networks import build_network
    from quantize import qat

    for _ in range(3):
        network = build_network(QUICK.network, 128, 6, 7)
        quantised = tfmot.quantization.keras.quantize_model(network)
        qat._set_range(quantised.layers[1], -3.0, 5.0)
        assert qat._range(quantised.layers[1]) == (-3.0, 5.0)


@pytest.mark.parametrize("held_out", [True, False])
def test_folds_to_choose_by_have_no_test_groups(held_out: bool, tmp_path: Path) -> None:
    digits = load_recipe("digits")
    short = dataclasses.replace(digits, train=dataclasses.replace(digits.train, steps=2))
    cross_validate(short, tmp_path, 2, 1, held_out=held_out, int8=False)
    result = json.loads((tmp_path / "cross_validation.json").read_text())
    tested = {group for fold in result["folds"] for group in fold["test_groups"]}
    assert len(tested) == 10 - (held_out and len(digits.dataset.test_groups))
    assert tested.isdisjoint(digits.dataset.test_groups) == held_out
    assert result["held_out"] == held_out
    assert result["mean_int8"] == {}


@pytest.mark.slow
def test_folds_tell_how_both_int8_networks_do(tmp_path: Path) -> None:
    digits = load_recipe("digits")
    short = dataclasses.replace(
        digits,
        train=dataclasses.replace(digits.train, steps=100),
        quantisation=dataclasses.replace(digits.quantisation, qat_steps=5),
    )
    cross_validate(short, tmp_path, 2, 1, held_out=True, int8=True)
    result = json.loads((tmp_path / "cross_validation.json").read_text())
    assert result["measure"] == "balanced accuracy"
    floats, int8 = result["mean_score"], result["mean_int8"]
    assert set(int8) == {"ptq", "qat"}
    assert floats > 0.6
    assert abs(int8["ptq"] - floats) < 0.05
    folds = [fold["int8"] for fold in result["folds"]]
    mean = np.mean([fold["qat"]["balanced_accuracy"] for fold in folds])
    assert int8["qat"] == pytest.approx(mean)
    assert folds[0]["qat"] != folds[0]["ptq"]
