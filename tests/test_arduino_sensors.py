"""The sensors of the Arduino framework's ports against small doubles of the libraries' headers."""

from __future__ import annotations

import configparser
import shutil
import subprocess
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from host_tools.boards.board import load_board
from host_tools.build import firmware as build
from host_tools.build import workspace
from host_tools.build.provision import provision
from tests.firmware_builds import STUB_FEATURES, symbol_names, write_gen
from tests.native_app import FIRMWARE, ROOT, SANITIZERS, WARNINGS

DOUBLES = ROOT / "tests" / "doubles" / "arduino_sensors"
OVERRUN = 1
OBJECTS = {  # folders of a port -> header and object of the library
    ("arduino_lsm9ds1",): ("Arduino_LSM9DS1.h", "ImuDouble IMU"),
    ("arduino_bmi270",): ("Arduino_BMI270_BMM150.h", "ImuDouble IMU"),
    ("microphone", "arduino_pdm"): ("PDM.h", "PDMClass PDM"),
    ("mpu6050", "arduino_mpu6050"): ("Wire.h", "TwoWire Wire"),
}


def run(
    folder: Path, port: tuple[str, ...], reads: Sequence[tuple[int, int]], hertz: int = 16000
) -> list[list[int]]:
    """[rate, channels], then count, state and values of each read (samples fed, capacity)."""
    header, made = OBJECTS[port]
    flags = ["-std=c++17", "-g", *WARNINGS, *SANITIZERS, f"-I{DOUBLES}", f'-DDOUBLE="{header}"']
    flags += [f"-DDOUBLE_OBJECT={made}", f"-DBOARD_SENSOR_HZ={hertz}"]
    flags += [f"-I{FIRMWARE / part}" for part in ("board", "features")]
    sources = [p for part in port for p in sorted((FIRMWARE / "board" / part).glob("*.c*"))]
    objects = []
    for source in [*sources, FIRMWARE / "features" / "fe_halve.c", DOUBLES / "main.cpp"]:
        objects.append(str(folder / f"{source.parent.name}-{source.name}.o"))
        own = ["gcc", "-std=c11", *flags[1:]] if source.suffix == ".c" else ["g++", *flags]
        done = subprocess.run(
            [*own, "-c", str(source), "-o", objects[-1]],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    program = folder / "program"
    subprocess.run(["g++", *SANITIZERS, *objects, "-o", str(program)], check=True, timeout=60)
    text = "\n".join(f"{count} {capacity}" for count, capacity in reads)
    done = subprocess.run([program], input=text, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return [[int(word) for word in line.split()] for line in done.stdout.splitlines()]


@pytest.mark.parametrize(("part", "rate"), [("lsm9ds1", 59500), ("bmi270", 49920)])
def test_an_imu_hands_on_every_second_sample_and_tells_gaps(
    part: str, rate: int, tmp_path: Path
) -> None:
    reads = [(1, 8), (1, 8), (1, 8), (1, 8), (5, 8), (0, 8)]
    head, *found = run(tmp_path, (f"arduino_{part}",), reads)
    assert head == [rate, 6]
    second = [1, 0, 1, -1, 1366, 1, -1, 32767]
    fourth = [1, 0, 3, -3, 1366, 3, -3, 32767]
    assert found == [[0, 0], second, [0, 0], fourth, [0, OVERRUN], [0, 0]]


def test_the_microphone_loses_nothing_up_to_half_a_second(tmp_path: Path) -> None:
    reads = [(8192, 5000), (0, 5000), (8192, 8192), (8448, 10), (256, 300)]
    head, *found = run(tmp_path, ("microphone", "arduino_pdm"), reads)
    assert head == [16_000_000, 1]
    values = [value for line in found[:3] for value in line[2:]]
    assert values == list(range(16384))
    assert [line[:2] for line in found] == [[5000, 0], [3192, 0], [8192, 0], [0, 1], [256, 0]]
    assert found[4][2] == 16384 + 8448  # behind the gap


def test_the_microphone_at_half_its_rate(tmp_path: Path) -> None:
    head, found = run(tmp_path, ("microphone", "arduino_pdm"), [(4096, 8000)], hertz=8000)
    assert head == [8_000_000, 1]
    assert found[:2] == [2048, 0]
    assert {b - a for a, b in pairwise(found[100:1000])} == {2}


def test_an_mpu6050_is_read_by_the_same_code_as_without_a_framework(tmp_path: Path) -> None:
    reads = [(3, 8), (90, 8), (2, 8)]
    head, *found = run(tmp_path, ("mpu6050", "arduino_mpu6050"), reads)
    assert head == [50000, 6]
    assert found[0] == [3, 0] + [0] * 6 + [1] * 6 + [1] * 3 + [2] * 3
    assert [line[:2] for line in found[1:]] == [[0, OVERRUN], [2, 0]]


def test_the_environment_compiles_the_sensor_that_the_front_end_wants(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """esp32_arduino with the double of its platform, whose core gets Wire."""
    core = tmp_path / "core"
    platform = core / "platforms" / "espressif32"
    shutil.copytree(ROOT / "tests" / "arduino_esp32", platform)
    shutil.copy(DOUBLES / "Wire.h", platform / "core")
    header = platform / "core" / "Arduino.h"
    text = header.read_text().replace("void yield();", "void yield();\nvoid delay(unsigned long);")
    header.write_text(text)
    with (platform / "core" / "core.cpp").open("a") as file:
        file.write('\n#include "Wire.h"\nTwoWire Wire;\nvoid delay(unsigned long)\n{\n}\n')
    provision(core)
    monkeypatch.setattr(build, "CORE_DIR", core)
    monkeypatch.setattr(workspace, "CORE_DIR", core)
    gen = write_gen(tmp_path / "gen", kernels="xtensa")
    for source in STUB_FEATURES.glob("*"):
        shutil.copy(source, gen)
    build.build_firmware(load_board("esp32"), gen, tmp_path / "out", "arduino")
    names = set(symbol_names(tmp_path / "out" / "firmware.elf"))
    assert {"mpu6050_read", "board_sensor_start", "app_live"} <= names
    assert "microphone_start" not in names


def test_every_sensor_of_the_framework_is_tried_and_every_environment_names_its_own() -> None:
    sensors = [s for name in ("nano33", "esp32") for s in load_board(name).sensors]
    assert {s.arduino for s in sensors} - {()} == set(OBJECTS)
    ini = configparser.ConfigParser(interpolation=None)
    ini.read(ROOT / "platformio.ini")
    libraries = {s.part: s.libraries for s in load_board("nano33").sensors}
    for env, own, absent, library in (
        ("nano33", "LSM9DS1", "BMI270", "Arduino_LSM9DS1@"),
        ("nano33rev2", "BMI270", "LSM9DS1", "Arduino_BMI270_BMM150@"),
    ):
        assert ini[f"env:{env}_arduino"]["custom_absent_sensor"] == absent and absent in libraries
        assert library in " ".join(libraries[own])
