"""`selftest kernels`: the board's kernels against the reference kernels, on the board."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from host_tools.boards.board import load_board
from host_tools.build.firmware import build_firmware, check_fits, pio_environment, read_model_sizes
from host_tools.errors import HostToolsError, UsageError
from host_tools.link.target import choose_target, open_device
from model.files import write_bytes
from quantize.golden import make_golden, random_inputs, save_golden
from quantize.lowering import KERNEL_SETS
from quantize.manifest import compile_sets
from quantize.ops.base import Array
from quantize.reference import Reference
from quantize.tflite.reader import parse_model
from tests import steps as command
from tests.firmware_builds import built, overwrite, write_gen
from tests.generators import GENERATORS
from tests.test_tap import model as layers
from tests.window_chains import wide

NAME = "m"
BOARDS = {  # board: the kernels that it compares with the reference
    "native-armv7em-selftest": "armv7em",
    "qemu_m4-selftest": "armv7em",
    "qemu_xtensa-selftest": "xtensa_mac16",
}
NATIVE = "native-armv7em-selftest"
DIFFERENCE = re.compile(
    r"kernels FAIL: step (\d+), operator (\d+) (\w+), output (\d+), index (\d+): "
    r"expected (\S+), got (\S+) \(of (\d+) steps, round (\d+)\)"
)


def make_build(root: Path, data: bytes) -> Path:
    """build/m of a model as `quantize golden` and `emit` leave it."""
    out_dir = root / "build" / NAME
    golden = make_golden(data, random_inputs(parse_model(data), 2, 0))
    write_bytes(out_dir / "model.tflite", data)
    save_golden(out_dir / "golden.npz", golden)
    folders = {kernels: out_dir / "gen" / kernels for kernels in KERNEL_SETS}
    compile_sets(data, golden, folders, name=NAME, settings={})
    return out_dir


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """build/m with firmware that holds both models."""
    root = tmp_path_factory.mktemp("project")
    out_dir = make_build(root, layers())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "BUILD", root / "build")
        for board in BOARDS:
            assert command.main(["build", NAME, board]) == 0
    return out_dir


@pytest.fixture
def out_dir(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of build/m to break."""
    monkeypatch.setattr(command, "BUILD", tmp_path / "build")
    copy = tmp_path / "build" / NAME
    shutil.copytree(whole, copy, ignore=shutil.ignore_patterns(".pio"))
    return copy


def device_inputs(elements: int, zero: int) -> Iterator[Array]:
    """The inputs of an int8 model, round by round, as the firmware draws them."""
    for edge in (-128, 127, zero):
        yield np.full(elements, edge, np.int8)
    state = 2463534242
    while True:
        row = []
        for _ in range(elements):
            for shift in (13, -17, 5):
                state ^= (state << shift if shift > 0 else state >> -shift) & 0xFFFFFFFF
            row.append(state & 0xFF)
        yield np.array(row, np.uint8).view(np.int8)


@pytest.mark.parametrize("board", BOARDS)
def test_equal_kernels_are_said_to_be_equal(
    board: str, out_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["selftest", NAME, board]) == 0
    words = f"{BOARDS[board]} against ref: kernels PASS: all 3 steps equal in 10 rounds"
    assert words in capsys.readouterr().out
    parts = json.loads((out_dir / board / "size.json").read_text())["parts"]
    assert min(parts.values(), default=1) > 0  # both models are one part
    assert command.main(["parity", NAME, board]) == 0


BREAKS = [  # a symbol of FULLY_CONNECTED and its new first bytes
    ("native-armv7em-selftest", "model_w2_stream", b"\x00\x00\x30\x00"),
    ("qemu_m4-selftest", "model_w2_stream", b"\x00\x00\x30\x00"),
    ("qemu_m4-selftest", "nn_conv_2d_single_s8", b"\x70\x47"),  # bx lr: it does nothing
]


@pytest.mark.parametrize(("board", "symbol", "content"), BREAKS)
def test_a_broken_step_is_named(
    board: str,
    symbol: str,
    content: bytes,
    out_dir: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A constant of the packed weights, or the code of a kernel, is overwritten."""
    overwrite(out_dir / board / "firmware.elf", symbol, content)
    assert command.main(["selftest", NAME, board]) == 1
    found = DIFFERENCE.search(capsys.readouterr().out)
    assert found is not None
    assert found.groups()[:4] == ("1", "2", "FULLY_CONNECTED", "0")
    reference = Reference(parse_model(layers()))
    source = reference.graph.tensors[reference.graph.inputs[0]]
    assert source.quant is not None
    rounds = device_inputs(source.elements, source.quant.zero_point[0])
    inputs = [next(rounds) for _ in range(int(found[9]))]
    values = reference.run_all([inputs[-1].reshape(source.shape)])
    output = reference.graph.operators[int(found[2])].outputs[0]
    assert values[output].reshape(-1)[int(found[5])] == int(found[6]) != int(found[7])
    assert found[8] == "3"


OTHERS = [  # generator, a text of model.c, what replaces it, the answer
    ("UNIDIRECTIONAL_SEQUENCE_LSTM", "", "", "PASS: all 1 steps equal in 10 rounds"),
    (
        "SVDF",
        ".output_offset = -120",
        ".output_offset = -119",
        r"FAIL: step 0, operator 0 SVDF, output \d, index \d+: expected -?\d+, got -?\d+ ",
    ),
    (
        "DEQUANTIZE",
        ".count = 45",
        ".count = 44",
        r"FAIL: step 0, operator 0 DEQUANTIZE, output 0, index 44: expected 0x[0-9a-f]{8}, got 0x",
    ),
    ("ADD_INT16", ".act_max = 9135", ".act_max = 9134", "index 0: expected 9135, got 9134 .* 2.$"),
]


@pytest.mark.parametrize(("generator", "old", "new", "answer"), OTHERS)
def test_state_and_other_types(
    generator: str,
    old: str,
    new: str,
    answer: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(command, "BUILD", tmp_path / "build")
    gen = make_build(tmp_path, GENERATORS[generator](np.random.default_rng(0))) / "gen" / "armv7em"
    text = (gen / "model.c").read_text()
    assert old in text
    (gen / "model.c").write_text(text.replace(old, new))
    assert command.main(["build", NAME, NATIVE]) == 0
    assert command.main(["selftest", NAME, NATIVE]) == int("FAIL" in answer or "got" in answer)
    assert re.search(answer, capsys.readouterr().out.strip())


@pytest.mark.parametrize(
    ("find", "answer"), [("", "PASS: all 2 steps"), ("@", "operator 2 DEPTHWISE")]
)
def test_operators_that_run_together_are_compared_by_the_last(
    find: str,
    answer: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The reference runs them one by one; here a weight of the first is changed."""
    monkeypatch.setattr(command, "BUILD", tmp_path / "build")
    gen = make_build(tmp_path, wide().pack()) / "gen" / "armv7em"
    text = (gen / "model.c").read_text()
    assert "operator 0, CONV_2D, operator 2, DEPTHWISE_CONV_2D */" in text
    if find:
        first = re.search(r"model_w2_(?:stream|weights)_0\[\d+\] = \{\s*(-?\d+)", text)
        assert first is not None
        place = slice(*first.span(1))
        text = text[: place.start] + str(~int(first[1])) + text[place.stop :]
        (gen / "model.c").write_text(text)
    assert command.main(["build", NAME, NATIVE]) == 0
    assert command.main(["selftest", NAME, NATIVE]) == int(bool(find))
    assert answer in capsys.readouterr().out


def test_ordinary_firmware_says_that_the_check_is_not_linked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = built("native")
    board = load_board("native")
    shutil.copytree(folder, tmp_path / "native", ignore=shutil.ignore_patterns(".pio"))
    with open_device(choose_target(board, None, None), board, tmp_path / "native") as device:
        with pytest.raises(UsageError, match="not linked, see `make selftest`"):
            device.command("selftest kernels")
        assert device.command("selftest")[0].startswith("self-test PASS")


def test_another_word_is_refused(out_dir: Path) -> None:
    board = load_board(NATIVE)
    with open_device(choose_target(board, None, None), board, out_dir / board.folder) as device:
        for word in ("kernel", "kernelss", "x"):
            with pytest.raises(UsageError, match="selftest takes nothing or the word kernels"):
                device.command(f"selftest {word}")
        assert device.command("selftest kernels")[0].startswith("kernels PASS")


def test_the_firmware_is_a_variant_of_its_board() -> None:
    board = load_board("qemu_m4-selftest")
    assert (board.id, board.kernels, board.folder) == ("qemu_m4", "armv7em", "qemu_m4-selftest")
    assert board.selftest
    other = load_board("qemu_m4-ref-selftest")
    assert (other.kernels, other.folder, other.selftest) == ("ref", "qemu_m4-ref-selftest", True)
    assert not load_board("qemu_m4-ref").selftest
    with pytest.raises(UsageError, match="only bare firmware compares its kernels"):
        pio_environment(load_board("nano33-selftest"), "arduino")


def test_two_models_that_do_not_fit_together_are_refused(tmp_path: Path) -> None:
    gen = write_gen(tmp_path / "gen" / "armv7em", arena_bytes=140000)
    write_gen(tmp_path / "gen" / "ref", arena_bytes=150000)
    words = (
        r"the model together with its reference for `selftest kernels` does not fit nano33: RAM "
        r"needs 290,000 .*262,144.*: reference arena 150,000, arena 140,000.*: BOARD=nano33\.$"
    )
    with pytest.raises(HostToolsError, match=words):
        build_firmware(load_board("nano33-selftest"), gen, tmp_path / "out")
    check_fits(load_board("nano33"), read_model_sizes(gen))
