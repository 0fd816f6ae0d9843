"""Networks of several inputs and outputs keep their order and names from file to parity."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest

from host_tools.cli import main
from model.keras_file import input_keys
from quantize.ends import in_order
from quantize.tflite.reader import parse_model, read_model
from tests.quantised import needs_quantiser, result


@pytest.mark.parametrize(
    ("form", "keys"),
    [
        ("two.keras", ("arr_0", "arr_1")),
        pytest.param("two.keras", ("z b", "a-b"), marks=pytest.mark.slow),
        pytest.param("two.keras", ("in", "a"), marks=pytest.mark.slow),
        pytest.param("two3.keras", ("arr_0", "arr_1"), marks=pytest.mark.slow),
        pytest.param("two3.keras", ("z b", "a-b"), marks=pytest.mark.slow),
        pytest.param("two.tflite", ("z b", "a-b"), marks=needs_quantiser),
        pytest.param("two", ("z_b", "a_b"), marks=pytest.mark.slow),
    ],
)
@pytest.mark.slow
def test_two_inputs_keep_the_order_of_the_network(
    form: str, keys: tuple[str, str], project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The converter sorts them by name; one of them is 100 times as large as the other."""
    from model.networks import keras, tf

    framework = importlib.import_module("keras") if form == "two3.keras" else keras
    framework.utils.set_random_seed(3)
    names = keys if keys[0] == "in" else ("z b", "a-b")
    names = ("z_b", "a-b") if form == "two" else names
    ends = [framework.layers.Input((4,), name=name) for name in names]
    scaled = framework.layers.Rescaling(0.01)(ends[1])
    joined = framework.layers.Concatenate()([ends[0], scaled])
    results = [framework.layers.Dense(5, name=name)(joined) for name in ("y", "b")]
    network = framework.Model(ends, results)
    if form == "two":
        tf.saved_model.save(network, form)
    elif form == "two.tflite":
        function = tf.function(
            lambda a, b: network([a, b]), input_signature=[tf.TensorSpec((1, 4))] * 2
        ).get_concrete_function()
        model = tf.lite.TFLiteConverter.from_concrete_functions([function], network).convert()
        own = dict(zip(("a", "b"), names, strict=True))
        Path(form).write_bytes(in_order(model, own, ["y", "b"]))
    else:
        network.save(form)
    x = np.random.default_rng(0).normal(size=(2, 60, 4)).astype(np.float32) * [[[1]], [[100]]]
    x = x.astype(np.float32)
    chosen = 1 if form == "two" else 0  # a SavedModel has its outputs by name
    labels = np.asarray(network([x[0], x[1]])[chosen]).argmax(axis=1)
    np.savez("own.npz", **dict(zip(keys, x, strict=True)), labels=labels)
    assert main(["quantise", form, "--inputs", "own.npz"]) == 0
    told = capsys.readouterr().out
    assert f"input {keys[0]} is {names[0]} [cases, 4]\n" in told
    _, found = result(project)
    assert found["accuracy"]["float"] == 1 and found["accuracy"]["int8"] >= 0.95, told
    assert found["warnings"] == [] and found["outputs"][0]["sqnr_db"] > 30
    assert f"accuracy of output 0, {'yb'[chosen]}, against labels" in told
    assert [row["name"] for row in found["outputs"]] == [["y", "b"], ["b", "y"]][chosen]
    (made,) = (project / "build" / "models").iterdir()
    kept = read_model(made / "model.tflite")
    scales = [kept.tensors[i].quant.scale[0] for i in kept.inputs]  # type: ignore[union-attr]
    if form != "two":
        assert scales[1] > 20 * scales[0]


@pytest.mark.slow
def test_tokens_of_keras_3_are_looked_up(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its Embedding alone would leave a SELECT, which TFLite Micro lacks."""
    three = importlib.import_module("keras")
    three.utils.set_random_seed(5)
    end = three.layers.Input((6,), dtype="int32", name="tokens")
    found = three.layers.Embedding(20, 4)(end)
    network = three.Model(end, three.layers.Dense(3)(three.layers.Flatten()(found)))
    network.save("tokens.keras")
    tokens = np.random.default_rng(0).integers(0, 20, (80, 6)).astype(np.int32)
    np.savez("own.npz", tokens, labels=np.asarray(network(tokens)).argmax(axis=1))
    assert main(["quantise", "tokens.keras", "--inputs", "own.npz"]) == 0
    _, said = result(project)
    assert said["accuracy"]["float"] == 1 and said["outputs"][0]["sqnr_db"] > 25


@pytest.mark.slow
@pytest.mark.parametrize("framework", ["keras", "tf_keras"])
def test_dicts_of_inputs_and_outputs(
    framework: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    of = importlib.import_module(framework)
    of.utils.set_random_seed(6)
    ends = {key: of.layers.Input((4,), name=key) for key in ("zeta", "alpha")}
    results = {
        "second": of.layers.Dense(3)(ends["zeta"]),
        "first": of.layers.Dense(3)(ends["alpha"]),
    }
    network = of.Model(ends, results)
    network.save("dicts.keras")
    x = np.random.default_rng(0).normal(size=(2, 60, 4)).astype(np.float32) * [[[1]], [[50]]]
    given = {"zeta": x[0].astype(np.float32), "alpha": x[1].astype(np.float32)}
    labels = np.asarray(network(given)["first"]).argmax(axis=1)
    np.savez("numbers.npz", *given.values())
    assert main(["quantise", "dicts.keras", "--inputs", "numbers.npz"]) == 2
    assert "expected one for each input, with the input's name" in capsys.readouterr().err
    np.savez("own.npz", **given, labels=labels)
    assert main(["quantise", "dicts.keras", "--inputs", "own.npz"]) == 0
    assert "accuracy of output 0, first, against labels" in capsys.readouterr().out
    made, said = result(project)
    assert said["accuracy"]["float"] == 1 and said["outputs"][1]["sqnr_db"] > 25
    assert main(["parity", made, "--board", "native"]) == 0
    told = capsys.readouterr().out
    assert "accuracy of output 0 against labels: " in told and "decisions of output 0 equal" in told


def test_inputs_that_are_nested_deeper_have_no_keys() -> None:
    from model.networks import keras

    ends = [keras.layers.Input((4,)) for _ in range(2)]
    joined = keras.layers.Concatenate()(ends)
    assert input_keys(keras.Model({"a": ends}, joined)) == []
    assert input_keys(keras.Model(ends, joined)) == []
    assert input_keys(keras.Model({"z": ends[0], "a": ends[1]}, joined)) == ["a", "z"]


@pytest.mark.slow
def test_the_float_network_of_two_outputs_is_a_file_of_keras(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its outputs have the layers' names, and so has the int8 model."""
    from model.networks import keras

    end = keras.layers.Input((4,))
    results = [keras.layers.Dense(3, name=name)(end) for name in ("yy", "aa")]
    keras.Model(end, results).save("two.keras")
    np.savez("own.npz", np.random.default_rng(0).normal(size=(40, 4)))
    assert main(["quantise", "two.keras", "--inputs", "own.npz"]) == 0
    made, _ = result(project)
    Path("other.tflite").write_bytes(
        (project / "build" / "models" / made / "model.tflite").read_bytes()
    )
    assert main(["import", "other.tflite", "--inputs", "own.npz", "--float", "two.keras"]) == 0


@needs_quantiser
def test_outputs_whose_names_differ_in_their_number_alone(project: Path) -> None:
    """As the converter names them: StatefulPartitionedCall:0 and StatefulPartitionedCall:1."""
    from model.networks import keras, tf

    end = keras.layers.Input((4,))
    network = keras.Model(end, [keras.layers.Dense(3, name=name)(end) for name in ("yy", "aa")])
    Path("two.tflite").write_bytes(tf.lite.TFLiteConverter.from_keras_model(network).convert())
    np.savez("own.npz", np.random.default_rng(0).normal(size=(40, 4)))
    assert main(["quantise", "two.tflite", "--inputs", "own.npz"]) == 0


def test_a_file_with_many_outputs_keeps_their_order() -> None:
    from model.networks import keras, tf

    end = keras.layers.Input((4,))
    network = keras.Model(end, [keras.layers.Dense(n)(end) for n in range(1, 13)])
    function = tf.function(
        lambda x: network(x), input_signature=[tf.TensorSpec((1, 4), name="x")]
    ).get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], network)
    graph = parse_model(in_order(converter.convert(), {"x": "of the network"}, []))
    assert [graph.tensors[i].shape[1] for i in graph.outputs] == [*range(1, 13)]
    assert graph.tensors[graph.inputs[0]].name == "of the network"
    assert graph.tensors[graph.outputs[10]].name == "output_10"
