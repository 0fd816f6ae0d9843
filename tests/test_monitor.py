"""The monitor and its PlatformIO filter."""

from __future__ import annotations

import codecs
import importlib.util
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from host_tools.errors import DeviceError, UsageError
from host_tools.link import frames
from host_tools.link.monitor import monitor, monitor_command
from tests.native_app import ROOT, compile_app
from tests.pty_board import PtyBoard
from tests.test_protocol import FRAMES, LINES


def load_filter() -> Any:
    path = ROOT / "monitor" / "filter_tinyproof.py"
    spec = importlib.util.spec_from_file_location("filter_tinyproof", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Tinyproof


FILTER = load_filter()


@given(
    items=st.lists(st.one_of(FRAMES, LINES), max_size=6),
    sizes=st.lists(st.integers(1, 40), max_size=40),
)
def test_frames_are_hidden_and_text_stays(
    items: list[frames.Frame | str], sizes: list[int]
) -> None:
    wire = b"".join(
        frames.encode(item) if isinstance(item, frames.Frame) else item.encode() + b"\r\n"
        for item in items
    )
    expected = "".join(f"{item}\r\n" for item in items if isinstance(item, str))
    # PlatformIO decodes to characters before it filters
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    shown, filtering, start = "", FILTER(), 0
    for size in [*sizes, len(wire)]:
        shown += filtering.rx(decoder.decode(wire[start : start + size]))
        start += size
    assert shown == expected


def test_the_filter_has_the_name_the_monitor_asks_for() -> None:
    assert FILTER.NAME in monitor_command("/dev/ttyACM0", 115200)


def test_a_missing_port_or_terminal_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match=r"make monitor PORT=/dev/"):
        monitor("", 115200)
    with pytest.raises(DeviceError, match="/dev/ttyNONE does not exist"):
        monitor("/dev/ttyNONE", 115200)
    with (tmp_path / "input").open("w+") as no_terminal:
        monkeypatch.setattr(sys, "stdin", no_terminal)
        with pytest.raises(UsageError, match="terminal"):
            monitor("/dev/null", 115200)


@pytest.mark.skipif(
    not (ROOT / ".platformio" / "packages" / "tool-scons").exists(),
    reason="PlatformIO is not set up; type: make setup",
)
def test_the_real_monitor_shows_text_and_takes_commands(tmp_path: Path) -> None:
    master, slave = pty.openpty()
    link = str(tmp_path / "ttyUSB0")
    script = f"from host_tools.link.monitor import monitor; monitor({link!r}, 115200)"
    with PtyBoard(compile_app(tmp_path), tmp_path / "ttyUSB0"):
        process = subprocess.Popen(
            [sys.executable, "-c", script], stdin=slave, stdout=slave, stderr=slave, cwd=ROOT
        )
        try:
            read_until(master, b"--- Quit: Ctrl+C")
            os.write(master, b"info\r")
            shown = read_until(master, b"\nok\r")
        finally:
            process.kill()
            process.wait()
            os.close(slave)
            os.close(master)
    assert b"self-test PASS: 2 of 2 golden vectors equal" in shown
    assert b"tinyproof 0.1.0 on native" in shown


def read_until(fd: int, text: bytes) -> bytes:
    received, deadline = b"", time.monotonic() + 20
    while text not in received:
        ready, _, _ = select.select([fd], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"{text!r} did not come within 20 s: {received!r}"
        received += os.read(fd, 4096)
    return received
