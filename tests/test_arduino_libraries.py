"""The library of a sensor: needed only by a model whose front end chooses that sensor, found
offline in PlatformIO's global storage, named when it is missing."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from host_tools.boards.board import chip_board, load_board, read_board
from host_tools.build import firmware, libraries, workspace
from host_tools.build.firmware import build_firmware, pio_environment
from host_tools.build.provision import provision
from host_tools.build.workspace import open_workspace
from host_tools.errors import HostToolsError, ToolMissing, UsageError
from tests.firmware_builds import STUB_FEATURES, symbol_names, write_gen
from tests.native_app import ROOT
from tests.test_boards import write_board

NANO33 = chip_board(load_board("nano33"), "arduino")
LSM9DS1 = "arduino-libraries/Arduino_LSM9DS1@1.1.1"
HEADER = """#pragma once
#include <Wire.h>
class Imu
{
  public:
    int begin();
    int accelerationAvailable();
    int readGyroscope(float &x, float &y, float &z);
    int readAcceleration(float &x, float &y, float &z);
};
extern Imu IMU;
"""
SOURCE = """#include "Arduino_LSM9DS1.h"
Imu IMU;
int Imu::begin() { return wire_of_the_core(); }
int Imu::accelerationAvailable() { return 0; }
int Imu::readGyroscope(float &, float &, float &) { return 0; }
int Imu::readAcceleration(float &, float &, float &) { return 0; }
"""
BUNDLED = """
from pathlib import Path
env.Append(LIBSOURCE_DIRS=[str(Path(env.PioPlatform().get_dir(), "libraries"))])
"""


def library(folder: Path, version: str, **files: str) -> None:
    """A library in the form of Arduino's: library.properties and src."""
    (folder / "src").mkdir(parents=True)
    (folder / "library.properties").write_text(
        f"name={folder.name}\nversion={version}\nauthor=a\nmaintainer=m\nsentence=s\n"
        "paragraph=p\ncategory=Sensors\nurl=u\narchitectures=*\n"
    )
    for name, text in files.items():
        (folder / "src" / name.replace("_DOT_", ".")).write_text(text)


def install_lsm9ds1(core: Path, version: str = "1.1.1") -> None:
    library(
        core / "lib" / "Arduino_LSM9DS1",
        version,
        Arduino_LSM9DS1_DOT_h=HEADER,
        LSM9DS1_DOT_cpp=SOURCE,
    )


@pytest.fixture
def core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """PlatformIO's folder: doubles of the platform and of the core, with Wire as its library."""
    folder = tmp_path / "core"
    platform = folder / "platforms" / "nordicnrf52"
    shutil.copytree(ROOT / "tests" / "arduino_nano33", platform)
    script = platform / "builder" / "arduino.py"
    script.write_text(script.read_text() + BUNDLED)
    library(
        platform / "libraries" / "Wire",
        "1.0.0",
        Wire_DOT_h="#pragma once\nint wire_of_the_core();\n",
        Wire_DOT_cpp='#include "Wire.h"\nint wire_of_the_core() { return 1; }\n',
    )
    provision(folder)
    monkeypatch.setattr(firmware, "CORE_DIR", folder)
    monkeypatch.setattr(workspace, "CORE_DIR", folder)

    def refuse(*_: object, **__: object) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr(libraries.socket, "create_connection", refuse)
    return folder


@pytest.fixture
def gen(tmp_path: Path) -> Path:
    """A model whose front end has six channels."""
    folder = write_gen(tmp_path / "gen", kernels="armv7em")
    for source in STUB_FEATURES.glob("*"):
        shutil.copy(source, folder)
    return folder


def test_a_library_that_is_there_is_compiled_and_its_own_needs_are_found(
    tmp_path: Path, core: Path, gen: Path
) -> None:
    """Offline; the core's bundled Wire is found through the library's include."""
    install_lsm9ds1(core)
    build_firmware(NANO33, gen, tmp_path / "out", "arduino")
    names = set(symbol_names(tmp_path / "out" / "firmware.elf"))
    assert {"board_sensor_start", "IMU", "app_live"} <= names
    assert any("wire_of_the_core" in name for name in names)
    log = (tmp_path / "out" / "build.log").read_text()
    found = set(re.findall(r"/lib[0-9a-z]+/(\w+)/\S+\.o\b", log))
    assert found == {"Arduino_LSM9DS1", "Wire"}, log  # and nothing that another include drew in


def test_a_missing_library_is_named_with_what_to_do(core: Path, gen: Path) -> None:
    with pytest.raises(ToolMissing, match=rf"library {LSM9DS1} of.*TINYPROOF_SENSOR=none"):
        pio_environment(NANO33, "arduino", gen)
    install_lsm9ds1(core, "1.0.0")
    with pytest.raises(ToolMissing, match=f"library {LSM9DS1}"):
        pio_environment(NANO33, "arduino", gen)
    shutil.rmtree(core / "platforms" / "nordicnrf52")
    with pytest.raises(ToolMissing, match=f"platform nordicnrf52, .*library {LSM9DS1}"):
        pio_environment(NANO33, "arduino", gen)


def test_a_model_without_that_sensor_needs_no_library(tmp_path: Path, core: Path) -> None:
    assert pio_environment(NANO33, "arduino", write_gen(tmp_path / "plain")) == "nano33_arduino"
    assert "lib_deps" not in (ROOT / "platformio.ini").read_text()


def test_without_the_library_there_is_an_image_that_says_so(
    tmp_path: Path, core: Path, gen: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TINYPROOF_SENSOR", "none")
    build_firmware(NANO33, gen, tmp_path / "out", "arduino")
    image = (tmp_path / "out" / "firmware.elf").read_bytes()
    assert b"sensor    none" in image
    assert "IMU" not in symbol_names(tmp_path / "out" / "firmware.elf")
    monkeypatch.setenv("TINYPROOF_SENSOR", "some")
    with pytest.raises(HostToolsError, match="TINYPROOF_SENSOR: expected none or nothing, got"):
        build_firmware(NANO33, gen, tmp_path / "out", "arduino")


@pytest.mark.parametrize(
    ("env", "name"),
    [("nano33_arduino", LSM9DS1), ("nano33rev2_arduino", "Arduino_BMI270_BMM150@1.2.0")],
)
def test_a_plain_pio_run_names_the_library(env: str, name: str, core: Path, gen: Path) -> None:
    with open_workspace(NANO33, env, gen) as place:
        done = subprocess.run(
            place.command(),
            env=place.environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    assert done.returncode != 0
    assert f"{name}, which is not in" in done.stderr and "pkg install --global" in done.stderr
    assert "TINYPROOF_SENSOR=none" in done.stderr


def test_with_the_registry_a_library_is_installed_once(
    core: Path, gen: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command that PlatformIO gets; a double of it puts the library where that would."""
    commands: list[list[str]] = []

    def run(command: list[str], limit_s: float, **options: object) -> object:
        commands.append(command[1:])
        assert options["env"]["PLATFORMIO_CORE_DIR"] == str(core)  # type: ignore[index]
        install_lsm9ds1(core)
        return subprocess.CompletedProcess(command, 0, b"", b"")

    class Answer:
        def close(self) -> None:
            pass

    monkeypatch.setattr(libraries.socket, "create_connection", lambda *_: Answer())
    monkeypatch.setattr(libraries, "run_whole", run)
    for _ in range(2):
        build_firmware(NANO33, gen, tmp_path / "out", "arduino")
    wanted = ["-m", "platformio", "pkg", "install", "--global", "--library", LSM9DS1]
    assert commands == [wanted]


@pytest.mark.parametrize("name", ["Arduino_LSM9DS1", "a/b", "a/b@^1.0.0"])
def test_a_library_without_owner_or_version_is_refused(name: str, tmp_path: Path) -> None:
    path = write_board(
        tmp_path, lambda content: content["tinyproof"]["sensors"][0].update(libraries=[name])
    )
    with pytest.raises(UsageError, match=r"sensors.0..libraries: expected '<owner>/<name>@"):
        read_board(path)
