"""A float network's file becomes an int8 model, and what that costs is told; or why it does not."""

from __future__ import annotations

import importlib.util
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from host_tools.cli import main
from host_tools.quantise_file import summary
from quantize.compare_layers import warnings_of
from quantize.convert import OutputPair, Quantised, open_network
from quantize.convert_worker import SIGNATURE, check_saved_model, in_order, with_signature
from quantize.errors import ModelError
from quantize.float_outputs import load_float_outputs
from quantize.pairing import paired
from quantize.representative import (
    MAX_CASES,
    Inputs,
    Representative,
    from_arrays,
    from_file,
    from_folder,
    from_windows,
)
from quantize.tflite.external_buffers import inlined
from quantize.tflite.graph import Graph, Tensor
from quantize.tflite.reader import parse_model, read_model

needs_quantiser = pytest.mark.skipif(
    importlib.util.find_spec("litert_quantizer") is None,
    reason="litert-quantizer is not installed; run make setup",
)
SHAPE = (6, 4, 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One network in all forms, others that are refused, and inputs."""
    folder = tmp_path_factory.mktemp("networks")
    from model.networks import keras, tf

    keras.utils.set_random_seed(4)
    layers = keras.layers
    network = keras.Sequential(
        [
            layers.InputLayer(SHAPE),
            layers.Conv2D(3, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(5, activation="softmax"),
        ]
    )
    for name in ("net.keras", "net.h5", "net.hdf5"):
        network.save(folder / name)
    import keras as three

    of_three = three.Sequential(
        [
            three.layers.InputLayer(SHAPE),
            three.layers.Conv2D(3, 3, activation="relu"),
            three.layers.Flatten(),
            three.layers.Dense(5, activation="softmax"),
        ]
    )
    of_three.set_weights(network.get_weights())
    of_three.save(folder / "three.keras")
    tf.saved_model.save(network, str(folder / "saved"))
    function = tf.function(
        lambda x: network(x, training=False), input_signature=[tf.TensorSpec((1, *SHAPE))]
    ).get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], network)
    (folder / "net.tflite").write_bytes(converter.convert())
    large = keras.Sequential([layers.InputLayer((40,)), layers.Dense(50)])
    converter = tf.lite.TFLiteConverter.from_keras_model(large)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    (folder / "dynamic.tflite").write_bytes(converter.convert())
    keras.Sequential([layers.InputLayer(SHAPE), layers.Lambda(lambda x: x + 1)]).save(
        folder / "lambda.keras"
    )
    keras.Sequential([layers.InputLayer((None, 4)), layers.GlobalMaxPooling1D()]).save(
        folder / "open.keras"
    )
    calls = tf.Module()
    calls.f = tf.function(
        lambda x: tf.ensure_shape(tf.py_function(lambda v: v, [x], tf.float32), (None, 4)),
        input_signature=[tf.TensorSpec((None, 4))],
    )
    tf.saved_model.save(calls, str(folder / "calls"), signatures=calls.f.get_concrete_function())
    for name, of in (
        ("wide", [layers.Dense(600, activation="relu"), layers.Dense(600), layers.Dense(5)]),
        ("many", [layers.Dense(300, activation="softmax")]),
        ("flat", [layers.Dense(1000, activation="softmax")]),
    ):
        other = keras.Sequential([layers.InputLayer(SHAPE), layers.Flatten(), *of])
        other.save(folder / f"{name}.keras")
    converter = tf.lite.TFLiteConverter.from_keras_model(
        keras.models.load_model(folder / "wide.keras")
    )
    (folder / "wide.tflite").write_bytes(converter.convert())
    words = [layers.InputLayer((4,)), layers.Embedding(20, 4), layers.Flatten(), layers.Dense(3)]
    keras.Sequential(words).save(folder / "words.keras")
    converter = tf.lite.TFLiteConverter.from_keras_model(
        keras.models.load_model(folder / "words.keras")
    )
    (folder / "words.tflite").write_bytes(converter.convert())
    for kit, name in ((three, "attention.keras"), (keras, "attention.h5")):
        x = kit.Input((6, 4))
        attended = kit.layers.MultiHeadAttention(2, 4)(x, x)
        kit.Model(x, attended).save(folder / name)
    for name in ("net.h5", "net.tflite", "three.keras", "words.tflite"):
        data = (folder / name).read_bytes()
        (folder / f"cut_{name}").write_bytes(data[: len(data) * 3 // 4])
    for part in ("saved_model.pb", "variables/variables.data-00000-of-00001"):
        cut = folder / f"cut_{Path(part).stem}"
        shutil.copytree(folder / "saved", cut)
        (cut / part).write_bytes((cut / part).read_bytes()[:500])
    (folder / "damaged.keras").write_bytes((folder / "net.keras").read_bytes()[:9000])
    (folder / "damaged").mkdir()
    (folder / "damaged" / "saved_model.pb").write_bytes(b"\xff" * 100)
    (folder / "empty").mkdir()
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, *SHAPE)).astype(np.float32)
    labels = np.asarray(network(x)).argmax(axis=1)
    np.savez(folder / "x.npz", x=x, labels=labels)
    np.savez(folder / "words.npz", x=np.arange(240).reshape(60, 4) % 40)
    np.savez(folder / "attention.npz", x=x.reshape(60, 6, 4))
    x[3, 0, 0, 0] = 1e6
    np.savez(folder / "outlier.npz", x=x)
    np.save(folder / "net.npy", x)
    (folder / "net.onnx").write_bytes(b"onnx")
    return folder


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to stand in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def result(project: Path) -> tuple[str, dict[str, Any]]:
    """The name and quantise.json of the only model."""
    (made,) = (project / "build" / "models").iterdir()
    return made.name, json.loads((made / "quantise.json").read_text())


@pytest.mark.parametrize(
    "name",
    [
        "net.keras",
        "three.keras",
        pytest.param("net.h5", marks=pytest.mark.slow),
        pytest.param("net.hdf5", marks=pytest.mark.slow),
        "saved",
        pytest.param("net.tflite", marks=needs_quantiser),
    ],
)
def test_from_file_to_parity(
    name: str, folder: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inputs = ["--inputs", str(folder / "x.npz"), "--cases", "20"]
    assert main(["quantise", str(folder / name), *inputs]) == 0
    told = capsys.readouterr().out
    made, found = result(project)
    assert f"imported as {made}; next: make parity MODEL={made} BOARD=native" in told
    assert "accuracy against labels, on these cases: float 100.0%" in told
    (output,) = found["outputs"]
    assert output["sqnr_db"] > 25 and output["equal_decisions"] >= 54, output
    assert found["accuracy"]["float"] == 1 and found["accuracy"]["int8"] >= 0.9
    operators = [layer["operator"] for layer in found["layers"]]
    assert {"input", "CONV_2D", "FULLY_CONNECTED", "SOFTMAX"} <= set(operators), operators
    assert all(layer["sqnr_db"] > 25 and layer["saturated"] == 0 for layer in found["layers"])
    assert found["warnings"] == [] and not found["inputs"]["random"]
    assert main(["parity", made, "--board", "native"]) == 0
    told = capsys.readouterr().out
    assert "20 of 20 cases equal" in told and "as float_model" in told and "dB" in told


@needs_quantiser
def test_indices_that_litert_refuses_are_told_alike(
    folder: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--inputs", str(folder / "words.npz")]
    assert main(["quantise", str(folder / "words.tflite"), *arguments]) == 2
    assert "20 to 23, and the network looks up rows 0 to 19; give" in capsys.readouterr().err


@needs_quantiser
def test_weights_behind_the_flatbuffer(
    folder: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """litert-quantizer writes 256 KiB or more of them so, and TFLite Micro does not see them."""
    inputs = ["--inputs", str(folder / "x.npz"), "--cases", "20"]
    assert main(["quantise", str(folder / "wide.tflite"), *inputs]) == 0
    made, found = result(project)
    model = (project / "build" / "models" / made / "model.tflite").read_bytes()
    assert len(model) > 360_000 and inlined(model) is model
    assert found["outputs"][0]["sqnr_db"] > 25
    assert main(["parity", made, "--board", "native"]) == 0
    assert "20 of 20 cases equal" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["attention.keras", "attention.h5"])
def test_attention_is_arithmetic(
    name: str, folder: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inputs = ["--inputs", str(folder / "attention.npz"), "--cases", "20"]
    assert main(["quantise", str(folder / name), *inputs]) == 0
    made, found = result(project)
    assert found["outputs"][0]["sqnr_db"] > 20 and found["warnings"] == []
    assert main(["parity", made, "--board", "native"]) == 0
    assert "20 of 20 cases equal" in capsys.readouterr().out


def test_a_flat_softmax_is_told_and_parity_says_the_same(
    folder: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inputs = ["--inputs", str(folder / "x.npz"), "--cases", "60"]
    assert main(["quantise", str(folder / "many.keras"), *inputs]) == 0
    told = capsys.readouterr().out
    made, found = result(project)
    assert found["outputs"][0]["sqnr_db"] < 15
    for limit in ("min_equal_decisions", "min_sqnr_db"):
        (line,) = (line for line in found["warnings"] if limit in line)
        assert f"warning: {line}" in told
        assert "steps of 1/256" in line and "end the network at its logits" in line
    assert main(["parity", made, "--board", "native"]) == 1
    told = "".join(capsys.readouterr())
    assert "60 of 60 cases equal" in told
    assert told.count("end the network at its logits") >= 2


def test_an_outlier_and_saturation_are_told(
    folder: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(["quantise", str(folder / "net.keras"), "--inputs", str(folder / "outlier.npz")]) == 0
    )
    told = capsys.readouterr().out
    assert "warning: tensor 0 (input): a few values dominate its range: it is -" in told
    assert "for which 1 of 256 codes are left" in told


def layer(**more: Any) -> dict[str, Any]:
    """A layer's entry, whose range is used well."""
    numbers = {"minimum": -1.0, "maximum": 1.0, "low": -0.9, "high": 0.9, "scale": 2 / 255}
    return {"tensor": 1, "operator": "ADD", "saturated": 0.0, **numbers, **more}


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({}, None),
        ({"maximum": 27.0}, None),
        ({"maximum": 29.0, "scale": 30 / 255}, "99.8 % of it lie in -0.9 to 0.9, for which 15 of"),
        ({"low": 0.0, "high": 0.0}, "for which 1 of 256 codes"),
        ({"minimum": 0.0, "maximum": 0.0, "low": 0.0, "high": 0.0}, None),
        ({"saturated": 0.009}, None),
        ({"saturated": 0.02, "operator": "TANH"}, None),
        ({"saturated": 0.02}, "2.0% of its float values are beyond what int8 reaches"),
    ],
)
def test_warnings_of_a_layer(more: dict[str, Any], told: str | None) -> None:
    found = warnings_of([layer(**more)])
    assert len(found) == (told is not None)
    assert told is None or told in found[0]


def test_random_numbers_are_marked(
    folder: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["quantise", str(folder / "saved"), "--random", "--cases", "6"]) == 0
    assert "warning: calibrated on random numbers: for a trial only" in capsys.readouterr().out
    made, found = result(project)
    assert found["inputs"]["random"]
    folder_made = project / "build" / "models" / made
    assert load_float_outputs(folder_made / "float.npz").random_inputs
    (original,) = folder_made.glob("float_model-*.tflite")
    kept = read_model(original)
    assert {t.dtype for t in kept.tensors} == {"float32", "int32"}


def test_c_source_is_the_same_network_as_its_file(folder: Path, tmp_path: Path) -> None:
    data = (folder / "net.tflite").read_bytes()
    source = tmp_path / "net.cc"
    source.write_text(f"const uint8_t a[] = {{{','.join(map(str, data))}}};")
    network = open_network(source, tmp_path, "a")
    assert (tmp_path / "float.tflite").read_bytes() == data
    assert (network.kind, network.tool) == ("tflite", None)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("net.keras", "got none: int8 gives each layer the range that these inputs need; random"),
        ("net.keras --inputs x.npz --random", "RECIPE=NAME, got 2"),
        ("lambda.keras --random", "'Lambda' of 'keras"),
        ("open.keras --random", "expected [cases, ...] with fixed sizes behind the first"),
        ("calls --random", "'EagerPyFunc' is not loaded, because it does more than compute"),
        ("damaged.keras --random", "damaged.keras: reading the network: not a whole Keras file: "),
        ("cut_three.keras --random", "BadZipFile: File is not a zip file; save the network again"),
        ("cut_net.h5 --random", "(truncated file: eof ="),
        ("cut_net.h5 --random", "stored_eof = "),
        ("cut_net.h5 --random", "; save the network again, network.save('network.keras'), or copy"),
        ("damaged --random", "not a whole SavedModel: DecodeError"),
        ("cut_saved_model --random", "; save it again, tf.saved_model.save(network, folder), or"),
        ("cut_variables --random", "cut_variables: reading the network: not a whole SavedModel: "),
        ("cut_net.tflite --random", "cut_net.tflite.buffers[0]: u16 at byte 2"),
        ("words.keras --inputs words.npz", "stops at case 5 of the inputs: RuntimeError: gather i"),
        ("words.keras --inputs words.npz", "20 to 23, and the network looks up rows 0 to 19; giv"),
        ("flat.keras --inputs x.npz", "TFLite Micro aborts on one of the cases: its SOFTMAX has "),
        ("--model empty --random", "a folder without saved_model.pb"),
        ("absent.keras --random", "No such file or directory; give the path of an existing file"),
        ("absent.tflite --random", "No such file or directory; give the path of an existing file"),
        ("net.pt --random", "a pickle, which may run code when it is read; write the network in"),
        ("dynamic.tflite --random", "quantised already; `make import` takes an int8 model"),
        ("net.keras --array a --random", "ARRAY=a is for C source only"),
        ("net.keras --data absent", "DATA="),
        ("net.keras --inputs absent.npz", "No such file or directory; expected an .npz with rep"),
        ("net.keras --inputs net.npy", "a folder of .npy files is for DATA="),
        ("net.keras --recipe digits --cases 0", "0 is not in the range x>=1"),
        ("--model x.npz --random", "expected a float network: .tflite, C source with one, .ke"),
        ("nothere --random", "nothere: No such file or directory; give the path of an existing"),
        ("empty --random", "a folder without saved_model.pb; expected the folder of a SavedMod"),
        ("net.onnx --random", "of an ONNX file, give the network that it was made of"),
        ("x.npz --random", "x.npz: expected a float network: .tflite, C source with one, .keras"),
        ("absent.hdf5 --random", "No such file or directory; give the path of an existing file"),
        ("digits --inputs x.npz", "INPUTS= is for a float network's file; a recipe has its own"),
        ("net.keras --model net.h5 --random", "expected one of SOURCE and --model, got both"),
    ],
)
def test_what_is_refused(
    arguments: str, told: str, folder: Path, project: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(folder)
    assert main(["quantise", *arguments.split(), "--project", str(project)]) == 2
    error = capsys.readouterr().err
    assert told in error and "tinyproof-quantise-" not in error and "/float.tflite" not in error
    assert not (project / "build" / "models").exists()


@pytest.mark.skipif(importlib.util.find_spec("litert_torch") is not None, reason="it is there")
def test_pytorch_is_an_extra(
    folder: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "net.pt2").write_bytes(b"")
    assert main(["quantise", "net.pt2", "--random"]) == 2
    assert "pip install 'tinyproof[pytorch]'" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["import", "inspect", "parity"])
def test_other_commands_say_what_makes_an_int8_model(
    command: str, folder: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("net.keras", "net.h5", "saved", "net.pt2", "net.tflite", "dynamic.tflite"):
        assert main([command, str(folder / name)]) != 0
        told = "".join(capsys.readouterr())
        assert "quantise " in told and "X.npz` makes " in told, told
    assert not (project / "build").exists()


def test_a_plan_writes_nothing(
    folder: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["quantise", str(folder / "net.keras"), "--random", "--dry-run"]) == 0
    assert "quantise: would convert" in capsys.readouterr().out
    assert [*project.iterdir()] == []


def test_a_signature_is_the_graphs_own(folder: Path) -> None:
    from model.networks import tf

    model = with_signature((folder / "net.tflite").read_bytes(), 1)
    interpreter = tf.lite.Interpreter(model_content=model)
    assert interpreter.get_signature_list() == {
        SIGNATURE: {"inputs": ["input_0"], "outputs": ["output_0"]}
    }
    run = interpreter.get_signature_runner(SIGNATURE)
    assert run(input_0=np.zeros((1, *SHAPE), np.float32))["output_0"].shape == (1, 5)
    with pytest.raises(ModelError, match="2 inputs for a model that has 1"):
        with_signature(model, 2)


def test_a_saved_model_of_too_many_files_is_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from quantize import convert_worker

    check_saved_model(folder / "saved")
    monkeypatch.setattr(convert_worker, "MAX_SAVED_FILES", 1)
    with pytest.raises(ModelError, match="2 files of"):
        check_saved_model(folder / "saved")


# --- representative inputs ---------------------------------------------------------------------


def graph(*ends: tuple[str, tuple[int, ...], str]) -> Inputs:
    """Inputs without a network."""
    tensors = tuple(
        Tensor(index=i, name=name, dtype=dtype, shape=shape, quant=None, data=None)
        for i, (name, shape, dtype) in enumerate(ends)
    )
    return Inputs.of(
        Graph(tensors=tensors, operators=(), inputs=tuple(range(len(ends))), outputs=())
    )


TWO = graph(("serving_default_b:0", (1, 2), "float32"), ("a", (1, 3), "int32"))
ONE = graph(("x", (1, 2), "float32"))


def test_arrays_by_name_and_by_order() -> None:
    b, a = np.ones((5, 2)), np.ones((5, 1, 3), np.uint8)
    for arrays in ({"a": a, "b": b}, {"1": a, "0": b}, {"arr_0": b, "arr_1": a}):
        found = from_arrays(arrays, TWO, "x")
        assert [(v.shape, v.dtype) for v in found.inputs] == [
            ((5, 1, 2), "float32"),
            ((5, 1, 3), "int32"),
        ]
        assert found.labels is None
    found = from_arrays({"1": a, "0": b, "labels": np.arange(5)}, TWO, "x")
    assert found.labels is not None and found.labels.tolist() == [0, 1, 2, 3, 4]
    labels_end = graph(("labels", (1, 2), "float32"))
    assert from_arrays({"labels": b}, labels_end, "x").labels is None


def test_inputs_are_counted_as_numbers() -> None:
    many = graph(*((f"in_{n}", (1, 1), "float32") for n in range(12)))
    values = {f"arr_{n}": np.full((2, 1), n) for n in range(12)}
    found = from_arrays(values, many, "x")
    assert [v[0, 0] for v in found.inputs] == [*range(12)]
    assert found.pairs[2] == "arr_2 is in_2 [cases, 1]"


@pytest.mark.parametrize(
    ("names", "network", "told"),
    [
        (["x", "y"], ["b", "a"], "arrays x, y; expected one for each input, .* name: b, a .*arr_0"),
        (["b", "arr_1"], ["b", "a"], "arrays arr_1, b; expected"),
        (["input_0", "input_1"], ["input_1", "input_2"], "expected one for each input"),
        (["arr_1", "arr_2"], ["b", "a"], "arrays arr_1, arr_2; expected"),
        (["b", "a", "c"], ["b", "a"], "arrays a, b, c; expected"),
        (["x", "y"], ["same", "same"], "2 arrays; or arr_0 to arr_1"),
    ],
)
def test_arrays_are_never_given_to_inputs_by_a_guess(
    names: list[str], network: list[str], told: str
) -> None:
    with pytest.raises(ModelError, match=told):
        paired(names, network, "x.npz")


def test_numbers_are_not_taken_where_the_network_has_no_order() -> None:
    assert paired(["b", "a"], ["a", "b"], "x", ordered=False) == ["a", "b"]
    with pytest.raises(ModelError, match=r"name: a, b \(and labels, if you like\)$"):
        paired(["arr_0", "arr_1"], ["a", "b"], "x", ordered=False)


@pytest.mark.parametrize(
    ("form", "keys"),
    [
        ("two.keras", ("arr_0", "arr_1")),
        ("two.keras", ("z b", "a-b")),
        pytest.param("two.keras", ("in", "a"), marks=pytest.mark.slow),
        pytest.param("two3.keras", ("arr_0", "arr_1"), marks=pytest.mark.slow),
        pytest.param("two3.keras", ("z b", "a-b"), marks=pytest.mark.slow),
        pytest.param("two.tflite", ("z b", "a-b"), marks=needs_quantiser),
        pytest.param("two", ("z_b", "a_b"), marks=pytest.mark.slow),
    ],
)
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


@pytest.mark.parametrize("framework", ["keras", pytest.param("tf_keras", marks=pytest.mark.slow)])
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


def test_many_cases_are_spread_evenly() -> None:
    count = 3 * MAX_CASES
    values = np.arange(2 * count).reshape(count, 2)
    found = from_arrays({"x": values, "labels": np.arange(count)}, ONE, "x")
    assert len(found) == MAX_CASES and found.given == count
    assert found.inputs[0][-1].tolist() == [values[-1].tolist()]
    assert found.labels is not None and (found.inputs[0][:, 0, 0] == 2 * found.labels).all()


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({}, r"arrays none; expected one for each input, with the input's name: x \(and labels,"),
        ({"x": np.ones((3, 3))}, r"x: shape \[3, 3\]; expected x \[cases, 2\]$"),
        ({"x": np.ones((3, 2, 1))}, r"expected x \[cases, 2\]; .* a case fits, so reshape it"),
        ({"x": np.ones(2)}, r"x: shape \[2\]"),
        ({"x": np.ones((0, 2))}, r"of \[0\] cases"),
        ({"x": np.full((3, 2), np.nan)}, "values that are not finite"),
        ({"x": np.full((3, 2), 1e300)}, "values beyond float32"),
        ({"x": np.ones((3, 2)), "labels": np.ones(2, int)}, r"of \[2, 3\] cases"),
        ({"x": np.ones((3, 2)), "labels": np.ones(3)}, "labels is float64"),
        ({"x": np.ones((3, 2)), "labels": np.ones((3, 1), int)}, "one whole number a case"),
        ({"x": np.ones((3, 2)), "y": np.ones((3, 2))}, "arrays x, y; expected one"),
    ],
)
def test_arrays_that_do_not_fit(arrays: dict[str, Any], told: str) -> None:
    with pytest.raises(ModelError, match=told):
        from_arrays(arrays, ONE, "x.npz")


@pytest.mark.parametrize("values", [np.full((2, 2), 1.5), np.full((2, 2), 1 << 40)])
def test_whole_numbers_are_asked_for(values: Any) -> None:
    with pytest.raises(ModelError, match="whole numbers|values beyond int32"):
        from_arrays({"x": values}, graph(("x", (1, 2), "int32")), "x.npz")


def test_a_folder_of_files(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([1, 2], np.float32))
    np.save(tmp_path / "b.npy", np.array([[3, 4], [5, 6]], np.float32))
    np.savez(tmp_path / "c.npz", x=np.array([[7, 8]]))
    (tmp_path / "d.txt").write_text("not read")
    found = from_folder(tmp_path, ONE)
    assert found.inputs[0].reshape(-1).tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    np.save(tmp_path / "e.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(ModelError, match=r"e\.npy: not a \.npy .* objects are pickles"):
        from_folder(tmp_path, ONE)
    (tmp_path / "e.npy").write_bytes(b"\x93NUMPY")
    with pytest.raises(ModelError, match=r"e\.npy: not a \.npy"):
        from_folder(tmp_path, ONE)
    with pytest.raises(ModelError, match=r"0 files \.npy or \.npz"):
        from_folder(tmp_path.parent / tmp_path.name / "..", ONE)
    with pytest.raises(ModelError, match=r"c\.npz: a"):
        np.savez(tmp_path / "c.npz", a=np.ones((1, 3)))
        from_file(tmp_path / "c.npz", ONE)


def test_windows_of_a_recipe() -> None:
    windows, labels = np.ones((4, 3, 2), np.float32), np.arange(4)
    found = from_windows(windows, labels, graph(("x", (1, 3, 1, 2), "float32")), "windows")
    assert found.inputs[0].shape == (4, 1, 3, 1, 2)
    with pytest.raises(ModelError, match=r"windows of the shape \[3, 2\]; the network takes x"):
        from_windows(windows, labels, graph(("x", (1, 2, 3), "float32")), "windows")


@pytest.mark.parametrize(
    ("labels", "classes", "told"),
    [
        ([0, 2, 3], 3, "the labels are 0 to 3, output 0 has 3 values; give 0 to 2"),
        ([-1, 2, 0], 3, "the labels are -1 to 2"),
        ([0, 1, 0], 1, "output 0 has one value"),
        ([0, 2, 1], 3, None),
        (None, 3, None),
    ],
)
def test_labels_that_do_not_fit_are_told(
    labels: list[int] | None, classes: int, told: str | None, tmp_path: Path
) -> None:
    values = np.eye(3)[:, :classes]
    inputs = Representative(
        inputs=(np.zeros((3, 4), np.float32),),
        labels=None if labels is None else np.array(labels),
        told="x.npz",
        given=3,
    )
    pair = OutputPair(name="y", floats=values, int8=values)
    made = Quantised(tool="t", outputs=(pair,), layers=[], warnings=["another"])
    network: Any = SimpleNamespace(tool=None)
    found = summary(tmp_path / "none.keras", network, inputs, made)
    assert (found["accuracy"] is None) == (told is not None or labels is None)
    assert found["warnings"][0] == "another" and len(found["warnings"]) == 1 + (told is not None)
    assert told is None or told in found["warnings"][1]
