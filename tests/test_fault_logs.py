"""Logs of a board that tells its fault again and again, and logs of many faults."""

from __future__ import annotations

import re
import shutil
import struct
import time
from pathlib import Path

import pytest

from host_tools.cli import main
from host_tools.link import frames
from host_tools.link.backtrace import read_image
from host_tools.link.fault import ARM, MAX_FAULTS, REGISTERS, find_faults
from host_tools.link.frames import REPLY, Frame
from host_tools.link.protocol import MessageType
from tests.firmware_builds import built

BUILD = bytes(range(20))


def text(pc: int) -> bytes:
    """What the firmware prints."""
    values = {"pc": pc, "sp": 0x20001000}
    told = " ".join(f"{name}=0x{values.get(name, 0):08x}" for name in REGISTERS[ARM])
    build = ",".join(f"0x{word:08x}" for word in struct.unpack("<2I", BUILD[:8]))
    return f"fault: {told}\r\nbuild={build}\r\nstack 0x20001000: 00000001 00000002\r\n".encode()


def frame(pc: int) -> bytes:
    """The same as a frame."""
    values = [{"pc": pc, "sp": 0x20001000}.get(name, 0) for name in REGISTERS[ARM]]
    head = struct.pack("<20sHBBI", BUILD, ARM, len(values), 0, 0x20001000)
    payload = head + struct.pack(f"<{len(values)}I", *values) + struct.pack("<3I", 1, 2, 3)
    return frames.encode(Frame(type=MessageType.FAULT | REPLY, sequence=0, payload=payload))


def test_a_fault_that_is_told_again_is_one() -> None:
    report = text(0x10100) + frame(0x10100)
    assert find_faults(report * 50) == find_faults(report)
    assert [fault.pc for fault in find_faults((report + text(0x10200)) * 50)] == [0x10100, 0x10200]


def test_a_log_of_many_faults_is_read_in_seconds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "said.txt"
    log.write_bytes(b"".join(text(0x10000 + pc) + frame(0x20000 + pc) for pc in range(10000)))
    start = time.monotonic()
    assert main(["decode", "--recipe", "digits", "--log", str(log)]) == 1
    assert time.monotonic() - start < 30
    out, err = capsys.readouterr()
    assert len(re.findall("the board has stopped", out)) == MAX_FAULTS
    assert f"only the first {MAX_FAULTS} different faults are told" in err


def test_an_image_is_read_again_when_it_has_changed(tmp_path: Path) -> None:
    elf = tmp_path / "firmware.elf"
    shutil.copy(built("qemu_m4")[0] / "firmware.elf", elf)
    first = read_image(elf)
    assert read_image(elf) is first
    shutil.copy(built("qemu_riscv32")[0] / "firmware.elf", elf)
    assert read_image(elf).machine != first.machine
