"""Programs that are run for a while: nothing of them goes on when their time is over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from host_tools.boards import flash as flash_module
from host_tools.boards import rom_loader
from host_tools.boards.board import load_board
from host_tools.boards.flash import flash
from host_tools.build.tools import program_version
from host_tools.errors import DeviceError
from host_tools.processes import run_whole
from tests.test_flash import write_manifest

# Starts a child that starts one, as PlatformIO, SCons and esptool; each tells its number.
FAMILY = """
import os, pathlib, subprocess, sys, time
depth = int(sys.argv[1])
pathlib.Path(sys.argv[2], str(depth)).write_text(str(os.getpid()))
if depth:
    subprocess.run([sys.executable, "-c", sys.argv[3], str(depth - 1), *sys.argv[2:]])
time.sleep(60)
"""


def family(folder: Path) -> list[str]:
    return [sys.executable, "-c", FAMILY, "2", str(folder), FAMILY]


def interrupt_later(folder: Path) -> threading.Thread:
    """What a terminal does not do: interrupt this process only, once all of the family run."""

    def send() -> None:
        while not (folder / "0").exists():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=send)
    thread.start()
    return thread


def alive(folder: Path) -> list[int]:
    """Which of the family still run."""
    time.sleep(0.1)
    pids = [int(path.read_text()) for path in folder.iterdir()]
    states = [Path(f"/proc/{pid}/stat") for pid in pids]
    return [
        int(path.parent.name)
        for path in states
        if path.exists() and path.read_text().rpartition(")")[2].split()[0] != "Z"
    ]


def test_a_limit_ends_the_children_too(tmp_path: Path) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        run_whole(family(tmp_path), 3.0)
    assert len(list(tmp_path.iterdir())) == 3
    assert alive(tmp_path) == []


def test_an_upload_that_takes_too_long_is_stopped_as_a_whole(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="did not end in 3 s and was stopped"):
        flash_module._run(family(tmp_path), 3.0, DeviceError)
    assert alive(tmp_path) == []


@pytest.mark.parametrize("run", [lambda command: run_whole(command, 30.0), rom_loader._run])
def test_an_interrupt_ends_what_runs(tmp_path: Path, run: object) -> None:
    thread = interrupt_later(tmp_path)
    depth = "0" if run is rom_loader._run else "2"
    command = family(tmp_path)
    command[3] = depth
    with pytest.raises(KeyboardInterrupt):
        run(command)  # type: ignore[operator]
    thread.join()
    assert alive(tmp_path) == []


def test_an_interrupted_upload_says_that_the_board_has_no_application(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    out_dir = write_manifest(tmp_path / "build", "")
    port = tmp_path / "ttyACM0"
    port.touch()
    monkeypatch.setitem(flash_module.UPLOADERS, "sam-ba", interrupted)
    with pytest.raises(KeyboardInterrupt):
        flash(out_dir, load_board("nano33"), port=str(port), link_port=None)
    said = capsys.readouterr().err
    assert f"the upload to {port} was cut off" in said
    assert f"make flash BOARD=nano33 FRAMEWORK=bare PORT={port}" in said


@pytest.mark.parametrize(
    ("does", "version"),
    [
        ("printf 'Gr\\374n 1.0\\nmore\\n'", "Gr\ufffdn 1.0"),
        ("exec yes 2.0", "2.0"),
        ("exec yes 3.0 | tr -d '\\n'", "3.0" * 66 + "3."),
        ("exit 3", "says no version"),
    ],
)
def test_any_program_has_a_version(tmp_path: Path, does: str, version: str) -> None:
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\n{does}\n")
    program.chmod(0o755)
    start = time.monotonic()
    assert program_version(str(program)) == version
    assert time.monotonic() - start < 9
    assert program_version(str(tmp_path / "none")) == "not installed"
