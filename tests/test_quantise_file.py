"""A float network's file becomes an int8 model, and what that costs is told; or why it does not."""

from __future__ import annotations

import importlib.util
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
from quantize.convert_worker import check_saved_model
from quantize.ends import SIGNATURE, with_signature
from quantize.errors import ModelError
from quantize.float_outputs import load_float_outputs
from quantize.representative import Representative
from quantize.tflite.external_buffers import inlined
from quantize.tflite.reader import read_model
from tests.quantised import needs_quantiser, result

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


@pytest.mark.parametrize(
    "name",
    [
        "net.keras",
        pytest.param("three.keras", marks=pytest.mark.slow),
        pytest.param("net.h5", marks=pytest.mark.slow),
        pytest.param("net.hdf5", marks=pytest.mark.slow),
        pytest.param("saved", marks=pytest.mark.slow),
        pytest.param("net.tflite", marks=[needs_quantiser, pytest.mark.slow]),
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


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("name", ["attention.keras", "attention.h5"])
@pytest.mark.slow
def test_attention_is_arithmetic(
    name: str, folder: Path, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inputs = ["--inputs", str(folder / "attention.npz"), "--cases", "20"]
    assert main(["quantise", str(folder / name), *inputs]) == 0
    made, found = result(project)
    assert found["outputs"][0]["sqnr_db"] > 20 and found["warnings"] == []
    assert main(["parity", made, "--board", "native"]) == 0
    assert "20 of 20 cases equal" in capsys.readouterr().out


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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
        pytest.param(
            "open.keras --random",
            "expected [cases, ...] with fixed sizes behind the first",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "calls --random",
            "'EagerPyFunc' is not loaded, because it does more than compute",
            marks=pytest.mark.slow,
        ),
        ("damaged.keras --random", "damaged.keras: reading the network: not a whole Keras file: "),
        pytest.param(
            "cut_three.keras --random",
            "BadZipFile: File is not a zip file; save the network again",
            marks=pytest.mark.slow,
        ),
        ("cut_net.h5 --random", "(truncated file: eof ="),
        pytest.param("cut_net.h5 --random", "stored_eof = ", marks=pytest.mark.slow),
        pytest.param(
            "cut_net.h5 --random",
            "; save the network again, network.save('network.keras'), or copy",
            marks=pytest.mark.slow,
        ),
        ("damaged --random", "not a whole SavedModel: DecodeError"),
        pytest.param(
            "cut_saved_model --random",
            "; save it again, tf.saved_model.save(network, folder), or",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "cut_variables --random",
            "cut_variables: reading the network: not a whole SavedModel: ",
            marks=pytest.mark.slow,
        ),
        ("cut_net.tflite --random", "cut_net.tflite.buffers[0]: u16 at byte 2"),
        pytest.param(
            "words.keras --inputs words.npz",
            "stops at case 5 of the inputs: RuntimeError: gather i",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "words.keras --inputs words.npz",
            "20 to 23, and the network looks up rows 0 to 19; giv",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "flat.keras --inputs x.npz",
            "TFLite Micro aborts on one of the cases: its SOFTMAX has ",
            marks=pytest.mark.slow,
        ),
        ("--model empty --random", "a folder without saved_model.pb"),
        ("absent.keras --random", "No such file or directory; give the path of an existing file"),
        ("absent.tflite --random", "No such file or directory; give the path of an existing file"),
        ("net.pt --random", "a pickle, which may run code when it is read; write the network in"),
        ("dynamic.tflite --random", "quantised already; `make import` takes an int8 model"),
        ("net.keras --array a --random", "ARRAY=a is for C source only"),
        pytest.param("net.keras --data absent", "DATA=", marks=pytest.mark.slow),
        pytest.param(
            "net.keras --inputs absent.npz",
            "No such file or directory; expected an .npz with rep",
            marks=pytest.mark.slow,
        ),
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


@pytest.mark.parametrize(
    ("labels", "classes", "told"),
    [
        ([0, 2, 3], 3, "labels are 0 to 3, output 0 has 3 values; give 0 to 2"),
        ([-1, 2, 0], 3, "labels are -1 to 2"),
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
