"""The float original of a model made elsewhere: which ends fit, what runs, what is refused."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from host_tools.cli import main
from model.keras_file import ALLOWED, REFUSED, KerasFileError, check_layers
from quantize.errors import ModelError
from quantize.float_outputs import FloatOutputs, load_float_outputs
from quantize.float_reference import End, match_ends, reference_outputs
from quantize.golden import Golden, make_golden, random_inputs
from quantize.tflite.graph import Graph
from quantize.tflite.reader import parse_model, read_model
from tests.documents import ROOT


def _ends(*texts: str) -> list[End]:
    """'x:1,4' and so on; '?' is an open dimension."""
    ends = []
    for text in texts:
        name, shape = text.split(":")
        sizes = tuple(None if n == "?" else int(n) for n in shape.split(","))
        ends.append(End(name=name, shape=sizes))
    return ends


@pytest.mark.parametrize(
    ("found", "wanted", "order"),
    [
        (["a:1,4"], ["x:1,4"], (0,)),
        (["a:?,4"], ["x:1,4"], (0,)),
        (["a:?,?,4"], ["x:1,9,4"], (0,)),
        (["a:1,4", "b:1,5"], ["x:1,5", "y:1,4"], (1, 0)),
        (["a:1,4", "b:1,4"], ["b:1,4", "a:1,4"], (1, 0)),
        (["a:1,4", "b:1,5", "c:1,4"], ["c:1,4", "z:1,5", "a:1,4"], (2, 1, 0)),
    ],
)
def test_ends_that_fit(found: list[str], wanted: list[str], order: tuple[int, ...]) -> None:
    assert match_ends(_ends(*found), _ends(*wanted), "input") == order


def test_names_are_compared_without_the_converters_part() -> None:
    found = [End(name="left", shape=(None, 4)), End(name="right", shape=(None, 4))]
    wanted = [End(name=f"serving_default_{name}:0", shape=(1, 4)) for name in ("right", "left")]
    assert match_ends(found, wanted, "input") == (1, 0)


@pytest.mark.parametrize(
    ("found", "wanted", "told"),
    [
        (["a:1,4"], ["x:1,5"], r"input 0 of the model has the shape \[1, 5\].* \[1, 4\]"),
        (["a:?,4"], ["x:1,2,2"], r"\[1, 2, 2\].* \[\?, 4\]"),
        (["a:1,4", "b:1,4"], ["x:1,4"], "has 2 inputs, the model 1"),
        (["a:1,4", "b:1,4"], ["x:1,4", "y:1,4"], "several inputs of one shape"),
        (["a:1,4", "a:1,4"], ["a:1,4", "a:1,4"], "several inputs of one shape"),
        (["a:1,4", "b:1,5"], ["x:1,4", "y:1,4"], "several inputs of one shape"),
    ],
)
def test_ends_that_do_not_fit(found: list[str], wanted: list[str], told: str) -> None:
    with pytest.raises(ModelError, match=told):
        match_ends(_ends(*found), _ends(*wanted), "input")


# --- files of two versions of Keras, and .tflite -----------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One network as .keras, .h5 and float .tflite, its int8 model, and other networks."""
    folder = tmp_path_factory.mktemp("networks")
    from model.networks import keras, tf

    network = _network(keras, 4)
    network.save(folder / "net.keras")
    network.save(folder / "net.h5")
    network.save_weights(folder / "weights.h5")
    _network(keras, 5).save(folder / "other.keras")
    converter = tf.lite.TFLiteConverter.from_keras_model(network)
    (folder / "net.tflite").write_bytes(converter.convert())
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    rows = np.random.default_rng(0).normal(size=(50, 1, 6, 4, 1)).astype(np.float32)
    converter.representative_dataset = lambda: ([row] for row in rows)
    converter.inference_input_type = converter.inference_output_type = tf.int8
    (folder / "int8.tflite").write_bytes(converter.convert())
    layers = keras.layers
    lambda_net = keras.Sequential([layers.InputLayer((6, 4, 1)), layers.Lambda(lambda x: 2 * x)])
    lambda_net.save(folder / "lambda.keras")
    lambda_net.save(folder / "lambda.h5")
    (folder / "damaged.keras").write_bytes((folder / "net.keras").read_bytes()[:9000])
    (folder / "damaged.h5").write_bytes((folder / "net.h5").read_bytes()[:9000])
    (folder / "damaged.tflite").write_bytes((folder / "net.tflite").read_bytes()[:900])
    _as_keras_3(folder / "net.keras", folder / "net3.keras")
    return folder


def _network(keras: Any, rows: int) -> Any:
    layers = keras.layers
    keras.utils.set_random_seed(rows)
    return keras.Sequential(
        [
            layers.InputLayer((rows + 2, 4, 1)),
            layers.Conv2D(3, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(5, activation="softmax"),
        ]
    )


def _as_keras_3(path: Path, copy: Path) -> None:
    """The network of a file as today's Keras saves it."""
    import keras

    network = keras.Sequential(
        [
            keras.Input((6, 4, 1)),
            keras.layers.Conv2D(3, 3, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(5, activation="softmax"),
        ]
    )
    from model.networks import keras as keras_2

    network.set_weights(keras_2.models.load_model(path).get_weights())
    network.save(copy)


def _reference(folder: Path, name: str) -> FloatOutputs:
    graph, golden = _model(folder)
    return reference_outputs(folder / name, graph, golden, random_inputs=True)


def _model(folder: Path) -> tuple[Graph, Golden]:
    model = (folder / "int8.tflite").read_bytes()
    graph = parse_model(model)
    return graph, make_golden(model, random_inputs(graph, 40, 1))


@pytest.mark.slow
def test_all_kinds_of_files_say_the_same(folder: Path) -> None:
    graph, golden = _model(folder)
    into = graph.tensors[graph.inputs[0]].quant
    assert into is not None
    from model.networks import keras

    exact = into.scale[0] * (golden.inputs[0].astype(np.float32) - into.zero_point[0])
    expected = np.asarray(_network(keras, 4)(exact[:, 0], training=False))
    for name, engine in (
        ("net.tflite", "tflite_micro"),
        ("net.keras", "Keras 2"),
        ("net.h5", "Keras 2"),
        ("net3.keras", "Keras 3"),
    ):
        found = _reference(folder, name)
        assert np.allclose(found.outputs[0][:, 0], expected, atol=1e-5), name
        assert found.network.startswith(f"{name} ({engine}")
        assert found.random_inputs and found.mismatch(golden) is None


@pytest.mark.slow
def test_tensorflow_runs_what_tflite_micro_does_not(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from quantize import float_reference

    monkeypatch.setitem(float_reference.ENGINES, ".tflite", ("no_such_engine", "tensorflow_lite"))
    found = _reference(folder, "net.tflite")
    assert found.network.startswith("net.tflite (TensorFlow Lite")
    monkeypatch.setitem(float_reference.ENGINES, ".tflite", ("tflite_micro",))
    assert np.allclose(found.outputs, _reference(folder, "net.tflite").outputs, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("other.keras", r"shape \[1, 6, 4, 1\], the float network has .* \[\?, 7, 4, 1\]"),
        ("lambda.keras", "'Lambda'.*holds Python code, which.*; convert the network to a float"),
        ("lambda.h5", "'Lambda'.*holds Python code, which.*; convert the network to a float"),
        ("weights.h5", "only weights, no layers; save the whole network"),
        (
            "damaged.keras",
            "FLOAT=.*damaged.keras: keras: not a whole Keras file: BadZipFile.*; save the",
        ),
        ("damaged.h5", "FLOAT=.*damaged.h5: keras: not a whole Keras file: OSError.*; save the"),
        ("damaged.tflite", "damaged.tflite"),
        ("int8.tflite", "is a quantised int8; give the network from before quantisation"),
        ("net.onnx", "expected a file of type .tflite, .keras, .h5"),
        ("absent.keras", "cannot be read: No such file"),
    ],
)
def test_files_that_are_refused(folder: Path, name: str, told: str) -> None:
    with pytest.raises(ModelError, match=told):
        _reference(folder, name)


def test_a_process_that_dies_is_a_message(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from quantize import float_reference

    monkeypatch.setattr(float_reference, "our_process", lambda *_: ["false"])
    with pytest.raises(ModelError, match="keras ended with code 1: the file is damaged or too l"):
        _reference(folder, "net.keras")


def test_no_message_names_a_path_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from quantize import float_reference

    write = f'echo \'{{"error": "{tmp_path}/float.tflite is cut"}}\' > {tmp_path}/answer.json'
    monkeypatch.setattr(float_reference, "our_process", lambda *_: ["sh", "-c", write])
    assert float_reference.ask("it", "", (), tmp_path) == {"error": "it: float.tflite is cut"}


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"class_name": "Lambda", "config": {}}, "it holds Python code"),
        ({"class_name": "Dense", "module": "os", "config": {}}, "not Keras's own, and"),
        ({"class_name": "MultiHeadAttention", "module": "mine.layers"}, "not Keras's own, and"),
        ({"class_name": "TFOpLambda", "config": {"function": "io.write_file"}}, "for a function"),
        ({"class_name": "function", "module": "builtins", "config": "eval"}, "for a function"),
        ({"class_name": "__lambda__", "config": {"value": "x"}}, "for a function"),
        ({"class_name": "TFSMLayer", "module": "keras.layers"}, "SavedModel from a path"),
        ({"class_name": "JaxLayer", "module": "keras.layers"}, "it holds functions"),
        ({"class_name": "TorchModuleWrapper", "module": "keras.layers"}, "it holds a pickle"),
        ({"class_name": "StringLookup", "module": "keras.layers"}, "may be any file"),
        ({"class_name": "get_file", "module": "keras.utils"}, "none of the layers that Keras"),
        ({"class_name": "MyLayer", "config": {}}, "a class of your own is not in the file"),
        ({"class_name": ["Dense"], "config": {}}, "expected a name"),
    ],
)
def test_what_may_do_more_than_compute_is_not_loaded(entry: dict[str, Any], reason: str) -> None:
    for config in (entry, {"config": {"layers": [{"config": {"activation": entry}}]}}):
        with pytest.raises(
            KerasFileError, match=f"is not loaded: .*{reason}.*; convert the network"
        ):
            check_layers(config)
    check_layers({"class_name": "Sequential", "config": {}, "compile_config": entry})


def test_every_layer_of_keras_is_loaded_or_refused_for_a_reason() -> None:
    """Of both versions: what a new one adds has to be looked at."""
    import keras as three

    from model.networks import keras as two

    for kit in (three, two):
        own = [v for v in vars(kit.layers).values() if isinstance(v, type)]
        names = {v.__name__ for v in own if issubclass(v, kit.layers.Layer)}
        assert len(names) > 90
        assert names - ALLOWED - {*REFUSED} == set(), kit.__version__
    assert not ALLOWED & {*REFUSED}


def test_the_layers_that_the_readme_names_are_those_refused() -> None:
    text = " ".join((ROOT / "README.md").read_text("utf-8").split())
    told = re.search(r"layers of Keras's own are loaded but (.*?), which may do more", text)
    assert told and set(re.findall(r"`(\w+)`", told[1])) == {*REFUSED}


def test_a_file_that_unpacks_to_too_much_is_refused(tmp_path: Path, folder: Path) -> None:
    path = tmp_path / "bomb.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.0.0"}))
        archive.writestr("config.json", " " * (9 << 20))
    graph, golden = _model(folder)
    with pytest.raises(ModelError, match="bytes when unpacked"):
        reference_outputs(path, graph, golden, random_inputs=True)


def test_the_command_keeps_the_float_outputs(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)

    def run(*more: str) -> int:
        return main(["import", str(folder / "int8.tflite"), "--cases", "6", *more])

    assert run("--float", str(folder / "other.keras")) == 2
    assert "give the network that the model was made from" in capsys.readouterr().err
    (made,) = (tmp_path / "build" / "models").iterdir()
    kept = made / "float.npz"
    assert not kept.exists() and not (made / "golden.npz").exists()
    assert run("--float", str(folder / "net.tflite")) == 0
    found = load_float_outputs(kept)
    assert found.random_inputs and len(found.outputs[0]) == 6
    assert read_model(kept.with_name("model.tflite")).outputs
    assert run() == 0
    assert not kept.exists(), "float outputs of other cases are gone"
