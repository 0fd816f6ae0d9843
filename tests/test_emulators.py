"""One contract suite over every emulator in the registry, with the board that names it."""

from __future__ import annotations

import os
import random
import re
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from host_tools.boards.board import BOARDS, load_board
from host_tools.emulators import EMULATORS
from host_tools.emulators.process import missing_module, missing_program, start_on_pipes
from host_tools.errors import DeviceError, ToolMissing
from host_tools.link.device import Device
from host_tools.link.target import choose_target
from host_tools.link.transport import Transport
from tests.firmware_builds import break_model, built, overwrite

READY = b"ready: type help"
BOOT_S = 20.0
INPUT_BYTES = 768


def board_of(emulator: str) -> str:
    return next(board_id for board_id in BOARDS if emulator in load_board(board_id).emulators)


def start(emulator: str) -> Transport:
    missing = EMULATORS[emulator].missing()
    if missing is not None:
        pytest.skip(missing)
    return EMULATORS[emulator].start(built(board_of(emulator))[0] / "firmware.elf")


def read_until(transport: Transport, wanted: bytes, limit_s: float = BOOT_S) -> bytes:
    deadline = time.monotonic() + limit_s
    got = b""
    while wanted not in got:
        assert time.monotonic() < deadline, f"no {wanted!r} in {limit_s} s, got {got!r}"
        got += transport.read(1.0)
    return got


def read_on(transport: Transport, limit_s: float = 60.0) -> None:
    """Read until it raises: a read may return after one byte, so reads are not counted."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        transport.read(1.0)


def children() -> set[int]:
    """The processes that this one has started and that still run."""
    found = set()
    for task in Path("/proc/self/task").iterdir():
        found |= {int(pid) for pid in (task / "children").read_text().split()}
    return found


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where temporary folders go during the test."""
    where = tmp_path / "temporary"
    where.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(where))
    return where


@pytest.fixture(params=EMULATORS)
def transport(request: pytest.FixtureRequest) -> Iterator[Transport]:
    started = start(request.param)
    yield started
    started.close()


def test_boots_with_a_banner_and_obeys_text(transport: Transport) -> None:
    banner = read_until(transport, READY).decode()
    assert f"on {board_of(transport.name)}" in banner.splitlines()[0]
    assert "self-test PASS: 2 of 2" in banner
    transport.write(b"help\n")
    assert b"bench" in read_until(transport, b"ok\r\n" if b"\r\n" in banner.encode() else b"ok\n")
    assert transport.read(0.2) == b""


def test_every_byte_value_passes_both_ways(transport: Transport) -> None:
    rng = random.Random(7)
    with Device(transport, timeout_s=BOOT_S, start_s=BOOT_S) as device:
        assert device.info.board_id == board_of(transport.name)
        for case in range(3):
            data = bytes(rng.randrange(256) for _ in range(INPUT_BYTES))
            expected = bytes(byte * 2 % 256 for byte in data[:7])
            assert device.run([data]) == [expected], f"case {case}"
        tapped = device.tap(0, 0, INPUT_BYTES)
        assert len(tapped) == INPUT_BYTES


def test_the_counter_counts_the_same_in_every_run(transport: Transport) -> None:
    if EMULATORS[transport.name].unit != "instructions":
        pytest.skip("real time differs from run to run")
    read_until(transport, READY)
    transport.write(b"bench 5\n")
    line = read_until(transport, b"ok").decode()
    found = re.search(r"min (\d+)\s+mean (\d+)\s+max (\d+)", line)
    assert found, line
    low, _, high = (int(number) for number in found.groups())
    assert 768 * 2 < low <= high <= low + 2  # +-1: the QEMU counters tick in fractions


@pytest.mark.parametrize("emulator", EMULATORS)
def test_closing_ends_process_and_folder(folder: Path, emulator: str) -> None:
    built(board_of(emulator))
    processes, files = children(), set(folder.iterdir())
    started = start(emulator)
    assert len(children() - processes) == 1
    assert len(set(folder.iterdir()) - files) == 1
    started.close()
    started.close()
    assert children() <= processes
    assert set(folder.iterdir()) == files
    with pytest.raises(DeviceError, match="closed"):
        started.read(0.1)


@pytest.mark.parametrize("emulator", EMULATORS)
def test_a_killed_emulator_is_reported(emulator: str) -> None:
    processes = children()
    started = start(emulator)
    try:
        read_until(started, b"tinyproof")
        for pid in children() - processes:
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(DeviceError, match=rf"{emulator}: .*status -9"):
            read_on(started)
    finally:
        started.close()


@pytest.mark.parametrize("emulator", EMULATORS)
def test_a_file_that_is_no_firmware_is_reported(
    tmp_path: Path, folder: Path, emulator: str
) -> None:
    elf = tmp_path / "firmware.elf"
    with pytest.raises(DeviceError, match=rf"^{emulator}: "):
        EMULATORS[emulator].start(elf)
    elf.write_bytes(b"not an ELF file")
    elf.chmod(0o755)
    with pytest.raises(DeviceError, match=rf"(?s)^{emulator}: .*Was it built for this board"):
        EMULATORS[emulator].start(elf)
    assert not list(folder.iterdir())


# Arm: a store to 0xF0000010, where nothing is; Xtensa and RISC-V: the illegal instruction.
ARM_FAULT = bytes.fromhex("4ff07043 1b61")
XTENSA_FAULT = bytes(3)
RISCV_FAULT = bytes(2)
# addi sp, sp, -2048; sw zero, 0(sp); jump back: the stack overflows
RISCV_OVERFLOW = bytes.fromhex("13010180 23200100 6ff09fff")


@pytest.mark.parametrize(
    ("emulator", "code", "message"),
    [
        ("qemu_m4", ARM_FAULT, r"status 99; .*fault: pc=0x0000\w+ lr=.* bfar=0xf0000010"),
        ("qemu_xtensa", XTENSA_FAULT, r"status 64; .*fault: exccause=0x00000000 pc=0x0000\w+"),
        (
            "qemu_riscv32",
            RISCV_FAULT,
            r"status 66; .*fault: mcause=0x00000002 pc=0x8000\w+ mtval=",
        ),
        ("qemu_riscv32", RISCV_OVERFLOW, r"status 71; .*mcause=0x00000007 .* mtval=0x803f\w{4} "),
        ("labwired_esp32", XTENSA_FAULT, r"status 3; .*cause=0 at pc=0x4008\w+"),
    ],
)
def test_a_fault_ends_the_emulator_with_its_reason(
    tmp_path: Path, emulator: str, code: bytes, message: str
) -> None:
    elf = built(board_of(emulator))[0] / "firmware.elf"
    started = EMULATORS[emulator].start(break_model(elf, code, tmp_path / "firmware.elf"))
    try:
        with pytest.raises(DeviceError, match=f"(?s){message}"):
            read_on(started)
    finally:
        started.close()


def test_a_fault_on_the_chip_is_told_on_the_line(tmp_path: Path) -> None:
    elf = built("nano33")[0] / "firmware.elf"
    emulator = EMULATORS["labwired_nrf52840"]
    started = emulator.start(break_model(elf, ARM_FAULT, tmp_path / "firmware.elf"))
    try:
        text = read_until(started, b"bfar=0xf0000010\r\n").decode("ascii", "replace")
    finally:
        started.close()
    assert re.search(r"fault: pc=0x0001\w{4} lr=0x0001\w{4} .* cfsr=0x00008200", text)


@pytest.mark.parametrize("board_id", ["esp32", "esp32c3"])
def test_a_flash_that_does_not_show_the_constants_is_told_on_the_line(
    tmp_path: Path, board_id: str
) -> None:
    elf = tmp_path / "firmware.elf"
    elf.write_bytes(built(board_id)[0].joinpath("firmware.elf").read_bytes())
    overwrite(elf, "board_flash_mark", bytes(4))
    started = EMULATORS[f"labwired_{board_id}"].start(elf)
    try:
        text = read_until(started, b"as the image was written\r\n")
    finally:
        started.close()
    assert b"tinyproof" not in text


def test_the_board_recovers_after_a_silent_host(transport: Transport) -> None:
    read_until(transport, READY)
    assert transport.read(0.5) == b""
    transport.write(b"info\n")
    assert b"model" in read_until(transport, b"golden")


def test_missing_tools_say_what_to_type() -> None:
    assert missing_program("no-such-program", "package") == (
        "no-such-program is not installed; type: sudo apt-get install package"
    )
    assert missing_module("json") is None
    assert missing_module("no_such_module") == (
        "the Python package no_such_module is not installed; type: pip install no_such_module"
    )
    with pytest.raises(ToolMissing, match="type: something"):
        start_on_pipes("name", "type: something", ["true"])


@pytest.mark.parametrize("emulator", ["qemu_m4", "qemu_xtensa", "qemu_riscv32"])
def test_an_emulator_that_is_not_on_path_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, emulator: str
) -> None:
    elf = built(board_of(emulator))[0] / "firmware.elf"
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissing, match=r"qemu-system-\w+ is not installed; type: sudo apt-get"):
        EMULATORS[emulator].start(elf)


@pytest.mark.parametrize(
    ("board", "unit", "is_chip"),
    [
        ("nano33", "cycles", True),
        ("qemu_m4", "instructions", False),
        ("native", "nanoseconds", False),
    ],
)
def test_behind_an_address_a_board_counts_what_it_is(board: str, unit: str, is_chip: bool) -> None:
    known = load_board(board)
    target = choose_target(known, None, "socket://127.0.0.1:4000")
    assert (target.unit(known), target.is_chip(known)) == (unit, is_chip)
