"""The ESP32's port against a model of its registers: its clock with either crystal, its flash."""

from __future__ import annotations

import ctypes
import subprocess
from dataclasses import dataclass

import pytest

from host_tools.emulators import EMULATORS
from host_tools.link.device import Device
from tests.firmware_builds import built
from tests.native_app import FIRMWARE, ROOT

MODEL = ROOT / "tests" / "stub_esp32"
PORT = ROOT / "firmware" / "board" / "esp32"
AFTER_RESET = 1 << 7  # CLK_CONF: the crystal is selected, the oscillator's divider is off
ON_PLL = AFTER_RESET | 1 << 27
FORCED_DOWN = 1 << 6 | 1 << 8 | 1 << 10 | 1 << 18


class Chip(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in ("crystal_mhz", "khz", "bus", "counter")]


class Clock(ctypes.Structure):
    _fields_ = [
        ("crystal_mhz", ctypes.c_uint32),
        ("pll", ctypes.c_bool),
        ("cpu_hz", ctypes.c_uint32),
        ("apb_hz", ctypes.c_uint32),
    ]


class Seen(ctypes.Structure):
    _fields_ = [
        ("pll", ctypes.c_uint8 * 16),
        ("regulator", ctypes.c_uint32),
        ("divider", ctypes.c_uint32),
        ("options", ctypes.c_uint32),
        ("lock_ns", ctypes.c_uint32),
        ("cpu_mhz", ctypes.c_uint32),
        ("elapsed_us", ctypes.c_uint32),
    ]


@dataclass(frozen=True)
class Model:
    library: ctypes.CDLL

    def run(
        self,
        crystal_mhz: int,
        *,
        khz: int = 8500,
        bus: int = 1,
        counter: int = 1,
        clk_conf: int = AFTER_RESET,
    ) -> tuple[Clock, Seen]:
        clock, seen = Clock(), Seen()
        chip = Chip(crystal_mhz, khz, bus, counter)
        self.library.chip_run(ctypes.byref(chip), clk_conf, ctypes.byref(clock), ctypes.byref(seen))
        return clock, seen


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    library = tmp_path_factory.mktemp("esp32") / "clock.so"
    flags = ["-shared", "-fPIC", "-O0", "-finstrument-functions", "-Wall", "-Wextra", "-Werror"]
    sources = [MODEL / "chip.c", PORT / "clock.c", PORT / "flash.c"]
    folders = [f"-I{folder}" for folder in (MODEL, PORT, PORT.parent, FIRMWARE / "link")]
    subprocess.run(["cc", "-std=c11", *flags, *folders, *sources, "-o", library], check=True)
    return Model(ctypes.CDLL(str(library)))


# ESP-IDF, clk_ll_bbpll_set_config: what the block's registers 2, 3, 5, 9, 11 hold for 480 MHz.
SETTINGS = {40: (0x00, 28, 0xC6, 0x74, 0xC3), 26: (0xCC, 144, 0x40, 0x74, 0xC3)}


@pytest.mark.parametrize("clk_conf", [AFTER_RESET, ON_PLL])
@pytest.mark.parametrize("khz", [7600, 8500, 9200])
@pytest.mark.parametrize("crystal_mhz", [26, 40])
def test_240_mhz_from_either_crystal(
    model: Model, crystal_mhz: int, khz: int, clk_conf: int
) -> None:
    clock, seen = model.run(crystal_mhz, khz=khz, clk_conf=clk_conf)
    assert (clock.crystal_mhz, clock.pll) == (crystal_mhz, True)
    assert (clock.cpu_hz, clock.apb_hz) == (240_000_000, 80_000_000)
    assert tuple(seen.pll[i] for i in (2, 3, 5, 9, 11)) == SETTINGS[crystal_mhz]
    assert seen.cpu_mhz == 240 and seen.divider == 2
    assert seen.regulator == 7  # 1.25 V, before the core is fast
    assert seen.options & FORCED_DOWN == 0
    assert seen.lock_ns >= 80_000
    assert seen.elapsed_us < 3000


@pytest.mark.parametrize(
    ("crystal_mhz", "expected"),
    [(10, 0), (20, 0), (24, 26), (26, 26), (40, 40), (48, 0), (80, 0)],
)
def test_what_is_no_known_crystal_stays_on_it(
    model: Model, crystal_mhz: int, expected: int
) -> None:
    clock, seen = model.run(crystal_mhz)
    assert clock.crystal_mhz == expected
    assert clock.pll == (expected != 0)
    if expected == 0:
        assert (clock.cpu_hz, clock.apb_hz) == (40_000_000, 40_000_000)
        assert seen.cpu_mhz == crystal_mhz


@pytest.mark.parametrize("bus", [0, 2])
@pytest.mark.parametrize("crystal_mhz", [26, 40])
def test_without_the_pll_s_bus_the_core_stays_on_the_crystal(
    model: Model, crystal_mhz: int, bus: int
) -> None:
    clock, seen = model.run(crystal_mhz, bus=bus, clk_conf=ON_PLL)
    assert (clock.crystal_mhz, clock.pll) == (crystal_mhz, False)
    assert clock.cpu_hz == clock.apb_hz == crystal_mhz * 1_000_000
    assert seen.cpu_mhz == crystal_mhz
    assert seen.elapsed_us < 20_000


def test_a_calibration_that_never_ends_is_left(model: Model) -> None:
    clock, seen = model.run(40, counter=0)
    assert (clock.crystal_mhz, clock.pll) == (0, False)
    assert seen.cpu_mhz == 40 and seen.elapsed_us < 5000


@pytest.mark.parametrize("left", [0, 0xFFFFFFFF, 0x5AA5C33C])
def test_the_flash_is_read_as_set_here_and_not_as_left_by_the_rom(model: Model, left: int) -> None:
    registers = (ctypes.c_uint32 * 64)()
    model.library.flash_run(ctypes.c_uint32(left), registers)
    ctrl2, clock, user, user1, user2 = (registers[at // 4] for at in (0x14, 0x18, 0x1C, 0x20, 0x24))
    assert clock == 3 << 12 | 1 << 6 | 3  # the APB's 80 MHz by 4
    assert ctrl2 & 0xFF == 1 << 4  # CS held for a cycle, no longer set up
    assert ctrl2 >> 8 == left >> 8
    assert user & 0xF8000030 == 0xD0000030  # command, address, MISO; no dummy; CS hold and set-up
    assert user1 == 23 << 26  # 24 address bits, no dummy cycle
    assert user2 == 7 << 28 | 0x03


def test_an_emulator_without_the_pll_runs_on_the_crystal_and_says_so() -> None:
    emulator = EMULATORS["labwired_esp32"]
    if missing := emulator.missing():
        pytest.skip(missing)
    with Device(emulator.start(built("esp32")[0] / "firmware.elf"), start_s=60.0) as device:
        device.hello()
        notes = [line for line in device.log if line.startswith("clock     ")]
        assert notes == [line for line in device.command("info") if line.startswith("clock     ")]
    assert len(notes) == 1 and notes[0].startswith("clock     crystal")
