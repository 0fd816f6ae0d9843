"""tinyproof live from the command line to the page's exports, with a recipe that is trained."""

from __future__ import annotations

import csv
import io
import os
import select
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from host_tools.boards.board import load_board
from host_tools.cli import main
from host_tools.commands_shared import Found
from host_tools.errors import DeviceError
from host_tools.link import target as target_module
from host_tools.link.target import Target
from host_tools.link.transport import UsbPort
from host_tools.live import prepare

ROOT = Path(__file__).parents[1]
START_S = 600.0
PREDICTION_S = 60.0
END_S = 30.0


def exported(url: str) -> list[dict[str, str]]:
    with urllib.request.urlopen(f"{url}export/predictions.csv", timeout=30) as answer:
        return list(csv.DictReader(io.StringIO(answer.read().decode())))


@pytest.mark.slow
def test_a_project_is_built_watched_and_left(project: Path) -> None:
    assert main(["new", "mine"]) == 0
    command = [sys.executable, "-m", "tests.tinyproof", "live", "--board", "native"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        command, cwd=project / "mine", stdout=subprocess.PIPE, text=True, env=environment
    )
    try:
        assert process.stdout is not None
        end, url = time.monotonic() + START_S, ""
        while not url.startswith("http://127.0.0.1:"):
            ready, _, _ = select.select([process.stdout], [], [], max(0, end - time.monotonic()))
            assert ready, f"no address in {START_S:.0f} s"
            url = process.stdout.readline().strip()
        end = time.monotonic() + PREDICTION_S
        while not (rows := exported(url)):
            assert time.monotonic() < end, f"no prediction in {PREDICTION_S:.0f} s"
            time.sleep(0.2)
        labels = {"circle", "rest", "wave"}
        assert {row["prediction"] for row in rows} <= labels
        assert {row["recorded_as"] for row in rows} <= labels
        # The folder is free while the page is served.
        assert main(["check", "--project", str(project / "mine")]) == 0
        process.send_signal(signal.SIGINT)
        assert process.wait(END_S) == 0
    finally:
        process.kill()
        process.wait()


def test_wrong_use_is_refused_before_anything_runs(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["live", "motion", "--http-port", "0"]) == 2
    assert main(["live", "motion", "--board", "native", "--http-port", "x"]) == 2
    assert main(["live", "motion", "--board", "none"]) == 2
    assert main(["live", "motion", "--port", "/dev/none", "--emulator", "native"]) == 2
    assert "the board at PORT=/dev/none runs by itself" in capsys.readouterr().err


def test_a_board_that_comes_back_under_another_name_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its serial number, as parity finds it; another board has the name that it had."""
    found = Found(board=load_board("nano33"), target=Target(emulator=None, port="/dev/ttyACM0"))
    on_desk = {"/dev/ttyACM0": "A1"}
    monkeypatch.setattr(
        target_module,
        "usb_ports",
        lambda: [UsbPort(name=n, text="", usb="2341:805a", serial=s) for n, s in on_desk.items()],
    )
    monkeypatch.setattr(
        target_module,
        "usb_port",
        lambda name: UsbPort(name=name, text="", usb="2341:805a", serial=on_desk[name]),
    )
    opened: list[str] = []
    monkeypatch.setattr(prepare, "open_port", lambda port, board: opened.append(port))
    monkeypatch.setattr(prepare, "require_port", lambda port, advice: None)
    start = prepare._opener(found, tmp_path / "firmware.elf", None)
    start()
    on_desk.update({"/dev/ttyACM0": "B2", "/dev/ttyACM1": "A1"})
    start()
    assert opened == ["/dev/ttyACM0", "/dev/ttyACM1"]
    del on_desk["/dev/ttyACM1"]
    with pytest.raises(DeviceError, match="serial number A1 is not plugged in"):
        start()  # B2 has the name that A1 had
    assert len(opened) == 2
