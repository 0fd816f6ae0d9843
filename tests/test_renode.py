"""The emulator `renode` against a stand-in for the program: parity and more, end to end."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from host_tools.boards.board import BOARDS_DIR, load_board
from host_tools.build.elf import symbol_address
from host_tools.cli import main
from host_tools.commands_shared import emulated
from host_tools.emulators import EMULATORS, renode, renode_worker
from host_tools.emulators.process import start_on_pipes
from host_tools.errors import DeviceError, ToolMissing, UsageError
from host_tools.link import record
from host_tools.link.device import Device
from host_tools.link.target import Target, choose_target
from tests.factory import GENERATORS
from tests.firmware_builds import built, built_with_features
from tests.native_app import compile_app, stub_with_features

ROOT = Path(__file__).resolve().parent.parent
DOUBLE = ROOT / "tests" / "renode_double.py"
NAMES = ("plain", 'it\'s a "Gerät"; quit $x `log` #')
EMULATOR = EMULATORS["renode"]


@pytest.fixture(scope="module")
def stubs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The stub firmware for this computer, as each board's."""
    return {
        board: compile_app(tmp_path_factory.mktemp(board), board_id=board)
        for board in ("nano33", "esp32")
    }


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Path]:
    """Put the stand-in in Renode's place, and say what runs in it; returns its log."""

    def place(firmware: Path, fault: str = "", name: str = "renode") -> Path:
        program = tmp_path / name
        program.symlink_to(DOUBLE)
        log = tmp_path / "double.log"
        monkeypatch.setenv("RENODE", str(program))
        monkeypatch.delenv("TINYPROOF_RENODE", raising=False)
        for variable, value in (("FIRMWARE", firmware), ("LOG", log), ("FAULT", fault)):
            monkeypatch.setenv(f"DOUBLE_{variable}", str(value))
        return log

    return place


def pid_of(log: Path) -> int:
    found = re.search(r"^pid (\d+)$", log.read_text(), re.MULTILINE)
    assert found
    return int(found[1])


def gone(pid: int) -> bool:
    """Whether a process has ended; a zombie has."""
    for _ in range(400):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("board", ["nano33", "esp32"])
def test_the_firmware_answers_and_its_counter_is_hooked(
    board: str, stubs: dict[str, Path], double: Callable[..., Path]
) -> None:
    log = double(stubs[board])
    elf = built(board)[0] / "firmware.elf"
    with Device(EMULATOR.start(elf), start_s=30.0) as device:
        assert device.info.board_id == board
        data = bytes(range(256)) * 3
        assert device.run([data]) == [bytes(byte * 2 % 256 for byte in data[:7])]
    text = log.read_text()
    counter = symbol_address(elf, "board_counter")
    assert counter is not None
    address = counter & ~1 if board == "nano33" else counter
    assert f'cpu AddHook {address:#x} "self.SetRegisterUlong(' in text
    assert "self.ExecutedInstructions & 0xFFFFFFFF" in text
    assert text.splitlines()[-1] == "start"
    script = re.search(r"^script (.*)$", text, re.MULTILINE)
    assert script and re.fullmatch(r"/tmp/tinyproof-renode-\w+/run.resc", script[1])
    assert gone(pid_of(log))
    assert not Path(script[1]).parent.exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.slow
def test_a_model_is_proved_in_renode_from_the_command(
    name: str,
    tmp_path: Path,
    double: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    project = tmp_path / name
    project.mkdir()
    monkeypatch.chdir(project)
    (project / "net.tflite").write_bytes(GENERATORS["FULLY_CONNECTED"](np.random.default_rng(3)))
    command = ["net.tflite", "--board", "nano33", "--cases", "5"]
    assert main(["build", "net.tflite", "--board", "nano33-armv7em", "--cases", "5"]) == 0
    (folder,) = (project / "build" / "models").iterdir()
    gen = folder / "gen" / "armv7em"
    firmware = compile_app(tmp_path, gen, board_id="nano33", kernels="armv7em")
    log = double(firmware, name=f"{name} renode")
    chosen = ["--emulator", "renode", "--renode", os.environ["RENODE"]]
    monkeypatch.delenv("RENODE")
    capsys.readouterr()
    assert main(["parity", *command, *chosen]) == 0
    told = capsys.readouterr().out
    assert "nano33 on renode: 5 of 5 cases equal" in told
    assert "kernels armv7em" in told and "portable" not in told
    assert main(["bench", *command, *chosen]) == 0
    assert main(["drift", *command, *chosen]) in (0, 2)
    results = folder / "nano33-armv7em"
    assert json.loads((results / "parity-renode.json").read_text())["emulator"] == "renode"
    bench = json.loads((results / "bench-renode.json").read_text())
    assert bench["unit"] == "instructions" and bench["kernels"] == "armv7em"
    # Nothing of a name is in a command of the monitor.
    assert "Gerät" not in log.read_text() and "quit" not in log.read_text()


def test_what_another_emulator_ran_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.tflite").write_bytes(GENERATORS["FULLY_CONNECTED"](np.random.default_rng(3)))
    assert main(["parity", "net.tflite", "--board", "nano33", "--cases", "2"]) == 0
    told = capsys.readouterr().out
    assert "labwired_nrf52840 ran the portable kernels; what is flashed has armv7em" in told
    assert re.search("which run with (EMULATOR=|--emulator )renode", told)
    assert main(["bench", "net.tflite", "--board", "nano33"]) == 0
    told = capsys.readouterr().out
    assert "labwired_nrf52840 ran the portable kernels; what is flashed has armv7em" in told
    assert re.search("which run with (EMULATOR=|--emulator )renode", told)


def test_the_chip_s_kernels_run_unless_others_are_named(
    double: Callable[..., Path], stubs: dict[str, Path]
) -> None:
    double(stubs["nano33"])
    for name, folder in (
        ("nano33", "nano33-armv7em"),
        ("nano33-selftest", "nano33-armv7em-selftest"),
        ("nano33-ref", "nano33-ref"),
        ("esp32", "esp32-xtensa_mac16"),
    ):
        assert emulated(name, "renode").board.folder == folder
    assert emulated("nano33", None).board.folder == "nano33"
    with pytest.raises(UsageError, match="emulator 'renode' does not run it"):
        emulated("qemu_m4", "renode")


def imu(folder: Path, lsb: float = 0.732e-3) -> Path:
    """A recording as of the LSM9DS1."""
    path = folder / "take.npz"
    samples = np.arange(6 * 120, dtype=np.int16).reshape(120, 6) * 7 - 2000
    np.savez(
        path,
        samples=samples,
        rate_hz=59.5,
        channels=np.array(["ax", "ay", "az", "wx", "wy", "wz"]),
        units=np.array(["g"] * 3 + ["rad/s"] * 3),
        lsb=np.array([lsb] * 3 + [1221730e-9] * 3),
    )
    return path


def test_a_recording_is_fed_to_the_sensor(tmp_path: Path, double: Callable[..., Path]) -> None:
    native = tmp_path / "native"
    native.mkdir()
    log = double(compile_app(native, stub_with_features(native), board_id="nano33"))
    board = load_board("nano33")
    board_dir = built_with_features("nano33")
    target = record.with_replay(choose_target(board, "renode", None), imu(tmp_path))
    path = record.record_take(
        board, target, board_dir, label="wave", who="me", seconds=2.0, folder=tmp_path / "out"
    )
    payload = json.loads(path.read_text())["payload"]
    assert len(payload["values"]) == 119
    assert payload["values"][1] == [
        pytest.approx((-1958 + 7 * i) * lsb)
        for i, lsb in enumerate([0.732e-3] * 3 + [1221730e-9] * 3)
    ]
    text = log.read_text()
    assert "sysbus.twim0.imu FeedSteps @/tmp/tinyproof-renode-" in text
    start = symbol_address(board_dir / "firmware.elf", "board_sensor_start")
    assert start is not None
    assert re.search(rf"cpu AddHook {start & ~1:#x} \"self.RemoveHooksAt\(0x\w+\); self.Perf", text)


def test_a_recording_of_another_sensor_is_refused(tmp_path: Path) -> None:
    target = Target(emulator=EMULATOR, port=None)
    with pytest.raises(UsageError, match=r"not of the LSM9DS1.*got 59.5 Hz and 0.001, "):
        record.with_replay(target, imu(tmp_path, lsb=1e-3))
    replaying = record.with_replay(target, imu(tmp_path)).emulator
    assert replaying is not None
    with pytest.raises(UsageError, match="esp32 has no sensor to replay to"):
        replaying.start(built("esp32")[0] / "firmware.elf")


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("exit", r"Renode ended with status 134; it said: Couldn't find a valid ICU package"),
        ("silent", r"Renode did not open its port in 2 s; it said: \(nothing\)"),
        ("refuse", r"Renode refused a command; it said: There was an error executing command"),
        ("die", r"Renode ended with status -6; it said: Fatal error"),
        ("hook", r"Renode refused a command; it said: .*Python runtime error"),
    ],
)
def test_what_goes_wrong_is_told(
    fault: str,
    told: str,
    stubs: dict[str, Path],
    double: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    quick = tmp_path / "renode_worker.py"
    text = renode.WORKER.read_text()
    assert "START_S = 90.0" in text
    quick.write_text(text.replace("START_S = 90.0", "START_S = 2.0"))
    monkeypatch.setattr(renode, "WORKER", quick if fault == "silent" else renode.WORKER)
    log = double(stubs["nano33"], fault)
    started = EMULATOR.start(built("nano33")[0] / "firmware.elf")
    begun = time.monotonic()
    try:
        with pytest.raises(DeviceError, match=f"(?s)^renode: .*status 3; .*{told}"):
            while time.monotonic() < begun + 60.0:
                started.write(b"info\n")
                started.read(1.0)
    finally:
        started.close()
    assert time.monotonic() - begun < 60.0
    assert gone(pid_of(log))


@pytest.mark.parametrize("fault", ["", "silent", "stubborn"])
def test_closing_ends_renode_and_its_folder(
    fault: str, stubs: dict[str, Path], double: Callable[..., Path]
) -> None:
    log = double(stubs["nano33"], fault)
    started = EMULATOR.start(built("nano33")[0] / "firmware.elf")
    if fault != "silent":
        assert started.read(30.0)
    while not log.exists() or "script" not in log.read_text():
        time.sleep(0.05)
    begun = time.monotonic()
    started.close()
    assert time.monotonic() - begun < 4.0
    assert gone(pid_of(log))
    script = re.search(r"^script (.*)$", log.read_text(), re.MULTILINE)
    assert script and not Path(script[1]).parent.exists()


def test_a_renode_that_talks_without_end_takes_no_room(
    stubs: dict[str, Path], double: Callable[..., Path]
) -> None:
    log = double(stubs["nano33"], "talk")
    with Device(EMULATOR.start(built("nano33")[0] / "firmware.elf"), start_s=60.0) as device:
        assert device.hello().board_id == "nano33"
        time.sleep(1.0)
        script = re.search(r"^script (.*)$", log.read_text(), re.MULTILINE)
        assert script is not None
        files = Path(script[1]).parent.iterdir()
        assert max(file.stat().st_size for file in files) < 2_000_000
    assert gone(pid_of(log))
    assert not Path(script[1]).parent.exists()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_renode_ends_with_the_host(
    number: signal.Signals, stubs: dict[str, Path], double: Callable[..., Path]
) -> None:
    log = double(stubs["nano33"])
    elf = built("nano33")[0] / "firmware.elf"
    code = (
        "import sys; from pathlib import Path; from host_tools.emulators import EMULATORS\n"
        "t = EMULATORS['renode'].start(Path(sys.argv[1]))\n"
        "try:\n    print(t.read(30.0), flush=True)\n    t.read(60.0)\n    t.read(60.0)\n"
        "finally:\n    t.close()\n"
    )
    host = subprocess.Popen(
        [sys.executable, "-c", code, str(elf)], cwd=ROOT, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert host.stdout is not None and host.stdout.readline()
    pid = pid_of(log)
    host.send_signal(number)
    host.wait(60.0)
    host.stdout.close()
    assert gone(pid)


def test_a_killed_worker_takes_renode_with_it(
    stubs: dict[str, Path], double: Callable[..., Path]
) -> None:
    log = double(stubs["nano33"])
    started = EMULATOR.start(built("nano33")[0] / "firmware.elf")
    try:
        assert started.read(30.0)
        pid = pid_of(log)
        parent = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
        os.kill(parent, signal.SIGKILL)
        assert gone(pid)
        script = re.search(r"^script (.*)$", log.read_text(), re.MULTILINE)
        assert script
        shutil.rmtree(Path(script[1]).parent)  # what nobody was left to remove
    finally:
        started.close()


def test_without_renode_it_is_said_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("RENODE", raising=False)
    monkeypatch.delenv("TINYPROOF_RENODE", raising=False)
    with pytest.raises(ToolMissing) as caught:
        emulated("nano33", "renode")
    for part in (
        "Renode is not on PATH",
        "renode-1.16.1.linux-portable-dotnet.tar.gz",
        "RENODE=/path/to/renode",
        "labwired_nrf52840, with the portable kernels",
    ):
        assert part in str(caught.value)
    monkeypatch.setenv("RENODE", str(tmp_path / "nowhere"))
    with pytest.raises(ToolMissing, match="Renode is not at .*nowhere"):
        emulated("nano33", "renode")
    with pytest.raises(ToolMissing, match="not at"):
        start_on_pipes("renode", EMULATOR.missing(), ["true"])


def test_the_scripts_that_are_shipped_are_what_runs(tmp_path: Path) -> None:
    """The script of a run has no more than numbers and names of its own."""
    for board in ("nano33", "esp32"):
        text = renode_worker.monitor_script(
            board, Path("/tmp/x"), 34021, 0x11FA8, 0x12000, replay=board == "nano33"
        )
        assert text.splitlines()[0] == "$elf=@/tmp/x/firmware.elf"
        assert f"include @/tmp/x/{board}.resc" in text
        kinds = {path.suffix for path in (BOARDS_DIR / "renode").glob(f"{board}.*")}
        assert {".repl", ".resc", ".cs"} <= kinds


def test_the_workflow_takes_the_release_that_the_message_names() -> None:
    text = (ROOT / ".github" / "workflows" / "renode.yml").read_text()
    version = re.search(r'RENODE_VERSION: "([\d.]+)"', text)
    assert version and renode.RELEASE.endswith(f"renode-{version[1]}.linux-portable-dotnet.tar.gz")
    assert re.search(r'RENODE_SHA256: "[0-9a-f]{64}"', text)
    assert "boards/renode/nano33.robot" in text


@pytest.mark.parametrize("line", ["class 3, scores 1 2", "class 3 IR, scores -128 127; mean of 2"])
def test_the_robot_test_waits_for_a_line_that_live_prints(line: str) -> None:
    """Classes have names or none (firmware/stream/app_live.c)."""
    text = (BOARDS_DIR / "renode" / "nano33.robot").read_text()
    (pattern,) = re.findall(r"(class .*?)  +treatAsRegex", text)
    assert re.search(pattern.replace("\\\\", "\\"), line)
