"""What a user gives beside a .tflite may be malicious: one message of ours, soon, and no trace."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from host_tools.cli import main
from host_tools.quantise_file import summary
from model.command import run_and_exit_code
from model.keras_file import KerasFileError, check_arrays
from quantize import float_reference
from quantize.convert import FloatNetwork, OutputPair, Quantised
from quantize.errors import ModelError
from quantize.representative import Inputs, Representative, from_arrays
from quantize.tflite import c_array
from quantize.tflite.c_array import array_bytes
from quantize.tflite.reader import parse_model
from tests import hostile_networks
from tests.factory import ModelBuilder
from tests.fuzz_inputs import verdict
from tests.host_c import ROOT
from tests.hostile_inputs import KINDS, ONE_INPUT

DRAWN = 150  # files of each kind
FUZZ_SECONDS = 60
Q: dict[str, Any] = {"scale": [0.1], "zero_point": [0]}


@pytest.mark.parametrize("kind", KINDS)
def test_drawn_inputs_are_taken_or_refused(kind: str) -> None:
    said = []
    for number in range(DRAWN):
        data = KINDS[kind][0](np.random.default_rng(number))
        result, detail = verdict(kind, data)
        assert result in ("accepted", "refused"), f"{kind} {number}: {result}: {detail}"
        said.append(result)
    assert set(said) == {"accepted", "refused"}


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*KINDS, "keras", "h5", "saved_model"])
def test_a_minute_of_drawn_inputs(kind: str, tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "tests.fuzz_inputs", kind, str(FUZZ_SECONDS), str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20 * FUZZ_SECONDS,
        check=False,
    )
    assert run.returncode == 0, f"{tmp_path}: {run.stdout[-4000:]}{run.stderr[-2000:]}"


# --- networks -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("valid")
    hostile_networks.make_valid(folder)
    return folder


def made(valid: Path, folder: Path, every: bool) -> Iterator[tuple[str, str, str]]:
    """(name of the file, what is wrong with it, what is said of it) of networks made by hand."""
    sources = ["net.keras", "net2.h5", *(["old.keras", "net.h5"] if every else [])]
    for source in sources:
        for number, (what, (change, told)) in enumerate(hostile_networks.KERAS.items()):
            of_archive = what not in hostile_networks.ARRAYS
            if source.endswith(".h5") and of_archive:
                continue
            name = f"{Path(source).stem}-{number}{Path(source).suffix}"
            (folder / name).write_bytes(change((valid / source).read_bytes()))
            yield name, f"{source}: {what}", told
    for number, (what, (damage, told)) in enumerate(hostile_networks.SAVED.items()):
        shutil.copytree(valid / "saved", folder / f"saved-{number}")
        damage(folder / f"saved-{number}")
        yield f"saved-{number}", f"SavedModel: {what}", told


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_networks_made_by_hand(valid: Path, tmp_path: Path) -> None:
    """As in the process that quantise starts for each; nothing is left outside of its folder."""
    inside, around = tmp_path / "a" / "b", [tmp_path / "a", tmp_path]
    inside.mkdir(parents=True)
    expected = list(made(valid, inside, every=True))
    verdicts = hostile_networks.judged(inside)
    assert verdicts.keys() == {name for name, _, _ in expected}
    for name, what, told in expected:
        said, detail = verdicts[name]
        assert said == ("accepted" if told == "accepted" else "refused"), (what, said, detail)
        assert told == "accepted" or told in detail, (what, detail)
    assert [len(list(folder.iterdir())) for folder in around] == [1, 1]


@pytest.mark.slow
@pytest.mark.parametrize("what", ["external link", "units of 2**40"])
def test_the_command_refuses_and_leaves_nothing(
    what: str, valid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    change = hostile_networks.KERAS[what][0]
    Path("net.keras").write_bytes(change((valid / "net.keras").read_bytes()))
    assert main(["quantise", "net.keras", "--random"]) == 2
    told = capsys.readouterr().err
    assert "net.keras: reading the network: " in told and told.count("\n") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["net.keras"]


@pytest.mark.parametrize("what", hostile_networks.ELSEWHERE)
def test_arrays_lie_in_the_file_itself(what: str, tmp_path: Path) -> None:
    """Keras would read whatever a link leads to."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["layers/kernel"] = np.zeros((4, 3), np.float32)
        file["round"] = file["/"]
        check_arrays(file)
        hostile_networks.ELSEWHERE[what](file)
        with pytest.raises(KerasFileError, match=hostile_networks.KERAS[what][1]):
            check_arrays(file)


def test_a_worker_that_is_killed_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it has unpacked lies in the folder that we delete."""
    code = "import os, tempfile; open(tempfile.mkdtemp() + '/a', 'w'); os.abort()"
    monkeypatch.setattr(float_reference, "our_process", lambda *_: [sys.executable, "-c", code])
    answer = float_reference.ask("float", "worker", (), tmp_path)
    assert "ended with code -6: the file is damaged or too large" in answer["error"]
    assert [len(list(p.iterdir())) for p in tmp_path.iterdir()] == [1]


# --- one thing at a time --------------------------------------------------------------------------


@pytest.mark.parametrize("element", ["0,", "0x1c, ", "1\n,"])
def test_a_source_of_many_megabytes_is_read_soon(element: str) -> None:
    text = b"const uint8_t g[] = {" + element.encode() * (12_000_000 // len(element)) + b"}"
    started = time.process_time()
    with pytest.raises(ModelError, match=r"no array of bytes is a .tflite.*: g \("):
        array_bytes(text, "model.cc", None)
    assert time.process_time() - started < 4


def test_comments_among_elements_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(c_array, "MAX_COMMENTS", 3)
    assert len(c_array.c_arrays(b"uint8_t a[] = {1/**/,1/**/,1};", "m")[0].data) == 3
    with pytest.raises(ModelError, match="more than 3 elements with comments around them"):
        c_array.c_arrays(b"uint8_t a[] = {1/**/,1/**/,1/**/,1/**/,};", "m")


def test_long_names_are_cut_in_messages() -> None:
    for text in (b"uint8_t %s[] = {1};", b"uint8_t %s[] = {x};"):
        with pytest.raises(ModelError) as error:
            array_bytes(text % (b"a" * 1_000_000), "model.cc", None)
        assert len(str(error.value)) < 400
    with pytest.raises(ModelError) as error:
        from_arrays({"a" * 999 + str(n): np.ones(2) for n in range(999)}, ONE_INPUT[0], "x")
    assert len(str(error.value)) < 1200


def test_messages_have_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    """A terminal would follow them."""

    def fail() -> int:
        raise ModelError("layer '\x1b[2J\x9b\r\u202e' é\nnext")

    assert run_and_exit_code(fail) == 2
    assert capsys.readouterr().err == ("error: layer '\\x1b[2J\\x9b\\r\\u202e' é\nnext\n")


@pytest.mark.parametrize("network", ONE_INPUT, ids=lambda n: f"{n.tensors[0]!r}"[:0])
def test_a_single_number_is_no_array_of_cases(network: Any) -> None:
    with pytest.raises(ModelError, match=r"shape \[\]; expected"):
        from_arrays({"x": np.array(1)}, network, "x.npz")


def test_only_the_cases_that_are_used_take_memory() -> None:
    """A file of a few kilobytes may unpack to gigabytes; copies of them are not made."""
    values = np.broadcast_to(np.float64(1), (1 << 40, 1, 2))
    found = from_arrays({"x": values}, ONE_INPUT[4], "x.npz")
    assert (found.given, len(found)) == (1 << 40, 1000)


def test_a_network_of_more_than_a_model_is_summed_up(tmp_path: Path) -> None:
    path = tmp_path / "net.keras"
    with path.open("wb") as file:
        file.truncate(65 << 20)
    graph = parse_model(_folded("ABS", [np.ones(4, np.float32)], [4]))
    network = FloatNetwork(
        kind="keras", path=path, folder=tmp_path, graph=graph, inputs=Inputs.of(graph), tool=None
    )
    inputs = Representative(inputs=(np.zeros((1, 2)),), labels=None, told="x", given=1)
    pair = OutputPair(name="y", floats=np.zeros((1, 1)), int8=np.zeros((1, 1)))
    found = summary(
        path, network, inputs, Quantised(tool="t", outputs=(pair,), layers=[], warnings=[])
    )
    assert len(found["network_sha256"]) == 64


def _folded(name: str, inputs: list[Any], shape: list[int], options: str = "") -> bytes:
    """An operator of constants, whose output is of its first input's type."""
    b = ModelBuilder()
    operands = [b.tensor(v.shape, dtype=v.dtype.name, data=v) for v in inputs]
    y = b.tensor(shape, dtype=inputs[0].dtype.name)
    b.operator(name, operands, [y], options)
    x, z = b.tensor([1, 4], **Q), b.tensor([1, 4], **Q)
    b.operator("ADD", [x, x], [z], "AddOptions", 2)
    return b.pack([x], [z])


I32, HUGE = np.int32, np.array([1000, 1000, 1000], np.int32)
MANY = np.full(1 << 20, 3, np.int64)


@pytest.mark.parametrize(
    ("name", "inputs", "shape", "told"),
    [
        ("RANGE", [np.array(v, I32) for v in (0, 2**31 - 1, 1)], [1 << 26], "over 4194304"),
        ("TILE", [np.ones((1, 1, 1), I32), HUGE], [100, 1000, 500], "over 4194304"),
        ("BROADCAST_TO", [np.ones(1, I32), HUGE], [100, 1000, 500], "over 4194304"),
        ("BROADCAST_TO", [np.ones(1, I32), -HUGE], [1000], "the file says"),
        ("TILE", [np.ones(1, I32), np.array([-1], I32)], [1], "the file says"),
        ("BROADCAST_TO", [np.ones(1, I32), MANY], [1], "gives .3, 3"),
        ("DIV", [MANY, MANY * 0], [1 << 20], "a division by zero"),
        ("DIV", [np.array([-(2**63)]), np.array([-1])], [1], ""),
        ("DIV", [np.array([-(2**31)], I32), np.array([-1], I32)], [1], ""),
        ("DIV", [MANY - 2**62, MANY], [1 << 20], ""),
        ("NEG", [np.array([True])], [1], "makes bool of bool"),
        ("SUB", [np.array([True]), np.array([True])], [1], "makes bool of bool"),
        ("LOGICAL_AND", [np.ones(2, I32), np.ones(2, I32)], [2], "makes int32 of int32"),
        ("SUM", [np.array([True, True]), np.array([0], I32)], [1], "makes bool of bool"),
    ],
)
def test_folding_is_bounded(name: str, inputs: list[Any], shape: list[int], told: str) -> None:
    options = {"DIV": "DivOptions", "TILE": "TileOptions", "RANGE": "RangeOptions"}
    data = _folded(name, inputs, shape, options.get(name, ""))
    started, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if told:
        with pytest.raises(ModelError, match=told) as error:
            parse_model(data)
        assert len(str(error.value)) < 1000
    else:
        assert parse_model(data).folded == 1
    assert time.process_time() - started < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500 << 10


def test_sums_that_double_are_bounded() -> None:
    b = ModelBuilder()
    last = b.tensor([1], dtype="int32", data=np.ones(1, I32))
    for power in range(1, 26):
        out = b.tensor([1 << power], dtype="int32")
        b.operator("CONCATENATION", [last, last], [out], "ConcatenationOptions", axis=0)
        last = out
    x, z = b.tensor([1, 4], **Q), b.tensor([1, 4], **Q)
    b.operator("ADD", [x, x], [z], "AddOptions", 2)
    with pytest.raises(ModelError, match="operator 20 CONCATENATION: over 4194304 elements"):
        parse_model(b.pack([x], [z]))


def test_a_pipe_is_no_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would never end."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.cc", "a.keras", "a.tflite", "a.h5"):
        os.mkfifo(name)
        assert main(["quantise", name, "--random"]) == 2
