"""Every built-in kind from data to a device's answers, and settings that do not fit."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model import architectures as nn
from model.datasets import dataset_labels, load_dataset
from model.errors import ConfigError
from model.network_config import HAVE_FILTERS, KINDS, OWN, NetworkConfig
from model.recipe import NumpyFileConfig, Recipe
from model.recipe_file import RECIPES, load_recipe
from model.recipe_rules import problems
from model.stages.check import check
from model.stages.train import train
from quantize.golden import load_golden
from quantize.manifest import compile_model
from quantize.pipeline import quantise_recipe
from quantize.stages.network import network
from quantize.tflite.reader import read_model
from tests.host_c import HostModel

DIGITS = load_recipe("digits")
MOTION = load_recipe("motion")
LABELS = ("rows", "columns", "neither")
CLASSIFIERS = [kind for kind in KINDS if kind not in (*OWN, "autoencoder")]
SHAPES = [(1, 22), (3, 8), (6, 13), (8, 8), (49, 40), (128, 6), (2048, 1)]
TASKS = {kind: "anomaly" if kind == "autoencoder" else "classification" for kind in KINDS}
# The 13 blocks of the whole MobileNet and 77,000 weights take long to run in Python.
SMALL: dict[str, dict[str, Any]] = {"mobilenet": {"blocks": 4}, "resnet8": {"filters": 4}}


def tiny_recipe(folder: Path, config: NetworkConfig, *, qat_steps: int = 4) -> Recipe:
    """144 generated pictures of three kinds in 6 groups, as a file of `folder`; few steps."""
    rng = np.random.default_rng(0)
    labels = np.tile(np.arange(3), 48)
    samples = rng.uniform(0, 4, (144, 8, 8))
    for picture, label in zip(samples, labels, strict=True):
        at = rng.integers(1, 7)
        picture[at] += 12.0 * (label == 0)
        picture[:, at] += 12.0 * (label == 1)
    path = folder / "pictures.npz"
    np.savez(path, samples=samples, labels=labels, groups=np.arange(144) // 24)
    return dataclasses.replace(
        DIGITS,
        dataset=dataclasses.replace(
            DIGITS.dataset,
            source="numpy_file",
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
            val_groups=(4,),
            test_groups=(5,),
            labels=LABELS,
            numpy_file=NumpyFileConfig(file=str(path)),
        ),
        network=config,
        train=dataclasses.replace(DIGITS.train, steps=30, min_balanced_accuracy=0.2),
        quantisation=dataclasses.replace(
            DIGITS.quantisation, qat_steps=qat_steps, calibration_windows=40, max_drop=1.0,
            min_equal_outputs=0.0, max_lsb=255,
        ),
    )  # fmt: skip


def equal_on_a_device(out_dir: Path, cases: int = 12) -> None:
    """The model's C, compiled for this computer, answers as TFLite Micro."""
    model, golden = (out_dir / "model.tflite").read_bytes(), load_golden(out_dir / "golden.npz")
    gen = out_dir / "c"
    device = HostModel(gen, compile_model(model, golden, gen, name="tiny", settings={}))
    for case in range(min(cases, len(golden))):
        device.reset()  # as before every golden case
        got = device.run(golden.case_inputs(case))
        for values, expected in zip(got, golden.case_outputs(case), strict=True):
            assert np.array_equal(values, expected), f"case {case}"
    assert len(np.unique(golden.outputs[0][:cases].reshape(cases, -1), axis=0)) > 3


SLOW = ("cnn2d", "dscnn", "lstm", "mobilenet", "resnet8")
# Quantisation-aware training, which takes most of the time, where a kind has it.
WITH_QAT = [pytest.param(kind, 4, marks=pytest.mark.slow) for kind in CLASSIFIERS if kind != "lstm"]
WITHOUT = [
    pytest.param(kind, 4 if kind == "lstm" else 0, marks=[pytest.mark.slow] * (kind in SLOW))
    for kind in CLASSIFIERS
]


@pytest.mark.parametrize(("kind", "qat_steps"), [*WITHOUT, *WITH_QAT])
def test_every_kind_trains_quantises_and_runs(kind: str, qat_steps: int, tmp_path: Path) -> None:
    options = {kind: KINDS[kind](**SMALL[kind])} if kind in SMALL else {}
    recipe = tiny_recipe(tmp_path, NetworkConfig(kind=kind, **options), qat_steps=qat_steps)
    network(recipe, tmp_path)
    check(recipe, tmp_path)
    train(recipe, tmp_path, recipe.as_dict())
    result = quantise_recipe(recipe, tmp_path)
    loss = json.loads((tmp_path / "train.json").read_text())["history"]["loss"]
    assert loss[-1] < loss[0]
    has_qat = qat_steps > 0 and kind != "lstm"
    assert set(result["candidates"]) == {"ptq"} | ({"qat"} if has_qat else set())
    assert bool(result["no_qat"]) == (kind == "lstm")
    equal_on_a_device(tmp_path)


def test_a_network_that_qat_has_no_scheme_for_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    from model.networks import build_network
    from quantize import qat

    lstm = build_network(NetworkConfig(kind="lstm"), 8, 8, 3)
    made, why = qat.fake_quantised(lstm, None)
    assert made is None
    assert why.startswith("no scheme for the layer lstm") and why.endswith("(LSTM)")
    assert qat.fake_quantised(build_network(NetworkConfig(kind="dscnn"), 8, 8, 3), None)[1] == ""


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in OWN])
@pytest.mark.parametrize(("rows", "columns"), SHAPES)
def test_a_kind_alone_fits_every_front_end(kind: str, rows: int, columns: int) -> None:
    outputs = rows * columns if kind == "autoencoder" else 5
    layers = nn.architecture(NetworkConfig(kind=kind), rows, columns, outputs, TASKS[kind])
    assert nn.shape_after(layers, (rows, 1, columns)) == (outputs,)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in OWN])
@pytest.mark.parametrize(("rows", "columns"), [(6, 13), (49, 10)])
def test_keras_has_the_shapes_and_weights_that_were_computed(
    kind: str, rows: int, columns: int
) -> None:
    from model.networks import build_network

    config, outputs = NetworkConfig(kind=kind), 130 if kind == "autoencoder" else 5
    layers = nn.architecture(config, rows, columns, outputs, TASKS[kind])
    made = build_network(config, rows, columns, outputs, TASKS[kind])
    kernels = sum(w.shape.num_elements() for w in made.weights if "kernel" in w.name)
    assert nn.weights_of(layers, (rows, 1, columns)) == kernels
    assert made.output_shape == (None, outputs)


def test_the_known_networks_have_their_known_sizes() -> None:
    """MLPerf Tiny's ResNet has 77,360 weights with its three colours, which give 288 more here."""
    resnet = nn.architecture(NetworkConfig(kind="resnet8"), 32, 32, 10, "classification")
    assert nn.weights_of(resnet, (32, 1, 32)) == 77_360 - 16 * 9 * 2
    mobile = nn.architecture(NetworkConfig(kind="mobilenet"), 96, 96, 2, "classification")
    assert nn.shape_after(mobile[:-5], (96, 1, 96)) == (3, 3, 256)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"filters": (), "kernels": (), "strides": ()}, "at least one .*; got 0, 0 and 0"),
        ({"strides": (1, 2)}, "one entry a convolution, and at least one .*; got 4, 4 and 2"),
        ({"input_pool": 257}, "leave nothing of an input of 256 rows"),
        ({"segments": 3}, "3 does not divide 8 rows"),
    ],
)
@pytest.mark.parametrize("kind", ["cnn1d", "dscnn"])
def test_a_network_that_cannot_be_is_refused_before_data_are_read(
    kind: str, change: dict[str, Any], words: str, tmp_path: Path
) -> None:
    own = dataclasses.asdict(MOTION.network.options)
    config = NetworkConfig(kind=kind, **{kind: KINDS[kind](**{**own, **change})})
    with pytest.raises(ConfigError, match=words):
        nn.architecture(config, 256, 6, 7, "classification")
    recipe = tiny_recipe(tmp_path, NetworkConfig(kind=kind, max_weight_bytes=1000))
    (tmp_path / "pictures.npz").unlink()
    with pytest.raises(ConfigError, match=r"\d+ bytes of int8 weights, expected at most 1000 "):
        network(recipe, tmp_path)


def test_labels_of_a_table_need_no_data() -> None:
    left = dataclasses.replace(DIGITS.dataset, leave_out=("3",))
    assert dataset_labels(left) == load_dataset(left).labels
    stated = dataclasses.replace(
        left,
        source="numpy_file",
        numpy_file=NumpyFileConfig(file="missing"),
        labels=LABELS,
        leave_out=("columns",),
    )
    assert dataset_labels(stated) == ("rows", "neither")


NETWORK = '[network]\nkind = "cnn1d"\nmax_weight_bytes = 8192\n\n[network.cnn1d]\n'


@pytest.mark.parametrize(
    ("new", "words"),
    [
        ('[network]\nkind = "convolutions"\n', "'convolutions' is called 'cnn1d' now"),
        ('[network]\nkind = "depthwise_separable"\n', "'depthwise_separable' is called 'dscnn'"),
        ('[network]\nkind = "cnn1d"\n', r"input_pool, .*expected \[network.cnn1d\] with any of"),
        ('[network]\nkind = "cnnd"\n[network.cnn1d]\n', "unknown network 'cnnd'.*did you mean"),
        ('[network]\nkind = "dense"\n[network.cnn1d]\n', r"\[network.cnn1d\] belongs to the kind"),
        ('[network]\nkind = "dense"\n[network.dense]\n', "network.dense: unknown key 'input_pool'"),
    ],
)
def test_a_wrong_kind_or_table_is_named(new: str, words: str, tmp_path: Path) -> None:
    text = (RECIPES / "digits.toml").read_text()
    assert NETWORK in text
    (tmp_path / "wrong.toml").write_text(text.replace(NETWORK, new))
    with pytest.raises(ConfigError, match=words):
        load_recipe(str(tmp_path / "wrong.toml"))


def test_the_operators_of_a_layer_are_found_by_their_values(tmp_path: Path) -> None:
    from model.networks import build_network
    from model.train import make_deterministic
    from quantize import ptq

    make_deterministic(1)
    made = build_network(NetworkConfig(kind="resnet8"), 8, 8, 3)
    windows = np.random.default_rng(1).normal(size=(20, 8, 1, 8)).astype(np.float32)
    (tmp_path / "m.tflite").write_bytes(ptq.convert_int8(made, windows, ""))
    found = ptq.matched_layers(made, read_model(tmp_path / "m.tflite"), windows)
    kinds = [type(made.get_layer(layer)).__name__ for op, layer in found if op.name == "ADD"]
    assert kinds == ["ReLU"] * 3  # of the sums, with which it is fused
    assert found[-1][1] == "probabilities"


@pytest.mark.parametrize(
    ("name", "kind"), [("digits", "cnn1d"), ("keywords", "dscnn"), ("anomaly", "autoencoder")]
)
def test_a_recipe_without_a_network_has_that_of_its_data(
    name: str, kind: str, tmp_path: Path
) -> None:
    text = (RECIPES / f"{name}.toml").read_text()
    begin, end = text.index("[network]"), text.index("[augment]")
    path = tmp_path / f"{name}.toml"
    path.write_text(text[:begin] + text[end:])
    (tmp_path / f"{name}.lock").write_text((RECIPES / f"{name}.lock").read_text())
    recipe = load_recipe(str(path))
    assert recipe.network.kind == kind
    assert getattr(recipe.network, kind) == KINDS[kind]()
    network(recipe, tmp_path)
    record = json.loads((tmp_path / "network.json").read_text())
    assert 0 < record["weight_bytes"] <= recipe.network.max_weight_bytes


@pytest.mark.parametrize("kind", HAVE_FILTERS)
def test_a_wider_network_has_more_filters_of_every_convolution(kind: str) -> None:
    config = NetworkConfig(kind=kind, max_weight_bytes=1 << 23)
    narrow = nn.architecture(config, 64, 6, 5, "classification")
    wide = nn.architecture(config.widened(2.0), 64, 6, 5, "classification")
    assert [x.filters for x in wide if isinstance(x, nn.Convolution)] == [
        2 * x.filters for x in narrow if isinstance(x, nn.Convolution)
    ]


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"autoencoder"}))
def test_wider_teachers_are_for_kinds_with_filters(kind: str) -> None:
    train = dataclasses.replace(DIGITS.train, teachers=2, teacher_width=2.0)
    recipe = dataclasses.replace(DIGITS, network=NetworkConfig(kind=kind), train=train)
    found = list(problems(recipe))
    assert bool(found) == (kind not in HAVE_FILTERS)
    assert all(text.startswith("train.teacher") for text in found)
