"""The environment esp32_arduino, built by PlatformIO with a double of its platform and core (see
tests/arduino_esp32), and run on QEMU."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from host_tools.boards.board import chip_board, load_board
from host_tools.build import firmware, workspace
from host_tools.build.firmware import build_firmware
from host_tools.build.provision import provision
from host_tools.emulators.qemu_xtensa import QemuXtensa
from host_tools.link.device import Device
from quantize.golden import make_golden, random_inputs
from quantize.manifest import compile_model
from quantize.tflite.reader import parse_model
from tests.bench_models import residual
from tests.firmware_builds import symbol_names

DOUBLE = Path(__file__).parent / "arduino_esp32"
ESP32 = chip_board(load_board("esp32"), "arduino")
FAST = {"nn_windows_s8", "nn_conv_2d_columns_s8", "nn_widen_columns_s8"}


def test_esp32_arduino_has_the_fast_kernels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    core = tmp_path / "core"
    shutil.copytree(DOUBLE, core / "platforms" / "espressif32")
    provision(core)
    monkeypatch.setattr(firmware, "CORE_DIR", core)
    monkeypatch.setattr(workspace, "CORE_DIR", core)
    model = residual()
    golden = make_golden(model, random_inputs(parse_model(model), 2, 4))
    gen = ESP32.gen_dir(tmp_path)
    compile_model(model, golden, gen, name="m", settings={}, kernels=ESP32.kernels)
    build_firmware(ESP32, gen, tmp_path / "esp32", "arduino")
    elf = tmp_path / "esp32" / "firmware.elf"
    assert set(symbol_names(elf)) >= FAST
    with elf.open("rb") as file:
        switches = ELFFile(file).get_section_by_name(".GCC.command.line").data()
    assert b"-O2" in switches and b"-mlongcalls" in switches
    with Device(QemuXtensa().start(elf)) as device:
        assert device.hello().board_id == "esp32"
        result = device.selftest()
    assert (result.cases, result.failures) == (2, 0)
