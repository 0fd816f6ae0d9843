"""Firmware that answers the commands of MLPerf Tiny, and what it makes of misuse."""

from __future__ import annotations

import json
import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from host_tools.boards.board import load_board
from host_tools.build.firmware import build_firmware
from host_tools.emulators import EMULATORS
from host_tools.errors import UsageError
from host_tools.link.device import Device
from host_tools.link.target import choose_target
from host_tools.link.transport import Transport
from host_tools.mlperf.benchmarks import BENCHMARKS, require_model
from host_tools.parity.outputs import run_parity
from model.files import write_json
from quantize.golden import Golden, load_golden
from quantize.tflm import TfliteMicro
from tests.benchmark_models import (
    CASES,
    SCALES,
    builder_defines,
    compile_native,
    make_build,
    model,
    native_image,
    sent,
)
from tests.firmware_builds import built, symbol_names
from tests.native_app import ROOT, start

MODELS = Path(os.environ.get("MODELS_DIR", ROOT.parent / "shared" / "models"))
LIMIT_S = 30.0
KWS = "kws01"
ANSWERS = f"m-profile-[ULPMark for tinyML Firmware V0.0.1]\r\nm-model-[{KWS}]\r\n"
HELP = ("name", "profile", "timestamp", "db load N", "db HH[HH]*", "infer N W", "results", "help")


class Commands:
    """The public runner's view of a device: it sends text and %, and gets lines up to m-ready."""

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.received = b""
        self.boot = self.until("m-init-done\r\nm-ready\r\n")

    def until(self, end: str) -> str:
        """What arrives up to `end`."""
        while end.encode() not in self.received:
            data = self.transport.read(LIMIT_S)
            assert data, self.received
            self.received += data
        text, self.received = self.received.split(end.encode(), 1)
        return text.decode() + end

    def ask(self, command: str) -> str:
        """The answer, without its m-ready; nothing may follow that."""
        self.transport.write(f"{command}%".encode())
        answer = self.until("m-ready\r\n")
        assert self.received == b"" and answer.count("m-ready") == 1
        return answer.removesuffix("m-ready\r\n")

    def load(self, data: bytes) -> None:
        """As the runner sends an input."""
        assert self.ask(f"db load {len(data)}") == f"m-[Expecting {len(data)} bytes]\r\n"
        answers = [self.ask(f"db {data[i : i + 31].hex()}") for i in range(0, len(data), 31)]
        assert answers == [""] * (len(answers) - 1) + ["m-load-done\r\n"]


def results_of(name: str, golden: Golden, case: int) -> str:
    """What the public firmware prints of a case, from TFLite Micro's outputs."""
    return results(name, sent(name, golden, case), golden.outputs[0][case])


def results(name: str, data: bytes, outputs: npt.NDArray[np.int8]) -> str:
    """The same of any input."""
    values = outputs.reshape(-1)
    if name == "ad01":
        answers = (values.astype(np.float32) - np.float32(96)) * np.float32(0.36449847)
        total = np.float32(0)
        for difference in answers - np.frombuffer(data, np.float32):
            total = np.float32(total + difference * difference)
        texts = [f"{float(total / np.float32(640)):.3f}"]
    elif name == KWS:
        texts = [f"0.{(int(v) + 128) * 1000 // 256:03d}" for v in values]
    else:
        texts = [f"{(int(v) + 128) / 256:.3f}" for v in values]
    return f"m-results-[{','.join(texts)}]\r\n"


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """build/m with native firmware of each benchmark, under the sanitizers."""
    return {name: native_image(tmp_path_factory.mktemp(name), name) for name in BENCHMARKS}


@pytest.fixture(scope="module")
def qemu_m4(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """build/m with kws01's firmware for qemu_m4, from PlatformIO."""
    out_dir = make_build(tmp_path_factory.mktemp("qemu"), model(KWS), ("armv7em",))
    board = load_board(f"qemu_m4-{KWS}")
    build_firmware(board, board.gen_dir(out_dir), out_dir / board.folder)
    return out_dir


@pytest.fixture
def device(images: dict[str, Path]) -> Iterator[Commands]:
    """kws01 on this computer, started."""
    transport = start(images[KWS] / f"native-{KWS}" / "firmware.elf")
    yield Commands(transport)
    transport.close()


def _transcript(device: Commands, board: str, golden: Golden) -> None:
    assert "ready: type help\r\nm-timestamp-mode-performance\r\nm-lap-us-" in device.boot
    assert device.ask("name") == f"m-name-dut-[tinyproof {board}]\r\n"
    assert device.ask("profile") == ANSWERS
    assert re.fullmatch(r"m-lap-us-\d+\r\n", device.ask("timestamp"))
    text = device.ask("help")
    assert all(word in text for word in HELP)
    device.load(sent(KWS, golden, 5))
    expected = results_of(KWS, golden, 5)
    assert len(set(expected[11:-3].split(","))) > 1
    answer = device.ask("infer 3 2")
    laps = "m-lap-us-(\\d+)\r\n"
    pattern = (
        f"m-warmup-start-2\r\nm-warmup-done\r\nm-infer-start-3\r\n{laps}{laps}m-infer-done\r\n"
    )
    found = re.fullmatch(pattern + re.escape(expected), answer)
    assert found and int(found[2]) > int(found[1])
    assert device.ask("results") == expected
    again = device.ask("infer 1")  # the input is kept; ten warm-ups, as the public firmware
    assert again.startswith("m-warmup-start-10\r\n") and again.endswith(expected)


def test_all_commands_on_this_computer(device: Commands, images: dict[str, Path]) -> None:
    _transcript(device, "native", load_golden(images[KWS] / "golden.npz"))


def test_all_commands_on_a_cortex_m4(qemu_m4: Path) -> None:
    transport = EMULATORS["qemu_m4"].start(qemu_m4 / f"qemu_m4-{KWS}" / "firmware.elf")
    device = Commands(transport)
    _transcript(device, "qemu_m4", load_golden(qemu_m4 / "golden.npz"))
    laps = [int(x) for x in re.findall(r"m-lap-us-(\d+)", device.ask("infer 2 0"))]
    more = [int(x) for x in re.findall(r"m-lap-us-(\d+)", device.ask("infer 4000 0"))]
    assert more[1] > 1_000_000 > laps[1]  # instructions, each as a cycle of 25 MHz
    assert more[1] - more[0] == pytest.approx(2000 * (laps[1] - laps[0]), rel=0.5)
    transport.close()


def test_frames_and_parity_on_the_same_image(qemu_m4: Path) -> None:
    board = load_board(f"qemu_m4-{KWS}")
    report = run_parity(qemu_m4, board, choose_target(board, None, None), None)
    assert (report.equal, report.failures) == (CASES, [])


def test_nothing_of_it_is_in_other_firmware(qemu_m4: Path) -> None:
    assert "app_mlperf_take" in symbol_names(qemu_m4 / f"qemu_m4-{KWS}" / "firmware.elf")
    assert not [
        name for name in symbol_names(built("qemu_m4")[0] / "firmware.elf") if "mlperf" in name
    ]


@pytest.mark.parametrize("name", BENCHMARKS)
def test_answers_are_those_of_tflite_micro(name: str, images: dict[str, Path]) -> None:
    transport = start(images[name] / f"native-{name}" / "firmware.elf")
    device = Commands(transport)
    golden = load_golden(images[name] / "golden.npz")
    expected = [results_of(name, golden, case) for case in range(CASES)]
    assert len(set(expected)) > 2
    for case in range(CASES):
        device.load(sent(name, golden, case))
        assert device.ask("infer 2 1").endswith(f"m-infer-done\r\n{expected[case]}")
    transport.close()


def test_floats_become_the_nearest_steps(images: dict[str, Path]) -> None:
    transport = start(images["ad01"] / "native-ad01" / "firmware.elf")
    device = Commands(transport)
    micro = TfliteMicro((images["ad01"] / "model.tflite").read_bytes())
    rng, scale = np.random.default_rng(3), np.float32(SCALES["ad01"])
    halves = (np.arange(-320, 320) + 0.5).astype(np.float32) * scale
    for values in (rng.normal(-30, 40, 640), halves, rng.choice([-1000.0, 0.0, 1000.0], 640)):
        data = values.astype("<f4").tobytes()
        steps = np.frombuffer(data, np.float32) / scale
        nearest = np.trunc(steps) + np.trunc(2 * (steps - np.trunc(steps)))  # halves: away from 0
        quantised = np.clip(nearest + 89, -128, 127).astype(np.int8).reshape(1, 640)
        device.load(data)
        assert device.ask("infer 1 0").endswith(results("ad01", data, micro.run([quantised])[0]))
    transport.close()


def test_a_long_time_is_counted_and_ended(images: dict[str, Path], tmp_path: Path) -> None:
    """Of a clock of 10 Hz that counts nanoseconds: a microsecond is 100 s."""
    folder = images[KWS] / f"native-{KWS}"
    manifest = json.loads((folder / "gen" / "manifest.json").read_text("utf-8"))
    defines = dict(builder_defines(KWS, "native", manifest)) | {"MLPERF_CLOCK_HZ": "10u"}
    transport = start(compile_native(tmp_path, folder / "gen", defines))
    device = Commands(transport)
    device.load(bytes(490))
    before, after = (int(device.ask("timestamp").strip()[9:]) for _ in range(2))
    assert after > before > 2**32
    stopped = "e-[infer was stopped after 300 s, take fewer runs]\r\n"
    assert device.ask("infer 100000 0").endswith(stopped)
    assert "infer has not run" in device.ask("results")
    transport.close()


REAL = {
    "kws01": "kws_ref_model",
    "ic01": "ic_resnet8_int8",
    "vww01": "vww_96_int8",
    "ad01": "ad01_int8",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
def test_the_benchmarks_own_models(name: str, tmp_path: Path) -> None:
    path = MODELS / f"{REAL[name]}.tflite"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    out_dir = make_build(tmp_path, path.read_bytes(), ("armv7em",))
    board = load_board(f"qemu_m4-{name}")
    build_firmware(board, board.gen_dir(out_dir), out_dir / board.folder)
    golden = load_golden(out_dir / "golden.npz")
    transport = EMULATORS["qemu_m4"].start(out_dir / board.folder / "firmware.elf")
    device = Commands(transport)
    for case in range(CASES):
        device.load(sent(name, golden, case))
        assert device.ask("infer 2 1").endswith(results_of(name, golden, case))
    transport.close()


def test_print_shows_the_bytes_as_they_came(images: dict[str, Path]) -> None:
    transport = start(images["ic01"] / "native-ic01" / "firmware.elf")
    device = Commands(transport)
    assert device.ask("db print") == ""
    device.ask("db load 3072")
    device.ask("db 0001fe80a5c3ff7f1011")
    assert device.ask("db print") == "m-buffer-00-01-fe-80-a5-c3-ff-7f\r\nm-buffer-10-11\r\n"
    transport.close()


MISUSE = {
    "": "Unknown command",
    "   ": "Unknown command",
    "nonsense 1 2": "Unknown command",
    "names": "Unknown command",
    "x" * 81: "at most 80 characters",
    "x" * 5000: "at most 80 characters",
    "db": "db takes one of",
    "db 00 00": "db takes one of",
    "db print 3": "db print takes nothing more",
    "db load": "takes exactly 490 bytes",
    "db load 0": "takes exactly 490 bytes",
    "db load 489": "takes exactly 490 bytes",
    "db load 491": "takes exactly 490 bytes",
    "db load 4294967786": "takes exactly 490 bytes",
    "db load -490": "takes exactly 490 bytes",
    "db load 490x": "takes exactly 490 bytes",
    "db load 490 490": "takes exactly 490 bytes",
    "db 00": "db load 490 comes before the bytes",
    "infer": "no whole input",
    "infer 1 0": "no whole input",
    "infer 0": "N is 1 to 1000000",
    "infer 1000001": "N is 1 to 1000000",
    "infer 1 1000001": "N is 1 to 1000000",
    "infer 18446744073709551617 0": "N is 1 to 1000000",
    "infer -1": "N is 1 to 1000000",
    "infer 1 0 0": "N is 1 to 1000000",
    "infer one": "N is 1 to 1000000",
    "results": "infer has not run",
}


def test_misuse_is_an_error_and_ready(device: Commands, images: dict[str, Path]) -> None:
    for command, why in MISUSE.items():
        answer = device.ask(command)
        assert re.fullmatch(r"e-\[[^]\r]+\]\r\n", answer) and why in answer, command[:30]
    golden = load_golden(images[KWS] / "golden.npz")
    device.load(sent(KWS, golden, 1))
    assert device.ask("infer 1 0").endswith(results_of(KWS, golden, 1))


def test_bytes_that_cannot_be_are_not_kept(device: Commands, images: dict[str, Path]) -> None:
    golden = load_golden(images[KWS] / "golden.npz")
    data = sent(KWS, golden, 2)
    device.ask("db load 490")
    assert "odd number" in device.ask("db 0")
    assert "odd number" in device.ask("db 012")
    assert "not a hex digit" in device.ask("db 001g")
    assert "no whole input" in device.ask("infer 1 0")  # nor a part of one
    for i in range(0, 480, 30):
        assert device.ask(f"db {data[i : i + 30].hex().upper()}") == ""
    assert "no whole input" in device.ask("infer 1 0")
    assert "more than the 490 bytes" in device.ask(f"db {data[480:].hex()}00")
    assert device.ask(f"db {data[480:].hex()}") == "m-load-done\r\n"
    assert "more than the 490 bytes" in device.ask("db 00")
    assert device.ask("infer 1 0").endswith(results_of(KWS, golden, 2))
    assert "takes exactly" in device.ask("db load 9999")  # and what was there is gone
    assert "no whole input" in device.ask("infer 1 0")
    assert "infer has not run" in device.ask("results")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1000.5, 3e38])
def test_what_is_no_feature_is_refused(value: float, images: dict[str, Path]) -> None:
    transport = start(images["ad01"] / "native-ad01" / "firmware.elf")
    device = Commands(transport)
    data = struct.pack("<640f", *([0.5] * 639), value)
    device.ask("db load 2560")
    answers = [device.ask(f"db {data[i : i + 31].hex()}") for i in range(0, 2560, 31)]
    assert "no floats from -1000 to 1000" in answers[-1]
    assert "no whole input" in device.ask("infer 1 0")
    transport.close()


def test_text_frames_and_damage_between_the_bytes(
    device: Commands, images: dict[str, Path]
) -> None:
    golden = load_golden(images[KWS] / "golden.npz")
    data = sent(KWS, golden, 3)
    device.ask("db load 490")
    device.ask(f"db {data[:31].hex()}")
    device.transport.write(b"selftest\n")
    assert "self-test PASS" in device.until("ok\r\n")
    device.transport.write(b"name\n")  # a line is no command of the benchmark
    assert "unknown command 'name'" in device.until("type help\r\n")
    device.transport.write(b"\xff\xfename%")  # a byte that got damaged
    assert "e-[Unknown command" in device.until("m-ready\r\n")
    device.transport.write(b"\x02%%%\x00")  # the % of a frame, even of a damaged one, is none
    while device.received.count(b"\0") < 2:
        reply = device.transport.read(LIMIT_S)
        assert reply
        device.received += reply
    device.received = b""
    wrapped = Device(device.transport)
    assert wrapped.run(golden.case_inputs(4)) == [golden.outputs[0][4].tobytes()]
    assert device.ask("results") == "e-[results: infer has not run on this input]\r\n"
    for i in range(31, 490, 31):
        answer = device.ask(f"db {data[i : i + 31].hex()}")
    assert answer == "m-load-done\r\n"
    assert device.ask("infer 1 0").endswith(results_of(KWS, golden, 3))


def test_another_model_is_refused_before_the_build(tmp_path: Path) -> None:
    board = load_board("qemu_m4-ic01")
    manifest = {"model_sha256": "0" * 64, "weight_bytes": 0, "arena_bytes": 16, "constants": []}
    ends = {"dtype": "int8", "scale": 1 / 256, "zero_point": -128}
    manifest |= {"name": "own", "inputs": [{**ends, "shape": [1, 49, 10, 1], "bytes": 490}]}
    manifest |= {"outputs": [{**ends, "shape": [1, 10], "bytes": 10}]}
    write_json(tmp_path / "manifest.json", manifest)
    with pytest.raises(
        UsageError, match=r"one int8 input of 3072 elements; own has int8 of 1x49x10x1"
    ):
        build_firmware(board, tmp_path, tmp_path / "out")
    manifest["inputs"] = [{**ends, "shape": [1, 32, 32, 3], "bytes": 3072}]
    manifest["outputs"] = [{**ends, "scale": 0.1, "shape": [1, 10], "bytes": 10}]
    write_json(tmp_path / "manifest.json", manifest)
    with pytest.raises(UsageError, match="scale 0.1 and zero point -128; expected probabilities"):
        build_firmware(board, tmp_path, tmp_path / "out")


def test_what_would_rebuild_features_out_of_range_is_refused() -> None:
    """Squared errors of up to 2^21 are printed; the benchmark's own model stays far below."""
    ends = {"dtype": "int8", "shape": [1, 640], "bytes": 640, "zero_point": 96}
    manifest = {"name": "own", "inputs": [{**ends, "scale": 0.4}]}
    require_model("ad01", manifest | {"outputs": [{**ends, "scale": 448 / 224}]})
    with pytest.raises(
        UsageError, match=r"zero point 96, which reaches 450.2\d*; expected at most 448"
    ):
        require_model("ad01", manifest | {"outputs": [{**ends, "scale": 2.01}]})
