"""int16 activations of a recipe: tried where int8 loses too much, between int8 ends."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from host_tools.bench.stage import bench
from host_tools.build.stage import build
from host_tools.parity.stage import parity
from host_tools.report.write import report
from model.datasets import load_dataset
from model.recipe import Recipe
from model.recipe_file import load_recipe
from model.stages.check import check
from model.stages.train import train
from quantize.errors import QuantizeError
from quantize.golden import load_golden
from quantize.pipeline import quantise_recipe
from quantize.reference import Reference
from quantize.stages.emit import emit
from quantize.stages.profile import profile
from quantize.tflite.reader import read_model

DIGITS = load_recipe("digits")
QUICK = dataclasses.replace(
    DIGITS,
    train=dataclasses.replace(DIGITS.train, steps=200, min_balanced_accuracy=0.5),
    quantisation=dataclasses.replace(DIGITS.quantisation, qat_steps=0, max_drop=0.02),
)
OUTLIER = 1000.0


def with_choice(choice: str) -> Recipe:
    return dataclasses.replace(
        QUICK, quantisation=dataclasses.replace(QUICK.quantisation, choice=choice)
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained network of which one channel is so large that int8 has no steps for the others.

    What it computes is unchanged: the next layer divides by the same number.
    """
    from model import train as training

    folder = tmp_path_factory.mktemp("build") / "digits"
    check(QUICK, folder)
    train(QUICK, folder, QUICK.as_dict())
    network = training.load_network(QUICK, load_dataset(QUICK.dataset), folder / "float.weights.h5")
    first, second = [x for x in network.layers if type(x).__name__ == "Conv2D"][:2]
    norm = first.outbound_nodes[0].outbound_layer
    assert type(norm).__name__ == "BatchNormalization"
    scale = np.ones(norm.gamma.shape[0], np.float32)
    scale[0] = OUTLIER
    norm.gamma.assign(norm.gamma * scale)
    norm.beta.assign(norm.beta * scale)
    kernel = second.get_weights()
    second.set_weights([kernel[0] / scale[:, None], *kernel[1:]])
    training.save_network(network, folder / "float.weights.h5")
    return folder


@pytest.fixture(scope="module")
def quantised(trained: Path) -> Path:
    """The same after quantisation and emit."""
    quantise_recipe(QUICK, trained)
    return trained


def scores(folder: Path) -> dict[str, float]:
    result = json.loads((folder / "quantize.json").read_text())
    return {n: c["val"]["balanced_accuracy"] for n, c in result["candidates"].items()}


@pytest.mark.slow
def test_int16_activations_are_chosen_where_int8_loses_more_than_the_bound(quantised: Path) -> None:
    result = json.loads((quantised / "quantize.json").read_text())
    found = scores(quantised)
    assert found["int16"] - found["ptq"] > QUICK.quantisation.max_drop
    assert (result["chosen"], result["alternative"]) == ("int16", "ptq")
    assert "quantisation.max_drop" in result["rule"]
    other = (quantised / "alternative" / "model.tflite").read_bytes()
    assert len(other) == result["candidates"]["ptq"]["bytes"]


def test_its_ends_are_int8_and_its_bytes_are_those_of_tflite_micro(quantised: Path) -> None:
    graph = read_model(quantised / "model.tflite")
    assert [graph.tensors[i].dtype for i in (*graph.inputs, *graph.outputs)] == ["int8", "int8"]
    assert {graph.tensors[op.outputs[0]].dtype for op in graph.operators[:-1]} == {"int16"}
    golden, reference = load_golden(quantised / "golden.npz"), Reference(graph)
    for case in range(len(golden)):
        got = reference.run(golden.case_inputs(case))[0]
        assert np.array_equal(got, golden.case_outputs(case)[0]), f"case {case}"


@pytest.mark.slow
def test_both_are_measured_and_reported(
    quantised: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    profile(QUICK, quantised)
    emit(quantised, "digits", QUICK, None, None)
    for name in ("native", "qemu_m4"):
        build(quantised, name, "bare")
        parity(quantised, name)
        bench(quantised, name)
    verdict = json.loads((quantised / "qemu_m4" / "parity.json").read_text())
    assert verdict["equal"] == verdict["cases"] == len(load_golden(quantised / "golden.npz"))
    costs = [
        json.loads((quantised / "qemu_m4" / f"{name}.json").read_text())
        for name in ("bench", "alternative")
    ]
    assert costs[0]["counts"] > costs[1]["counts"] > 0
    told = capsys.readouterr().out
    for cost in costs:
        assert f"{cost['counts']:,} instructions, constants {cost['weight_bytes']:,} bytes" in told
    report(quantised)
    page = (quantised / "report.html").read_text()
    for cost in costs:
        assert f"{cost['counts']:,}" in page
    assert "Width of activations" in page


@pytest.mark.slow
def test_a_recipe_may_ask_for_them(trained: Path, tmp_path: Path) -> None:
    for name in ("features.npz", "float.weights.h5"):
        (tmp_path / name).write_bytes((trained / name).read_bytes())
    generous = dataclasses.replace(with_choice("int16").quantisation, max_drop=1.0)
    quantise_recipe(dataclasses.replace(QUICK, quantisation=generous), tmp_path)
    result = json.loads((tmp_path / "quantize.json").read_text())
    assert result["chosen"] == "int16"
    # and leaves nothing behind when it no longer does
    plain = dataclasses.replace(generous, choice="validation")
    quantise_recipe(dataclasses.replace(QUICK, quantisation=plain), tmp_path)
    result = json.loads((tmp_path / "quantize.json").read_text())
    assert (result["chosen"], result["alternative"]) == ("ptq", None)
    assert not (tmp_path / "alternative").exists()


@pytest.mark.slow
def test_a_network_that_cannot_have_them_says_why(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from quantize import ptq

    def no_kernel(model: bytes) -> None:
        raise QuantizeError("no kernel for it")

    monkeypatch.setattr(ptq, "TfliteMicro", no_kernel)
    for name in ("features.npz", "float.weights.h5"):
        (tmp_path / name).write_bytes((trained / name).read_bytes())
    with pytest.raises(QuantizeError, match=r"choice is 'int16'.*no kernel for it"):
        quantise_recipe(with_choice("int16"), tmp_path)
    with pytest.raises(QuantizeError, match=r"max_drop.*no int16 activations.*no kernel for it"):
        quantise_recipe(QUICK, tmp_path)
    assert not (tmp_path / "model.tflite").exists()
