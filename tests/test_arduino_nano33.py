"""The environment nano33_arduino, built by PlatformIO with a double of its platform and core (see
tests/arduino_nano33), and the check of the image at its end."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from elftools.elf.elffile import ELFFile

from host_tools.boards.board import chip_board, load_board
from host_tools.build import engine, firmware, libraries, workspace
from host_tools.build.firmware import build_firmware, pio_environment
from host_tools.build.image import check_image, main
from host_tools.build.provision import provision
from host_tools.build.workspace import open_workspace
from host_tools.commands.flash import command
from host_tools.errors import DeviceError, HostToolsError, ToolMissing
from quantize.emit_tflm import emit_tflm
from quantize.golden import make_golden, random_inputs
from quantize.manifest import compile_model
from quantize.tflite.reader import parse_model
from tests.bench_models import residual
from tests.firmware_builds import symbol_names
from tests.generators import GENERATORS
from tests.test_tflm import folder_of
from tests.tflm_double import write_double

DOUBLE = Path(__file__).parent / "arduino_nano33"
NANO33 = chip_board(load_board("nano33"), "arduino")
FAST = {"nn_quad_s8", "nn_dense_s8"}
THUMB = ["-mcpu=cortex-m4", "-mthumb"]
A32 = ["-march=armv5te", "-marm"]


@pytest.fixture
def core(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """PlatformIO's folder with the double as its platform."""
    folder = tmp_path / "core"
    shutil.copytree(DOUBLE, folder / "platforms" / "nordicnrf52")
    provision(folder)
    monkeypatch.setattr(firmware, "CORE_DIR", folder)
    monkeypatch.setattr(workspace, "CORE_DIR", folder)
    return folder


def generated(folder: Path, kernels: str) -> Path:
    """A model for the Nano's folder, generated for `kernels`."""
    model = residual()
    golden = make_golden(model, random_inputs(parse_model(model), 2, 4))
    gen = NANO33.gen_dir(folder)
    compile_model(model, golden, gen, name="m", settings={}, kernels=kernels)
    return gen


def compiled(folder: Path, flags: list[str], *, link: bool = True) -> Path:
    """A function `worker` for the machine of `flags`, linked or as an object."""
    source = folder / "worker.c"
    source.write_text("int worker(int x) { return x + 1; }\n")
    path = folder / ("worker.elf" if link else "worker.o")
    how = ["-nostdlib", "-Wl,-eworker"] if link else ["-c"]
    command = ["arm-none-eabi-gcc", *flags, *how, str(source), "-o", str(path)]
    subprocess.run(command, check=True, timeout=60)
    return path


def test_nano33_arduino_has_the_fast_kernels_under_the_core_s_flags(
    tmp_path: Path, core: Path
) -> None:
    """Whatever soft floats the platform appends; what we compile for speed stays so."""
    assert NANO33.kernels == "armv7em"
    build_firmware(NANO33, generated(tmp_path, "armv7em"), tmp_path / "out", "arduino")
    elf = tmp_path / "out" / "firmware.elf"
    assert set(symbol_names(elf)) >= FAST
    assert (tmp_path / "out" / "firmware.bin").is_file()
    with elf.open("rb") as file:
        switches = ELFFile(file).get_section_by_name(".GCC.command.line").data()
    assert b"-mfloat-abi=softfp" in switches and b"-mfloat-abi=soft\0" not in switches
    assert b"-O2" in switches
    log = (tmp_path / "out" / "build.log").read_text()
    assert "firmware.elf: kernels armv7em: " in log and "; no A32 code" in log


def test_an_image_by_pio_alone_names_the_kernels_that_it_links(tmp_path: Path, core: Path) -> None:
    with open_workspace(NANO33, "nano33_arduino", generated(tmp_path, "armv7em")) as place:
        variables = {k: v for k, v in place.environment().items() if k != "TINYPROOF_KERNELS"}
        subprocess.run(place.command(), env=variables, capture_output=True, check=True, timeout=120)
        image = place.built("firmware.elf").read_bytes()
    assert b"kernels armv7em, framework arduino" in image


def test_a_model_for_other_kernels_ends_the_build(tmp_path: Path, core: Path) -> None:
    with pytest.raises(HostToolsError, match="generated for the kernels 'ref'.*links 'armv7em'"):
        build_firmware(NANO33, generated(tmp_path, "ref"), tmp_path / "out", "arduino")


def test_code_for_the_arm_state_ends_the_build(
    tmp_path: Path, core: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a library of another multilib does."""
    monkeypatch.setenv("LEFT_OVER", str(compiled(tmp_path, A32, link=False)))
    script = core / "platforms" / "nordicnrf52" / "builder" / "arduino.py"
    script.write_text(script.read_text() + '\nenv.Append(LINKFLAGS=["-Wl,--undefined=worker"])\n')
    with pytest.raises(HostToolsError, match=r"1 pieces of code for the Arm state.*worker"):
        build_firmware(NANO33, generated(tmp_path, "armv7em"), tmp_path / "out", "arduino")
    assert not (tmp_path / "out" / "firmware.elf").exists()


def test_the_image_is_checked_for_its_kernels_and_its_state(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elf = compiled(tmp_path, THUMB)
    assert check_image(elf, "armv7em", ["worker"]).endswith("1 of 1 linked; no A32 code")
    with pytest.raises(HostToolsError, match=r"'armv7em' were asked for, but nn_quad_s8 is not"):
        check_image(elf, "armv7em", ["worker", "nn_quad_s8"])
    with pytest.raises(HostToolsError, match=r"Arm state \(A32\), expected none.*worker"):
        check_image(compiled(tmp_path, A32), "armv7em", ["worker"])
    assert main(["--set", "armv7em", str(tmp_path / "worker.elf"), "worker"]) == 1
    assert "error: worker.elf: 1 pieces" in capsys.readouterr().err
    (tmp_path / "no.elf").write_text("no")
    with pytest.raises(HostToolsError, match="not a readable ELF file"):
        check_image(tmp_path / "no.elf", "armv7em", [])


def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr(libraries.socket, "create_connection", refuse)


def test_what_is_missing_is_named(core: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The platform and what it names; packages under a name with a version count."""
    board = load_board("nano33")
    offline(monkeypatch)
    assert pio_environment(board, "arduino") == "nano33_arduino"  # the double needs no package
    platform = core / "platforms" / "nordicnrf52" / "platform.json"
    content = json.loads(platform.read_text())
    content["packages"] = {"framework-arduino-mbed": {}, "toolchain-gccarmnoneeabi": {}}
    platform.write_text(json.dumps(content))
    (core / "packages" / "toolchain-gccarmnoneeabi@1.70201.0").mkdir(parents=True)
    with pytest.raises(ToolMissing, match="package framework-arduino-mbed; .*FRAMEWORK=bare"):
        pio_environment(board, "arduino")
    (core / "packages" / "framework-arduino-mbed").mkdir()
    assert pio_environment(board, "arduino") == "nano33_arduino"
    shutil.rmtree(platform.parent)
    with pytest.raises(ToolMissing, match="not installed in .*: platform nordicnrf52; PlatformIO"):
        pio_environment(board, "arduino")


def test_flash_takes_the_framework_and_bare_metal_only_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its packages it ends at once, before a port is looked for."""
    monkeypatch.setattr(firmware, "CORE_DIR", tmp_path)
    offline(monkeypatch)

    def call(*arguments: str) -> None:
        CliRunner().invoke(command, arguments, standalone_mode=False, catch_exceptions=False)

    for board, wanted in (("nano33", "nordicnrf52, package"), ("esp32", "espressif32, package")):
        with pytest.raises(ToolMissing, match=f"{board}: not installed in .*: platform {wanted}"):
            call("--board", board)
        with pytest.raises(DeviceError, match="/dev/ttyNONE does not exist"):
            call("--board", board, "--framework", "bare", "--port", "/dev/ttyNONE")


def test_the_interpreter_builds_for_arduino_too(
    tmp_path: Path, core: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From PlatformIO's storage, as an installed library; Arduino's own runtime stays."""
    out_dir = folder_of(tmp_path, GENERATORS["CONV_2D"](np.random.default_rng(3)))
    emit_tflm(out_dir)
    monkeypatch.setattr(engine, "CORE_DIR", core)
    write_double(core / "lib" / "Chirale_TensorFLowLite", out_dir)
    board = load_board("nano33-tflm")
    build_firmware(board, board.gen_dir(out_dir), tmp_path / "out", "arduino")
    size = json.loads((tmp_path / "out" / "size.json").read_text())
    assert (size["kernels"], size["framework"], size["engine"]) == ("tflm", "arduino", "tflm")
    names = set(symbol_names(tmp_path / "out" / "firmware.elf"))
    assert {"g_model", "double_step"} <= names and not FAST & names
    assert "bare.cc" not in names  # our runtime is for bare metal
