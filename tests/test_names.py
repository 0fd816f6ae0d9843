"""How a model that was made or imported is named, and what its own inputs and labels do."""

from __future__ import annotations

import os
import re
import shlex
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from host_tools import quantise_file
from host_tools.cli import main
from quantize.tflite.reader import parse_model
from tests.factory import ModelBuilder

Q: dict[str, Any] = {"scale": [0.1], "zero_point": [0]}
HOSTILE = "\x1b]0;owned\x07\x1b[2J\nerror: all is well\r\u202egnp\x9b31m"


def relu(scale: float = 0.1, name: str = "") -> bytes:
    """A model of one input [1, 4] whose outputs are its inputs above 0."""
    b = ModelBuilder()
    ends = [
        b.tensor([1, 4], scale=[scale], zero_point=[0], name=name and f"{i}{name}")
        for i in range(2)
    ]
    b.operator("RELU", ends[:1], ends[1:])
    return b.pack(ends[:1], ends[1:])


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to stand in, with messages for the console command."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TINYPROOF_GOALS")
    return tmp_path


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the SavedModel network/ and inputs of two kinds for it."""
    from model.networks import keras, tf

    folder = tmp_path_factory.mktemp("saved")
    keras.utils.set_random_seed(4)
    network = keras.Sequential([keras.layers.InputLayer((6,)), keras.layers.Dense(4)])
    tf.saved_model.save(network, str(folder / "network"))
    x = np.random.default_rng(0).normal(size=(60, 6)).astype(np.float32)
    labels = np.asarray(network(x)).argmax(axis=1)
    np.savez(folder / "one.npz", x=x, labels=labels)
    np.savez(folder / "two.npz", x=3 * x)
    return folder


def typed(told: str) -> list[str]:
    """The arguments of the command that is told as the next."""
    match = re.search(r"(?:next|newest): tinyproof (.*)", told)
    assert match, told
    return shlex.split(match[1])


@pytest.mark.slow
def test_the_command_that_quantise_prints_works(
    saved: Path, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the folder of the SavedModel, after other inputs, and for a project elsewhere."""
    monkeypatch.chdir(saved)
    there = ["--project", str(project / "of mine")]
    (project / "of mine").mkdir()
    for inputs in ("one.npz", "two.npz"):
        assert main(["quantise", "network", "--inputs", inputs, "--cases", "7", *there]) == 0
        told = capsys.readouterr().out
        assert "kept for parity: 7 of them; --cases changes that" in told
        assert main(typed(told)) == 0, told
        told = capsys.readouterr().out
        assert "7 of 7 cases equal" in told
        assert ("accuracy against labels: " in told) == (inputs == "one.npz"), told
        if inputs == "one.npz":  # the only model of that name; the folder of it is no int8 model
            assert main(["parity", "network", "--board", "native", *there]) == 0
            told = capsys.readouterr()
            assert "7 of 7 cases equal" in told.out and "not the folder of that name" in told.err
    first, second = sorted(
        (project / "of mine/build/models").iterdir(), key=lambda f: f.stat().st_mtime
    )
    os.utime(first / "quantise.json", (10**9, 10**9))
    os.utime(first / "import.json", (10**9, 10**9))
    for command in ("parity", "inspect"):
        assert main([command, "network", *there]) == 2
        told = capsys.readouterr().err
        lines = told.splitlines()
        assert lines[0] == "error: 'network': 2 models have that name, the newest first:"
        assert lines[1].startswith(f"  {second.name}, ")
        assert lines[1].endswith("made of network with two.npz")
        assert lines[2].startswith(f"  {first.name}, 2001-09-")
        assert lines[2].endswith("made of network with one.npz")
        assert typed(told)[:2] == [command, second.name]
        assert main([*typed(told), *there]) == 0, told
        capsys.readouterr()


def test_a_network_that_was_not_made_is_told_how_to_make(
    saved: Path, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(saved)
    assert main(["parity", "network", "--project", str(project)]) == 2
    assert f"`tinyproof quantise {saved}/network --inputs X.npz`" in capsys.readouterr().err


@pytest.mark.slow
def test_cases_that_are_too_large_name_the_users_file(
    saved: Path, project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is converted; without --cases as many as fit are kept."""
    case_bytes = 6 * 4
    monkeypatch.setattr(quantise_file, "MAX_FILE_BYTES", 20 * case_bytes + quantise_file.ZIP_BYTES)
    monkeypatch.chdir(saved)
    arguments = ["quantise", "network", "--inputs", "one.npz", "--project", str(project)]
    assert main([*arguments, "--cases", "30"]) == 2
    told = capsys.readouterr().err
    assert f"--inputs {saved}/one.npz: 30 cases of 24 bytes are more than parity keeps" in told
    assert "give --cases 20 or fewer" in told and not (project / "build").exists()
    assert main(arguments) == 0
    assert "kept for parity: 20 of them" in capsys.readouterr().out


def test_labels_beside_own_inputs(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As quantise takes them: they tell accuracy, and where they do not fit, why not."""
    Path("a.tflite").write_bytes(relu())
    x = np.eye(4, dtype=np.float32)[[0, 1, 2, 3, 0, 1, 2, 3]].reshape(8, 1, 4)
    parity = ["parity", "a.tflite", "--board", "native", "--inputs"]
    np.savez("own.npz", x=x, labels=[0, 1, 2, 3, 0, 1, 2, 0])
    assert main([*parity, "own.npz"]) == 0
    told = capsys.readouterr().out
    assert "8 of 8 cases equal" in told
    assert "accuracy against labels: 7 of 8 (87.5%)" in told
    assert main(["report", next(Path("build/models").iterdir()).name]) == 0
    capsys.readouterr()
    assert main([*parity, "own.npz", "--cases", "4"]) == 0
    told = capsys.readouterr()
    assert "these are 4 of the 8 cases that are kept" in told.out
    assert "[golden]" not in told.err, "the cases are those of the inputs"
    for labels, why in ([[0, 1], "int64 [2], expected one"], [[9] * 8, "9 to 9, output 0 has 4"]):
        np.savez("own.npz", x=x, labels=labels)
        assert main([*parity, "own.npz"]) == 0
        told = capsys.readouterr().out
        assert f"no accuracy: labels are {why}" in told
        assert "accuracy against" not in told
    np.savez("own.npz", x=x, y=x)
    assert main([*parity, "own.npz"]) == 2
    assert "--inputs: the file: arrays x, y; expected one for each input" in capsys.readouterr().err


def test_cases_without_effect_are_told(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("a.tflite").write_bytes(relu())
    np.savez("own.npz", x=np.zeros((8, 1, 4), np.int8))
    for command in ("import", "emit"):
        assert main([command, "a.tflite", "--inputs", "own.npz", "--cases", "6"]) == 0
        told = capsys.readouterr()
        assert "--cases 6: without effect, all cases of the model's own inputs" in told.err
    Path("bad.npz").write_bytes(b"PK")
    assert main(["import", "a.tflite", "--inputs", "bad.npz"]) == 2
    assert f"{project}/bad.npz: not an .npz of plain arrays" in capsys.readouterr().err


def harmless(text: str) -> bool:
    """Whether a terminal only writes this."""
    return not any(unicodedata.category(c) in ("Cc", "Cf", "Cs") for c in text if c != "\n")


def test_names_of_a_file_are_only_written(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Tensors, operators, arrays and the file itself, in whatever a command prints."""
    name = HOSTILE.replace("\n", "").replace("/", "")[:60] + "\n.tflite"
    Path(name).write_bytes(relu(name=HOSTILE))
    tensors = parse_model(Path(name).read_bytes()).tensors
    assert all(harmless(t.name) and "\n" not in t.name for t in tensors)
    assert "\\x1b]0;owned\\x07" in tensors[0].name
    b = ModelBuilder()
    x, y = b.tensor([1, 4], **Q, name=HOSTILE), b.tensor([1, 4], **Q)
    b.operator("CUSTOM", [x], [y])
    b.codes[-1].customCode = HOSTILE.encode()
    Path("custom.tflite").write_bytes(b.pack([x], [y]))
    np.savez("own.npz", **{HOSTILE + "a": np.zeros((2, 1, 4)), HOSTILE: np.zeros((2, 1, 4))})
    commands = [
        ["inspect", name],
        ["inspect", "custom.tflite"],
        ["inspect", "custom.tflite", "--json"],
        ["import", name, "--cases", "5"],
        ["parity", name, "--board", "native", "--cases", "5", "--float", name],
        ["parity", name, "--board", "native", "--cases", "5"],
        ["parity", name, "--inputs", "own.npz"],
        ["quantise", name, "--inputs", "own.npz"],
        ["quantise", "custom.tflite", "--inputs", "own.npz"],
        ["quantise", name, "--random", "--dry-run"],
    ]
    for command in commands:
        main(command)
        told = "".join(capsys.readouterr())
        assert told and harmless(told), (command, told)
        assert not re.search("^error: all is well", told, re.MULTILINE), (command, told)


def test_a_layer_s_name_is_only_written(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A float network whose tensors are named so, from its file to the table of layers."""
    b = ModelBuilder()
    x, w, y = (
        b.tensor([1, 4], dtype="float32", name=f"x{HOSTILE}"),
        b.tensor([3, 4], dtype="float32", data=np.ones((3, 4), np.float32), name=f"w{HOSTILE}"),
        b.tensor([1, 3], dtype="float32", name=f"y{HOSTILE}"),
    )
    b.operator("FULLY_CONNECTED", [x, w, -1], [y], "FullyConnectedOptions")
    Path("f.tflite").write_bytes(b.pack([x], [y]))
    np.savez("own.npz", x=np.random.default_rng(0).normal(size=(60, 4)))
    np.savez("bad.npz", x=np.zeros((60, 5)))
    np.savez("names.npz", **{HOSTILE + "a": np.zeros((60, 4)), HOSTILE: np.zeros((60, 4))})
    for inputs, code in (("own.npz", 0), ("bad.npz", 2), ("names.npz", 2)):
        assert main(["quantise", "f.tflite", "--inputs", inputs]) == code
        told = "".join(capsys.readouterr())
        assert harmless(told) and not re.search("^error: all", told, re.MULTILINE), told
