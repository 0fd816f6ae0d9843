"""`tinyproof mlperf`: the public runner's reading rules, its data, its two modes."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import serial
from click.testing import CliRunner

from host_tools.boards.board import chip_board, load_board
from host_tools.commands.mlperf import command
from host_tools.errors import DeviceError, UsageError
from host_tools.link.device import Device
from host_tools.link.target import choose_target
from host_tools.mlperf.benchmarks import BENCHMARKS
from host_tools.mlperf.dataset import read_dataset
from host_tools.mlperf.runner import describe, infer, judge, load, measure, run_mlperf
from host_tools.options import answering
from quantize.golden import load_golden
from tests.benchmark_models import CASES, native_image, sent
from tests.native_app import compile_app, start_device
from tests.pty_board import PtyBoard

KWS, AD = "kws01", "ad01"
STRIDE = 512
READ_S = 20.0


@pytest.fixture(scope="module")
def kws(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """build/m with native firmware of kws01."""
    return native_image(tmp_path_factory.mktemp(KWS), KWS)


@pytest.fixture(scope="module")
def ad(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """build/m with native firmware of ad01."""
    return native_image(tmp_path_factory.mktemp(AD), AD)


class PublicRunner:
    """How the runner of mlcommons/tiny reads: characters, lines at \\n, up to one with m-ready."""

    def __init__(self, port: Path) -> None:
        self._port = serial.Serial(os.fspath(port), 115200, timeout=READ_S)

    def ask(self, text: str) -> list[str]:
        """The lines of an answer, the one with m-ready among them."""
        self._port.write(f"{text}%".encode())
        lines = [self._line()]
        while "m-ready" not in lines[-1]:
            lines.append(self._line())
        return [line for line in lines if line]

    def _line(self) -> str:
        line = ""
        while (char := self._port.read(1).decode()) != "\n":
            assert char, f"silence behind {line!r}"
            line += "" if char in "\r\0" else char
        return line

    def close(self) -> None:
        """Close the port."""
        self._port.close()


def test_what_the_public_runner_reads_at_a_port(kws: Path, tmp_path: Path) -> None:
    elf = kws / f"native-{KWS}" / "firmware.elf"
    data = sent(KWS, load_golden(kws / "golden.npz"), 1)
    with PtyBoard(elf, tmp_path / "port") as board:
        runner = PublicRunner(board.port)
        while runner._line() != "m-ready":  # of the boot, which a runner that comes later misses
            pass
        (name,) = [m for x in runner.ask("name") if (m := re.match(r"^m-name-dut-\[([^]]+)]$", x))]
        assert name[1] == "tinyproof native"
        found = [re.match(r"^m-(model|profile)-\[([^]]+)]$", x) for x in runner.ask("profile")]
        assert [m[1] for m in found if m] == ["profile", "model"] and found[1][2] == KWS  # type: ignore[index]
        runner.ask(f"db load {len(data)}")
        for i in range(0, len(data), 31):
            answer = runner.ask(f"db {''.join(f'{byte:02x}' for byte in data[i : i + 31])}")
        assert answer == ["m-load-done", "m-ready"]
        lines = runner.ask("infer 70 10")
        laps = [int(m[1]) for x in lines if (m := re.match(r"^m-lap-us-([0-9]+)$", x))]
        (results,) = [m for x in lines if (m := re.match(r"^m-results-\[([^]]+)\]$", x))]
        assert len(laps) == 2 and laps[1] > laps[0]
        assert len([float(x) for x in results[1].split(",") if x.strip()]) == 12
        runner.close()


def write_data(folder: Path, rows: list[str], files: dict[str, bytes]) -> Path:
    """A folder as the public runner reads it."""
    folder.mkdir(exist_ok=True)
    (folder / "y_labels.csv").write_text("\n".join(rows) + "\n")
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def test_both_modes_of_a_classifier(kws: Path, tmp_path: Path) -> None:
    golden = load_golden(kws / "golden.npz")
    truth = golden.outputs[0].reshape(CASES, 12).argmax(axis=1)
    wrong = (truth + 1) % 12
    labels = [int(truth[i] if i else wrong[i]) for i in range(CASES)]
    rows = [f"case_{i}.bin,12,{label}" for i, label in enumerate(labels)]
    files = {f"case_{i}.bin": sent(KWS, golden, i) for i in range(CASES)}
    write_data(tmp_path / KWS, rows, files)  # DATA may be the folder above it
    dataset = read_dataset(tmp_path, KWS, BENCHMARKS[KWS])
    board = load_board(f"native-{KWS}")
    target = choose_target(board, None, None)
    modes = ("performance", "accuracy")
    report = run_mlperf(kws, board, target, KWS, dataset, modes, None)
    assert report.accuracy is not None and report.performance is not None
    assert (report.accuracy.files, report.accuracy.top1) == (CASES, (CASES - 1) / CASES)
    assert report.accuracy.auc is None and "has no file" in str(report.accuracy.no_auc)
    performance = report.performance
    assert (performance.runs, performance.inferences, performance.valid) == (5, 2, False)
    assert performance.latency_ms * performance.throughput == pytest.approx(1000)
    written = json.loads((kws / board.folder / "mlperf.json").read_text())
    manifest = json.loads((kws / "gen" / "ref" / "manifest.json").read_text())
    assert written["model_sha256"] == manifest["model_sha256"]
    told = {"benchmark": KWS, "board": "native", "emulator": "native", "kernels": "ref"}
    assert told.items() <= written.items() and len(written["image_sha256"]) == 64
    text = "\n".join(describe(report))
    assert "top-1 83.3 %" in text and "runs of 2, not of 10 s" in text
    few = run_mlperf(kws, board, target, KWS, dataset, ("accuracy",), 2)
    assert few.performance is None and few.accuracy is not None and few.accuracy.files == 2


def test_a_board_at_a_port(kws: Path, tmp_path: Path) -> None:
    board = load_board(f"native-{KWS}")
    golden = load_golden(kws / "golden.npz")
    label = int(golden.outputs[0][4].argmax())
    folder = write_data(tmp_path / "data", [f"a.bin,12,{label}"], {"a.bin": sent(KWS, golden, 4)})
    dataset = read_dataset(folder, KWS, BENCHMARKS[KWS])
    with PtyBoard(kws / board.folder / "firmware.elf", tmp_path / "port") as there:
        target = choose_target(board, None, str(there.port))
        report = run_mlperf(kws, board, target, KWS, dataset, ("accuracy",), None)
    assert report.accuracy is not None and report.accuracy.top1 == 1
    written = json.loads((kws / board.folder / "mlperf-port.json").read_text())
    assert (written["port"], written["emulator"]) == (str(tmp_path / "port"), None)
    assert (written["image_sha256"], written["counts"]) == (None, "nanoseconds")  # by HELLO
    assert "image: a board cannot tell it" in "\n".join(describe(report))


def test_windows_of_a_file_are_averaged(ad: Path, tmp_path: Path) -> None:
    golden = load_golden(ad / "golden.npz")
    parts = [sent(AD, golden, case) for case in range(4)]
    files = {"normal.bin": parts[3], "anomaly.bin": b"".join(parts), "other.bin": parts[0] + b"12"}
    rows = [f"{name},2,{int(name != 'normal.bin')},2560,{STRIDE}" for name in files]
    dataset = read_dataset(write_data(tmp_path, rows, files), AD, BENCHMARKS[AD])
    windows = [list(sample.inputs()) for sample in dataset.samples]
    assert [len(w) for w in windows] == [1, (4 * 2560 - 2560) // STRIDE + 1, 1]
    assert windows[1][5] == parts[1] and windows[1][-1] == parts[3]
    board = load_board(f"native-{AD}")
    report = run_mlperf(
        ad, board, choose_target(board, None, None), AD, dataset, ("performance", "accuracy"), None
    )
    assert report.accuracy is not None
    assert (report.accuracy.files, report.accuracy.inputs) == (3, 18)
    assert report.accuracy.top1 is None and report.accuracy.auc is not None


ROWS = {
    "a.bin,12": "y_labels.csv:1: expected file,classes,class",
    "file,classes,class": "y_labels.csv:1: class: expected a whole number from 0, got 'class'",
    "a.bin,12,12": "class 12: expected 0 to 11 of keyword spotting",
    "a.bin,12,-1": "class: expected a whole number from 0, got '-1'",
    "gone.bin,12,3": "gone.bin: No such file or directory",
    "short.bin,12,3": "short.bin has 489 bytes; expected 490",
    "long.bin,12,3": "long.bin has 491 bytes; expected 490",
    "../a.bin,12,3": "lies outside of",
    "link,12,3": "lies outside of",
    "loop,12,3": "loop: Too many levels of symbolic links",
    "z\0ro,12,3": r"'z\x00ro': expected a file's name, got one with a zero byte",
    f"{'n' * 300},12,3": "n: File name too long",
    f"a.bin,12,{'9' * 5000}": f"class: expected a whole number from 0, got '{'9' * 40}'",
    "": "it has no rows",
}


@pytest.mark.parametrize("row", ROWS)
def test_bad_data_are_named(row: str, tmp_path: Path) -> None:
    files = {"a.bin": bytes(490), "short.bin": bytes(489), "long.bin": bytes(491)}
    folder = write_data(tmp_path / "data", [row], files)
    (folder / "loop").symlink_to("loop")
    (folder / "link").symlink_to("/etc/hostname")
    with pytest.raises(UsageError, match=re.escape(ROWS[row])):
        read_dataset(folder, KWS, BENCHMARKS[KWS])


def test_rows_of_other_editors_and_links_within_the_folder(tmp_path: Path) -> None:
    folder = write_data(tmp_path / "data", [], {"a.bin": bytes(490)})
    (folder / "b\u2028.bin").symlink_to("a.bin")
    rows = "\ufeffa.bin,12,3\r\n\r\nb\u2028.bin,12,4\r\n"
    (folder / "y_labels.csv").write_bytes(rows.encode())
    found = read_dataset(folder, KWS, BENCHMARKS[KWS]).samples
    assert [s.label for s in found] == [3, 4] and list(found[1].inputs()) == [bytes(490)]
    (folder / "a.bin").write_bytes(b"short")
    with pytest.raises(UsageError, match="it has 5 bytes now; expected 490"):
        list(found[0].inputs())


def test_what_is_no_list_of_files_is_told(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "y_labels.csv")
    with pytest.raises(UsageError, match="a pipe or a device, expected a file; DATA is"):
        read_dataset(tmp_path, KWS, BENCHMARKS[KWS])


WINDOWS = {
    "a.bin,2,0": "expected file,classes,class,bytes_to_send,stride, got 'a.bin,2,0'",
    "a.bin,2,0,2560,0": "2560 bytes to send, stride 0",
    "a.bin,2,0,2560,6": "2560 bytes to send, stride 6",
    "a.bin,2,0,2561,512": "2561 bytes to send, stride 512",
    "a.bin,2,2,2560,512": "class 2: expected 0 to 1",
    "b.bin,2,0,2560,512": "b.bin has 2559 bytes; expected 2560 or more",
    "folder,2,0,2560,512": "folder: expected a file",
    "huge,2,0,2560,512": "huge has 1099511627776 bytes; expected at most 268435456",
    f"a.bin,2,0,2560,{'4' * 4000}": "stride: expected a whole number",
}


@pytest.mark.parametrize("row", WINDOWS)
def test_bad_windows_are_named(row: str, tmp_path: Path) -> None:
    files = {"a.bin": bytes(2560), "b.bin": bytes(2559)}
    folder = write_data(tmp_path / "data", [row], files)
    (folder / "folder").mkdir()
    with (folder / "huge").open("wb") as huge:
        huge.truncate(1 << 40)  # of a sparse file
    with pytest.raises(UsageError, match=re.escape(WINDOWS[row])):
        read_dataset(folder, AD, BENCHMARKS[AD])


def test_no_data_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file or directory; DATA is the folder with"):
        read_dataset(tmp_path, KWS, BENCHMARKS[KWS])
    (tmp_path / "y_labels.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="not a readable CSV file"):
        read_dataset(tmp_path, KWS, BENCHMARKS[KWS])


def test_scores_are_judged_as_the_public_runner_does() -> None:
    two = judge(np.array([[0.9, 0.1], [0.4, 0.6], [0.6, 0.4], [0.2, 0.8]]), [0, 0, 1, 1], 4, "")
    assert (two.top1, two.auc, two.no_auc) == (0.5, 0.75, None)  # pairs in order: 3 of 4
    errors = judge(np.array([[1.0], [3.0], [2.0], [4.0]]), [0, 0, 1, 1], 4, "")
    assert (errors.top1, errors.auc) == (None, 0.75)
    three = judge(np.eye(3), [0, 1, 2], 3, "")
    assert (three.top1, three.auc) == (1.0, 1.0)
    assert judge(np.eye(3), [0, 1, 1], 3, "").no_auc == "class 2 has no file"


@dataclass
class Fake:
    """A device of known speed, which is `later` from the second infer on."""

    first_s: float
    later_s: float
    asked: list[tuple[int, int]] = field(default_factory=list)

    def mlperf(self, text: str, limit_s: float | None = None) -> list[str]:
        """The answers of a device that takes any input."""
        words = text.split()
        if words[0] == "db":
            return ["m-load-done"]
        runs, warm_up = int(words[1]), int(words[2])
        latency = self.later_s if self.asked else self.first_s
        self.asked.append((runs, warm_up))
        return ["m-lap-us-7", f"m-lap-us-{7 + round(runs * latency * 1e6)}", "m-results-[0.5,0.5]"]


def test_runs_on_hardware_are_long_enough() -> None:
    fake = Fake(
        0.004, 0.002
    )  # the first one was slow: what followed was too short, and is repeated
    found = measure(cast(Device, fake), [b"12"], "", hardware=True)
    assert fake.asked == [(1, 1), (2625, 5), *[(5250, 5)] * 5]
    assert found.valid and min(found.seconds) >= 10
    assert (found.latency_ms, found.throughput) == (pytest.approx(2), pytest.approx(500))
    slow = Fake(2.0, 2.0)
    assert measure(cast(Device, slow), [b"12"], "", hardware=True).inferences == 10
    fast = measure(cast(Device, Fake(1e-6, 1e-6)), [b"12"], "", hardware=True)
    assert (fast.inferences, fast.valid) == (1_000_000, False)


def test_answers_that_are_none_are_told(kws: Path) -> None:
    elf = kws / f"native-{KWS}" / "firmware.elf"
    with start_device(elf) as device:
        with pytest.raises(UsageError, match="db: e-.db load: kws01 takes exactly 490 bytes"):
            load(device, bytes(3))
        load(device, bytes(490))


class Liar:
    """A device whose answer to infer is given."""

    def __init__(self, *lines: str) -> None:
        self.lines = list(lines)

    def mlperf(self, text: str, limit_s: float | None = None) -> list[str]:
        """The answer."""
        return self.lines


@pytest.mark.parametrize(
    "lines",
    [
        ("m-lap-us-1", "m-lap-us-2", "m-results-[nan,0.1]"),
        ("m-lap-us-1", "m-lap-us-2", "m-results-[one]"),
        ("m-lap-us-1", "m-lap-us-2", "m-results-[0.1,,0.2]"),
        ("m-lap-us-2", "m-lap-us-1", "m-results-[0.1]"),
        ("m-lap-us-1", f"m-lap-us-{'9' * 5000}", "m-results-[0.1]"),
        ("m-lap-us-1", "m-results-[0.1]"),
    ],
)
def test_an_answer_without_sense_is_an_error_of_the_device(lines: tuple[str, ...]) -> None:
    with pytest.raises(DeviceError, match="infer: expected two lap times and one m-results"):
        infer(cast(Device, Liar(*lines)), 1, 0)


def test_other_firmware_is_told(kws: Path, tmp_path: Path) -> None:
    board = load_board(f"native-{KWS}")
    plain = tmp_path / "m"
    (plain / board.folder).mkdir(parents=True)
    (plain / "gen").symlink_to(kws / "gen")
    compile_app(plain / board.folder, kws / board.folder / "gen")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("host_tools.mlperf.runner.ANSWER_S", 0.5)
        with pytest.raises(DeviceError, match=r"Flash it: make flash BOARD=native MLPERF=kws01"):
            run_mlperf(plain, board, choose_target(board, None, None), KWS, None, ("x",), None)


REFUSED: dict[str, Callable[[Path], list[str]]] = {
    "which benchmark?": lambda _: [],
    "MODE=accuracy needs DATA": lambda _: ["--mlperf", KWS, "--mode", "accuracy"],
    "y_labels.csv: No such file": lambda path: ["--mlperf", KWS, "--data", str(path)],
    "'sww01' is not one of": lambda _: ["--mlperf", "sww01"],
}


@pytest.mark.parametrize("why", REFUSED)
def test_wrong_use_is_told_before_anything_is_built(why: str, project: Path) -> None:
    words = [*REFUSED[why](project), "--recipe", "motion", "--project", str(project)]
    result = CliRunner().invoke(command, words)
    assert why in result.output + str(result.exception)
    assert not (project / "build" / "recipes" / "motion" / "gen").exists()


def test_a_board_s_name_tells_its_benchmark() -> None:
    assert answering("nano33", KWS) == answering("nano33-kws01", KWS) == "nano33-kws01"
    assert answering("nano33", None) == "nano33"
    board = load_board("nano33-armv7em-vww01")
    assert (board.id, board.kernels, board.mlperf) == ("nano33", "armv7em", "vww01")
    assert chip_board(load_board("nano33-vww01")).folder == "nano33-armv7em-vww01"
    assert load_board("nano33-vww01").plain and not board.plain
    assert board.with_framework("arduino").folder == "nano33-armv7em-vww01-arduino"
    with pytest.raises(UsageError, match="no kernels 'sww01'"):
        load_board("nano33-sww01")
